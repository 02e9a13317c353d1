//! The list of all workers, and what the search for leaked goroutines must know of them while they are stopped.
//!
//! The one thing to know: everything here is asked while all other threads are stopped (`inspect/leaks`), each
//! where it happened to be. So no lock may be taken that one of them may hold: whoever asks takes the roster's
//! lock *before* it stops them.
//!
//! A worker's own stack and its record hold pointers to what goroutines wait on, left over from parks that are
//! long finished. Which of them still matter is told by three marks: `asleep`, set around its sleep on the mailbox,
//! where its stack and registers hold nothing of any goroutine's; `calls_from`, set around a blocking call, which says
//! where on the stack the scheduler's part ends and the called function's begins; and `left`, which says `Parked`
//! only until the worker has finished a park.

use super::goroutine::{Goroutine, State};
use super::reason::WaitReason;
use super::runtime;
use super::worker::{Left, Worker};
use crate::coroutine::{Coroutine, Stack};
use crate::primitive::SpinLock;
use crate::primitive::atomic::Ordering;
use std::cell::{Cell, UnsafeCell};
use std::ptr::null;

/// What a worker has for this.
pub(super) struct Entry {
    next: Cell<*const Worker>,
    tid: Cell<i32>,
    /// The part of its thread's stack that the scheduler uses.
    stack: Cell<(usize, usize)>,
    pub(super) asleep: Cell<bool>,
    /// In a blocking call: all frames of the scheduler's are above this. Else 0.
    calls_from: Cell<usize>,
}

impl Entry {
    pub(super) const fn new() -> Self {
        Entry {
            next: Cell::new(null()),
            tid: Cell::new(0),
            stack: Cell::new((0, 0)),
            asleep: Cell::new(false),
            calls_from: Cell::new(0),
        }
    }

    /// The thread's number; 0 before it is listed.
    pub(super) fn tid(&self) -> i32 {
        self.tid.get()
    }

    /// The thread makes a blocking call; `at` is an address in a frame of the scheduler's, which has nothing of any
    /// goroutine's above that.
    pub(super) fn calls_from(&self, at: usize) {
        self.calls_from.set(at);
    }

    pub(super) fn calls_no_more(&self) {
        self.calls_from.set(0);
    }
}

struct Roster {
    lock: SpinLock,
    /// Guarded by `lock`, as is `next` of every entry.
    first: UnsafeCell<*const Worker>,
}

// SAFETY: `first` is touched under the lock only.
unsafe impl Sync for Roster {}

static ROSTER: Roster = Roster { lock: SpinLock::new(), first: UnsafeCell::new(null()) };

/// The size of a worker's record.
pub(crate) const WORKER_SIZE: usize = size_of::<Worker>();

/// Keep the list as it is.
pub(crate) fn lock_roster() {
    ROSTER.lock.lock();
}

/// # Safety
/// [`lock_roster`] was called by this thread.
pub(crate) unsafe fn unlock_roster() {
    // SAFETY: the caller's promise.
    unsafe { ROSTER.lock.unlock() };
}

/// List a worker whose thread this is. `top`: an address in the thread's first frame.
pub(super) fn enter(w: &Worker, top: usize) {
    let mut low = 0;
    // SAFETY: live structures; the attributes are those of this thread.
    unsafe {
        let mut attr = std::mem::zeroed::<libc::pthread_attr_t>();
        if libc::pthread_getattr_np(libc::pthread_self(), &mut attr) == 0 {
            let (mut start, mut size) = (std::ptr::null_mut(), 0);
            if libc::pthread_attr_getstack(&attr, &mut start, &mut size) == 0 {
                low = start.addr();
            }
            libc::pthread_attr_destroy(&mut attr);
        }
        w.entry.tid.set(libc::syscall(libc::SYS_gettid) as i32);
    }
    // Without its lower end all of the stack counts.
    w.entry.stack.set(if low == 0 { (top, top) } else { (low, top) });
    lock_roster();
    // SAFETY: locked.
    unsafe {
        w.entry.next.set(*ROSTER.first.get());
        *ROSTER.first.get() = w;
        unlock_roster();
    }
}

/// Its thread ends.
pub(super) fn leave(w: &Worker) {
    lock_roster();
    // SAFETY: locked; listed workers are live, since each leaves before it is freed.
    unsafe {
        let first = ROSTER.first.get();
        if std::ptr::eq(*first, w) {
            *first = w.entry.next.get();
        } else {
            let mut at = *first;
            while !at.is_null() {
                let entry = &(*at).entry;
                if std::ptr::eq(entry.next.get(), w) {
                    entry.next.set(w.entry.next.get());
                    break;
                }
                at = entry.next.get();
            }
        }
        unlock_roster();
    }
}

/// In a forked child: the workers are the parent's.
///
/// # Safety
/// The calling thread is the only one.
pub(super) unsafe fn forget() {
    // SAFETY: the caller's promise. The lock may have been copied while somebody else held it.
    unsafe {
        *ROSTER.first.get() = null();
        ROSTER.lock.unlock();
    }
}

/// A worker whose thread is stopped, or is the caller.
#[derive(Clone, Copy)]
pub(crate) struct StoppedWorker {
    pub(crate) tid: i32,
    /// The part of its thread's stack that is the scheduler's.
    pub(crate) stack: (usize, usize),
    /// Stack and registers hold nothing of any goroutine's.
    pub(crate) asleep: bool,
    /// In a blocking call: the part of `stack` with the frames of the scheduler's that wait for its end.
    pub(crate) waiting: Option<(usize, usize)>,
    /// The record of the goroutine it runs, or 0.
    pub(crate) goroutine: usize,
    /// A part of the worker's record that is left over from the last park; none while it is in use.
    pub(crate) stale: Option<(usize, usize)>,
}

/// Meet all workers.
///
/// # Safety
/// The caller has locked the roster, and all other threads are stopped since.
pub(crate) unsafe fn for_each_worker(mut f: impl FnMut(StoppedWorker)) {
    // SAFETY: the caller's promise: listed workers are live, and nobody changes the list or a worker.
    unsafe {
        let mut at = *ROSTER.first.get();
        while !at.is_null() {
            let w = &*at;
            let left = w.left.as_ptr().addr();
            let in_use = matches!(w.left.get(), Left::Parked { .. } | Left::Calls(_));
            f(StoppedWorker {
                tid: w.entry.tid.get(),
                stack: w.entry.stack.get(),
                asleep: w.entry.asleep.get(),
                waiting: match w.entry.calls_from.get() {
                    0 => None,
                    from => Some((from, w.entry.stack.get().1)),
                },
                goroutine: w.goroutine.get().addr(),
                stale: (!in_use).then_some((left, left + size_of::<Left>())),
            });
            at = w.entry.next.get();
        }
    }
}

/// A goroutine that has a stack.
pub(crate) struct StoppedGoroutine {
    pub(crate) id: u64,
    /// Its record, above all of its frames.
    pub(crate) record: usize,
    /// Its frames are above this. 0: it is on a worker, perhaps.
    pub(crate) sp: usize,
    /// It waits on something that only a call of this process can give it, unless a deadline passes first.
    pub(crate) blocked: bool,
}

/// The goroutine that has `stack`, if there is one.
///
/// # Safety
/// `stack` was handed out once; all other threads are stopped.
pub(crate) unsafe fn goroutine_on(stack: Stack) -> Option<StoppedGoroutine> {
    let g = stack.place::<Goroutine>();
    // SAFETY: the memory of a stack above its guard is always readable, and nobody writes it now. What lies there
    // is a record if its number is not 0.
    unsafe {
        let id = (&raw const (*g).id).read_volatile();
        if id < runtime::first_id() {
            return None;
        }
        let away = (*g).turns.load(Ordering::Relaxed).is_multiple_of(2);
        let state = (*g).state.load(Ordering::Relaxed);
        let reason = WaitReason::from_u8((*g).reason.load(Ordering::Relaxed));
        let sp = if away { Coroutine::saved_sp(&raw const (*g).coroutine).addr() } else { 0 };
        Some(StoppedGoroutine {
            id,
            record: g.addr(),
            sp,
            blocked: away && state == State::Waiting as u8 && reason.needs_somebody(),
        })
    }
}
