//! What `libgort_preload.so` calls of gort. This file is part of both libraries (`bindings/preload` includes it).
//!
//! The one thing to know: the two may be of different versions, since one is named in `LD_PRELOAD` and the other
//! is what the program was linked to. So the table begins with its size: a table of another size is not used.

use core::ffi::{c_int, c_void};

/// The functions, each as in `gort.h`.
#[repr(C)]
pub(crate) struct Calls {
    pub(crate) size: usize,
    /// `gort_in_goroutine`. Its address tells which code is gort's.
    pub(crate) in_goroutine: extern "C" fn() -> bool,
    pub(crate) pin_thread: extern "C" fn(),
    pub(crate) unpin_thread: extern "C" fn(),
    pub(crate) now: extern "C" fn() -> i64,
    pub(crate) sleep: extern "C" fn(i64),
    pub(crate) wait_fd: extern "C" fn(c_int, c_int, i64) -> c_int,
    /// The argument is a `gort_mutex_t`: 16 bytes, 0 at first.
    pub(crate) mutex_lock: unsafe extern "C" fn(*mut c_void),
    pub(crate) mutex_unlock: unsafe extern "C" fn(*mut c_void),
}

/// The function of `libgort_preload.so` that is given the table when the runtime starts, before there is any
/// goroutine. The table stays.
pub(crate) type Attach = unsafe extern "C" fn(*const c_void);
