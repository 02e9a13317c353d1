//! Python code on behalf of C code: with the GIL, whoever calls.
//!
//! The one thing to know: what the C library calls back (the drop of an element, for one) may run on any thread,
//! and in a goroutine that is not of the Python lane. Such a goroutine must not change its thread while a thread
//! state of Python is attached to that thread, and no other goroutine must find that state there: it has the thread to
//! itself for as long.

use crate::gort;
use crate::raw::*;

/// Run `body` with the GIL held: straight away if it is; else taking it, which may block. Not at all once the
/// interpreter is going down: then nobody is left to whom it would matter.
pub(crate) fn with_gil(body: impl FnOnce()) {
    // SAFETY: asks about the caller's thread; in a goroutine of the lane, about its own thread state.
    if unsafe { PyGILState_Check() } != 0 {
        body();
        return;
    }
    if finalizing() {
        return;
    }
    // SAFETY: the GIL is let go on the thread on which it was taken: a goroutine is locked to it meanwhile.
    unsafe {
        let locked = gort::gort_in_goroutine();
        if locked {
            gort::gort_lock_thread();
        }
        let state = PyGILState_Ensure();
        body();
        PyGILState_Release(state);
        if locked {
            gort::gort_unlock_thread();
        }
    }
}

#[cfg(not(Py_3_13))]
unsafe extern "C" {
    /// Under this name, exported and declared, in all versions before 3.13.
    fn _Py_IsFinalizing() -> std::ffi::c_int;
}

/// Whether the interpreter is going down, or has gone.
pub(crate) fn finalizing() -> bool {
    // SAFETY: both may be called at any time, with or without the GIL.
    unsafe {
        #[cfg(Py_3_13)]
        let ending = Py_IsFinalizing();
        #[cfg(not(Py_3_13))]
        let ending = _Py_IsFinalizing();
        ending != 0 || Py_IsInitialized() == 0
    }
}
