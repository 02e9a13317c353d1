//! Mutexes and wait groups: values in the caller's memory, ready when zeroed.
//!
//! The one thing to know: `gort_mutex_t` and `gort_waitgroup_t` are what C sees, two words without meaning; a
//! pointer to one is cast to the core's type, which fits into it. They are aligned to 8 because `u64` is (checked
//! below): cbindgen makes a struct with an `align` of its own opaque, unless told of a macro for it.

use super::goroutine::gort_fn_t;
use super::status::{EAGAIN, EINVAL, ENOMEM, ETIMEDOUT, OK};
use crate::fatal::fatal;
use crate::sched::{self, AtEnd, Spawn};
use crate::sync::{Mutex, WaitGroup};
use std::ffi::{c_int, c_void};

/// A mutex, as Go's `sync.Mutex`. Ready when zeroed (`= {0}`), needs no destroy, must not be copied after first
/// use. Not recursive, and not bound to who locked it: another goroutine or thread may unlock it. Waiters are
/// served roughly in order: one that has waited for 1 ms gets it next.
///
/// Once a call has locked it, the unlock that made this possible touches it no more: who holds it last may free
/// the memory as soon as its own unlock has returned, though another's unlock has not yet. Since 0.1.
#[repr(C)]
pub struct gort_mutex_t {
    _opaque: [u64; 2],
}

/// Counts what is not yet done and lets others wait for it, as Go's `sync.WaitGroup`. Ready when zeroed
/// (`= {0}`), needs no destroy, must not be copied after first use. A call that may raise the counter from zero
/// must have returned before the waits for it begin. It may be used again once the waits have returned.
///
/// When a wait has returned, no `gort_waitgroup_done` touches it any more: its memory may be freed at once,
/// though the call that made the counter zero has not yet returned. Since 0.1.
#[repr(C)]
pub struct gort_waitgroup_t {
    _opaque: [u64; 2],
}

const _: () = assert!(size_of::<gort_mutex_t>() == 16 && align_of::<gort_mutex_t>() == 8);
const _: () = assert!(size_of::<Mutex>() <= 16 && align_of::<Mutex>() <= 8);
const _: () = assert!(size_of::<gort_waitgroup_t>() == 16 && align_of::<gort_waitgroup_t>() == 8);
const _: () = assert!(size_of::<WaitGroup>() <= 16 && align_of::<WaitGroup>() <= 8);

/// `None` for NULL.
///
/// # Safety
/// `m` is NULL or a mutex that stays in place for as long as the reference is used.
#[inline]
unsafe fn mutex<'a>(m: *mut gort_mutex_t) -> Option<&'a Mutex> {
    // SAFETY: the caller's promise; the core's type fits (above), and all zero bytes are a valid one.
    unsafe { m.cast::<Mutex>().as_ref() }
}

/// `None` for NULL.
///
/// # Safety
/// `wg` is NULL or a wait group that stays in place for as long as the reference is used.
#[inline]
unsafe fn group<'a>(wg: *mut gort_waitgroup_t) -> Option<&'a WaitGroup> {
    // SAFETY: as in `mutex`.
    unsafe { wg.cast::<WaitGroup>().as_ref() }
}

#[cold]
pub(super) fn null(function: &str, what: &str) -> ! {
    fatal(format_args!("{function}: {what} is NULL"))
}

/// Locks `m`, and waits until that is possible.
///
/// Blocks. `m` stays yours. NULL is a fatal error. Locking a mutex that the caller holds already blocks for
/// ever. Since 0.1.
///
/// # Safety
/// `m` is NULL, or a zeroed or used mutex that no one frees during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_mutex_lock(m: *mut gort_mutex_t) {
    // SAFETY: the caller's promise.
    match unsafe { mutex(m) } {
        Some(mutex) => mutex.lock(),
        None => null("gort_mutex_lock", "mutex"),
    }
}

/// Locks `m` if nobody holds it.
///
/// Does not block. `m` stays yours. Returns `GORT_OK` if the caller holds it now; `GORT_EAGAIN` if somebody else
/// does; `GORT_EINVAL` if `m` is NULL. Since 0.1.
///
/// # Safety
/// As for `gort_mutex_lock`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_mutex_try_lock(m: *mut gort_mutex_t) -> c_int {
    // SAFETY: the caller's promise.
    match unsafe { mutex(m) } {
        Some(mutex) if mutex.try_lock() => OK,
        Some(_) => EAGAIN,
        None => EINVAL,
    }
}

/// Locks `m`, and waits until that is possible or `deadline` (on `gort_now()`) has passed. It tries before it
/// looks at the deadline, so one in the past makes it a `gort_mutex_try_lock`.
///
/// Blocks. `m` stays yours. Returns `GORT_OK` if the caller holds it now, which may be just past the deadline;
/// `GORT_ETIMEDOUT` if not; `GORT_EINVAL` if `m` is NULL. Since 0.1.
///
/// # Safety
/// As for `gort_mutex_lock`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_mutex_lock_until(m: *mut gort_mutex_t, deadline: i64) -> c_int {
    // SAFETY: the caller's promise.
    match unsafe { mutex(m) } {
        Some(mutex) if mutex.lock_until(deadline) => OK,
        Some(_) => ETIMEDOUT,
        None => EINVAL,
    }
}

/// Unlocks `m`. What was done before it is seen by whoever locks it next.
///
/// Does not block. `m` stays yours, but another who locks it may free it before this call has returned. NULL is
/// a fatal error, and so is a mutex that is not locked ("sync: unlock of unlocked mutex"). Since 0.1.
///
/// # Safety
/// `m` is NULL, or a mutex that is locked and that no one frees before it was unlocked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_mutex_unlock(m: *mut gort_mutex_t) {
    // SAFETY: the caller's promise; nothing of the mutex is used after `unlock`.
    unsafe {
        match mutex(m) {
            Some(mutex) => mutex.unlock(),
            None => null("gort_mutex_unlock", "mutex"),
        }
    }
}

/// Adds `delta`, which may be negative, to the counter of `wg`. If that makes it zero, all who wait go on.
///
/// Does not block. `wg` stays yours; if the counter becomes zero, a waiter may free it before this call has
/// returned. NULL is a fatal error. A counter below zero is a panic ("sync: negative WaitGroup counter"); so is
/// one above 2147483647 ("sync: WaitGroup counter overflow"). Since 0.1.
///
/// # Safety
/// `wg` is NULL, or a zeroed or used wait group that no one frees before the call has changed the counter.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_waitgroup_add(wg: *mut gort_waitgroup_t, delta: i64) {
    // SAFETY: the caller's promise; nothing of the wait group is used after `add`.
    unsafe {
        match group(wg) {
            Some(group) => group.add(delta),
            None => null("gort_waitgroup_add", "wait group"),
        }
    }
}

/// Takes one from the counter of `wg`: `gort_waitgroup_add` of -1. What was done before it is seen by whoever
/// has waited.
///
/// Does not block. `wg` stays yours; if the counter becomes zero, a waiter may free it before this call has
/// returned. NULL is a fatal error. A counter below zero is a panic ("sync: negative WaitGroup counter").
/// Since 0.1.
///
/// # Safety
/// As for `gort_waitgroup_add`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_waitgroup_done(wg: *mut gort_waitgroup_t) {
    // SAFETY: the caller's promise; nothing of the wait group is used after `done`.
    unsafe {
        match group(wg) {
            Some(group) => group.done(),
            None => null("gort_waitgroup_done", "wait group"),
        }
    }
}

/// Waits until the counter of `wg` is zero.
///
/// Blocks. `wg` stays yours, and may be freed or used again as soon as all waits have returned. NULL is a fatal
/// error. Since 0.1.
///
/// # Safety
/// `wg` is NULL, or a zeroed or used wait group that no one frees while its counter is above zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_waitgroup_wait(wg: *mut gort_waitgroup_t) {
    // SAFETY: the caller's promise.
    match unsafe { group(wg) } {
        Some(group) => group.wait(),
        None => null("gort_waitgroup_wait", "wait group"),
    }
}

/// Waits until the counter of `wg` is zero or `deadline` (on `gort_now()`) has passed. It looks at the counter
/// before it looks at the deadline.
///
/// Blocks. `wg` stays yours. Returns `GORT_OK` if the counter was zero; `GORT_ETIMEDOUT` if the deadline passed
/// first; `GORT_EINVAL` if `wg` is NULL. Since 0.1.
///
/// # Safety
/// `wg` is NULL, or a zeroed or used wait group that no one frees during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_waitgroup_wait_until(wg: *mut gort_waitgroup_t, deadline: i64) -> c_int {
    // SAFETY: the caller's promise.
    match unsafe { group(wg) } {
        Some(group) if group.wait_until(deadline) => OK,
        Some(_) => ETIMEDOUT,
        None => EINVAL,
    }
}

/// Adds one to the counter of `wg` and starts a goroutine that runs `fn(arg)`; when it ends in any way, takes
/// one from the counter again.
///
/// Does not block. `wg` and `arg` stay yours. Returns `GORT_OK`; `GORT_EINVAL` if `wg` or `fn` is NULL;
/// `GORT_ENOMEM`: nothing was started and the counter is as it was. Since 0.1.
///
/// # Safety
/// `wg` is NULL, or a zeroed or used wait group that no one frees before its counter is zero; `fn_` may be called
/// with `arg` on another thread.
#[unsafe(no_mangle)]
#[cfg_attr(target_arch = "x86_64", unsafe(naked))]
pub unsafe extern "C" fn gort_waitgroup_go(
    wg: *mut gort_waitgroup_t,
    fn_: gort_fn_t,
    arg: *mut c_void,
) -> c_int {
    super::site::with_site!(rcx, waitgroup_go(wg, fn_, arg))
}

/// # Safety
/// As for [`gort_waitgroup_go`].
unsafe extern "C" fn waitgroup_go(
    wg: *mut gort_waitgroup_t,
    fn_: gort_fn_t,
    arg: *mut c_void,
    site: usize,
) -> c_int {
    // SAFETY: the caller's promise.
    let (Some(group), Some(body)) = (unsafe { group(wg) }, fn_) else { return EINVAL };
    let at_end = Some(AtEnd { call: done, arg: wg.cast() });
    // SAFETY: the caller's promise. After the spawn the counter may be zero again, and `wg` gone.
    unsafe {
        group.add(1);
        match sched::spawn_at(Spawn { body, arg, class: None, flags: 0, extra: None, at_end }, site) {
            Ok(()) => OK,
            Err(sched::NoMemory) => {
                group.done();
                ENOMEM
            }
        }
    }
}

/// # Safety
/// `wg` is the wait group of a `gort_waitgroup_go` whose goroutine ends now.
unsafe fn done(wg: *mut c_void) {
    // SAFETY: the goroutine's own count keeps the wait group in place until here.
    unsafe { (*wg.cast::<WaitGroup>()).done() };
}
