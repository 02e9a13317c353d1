//! Select: choose one of several channel operations, as in Go.

use super::chan::{gort_chan_t, status};
use super::status::{EAGAIN, EINVAL, ENOMEM, ETIMEDOUT};
use crate::chan::{self, Case, Chan, MAX_CASES, Op, Selected};
use crate::primitive::FOREVER;
use std::ffi::{c_int, c_void};
use std::mem::offset_of;

/// As `op` of a case: send the element at `elem`.
pub const GORT_SEND: c_int = 1;
/// As `op` of a case: receive an element into `elem`.
pub const GORT_RECV: c_int = 2;

/// One case of a select.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct gort_case_t {
    /// The channel; NULL: this case is never ready.
    pub chan: *mut gort_chan_t,
    /// `GORT_SEND`: read from, NULL only if elements have size 0. `GORT_RECV`: written to, NULL drops the
    /// element. Untouched unless this case is chosen.
    pub elem: *mut c_void,
    /// `GORT_SEND` or `GORT_RECV`.
    pub op: c_int,
    /// Set in the chosen case: `GORT_OK`, or `GORT_ECLOSED` (to send: nothing was sent; to receive: the channel
    /// is closed and drained, and the element was zeroed).
    pub status: c_int,
}

// The core reads the cases as they lie.
const _: () = {
    assert!(size_of::<gort_case_t>() == size_of::<Case>());
    assert!(offset_of!(gort_case_t, chan) == offset_of!(Case, chan));
    assert!(offset_of!(gort_case_t, elem) == offset_of!(Case, elem));
    assert!(offset_of!(gort_case_t, op) == offset_of!(Case, op));
    assert!(offset_of!(gort_case_t, status) == offset_of!(Case, status));
    assert!(GORT_SEND == Op::Send as c_int && GORT_RECV == Op::Recv as c_int);
};

/// Wait until one of `n` cases can be carried out, carry out exactly that one, set its `status` and return its
/// index. Among several that are ready one is chosen with equal odds. A channel may stand in several cases, to
/// send and to receive; a select never meets itself. A case whose channel is closed is ready.
///
/// Blocks; with no cases, or none that has a channel, for ever. Cases, elements and channels stay the caller's.
///
/// The index, 0 or more; `GORT_EINVAL`: more than 65536 cases, `cases` is NULL and `n` is not 0, an `op` that
/// is neither `GORT_SEND` nor `GORT_RECV`, or nothing to send; `GORT_ENOMEM`: no memory for that many cases (up
/// to 8 need none). Since 0.1.
///
/// # Safety
/// `cases` is NULL or points to `n` cases; their channels are NULL or live, and each `elem` is NULL or readable
/// (`GORT_SEND`) or writable (`GORT_RECV`) for an element.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_select(cases: *mut gort_case_t, n: usize) -> c_int {
    // SAFETY: the caller's promise; `invalid` has looked.
    unsafe {
        if invalid(cases, n) {
            return EINVAL;
        }
        report(cases, chan::select(cases.cast(), n, FOREVER))
    }
}

/// As `gort_select` if a case can be carried out at once. All cases are judged at one instant: if at every
/// moment some case is ready, this never says `GORT_EAGAIN`.
///
/// Does not block. Cases, elements and channels stay the caller's.
///
/// The index, 0 or more; `GORT_EAGAIN`: no case is ready (the `default` branch of Go); `GORT_EINVAL` and
/// `GORT_ENOMEM` as for `gort_select`. Since 0.1.
///
/// # Safety
/// As for `gort_select`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_try_select(cases: *mut gort_case_t, n: usize) -> c_int {
    // SAFETY: the caller's promise; `invalid` has looked.
    unsafe {
        if invalid(cases, n) {
            return EINVAL;
        }
        report(cases, chan::try_select(cases.cast(), n))
    }
}

/// As `gort_select`, but wait until `deadline` at the most. A deadline in the past: try, and do not wait.
///
/// Blocks; with no cases, or none that has a channel, until the deadline. Cases, elements and channels stay the
/// caller's.
///
/// The index, 0 or more; `GORT_ETIMEDOUT`: the deadline passed, and no case was carried out; `GORT_EINVAL` and
/// `GORT_ENOMEM` as for `gort_select`. Since 0.1.
///
/// # Safety
/// As for `gort_select`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_select_until(cases: *mut gort_case_t, n: usize, deadline: i64) -> c_int {
    // SAFETY: the caller's promise; `invalid` has looked.
    unsafe {
        if invalid(cases, n) {
            return EINVAL;
        }
        report(cases, chan::select(cases.cast(), n, deadline))
    }
}

/// Are these cases that the core must not see?
///
/// # Safety
/// As for `gort_select`.
#[inline(always)]
unsafe fn invalid(cases: *const gort_case_t, n: usize) -> bool {
    if n > MAX_CASES || (n != 0 && cases.is_null()) {
        return true;
    }
    (0..n).any(|index| {
        // SAFETY: in range; the channel is live if it is not NULL.
        unsafe {
            let case = &*cases.add(index);
            match case.op {
                GORT_RECV => false,
                GORT_SEND => {
                    case.elem.is_null()
                        && !case.chan.is_null()
                        && Chan::elem_size(case.chan.cast::<Chan>()) != 0
                }
                _ => true,
            }
        }
    })
}

/// # Safety
/// `selected` is the core's answer for `cases`.
#[inline(always)]
unsafe fn report(cases: *mut gort_case_t, selected: Selected) -> c_int {
    match selected {
        Selected::Case(index, outcome) => {
            // SAFETY: the index is that of a case.
            unsafe { (*cases.add(index)).status = status(outcome) };
            // At most 65535.
            index as c_int
        }
        Selected::NotReady => EAGAIN,
        Selected::TimedOut => ETIMEDOUT,
        Selected::NoMemory => ENOMEM,
    }
}
