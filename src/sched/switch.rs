//! Leaving and coming back: park, ready, yield, sleep, exit, as a goroutine sees them.
//!
//! The one thing to know: after any of these the goroutine may be on another thread. `errno` is carried over;
//! C++ exceptions in flight are too (`exceptions.rs`);
//! whatever else belongs to a thread must be asked for anew (see `current.rs`).

use super::goroutine::{BY_EXIT, Goroutine, State, Task};
use super::idle;
use super::lane;
use super::proc::Proc;
use super::reason::WaitReason;
use super::runtime::rt;
use super::timer::TimerNode;
use super::wait::{Order, Wait};
use super::worker::Left;
use super::{current, exceptions};
use crate::coroutine::Coroutine;
use crate::panic;
use crate::primitive::atomic::{Ordering, fence};
use crate::primitive::{FOREVER, errno, now, set_errno};
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
pub(super) unsafe fn leave(left: Left, state: State, reason: WaitReason) {
    // SAFETY: the calling thread's own worker; the rest is the caller's promise.
    unsafe {
        let w = &*current::worker();
        if w.exceptions.any() || w.member.is_some() {
            return leave_with_care(left, state, reason);
        }
        switch_away(left, state, reason);
    }
}

/// In a lane, or with exceptions in flight.
///
/// # Safety
/// As for `leave`.
#[cold]
#[inline(never)]
unsafe fn leave_with_care(left: Left, state: State, reason: WaitReason) {
    // SAFETY: as for `leave`; the calling thread's own worker and goroutine.
    unsafe {
        let w = &*current::worker();
        if let Some(member) = &w.member {
            if !matches!(left, Left::Calls(_)) {
                member.ask((*w.goroutine.get()).arg);
            }
            if !w.exceptions.any() {
                return switch_away(left, state, reason);
            }
        }
        leave_with_exceptions(left, state, reason);
    }
}

/// # Safety
/// As for `leave`.
#[cold]
#[inline(never)]
unsafe fn leave_with_exceptions(left: Left, state: State, reason: WaitReason) {
    // SAFETY: as for `leave`.
    unsafe {
        let taken = (*current::worker()).exceptions.take();
        switch_away(left, state, reason);
        exceptions::put_back(taken);
    }
}

/// # Safety
/// As for `leave`.
#[inline]
unsafe fn switch_away(left: Left, state: State, reason: WaitReason) {
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
    // SAFETY: as above; a lane's goroutine is its lane's to queue.
    unsafe {
        if !(*g).lane.is_null() {
            return lane::ready(g);
        }
    }
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
    // A sleeper is never for ever: who sleeps may be what a host keeps its program alive with, and no deadlock.
    wait.set_deadline(now().saturating_add(ns).min(FOREVER - 1));
    // SAFETY: nothing is to be released; only the timer can claim this wait.
    unsafe { wait.block(|_| {}, null_mut()) };
}

/// The first frame of every goroutine.
///
/// # Safety
/// Called once by the first switch to the goroutine `g`, on its stack.
pub(super) unsafe extern "C" fn entry(g: *mut ()) -> ! {
    let g = g.cast::<Goroutine>();
    // SAFETY: the record stays in place while the goroutine runs; `body` and `arg` are its spawner's. This frame
    // holds nothing that must be dropped.
    unsafe {
        #[cfg(all(target_arch = "x86_64", not(feature = "corosensei-switch")))]
        ((*g).body)((*g).arg);
        #[cfg(not(all(target_arch = "x86_64", not(feature = "corosensei-switch"))))]
        panic::call_root((*g).body, (*g).arg);
    }
    end()
}

/// The goroutine was unwound to the end of its stack: go on there as if its function had returned.
///
/// # Safety
/// The caller is a goroutine; its frames hold nothing that must be dropped.
#[cold]
pub(crate) unsafe fn start_over() -> ! {
    unsafe extern "C" fn unwound(_: *mut ()) -> ! {
        end()
    }
    #[cfg(all(target_arch = "x86_64", not(feature = "corosensei-switch")))]
    // SAFETY: the caller's promise. The stack begins right below the record.
    unsafe {
        let g = current_goroutine().cast::<()>();
        Coroutine::start_over(g.cast(), unwound, g)
    }
    #[cfg(not(all(target_arch = "x86_64", not(feature = "corosensei-switch"))))]
    // SAFETY: the frames that are left to be abandoned are deeper.
    unsafe {
        unwound(null_mut())
    }
}

/// The function of the calling goroutine has ended. The caller is one, or was until it forked and is the child
/// now.
fn end() -> ! {
    let g = current_goroutine();
    if g.is_null() {
        // SAFETY: the scopes that this thread has taken over from the goroutine, whose root this is.
        unsafe { panic::end_forked() };
        super::fork::end_child(0);
    }
    // SAFETY: the calling thread's own worker and goroutine; the worker frees the stack once it is left.
    unsafe {
        let scopes = Goroutine::scopes(g);
        if !(*scopes).are_empty() && panic::end_root(scopes) == panic::End::Exited {
            (*g).flags |= BY_EXIT;
        }
        // The deferred calls may have forked.
        if current_goroutine().is_null() {
            super::fork::end_child(0);
        }
        if let Some(at_end) = (*g).at_end {
            (at_end.call)(at_end.arg);
        }
        exceptions::forget();
        let w = current::worker();
        (*w).left.set(Left::Ended);
        Coroutine::finish(&raw mut (*g).coroutine)
    }
}
