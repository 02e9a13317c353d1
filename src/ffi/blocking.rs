//! Calls that may block.
//!
//! The one thing to know: nothing in this frame needs to be dropped, since what the user's function raises leaves it.

use crate::sched;
use std::ffi::c_void;
use std::ptr::null_mut;

/// Calls `fn(arg)` on an OS thread's own stack, of the usual size, where it may block in any way: in system calls, in
/// other libraries, on locks that are not gort's. Returns what it returns. Other goroutines go on: the caller's worker
/// gives its place to another thread, and takes one again when `fn` has returned.
///
/// Blocks until `fn` has returned. In `fn`, gort_in_goroutine() is false, and all of gort may be called as on any
/// thread: what would park blocks the thread. A locked or pinned goroutine's `fn` runs on that goroutine's thread.
/// errno is not carried out of it. A panic in `fn` continues in the caller; gort_exit() in it is a fatal error, as on
/// any thread; the child of a fork() in it ends, with status 0, when `fn` returns. `arg` and the result are yours. On a
/// plain thread `fn` is simply called. NULL if `fn` is NULL. Since 0.1.
///
/// # Safety
/// `fn_` may be called with `arg`, on another stack; no C++ exception leaves it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_blocking(
    fn_: Option<unsafe extern "C" fn(arg: *mut c_void) -> *mut c_void>,
    arg: *mut c_void,
) -> *mut c_void {
    let Some(function) = fn_ else { return null_mut() };
    let here = 0_u8;
    // SAFETY: the caller's promise; nothing in this frame needs to be dropped.
    unsafe { sched::blocking(function, arg, (&raw const here).addr()) }
}
