//! poll and ppoll.
//!
//! The one thing to know: libc's `poll` fills in the answer, always; it is asked without waiting, before the first
//! wait and after each. One fd is waited for as it is, several by means of a set.

use crate::call::{Call, FOREVER, Wait};
use crate::errno::{answer, outcome};
use crate::set::Set;
use crate::{real, runtime};
use core::ffi::c_int;
use libc::{nfds_t, pollfd, sigset_t, timespec};

/// All events that `gort_wait_fd` takes. The kernel ignores others.
const KNOWN: c_int = 0x23ff;

pub(crate) unsafe extern "C" fn poll(fds: *mut pollfd, count: nfds_t, time_out: c_int) -> c_int {
    // SAFETY: what the program gave us.
    let really = || unsafe { real::poll()(fds, count, time_out) };
    if time_out == 0 {
        return really();
    }
    let limit = if time_out < 0 { FOREVER } else { i64::from(time_out) * 1_000_000 };
    // SAFETY: as above.
    unsafe { poll_with(fds, count, limit, really) }
}

pub(crate) unsafe extern "C" fn ppoll(
    fds: *mut pollfd,
    count: nfds_t,
    time_out: *const timespec,
    mask: *const sigset_t,
) -> c_int {
    // SAFETY: what the program gave us.
    let really = || unsafe { real::ppoll()(fds, count, time_out, mask) };
    // SAFETY: null, or what the program gave us.
    let limit = match unsafe { time_out.as_ref() } {
        None => FOREVER,
        Some(time) => nanoseconds(time).unwrap_or(0),
    };
    // Who gives a mask waits for a signal on this thread.
    if limit == 0 || !mask.is_null() {
        return really();
    }
    // SAFETY: as above.
    unsafe { poll_with(fds, count, limit, really) }
}

/// `None`: that is no time.
pub(crate) fn nanoseconds(time: &timespec) -> Option<i64> {
    let valid = time.tv_sec >= 0 && (0..1_000_000_000).contains(&time.tv_nsec);
    valid.then(|| time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec))
}

/// `limit`: for how long, more than 0. `really`: the call as it came.
///
/// # Safety
/// As poll.
unsafe fn poll_with(fds: *mut pollfd, count: nfds_t, limit: i64, really: impl Fn() -> c_int) -> c_int {
    let mut call = Call::new(-1);
    let before = call.errno;
    // SAFETY: the caller's promise.
    let look = || outcome(unsafe { real::poll()(fds, count, 0) } as isize);
    let first = look();
    if first != Ok(0) {
        return answer(first, before) as c_int;
    }
    if !runtime::may_park() {
        return really();
    }
    // SAFETY: the caller's promise; poll has read and written all of it.
    let all =
        unsafe { core::slice::from_raw_parts(if count == 0 { [].as_ptr() } else { fds }, count as usize) };
    let asked = || all.iter().filter(|one| one.fd >= 0);
    let deadline = if limit == FOREVER { FOREVER } else { (call.calls.now)().saturating_add(limit) };
    call.pin();

    let result = match asked().count() {
        0 => {
            (call.calls.sleep)(limit);
            Ok(0)
        }
        1 => {
            let one = asked().next().copied().unwrap_or(pollfd { fd: -1, events: 0, revents: 0 });
            call.until(one.fd, deadline);
            loop {
                match call.wait(c_int::from(one.events) & KNOWN, 0) {
                    Wait::Ready(_) => match look() {
                        Ok(0) => {}
                        ready => break ready,
                    },
                    Wait::TimedOut => break look(),
                    Wait::Impossible => break outcome(really() as isize),
                }
            }
        }
        _ => {
            let events = |one: &pollfd| u32::from(one.events as u16);
            let set = Set::new().filter(|set| {
                asked().all(|one| {
                    let of_same = asked().filter(|other| other.fd == one.fd);
                    set.add(one.fd, events(one), || of_same.map(events).fold(0, |sum, more| sum | more))
                })
            });
            loop {
                match set.as_ref().map_or(Wait::Impossible, |set| set.wait(call.calls, deadline)) {
                    Wait::Ready(_) => match look() {
                        Ok(0) => {}
                        ready => break ready,
                    },
                    Wait::TimedOut => break look(),
                    Wait::Impossible => break outcome(really() as isize),
                }
            }
        }
    };
    drop(call);
    answer(result, before) as c_int
}
