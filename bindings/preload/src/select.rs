//! select and pselect.
//!
//! The one thing to know: as in `poll.rs`, libc's function fills in the answer, asked without waiting. It writes
//! over the sets it is given, so it gets copies, and the program's are written when there is an answer. Sets of
//! more than `FD_SETSIZE` fds, which C libraries do not have, are left to libc.

use crate::call::{Call, FOREVER, Wait};
use crate::errno::{Outcome, answer, outcome};
use crate::poll::nanoseconds;
use crate::set::Set;
use crate::{real, runtime};
use core::ffi::c_int;
use libc::{fd_set, sigset_t, timespec, timeval};

const WORDS: usize = libc::FD_SETSIZE / 64;

/// For reading, for writing, with something exceptional; and what epoll calls that.
type Three<T> = [T; 3];
const EVENTS: Three<c_int> = [
    libc::EPOLLIN | libc::EPOLLRDNORM | libc::EPOLLRDBAND,
    libc::EPOLLOUT | libc::EPOLLWRNORM | libc::EPOLLWRBAND,
    libc::EPOLLPRI,
];

pub(crate) unsafe extern "C" fn select(
    count: c_int,
    reading: *mut fd_set,
    writing: *mut fd_set,
    exceptional: *mut fd_set,
    time_out: *mut timeval,
) -> c_int {
    // SAFETY: what the program gave us.
    let really = || unsafe { real::select()(count, reading, writing, exceptional, time_out) };
    // SAFETY: null, or what the program gave us.
    let limit = match unsafe { time_out.as_ref() } {
        None => Some(FOREVER),
        Some(time) => (time.tv_sec >= 0 && time.tv_usec >= 0).then(|| {
            time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_usec.saturating_mul(1000))
        }),
    };
    let Some(limit) = limit.filter(|&limit| limit > 0) else { return really() };
    // Linux says how much time is left.
    let left = |nanoseconds: i64| {
        if !time_out.is_null() {
            let time =
                timeval { tv_sec: nanoseconds / 1_000_000_000, tv_usec: nanoseconds % 1_000_000_000 / 1000 };
            // SAFETY: as above.
            unsafe { time_out.write(time) };
        }
    };
    // SAFETY: as above.
    unsafe { select_with(count, [reading, writing, exceptional], limit, really, left) }
}

pub(crate) unsafe extern "C" fn pselect(
    count: c_int,
    reading: *mut fd_set,
    writing: *mut fd_set,
    exceptional: *mut fd_set,
    time_out: *const timespec,
    mask: *const sigset_t,
) -> c_int {
    // SAFETY: what the program gave us.
    let really = || unsafe { real::pselect()(count, reading, writing, exceptional, time_out, mask) };
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
    unsafe { select_with(count, [reading, writing, exceptional], limit, really, |_| {}) }
}

/// `limit`: for how long, more than 0. `really`: the call as it came. `left`: told how much of `limit` is left.
///
/// # Safety
/// As select.
unsafe fn select_with(
    count: c_int,
    sets: Three<*mut fd_set>,
    limit: i64,
    really: impl Fn() -> c_int,
    left: impl Fn(i64),
) -> c_int {
    if !(0..=libc::FD_SETSIZE as c_int).contains(&count) {
        return really();
    }
    let mut call = Call::new(-1);
    let before = call.errno;
    let began = (call.calls.now)();
    let words = (count as usize).div_ceil(64);
    let mut asked: Three<[u64; WORDS]> = [[0; WORDS]; 3];
    for (bits, set) in asked.iter_mut().zip(sets) {
        if !set.is_null() {
            // SAFETY: the caller's promise: as many bits as `count` says, in whole words.
            bits[..words].copy_from_slice(unsafe { core::slice::from_raw_parts(set.cast(), words) });
        }
    }
    // The answer, without waiting; the program's sets are as they were if it is "none".
    let look = || -> Outcome {
        let mut answers = asked;
        let at = |i: usize, answers: &mut Three<[u64; WORDS]>| -> *mut fd_set {
            if sets[i].is_null() { core::ptr::null_mut() } else { answers[i].as_mut_ptr().cast() }
        };
        let places = [at(0, &mut answers), at(1, &mut answers), at(2, &mut answers)];
        let mut no_time = timeval { tv_sec: 0, tv_usec: 0 };
        // SAFETY: our sets are as large as can be.
        let result =
            outcome(unsafe { real::select()(count, places[0], places[1], places[2], &mut no_time) as isize });
        if result.is_ok_and(|n| n != 0) {
            write(sets, &answers, words);
        }
        result
    };
    let none = || {
        write(sets, &[[0; WORDS]; 3], words);
        Ok(0)
    };

    let mut result = look();
    if result == Ok(0) {
        if !runtime::may_park() {
            return really();
        }
        call.pin();
        let deadline = if limit == FOREVER { FOREVER } else { began.saturating_add(limit) };
        let set = Set::new().filter(|set| add_all(set, &asked, count));
        while result == Ok(0) {
            match set.as_ref().map_or(Wait::Impossible, |set| set.wait(call.calls, deadline)) {
                Wait::Ready(_) => result = look(),
                Wait::TimedOut => {
                    result = look();
                    if result == Ok(0) {
                        result = none();
                        break;
                    }
                }
                Wait::Impossible => {
                    result = outcome(really() as isize);
                    drop(call);
                    return answer(result, before) as c_int;
                }
            }
        }
    }
    if result.is_ok() {
        left(limit.saturating_sub((call.calls.now)() - began).max(0));
    }
    drop(call);
    answer(result, before) as c_int
}

/// Into the program's sets.
fn write(sets: Three<*mut fd_set>, bits: &Three<[u64; WORDS]>, words: usize) {
    for (bits, set) in bits.iter().zip(sets) {
        if !set.is_null() {
            // SAFETY: the program's, of which the words are in use.
            unsafe { core::ptr::copy_nonoverlapping(bits.as_ptr(), set.cast(), words) };
        }
    }
}

/// Everything that is asked for, into an epoll set. False: that cannot be.
fn add_all(set: &Set, asked: &Three<[u64; WORDS]>, count: c_int) -> bool {
    (0..count).all(|fd| {
        let (word, bit) = (fd as usize / 64, 1 << (fd % 64));
        let events = asked
            .iter()
            .zip(EVENTS)
            .fold(0, |sum, (bits, events)| if bits[word] & bit != 0 { sum | events } else { sum });
        events == 0 || set.add(fd, events as u32, || events as u32)
    })
}
