//! Semaphores: values in the caller's memory, ready when zeroed.
//!
//! The one thing to know: see `sync.rs`.

use super::status::{EAGAIN, EINVAL, ETIMEDOUT, OK};
use super::sync::null;
use crate::fatal::fatal;
use crate::sync::{MOST_PERMITS, Semaphore};
use std::ffi::c_int;

/// A number of permits, which are taken and given any number at a time, as Go's `semaphore.Weighted`. Zeroed
/// (`= {0}`) it has none; gort_sem_init sets another number. Needs no destroy, must not be copied after first
/// use. First come, first served: who wants few permits does not pass one who waits for many. At most 2^62 - 1
/// permits can be free at once.
///
/// Who has got its permits may free the memory, if no other call is to come, though the release that gave them
/// has not yet returned. Since 0.1.
#[repr(C)]
pub struct gort_sem_t {
    /// not for users
    _opaque: [u64; 2],
}

const _: () = assert!(size_of::<gort_sem_t>() == 16 && align_of::<gort_sem_t>() == 8);
const _: () = assert!(size_of::<Semaphore>() <= 16 && align_of::<Semaphore>() <= 8);

/// `None` for NULL.
///
/// # Safety
/// `s` is NULL or a semaphore that stays in place for as long as the reference is used.
#[inline]
unsafe fn sem<'a>(s: *mut gort_sem_t) -> Option<&'a Semaphore> {
    // SAFETY: the caller's promise; the core's type fits (above), and all zero bytes are a valid one.
    unsafe { s.cast::<Semaphore>().as_ref() }
}

/// Makes `s`, in whatever state its memory is, a semaphore with `permits` free permits. To be called before
/// anybody else uses it.
///
/// Does not block. `s` stays yours. NULL is a fatal error; so are less than 0 or more than 2^62 - 1 permits.
/// Since 0.1.
///
/// # Safety
/// `s` is NULL, or points to 16 writable bytes, aligned to 8, that nobody uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_sem_init(s: *mut gort_sem_t, permits: i64) {
    if s.is_null() {
        null("gort_sem_init", "sem");
    }
    if !(0..=MOST_PERMITS).contains(&permits) {
        fatal(format_args!("gort_sem_init: {permits} permits; at least 0 and at most 2^62 - 1 are possible"));
    }
    // SAFETY: the caller's promise; the core's type fits (above).
    unsafe {
        s.write(gort_sem_t { _opaque: [0; 2] });
        s.cast::<Semaphore>().write(Semaphore::new(permits));
    }
}

/// Takes `n` permits of `s`, and waits until there are so many and nobody waits who came before.
///
/// Blocks. `s` stays yours. Returns `GORT_OK`; `GORT_EINVAL` if `s` is NULL or `n` is less than 1. Since 0.1.
///
/// # Safety
/// `s` is NULL, or a zeroed or used semaphore that no one frees during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_sem_acquire(s: *mut gort_sem_t, n: i64) -> c_int {
    // SAFETY: the caller's promise.
    match unsafe { sem(s) } {
        Some(sem) if n >= 1 => sem.acquire(n),
        _ => return EINVAL,
    }
    OK
}

/// Takes `n` permits of `s` if there are so many and nobody waits.
///
/// Does not block. `s` stays yours. Returns `GORT_OK`; `GORT_EAGAIN` if there are fewer, or somebody waits;
/// `GORT_EINVAL` if `s` is NULL or `n` is less than 1. Since 0.1.
///
/// # Safety
/// As for `gort_sem_acquire`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_sem_try_acquire(s: *mut gort_sem_t, n: i64) -> c_int {
    // SAFETY: the caller's promise.
    match unsafe { sem(s) } {
        Some(sem) if n >= 1 => {
            if sem.try_acquire(n) {
                OK
            } else {
                EAGAIN
            }
        }
        _ => EINVAL,
    }
}

/// Takes `n` permits of `s`, and waits until that is possible or `deadline` (on `gort_now()`) has passed. It
/// tries before it looks at the deadline. If the deadline passes, those who waited behind it get what permits
/// there are.
///
/// Blocks. `s` stays yours. Returns `GORT_OK` if the caller has the permits, which may be just past the deadline;
/// `GORT_ETIMEDOUT` if not, and then none; `GORT_EINVAL` if `s` is NULL or `n` is less than 1. Since 0.1.
///
/// # Safety
/// As for `gort_sem_acquire`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_sem_acquire_until(s: *mut gort_sem_t, n: i64, deadline: i64) -> c_int {
    // SAFETY: the caller's promise.
    match unsafe { sem(s) } {
        Some(sem) if n >= 1 => {
            if sem.acquire_until(n, deadline) {
                OK
            } else {
                ETIMEDOUT
            }
        }
        _ => EINVAL,
    }
}

/// Gives `n` permits to `s`, whoever took them and whether anybody did: there may be more than at the start.
/// Those who wait get them, in their order. What was done before it is seen by who gets them.
///
/// Does not block. `s` stays yours, but who gets the permits may free it before this call has returned. NULL is
/// a fatal error; so is an `n` less than 1, and one that would make more than 2^62 - 1 permits free ("sync: too
/// many permits in a semaphore"). Since 0.1.
///
/// # Safety
/// `s` is NULL, or a zeroed or used semaphore that no one frees before the permits are given.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_sem_release(s: *mut gort_sem_t, n: i64) {
    // SAFETY: the caller's promise; nothing of the semaphore is used after `release`.
    unsafe {
        match sem(s) {
            Some(sem) if n >= 1 => sem.release(n),
            Some(_) => fatal(format_args!("gort_sem_release: {n} permits; at least 1 is possible")),
            None => null("gort_sem_release", "sem"),
        }
    }
}
