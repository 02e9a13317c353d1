//! The thread that asks: how much stack it has, and that nobody ends it meanwhile.
//!
//! The one thing to know: a report opens, reads and writes files, which are points of cancellation. A thread that was
//! told to end (`pthread_cancel`) would end there, with locks held and all other threads stopped.

use std::ffi::c_int;
use std::ops::Range;
use std::ptr::null_mut;

/// So much stack a report may take.
const ROOM: usize = 128 << 10;

unsafe extern "C" {
    fn pthread_setcancelstate(state: c_int, old: *mut c_int) -> c_int;
}

const PTHREAD_CANCEL_DISABLE: c_int = 1;

/// Call `f`; until it returns, this thread is not cancelled.
pub(super) fn uncancelled<R>(f: impl FnOnce() -> R) -> R {
    struct Back(c_int);
    impl Drop for Back {
        fn drop(&mut self) {
            // SAFETY: a state that was in force; nobody asks for the other.
            unsafe { pthread_setcancelstate(self.0, null_mut()) };
        }
    }
    let mut before = 0;
    // SAFETY: a live place.
    unsafe { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &mut before) };
    let _back = Back(before);
    f()
}

/// Is there little left of the calling thread's own stack? False also if it is on another.
pub(super) fn has_little_stack() -> bool {
    let here = 0u8;
    let below = stack_below((&raw const here).addr());
    !below.is_empty() && below.len() < ROOM
}

/// What lies below `sp` on the calling thread's stack, if it is on that stack.
pub(super) fn stack_below(sp: usize) -> Range<usize> {
    let mut low = 0;
    let mut size = 0;
    // SAFETY: live structures; the attributes are those of this thread.
    unsafe {
        let mut attr = std::mem::zeroed::<libc::pthread_attr_t>();
        if libc::pthread_getattr_np(libc::pthread_self(), &mut attr) == 0 {
            let mut start = null_mut();
            if libc::pthread_attr_getstack(&attr, &mut start, &mut size) == 0 {
                low = start.addr();
            }
            libc::pthread_attr_destroy(&mut attr);
        }
    }
    if (low..low + size).contains(&sp) { low..sp } else { 0..0 }
}
