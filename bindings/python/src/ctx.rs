//! `Context`.
//!
//! The one thing to know: when a context is done is the C library's business; values and causes are Python's. A context
//! keeps its parent, as in C, and what is asked for is looked for upwards. A cause travels through the tree as a number,
//! which C hands down to all below; the object that it stands for stays with the context that was cancelled, and is
//! found from below by that number. So the garbage collector sees all that there is.

use std::ffi::{CStr, c_int, c_void};
use std::mem::offset_of;
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

use crate::after::{self, After};
use crate::chan::{Format, wrap};
use crate::errors::{CANCELED, DEADLINE_EXCEEDED};
use crate::go::call_arguments;
use crate::gort::{self, ECANCELED, ETIMEDOUT, FOREVER, OK, gort_ctx_t};
use crate::raw::*;

static CLASS: Global = Global::new();
static BACKGROUND: Global = Global::new();
/// What is never closed: for contexts that are never done.
static NEVER: Global = Global::new();

/// The number of the last cause that was given. Numbers of C code, which are statuses, are negative.
static LAST_CAUSE: AtomicI32 = AtomicI32::new(0);

#[repr(C)]
struct Context {
    head: PyObject,
    /// A reference to it; null for a moment while it is made.
    ctx: *mut gort_ctx_t,
    /// Owned, or null: the background.
    parent: Object,
    /// Of a context with a value, owned; else null.
    key: Object,
    value: Object,
    /// Its done channel, owned, once it was asked for.
    done: Object,
    /// What it was cancelled with, owned, or null; and the number that it has in C.
    cause: Object,
    number: c_int,
    /// Whether `cancel` does anything: not for a value, whose C context is its parent's.
    cancels: bool,
    weakrefs: Object,
}

impl Context {
    /// A context below `parent` for a reference to a C context that is given away.
    unsafe fn make(ctx: *mut gort_ctx_t, parent: Object, cancels: bool) -> Py<Owned> {
        // SAFETY: the caller's: `parent` is live or null; what is not set is zero.
        unsafe {
            if ctx.is_null() {
                return Err(no_memory());
            }
            let this: *mut Context = match allocate::<Context>(CLASS.type_ptr()) {
                Ok(this) => this.as_ptr(),
                Err(raised) => {
                    gort::gort_ctx_release(ctx);
                    return Err(raised);
                }
            };
            (*this).ctx = ctx;
            Py_XINCREF(parent);
            (*this).parent = parent;
            (*this).cancels = cancels;
            Owned::new(this.cast())
        }
    }

    unsafe fn cancel(this: *mut Context, cause: Object) {
        // SAFETY: the caller keeps the context. With the GIL held from the first line to the last nobody sees the number
        // without the object.
        unsafe {
            if !(*this).cancels || gort::gort_ctx_err((*this).ctx) != OK {
                return;
            }
            if given(cause) && (*this).cause.is_null() {
                (*this).cause = Owned::borrow(cause).into_ptr();
                // Relaxed: a number that nobody else has. After 2^31 of them it begins anew.
                (*this).number = LAST_CAUSE.fetch_add(1, Ordering::Relaxed).wrapping_add(1) & c_int::MAX;
            }
            if given(cause) {
                gort::gort_ctx_cancel_cause((*this).ctx, (*this).number.max(1));
            } else {
                gort::gort_ctx_cancel((*this).ctx);
            }
        }
    }

    /// The object that a number stands for: its own or one of those above. Borrowed; null: not one of ours.
    unsafe fn cause(mut this: *mut Context, number: c_int) -> Object {
        // SAFETY: each keeps its parent.
        unsafe {
            while !this.is_null() {
                if !(*this).cause.is_null() && (*this).number.max(1) == number {
                    return (*this).cause;
                }
                this = (*this).parent.cast();
            }
        }
        ptr::null_mut()
    }
}

/// The exception for what `gort_ctx_err` says, as an object; `None` for 0.
unsafe fn error(status: c_int) -> Py<Owned> {
    // SAFETY: exceptions were made at import.
    unsafe {
        match status {
            OK => Ok(none()),
            ETIMEDOUT => instance(DEADLINE_EXCEEDED.get(), "context deadline exceeded"),
            ECANCELED => instance(CANCELED.get(), "context canceled"),
            status => {
                let text = CStr::from_ptr(gort::gort_strerror(status)).to_string_lossy();
                instance(CANCELED.get(), &format!("context canceled: {text} ({status})"))
            }
        }
    }
}

unsafe fn instance(class: Object, text: &str) -> Py<Owned> {
    let text = string(text)?;
    // SAFETY: live objects.
    unsafe { Owned::new(PyObject_CallFunctionObjArgs(class, text.as_ptr(), ptr::null_mut::<PyObject>())) }
}

/// Make the type and put it into the module.
///
/// # Safety
/// `module` is the module.
pub(crate) unsafe fn add_to(module: Object) -> Py<()> {
    // SAFETY: the caller's promise.
    unsafe {
        let class = Type::new(c"gort.Context", size_of::<Context>())
            .doc(c"A deadline, a way to be told to stop, and values, handed down from call to call: Go's context.Context.\n\nContexts form a tree: when one is done, so are all below it. Begin with Context.background(); in a with block\na context is cancelled at the end of the block.")
            .flags(Py_TPFLAGS_HAVE_GC)
            .slot(Py_tp_dealloc, dealloc as *mut c_void)
            .slot(Py_tp_traverse, traverse as *mut c_void)
            .slot(Py_tp_clear, clear as *mut c_void)
            .slot(Py_tp_members, MEMBERS.as_ptr())
            .methods(&METHODS)
            .getters(&GETTERS)
            .make()?;
        add(module, c"Context", class.as_ptr())?;
        CLASS.set(class);
        BACKGROUND.set(Context::make(gort::gort_ctx_background(), ptr::null_mut(), false)?);
        NEVER.set(wrap(gort::gort_chan_new(0, 0), Format::DONE)?);
        after::init()?;
    }
    Ok(())
}

static MEMBERS: Table<PyMemberDef, 1> = table([weak_list(offset_of!(Context, weakrefs))]);

static METHODS: Table<PyMethodDef, 14> = table([
    class_function(c"background", background, c"background($type, /)\n--\n\nThe root of all contexts: never done, no deadline, no values."),
    method0(c"with_cancel", with_cancel, c"with_cancel($self, /)\n--\n\nA child that cancel() ends."),
    method1(c"with_timeout", with_timeout, c"with_timeout($self, seconds, /)\n--\n\nA child that ends after seconds, too."),
    method1(c"with_deadline", with_deadline, c"with_deadline($self, t, /)\n--\n\nA child that ends at t, on the clock of time.monotonic(), too."),
    function(c"with_value", with_value, c"with_value($self, /, key, value)\n--\n\nA child that has value for key."),
    method0(c"without_cancel", without_cancel, c"without_cancel($self, /)\n--\n\nA child that has the values, but neither the deadline nor the end: for what must be finished."),
    function(c"cancel", cancel, c"cancel($self, /, cause=None)\n--\n\nEnd it and all below it. The first call decides on the cause, an exception. Without effect on the\nbackground, and on a child by with_value() or without_cancel(), which have no cancel of their own."),
    method0(c"err", err, c"err($self, /)\n--\n\nNone while it is not done; else a Canceled or a DeadlineExceeded."),
    method0(c"cause", cause, c"cause($self, /)\n--\n\nWhy it is done: what cancel() was given, here or above; else what err() says."),
    function(c"value", value, c"value($self, /, key, default=None)\n--\n\nThe value for key, from here or the nearest above."),
    function(c"after_func", after_func, c"after_func($self, fn, /, *args, **kwargs)\n--\n\nStart a goroutine that calls fn(*args, **kwargs) once it is done. Returns a function that prevents it: whether\nit was in time."),
    class_function(c"from_handle", from_handle, c"from_handle($type, /, handle)\n--\n\nThe context at the address handle: a gort_ctx_t* of C code."),
    method0(c"__enter__", enter, c"__enter__($self, /)\n--\n\nThe context itself."),
    function(c"__exit__", exit, c"__exit__($self, /, *args)\n--\n\nCancel it."),
]);

static GETTERS: Table<PyGetSetDef, 3> = table([
    getter(c"done", done, c"A channel that is closed when it is done; nothing is sent on it."),
    getter(
        c"deadline",
        deadline,
        c"When it will be done at the latest, on the clock of time.monotonic(); None: no deadline.",
    ),
    getter(c"handle", handle, c"The address of its gort_ctx_t, for C code; valid as long as this object."),
]);

unsafe extern "C" fn dealloc(this: Object) {
    // SAFETY: called by Python when the last reference is gone.
    unsafe {
        PyObject_GC_UnTrack(this.cast());
        let context: *mut Context = this.cast();
        if !(*context).weakrefs.is_null() {
            PyObject_ClearWeakRefs(this);
        }
        let mut parent = ptr::replace(&raw mut (*context).parent, ptr::null_mut());
        clear(this);
        gort::gort_ctx_release((*context).ctx);
        free(this);
        // A chain of contexts that are let go of with this one: one after the other, not one inside the other.
        while !parent.is_null() {
            let last = cfg!(not(Py_GIL_DISABLED)) && Py_REFCNT(parent) == 1;
            let above: *mut Object = &raw mut (*parent.cast::<Context>()).parent;
            let next = if last { ptr::replace(above, ptr::null_mut()) } else { ptr::null_mut() };
            Py_DECREF(parent);
            parent = next;
        }
    }
}

unsafe extern "C" fn traverse(this: Object, visit: visitproc, arg: *mut c_void) -> c_int {
    // SAFETY: called by Python's collector with one of ours.
    unsafe {
        let context: *mut Context = this.cast();
        let class: Object = Py_TYPE(this).cast();
        let held =
            [(*context).parent, (*context).key, (*context).value, (*context).done, (*context).cause, class];
        for object in held {
            if !object.is_null() {
                let result = visit(object, arg);
                if result != 0 {
                    return result;
                }
            }
        }
    }
    0
}

/// Lets go of what may be part of a cycle, but not of the parent, through which a cycle cannot go without one of these.
unsafe extern "C" fn clear(this: Object) -> c_int {
    // SAFETY: called by Python's collector, and by `dealloc`.
    unsafe {
        let context: *mut Context = this.cast();
        for place in [
            &raw mut (*context).key,
            &raw mut (*context).value,
            &raw mut (*context).done,
            &raw mut (*context).cause,
        ] {
            Py_XDECREF(ptr::replace(place, ptr::null_mut()));
        }
    }
    0
}

static ROOT: Params<0> = Params::new("Context.background", [], 0);

unsafe extern "C" fn background(
    _class: Object,
    args: *const Object,
    nargs: Py_ssize_t,
    names: Object,
) -> Object {
    // SAFETY: called by Python; it was made at import.
    returned(|| unsafe {
        ROOT.parse(args, nargs, names)?;
        Ok(Owned::borrow(BACKGROUND.get()))
    })
}

/// # Safety
/// `this` is a `Context`.
unsafe fn ctx_of(this: Object) -> *mut gort_ctx_t {
    // SAFETY: the caller's promise.
    unsafe { (*this.cast::<Context>()).ctx }
}

unsafe extern "C" fn with_cancel(this: Object, _: Object) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe { Context::make(gort::gort_ctx_with_cancel(ctx_of(this)), this, true) })
}

unsafe extern "C" fn with_timeout(this: Object, seconds: Object) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe {
        let ns = to_nanoseconds(seconds)?;
        Context::make(gort::gort_ctx_with_timeout(ctx_of(this), ns), this, true)
    })
}

unsafe extern "C" fn with_deadline(this: Object, t: Object) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe {
        let ns = to_nanoseconds(t)?;
        Context::make(gort::gort_ctx_with_deadline(ctx_of(this), ns), this, true)
    })
}

static WITH_VALUE: Params<2> = Params::new("Context.with_value", [c"key", c"value"], 2);

unsafe extern "C" fn with_value(
    this: Object,
    args: *const Object,
    nargs: Py_ssize_t,
    names: Object,
) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe {
        let [key, value] = WITH_VALUE.parse(args, nargs, names)?;
        let made = Context::make(gort::gort_ctx_retain(ctx_of(this)), this, false)?;
        let context: *mut Context = made.as_ptr().cast();
        (*context).key = Owned::borrow(key).into_ptr();
        (*context).value = Owned::borrow(value).into_ptr();
        Ok(made)
    })
}

unsafe extern "C" fn without_cancel(this: Object, _: Object) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe { Context::make(gort::gort_ctx_without_cancel(ctx_of(this)), this, false) })
}

static CANCEL: Params<1> = Params::new("Context.cancel", [c"cause"], 0);

unsafe extern "C" fn cancel(this: Object, args: *const Object, nargs: Py_ssize_t, names: Object) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe {
        let [cause] = CANCEL.parse(args, nargs, names)?;
        if given(cause) && PyExceptionInstance_Check(cause) == 0 {
            return Err(type_error("the cause of a cancellation is an exception, or None"));
        }
        Context::cancel(this.cast(), cause);
        Ok(none())
    })
}

unsafe extern "C" fn err(this: Object, _: Object) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe { error(gort::gort_ctx_err(ctx_of(this))) })
}

unsafe extern "C" fn cause(this: Object, _: Object) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe {
        let number = gort::gort_ctx_cause(ctx_of(this));
        let found = Context::cause(this.cast(), number);
        if found.is_null() { error(number) } else { Ok(Owned::borrow(found)) }
    })
}

static VALUE: Params<2> = Params::new("Context.value", [c"key", c"default"], 1);

unsafe extern "C" fn value(this: Object, args: *const Object, nargs: Py_ssize_t, names: Object) -> Object {
    // SAFETY: called by Python with one of ours, which keeps all above it while their keys are compared.
    returned(|| unsafe {
        let [key, default] = VALUE.parse(args, nargs, names)?;
        let mut context: *mut Context = this.cast();
        while !context.is_null() {
            let own = (*context).key;
            if !own.is_null() {
                let own = Owned::borrow(own);
                if check(PyObject_RichCompareBool(own.as_ptr(), key, Py_EQ))? != 0 {
                    return Ok(Owned::borrow((*context).value));
                }
            }
            context = (*context).parent.cast();
        }
        Ok(if default.is_null() { none() } else { Owned::borrow(default) })
    })
}

unsafe extern "C" fn done(this: Object, _: *mut c_void) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe {
        let context: *mut Context = this.cast();
        if (*context).done.is_null() {
            let ch = gort::gort_ctx_done((*context).ctx);
            let made = if ch.is_null() {
                Owned::borrow(NEVER.get())
            } else {
                wrap(gort::gort_chan_retain(ch), Format::DONE)?
            };
            // The making may have run other code, which may have asked too.
            Py_XDECREF(ptr::replace(&raw mut (*context).done, made.into_ptr()));
        }
        Ok(Owned::borrow((*context).done))
    })
}

unsafe extern "C" fn deadline(this: Object, _: *mut c_void) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe {
        match gort::gort_ctx_deadline(ctx_of(this)) {
            FOREVER => Ok(none()),
            ns => float(ns as f64 / 1e9),
        }
    })
}

unsafe extern "C" fn handle(this: Object, _: *mut c_void) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe { Owned::new(PyLong_FromVoidPtr(ctx_of(this).cast())) })
}

static FROM_HANDLE: Params<1> = Params::new("Context.from_handle", [c"handle"], 1);

unsafe extern "C" fn from_handle(
    _class: Object,
    args: *const Object,
    nargs: Py_ssize_t,
    names: Object,
) -> Object {
    // SAFETY: called by Python; that the address is a context's is what the caller in Python answers for.
    returned(|| unsafe {
        let [handle] = FROM_HANDLE.parse(args, nargs, names)?;
        let ctx: *mut gort_ctx_t = PyLong_AsVoidPtr(handle).cast();
        if ctx.is_null() {
            if PyErr_Occurred().is_null() {
                return Err(value_error("a handle is the address of a context, and not NULL"));
            }
            return Err(Raised);
        }
        Context::make(gort::gort_ctx_retain(ctx), ptr::null_mut(), true)
    })
}

unsafe extern "C" fn after_func(
    this: Object,
    args: *const Object,
    nargs: Py_ssize_t,
    names: Object,
) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe {
        let (function, rest, positional) = call_arguments("Context.after_func", args, nargs, names)?;
        after::make(ctx_of(this), After::new(function, rest, positional, names)?)
    })
}

unsafe extern "C" fn enter(this: Object, _: Object) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe { Ok(Owned::borrow(this)) })
}

unsafe extern "C" fn exit(this: Object, _: *const Object, _: Py_ssize_t, _: Object) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe {
        Context::cancel(this.cast(), ptr::null_mut());
        Ok(none())
    })
}
