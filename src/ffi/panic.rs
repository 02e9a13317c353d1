//! Panic, defer, recover, try.
//!
//! The one thing to know: none of these functions holds anything that must be dropped while a user's function
//! runs, since a panic or an exit leaves their frames without returning to them.

use super::goroutine::gort_fn_t;
use super::status::{EINVAL, ENOMEM, EPANIC, EPERM, OK};
use crate::panic::{self, NotHere, Recovered};
use std::ffi::{CStr, c_char, c_int, c_void};

/// Calls `fn(arg)` as Go calls a function: the calls that it defers with gort_defer() are run when it ends, the last
/// one first, however it ends. A panic in it that one of them recovers ends here; any other goes on, when they have
/// been run, and so does gort_exit().
///
/// Does not block by itself. `arg` stays yours. From a plain thread too. GORT_OK: `fn` has returned; GORT_EPANIC: a
/// panic was recovered; GORT_EINVAL: `fn` is NULL. Since 0.1.
///
/// # Safety
/// `fn_` may be called with `arg`; no C++ exception leaves it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_try(fn_: gort_fn_t, arg: *mut c_void) -> c_int {
    let Some(call) = fn_ else { return EINVAL };
    // SAFETY: the caller's promise; nothing in this frame needs to be dropped.
    match unsafe { panic::try_call(call, arg) } {
        Ok(()) => OK,
        Err(Recovered) => EPANIC,
    }
}

/// Has `fn(arg)` called when the innermost gort_try(), or else the goroutine, ends in any way: Go's `defer`, for a
/// function that gort_try() or the go statement has called, or for another deferred call. Deferred calls run in
/// reverse order, each as if called by gort_try(): it may block, defer calls of its own, panic, or exit.
///
/// Does not block. `arg` stays yours and must be valid until then; a pointer to a variable of the function that was
/// given to gort_try() is **not**, since its frame is gone by then. GORT_OK; GORT_EINVAL: `fn` is NULL; GORT_EPERM:
/// neither in a goroutine nor in gort_try(); GORT_ENOMEM. Since 0.1.
///
/// # Safety
/// `fn_` may be called with `arg` later, on this goroutine or thread; no C++ exception leaves it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_defer(fn_: gort_fn_t, arg: *mut c_void) -> c_int {
    let Some(call) = fn_ else { return EINVAL };
    // SAFETY: the caller's promise.
    match unsafe { panic::defer(call, arg) } {
        Ok(()) => OK,
        Err(NotHere::NoScope) => EPERM,
        Err(NotHere::NoMemory) => ENOMEM,
    }
}

/// Panics with `message`: Go's `panic`. Does not return. The frames up to the innermost gort_try(), or of the
/// goroutine, are unwound, and their C cleanups (`__attribute__((cleanup))`, compiled with `-fexceptions`) and C++
/// destructors are run; then the deferred calls, one of which may recover. If none does, it goes on to the next
/// gort_try(), and at last ends the process: `panic: <message>` and a backtrace on stderr, status 2.
///
/// Does not block. `message` stays yours and is copied; NULL is an empty one. From a plain thread too. A C++
/// `catch (...)` that does not end with `throw;` and a function that is `noexcept` end the process. Since 0.1.
///
/// # Safety
/// `message` is NULL or a text. The caller's frames can be unwound.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_panic(message: *const c_char) -> ! {
    let here = 0_u8;
    // SAFETY: the caller's promise; nothing in this frame needs to be dropped.
    unsafe {
        let text = if message.is_null() { c"" } else { CStr::from_ptr(message) };
        panic::raise_text(text.to_bytes(), (&raw const here).addr())
    }
}

/// In a deferred call, or a function that it calls: stops the panic that the call is run for, and returns its
/// message. The deferred calls that are left are run as if nothing had happened; then gort_try() returns
/// GORT_EPANIC, or the goroutine ends. NULL: there is no panic to stop: the function had returned or called
/// gort_exit(), the panic was stopped already, or the caller is within a gort_try() in the deferred call.
///
/// Does not block. The message is the library's, and valid until the deferred call returns. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn gort_recover() -> *const c_char {
    panic::recover()
}
