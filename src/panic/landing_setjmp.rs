//! Calling a function so that one can land behind the call, by the C library's `_setjmp`: every architecture
//! that has no call of its own here, and x86-64 with the feature `corosensei-switch`.
//!
//! The one thing to know: the compiler is not told that `_setjmp` returns twice (Rust has no way to), so the
//! function that calls it does nothing that could go wrong for it. It is never inlined, changes no variable of
//! its own between the two returns, needs none after the second but its own return address, and its frame
//! stays as it is, since the call in between is not its last act.
//!
//! A C++ exception that leaves the function is not recognised here: the C++ runtime finds no handler and calls
//! `std::terminate`.

use crate::sched::Body;
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;

/// A goroutine's stack goes over into that of its worker, for the unwinder: it needs a landing at its root.
pub(super) const STACKS_END: bool = false;

/// More than the `jmp_buf` of any architecture that Linux runs on.
#[repr(C, align(16))]
struct Buffer(MaybeUninit<[u8; 1024]>);

unsafe extern "C" {
    fn _setjmp(buffer: *mut Buffer) -> c_int;
    fn _longjmp(buffer: *const Buffer, value: c_int) -> !;
}

/// Where a landing is.
#[repr(C)]
pub(super) struct Place {
    /// In the frame of `call`.
    mark: usize,
    buffer: *const Buffer,
}

impl Place {
    pub(super) const fn nowhere() -> Place {
        Place { mark: 0, buffer: std::ptr::null() }
    }

    /// As for x86-64. The frame of `call` itself may be left too: there is nothing to clean up in it.
    pub(super) fn reached(&self, cfa: usize) -> bool {
        cfa > self.mark
    }
}

/// Call `call(arg)`. Returns when it has returned, or after a [`land`].
///
/// # Safety
/// `place` is live and stays in place; `call(arg)` may be called.
#[inline(never)]
pub(super) unsafe extern "C" fn call(place: *mut Place, call: Body, arg: *mut c_void) {
    let mut buffer = Buffer(MaybeUninit::uninit());
    // SAFETY: `place` is live, and the buffer while this function has not returned, which is as long as one may
    // land here; see above for the second return.
    unsafe {
        (*place).mark = (&raw const buffer).addr();
        (*place).buffer = &raw const buffer;
        if _setjmp(&raw mut buffer) == 0 {
            call(arg);
        }
        // Takes the address of the buffer, so the frame is there until here.
        std::arch::asm!("/* {0} */", in(reg) &raw mut buffer);
    }
}

/// Go on behind the [`call`] that has `place`, on the same stack. The frames of what it called are abandoned.
///
/// # Safety
/// That call has not returned, and the caller is on its stack, deeper.
pub(super) unsafe fn land(place: *const Place) -> ! {
    // SAFETY: the caller's promise.
    unsafe { _longjmp((*place).buffer, 1) }
}
