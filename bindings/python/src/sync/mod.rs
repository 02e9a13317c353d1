//! `gort.h`'s synchronisation for Python, one file for each type.
//!
//! The one thing to know: **what is a fatal error in C is a `RuntimeError` here.** Each object remembers beside the C
//! value what may be undone (locked; how many readers; the counter), and whoever wants to undo takes that away first,
//! in one step, and calls C only if there was something to take. C's state is always ahead: it is locked before the
//! memory says so, and unlocked after the memory says that it is not. So the C call that could be fatal never is.
//!
//! | file | what |
//! |---|---|
//! | `mutex` | `Mutex` |
//! | `rlock` | `RLock`, which knows its owner |
//! | `rwmutex` | `RWMutex`, and its two sides as context managers |
//! | `cond` | `Cond` |
//! | `once` | `Once` |
//! | `semaphore` | `Semaphore` |
//! | `waitgroup` | `WaitGroup` |
//!
//! None of these objects holds a reference that could be part of a cycle, except `WaitGroup`'s and `Once`'s arguments
//! while they run; so none takes part in garbage collection.

mod cond;
mod mutex;
mod once;
mod rlock;
mod rwmutex;
mod semaphore;
mod waitgroup;

use std::ffi::{CStr, c_int};

use crate::errors::raise_status;
use crate::gort::{ETIMEDOUT, OK};
use crate::raw::*;

/// Make the types and put them into the module.
///
/// # Safety
/// `module` is the module.
pub(crate) unsafe fn add_to(module: Object) -> Py<()> {
    // SAFETY: the caller's promise.
    unsafe {
        add_type(module, c"Mutex", mutex::make()?, &mutex::CLASS)?;
        add_type(module, c"RLock", rlock::make()?, &rlock::CLASS)?;
        add_type(module, c"RWMutex", rwmutex::make()?, &rwmutex::CLASS)?;
        add_type(module, c"_Side", rwmutex::make_side()?, &rwmutex::SIDE)?;
        add_type(module, c"Cond", cond::make()?, &cond::CLASS)?;
        add_type(module, c"Once", once::make()?, &once::CLASS)?;
        add_type(module, c"Semaphore", semaphore::make()?, &semaphore::CLASS)?;
        add_type(module, c"WaitGroup", waitgroup::make()?, &waitgroup::CLASS)?;
    }
    Ok(())
}

/// # Safety
/// `module` is the module.
unsafe fn add_type(module: Object, name: &CStr, class: Owned, global: &Global) -> Py<()> {
    // SAFETY: the caller's promise.
    unsafe { add(module, name, class.as_ptr())? };
    global.set(class);
    Ok(())
}

/// The end of an object that holds nothing, but may be referred to weakly: the list of that is `OFFSET` bytes in.
///
/// # Safety
/// Python calls it when the last reference is gone.
unsafe extern "C" fn dealloc<const OFFSET: usize>(this: Object) {
    // SAFETY: Python's, as above.
    unsafe {
        if !(*this.byte_add(OFFSET).cast::<Object>()).is_null() {
            PyObject_ClearWeakRefs(this);
        }
        free(this);
    }
}

/// `RuntimeError`.
pub(crate) fn runtime_error(message: &str) -> Raised {
    // SAFETY: a built-in exception type.
    unsafe { raise(PyExc_RuntimeError, message) }
}

/// Did a wait succeed? A deadline that passed is a `TimeoutError`.
pub(crate) fn waited(status: c_int) -> Py<()> {
    if status == OK { Ok(()) } else { Err(raise_status(status)) }
}

/// The answer of a call that was tried or waited for, as a bool.
pub(crate) fn obtained(status: c_int) -> Py<bool> {
    match status {
        OK => Ok(true),
        ETIMEDOUT | crate::gort::EAGAIN => Ok(false),
        status => Err(raise_status(status)),
    }
}

/// The arguments `blocking=True, timeout=-1` of `threading.Lock.acquire`, as a deadline.
///
/// # Safety
/// Both are null or live objects.
unsafe fn threading_deadline(blocking: Object, timeout: Object) -> Py<i64> {
    // SAFETY: the caller's promise.
    unsafe {
        let blocking = blocking.is_null() || check(PyObject_IsTrue(blocking))? != 0;
        let seconds = if timeout.is_null() { -1.0 } else { PyFloat_AsDouble(timeout) };
        if seconds == -1.0 {
            if !PyErr_Occurred().is_null() {
                return Err(Raised);
            }
            return Ok(if blocking { crate::gort::FOREVER } else { 0 });
        }
        if !blocking {
            return Err(value_error("can't specify a timeout for a non-blocking call"));
        }
        if seconds < 0.0 {
            return Err(value_error("timeout value must be a non-negative number"));
        }
        to_deadline(timeout)
    }
}
