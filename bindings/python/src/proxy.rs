//! A call that the main thread cannot make in slices, made for it by a goroutine of C.
//!
//! The one thing to know: the main thread waits in slices, to look for signals between them (see `block`). Most calls
//! can be given up and begun again without a trace. A wait for a condition variable cannot: a signal that comes
//! between two slices would find nobody; nor can a dial, which would begin anew each time. So another makes the call, once,
//! and the main thread waits for that one. If it is interrupted it leaves the call behind: `ABANDONED`. Whoever comes
//! second, the end of the call or the interruption, sees that by the one swap each makes on `state`, and has the rest:
//! the main thread the result, or the proxy the undoing.

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicU8, Ordering};

use crate::block::{may_block, without_gil};
use crate::gort::{self, FOREVER, OK, gort_sem_t};
use crate::raw::*;

/// What a proxy does. It runs without the GIL, and touches no Python object.
pub(crate) trait Call {
    /// Make the call: a status.
    fn run(&mut self) -> c_int;
    /// Nobody waits for the call any more, which has ended with `status`. On the proxy: without the GIL.
    fn undo(self, status: c_int);
    /// As `undo`, but on the main thread, with the GIL: the call had ended just before the interruption.
    fn undo_here(self, status: c_int);
}

const WAITING: u8 = 0;
const ENDED: u8 = 1;
const ABANDONED: u8 = 2;

struct Record<C> {
    state: AtomicU8,
    ended: gort_sem_t,
    status: c_int,
    call: Option<C>,
}

/// Make a call by a proxy: its status. `Err`: a signal's handler has raised, and the call was or will be undone.
///
/// # Safety
/// The GIL is held, on the main thread. What `call` points to stays in place until it is dropped.
pub(crate) unsafe fn by_proxy<C: Call>(call: C) -> Py<(c_int, C)> {
    let record = Box::new(Record {
        state: AtomicU8::new(WAITING),
        ended: gort_sem_t([0; 2]),
        status: OK,
        call: Some(call),
    });
    let record = Box::into_raw(record);
    // SAFETY: the record is freed by whoever comes second. The proxy has touched it for the last time when the
    // permit is there: a semaphore may be freed then.
    unsafe {
        if gort::gort_spawn(run::<C>, record.cast()) != OK {
            // No memory for a goroutine: then without looking at signals.
            let mut record = Box::from_raw(record);
            let Some(mut call) = record.call.take() else { unreachable!("put there above") };
            let status = without_gil(|| call.run());
            return Ok((status, call));
        }
        let ended = &raw mut (*record).ended;
        let wait = |until| gort::gort_sem_acquire_until(ended, 1, until);
        let waited = may_block(FOREVER, || gort::gort_sem_try_acquire(ended, 1), wait);
        if waited.is_err() {
            // AcqRel: the result is seen if the call has ended; what is left behind is seen by the proxy.
            if (*record).state.swap(ABANDONED, Ordering::AcqRel) == WAITING {
                return Err(Raised);
            }
            // The proxy is about to give the permit, if it has not yet.
            gort::gort_sem_acquire_until(ended, 1, FOREVER);
        }
        let mut record = Box::from_raw(record);
        let status = record.status;
        let Some(call) = record.call.take() else { unreachable!("the proxy leaves the call") };
        match waited {
            Ok(_) => Ok((status, call)),
            Err(raised) => {
                call.undo_here(status);
                Err(raised)
            }
        }
    }
}

unsafe extern "C" fn run<C: Call>(record: *mut c_void) {
    let record: *mut Record<C> = record.cast();
    // SAFETY: the main thread frees the record only after the permit, and never once it has abandoned it.
    unsafe {
        let Some(call) = (*record).call.as_mut() else { return };
        (*record).status = call.run();
        // AcqRel: as in `by_proxy`.
        if (*record).state.swap(ENDED, Ordering::AcqRel) == WAITING {
            gort::gort_sem_release(&raw mut (*record).ended, 1);
            return;
        }
        let mut record = Box::from_raw(record);
        if let Some(call) = record.call.take() {
            call.undo(record.status);
        }
    }
}

/// Give up a reference without having the GIL: the main thread does, when it next looks.
pub(crate) fn drop_later(object: Object) {
    extern "C" fn decref(object: *mut c_void) -> c_int {
        // SAFETY: the reference that was given away; Python calls this with the GIL held.
        unsafe { Py_DECREF(object.cast()) };
        0
    }
    // SAFETY: may be called without the GIL. Python keeps some dozens of such calls: then later.
    unsafe {
        while Py_AddPendingCall(Some(decref), object.cast()) != 0 {
            gort::gort_sleep(10_000_000);
        }
    }
}
