//! Waiting: the one way in which anything here waits for something.
//!
//! The one thing to know: **`may_block` is where the GIL is or is not let go.** In a goroutine of the Python lane
//! the call is made with the GIL held: if it parks, the lane's hooks put the next goroutine's thread state in place,
//! and the GIL stays with the lane. On any other thread a call that does not wait is tried first; only then is
//! the GIL released around one that does. The main thread, on which Python handles signals, waits in slices, and
//! looks for signals between them: Ctrl-C raises `KeyboardInterrupt` out of it. Nothing is lost by that, since a
//! slice that ends without success has transferred nothing.

use std::ffi::c_int;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::go::Goroutine;
use crate::gort::{self, EAGAIN, ETIMEDOUT, FOREVER};
use crate::lane;
use crate::raw::*;

/// How long the main thread waits before it looks for signals: half of what a user would notice.
const SLICE: i64 = 50_000_000;

/// `pthread_self()` of the thread on which Python handles signals.
static MAIN_THREAD: AtomicU64 = AtomicU64::new(0);

/// This thread is the one on which Python handles signals: at import that of `threading.main_thread()`, and after
/// a fork the one that forked.
pub(crate) fn set_main_thread(ident: u64) {
    // Relaxed: whoever reads another thread's store is not that thread, before and after.
    MAIN_THREAD.store(ident, Ordering::Relaxed);
}

pub(crate) fn on_main_thread() -> bool {
    // SAFETY: asks who the caller is.
    MAIN_THREAD.load(Ordering::Relaxed) == unsafe { libc::pthread_self() } as u64
}

/// Make a call that may wait until `deadline`: `attempt()` is its form that never waits (`GORT_EAGAIN`: it would
/// have to), `wait(deadline)` the one with a deadline (`GORT_ETIMEDOUT`: in vain), which tries first. The status of
/// the one that was made; `Err`: a signal's handler has raised, and nothing was done.
///
/// # Safety
/// The GIL is held. Both calls touch no Python object, and what they point to stays in place (it does, on the
/// stack of the caller).
#[inline]
pub(crate) unsafe fn may_block(
    deadline: i64,
    attempt: impl FnOnce() -> c_int,
    mut wait: impl FnMut(i64) -> c_int,
) -> Py<c_int> {
    let goroutine = lane::current();
    if !goroutine.is_null() {
        // SAFETY: the calling goroutine's own record.
        return Ok(unsafe { parking(goroutine, || wait(deadline)) });
    }
    match attempt() {
        EAGAIN if deadline == 0 => Ok(ETIMEDOUT),
        // SAFETY: the GIL is held.
        EAGAIN => unsafe { wait_elsewhere(deadline, &mut wait) },
        status => Ok(status),
    }
}

/// Make a call in which a goroutine of the lane may park: note where on its stack it is (see `foreign`).
///
/// # Safety
/// `goroutine` is the caller's own record.
#[inline(always)]
pub(crate) unsafe fn parking<T>(goroutine: *mut Goroutine, call: impl FnOnce() -> T) -> T {
    let here = 0_u8;
    // SAFETY: the caller's promise; the record stays in place, wherever the goroutine goes on.
    unsafe {
        (*goroutine).here = (&raw const here).addr();
        let result = call();
        (*goroutine).here = 0;
        result
    }
}

/// Wait on a thread that is not the lane's.
///
/// # Safety
/// The GIL is held.
#[cold]
unsafe fn wait_elsewhere(deadline: i64, wait: &mut dyn FnMut(i64) -> c_int) -> Py<c_int> {
    // SAFETY: the thread state that is saved is restored on the same thread: a plain thread stays itself, and a
    // goroutine that is not of the lane (C code that has called into Python) has its thread to itself meanwhile, since
    // the next goroutine there would find its thread state.
    unsafe {
        let locked = gort::gort_in_goroutine();
        if locked {
            gort::gort_lock_thread();
        }
        let sliced = on_main_thread();
        let result = loop {
            let until = if sliced { deadline.min(gort::gort_now() + SLICE) } else { deadline };
            let saved = PyEval_SaveThread();
            let status = wait(until);
            PyEval_RestoreThread(saved);
            if status != ETIMEDOUT || until == deadline {
                break Ok(status);
            }
            if PyErr_CheckSignals() != 0 {
                break Err(Raised);
            }
        };
        if locked {
            gort::gort_unlock_thread();
        }
        result
    }
}

/// As `may_block`, for calls that have no form that does not wait: the GIL is always released elsewhere.
///
/// # Safety
/// As for `may_block`.
pub(crate) unsafe fn may_block_until(deadline: i64, wait: impl FnMut(i64) -> c_int) -> Py<c_int> {
    // SAFETY: the caller's promise.
    unsafe { may_block(deadline, || EAGAIN, wait) }
}

/// Make a call that may take a while and has no deadline (a name look-up, a write to a pipe): in a goroutine of the
/// lane with the GIL held, elsewhere without it. Signals are seen after it.
///
/// # Safety
/// As for `may_block`.
pub(crate) unsafe fn without_gil<T>(call: impl FnOnce() -> T) -> T {
    let goroutine = lane::current();
    if !goroutine.is_null() {
        // SAFETY: the calling goroutine's own record.
        return unsafe { parking(goroutine, call) };
    }
    let mut call = Some(call);
    let mut result = None;
    let mut once = |_: i64| {
        result = call.take().map(|call| call());
        0
    };
    // SAFETY: the caller's promise. A status of 0 ends the loop before signals are looked for; FOREVER on the
    // main thread is not sliced, as the call ignores its deadline.
    let done = unsafe { wait_elsewhere(FOREVER, &mut once) };
    debug_assert!(done.is_ok());
    result.unwrap_or_else(|| unreachable!("the call was made once"))
}
