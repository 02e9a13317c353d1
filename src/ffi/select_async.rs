//! Select for event loops: a function is called when a case has been carried out.

use super::select::{Sort, gort_case_t, sort_of};
use super::status::{EAGAIN, ECANCELED, ECLOSED, EINVAL, ENOMEM, OK};
use crate::chan::{self, Async, Done, Progress};
use std::ffi::{c_int, c_void};
use std::ptr::null_mut;

/// A select that was started by gort_select_async(). A handle: reference counted by gort_async_retain() and
/// gort_async_release().
#[derive(Debug)]
pub struct gort_async_t {
    _opaque: [u8; 0],
}

/// The function that gort_select_async() calls when a case has been carried out.
pub type gort_async_fn_t = Option<unsafe extern "C" fn(arg: *mut c_void)>;

const _: () = assert!(chan::STATUS_DONE == OK && chan::STATUS_CLOSED == ECLOSED);

fn core(a: *mut gort_async_t) -> *mut Async {
    a.cast()
}

/// Start a select as gort_select() is, and return: `done(arg)` is called when one of its cases has been carried out and
/// has its `status`; gort_async_result() says which. For event loops, whose thread must not wait here: `done` tells the
/// loop. It stands in the channels' queues as a goroutine would, first come, first served.
///
/// Does not block. `done` is called exactly once, unless gort_async_cancel() says true: on the thread and stack of
/// whoever carries the case out (before this returns if a case is ready at once), with no lock held. It may call what
/// does not block, and gort_async_release() too; it must not wait, panic, or need much stack. A select that is pending
/// keeps no deadlock (see gort_main()) from being one: it does nothing by itself, as a thread that waits in gort for ever.
///
/// Cases and elements stay the caller's, and in place until `done` was called or gort_async_cancel() has said true.
/// A channel is kept in memory until then, but not by a reference: if nobody else holds one, nobody can complete this.
/// The caller owns the one reference to what is returned, and gives it up with gort_async_release().
///
/// NULL on failure, with a status in `*err` unless `err` is NULL: `GORT_EINVAL`: as for gort_select(), or `done` is NULL;
/// `GORT_ENOMEM`: no memory. Else `*err` is `GORT_OK`. Since 0.1.
///
/// # Safety
/// As for `gort_select`, until then; `done` may be called with `arg` on any thread. `err` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_select_async(
    cases: *mut gort_case_t,
    n: usize,
    done: gort_async_fn_t,
    arg: *mut c_void,
    err: *mut c_int,
) -> *mut gort_async_t {
    let tell = |status| {
        if !err.is_null() {
            // SAFETY: the caller's promise.
            unsafe { err.write(status) };
        }
    };
    // SAFETY: the caller's promise.
    let done = match done {
        Some(call) if unsafe { sort_of(cases, n) } != Sort::Invalid => Done { call, arg },
        _ => {
            tell(EINVAL);
            return null_mut();
        }
    };
    // Before `done`, which may end the life of `err`.
    tell(OK);
    // SAFETY: the caller's promise; the cases have been looked at.
    match unsafe { chan::select_async(cases.cast(), n, done) } {
        Some(this) => this.cast(),
        None => {
            tell(ENOMEM);
            null_mut()
        }
    }
}

/// Which case was carried out.
///
/// Does not block.
///
/// The index, 0 or more; `GORT_EAGAIN`: none yet; `GORT_ECANCELED`: none, it was cancelled; `GORT_EINVAL`: `a` is NULL.
/// Since 0.1.
///
/// # Safety
/// `a` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_async_result(a: *mut gort_async_t) -> c_int {
    if a.is_null() {
        return EINVAL;
    }
    // SAFETY: the caller's promise.
    match unsafe { Async::progress(core(a)) } {
        // At most 65535.
        Progress::Chosen(index) => index as c_int,
        Progress::Pending => EAGAIN,
        Progress::Cancelled => ECANCELED,
    }
}

/// Give the select up, unless a case is being or was carried out. True: none was or will be, nothing was transferred,
/// `done` is not called, and gort touches the cases and elements no more. False: one was, and `done` was or will be
/// called; or `a` is NULL. May be called more than once.
///
/// Does not block, and gives up no reference. Since 0.1.
///
/// # Safety
/// `a` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_async_cancel(a: *mut gort_async_t) -> bool {
    // SAFETY: the caller's promise.
    !a.is_null() && unsafe { Async::cancel(core(a)) }
}

/// Add a reference and return `a`; NULL returns NULL.
///
/// Does not block. The caller owns the new reference, and gives it up with gort_async_release(). Since 0.1.
///
/// # Safety
/// `a` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_async_retain(a: *mut gort_async_t) -> *mut gort_async_t {
    if !a.is_null() {
        // SAFETY: the caller's promise.
        unsafe { Async::retain(core(a)) };
    }
    a
}

/// Give up a reference. That cancels nothing: a select that is pending goes on, and calls `done`. NULL does nothing.
///
/// Does not block. Since 0.1.
///
/// # Safety
/// `a` is NULL or a reference that the caller owns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_async_release(a: *mut gort_async_t) {
    if !a.is_null() {
        // SAFETY: the caller's promise.
        unsafe { Async::release(core(a)) };
    }
}
