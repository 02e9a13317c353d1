//! Groups.

use super::ctx::{core as core_ctx, gort_ctx_t};
use super::status::{EAGAIN, EINVAL, ENOMEM, OK};
use super::sync::null;
use crate::ctx::{self, Busy, Ctx, Group};
use crate::sched::NoMemory;
use std::ffi::{c_int, c_void};
use std::ptr::null_mut;

/// Goroutines that work on one task, of which the first failure counts: Go's `errgroup.Group`. A handle with one
/// reference, which gort_group_release() gives up.
#[derive(Debug)]
pub struct gort_group_t {
    _opaque: [u8; 0],
}

/// What a goroutine of a group runs. It returns GORT_OK, or why it failed: any other number. `ctx` is the group's
/// context, borrowed. No C++ exception may leave it.
pub type gort_group_fn_t = Option<unsafe extern "C" fn(ctx: *mut gort_ctx_t, arg: *mut c_void) -> c_int>;

fn core(g: *mut gort_group_t) -> *mut Group {
    g.cast()
}

/// `None` for NULL.
fn work(fn_: gort_group_fn_t) -> Option<ctx::Work> {
    // SAFETY: the two types differ in what they call the context, which is opaque to `fn_`: both are a pointer.
    fn_.map(|f| unsafe {
        std::mem::transmute::<
            unsafe extern "C" fn(*mut gort_ctx_t, *mut c_void) -> c_int,
            unsafe extern "C" fn(*mut Ctx, *mut c_void) -> c_int,
        >(f)
    })
}

/// Make a group, and for it a context that is a child of `parent` (NULL: of the background): Go's
/// `errgroup.WithContext`. It has no limit. NULL if there is no memory.
///
/// Does not block. The caller owns the handle. Since 0.1.
///
/// # Safety
/// `parent` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_group_new(parent: *mut gort_ctx_t) -> *mut gort_group_t {
    // SAFETY: the caller's promise.
    unsafe { Group::new(core_ctx(parent)) }.cast()
}

/// Let at most `n` goroutines of the group run at a time. 0 admits none; `SIZE_MAX` is no limit, as at the start. Those
/// who wait in gort_group_go() are let in as far as the new limit goes.
///
/// Does not block. NULL is a fatal error. While goroutines of the group have not ended it is a panic ("errgroup:
/// modify limit while 3 goroutines in the group are still active"). Since 0.1.
///
/// # Safety
/// `g` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_group_set_limit(g: *mut gort_group_t, n: usize) {
    if g.is_null() {
        null("gort_group_set_limit", "group");
    }
    // SAFETY: the caller's promise.
    if let Err(active) = unsafe { Group::set_limit(core(g), n) } {
        crate::panic::panic(format_args!(
            "errgroup: modify limit while {active} goroutines in the group are still active"
        ));
    }
}

/// Start a goroutine of the group that runs `fn(ctx, arg)`, where `ctx` is the group's context. The first of them
/// that returns another number than 0 cancels that context, with the number as its cause, and the number is what
/// gort_group_wait() returns. One that ends by gort_exit() has not failed.
///
/// Blocks while as many run as the limit allows; first come, first served. `arg` stays the caller's.
/// GORT_OK; GORT_EINVAL: `g` or `fn` is NULL; GORT_ENOMEM: nothing was started. Since 0.1.
///
/// # Safety
/// `g` is NULL or a handle that is not released during the call; `fn_` may be called with `arg` on another thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_group_go(
    g: *mut gort_group_t,
    fn_: gort_group_fn_t,
    arg: *mut c_void,
) -> c_int {
    let (false, Some(work)) = (g.is_null(), work(fn_)) else { return EINVAL };
    // SAFETY: the caller's promise.
    match unsafe { Group::go(core(g), work, arg) } {
        Ok(()) => OK,
        Err(NoMemory) => ENOMEM,
    }
}

/// Start a goroutine as gort_group_go() does, unless that would have to wait.
///
/// Does not block. `arg` stays the caller's.
/// GORT_OK; GORT_EAGAIN: as many run as the limit allows, or others wait; GORT_EINVAL: `g` or `fn` is NULL;
/// GORT_ENOMEM. Nothing was started but with GORT_OK. Since 0.1.
///
/// # Safety
/// As for `gort_group_go`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_group_try_go(
    g: *mut gort_group_t,
    fn_: gort_group_fn_t,
    arg: *mut c_void,
) -> c_int {
    let (false, Some(work)) = (g.is_null(), work(fn_)) else { return EINVAL };
    // SAFETY: the caller's promise.
    match unsafe { Group::try_go(core(g), work, arg) } {
        Ok(Ok(())) => OK,
        Ok(Err(NoMemory)) => ENOMEM,
        Err(Busy) => EAGAIN,
    }
}

/// The group's context: done when a goroutine of the group has failed, when a wait for it has returned, or when its
/// parent is done. NULL if `g` is NULL.
///
/// Does not block. It is borrowed: it stays as long as the group, or longer if it is retained. Since 0.1.
///
/// # Safety
/// `g` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_group_ctx(g: *mut gort_group_t) -> *mut gort_ctx_t {
    // SAFETY: the caller's promise.
    if g.is_null() { null_mut() } else { unsafe { Group::ctx(core(g)) }.cast() }
}

/// Wait until all goroutines of the group have ended, and then cancel its context. Several may wait, and a wait may
/// come after another; a context that is done stays so.
///
/// Blocks. Returns the first number other than 0 that one of them returned, else GORT_OK; GORT_EINVAL if `g` is
/// NULL. Since 0.1.
///
/// # Safety
/// `g` is NULL or a handle that is not released during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_group_wait(g: *mut gort_group_t) -> c_int {
    // SAFETY: the caller's promise.
    if g.is_null() { EINVAL } else { unsafe { Group::wait(core(g)) } }
}

/// Give up the handle. NULL does nothing. Cancels nothing: goroutines of the group go on, and the group goes with the
/// last of them.
///
/// Does not block. `g` must not be used any more. Since 0.1.
///
/// # Safety
/// `g` is NULL or a handle that the caller owns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_group_release(g: *mut gort_group_t) {
    if !g.is_null() {
        // SAFETY: the caller's promise.
        unsafe { Group::release(core(g)) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_refused_or_means_nothing() {
        unsafe extern "C" fn nothing(_: *mut gort_ctx_t, _: *mut c_void) -> c_int {
            0
        }
        let none = null_mut();
        // SAFETY: NULL is allowed.
        unsafe {
            assert_eq!(gort_group_go(none, Some(nothing), null_mut()), EINVAL);
            assert_eq!(gort_group_try_go(none, Some(nothing), null_mut()), EINVAL);
            assert!(gort_group_ctx(none).is_null());
            assert_eq!(gort_group_wait(none), EINVAL);
            gort_group_release(none);
            let g = gort_group_new(null_mut());
            assert_eq!(gort_group_go(g, None, null_mut()), EINVAL);
            assert_eq!(gort_group_try_go(g, None, null_mut()), EINVAL);
            assert_eq!(gort_group_wait(g), OK);
            gort_group_release(g);
        }
    }
}
