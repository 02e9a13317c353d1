//! The calling thread's own backtrace, by the unwinder of the system (libgcc).

use std::ffi::{c_int, c_void};

/// At most so many frames are kept, as Go does.
pub(crate) const DEPTH: usize = 100;

/// `_Unwind_Context`: what the unwinder knows of one frame.
pub(crate) type Context = c_void;

/// `_URC_NO_REASON`: go on. Any other number ends the walk.
pub(crate) const NO_REASON: c_int = 0;
const END: c_int = 5;

// Not "C-unwind": in a crate that aborts on panics that would guard the caller with a landing pad that aborts.
unsafe extern "C" {
    fn _Unwind_Backtrace(
        trace: unsafe extern "C" fn(*mut Context, *mut c_void) -> c_int,
        arg: *mut c_void,
    ) -> c_int;
    /// The stack pointer at a frame: for the unwinder, the CFA of the frame below it.
    pub(crate) fn _Unwind_GetCFA(context: *mut Context) -> usize;
    fn _Unwind_GetIP(context: *mut Context) -> usize;
    fn _Unwind_FindEnclosingFunction(address: *mut c_void) -> *mut c_void;
}

/// The address of the function that `address` returns to; 0 if it is in no known one.
pub(crate) fn enclosing_function(address: usize) -> usize {
    // The call before it may be the last instruction of its function.
    // SAFETY: any address may be asked for.
    unsafe { _Unwind_FindEnclosingFunction(address.wrapping_sub(1) as *mut c_void) }.addr()
}

/// The return addresses of the frames that are above the address `below` on the calling stack, innermost first.
pub(crate) struct Backtrace {
    addresses: [usize; DEPTH],
    len: usize,
    below: usize,
}

impl Backtrace {
    /// Allocates nothing; the unwinder may take the loader's lock.
    #[inline(never)]
    pub(crate) fn of_caller(below: usize) -> Backtrace {
        let mut trace = Backtrace { addresses: [0; DEPTH], len: 0, below };
        // SAFETY: the callback gets the trace that is live during the call.
        unsafe { _Unwind_Backtrace(note, (&raw mut trace).cast()) };
        trace
    }

    pub(crate) fn addresses(&self) -> &[usize] {
        &self.addresses[..self.len]
    }
}

/// # Safety
/// Called by `_Unwind_Backtrace` in `of_caller` only.
unsafe extern "C" fn note(context: *mut Context, trace: *mut c_void) -> c_int {
    // SAFETY: the caller's trace and the unwinder's context.
    unsafe {
        let trace = &mut *trace.cast::<Backtrace>();
        let address = _Unwind_GetIP(context);
        if _Unwind_GetCFA(context) <= trace.below || address == 0 {
            return NO_REASON;
        }
        if trace.len == DEPTH {
            return END;
        }
        trace.addresses[trace.len] = address;
        trace.len += 1;
    }
    NO_REASON
}
