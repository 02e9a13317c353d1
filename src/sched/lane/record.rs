//! The record of a lane: what its lock guards, and how long it lives.
//!
//! The one thing to know: handles, goroutines and threads are counted under the lock, and whoever finds all three at 0
//! frees the lane ([`Locked::leave`]). So whoever has let go of the lock touches the lane only if he is one of these, or
//! knows one that stays.

use super::hooks::Hooks;
use super::member::{Mail, Seat};
use super::monitor::Monitor;
use super::slots::{Move, Slots};
use crate::coroutine::{self, Class, Stack};
use crate::primitive::SpinLock;
use crate::primitive::atomic::{AtomicBool, Ordering};
use crate::sched::fresh::FreshList;
use crate::sched::goroutine::Task;
use crate::sched::runtime::{Runtime, rt, started};
use crate::sched::thread;
use crate::sched::wait::Queue;
use std::cell::UnsafeCell;
use std::ffi::{CStr, CString};
use std::ops::{Deref, DerefMut, Range};
use std::sync::{Mutex, MutexGuard};

/// Free stacks a lane keeps; and while nothing of it runs.
const STACKS_KEPT: usize = 64;
const STACKS_KEPT_IDLE: usize = 8;

/// How a lane is to be.
pub(crate) struct Options {
    pub(crate) limit: u32,
    /// A slot is never taken away.
    pub(crate) strict: bool,
    /// `None`: the runtime's default.
    pub(crate) class: Option<Class>,
    pub(crate) name: Option<CString>,
    pub(crate) hooks: Hooks,
}

pub(crate) struct Lane {
    pub(super) rt: &'static Runtime,
    pub(super) hooks: Hooks,
    pub(super) class: Class,
    pub(super) limit: usize,
    pub(super) strict: bool,
    pub(super) name: Option<CString>,
    /// As `Slots::is_closed`, for a thread that is about to run something. Set under the lock.
    pub(super) closed: AtomicBool,
    lock: SpinLock,
    state: UnsafeCell<State>,
}

// SAFETY: `state` is touched under the lock only; the rest is atomic or does not change, and the owner's data is passed to
// hooks, which may be called on any of the lane's threads.
unsafe impl Sync for Lane {}
// SAFETY: as above.
unsafe impl Send for Lane {}

/// What the lock guards.
pub(super) struct State {
    pub(super) slots: Slots<Seat, Task>,
    pub(super) handles: usize,
    /// Goroutines that have not ended.
    pub(super) living: usize,
    /// Those that are being started included.
    pub(super) threads: usize,
    /// All but those that are being started.
    pub(super) seats: Vec<Seat>,
    /// Free stacks of the lane's class; the hottest is last.
    stacks: Vec<Stack>,
    pub(super) records: FreshList,
    pub(super) ids: Range<u64>,
    /// Who waits for the last thread's end.
    pub(super) closers: Queue,
}

impl Lane {
    /// A new lane, with one handle.
    pub(crate) fn make(options: Options) -> *const Lane {
        let rt = rt();
        let limit = options.limit.max(1) as usize;
        let lane: *const Lane = Box::into_raw(Box::new(Lane {
            rt,
            hooks: options.hooks,
            class: options.class.unwrap_or(rt.class),
            limit,
            strict: options.strict,
            name: options.name,
            closed: AtomicBool::new(false),
            lock: SpinLock::new(),
            state: UnsafeCell::new(State {
                slots: Slots::new(limit),
                handles: 1,
                living: 0,
                threads: 0,
                seats: Vec::new(),
                stacks: Vec::new(),
                records: FreshList::new(),
                ids: 0..0,
                closers: Queue::new(),
            }),
        }));
        rt.lanes.list().push(Listed(lane));
        if !options.strict {
            rt.lanes.monitor.ensure(rt);
        }
        lane
    }

    /// Is it this process's? Else it is that of a process that forked, and its lock may be anybody's.
    pub(super) fn is_ours(&self) -> bool {
        started().is_some_and(|rt| std::ptr::eq(rt, self.rt))
    }

    /// # Safety
    /// The caller knows that the lane lives until the lock is given back, and that it is ours.
    pub(super) unsafe fn lock(&self) -> Locked {
        self.lock.lock();
        Locked { lane: self }
    }

    /// One handle more.
    ///
    /// # Safety
    /// `this` is live.
    pub(crate) unsafe fn retain(this: *const Lane) {
        // SAFETY: the caller's promise.
        unsafe {
            if (*this).is_ours() {
                (*this).lock().handles += 1;
            }
        }
    }

    /// One handle less. A lane without handles ends when its last goroutine has.
    ///
    /// # Safety
    /// `this` is live, and the handle is the caller's.
    pub(crate) unsafe fn release(this: *const Lane) {
        // SAFETY: the caller's promise. The last touch is `leave`'s.
        unsafe {
            if (*this).is_ours() {
                let mut state = (*this).lock();
                state.handles -= 1;
                state.leave();
            }
        }
    }

    pub(super) fn name(&self) -> &CStr {
        self.name.as_deref().unwrap_or(c"gort-lane")
    }
}

/// The lane is locked while this exists.
pub(super) struct Locked {
    lane: *const Lane,
}

impl Deref for Locked {
    type Target = State;

    #[inline]
    fn deref(&self) -> &State {
        // SAFETY: the lock is ours, and whoever took it knows that the lane lives.
        unsafe { &*(*self.lane).state.get() }
    }
}

impl DerefMut for Locked {
    #[inline]
    fn deref_mut(&mut self) -> &mut State {
        // SAFETY: as in `deref`.
        unsafe { &mut *(*self.lane).state.get() }
    }
}

impl Drop for Locked {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: locked by whoever made this. It is the last touch of the lane.
        unsafe { (*self.lane).lock.unlock() };
    }
}

impl Locked {
    /// Unlock a lane that somebody else has locked, and left so.
    ///
    /// # Safety
    /// It is locked, and the caller has that from whoever did so.
    pub(super) unsafe fn take_over(lane: *const Lane) {
        drop(Locked { lane });
    }

    /// Unlock, and do what was decided under the lock: tell a thread that there is something for it.
    pub(super) fn perform(mut self, what: Move<Seat, Task>) {
        let lane = self.lane;
        self.prepare(&what);
        // SAFETY: locked, so it lives.
        unsafe { (*lane).monitor_if_waiting(&self) };
        drop(self);
        act(lane, what);
    }

    /// The first half of [`Locked::perform`], without unlocking; [`act`] is the second.
    pub(super) fn prepare(&mut self, what: &Move<Seat, Task>) {
        if let Move::Start(_) = what {
            // Keeps the lane alive until the thread is there.
            self.threads += 1;
        }
        if !matches!(what, Move::Nothing) {
            // By someone who counts as running, under the lock: see the module comment.
            // SAFETY: locked, so it lives.
            unsafe { (*self.lane).rt.pending.raise() };
        }
    }

    /// Unlock, and free the lane if nobody is left. To be called by whoever took a handle, a goroutine or a thread away.
    pub(super) fn leave(mut self) {
        let lane = self.lane;
        if self.handles != 0 || self.living != 0 {
            return;
        }
        // Nobody can spawn into it any more.
        let sleepers = if self.slots.is_closed() { Vec::new() } else { self.close() };
        let last = self.threads == 0;
        drop(self);
        for Seat(w) in sleepers {
            // SAFETY: just taken out of the lists of those who sleep.
            unsafe { w.seat().mail.deliver(Mail::End) };
        }
        if last {
            free(lane);
        }
    }

    /// Nothing of it starts or goes on any more. The threads that sleep: the caller is to send each its end, once the
    /// lock is released.
    pub(super) fn close(&mut self) -> Vec<Seat> {
        // SAFETY: locked, so it lives.
        unsafe { (*self.lane).closed.store(true, Ordering::Relaxed) };
        let (tasks, sleepers) = self.slots.close();
        for task in tasks {
            super::turn::discard(self, task);
        }
        sleepers
    }

    /// A hot stack, for a goroutine of the lane's class.
    #[inline]
    pub(super) fn take_stack(&mut self) -> Option<Stack> {
        self.stacks.pop()
    }

    /// One has come free. False: there is no room; the caller gives it to the pool.
    #[inline]
    pub(super) fn keep_stack(&mut self, stack: Stack) -> bool {
        // SAFETY: locked, so it lives.
        let room = unsafe { stack.class() == (*self.lane).class } && self.stacks.len() < STACKS_KEPT;
        if room {
            self.stacks.push(stack);
        }
        room
    }

    /// Give those to the pool that are too many for a lane of which nothing runs, or all. True: there were some.
    pub(super) fn release_stacks(&mut self, all: bool) -> bool {
        let keep = if all { 0 } else { STACKS_KEPT_IDLE };
        let any = self.stacks.len() > keep;
        coroutine::release_batch(&mut self.stacks, keep);
        any
    }
}

/// Do what was decided, and prepared, under the lock.
pub(super) fn act(lane: *const Lane, what: Move<Seat, Task>) {
    match what {
        Move::Nothing => {}
        // SAFETY: it was taken out of the lists of those who sleep, by whoever made the move.
        Move::Wake(Seat(w), task) => unsafe { w.seat().mail.deliver(Mail::Run(task)) },
        // SAFETY: the thread is counted already, so the lane lives.
        Move::Start(task) => unsafe { thread::start_in_lane((*lane).rt, lane, task) },
    }
}

/// Nobody is left.
fn free(lane: *const Lane) {
    // SAFETY: whoever finds nobody left is the only one who knows the lane, apart from those who go through the list, who
    // hold its lock meanwhile. It is ours, and was made by `make`.
    unsafe {
        let rt = (*lane).rt;
        rt.lanes.list().retain(|listed| listed.0 != lane);
        let mut lane = Box::from_raw(lane.cast_mut());
        let state = lane.state.get_mut();
        let mut outside = rt.outside.lock().unwrap_or_else(|e| e.into_inner());
        state.records.drain_into(&mut outside.records);
        coroutine::release_batch(&mut state.stacks, 0);
    }
}

/// A lane in the list of all.
#[derive(Clone, Copy)]
pub(in crate::sched) struct Listed(pub(super) *const Lane);

// SAFETY: lanes are made to be shared.
unsafe impl Send for Listed {}

/// All lanes of a runtime, and who watches over them.
pub(in crate::sched) struct Registry {
    list: Mutex<Vec<Listed>>,
    pub(in crate::sched) monitor: Monitor,
}

impl Registry {
    pub(in crate::sched) fn new() -> Self {
        Registry { list: Mutex::new(Vec::new()), monitor: Monitor::new() }
    }

    /// Lock the list: what is in it lives meanwhile. Before any lane's lock, never under one.
    pub(super) fn list(&self) -> MutexGuard<'_, Vec<Listed>> {
        self.list.lock().unwrap_or_else(|e| e.into_inner())
    }
}

/// Give the free stacks that lanes keep to the pool: somebody waits for one.
pub(in crate::sched) fn release_stacks(rt: &Runtime) {
    for lane in rt.lanes.list().iter() {
        // SAFETY: in the list, and the list is locked.
        unsafe { (*lane.0).lock().release_stacks(true) };
    }
}
