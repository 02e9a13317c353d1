//! Leaving and coming back: park, ready, yield, sleep, exit, as a goroutine sees them.
//!
//! The one thing to know: after any of these the goroutine may be on another thread. `errno` is carried over;
//! whatever else belongs to a thread must be asked for anew (see `current.rs`).

use super::goroutine::{Goroutine, State, Task};
use super::idle;
use super::proc::Proc;
use super::reason::WaitReason;
use super::runtime::rt;
use super::timer::TimerNode;
use super::wait::{Order, Wait};
use super::worker::Left;
use super::{cleanup, current};
use crate::coroutine::Coroutine;
use crate::primitive::atomic::{Ordering, fence};
use crate::primitive::{errno, now, set_errno};
use std::ptr::{NonNull, null_mut};

/// The goroutine that the caller is, or null on a plain thread and on the scheduler's stack.
#[inline]
pub(crate) fn current_goroutine() -> *mut Goroutine {
    let w = current::worker();
    if w.is_null() {
        return null_mut();
    }
    // SAFETY: the calling thread's own worker.
    unsafe { (*w).goroutine.get() }
}

/// Leave the worker; returns when somebody has made the goroutine ready.
///
/// On the scheduler's stack, once the registers are saved, `timer` is armed (unless it has no deadline) and
/// `release(arg)` is called.
///
/// # Safety
/// The caller is a goroutine. `release(arg)` may be called once from another stack of this thread; it does not
/// block. From then on, or once the timer fires, exactly one `ready` comes.
#[inline]
pub(crate) unsafe fn park(
    timer: *mut TimerNode,
    reason: WaitReason,
    release: unsafe fn(*mut ()),
    arg: *mut (),
) {
    // SAFETY: `timer` is null or a live node (it is the caller's).
    let timer = if timer.is_null() || unsafe { (*timer).when() } == i64::MAX { null_mut() } else { timer };
    // SAFETY: the caller is a goroutine, so it has a worker, which holds its record.
    unsafe { leave(Left::Parked { timer, release, arg }, State::Waiting, reason) };
}

/// # Safety
/// The caller is a goroutine, and somebody will make it ready.
#[inline]
unsafe fn leave(left: Left, state: State, reason: WaitReason) {
    let errno = errno();
    // SAFETY: the calling thread's own worker and goroutine. Nothing of either is used after the switch.
    unsafe {
        let w = current::worker();
        let g = (*w).goroutine.get();
        (*w).left.set(left);
        (*g).set_state(state, reason);
        Coroutine::suspend(&raw mut (*g).coroutine);
    }
    set_errno(errno);
}

/// Queue a parked goroutine, on the calling worker's processor or, from a thread that holds none, globally.
///
/// # Safety
/// `g` is parked, its `release` step has been reached, and the caller alone has the right to make it ready.
#[inline]
pub(crate) unsafe fn ready(g: *mut Goroutine, order: Order) {
    // SAFETY: the caller's promise.
    let task = unsafe {
        (*g).set_state(State::Runnable, WaitReason::None);
        Task::bound(NonNull::new_unchecked(g))
    };
    let w = current::worker();
    // SAFETY: null, or the calling thread's own worker.
    let proc = if w.is_null() { None } else { unsafe { (*w).proc.get() } };
    let Some(proc) = proc else {
        rt().outside_wakeups.fetch_add(1, Ordering::Relaxed);
        rt().inject(task);
        return;
    };
    Proc::count(&proc.wakeups);
    let rt = rt();
    // SAFETY: this worker holds `proc`.
    let queued = unsafe {
        match order {
            Order::Next => proc.push_next(task).is_some(),
            Order::Queue => {
                proc.push(task);
                // Published, then read who is idle: see `pool`. (`push_next` is sequentially consistent.)
                fence(Ordering::SeqCst);
                true
            }
        }
    };
    if rt.pool.load().wants_telling(queued) {
        idle::tell(rt, proc);
    }
}

/// Let others run first. On a plain thread: `sched_yield`.
#[inline]
pub(crate) fn yield_now() {
    if current_goroutine().is_null() {
        std::thread::yield_now();
    } else {
        // SAFETY: a goroutine; its worker puts it back into the queue.
        unsafe { leave(Left::Yielded, State::Runnable, WaitReason::None) };
    }
}

/// Sleep for at least `ns` nanoseconds; not at all if it is not positive.
pub(crate) fn sleep(ns: i64) {
    if ns <= 0 {
        return;
    }
    let mut wait = Wait::new(WaitReason::Sleep, false);
    wait.set_deadline(now().saturating_add(ns));
    // SAFETY: nothing is to be released; only the timer can claim this wait.
    unsafe { wait.block(|_| {}, null_mut()) };
}

/// End the calling goroutine. The caller is one, or was until it forked and is the child now.
pub(crate) fn exit() -> ! {
    let g = current_goroutine();
    if g.is_null() {
        super::fork::end_child(0);
    }
    // SAFETY: the calling thread's own worker and goroutine; the worker frees the stack once it is left.
    unsafe {
        cleanup::run_all(g);
        if let Some(at_end) = (*g).at_end {
            (at_end.call)(at_end.arg);
        }
        let w = current::worker();
        (*w).left.set(Left::Ended);
        Coroutine::finish(&raw mut (*g).coroutine)
    }
}
