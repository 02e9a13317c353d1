//! Read-write mutexes: values in the caller's memory, ready when zeroed.
//!
//! The one thing to know: see `sync.rs`.

use super::status::{EAGAIN, EINVAL, ETIMEDOUT, OK};
use super::sync::null;
use crate::sync::RwMutex;
use std::ffi::c_int;

/// A mutex that many may hold at once for reading, or one for writing, as Go's `sync.RWMutex`. Ready when zeroed
/// (`= {0}`), needs no destroy, must not be copied after first use. Not recursive, not even for reading, and not
/// bound to who locked it. A waiting writer holds off new readers; when a writer unlocks it, all readers that
/// wait by then get it before the next writer.
///
/// Who holds it for writing may free the memory as soon as its own unlock has returned, though another's unlock
/// or runlock, which made room for it, has not yet. Since 0.1.
#[repr(C)]
pub struct gort_rwmutex_t {
    /// not for users
    _opaque: [u64; 2],
}

const _: () = assert!(size_of::<gort_rwmutex_t>() == 16 && align_of::<gort_rwmutex_t>() == 8);
const _: () = assert!(size_of::<RwMutex>() <= 16 && align_of::<RwMutex>() <= 8);

/// `None` for NULL.
///
/// # Safety
/// `rw` is NULL or a read-write mutex that stays in place for as long as the reference is used.
#[inline]
unsafe fn rwmutex<'a>(rw: *mut gort_rwmutex_t) -> Option<&'a RwMutex> {
    // SAFETY: the caller's promise; the core's type fits (above), and all zero bytes are a valid one.
    unsafe { rw.cast::<RwMutex>().as_ref() }
}

/// Locks `rw` for writing, and waits until nobody else holds it. From the moment it waits, no new reader gets in.
///
/// Blocks. `rw` stays yours. NULL is a fatal error. Since 0.1.
///
/// # Safety
/// `rw` is NULL, or a zeroed or used read-write mutex that no one frees during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_rwmutex_lock(rw: *mut gort_rwmutex_t) {
    // SAFETY: the caller's promise.
    match unsafe { rwmutex(rw) } {
        Some(rwmutex) => rwmutex.lock(),
        None => null("gort_rwmutex_lock", "rwmutex"),
    }
}

/// Locks `rw` for writing if nobody holds it.
///
/// Does not block. `rw` stays yours. Returns `GORT_OK` if the caller holds it now; `GORT_EAGAIN` if others do;
/// `GORT_EINVAL` if `rw` is NULL. Since 0.1.
///
/// # Safety
/// As for `gort_rwmutex_lock`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_rwmutex_try_lock(rw: *mut gort_rwmutex_t) -> c_int {
    // SAFETY: the caller's promise.
    match unsafe { rwmutex(rw) } {
        Some(rwmutex) if rwmutex.try_lock() => OK,
        Some(_) => EAGAIN,
        None => EINVAL,
    }
}

/// Locks `rw` for writing, and waits until that is possible or `deadline` (on `gort_now()`) has passed. It tries
/// before it looks at the deadline. If the deadline passes, the readers that it held off get in.
///
/// Blocks. `rw` stays yours. Returns `GORT_OK` if the caller holds it now, which may be just past the deadline;
/// `GORT_ETIMEDOUT` if not; `GORT_EINVAL` if `rw` is NULL. Since 0.1.
///
/// # Safety
/// As for `gort_rwmutex_lock`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_rwmutex_lock_until(rw: *mut gort_rwmutex_t, deadline: i64) -> c_int {
    // SAFETY: the caller's promise.
    match unsafe { rwmutex(rw) } {
        Some(rwmutex) if rwmutex.lock_until(deadline) => OK,
        Some(_) => ETIMEDOUT,
        None => EINVAL,
    }
}

/// Unlocks `rw`, which somebody holds for writing. What was done before it is seen by whoever locks it next, for
/// reading too. All readers that wait get it; if there are none, the writer that has waited longest.
///
/// Does not block. `rw` stays yours, but another who locks it may free it before this call has returned. NULL is
/// a fatal error, and so is one that is not locked for writing ("sync: Unlock of unlocked RWMutex"). Since 0.1.
///
/// # Safety
/// `rw` is NULL, or a read-write mutex that is locked for writing and that no one frees before it was unlocked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_rwmutex_unlock(rw: *mut gort_rwmutex_t) {
    // SAFETY: the caller's promise; nothing of the mutex is used after `unlock`.
    unsafe {
        match rwmutex(rw) {
            Some(rwmutex) => rwmutex.unlock(),
            None => null("gort_rwmutex_unlock", "rwmutex"),
        }
    }
}

/// Locks `rw` for reading, and waits while a writer holds it or waits for it. So it may not be called by one who
/// holds it for reading already: a writer that came in between makes both wait for ever.
///
/// Blocks. `rw` stays yours. NULL is a fatal error; so is a reader beyond 4294967295. Since 0.1.
///
/// # Safety
/// As for `gort_rwmutex_lock`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_rwmutex_rlock(rw: *mut gort_rwmutex_t) {
    // SAFETY: the caller's promise.
    match unsafe { rwmutex(rw) } {
        Some(rwmutex) => rwmutex.rlock(),
        None => null("gort_rwmutex_rlock", "rwmutex"),
    }
}

/// Locks `rw` for reading if no writer holds it or waits for it.
///
/// Does not block. `rw` stays yours. Returns `GORT_OK` if the caller holds it now; `GORT_EAGAIN` if a writer
/// holds it or waits; `GORT_EINVAL` if `rw` is NULL. Since 0.1.
///
/// # Safety
/// As for `gort_rwmutex_lock`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_rwmutex_try_rlock(rw: *mut gort_rwmutex_t) -> c_int {
    // SAFETY: the caller's promise.
    match unsafe { rwmutex(rw) } {
        Some(rwmutex) if rwmutex.try_rlock() => OK,
        Some(_) => EAGAIN,
        None => EINVAL,
    }
}

/// Locks `rw` for reading, and waits until that is possible or `deadline` (on `gort_now()`) has passed. It tries
/// before it looks at the deadline.
///
/// Blocks. `rw` stays yours. Returns `GORT_OK` if the caller holds it now, which may be just past the deadline;
/// `GORT_ETIMEDOUT` if not; `GORT_EINVAL` if `rw` is NULL. Since 0.1.
///
/// # Safety
/// As for `gort_rwmutex_lock`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_rwmutex_rlock_until(rw: *mut gort_rwmutex_t, deadline: i64) -> c_int {
    // SAFETY: the caller's promise.
    match unsafe { rwmutex(rw) } {
        Some(rwmutex) if rwmutex.rlock_until(deadline) => OK,
        Some(_) => ETIMEDOUT,
        None => EINVAL,
    }
}

/// Gives up one `gort_rwmutex_rlock` of `rw`. What was done before it is seen by whoever locks it for writing
/// next.
///
/// Does not block. `rw` stays yours, but a writer that locks it may free it before this call has returned. NULL
/// is a fatal error, and so is one that is not locked for reading ("sync: RUnlock of unlocked RWMutex"). Since
/// 0.1.
///
/// # Safety
/// `rw` is NULL, or a read-write mutex that is locked for reading and that no one frees before it was unlocked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_rwmutex_runlock(rw: *mut gort_rwmutex_t) {
    // SAFETY: the caller's promise; nothing of the mutex is used after `runlock`.
    unsafe {
        match rwmutex(rw) {
            Some(rwmutex) => rwmutex.runlock(),
            None => null("gort_rwmutex_runlock", "rwmutex"),
        }
    }
}
