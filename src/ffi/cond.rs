//! Condition variables: values in the caller's memory, ready when zeroed.
//!
//! The one thing to know: see `sync.rs`.

use super::status::{EINVAL, ETIMEDOUT, OK};
use super::sync::{gort_mutex_t, null};
use crate::sync::{Cond, Mutex};
use std::ffi::c_int;

/// Lets those who hold a mutex wait until something that it guards has changed, as Go's `sync.Cond`. Ready when
/// zeroed (`= {0}`), needs no destroy, must not be copied after first use. The mutex is named at each wait.
///
/// A waiter is woken by a signal or a broadcast and by nothing else. But others may lock the mutex between the
/// signal and the waiter's return, so waits stand in a loop that looks at the condition.
///
/// The memory may be freed once all waits have returned, though the signal or broadcast that ended them has not
/// yet. Since 0.1.
#[repr(C)]
pub struct gort_cond_t {
    /// not for users
    _opaque: [u64; 2],
}

const _: () = assert!(size_of::<gort_cond_t>() == 16 && align_of::<gort_cond_t>() == 8);
const _: () = assert!(size_of::<Cond>() <= 16 && align_of::<Cond>() <= 8);

/// `None` for NULL.
///
/// # Safety
/// `c` is NULL or a condition variable that stays in place for as long as the reference is used.
#[inline]
unsafe fn cond<'a>(c: *mut gort_cond_t) -> Option<&'a Cond> {
    // SAFETY: the caller's promise; the core's type fits (above), and all zero bytes are a valid one.
    unsafe { c.cast::<Cond>().as_ref() }
}

/// As `cond`.
///
/// # Safety
/// `m` is NULL or a mutex that stays in place for as long as the reference is used.
#[inline]
unsafe fn mutex<'a>(m: *mut gort_mutex_t) -> Option<&'a Mutex> {
    // SAFETY: as in `cond`.
    unsafe { m.cast::<Mutex>().as_ref() }
}

/// Unlocks `m`, which the caller has locked, and waits for a signal or a broadcast on `c`, all in one step: one
/// that comes once the mutex is unlocked finds the caller waiting. Locks `m` again before it returns.
///
/// Blocks. `c` and `m` stay yours. NULL is a fatal error, and so is a mutex that is not locked ("sync: unlock of
/// unlocked mutex"). Since 0.1.
///
/// # Safety
/// `c` is NULL, or a zeroed or used condition variable that no one frees during the call; `m` is NULL, or a
/// locked mutex that no one frees during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_cond_wait(c: *mut gort_cond_t, m: *mut gort_mutex_t) {
    // SAFETY: the caller's promise.
    unsafe {
        match (cond(c), mutex(m)) {
            (Some(cond), Some(mutex)) => cond.wait(mutex),
            (None, _) => null("gort_cond_wait", "cond"),
            (_, None) => null("gort_cond_wait", "mutex"),
        }
    }
}

/// As `gort_cond_wait`, but waits no longer than until `deadline` (on `gort_now()`) has passed. The mutex is
/// locked again in either case, for which the caller may have to wait beyond the deadline. With a deadline that
/// is past when it is called, the mutex stays locked all the while.
///
/// Blocks. `c` and `m` stay yours. Returns `GORT_OK` if a signal or broadcast woke the caller, which may be
/// just past the deadline: a signal that is told so is consumed, none is lost; `GORT_ETIMEDOUT` if the deadline
/// passed first; `GORT_EINVAL` if `c` or `m` is NULL. An unlocked mutex is a fatal error as for
/// `gort_cond_wait`. Since 0.1.
///
/// # Safety
/// As for `gort_cond_wait`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_cond_wait_until(
    c: *mut gort_cond_t,
    m: *mut gort_mutex_t,
    deadline: i64,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        match (cond(c), mutex(m)) {
            (Some(cond), Some(mutex)) if cond.wait_until(mutex, deadline) => OK,
            (Some(_), Some(_)) => ETIMEDOUT,
            _ => EINVAL,
        }
    }
}

/// Wakes the one that has waited on `c` the longest; if nobody waits, nothing happens. The caller may hold the
/// mutex or not.
///
/// Does not block. `c` stays yours; the last waiter may free it before this call has returned. NULL is a fatal
/// error. Since 0.1.
///
/// # Safety
/// `c` is NULL, or a zeroed or used condition variable that no one frees before all waits for it have returned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_cond_signal(c: *mut gort_cond_t) {
    // SAFETY: the caller's promise; nothing of the object is used after `signal`.
    unsafe {
        match cond(c) {
            Some(cond) => {
                cond.signal();
            }
            None => null("gort_cond_signal", "cond"),
        }
    }
}

/// Wakes all who wait on `c`. The caller may hold the mutex or not.
///
/// Does not block. `c` stays yours; the last waiter may free it before this call has returned. NULL is a fatal
/// error. Since 0.1.
///
/// # Safety
/// As for `gort_cond_signal`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_cond_broadcast(c: *mut gort_cond_t) {
    // SAFETY: the caller's promise; nothing of the object is used after `broadcast`.
    unsafe {
        match cond(c) {
            Some(cond) => cond.broadcast(),
            None => null("gort_cond_broadcast", "cond"),
        }
    }
}
