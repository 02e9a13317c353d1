//! One goroutine of a lane for a while: what is done before it is resumed and after it has left.
//!
//! The one thing to know: as in `sched/run.rs`, everything that lets somebody else have the goroutine happens here, when its
//! registers are saved. What is different: the hooks are called in between, so that a goroutine may be made ready when
//! its thread is not done with it; it is marked for that time (see the module comment).

use super::call;
use super::member::Member;
use super::record::{Lane, Locked, release_stacks};
use crate::coroutine::{self, Stack};
use crate::primitive::atomic::Ordering;
use crate::sched::arm;
use crate::sched::goroutine::{
    Extra, Fresh, Goroutine, Kind, LEAVING, PINNED, READIED, State, Task, UNMARKED,
};
use crate::sched::proc::coarse;
use crate::sched::reason::WaitReason;
use crate::sched::run::free_extra;
use crate::sched::runtime::Runtime;
use crate::sched::worker::{Left, Worker};
use std::ptr::{NonNull, null_mut};

/// A task with, perhaps, a stack for it.
pub(super) struct Picked {
    pub(super) task: Task,
    pub(super) stack: Option<Stack>,
}

/// What is to be done with the goroutine that has left, under the lane's lock.
pub(super) enum After {
    Nothing,
    /// It has parked: whoever was to make it ready meanwhile has left word.
    Parked(NonNull<Goroutine>),
    /// It may go on at once, behind the others.
    Yielded(NonNull<Goroutine>),
    Ended {
        stack: Stack,
        /// It had the thread to itself, which therefore goes too.
        takes_thread: bool,
    },
    /// Its call has ended, on this thread, which is not busy and holds no slot: it may go on, behind the others.
    Called(NonNull<Goroutine>),
    /// The thread runs nothing more of this lane.
    Over,
}

impl After {
    /// Does the goroutine keep its thread?
    pub(super) fn keeps(&self) -> bool {
        match self {
            // SAFETY: the thread that asks is not done with it.
            After::Parked(g) | After::Yielded(g) | After::Called(g) => unsafe { !(*g.as_ptr()).pin.is_null() },
            _ => false,
        }
    }
}

/// Make a goroutine out of what was picked, and call the hook that comes before its turn. `None`: it has no stack, and
/// waits for one.
#[inline]
pub(super) fn begin(
    rt: &'static Runtime,
    w: &'static Worker,
    m: &Member,
    picked: Picked,
) -> Option<*mut Goroutine> {
    let (g, hook) = match picked.task.kind() {
        Kind::Bound(g) => {
            // SAFETY: whoever takes a task out of a queue is alone with its goroutine.
            unsafe {
                if !(*g).pin.is_null() && !stays(g) {
                    (*g).pin = null_mut();
                }
            }
            (g, m.lane.hooks.goroutine_resume)
        }
        Kind::Fresh(fresh) => (bind(rt, w, m, fresh, picked.stack)?, m.lane.hooks.goroutine_start),
    };
    // SAFETY: as above.
    unsafe {
        m.lane.hooks.goroutine(hook, (*g).arg);
        (*g).set_state(State::Running, WaitReason::None);
        (*g).begin_turn();
        m.enter();
        w.goroutine.set(g);
    }
    Some(g)
}

/// Does it keep its thread until it says otherwise?
///
/// # Safety
/// `g` is the caller's.
unsafe fn stays(g: *mut Goroutine) -> bool {
    // SAFETY: the caller's promise.
    unsafe { (*g).lock_depth != 0 || (*g).pin_depth != 0 || (*g).flags & PINNED != 0 }
}

/// The goroutine has left: what is to be done at once. The rest is done under the lane's lock (`work::next`).
pub(super) fn leave(rt: &'static Runtime, w: &'static Worker, m: &Member, g: *mut Goroutine) -> After {
    w.goroutine.set(null_mut());
    m.exit();
    let hooks = &m.lane.hooks;
    // SAFETY: it has left, and nobody else can reach it before it is marked; `release` may be called once, here. While it
    // is marked nobody else runs it.
    unsafe {
        let this = NonNull::new_unchecked(g);
        let arg = (*g).arg;
        if m.keeps.replace(false) {
            (*g).pin = std::ptr::from_ref(w).cast_mut();
        }
        match w.left.get() {
            Left::Parked { timer, release, arg: of_release } => {
                rt.outside_parks.fetch_add(1, Ordering::Relaxed);
                (*g).since = coarse(coarse_now());
                (*g).end_turn();
                // Before anybody can reach it: the locks that make it reachable publish this.
                (*g).word = LEAVING;
                let mut added = arm::Added::nothing();
                if !timer.is_null() {
                    added = arm::add_timer(timer);
                }
                release(of_release);
                w.left.set(Left::Yielded);
                added.tell();
                hooks.goroutine(hooks.goroutine_leave, arg);
                After::Parked(this)
            }
            Left::Yielded => {
                (*g).set_state(State::Runnable, WaitReason::None);
                (*g).end_turn();
                hooks.goroutine(hooks.goroutine_leave, arg);
                After::Yielded(this)
            }
            Left::Ended => {
                (*g).set_state(State::Dead, WaitReason::None);
                hooks.goroutine(hooks.goroutine_end, arg);
                end(w, g)
            }
            Left::Calls(what) => {
                rt.outside_parks.fetch_add(1, Ordering::Relaxed);
                w.left.set(Left::Yielded);
                (*g).since = coarse(coarse_now());
                (*g).end_turn();
                hooks.goroutine(hooks.goroutine_leave, arg);
                call::make(rt, w, m, g, what)
            }
        }
    }
}

/// The time, as exact as the coarse clock of goroutines needs it.
fn coarse_now() -> i64 {
    let mut ts = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a place for the answer. Linux has this clock, which goes with CLOCK_MONOTONIC and costs less.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &mut ts) };
    ts.tv_sec * 1_000_000_000 + ts.tv_nsec
}

/// Give a goroutine that is to run for the first time its stack.
fn bind(
    rt: &'static Runtime,
    w: &'static Worker,
    m: &Member,
    fresh: *mut Fresh,
    stack: Option<Stack>,
) -> Option<*mut Goroutine> {
    // SAFETY: the record is ours.
    let class = unsafe { (*fresh).class };
    let stack = match stack.map_or_else(|| coroutine::acquire(class), Ok) {
        Ok(stack) => stack,
        Err(_) => wait_for_stack(rt, m.lane, fresh)?,
    };
    if rt.stackless.any() {
        // There may be more where this one came from.
        rt.stackless.retry(rt, class);
    }
    // SAFETY: the stack was just taken and is bound to nobody. The record is ours, and given back later.
    unsafe {
        let g = Goroutine::bind(fresh, stack, crate::sched::entry);
        (*g).lane = m.lane;
        if (*g).flags & PINNED != 0 {
            (*g).pin = std::ptr::from_ref(w).cast_mut();
        }
        give_back(m, fresh);
        Some(g)
    }
}

/// Keep a record until the lock is taken anyway.
///
/// # Safety
/// `fresh` was moved elsewhere.
unsafe fn give_back(m: &Member, fresh: *mut Fresh) {
    let before = m.used.replace(fresh);
    if let Some(before) = NonNull::new(before) {
        // Two fresh ones in a row, without the lock in between: the first one's goroutine found no stack.
        // SAFETY: the thread is counted by the lane; nobody uses the record.
        unsafe { m.lane.lock().records.give(before) };
    }
}

/// There is no stack. `Some`: there was one after all, for just this goroutine.
#[cold]
fn wait_for_stack(rt: &'static Runtime, lane: &'static Lane, fresh: *mut Fresh) -> Option<Stack> {
    // Free what is kept for later, by lanes and by idle processors.
    release_stacks(rt);
    rt.lists().release_stacks();
    // SAFETY: the record is ours.
    let class = unsafe { (*fresh).class };
    if let Ok(stack) = coroutine::acquire(class) {
        return Some(stack);
    }
    // SAFETY: as above.
    rt.stackless.add(unsafe { Task::fresh(NonNull::new_unchecked(fresh)) }, lane);
    // Look again: one may have come free before we were listed.
    if let Ok(stack) = coroutine::acquire(class) {
        coroutine::release(stack);
        rt.stackless.retry(rt, class);
    }
    None
}

/// The goroutine has ended: free what it had, as far as that needs no lock.
///
/// # Safety
/// It has left its stack for good, and nobody else refers to it.
unsafe fn end(w: &'static Worker, g: *mut Goroutine) -> After {
    // SAFETY: the caller's promise.
    let (stack, extra, takes_thread) = unsafe {
        Goroutine::retract(g);
        let extra: Option<Box<Extra>> = (*g).extra.take();
        ((*g).stack, extra, (*g).lock_depth != 0)
    };
    if let Some(extra) = extra {
        free_extra(extra);
    }
    w.left.set(Left::Yielded);
    After::Ended { stack, takes_thread }
}

/// Do what [`After`] says, under the lane's lock. A stack that the lane has no use for comes back.
#[inline]
pub(super) fn settle(rt: &Runtime, state: &mut Locked, m: &Member, after: &After) -> Option<Stack> {
    if let Some(record) = NonNull::new(m.used.replace(null_mut())) {
        // SAFETY: from `take` of some list, and nobody uses it any more.
        unsafe { state.records.give(record) };
    }
    match *after {
        After::Nothing | After::Over => None,
        After::Parked(g) => {
            // SAFETY: guarded by the lock that we hold.
            unsafe {
                if std::mem::replace(&mut (*g.as_ptr()).word, UNMARKED) == READIED {
                    state.slots.append(Task::bound(g));
                }
            }
            None
        }
        After::Yielded(g) | After::Called(g) => {
            state.slots.append(Task::bound(g));
            None
        }
        After::Ended { stack, .. } => {
            state.living -= 1;
            rt.outside_ended.fetch_add(1, Ordering::Release);
            if !rt.stackless.any() && state.keep_stack(stack) { None } else { Some(stack) }
        }
    }
}

/// A task of a lane that is closed: it never runs.
pub(super) fn discard(state: &mut Locked, task: Task) {
    // One that has run has left something on its stack that somebody may need: it stays parked.
    if let Kind::Fresh(fresh) = task.kind() {
        // SAFETY: the record is ours, and nobody else refers to it.
        unsafe {
            let extra = (*fresh).extra.take();
            Fresh::retract(fresh);
            if let Some(extra) = extra {
                free_extra(extra);
            }
            state.records.give(NonNull::new_unchecked(fresh));
        }
        state.living -= 1;
        rt_of(state).outside_ended.fetch_add(1, Ordering::Release);
    }
}

fn rt_of(_: &Locked) -> &'static Runtime {
    // A lane's lock is taken in its own process only.
    crate::sched::runtime::rt()
}
