//! What must still be done for a call that is in the middle of running a function of the user's if that function
//! ends the goroutine: `gort_exit` unwinds nothing, so it works off this list instead.
//!
//! The one thing to know: a [`Cleanup`] is a record in the frame of the call, linked into its goroutine's list
//! for just as long as the user's function runs. The frame is below all that `gort_exit` could overwrite. A
//! plain thread cannot exit so; there, push and pop do nothing.

use super::current_goroutine;
use super::goroutine::Goroutine;
use std::ptr::null_mut;

/// One thing to be done if the goroutine ends before [`Cleanup::pop`].
pub(crate) struct Cleanup {
    next: *mut Cleanup,
    call: unsafe fn(*mut ()),
    arg: *mut (),
}

impl Cleanup {
    pub(crate) fn new(call: unsafe fn(*mut ()), arg: *mut ()) -> Self {
        Cleanup { next: null_mut(), call, arg }
    }

    /// # Safety
    /// `this` stays in place until its `pop`, which the same goroutine calls, last in, first out. Until then
    /// `call(arg)` may be called once, on the goroutine's own stack.
    pub(crate) unsafe fn push(this: *mut Cleanup) {
        let g = current_goroutine();
        if !g.is_null() {
            // SAFETY: the calling goroutine's own record, which nobody else looks at the list of.
            unsafe {
                (*this).next = (*g).cleanups;
                (*g).cleanups = this;
            }
        }
    }

    /// # Safety
    /// `this` was pushed by the caller and is the last that was.
    pub(crate) unsafe fn pop(this: *mut Cleanup) {
        let g = current_goroutine();
        if !g.is_null() {
            // SAFETY: as in `push`.
            unsafe {
                debug_assert!(std::ptr::eq((*g).cleanups, this));
                (*g).cleanups = (*this).next;
            }
        }
    }
}

/// The goroutine `g` ends: do what is still to be done, the last pushed first.
///
/// # Safety
/// `g` is the calling goroutine, and returns to none of its frames any more.
#[inline]
pub(super) unsafe fn run_all(g: *mut Goroutine) {
    // SAFETY: listed records are in frames of `g`'s stack that were not left. Each is taken off before its
    // call, so that it is done once.
    unsafe {
        while !(*g).cleanups.is_null() {
            let Cleanup { next, call, arg } = (*g).cleanups.read();
            (*g).cleanups = next;
            call(arg);
        }
    }
}
