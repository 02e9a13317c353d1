//! A function that is to be started as a goroutine once a context is done, and the object that prevents it.
//!
//! The one thing to know: what the C library starts when a context is done is a goroutine of C, on any thread. It starts
//! Python's, for which it must have the GIL: on a thread's own stack (`gort_blocking`), where waiting for it holds up
//! nobody. Who has the `After`, to start it or to drop it, is whoever took the function out of the context: the C
//! library sees to it that that is one.

use std::ffi::c_void;
use std::ptr;

use crate::attach::with_gil;
use crate::errors::checked;
use crate::go;
use crate::gort::{self, gort_ctx_t};
use crate::raw::*;

static CLASS: Global = Global::new();

/// What is to be called, with which arguments, and in which context of Python.
pub(crate) struct After {
    function: Owned,
    args: Vec<Owned>,
    positional: usize,
    /// Of the last arguments.
    names: Option<Owned>,
    context: Owned,
}

impl After {
    /// # Safety
    /// Live objects; `names` is null or a tuple.
    pub(crate) unsafe fn new(
        function: Object,
        args: &[Object],
        positional: usize,
        names: Object,
    ) -> Py<Self> {
        // SAFETY: the caller's promise.
        unsafe {
            if PyCallable_Check(function) == 0 {
                return Err(type_error("what is to be called is not callable"));
            }
            Ok(Self {
                function: Owned::borrow(function),
                args: args.iter().map(|&arg| Owned::borrow(arg)).collect(),
                positional,
                names: (!names.is_null()).then(|| Owned::borrow(names)),
                context: Owned::new(PyContext_CopyCurrent())?,
            })
        }
    }

    /// Start the goroutine, in the context of whoever asked for it.
    unsafe fn start(&self) {
        let args: Vec<Object> = self.args.iter().map(Owned::as_ptr).collect();
        let names = self.names.as_ref().map_or(ptr::null_mut(), Owned::as_ptr);
        // SAFETY: the GIL is held; this thread has no context of ours entered.
        unsafe {
            if PyContext_Enter(self.context.as_ptr()) == 0 {
                let function = self.function.as_ptr();
                let started = go::start(function, &args, self.positional, names, go::forget, ptr::null_mut());
                if PyContext_Exit(self.context.as_ptr()) == 0 && started.is_ok() {
                    return;
                }
            }
            PyErr_WriteUnraisable(self.function.as_ptr());
        }
    }
}

/// What `after_func` returns; calling it prevents the call.
#[repr(C)]
struct Stop {
    head: PyObject,
    ctx: *mut gort_ctx_t,
    id: u64,
    /// Whose the `After` is if the function is taken out of the context.
    after: *mut After,
}

/// Let `after` be started once `ctx` is done: the object that prevents it.
///
/// # Safety
/// `ctx` is live.
pub(crate) unsafe fn make(ctx: *mut gort_ctx_t, after: After) -> Py<Owned> {
    // SAFETY: the caller's promise; a zeroed object can be deallocated.
    unsafe {
        let object = Owned::new(allocate::<Stop>(CLASS.type_ptr())?.as_ptr().cast())?;
        let stop: *mut Stop = object.as_ptr().cast();
        let after = Box::into_raw(Box::new(after));
        let mut id = 0;
        // What is started at once waits for the GIL, which we have.
        if let Err(raised) = checked(gort::gort_ctx_after_func(ctx, ended, after.cast(), &mut id)) {
            drop(Box::from_raw(after));
            return Err(raised);
        }
        (*stop).ctx = gort::gort_ctx_retain(ctx);
        (*stop).id = id;
        (*stop).after = after;
        Ok(object)
    }
}

unsafe extern "C" fn ended(after: *mut c_void) {
    // SAFETY: `begin` may block, and takes what is ours.
    unsafe { gort::gort_blocking(begin, after) };
}

unsafe extern "C" fn begin(after: *mut c_void) -> *mut c_void {
    // SAFETY: taken out of the context by the C library, so ours. Without an interpreter it is left to the end of the
    // process.
    with_gil(|| unsafe { Box::from_raw(after.cast::<After>()).start() });
    ptr::null_mut()
}

/// Make the type.
pub(crate) fn init() -> Py<()> {
    let class = Type::new(c"gort._Stop", size_of::<Stop>())
        .doc(c"What Context.after_func() returns: call it to prevent the call; whether it was in time.")
        .slot(Py_tp_dealloc, dealloc as *mut c_void)
        .slot(Py_tp_call, call as *mut c_void)
        .make()?;
    CLASS.set(class);
    Ok(())
}

unsafe extern "C" fn dealloc(this: Object) {
    // SAFETY: called by Python when the last reference is gone. The function stays with the context, unless that is
    // never done: then the C library has forgotten it at once, and it is ours.
    unsafe {
        let stop: *mut Stop = this.cast();
        if !(*stop).after.is_null() && gort::gort_ctx_done((*stop).ctx).is_null() {
            drop(Box::from_raw((*stop).after));
        }
        gort::gort_ctx_release((*stop).ctx);
        free(this);
    }
}

static CALL: Params<0> = Params::new("stop", [], 0);

unsafe extern "C" fn call(this: Object, args: Object, kwargs: Object) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe {
        CALL.parse_tuple(args, kwargs)?;
        let stop: *mut Stop = this.cast();
        // For a context that is never done the C library says each time that it has stopped it: then the first counts.
        let after = (*stop).after;
        if after.is_null() || !gort::gort_ctx_after_func_stop((*stop).ctx, (*stop).id) {
            (*stop).after = ptr::null_mut();
            return Ok(boolean(false));
        }
        (*stop).after = ptr::null_mut();
        drop(Box::from_raw(after));
        Ok(boolean(true))
    })
}
