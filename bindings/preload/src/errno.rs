//! Results of system calls.
//!
//! The one thing to know: a call that succeeds leaves `errno` as it was when the program called, whatever was tried
//! in between. Programs exist that look.

use core::ffi::c_int;

/// What a system call said: a count, or an `errno`.
pub(crate) type Outcome = Result<usize, c_int>;

pub(crate) fn errno() -> c_int {
    // SAFETY: the calling thread's own, asked for anew each time. (A goroutine keeps its thread in our calls.)
    unsafe { *libc::__errno_location() }
}

pub(crate) fn set_errno(value: c_int) {
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = value };
}

/// The outcome of a call that returned `result`.
pub(crate) fn outcome(result: isize) -> Outcome {
    usize::try_from(result).map_err(|_| errno())
}

/// What our caller is to see. `before`: `errno` when it called.
pub(crate) fn answer(outcome: Outcome, before: c_int) -> isize {
    match outcome {
        Ok(n) => {
            set_errno(before);
            n as isize
        }
        Err(error) => {
            set_errno(error);
            -1
        }
    }
}
