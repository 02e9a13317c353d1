//! Channels: typed queues between goroutines and threads, as in Go.

use super::status::{EAGAIN, ECLOSED, EINVAL, ENOMEM, ETIMEDOUT, OK};
use crate::chan::{Chan, Outcome};
use std::ffi::{c_int, c_void};

/// A channel of elements of one size. A handle: reference counted by `gort_chan_retain` and
/// `gort_chan_release`.
#[derive(Debug)]
pub struct gort_chan_t {
    _opaque: [u8; 0],
}

pub(super) fn core(ch: *mut gort_chan_t) -> *mut Chan {
    ch.cast()
}

pub(super) fn status(outcome: Outcome) -> c_int {
    match outcome {
        Outcome::Done => OK,
        Outcome::Closed => ECLOSED,
        Outcome::NotReady => EAGAIN,
        Outcome::TimedOut => ETIMEDOUT,
        Outcome::NoMemory => ENOMEM,
    }
}

/// Can `ch` be sent an element at `elem`? Where an element has no bytes, none are asked for.
///
/// # Safety
/// `ch` is NULL or live.
#[inline(always)]
unsafe fn cannot_send(ch: *mut gort_chan_t, elem: *const c_void) -> bool {
    // SAFETY: the caller's promise.
    ch.is_null() || (elem.is_null() && unsafe { Chan::elem_size(core(ch)) } != 0)
}

/// Make a channel for elements of `elem_size` bytes that holds up to `capacity` of them. Capacity 0 is a
/// rendezvous: a send waits for its receive. Elements of size 0 are signals: they are counted and take no
/// memory. NULL if the sizes overflow or there is no memory.
///
/// Does not block. The caller owns the one reference, and gives it up with `gort_chan_release`. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn gort_chan_new(elem_size: usize, capacity: usize) -> *mut gort_chan_t {
    Chan::new(elem_size, capacity).cast()
}

/// Add a reference and return `ch`; NULL returns NULL.
///
/// Does not block. The caller owns the new reference, and gives it up with `gort_chan_release`. Since 0.1.
///
/// # Safety
/// `ch` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_chan_retain(ch: *mut gort_chan_t) -> *mut gort_chan_t {
    if !ch.is_null() {
        // SAFETY: the caller's promise.
        unsafe { Chan::retain(core(ch)) };
    }
    ch
}

/// Give up a reference; the last one frees the channel and what is left in its buffer (see gort_chan_new_with()),
/// without closing it. NULL does nothing.
///
/// Does not block. `ch` must not be used any more on account of this reference, and while a call waits on the
/// channel somebody must hold one. Since 0.1.
///
/// # Safety
/// `ch` is NULL or a reference that the caller owns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_chan_release(ch: *mut gort_chan_t) {
    if !ch.is_null() {
        // SAFETY: the caller's promise.
        unsafe { Chan::release(core(ch)) };
    }
}

/// Send a copy of the element at `elem`.
///
/// Blocks until a receiver has taken it or it has a place in the buffer; first come, first served. `elem` stays
/// the caller's; it may be NULL if elements have size 0.
///
/// `GORT_OK`; `GORT_ECLOSED`: the channel is closed, or was closed during the wait, and nothing was sent;
/// `GORT_EINVAL`: a pointer is NULL. Since 0.1.
///
/// # Safety
/// `ch` is NULL or live; `elem` is NULL or readable for an element.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_chan_send(ch: *mut gort_chan_t, elem: *const c_void) -> c_int {
    // SAFETY: the caller's promise, and the pointers are checked first.
    unsafe {
        if cannot_send(ch, elem) {
            return EINVAL;
        }
        status(Chan::send(core(ch), elem.cast()))
    }
}

/// Send a copy of the element at `elem` if that can be done at once.
///
/// Does not block. `elem` stays the caller's; it may be NULL if elements have size 0.
///
/// `GORT_OK`; `GORT_EAGAIN`: the buffer is full, or without a buffer nobody waits to receive;
/// `GORT_ECLOSED`: the channel is closed; `GORT_EINVAL`: a pointer is NULL. Since 0.1.
///
/// # Safety
/// As for `gort_chan_send`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_chan_try_send(ch: *mut gort_chan_t, elem: *const c_void) -> c_int {
    // SAFETY: the caller's promise, and the pointers are checked first.
    unsafe {
        if cannot_send(ch, elem) {
            return EINVAL;
        }
        status(Chan::try_send(core(ch), elem.cast()))
    }
}

/// Send a copy of the element at `elem`; wait for that until `deadline` at the most. A deadline in the past:
/// try, and do not wait.
///
/// Blocks as `gort_chan_send` does. `elem` stays the caller's; it may be NULL if elements have size 0.
///
/// `GORT_OK`; `GORT_ETIMEDOUT`: the deadline passed, and nothing was sent; `GORT_ECLOSED`: the channel is
/// closed, or was closed during the wait, and nothing was sent; `GORT_EINVAL`: a pointer is NULL. Since 0.1.
///
/// # Safety
/// As for `gort_chan_send`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_chan_send_until(
    ch: *mut gort_chan_t,
    elem: *const c_void,
    deadline: i64,
) -> c_int {
    // SAFETY: the caller's promise, and the pointers are checked first.
    unsafe {
        if cannot_send(ch, elem) {
            return EINVAL;
        }
        status(Chan::send_until(core(ch), elem.cast(), deadline))
    }
}

/// Receive an element into `elem`, or with `elem` NULL drop it.
///
/// Blocks until there is one or the channel is closed; first come, first served. `elem` stays the caller's.
///
/// `GORT_OK`; `GORT_ECLOSED`: the channel is closed and drained, and the element was zeroed; `GORT_EINVAL`:
/// `ch` is NULL. Since 0.1.
///
/// # Safety
/// `ch` is NULL or live; `elem` is NULL or writable for an element.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_chan_recv(ch: *mut gort_chan_t, elem: *mut c_void) -> c_int {
    if ch.is_null() {
        return EINVAL;
    }
    // SAFETY: the caller's promise.
    status(unsafe { Chan::recv(core(ch), elem.cast()) })
}

/// Receive an element into `elem` if there is one, or with `elem` NULL drop it.
///
/// Does not block. `elem` stays the caller's.
///
/// `GORT_OK`; `GORT_EAGAIN`: there is none, and `elem` is untouched; `GORT_ECLOSED`: the channel is closed and
/// drained, and the element was zeroed; `GORT_EINVAL`: `ch` is NULL. Since 0.1.
///
/// # Safety
/// As for `gort_chan_recv`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_chan_try_recv(ch: *mut gort_chan_t, elem: *mut c_void) -> c_int {
    if ch.is_null() {
        return EINVAL;
    }
    // SAFETY: the caller's promise.
    status(unsafe { Chan::try_recv(core(ch), elem.cast()) })
}

/// Receive an element into `elem`, or with `elem` NULL drop it; wait for one until `deadline` at the most. A
/// deadline in the past: try, and do not wait.
///
/// Blocks as `gort_chan_recv` does. `elem` stays the caller's.
///
/// `GORT_OK`; `GORT_ETIMEDOUT`: the deadline passed, and `elem` is untouched; `GORT_ECLOSED`: the channel is
/// closed and drained, and the element was zeroed; `GORT_EINVAL`: `ch` is NULL. Since 0.1.
///
/// # Safety
/// As for `gort_chan_recv`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_chan_recv_until(
    ch: *mut gort_chan_t,
    elem: *mut c_void,
    deadline: i64,
) -> c_int {
    if ch.is_null() {
        return EINVAL;
    }
    // SAFETY: the caller's promise.
    status(unsafe { Chan::recv_until(core(ch), elem.cast(), deadline) })
}

/// Close the channel. From now on sends fail; what is in the buffer can still be received. All who wait are
/// woken: receivers, as the channel is drained, and senders, whose elements are not sent.
///
/// Does not block. Closing gives up no reference.
///
/// `GORT_OK`; `GORT_ECLOSED`: it already was; `GORT_EINVAL`: `ch` is NULL. Since 0.1.
///
/// # Safety
/// `ch` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_chan_close(ch: *mut gort_chan_t) -> c_int {
    if ch.is_null() {
        return EINVAL;
    }
    // SAFETY: the caller's promise.
    status(unsafe { Chan::close(core(ch)) })
}

/// How many elements are in the buffer just now. 0 for capacity 0, for the channel of a timer and for NULL.
///
/// Does not block. Since 0.1.
///
/// # Safety
/// `ch` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_chan_len(ch: *const gort_chan_t) -> usize {
    // SAFETY: the caller's promise.
    if ch.is_null() { 0 } else { unsafe { Chan::len(ch.cast()) } }
}

/// The capacity that the channel was made with. 0 for the channel of a timer and for NULL.
///
/// Does not block. Since 0.1.
///
/// # Safety
/// `ch` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_chan_cap(ch: *const gort_chan_t) -> usize {
    // SAFETY: the caller's promise.
    if ch.is_null() { 0 } else { unsafe { Chan::cap(ch.cast()) } }
}

/// The size of the elements that the channel was made for. 0 for NULL.
///
/// Does not block. Since 0.1.
///
/// # Safety
/// `ch` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_chan_elem_size(ch: *const gort_chan_t) -> usize {
    // SAFETY: the caller's promise.
    if ch.is_null() { 0 } else { unsafe { Chan::elem_size(ch.cast()) } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ptr::{null, null_mut};

    #[test]
    fn null_is_refused_or_means_nothing() {
        let none = null_mut();
        let mut value = 7u64;
        let elem: *mut c_void = (&raw mut value).cast();
        // SAFETY: NULL is allowed everywhere, as this test holds up.
        unsafe {
            assert_eq!(gort_chan_send(none, elem), EINVAL);
            assert_eq!(gort_chan_try_send(none, elem), EINVAL);
            assert_eq!(gort_chan_send_until(none, elem, 0), EINVAL);
            assert_eq!(gort_chan_recv(none, elem), EINVAL);
            assert_eq!(gort_chan_try_recv(none, elem), EINVAL);
            assert_eq!(gort_chan_recv_until(none, elem, 0), EINVAL);
            assert_eq!(gort_chan_close(none), EINVAL);
            assert_eq!((gort_chan_len(none), gort_chan_cap(none), gort_chan_elem_size(none)), (0, 0, 0));
            assert!(gort_chan_retain(none).is_null());
            gort_chan_release(none);
        }
        assert_eq!(value, 7);
    }

    #[test]
    fn sending_from_null_is_refused_unless_elements_have_no_bytes() {
        // SAFETY: live channels, released at the end; NULL elements are what is tested.
        unsafe {
            let ch = gort_chan_new(4, 2);
            assert_eq!(gort_chan_send(ch, null()), EINVAL);
            assert_eq!(gort_chan_try_send(ch, null()), EINVAL);
            assert_eq!(gort_chan_send_until(ch, null(), i64::MAX), EINVAL);
            assert_eq!(gort_chan_len(ch), 0);
            gort_chan_release(ch);
            let ch = gort_chan_new(0, 3);
            assert_eq!(gort_chan_send(ch, null()), OK);
            assert_eq!(gort_chan_try_send(ch, null()), OK);
            assert_eq!(gort_chan_send_until(ch, null(), 0), OK);
            assert_eq!(gort_chan_try_send(ch, null()), EAGAIN);
            assert_eq!(gort_chan_send_until(ch, null(), 0), ETIMEDOUT);
            assert_eq!((gort_chan_len(ch), gort_chan_cap(ch), gort_chan_elem_size(ch)), (3, 3, 0));
            gort_chan_release(ch);
        }
    }

    #[test]
    fn statuses_of_the_three_forms() {
        let (mut a, mut b) = (5u32, 9u32);
        let (from, to): (*const c_void, *mut c_void) = ((&raw mut a).cast(), (&raw mut b).cast());
        // SAFETY: a live channel of elements of 4 bytes, released twice for its two references.
        unsafe {
            let ch = gort_chan_new(4, 1);
            assert_eq!(gort_chan_retain(ch), ch);
            gort_chan_release(ch);
            assert_eq!(gort_chan_try_recv(ch, to), EAGAIN);
            assert_eq!(gort_chan_recv_until(ch, to, -1), ETIMEDOUT);
            assert_eq!(b, 9);
            assert_eq!(gort_chan_send(ch, from), OK);
            assert_eq!(gort_chan_recv(ch, to), OK);
            assert_eq!(b, 5);
            assert_eq!(gort_chan_close(ch), OK);
            assert_eq!(gort_chan_close(ch), ECLOSED);
            assert_eq!(gort_chan_send(ch, from), ECLOSED);
            assert_eq!(gort_chan_recv(ch, to), ECLOSED);
            assert_eq!(b, 0);
            gort_chan_release(ch);
        }
    }

    #[test]
    fn sizes_that_overflow_give_null() {
        assert!(gort_chan_new(usize::MAX, 2).is_null());
        assert!(gort_chan_new(2, usize::MAX).is_null());
        assert!(gort_chan_new(1, usize::MAX).is_null());
        assert!(gort_chan_new(usize::MAX / 2, 1).is_null());
        // Nothing overflows where nothing is stored.
        let ch = gort_chan_new(0, usize::MAX);
        assert!(!ch.is_null());
        // SAFETY: live, and ours.
        unsafe { gort_chan_release(ch) };
    }
}
