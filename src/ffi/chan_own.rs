//! Channels whose elements own something, and looking into channels.

use super::chan::{core, gort_chan_t};
use super::status::{EINVAL, ENOMEM};
use crate::chan::{Chan, Dropper};
use std::ffi::{c_int, c_void};
use std::ptr::null_mut;

/// A function for an element that leaves a channel without being received: see gort_chan_new_with().
pub type gort_chan_drop_fn_t = Option<unsafe extern "C" fn(elem: *mut c_void, data: *mut c_void)>;

/// A function for each element in a channel's buffer: see gort_chan_visit().
pub type gort_chan_visit_fn_t = Option<unsafe extern "C" fn(elem: *mut c_void, arg: *mut c_void) -> c_int>;

/// How a channel is to be; for gort_chan_new_with(). Zero fields mean the default.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct gort_chan_options_t {
    /// sizeof(gort_chan_options_t)
    pub size: usize,
    /// Called for each element that leaves the channel without being received: one that lies in the buffer when the
    /// last reference is released or gort_chan_clear() is called, and one that a receive drops whose `elem` is NULL.
    /// Not for one whose send fails: that stays the sender's. NULL: nothing is called.
    pub drop: gort_chan_drop_fn_t,
    /// For `drop`.
    pub data: *mut c_void,
}

// SAFETY: `repr(C)`, `size` first; NULL is a value of the others.
unsafe impl super::options::Options for gort_chan_options_t {}

/// Make a channel as gort_chan_new() does, whose elements may own something: `opts->drop` is called for each that
/// leaves it without being received. It is called with `data`, once, on the thread and stack of whoever releases, clears
/// or receives; never under a lock, so it may call gort; it must not panic. `elem` points to the element for the call
/// only, aligned as by malloc() if its size is a multiple of its alignment. NULL if the sizes overflow, there is no
/// memory, or `opts` has a bad `size` or a non-zero byte past the fields known to this library.
///
/// Does not block. The caller owns the one reference, and gives it up with gort_chan_release(). `opts` stays the
/// caller's and is copied; NULL means all defaults. Since 0.1.
///
/// # Safety
/// `opts` is NULL or points to `opts->size` readable bytes; `drop` may be called on any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_chan_new_with(
    elem_size: usize,
    capacity: usize,
    opts: *const gort_chan_options_t,
) -> *mut gort_chan_t {
    // SAFETY: the caller's promise.
    match unsafe { super::options::read(opts) } {
        Some(gort_chan_options_t { drop: Some(call), data, .. }) => {
            Chan::new_dropping(elem_size, capacity, Dropper { call, data }).cast()
        }
        Some(_) => Chan::new(elem_size, capacity).cast(),
        None => null_mut(),
    }
}

/// Call `visit(elem, arg)` for each element in the buffer, the first in line first, until it returns other than 0; for
/// garbage collectors. Elements of senders that wait are not in the buffer; the channel of a timer shows none.
///
/// Blocks others who want the channel: `visit` is called under its lock, and must not call gort, block, or change an
/// element.
///
/// What the last call returned, or 0 if there was none; `GORT_EINVAL`: a pointer is NULL. Since 0.1.
///
/// # Safety
/// `ch` is NULL or live for the call; `visit` may be called with `arg`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_chan_visit(
    ch: *mut gort_chan_t,
    visit: gort_chan_visit_fn_t,
    arg: *mut c_void,
) -> c_int {
    let Some(visit) = visit else { return EINVAL };
    if ch.is_null() {
        return EINVAL;
    }
    // SAFETY: the caller's promise.
    unsafe { Chan::visit(core(ch), |elem| visit(elem.cast(), arg)) }
}

/// Receive and drop as many elements as the buffer holds now, by the channel's `drop` if it has one. Senders that wait
/// for a place get one, as by any receive. The channel of a timer has none.
///
/// Does not block. The caller holds a reference until this returns.
///
/// How many elements were dropped; `GORT_EINVAL`: `ch` is NULL; `GORT_ENOMEM`: no memory for one element (up to 64 bytes
/// need none), and nothing was dropped. Since 0.1.
///
/// # Safety
/// `ch` is NULL or live for the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_chan_clear(ch: *mut gort_chan_t) -> c_int {
    if ch.is_null() {
        return EINVAL;
    }
    // SAFETY: the caller's promise.
    match unsafe { Chan::clear(core(ch)) } {
        Some(count) => c_int::try_from(count).unwrap_or(c_int::MAX),
        None => ENOMEM,
    }
}

/// How many wait in the channel just now, to send or to receive: goroutines, threads and gort_select_async(). A select
/// counts once for each of its cases with this channel. 0 for NULL.
///
/// Does not block; it counts them one by one, under the channel's lock. Since 0.1.
///
/// # Safety
/// `ch` is NULL or live for the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_chan_waiters(ch: *const gort_chan_t) -> usize {
    // SAFETY: the caller's promise.
    if ch.is_null() { 0 } else { unsafe { Chan::waiters(core(ch.cast_mut())) } }
}

/// How many references there are to the channel just now. If all that there are are the caller's, nobody else can add
/// one. 0 for NULL.
///
/// Does not block. Since 0.1.
///
/// # Safety
/// `ch` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_chan_refs(ch: *const gort_chan_t) -> usize {
    // SAFETY: the caller's promise.
    if ch.is_null() { 0 } else { unsafe { Chan::refs(ch.cast()) } }
}
