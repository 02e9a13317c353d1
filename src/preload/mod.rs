//! Telling `libgort_preload.so` of us, where it is loaded (`bindings/preload`, `docs/preload.md`).
//!
//! The one thing to know: it stands before libc's `read`, `poll` and so on, and calls us when a goroutine would
//! block in one. We tell it where we are, at the start of the runtime, so that it need not look for us at each of
//! these calls. Our own calls of them go past it: it knows our code by its address.

mod calls;

use crate::ffi::goroutine::{gort_in_goroutine, gort_pin_thread, gort_sleep, gort_unpin_thread};
use crate::ffi::{fd, runtime, sync};
use crate::loaded;
use calls::{Attach, Calls};
use std::ffi::c_void;

static CALLS: Calls = Calls {
    size: size_of::<Calls>(),
    in_goroutine: gort_in_goroutine,
    pin_thread: gort_pin_thread,
    unpin_thread: gort_unpin_thread,
    now: runtime::gort_now,
    sleep: gort_sleep,
    wait_fd: fd::gort_wait_fd,
    mutex_lock,
    mutex_unlock,
};

/// The runtime is about to start; there are no goroutines yet.
pub(crate) fn attach() {
    let found = loaded::symbol(c"gort_preload_attach");
    if found.is_null() {
        return;
    }
    // SAFETY: nobody else has a function of this name, which is of this type; the table is a static.
    unsafe {
        let attach = std::mem::transmute::<*mut c_void, Attach>(found);
        attach((&raw const CALLS).cast());
    }
}

unsafe extern "C" fn mutex_lock(mutex: *mut c_void) {
    // SAFETY: the caller's mutex.
    unsafe { sync::gort_mutex_lock(mutex.cast()) };
}

unsafe extern "C" fn mutex_unlock(mutex: *mut c_void) {
    // SAFETY: the caller's mutex.
    unsafe { sync::gort_mutex_unlock(mutex.cast()) };
}
