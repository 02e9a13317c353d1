//! The exceptions of the package, and the way from a status to an exception.
//!
//! The one thing to know: `raise_status` is that way, for every call of the C library; what fails with a status
//! that has no exception of its own is an `OSError` with the errno that the status is the negative of.

use std::ffi::{CStr, c_int};
use std::ptr;

use crate::gort;
use crate::raw::*;

pub(crate) static ERROR: Global = Global::new();
pub(crate) static CLOSED: Global = Global::new();
pub(crate) static WOULD_BLOCK: Global = Global::new();
pub(crate) static CANCELED: Global = Global::new();
pub(crate) static DEADLINE_EXCEEDED: Global = Global::new();
pub(crate) static DEADLOCK: Global = Global::new();

/// Make the exceptions and put them into the module.
///
/// # Safety
/// `module` is the module.
pub(crate) unsafe fn add_to(module: Object) -> Py<()> {
    // SAFETY: bases are made before what derives from them.
    unsafe {
        let error = make(module, c"gort.Error", c"What gort's own exceptions derive from.", PyExc_Exception)?;
        ERROR.set(error);
        let base = ERROR.get();
        CLOSED.set(make(module, c"gort.Closed", c"The channel or connection is closed.", base)?);
        WOULD_BLOCK.set(make(module, c"gort.WouldBlock", c"It cannot be done without waiting.", base)?);
        CANCELED.set(make(module, c"gort.Canceled", c"The context was cancelled.", base)?);
        let both = tuple([Owned::borrow(base), Owned::borrow(PyExc_TimeoutError)])?;
        let text = c"The deadline of the context has passed.";
        DEADLINE_EXCEEDED.set(make(module, c"gort.DeadlineExceeded", text, both.as_ptr())?);
        let text = c"All goroutines are asleep; the text is the dump of them.";
        DEADLOCK.set(make(module, c"gort.Deadlock", text, base)?);
    }
    Ok(())
}

unsafe fn make(module: Object, name: &'static CStr, doc: &CStr, base: Object) -> Py<Owned> {
    // SAFETY: live objects, and names with a dot in them.
    unsafe {
        let made = Owned::new(PyErr_NewExceptionWithDoc(name.as_ptr(), doc.as_ptr(), base, ptr::null_mut()))?;
        let after = CStr::from_bytes_with_nul_unchecked(&name.to_bytes_with_nul()["gort.".len()..]);
        add(module, after, made.as_ptr())?;
        Ok(made)
    }
}

/// Set the exception for a negative status of a call of the C library.
pub(crate) fn raise_status(code: c_int) -> Raised {
    // SAFETY: gort_strerror returns a static text for any number; exceptions were made at import.
    unsafe {
        let text = CStr::from_ptr(gort::gort_strerror(code)).to_str().unwrap_or("unknown error");
        match code {
            gort::ECLOSED => raise(CLOSED.get(), text),
            gort::EAGAIN => raise(WOULD_BLOCK.get(), text),
            gort::ECANCELED => raise(CANCELED.get(), text),
            gort::ETIMEDOUT => raise(PyExc_TimeoutError, "timed out"),
            gort::EINVAL => raise(PyExc_ValueError, text),
            gort::ENOMEM => no_memory(),
            gort::ENONAME => raise(PyExc_OSError, text),
            ..=-4001 => raise(ERROR.get(), text),
            _ => {
                let (Ok(number), Ok(text)) = (int(-i64::from(code)), string(text)) else { return Raised };
                if let Ok(arguments) = tuple([number, text]) {
                    PyErr_SetObject(PyExc_OSError, arguments.as_ptr());
                }
                Raised
            }
        }
    }
}

/// A status that is negative is an exception.
pub(crate) fn checked(code: c_int) -> Py<c_int> {
    if code < 0 { Err(raise_status(code)) } else { Ok(code) }
}
