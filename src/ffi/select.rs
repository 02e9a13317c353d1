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
    // SAFETY: the caller's promise; `sort_of` has looked.
    unsafe {
        let selected = match sort_of(cases, n) {
            Sort::Invalid => return EINVAL,
            Sort::Usual => chan::select(cases.cast(), n, FOREVER),
            Sort::Discards => chan::select_dropping(cases.cast(), n, FOREVER),
        };
        report(cases, selected)
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
    // SAFETY: the caller's promise; `sort_of` has looked.
    unsafe {
        let selected = match sort_of(cases, n) {
            Sort::Invalid => return EINVAL,
            Sort::Usual => chan::try_select(cases.cast(), n),
            Sort::Discards => chan::try_select_dropping(cases.cast(), n),
        };
        report(cases, selected)
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
    // SAFETY: the caller's promise; `sort_of` has looked.
    unsafe {
        let selected = match sort_of(cases, n) {
            Sort::Invalid => return EINVAL,
            Sort::Usual => chan::select(cases.cast(), n, deadline),
            Sort::Discards => chan::select_dropping(cases.cast(), n, deadline),
        };
        report(cases, selected)
    }
}

/// What kind of cases these are.
#[derive(PartialEq, Eq)]
pub(super) enum Sort {
    /// The core must not see them.
    Invalid,
    Usual,
    /// Some receive has no memory for its element.
    Discards,
}

/// # Safety
/// As for `gort_select`.
#[inline(always)]
pub(super) unsafe fn sort_of(cases: *const gort_case_t, n: usize) -> Sort {
    if n > MAX_CASES || (n != 0 && cases.is_null()) {
        return Sort::Invalid;
    }
    let mut sort = Sort::Usual;
    for index in 0..n {
        // SAFETY: in range; the channel is live if it is not NULL.
        let invalid = unsafe {
            let case = &*cases.add(index);
            match case.op {
                GORT_RECV => {
                    if case.elem.is_null() {
                        sort = Sort::Discards;
                    }
                    false
                }
                GORT_SEND => {
                    case.elem.is_null()
                        && !case.chan.is_null()
                        && Chan::elem_size(case.chan.cast::<Chan>()) != 0
                }
                _ => true,
            }
        };
        if invalid {
            return Sort::Invalid;
        }
    }
    sort
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

#[cfg(test)]
mod tests {
    use super::super::chan::{gort_chan_close, gort_chan_new, gort_chan_release, gort_chan_send};
    use super::super::status::{ECLOSED, OK};
    use super::*;
    use std::ptr::null_mut;

    const UNSET: c_int = 4321;

    fn case(chan: *mut gort_chan_t, elem: *mut u32, op: c_int) -> gort_case_t {
        gort_case_t { chan, elem: elem.cast(), op, status: UNSET }
    }

    /// All three forms, which must refuse alike.
    fn refused(cases: *mut gort_case_t, n: usize) -> bool {
        // SAFETY: what is tested is that bad cases are not used.
        let results = unsafe {
            [gort_select(cases, n), gort_try_select(cases, n), gort_select_until(cases, n, FOREVER)]
        };
        results == [EINVAL; 3]
    }

    #[test]
    fn bad_arguments_are_refused_and_change_nothing() {
        let ch = gort_chan_new(4, 1);
        let (mut from, mut to) = (1, 2);
        let (from, to) = (&raw mut from, &raw mut to);
        assert!(refused(null_mut(), 1));
        for op in [0, 3, -1, c_int::MAX] {
            // Before anything else: though another case is ready, and this one has no channel.
            assert!(refused([case(ch, from, GORT_SEND), case(null_mut(), to, op)].as_mut_ptr(), 2));
        }
        assert!(refused([case(ch, from, GORT_SEND), case(ch, null_mut(), GORT_SEND)].as_mut_ptr(), 2));
        let mut cases = vec![case(ch, from, GORT_SEND); MAX_CASES + 1];
        assert!(refused(cases.as_mut_ptr(), cases.len()));
        assert!(refused(cases.as_mut_ptr(), usize::MAX));
        assert!(cases.iter().all(|case| case.status == UNSET));
        // SAFETY: live cases of a live channel, which was never sent to.
        unsafe {
            assert_eq!(gort_try_select(cases.as_mut_ptr(), MAX_CASES) & !0xffff, 0);
            assert_eq!(cases.iter().filter(|case| case.status != UNSET).count(), 1);
            gort_chan_release(ch);
        }
    }

    #[test]
    fn the_chosen_case_alone_gets_a_status() {
        let mut value = 5;
        let value = &raw mut value;
        // SAFETY: live channels of elements of 4 bytes.
        unsafe {
            let (a, b) = (gort_chan_new(4, 1), gort_chan_new(4, 1));
            let mut cases = [
                case(a, value, GORT_RECV),
                case(null_mut(), null_mut(), GORT_SEND),
                case(b, null_mut(), GORT_RECV),
            ];
            assert_eq!(gort_try_select(cases.as_mut_ptr(), 3), EAGAIN);
            assert_eq!(gort_select_until(cases.as_mut_ptr(), 3, 0), ETIMEDOUT);
            assert_eq!(
                (gort_try_select(null_mut(), 0), gort_select_until(null_mut(), 0, 1)),
                (EAGAIN, ETIMEDOUT)
            );
            assert_eq!(cases.map(|case| case.status), [UNSET; 3]);
            assert_eq!(gort_chan_send(b, value.cast()), OK);
            assert_eq!(gort_select(cases.as_mut_ptr(), 3), 2);
            assert_eq!(cases.map(|case| case.status), [UNSET, UNSET, OK]);
            gort_chan_close(a);
            assert_eq!(gort_select(cases.as_mut_ptr(), 2), 0);
            assert_eq!(cases.map(|case| case.status), [ECLOSED, UNSET, OK]);
            assert_eq!(*value, 0);
            gort_chan_release(a);
            gort_chan_release(b);
        }
    }
}
