//! What can be done with a channel, for each of the three types.
//!
//! The one thing to know: a value is owned by exactly one at any time. `pack` takes a reference for the channel; a send
//! that succeeds has given it away, and whoever has it may have dropped it before the call returns, so it is
//! not touched again; any other end takes it back.

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::Ordering;

use super::elem::{Kind, Parcel};
use super::object::Chan;
use super::view::Face;
use crate::block;
use crate::errors::{CLOSED, checked, raise_status};
use crate::gort::{self, EAGAIN, ECLOSED, FOREVER, OK};
use crate::raw::*;
use crate::{aio, select};

/// Calls that are about to act on channels without holding the GIL (see `mod.rs`). Made and dropped with the GIL
/// held.
pub(crate) struct Guest<'a>(&'a Chan);

impl<'a> Guest<'a> {
    pub(crate) fn new(chan: &'a Chan) -> Self {
        // Relaxed: changed and read with the GIL held (or the world stopped).
        chan.guests.fetch_add(1, Ordering::Relaxed);
        Self(chan)
    }
}

impl Drop for Guest<'_> {
    fn drop(&mut self) {
        self.0.guests.fetch_sub(1, Ordering::Relaxed);
    }
}

/// As `block::may_block`, for a call on `chan`: whoever has to wait without the GIL is its guest.
///
/// # Safety
/// As for `may_block`.
#[inline(always)]
unsafe fn wait_on(
    chan: &Chan,
    deadline: i64,
    attempt: impl FnOnce() -> c_int,
    wait: impl FnMut(i64) -> c_int,
) -> Py<c_int> {
    let mut guest = None;
    let announced = || {
        let status = attempt();
        if status == EAGAIN {
            guest = Some(Guest::new(chan));
        }
        status
    };
    // SAFETY: the caller's promise. Counting touches no object that could go away.
    unsafe { block::may_block(deadline, announced, wait) }
}

/// # Safety
/// `value` is live, and the GIL is held.
#[inline(always)]
unsafe fn send_until(chan: &Chan, value: Object, deadline: i64) -> Py<Owned> {
    // SAFETY: the caller's promise; the parcel stays in this frame, which outlasts the calls, and whoever called
    // holds a reference to the channel for as long.
    unsafe {
        let mut parcel = chan.format.pack(value)?;
        let elem = parcel.elem();
        let status = wait_on(
            chan,
            deadline,
            || gort::gort_chan_try_send(chan.ch, elem),
            |deadline| gort::gort_chan_send_until(chan.ch, elem, deadline),
        );
        if let Ok(OK) = status {
            parcel.sent();
            return Ok(none());
        }
        Err(not_sent(chan, parcel, status))
    }
}

#[cold]
unsafe fn not_sent(chan: &Chan, parcel: Parcel, status: Py<c_int>) -> Raised {
    // The exception first: the value that is given back may have been the last of its kind.
    let raised = match status {
        Ok(code) => raise_status(code),
        Err(raised) => raised,
    };
    // SAFETY: packed with this format; a pending exception is kept aside, as the end of an object may run code.
    unsafe { aside(|| parcel.unsent(chan.format)) };
    raised
}

/// Run what may run Python code while an exception is set.
///
/// # Safety
/// The GIL is held.
#[cfg(Py_3_12)]
pub(crate) unsafe fn aside(body: impl FnOnce()) {
    // SAFETY: what is taken out is put back.
    unsafe {
        let raised = PyErr_GetRaisedException();
        body();
        PyErr_SetRaisedException(raised);
    }
}

/// As above.
///
/// # Safety
/// The GIL is held.
#[cfg(not(Py_3_12))]
pub(crate) unsafe fn aside(body: impl FnOnce()) {
    let (mut kind, mut value, mut trace) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
    // SAFETY: what is fetched is restored.
    unsafe {
        PyErr_Fetch(&mut kind, &mut value, &mut trace);
        body();
        PyErr_Restore(kind, value, trace);
    }
}

/// `None`: the channel is closed and drained.
///
/// # Safety
/// The GIL is held.
#[inline(always)]
unsafe fn recv_until(chan: &Chan, deadline: i64) -> Py<Option<Owned>> {
    // SAFETY: as in `send_until`.
    unsafe {
        let mut parcel = chan.format.place()?;
        let elem = parcel.elem();
        let status = wait_on(
            chan,
            deadline,
            || gort::gort_chan_try_recv(chan.ch, elem),
            |deadline| gort::gort_chan_recv_until(chan.ch, elem, deadline),
        );
        match status {
            Ok(OK) => parcel.received(chan.format).map(Some),
            Ok(ECLOSED) => {
                parcel.unused();
                Ok(None)
            }
            Ok(code) => {
                parcel.unused();
                Err(raise_status(code))
            }
            Err(raised) => {
                parcel.unused();
                Err(raised)
            }
        }
    }
}

/// `Closed`.
#[cold]
fn closed() -> Raised {
    // SAFETY: made at import.
    unsafe { raise(CLOSED.get(), "channel is closed") }
}

const SEND: Params<2> = Params::new("send", [c"value", c"timeout"], 1);
const RECV: Params<1> = Params::new("recv", [c"timeout"], 0);
const RECV_OK: Params<1> = Params::new("recv_ok", [c"timeout"], 0);

pub(super) unsafe extern "C" fn send<F: Face>(
    this: Object,
    args: *const Object,
    nargs: Py_ssize_t,
    names: Object,
) -> Object {
    // SAFETY: (here and in what follows) called by Python with an object of the type and live arguments, which the
    // caller keeps for the whole call.
    returned(|| unsafe {
        let [value, timeout] = SEND.parse(args, nargs, names)?;
        send_until(F::chan(this), value, to_deadline(timeout)?)
    })
}

pub(super) unsafe extern "C" fn recv<F: Face>(
    this: Object,
    args: *const Object,
    nargs: Py_ssize_t,
    names: Object,
) -> Object {
    // SAFETY: as above.
    returned(|| unsafe {
        let [timeout] = RECV.parse(args, nargs, names)?;
        recv_until(F::chan(this), to_deadline(timeout)?)?.ok_or_else(closed)
    })
}

pub(super) unsafe extern "C" fn recv_ok<F: Face>(
    this: Object,
    args: *const Object,
    nargs: Py_ssize_t,
    names: Object,
) -> Object {
    // SAFETY: as above.
    returned(|| unsafe {
        let [timeout] = RECV_OK.parse(args, nargs, names)?;
        let received = recv_until(F::chan(this), to_deadline(timeout)?)?;
        let ok = boolean(received.is_some());
        tuple([received.unwrap_or_else(none), ok])
    })
}

/// Iteration: `None`, and no exception, at the end.
pub(super) unsafe extern "C" fn next<F: Face>(this: Object) -> Object {
    // SAFETY: as above.
    match unsafe { recv_until(F::chan(this), FOREVER) } {
        Ok(Some(value)) => value.into_ptr(),
        Ok(None) | Err(Raised) => ptr::null_mut(),
    }
}

pub(super) unsafe extern "C" fn try_send<F: Face>(this: Object, value: Object) -> Object {
    // SAFETY: as above.
    returned(|| unsafe {
        let chan = F::chan(this);
        let mut parcel = chan.format.pack(value)?;
        match gort::gort_chan_try_send(chan.ch, parcel.elem()) {
            OK => {
                parcel.sent();
                Ok(none())
            }
            code => Err(not_sent(chan, parcel, Ok(code))),
        }
    })
}

pub(super) unsafe extern "C" fn try_recv<F: Face>(this: Object, _: Object) -> Object {
    // SAFETY: as above.
    returned(|| unsafe {
        let chan = F::chan(this);
        let mut parcel = chan.format.place()?;
        match gort::gort_chan_try_recv(chan.ch, parcel.elem()) {
            OK => parcel.received(chan.format),
            code => {
                parcel.unused();
                Err(raise_status(code))
            }
        }
    })
}

pub(super) unsafe extern "C" fn close<F: Face>(this: Object, _: Object) -> Object {
    // SAFETY: as above.
    returned(|| unsafe {
        let chan = F::chan(this);
        if chan.format.receive_only() {
            return Err(type_error("this channel is for receiving only: the runtime closes it, or nobody"));
        }
        checked(gort::gort_chan_close(chan.ch))?;
        Ok(none())
    })
}

pub(super) unsafe extern "C" fn on_recv<F: Face>(this: Object, _: Object) -> Object {
    // SAFETY: as above.
    returned(|| unsafe { select::case(F::chan(this), None) })
}

pub(super) unsafe extern "C" fn on_send<F: Face>(this: Object, value: Object) -> Object {
    // SAFETY: as above.
    returned(|| unsafe { select::case(F::chan(this), Some(value)) })
}

pub(super) unsafe extern "C" fn asend<F: Face>(this: Object, value: Object) -> Object {
    // SAFETY: as above.
    returned(|| unsafe { aio::call(&aio::SEND, &[F::chan(this).object(), value]) })
}

pub(super) unsafe extern "C" fn arecv<F: Face>(this: Object, _: Object) -> Object {
    // SAFETY: as above.
    returned(|| unsafe { aio::call(&aio::RECV, &[F::chan(this).object()]) })
}

pub(super) unsafe extern "C" fn anext<F: Face>(this: Object) -> Object {
    // SAFETY: as above.
    returned(|| unsafe { aio::call(&aio::NEXT, &[F::chan(this).object()]) })
}

pub(super) unsafe extern "C" fn len<F: Face>(this: Object) -> Py_ssize_t {
    // SAFETY: as above.
    unsafe { gort::gort_chan_len(F::chan(this).ch) as Py_ssize_t }
}

/// A channel is true though it be empty.
pub(super) unsafe extern "C" fn truth(_this: Object) -> c_int {
    1
}

pub(super) unsafe extern "C" fn cap<F: Face>(this: Object, _: *mut c_void) -> Object {
    // SAFETY: as above.
    returned(|| unsafe { unsigned(gort::gort_chan_cap(F::chan(this).ch) as u64) })
}

// Comparing kinds on the way of every call is cheap only if it is a comparison of bytes.
const _: () = assert!(size_of::<Kind>() == 1);
