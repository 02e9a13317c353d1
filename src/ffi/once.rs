//! Once: a value in the caller's memory, ready when zeroed.
//!
//! The one thing to know: see `sync.rs`.

use super::goroutine::gort_fn_t;
use super::sync::null;
use crate::sync::Once;
use std::ffi::c_void;

/// Runs a function once, whoever comes first, as Go's `sync.Once`. Ready when zeroed (`= {0}`), needs no
/// destroy, must not be copied after first use. Since 0.1.
#[repr(C)]
pub struct gort_once_t {
    /// not for users
    _opaque: [u64; 2],
}

const _: () = assert!(size_of::<gort_once_t>() == 16 && align_of::<gort_once_t>() == 8);
const _: () = assert!(size_of::<Once>() <= 16 && align_of::<Once>() <= 8);

/// Calls `fn(arg)` if this is the first call for `o`, whatever `fn` and `arg` others give; else waits until the
/// first call's function has ended. When it returns, that function has ended and what it did is seen. A
/// function that ends its goroutine with `gort_exit` has ended too, and is not run again. A function that calls
/// gort_once_do for the same `o` waits for itself, for ever.
///
/// Blocks while another's function runs. `o` and `arg` stay yours. NULL for `o` or `fn` is a fatal error. Since
/// 0.1.
///
/// # Safety
/// `o` is NULL, or a zeroed or used once that no one frees before its function has ended, or while a call that
/// came later may be made; `fn_` may be called with `arg`, and no C++ exception leaves it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_once_do(o: *mut gort_once_t, fn_: gort_fn_t, arg: *mut c_void) {
    // SAFETY: the caller's promise; the core's type fits (above), and all zero bytes are a valid one.
    let Some(once) = (unsafe { o.cast::<Once>().as_ref() }) else { null("gort_once_do", "once") };
    let Some(function) = fn_ else { null("gort_once_do", "fn") };
    // SAFETY: the caller's promise; nothing of the object is used after `run`.
    unsafe { once.run(|| function(arg)) };
}
