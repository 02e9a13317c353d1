//! Starting a goroutine by what is in the module under the name `go`, for the parts that do so on somebody's behalf.
//!
//! The one thing to know: it is looked up each time, so that whoever replaces `gort._gort.go` (a test, a tracer) sees
//! these goroutines too.

use crate::raw::*;

static MODULE: Global = Global::new();

/// Keep the module.
///
/// # Safety
/// `module` is the module.
pub(crate) unsafe fn add_to(module: Object) -> Py<()> {
    // SAFETY: the caller's promise.
    unsafe { MODULE.set(Owned::borrow(module)) };
    Ok(())
}

/// The function `go`.
pub(crate) fn go() -> Py<Owned> {
    // SAFETY: set at import; the GIL is held.
    unsafe { Owned::new(PyObject_GetAttrString(MODULE.get(), c"go".as_ptr())) }
}
