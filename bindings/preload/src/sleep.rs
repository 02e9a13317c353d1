//! Sleeping.
//!
//! The one thing to know: no signal ever ends a goroutine's sleep, as workers block them all. So nothing is ever left
//! over.

use crate::call::Call;
use crate::errno::set_errno;
use crate::poll::nanoseconds;
use crate::{real, runtime};
use core::ffi::{c_int, c_uint};
use libc::{clockid_t, timespec, useconds_t};

/// How often the time of day is looked at by who waits for one: it may be set.
const LOOK: i64 = 1_000_000_000;

pub(crate) unsafe extern "C" fn nanosleep(time: *const timespec, left: *mut timespec) -> c_int {
    // SAFETY: null, or what the program gave us.
    match unsafe { time.as_ref() }.and_then(nanoseconds) {
        Some(limit) if rest(limit) => 0,
        // SAFETY: what the program gave us.
        _ => unsafe { real::nanosleep()(time, left) },
    }
}

pub(crate) unsafe extern "C" fn usleep(microseconds: useconds_t) -> c_int {
    if rest(i64::from(microseconds) * 1000) {
        return 0;
    }
    // SAFETY: no memory is concerned.
    unsafe { real::usleep()(microseconds) }
}

pub(crate) unsafe extern "C" fn sleep(seconds: c_uint) -> c_uint {
    if rest(i64::from(seconds) * 1_000_000_000) {
        return 0;
    }
    // SAFETY: no memory is concerned.
    unsafe { real::sleep()(seconds) }
}

pub(crate) unsafe extern "C" fn clock_nanosleep(
    clock: clockid_t,
    flags: c_int,
    time: *const timespec,
    left: *mut timespec,
) -> c_int {
    // SAFETY: null, or what the program gave us.
    let limit = unsafe { time.as_ref() }.and_then(nanoseconds);
    let slept = match (clock, flags, limit) {
        (libc::CLOCK_REALTIME | libc::CLOCK_MONOTONIC, 0, Some(limit)) => rest(limit),
        // gort's clock.
        (libc::CLOCK_MONOTONIC, libc::TIMER_ABSTIME, Some(until)) => {
            rest(until.saturating_sub((runtime::calls().now)()))
        }
        (libc::CLOCK_REALTIME, libc::TIMER_ABSTIME, Some(until)) => rest_until(until),
        _ => false,
    };
    if slept {
        return 0;
    }
    // SAFETY: what the program gave us.
    unsafe { real::clock_nanosleep()(clock, flags, time, left) }
}

/// Sleep for so many nanoseconds. False: not here.
fn rest(limit: i64) -> bool {
    if !runtime::may_park() {
        return false;
    }
    let mut call = Call::new(-1);
    let before = call.errno;
    call.pin();
    (call.calls.sleep)(limit);
    drop(call);
    set_errno(before);
    true
}

/// Sleep until the time of day is `until`.
fn rest_until(until: i64) -> bool {
    loop {
        let mut time = timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: a place for the answer.
        unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &mut time) };
        let left = until.saturating_sub(nanoseconds(&time).unwrap_or(i64::MAX));
        if left <= 0 {
            return true;
        }
        if !rest(left.min(LOOK)) {
            return false;
        }
    }
}
