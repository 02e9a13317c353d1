//! Being told of a deadlock instead of dying of it.

use super::goroutine::gort_fn_t;
use super::status::{EBUSY, EDEADLK, EINVAL, ENOMEM, EPERM, ETIMEDOUT, OK};
use crate::inspect::deadlock;
use crate::sched::{self, CannotBegin, Detect, Waited, current_goroutine};
use std::ffi::{c_int, c_void};
use std::ptr::null_mut;

/// A time in which deadlocks are looked for, from gort_detect_begin() to gort_detect_end(). A handle: reference counted
/// by gort_detect_retain() and gort_detect_release().
#[derive(Debug)]
pub struct gort_detect_t {
    _opaque: [u8; 0],
}

fn core(d: *mut gort_detect_t) -> *mut Detect {
    d.cast()
}

/// Run `fn(arg)` as the main goroutine, as gort_main() does, and wait for its end or for a deadlock: when no goroutine
/// can run and nothing can wake one, the report that gort_main() would die with is written to the descriptor `dump_fd`
/// (negative: nowhere), and this returns. The goroutines stay parked, the main goroutine too, until something wakes
/// them after all, as for example a send by the caller; what is on their stacks is theirs.
///
/// Blocks the calling thread. May be called again afterwards. SIGQUIT ends the process as under gort_main().
///
/// `GORT_OK`: `fn` has returned; `GORT_EDEADLK`: deadlock, or the last goroutine has ended and main by gort_exit();
/// `GORT_EBUSY`: gort_main(), gort_run() or a time begun by gort_detect_begin() goes on elsewhere; `GORT_EPERM`: the
/// caller is a goroutine; `GORT_EINVAL`: `fn` is NULL; `GORT_ENOMEM`. Since 0.1.
///
/// # Safety
/// `fn_` may be called with `arg` on another thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_run(fn_: gort_fn_t, arg: *mut c_void, dump_fd: c_int) -> c_int {
    let Some(body) = fn_ else { return EINVAL };
    if !current_goroutine().is_null() {
        return EPERM;
    }
    match sched::run(body, arg) {
        Ok(waited) => status(waited, dump_fd),
        Err(why) => refusal(why),
    }
}

/// Begin a time in which deadlocks are looked for, for an embedder that makes its main goroutine itself: one of a lane,
/// say, while the embedder's own thread must wake from time to time. In order: gort_detect_begin(), gort_detect_retain()
/// for the main goroutine, spawn it; it calls gort_detect_done() and gort_detect_release() at its end; meanwhile the
/// thread calls gort_detect_wait() until that says other than `GORT_ETIMEDOUT`; then gort_detect_end() and
/// gort_detect_release().
///
/// Does not block. The caller owns the one reference. SIGQUIT ends the process as under gort_main(), once a thread is in
/// gort_detect_wait().
///
/// NULL on failure, with a status in `*err` unless `err` is NULL: `GORT_EBUSY`: as for gort_run(); `GORT_ENOMEM`. Else
/// `*err` is `GORT_OK`. Since 0.1.
///
/// # Safety
/// `err` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_detect_begin(err: *mut c_int) -> *mut gort_detect_t {
    let (handle, status) = match sched::detect(false) {
        Ok(detect) => (detect.cast(), OK),
        Err(why) => (null_mut(), refusal(why)),
    };
    if !err.is_null() {
        // SAFETY: the caller's promise.
        unsafe { err.write(status) };
    }
    handle
}

/// Wait until gort_detect_done() was called, there is a deadlock, or `deadline` has passed. For as long as it is in this
/// call the calling thread counts as one that waits for ever, whatever the deadline: what it does between two calls is
/// not taken for something that could let a goroutine go on. (A signal handler of a host language could; such a
/// program is told of a deadlock where there is none.) Between two calls nothing is a deadlock.
///
/// Blocks the calling thread. A deadlock is reported again by each further call for as long as it lasts, and as it was
/// for gort_run() the report is written to `dump_fd` (negative: nowhere).
///
/// `GORT_OK`: gort_detect_done() was called; `GORT_ETIMEDOUT`; `GORT_EDEADLK`; `GORT_EBUSY`: another thread is in this
/// call; `GORT_EPERM`: the caller is a goroutine; `GORT_EINVAL`: `d` is NULL, or gort_detect_end() was called. Since 0.1.
///
/// # Safety
/// `d` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_detect_wait(d: *mut gort_detect_t, deadline: i64, dump_fd: c_int) -> c_int {
    if d.is_null() {
        return EINVAL;
    }
    if !current_goroutine().is_null() {
        return EPERM;
    }
    // SAFETY: the caller's promise.
    status(unsafe { Detect::wait(core(d), deadline) }, dump_fd)
}

/// What gort_detect_wait() waits for has happened: it returns `GORT_OK`, now or when it is next called. Does nothing
/// after gort_detect_end(), so a goroutine that was left in a deadlock may call it however late. NULL does nothing.
///
/// Does not block. Since 0.1.
///
/// # Safety
/// `d` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_detect_done(d: *mut gort_detect_t) {
    if !d.is_null() {
        // SAFETY: the caller's promise.
        unsafe { Detect::done(core(d)) };
    }
}

/// Look for deadlocks no more: gort_main(), gort_run() and gort_detect_begin() can be called again. It does nothing if
/// that was done already.
///
/// Does not block, and gives up no reference.
///
/// `GORT_OK`; `GORT_EBUSY`: a thread is in gort_detect_wait(), and nothing was done; `GORT_EINVAL`: `d` is NULL.
/// Since 0.1.
///
/// # Safety
/// `d` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_detect_end(d: *mut gort_detect_t) -> c_int {
    if d.is_null() {
        return EINVAL;
    }
    // SAFETY: the caller's promise.
    if unsafe { Detect::end(core(d)) } { OK } else { EBUSY }
}

/// Add a reference and return `d`; NULL returns NULL.
///
/// Does not block. The caller owns the new reference, and gives it up with gort_detect_release(). Since 0.1.
///
/// # Safety
/// `d` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_detect_retain(d: *mut gort_detect_t) -> *mut gort_detect_t {
    if !d.is_null() {
        // SAFETY: the caller's promise.
        unsafe { Detect::retain(core(d)) };
    }
    d
}

/// Give up a reference; the last one does what gort_detect_end() does. NULL does nothing.
///
/// Does not block. Since 0.1.
///
/// # Safety
/// `d` is NULL or a reference that the caller owns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_detect_release(d: *mut gort_detect_t) {
    if !d.is_null() {
        // SAFETY: the caller's promise.
        unsafe { Detect::release(core(d)) };
    }
}

fn status(waited: Waited, dump_fd: c_int) -> c_int {
    match waited {
        Waited::Done => OK,
        Waited::TimedOut => ETIMEDOUT,
        Waited::Busy => EBUSY,
        Waited::Ended => EINVAL,
        Waited::Deadlock(goroutines) => {
            if dump_fd >= 0 {
                deadlock::write_report(dump_fd, goroutines);
            }
            EDEADLK
        }
    }
}

fn refusal(why: CannotBegin) -> c_int {
    match why {
        CannotBegin::Busy => EBUSY,
        CannotBegin::NoMemory => ENOMEM,
    }
}
