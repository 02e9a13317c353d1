//! Contexts.

use super::chan::gort_chan_t;
use super::goroutine::gort_fn_t;
use super::status::{ECANCELED, EINVAL, ENOMEM, ETIMEDOUT, OK};
use super::sync::null;
use crate::ctx::{self, Ctx};
use crate::sched::NoMemory;
use std::ffi::{c_int, c_void};
use std::ptr::null_mut;

/// A deadline, a way to be told to stop, and values, handed down from call to call and from goroutine to
/// goroutine: Go's `context.Context`. A handle: reference counted by gort_ctx_retain() and gort_ctx_release().
///
/// Contexts form a tree. When one is cancelled or its deadline passes, it is *done*, and so are all below it. A
/// child holds its parent, so the parent's handle may be released first. Releasing cancels nothing: as in Go, whoever
/// makes a context that can be cancelled cancels it when its work is over, and then releases it.
#[derive(Debug)]
pub struct gort_ctx_t {
    _opaque: [u8; 0],
}

const _: () = assert!(ctx::CANCELED == ECANCELED && ctx::TIMED_OUT == ETIMEDOUT);

pub(super) fn core(ctx: *mut gort_ctx_t) -> *mut Ctx {
    ctx.cast()
}

/// The root of all contexts: never done, no deadline, no values. Go's `context.Background`.
///
/// Does not block. There is one; retaining and releasing it does nothing. Never NULL. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn gort_ctx_background() -> *mut gort_ctx_t {
    ctx::background().cast()
}

/// Make a child of `parent` that gort_ctx_cancel() cancels: Go's `context.WithCancelCause`. It is done when it is
/// cancelled or `parent` is done, at once if `parent` is done already. NULL if `parent` is NULL or there is no
/// memory.
///
/// Does not block. The caller owns the one reference. Since 0.1.
///
/// # Safety
/// `parent` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_ctx_with_cancel(parent: *mut gort_ctx_t) -> *mut gort_ctx_t {
    // SAFETY: the caller's promise.
    if parent.is_null() { null_mut() } else { unsafe { Ctx::with_cancel(core(parent)) }.cast() }
}

/// Make a child of `parent` as gort_ctx_with_cancel() does, which is also done `ns` nanoseconds from now: Go's
/// `context.WithTimeout`. If `parent` has an earlier deadline, that holds. `ns <= 0`: it is done at once;
/// `GORT_FOREVER`: it has no deadline of its own. NULL if `parent` is NULL or there is no memory.
///
/// Does not block. The caller owns the one reference. Since 0.1.
///
/// # Safety
/// `parent` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_ctx_with_timeout(parent: *mut gort_ctx_t, ns: i64) -> *mut gort_ctx_t {
    // SAFETY: the caller's promise.
    if parent.is_null() { null_mut() } else { unsafe { Ctx::with_timeout(core(parent), ns) }.cast() }
}

/// Make a child of `parent` as gort_ctx_with_cancel() does, which is also done at `deadline` on the clock of
/// gort_now(): Go's `context.WithDeadline`. If `parent` has an earlier deadline, that holds. A deadline in the
/// past: it is done at once; `GORT_FOREVER`: it has none of its own. NULL if `parent` is NULL or there is no
/// memory.
///
/// Does not block. The caller owns the one reference. Since 0.1.
///
/// # Safety
/// `parent` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_ctx_with_deadline(parent: *mut gort_ctx_t, deadline: i64) -> *mut gort_ctx_t {
    // SAFETY: the caller's promise.
    if parent.is_null() { null_mut() } else { unsafe { Ctx::with_deadline(core(parent), deadline) }.cast() }
}

/// Make a child of `parent` that has `value` for `key`: Go's `context.WithValue`. Keys are compared by their
/// addresses; that of a static variable of your own is nobody else's. It is done when `parent` is. NULL if `parent`
/// or `key` is NULL or there is no memory.
///
/// Does not block. The caller owns the one reference; `key` and `value` stay the caller's, and are never read or
/// freed. Since 0.1.
///
/// # Safety
/// `parent` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_ctx_with_value(
    parent: *mut gort_ctx_t,
    key: *const c_void,
    value: *mut c_void,
) -> *mut gort_ctx_t {
    if parent.is_null() || key.is_null() {
        return null_mut();
    }
    // SAFETY: the caller's promise.
    unsafe { Ctx::with_value(core(parent), key, value) }.cast()
}

/// A function for a value that nobody needs any more: see gort_ctx_with_value_owned().
pub type gort_ctx_destroy_fn_t = Option<unsafe extern "C" fn(value: *mut c_void)>;

/// Make a child of `parent` as gort_ctx_with_value() does, whose value is its own: `destroy(value)` is called once, when
/// the last reference to the context is gone, its children's included. It is called on the thread of whoever gave that
/// up, which may be any, with no lock held; it may call gort, and must not wait or panic. `destroy` NULL: as
/// gort_ctx_with_value(). NULL if `parent` or `key` is NULL or there is no memory: then `value` stays the caller's.
///
/// Does not block. The caller owns the one reference; `key` stays the caller's, and is never read. Since 0.1.
///
/// # Safety
/// `parent` is NULL or live; `destroy` may be called with `value` on any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_ctx_with_value_owned(
    parent: *mut gort_ctx_t,
    key: *const c_void,
    value: *mut c_void,
    destroy: gort_ctx_destroy_fn_t,
) -> *mut gort_ctx_t {
    if parent.is_null() || key.is_null() {
        return null_mut();
    }
    // SAFETY: the caller's promise.
    unsafe {
        match destroy {
            Some(destroy) => Ctx::with_value_owned(core(parent), key, value, destroy),
            None => Ctx::with_value(core(parent), key, value),
        }
        .cast()
    }
}

/// Make a child of `parent` that has its values, but neither its deadline nor its end: Go's
/// `context.WithoutCancel`. For what must be finished though the rest is given up. NULL if `parent` is NULL or
/// there is no memory.
///
/// Does not block. The caller owns the one reference. Since 0.1.
///
/// # Safety
/// `parent` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_ctx_without_cancel(parent: *mut gort_ctx_t) -> *mut gort_ctx_t {
    // SAFETY: the caller's promise.
    if parent.is_null() { null_mut() } else { unsafe { Ctx::without_cancel(core(parent)) }.cast() }
}

/// Cancel `ctx` and all below it: they are done, with `GORT_ECANCELED` as err and cause. It is not waited for that
/// anybody stops. Does nothing if `ctx` is done already, or has no cancel of its own (one of gort_ctx_background(),
/// gort_ctx_with_value() or gort_ctx_without_cancel()).
///
/// Does not block. When it returns, all below are done, whoever cancelled them. `ctx` stays yours; another who
/// sees that it is done may release it before this call has returned. NULL is a fatal error. Since 0.1.
///
/// # Safety
/// `ctx` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_ctx_cancel(ctx: *mut gort_ctx_t) {
    if ctx.is_null() {
        null("gort_ctx_cancel", "context");
    }
    // SAFETY: the caller's promise.
    unsafe { Ctx::cancel(core(ctx), ECANCELED, ECANCELED) };
}

/// Cancel `ctx` as gort_ctx_cancel() does, and say why: gort_ctx_cause() of `ctx` and all below it that were not done
/// gives `cause`, a status or any other number. 0 stands for `GORT_ECANCELED`. The first cancel decides.
///
/// Does not block. As for gort_ctx_cancel(). Since 0.1.
///
/// # Safety
/// `ctx` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_ctx_cancel_cause(ctx: *mut gort_ctx_t, cause: c_int) {
    if ctx.is_null() {
        null("gort_ctx_cancel_cause", "context");
    }
    // SAFETY: the caller's promise.
    unsafe { Ctx::cancel(core(ctx), ECANCELED, if cause == 0 { ECANCELED } else { cause }) };
}

/// The channel that is closed when `ctx` is done, for receiving and selecting on. NULL if it can never be done, or
/// is NULL: a case with it is never ready. Nothing is ever sent on it; do not send on it or close it.
///
/// Does not block. The channel is borrowed: it stays as long as somebody holds `ctx`, or longer if it is retained;
/// then it is still closed when `ctx` would have been done by its deadline or a parent. Since 0.1.
///
/// # Safety
/// `ctx` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_ctx_done(ctx: *mut gort_ctx_t) -> *mut gort_chan_t {
    // SAFETY: the caller's promise.
    if ctx.is_null() { null_mut() } else { unsafe { Ctx::done(core(ctx)) }.cast() }
}

/// Is `ctx` done, and in which way? Whoever has seen its done channel closed gets an error here, and the other
/// way round.
///
/// Does not block. GORT_OK: it is not done; GORT_ECANCELED: it was cancelled; GORT_ETIMEDOUT: its deadline has
/// passed; GORT_EINVAL: `ctx` is NULL. Since 0.1.
///
/// # Safety
/// `ctx` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_ctx_err(ctx: *mut gort_ctx_t) -> c_int {
    if ctx.is_null() {
        return EINVAL;
    }
    // SAFETY: the caller's promise.
    unsafe { Ctx::outcome(core(ctx)) }.map_or(OK, |outcome| outcome.err)
}

/// Why is `ctx` done? What gort_ctx_cancel_cause() was given, for it or for the context above through which it came to
/// be done; else what gort_ctx_err() says.
///
/// Does not block. GORT_OK: it is not done; GORT_EINVAL: `ctx` is NULL; else the cause. Since 0.1.
///
/// # Safety
/// `ctx` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_ctx_cause(ctx: *mut gort_ctx_t) -> c_int {
    if ctx.is_null() {
        return EINVAL;
    }
    // SAFETY: the caller's promise.
    unsafe { Ctx::outcome(core(ctx)) }.map_or(OK, |outcome| outcome.cause)
}

/// When will `ctx` be done at the latest, on the clock of gort_now()? What the calls that end in `_until` take.
///
/// Does not block. `GORT_FOREVER` if it has no deadline; `GORT_EINVAL` if `ctx` is NULL. Since 0.1.
///
/// # Safety
/// `ctx` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_ctx_deadline(ctx: *mut gort_ctx_t) -> i64 {
    // SAFETY: the caller's promise.
    if ctx.is_null() { i64::from(EINVAL) } else { unsafe { Ctx::deadline(core(ctx)) } }
}

/// The value that `ctx`, or the nearest above it, was given for `key`. NULL if there is none, or `ctx` is NULL.
///
/// Does not block. The value belongs to whoever gave it. Since 0.1.
///
/// # Safety
/// `ctx` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_ctx_value(ctx: *mut gort_ctx_t, key: *const c_void) -> *mut c_void {
    // SAFETY: the caller's promise. No context has a value for NULL.
    if ctx.is_null() { null_mut() } else { unsafe { Ctx::value(core(ctx), key) } }
}

/// Start a goroutine that runs `fn(arg)` once `ctx` is done, at once if it is: Go's `context.AfterFunc`. If `ctx` can
/// never be done, `fn` never runs. If `id` is not NULL, `*id` is set to a number for gort_ctx_after_func_stop(),
/// which no other call in this process gets, and which is never 0.
///
/// Does not block. `arg` stays the caller's. Until `fn` is started or stopped, the context stays, whether it is
/// released or not: cancel it, or stop `fn`, before the last release.
/// GORT_OK; GORT_EINVAL: `ctx` or `fn` is NULL; GORT_ENOMEM: `fn` will not run. Since 0.1.
///
/// # Safety
/// `ctx` is NULL or live; `id` is NULL or writable; `fn_` may be called with `arg` on another thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_ctx_after_func(
    ctx: *mut gort_ctx_t,
    fn_: gort_fn_t,
    arg: *mut c_void,
    id: *mut u64,
) -> c_int {
    let (false, Some(call)) = (ctx.is_null(), fn_) else { return EINVAL };
    // SAFETY: the caller's promise. `id` is written before `fn` can have been started: it may be `fn` that stops it.
    match unsafe { Ctx::after_func(core(ctx), call, arg, id) } {
        Ok(()) => OK,
        Err(NoMemory) => ENOMEM,
    }
}

/// Do not run the function that gort_ctx_after_func() gave `id` for, with this context or one with the same end.
/// One that was started is not waited for.
///
/// Does not block. True: it will not run. False: it was started or stopped before, or `id` is not from there, or
/// `ctx` is NULL. (For a context that can never be done, where nothing ever runs: always true.) Since 0.1.
///
/// # Safety
/// `ctx` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_ctx_after_func_stop(ctx: *mut gort_ctx_t, id: u64) -> bool {
    // SAFETY: the caller's promise.
    !ctx.is_null() && unsafe { Ctx::after_func_stop(core(ctx), id) }
}

/// Take another reference to `ctx`. Returns `ctx`; NULL gives NULL.
///
/// Does not block. Each reference is given up with gort_ctx_release(). Since 0.1.
///
/// # Safety
/// `ctx` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_ctx_retain(ctx: *mut gort_ctx_t) -> *mut gort_ctx_t {
    if !ctx.is_null() {
        // SAFETY: the caller's promise.
        unsafe { Ctx::retain(core(ctx)) };
    }
    ctx
}

/// Give up a reference. NULL does nothing. Cancels nothing: when the last one is gone, the context goes, unless it
/// has children, somebody has retained its done channel, or a function waits for its end (gort_ctx_after_func):
/// these still see it end by its deadline or with its parent.
///
/// Does not block. `ctx` must not be used any more on account of this reference. Since 0.1.
///
/// # Safety
/// `ctx` is NULL or a reference that the caller owns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_ctx_release(ctx: *mut gort_ctx_t) {
    if !ctx.is_null() {
        // SAFETY: the caller's promise.
        unsafe { Ctx::release(core(ctx)) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_refused_or_means_nothing() {
        unsafe extern "C" fn nothing(_: *mut c_void) {}
        let none = null_mut();
        let key: *const c_void = (&raw const BYTE).cast();
        static BYTE: u8 = 0;
        // SAFETY: NULL is allowed.
        unsafe {
            assert!(gort_ctx_with_cancel(none).is_null());
            assert!(gort_ctx_with_timeout(none, 1).is_null());
            assert!(gort_ctx_with_deadline(none, 1).is_null());
            assert!(gort_ctx_with_value(none, key, null_mut()).is_null());
            assert!(gort_ctx_with_value(gort_ctx_background(), std::ptr::null(), null_mut()).is_null());
            assert!(gort_ctx_without_cancel(none).is_null());
            assert!(gort_ctx_done(none).is_null());
            assert_eq!(gort_ctx_err(none), EINVAL);
            assert_eq!(gort_ctx_cause(none), EINVAL);
            assert_eq!(gort_ctx_deadline(none), i64::from(EINVAL));
            assert!(gort_ctx_value(none, key).is_null());
            let mut id = 7;
            assert_eq!(gort_ctx_after_func(none, Some(nothing), null_mut(), &mut id), EINVAL);
            assert_eq!(gort_ctx_after_func(gort_ctx_background(), None, null_mut(), &mut id), EINVAL);
            assert_eq!(id, 7);
            assert!(!gort_ctx_after_func_stop(none, 1));
            assert!(gort_ctx_retain(none).is_null());
            gort_ctx_release(none);
        }
    }
}
