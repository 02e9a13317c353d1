//! Small helpers over Python's C API: owned references, functions, arguments, types, numbers.
//!
//! The one thing to know: **everything here is raw.** A function that Python calls is an `extern "C" fn` that
//! Python itself calls (METH_FASTCALL | METH_KEYWORDS), with nothing around it that counts, attaches or unwinds:
//! it may park half-way and go on on another thread. Its body is `returned(|| { ... Ok(object) })`, where
//! `Err(Raised)` says that a Python exception is set. All of it needs the GIL (a thread state that is attached),
//! dropping an `Owned` too.

use std::ffi::{CStr, c_int, c_void};
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, Ordering};

pub(crate) use pyo3_ffi::*;

use crate::gort;

/// A borrowed reference to any object; what Python passes in and gets back.
pub(crate) type Object = *mut PyObject;

/// A Python exception is set in the current thread state.
#[derive(Debug)]
pub(crate) struct Raised;

/// A value, or a Python exception that is set.
pub(crate) type Py<T> = Result<T, Raised>;

/// An owned reference.
#[repr(transparent)]
pub(crate) struct Owned(NonNull<PyObject>);

impl Owned {
    /// Take over a new reference; null means that an exception is set.
    ///
    /// # Safety
    /// `object` is null, or a reference that the caller owns and gives away.
    pub(crate) unsafe fn new(object: Object) -> Py<Self> {
        NonNull::new(object).map(Self).ok_or(Raised)
    }

    /// A new reference to a borrowed object.
    ///
    /// # Safety
    /// `object` is a live object.
    pub(crate) unsafe fn borrow(object: Object) -> Self {
        // SAFETY: live, and the GIL is held, as the whole module asks.
        unsafe {
            Py_INCREF(object);
            Self(NonNull::new_unchecked(object))
        }
    }

    pub(crate) fn as_ptr(&self) -> Object {
        self.0.as_ptr()
    }

    /// Give the reference away.
    pub(crate) fn into_ptr(self) -> Object {
        ManuallyDrop::new(self).0.as_ptr()
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: this reference is ours, and the GIL is held, as the whole module asks.
        unsafe { Py_DECREF(self.0.as_ptr()) }
    }
}

/// What a function that Python calls returns: the object, or null with the exception that is set.
#[inline(always)]
pub(crate) fn returned(body: impl FnOnce() -> Py<Owned>) -> Object {
    match body() {
        Ok(object) => object.into_ptr(),
        Err(Raised) => ptr::null_mut(),
    }
}

/// As `returned`, for functions that return 0 or -1.
#[inline(always)]
pub(crate) fn status(body: impl FnOnce() -> Py<()>) -> c_int {
    match body() {
        Ok(()) => 0,
        Err(Raised) => -1,
    }
}

/// `None`.
pub(crate) fn none() -> Owned {
    // SAFETY: None lives for ever.
    unsafe { Owned::borrow(Py_None()) }
}

/// `True` or `False`.
pub(crate) fn boolean(value: bool) -> Owned {
    // SAFETY: both live for ever.
    unsafe { Owned::borrow(if value { Py_True() } else { Py_False() }) }
}

/// An `int`.
pub(crate) fn int(value: i64) -> Py<Owned> {
    // SAFETY: makes an object.
    unsafe { Owned::new(PyLong_FromLongLong(value)) }
}

/// An `int`.
pub(crate) fn unsigned(value: u64) -> Py<Owned> {
    // SAFETY: makes an object.
    unsafe { Owned::new(PyLong_FromUnsignedLongLong(value)) }
}

/// A `float`.
pub(crate) fn float(value: f64) -> Py<Owned> {
    // SAFETY: makes an object.
    unsafe { Owned::new(PyFloat_FromDouble(value)) }
}

/// A `str`.
pub(crate) fn string(value: &str) -> Py<Owned> {
    // SAFETY: `value` is that many bytes of UTF-8.
    unsafe { Owned::new(PyUnicode_FromStringAndSize(value.as_ptr().cast(), value.len() as Py_ssize_t)) }
}

/// A tuple of what is given.
pub(crate) fn tuple<const N: usize>(items: [Owned; N]) -> Py<Owned> {
    // SAFETY: a new tuple of N places, each of which gets a reference of its own.
    unsafe {
        let tuple = Owned::new(PyTuple_New(N as Py_ssize_t))?;
        for (index, item) in items.into_iter().enumerate() {
            PyTuple_SET_ITEM(tuple.as_ptr(), index as Py_ssize_t, item.into_ptr());
        }
        Ok(tuple)
    }
}

/// Whether `object` was given at all: neither absent nor `None`.
pub(crate) fn given(object: Object) -> bool {
    // SAFETY: compares addresses.
    !object.is_null() && object != unsafe { Py_None() }
}

/// Set an exception of a built-in or own type.
///
/// # Safety
/// `kind` is an exception type.
pub(crate) unsafe fn raise(kind: Object, message: &str) -> Raised {
    if let Ok(text) = string(message) {
        // SAFETY: an exception type and a str.
        unsafe { PyErr_SetObject(kind, text.as_ptr()) };
    }
    Raised
}

/// `ValueError`.
pub(crate) fn value_error(message: &str) -> Raised {
    // SAFETY: a built-in exception type.
    unsafe { raise(PyExc_ValueError, message) }
}

/// `TypeError`.
pub(crate) fn type_error(message: &str) -> Raised {
    // SAFETY: a built-in exception type.
    unsafe { raise(PyExc_TypeError, message) }
}

/// `MemoryError`.
pub(crate) fn no_memory() -> Raised {
    // SAFETY: sets an exception.
    unsafe { PyErr_NoMemory() };
    Raised
}

/// A C call that returned a negative number has set an exception.
pub(crate) fn check(result: c_int) -> Py<c_int> {
    if result < 0 { Err(Raised) } else { Ok(result) }
}

// ---------------------------------------------------------------------------------------------------- numbers

/// An integer argument (`__index__`).
///
/// # Safety
/// `object` is a live object.
pub(crate) unsafe fn to_int(object: Object) -> Py<i64> {
    // SAFETY: the caller's promise.
    unsafe {
        let number = Owned::new(PyNumber_Index(object))?;
        let value = PyLong_AsLongLong(number.as_ptr());
        if value == -1 && !PyErr_Occurred().is_null() { Err(Raised) } else { Ok(value) }
    }
}

/// Seconds as nanoseconds, `FOREVER` for what is too long. Negative ones stay negative.
///
/// # Safety
/// `object` is a live object.
pub(crate) unsafe fn to_nanoseconds(object: Object) -> Py<i64> {
    // SAFETY: the caller's promise.
    let seconds = unsafe {
        let seconds = PyFloat_AsDouble(object);
        if seconds == -1.0 && !PyErr_Occurred().is_null() {
            return Err(Raised);
        }
        seconds
    };
    if seconds.is_nan() {
        return Err(value_error("a time in seconds must not be NaN"));
    }
    // A cast to an integer saturates.
    Ok((seconds * 1e9).ceil() as i64)
}

/// An optional `timeout=` in seconds as a deadline on `gort_now()`: absent or `None` is for ever, what is not
/// positive is 0, which means: do not wait.
///
/// # Safety
/// `object` is null or a live object.
pub(crate) unsafe fn to_deadline(object: Object) -> Py<i64> {
    if !given(object) {
        return Ok(gort::FOREVER);
    }
    // SAFETY: the caller's promise.
    match unsafe { to_nanoseconds(object)? } {
        ..=0 => Ok(0),
        // SAFETY: reads a clock.
        nanoseconds => Ok(unsafe { gort::gort_now() }.saturating_add(nanoseconds)),
    }
}

// -------------------------------------------------------------------------------------------------- arguments

/// A function that Python calls with positional arguments in place and the names of the others.
pub(crate) type Function = unsafe extern "C" fn(Object, *const Object, Py_ssize_t, Object) -> Object;

/// The parameters of a function: `Params::new("Chan.send", [c"value", c"timeout"], 1)`.
pub(crate) struct Params<const N: usize> {
    function: &'static str,
    names: [&'static CStr; N],
    required: usize,
    positional: usize,
}

impl<const N: usize> Params<N> {
    /// The first `required` must be given; all may be given by position or by name.
    pub(crate) const fn new(function: &'static str, names: [&'static CStr; N], required: usize) -> Self {
        Self { function, names, required, positional: N }
    }

    /// Only the first `positional` may be given by position.
    pub(crate) const fn keyword_only_after(mut self, positional: usize) -> Self {
        self.positional = positional;
        self
    }

    /// The arguments of a vectorcall, borrowed; null where one is absent.
    ///
    /// # Safety
    /// The arguments are those that Python passed to a `Function`.
    #[inline]
    pub(crate) unsafe fn parse(&self, args: *const Object, nargs: Py_ssize_t, names: Object) -> Py<[Object; N]> {
        let given = nargs as usize;
        let mut found = [ptr::null_mut(); N];
        if given <= self.positional && names.is_null() && given >= self.required {
            for (index, place) in found.iter_mut().enumerate().take(given) {
                // SAFETY: `args` holds `nargs` objects.
                *place = unsafe { *args.add(index) };
            }
            return Ok(found);
        }
        // SAFETY: the caller's promise.
        unsafe { self.parse_slowly(args, given, names, &mut found)? };
        Ok(found)
    }

    /// As `parse`, for a `tp_new` or `tp_init`.
    ///
    /// # Safety
    /// `args` is a tuple, `kwargs` a dict or null.
    pub(crate) unsafe fn parse_tuple(&self, args: Object, kwargs: Object) -> Py<[Object; N]> {
        let mut found = [ptr::null_mut(); N];
        // SAFETY: the caller's promise; what the loop borrows is kept alive by the two.
        unsafe {
            let given = PyTuple_GET_SIZE(args) as usize;
            if given > self.positional {
                return Err(self.too_many(given));
            }
            for (index, place) in found.iter_mut().enumerate().take(given) {
                *place = PyTuple_GET_ITEM(args, index as Py_ssize_t);
            }
            let (mut position, mut key, mut value) = (0, ptr::null_mut(), ptr::null_mut());
            while !kwargs.is_null() && PyDict_Next(kwargs, &mut position, &mut key, &mut value) != 0 {
                self.named(key, value, &mut found)?;
            }
        }
        self.all_there(&found)?;
        Ok(found)
    }

    #[cold]
    unsafe fn parse_slowly(&self, args: *const Object, given: usize, names: Object, found: &mut [Object; N]) -> Py<()> {
        if given > self.positional {
            return Err(self.too_many(given));
        }
        // SAFETY: `args` holds the positional arguments, then one for each name.
        unsafe {
            for (index, place) in found.iter_mut().enumerate().take(given) {
                *place = *args.add(index);
            }
            let count = if names.is_null() { 0 } else { PyTuple_GET_SIZE(names) };
            for index in 0..count {
                let value = *args.add(given + index as usize);
                self.named(PyTuple_GET_ITEM(names, index), value, found)?;
            }
        }
        self.all_there(found)
    }

    /// # Safety
    /// `key` and `value` are live.
    unsafe fn named(&self, key: Object, value: Object, found: &mut [Object; N]) -> Py<()> {
        // SAFETY: the caller's promise; keywords are strings, and if not, that is said.
        unsafe {
            if PyUnicode_Check(key) == 0 {
                return Err(type_error(&format!("{}() keywords must be strings", self.function)));
            }
            let equal = |name: &&CStr| PyUnicode_CompareWithASCIIString(key, name.as_ptr()) == 0;
            let Some(index) = self.names.iter().position(equal) else {
                let name = text(key)?;
                return Err(type_error(&format!("{}() got an unexpected keyword argument '{name}'", self.function)));
            };
            if !found[index].is_null() {
                let name = text(key)?;
                return Err(type_error(&format!("{}() got multiple values for argument '{name}'", self.function)));
            }
            found[index] = value;
            Ok(())
        }
    }

    fn all_there(&self, found: &[Object; N]) -> Py<()> {
        match found[..self.required].iter().position(|object| object.is_null()) {
            None => Ok(()),
            Some(index) => {
                let name = self.names[index].to_str().unwrap_or_default();
                let text = format!("{}() missing required argument '{name}' (pos {})", self.function, index + 1);
                Err(type_error(&text))
            }
        }
    }

    fn too_many(&self, given: usize) -> Raised {
        let (function, most) = (self.function, self.positional);
        type_error(&format!("{function}() takes at most {most} positional argument(s), {given} given"))
    }
}

/// The text of a `str`.
///
/// # Safety
/// `object` is live; the text is valid as long as it.
pub(crate) unsafe fn text<'a>(object: Object) -> Py<&'a str> {
    let mut size = 0;
    // SAFETY: the caller's promise; Python's UTF-8 is UTF-8.
    unsafe {
        let data = PyUnicode_AsUTF8AndSize(object, &mut size);
        if data.is_null() {
            return Err(Raised);
        }
        Ok(std::str::from_utf8_unchecked(std::slice::from_raw_parts(data.cast(), size as usize)))
    }
}

// -------------------------------------------------------------------------------------- functions and types

/// A method or a function of the module. `doc` may begin with a signature: `"send($self, value, timeout=None)\n--\n\n"`.
pub(crate) const fn function(name: &'static CStr, f: Function, doc: &'static CStr) -> PyMethodDef {
    let ml_meth = PyMethodDefPointer { PyCFunctionFastWithKeywords: f };
    PyMethodDef { ml_name: name.as_ptr(), ml_meth, ml_flags: METH_FASTCALL | METH_KEYWORDS, ml_doc: doc.as_ptr() }
}

/// As `function`, a class method: its first argument is the type.
pub(crate) const fn class_function(name: &'static CStr, f: Function, doc: &'static CStr) -> PyMethodDef {
    let mut def = function(name, f, doc);
    def.ml_flags |= METH_CLASS;
    def
}

/// A method without arguments.
pub(crate) const fn method0(name: &'static CStr, f: PyCFunction, doc: &'static CStr) -> PyMethodDef {
    let ml_meth = PyMethodDefPointer { PyCFunction: f };
    PyMethodDef { ml_name: name.as_ptr(), ml_meth, ml_flags: METH_NOARGS, ml_doc: doc.as_ptr() }
}

/// A method with one argument.
pub(crate) const fn method1(name: &'static CStr, f: PyCFunction, doc: &'static CStr) -> PyMethodDef {
    let mut def = method0(name, f, doc);
    def.ml_flags = METH_O;
    def
}

/// `__class_getitem__`, for `Chan[int]`: a `types.GenericAlias`.
pub(crate) const fn generic() -> PyMethodDef {
    let mut def = method1(c"__class_getitem__", class_getitem, c"See PEP 585.");
    def.ml_flags |= METH_CLASS;
    def
}

unsafe extern "C" fn class_getitem(class: Object, item: Object) -> Object {
    // SAFETY: called by Python with live objects.
    unsafe { Py_GenericAlias(class, item) }
}

/// A read-only attribute.
pub(crate) const fn getter(name: &'static CStr, f: getter_fn, doc: &'static CStr) -> PyGetSetDef {
    PyGetSetDef { name: name.as_ptr(), get: Some(f), set: None, doc: doc.as_ptr(), closure: ptr::null_mut() }
}

/// What reads an attribute.
#[allow(non_camel_case_types, reason = "beside PyCFunction and the like")]
pub(crate) type getter_fn = unsafe extern "C" fn(Object, *mut c_void) -> Object;

/// The member that makes weak references to the objects possible: where the object keeps their list.
pub(crate) const fn weak_list(offset: usize) -> PyMemberDef {
    PyMemberDef {
        name: c"__weaklistoffset__".as_ptr(),
        type_code: Py_T_PYSSIZET,
        offset: offset as Py_ssize_t,
        flags: Py_READONLY,
        doc: ptr::null(),
    }
}

/// A table that Python reads to its end, a zeroed entry.
pub(crate) const fn table<T: Copy, const N: usize>(entries: [T; N]) -> Table<T, N> {
    // SAFETY: the kinds of entries, PyMethodDef, PyGetSetDef and PyMemberDef, are pointers and numbers that may be zero.
    Table(entries, unsafe { std::mem::zeroed() })
}

/// A table with its end; for statics.
#[repr(C)]
pub(crate) struct Table<T, const N: usize>([T; N], T);

// SAFETY: Python reads it, with the GIL held; it only writes to none of it.
unsafe impl<T, const N: usize> Sync for Table<T, N> {}

impl<T, const N: usize> Table<T, N> {
    pub(crate) const fn as_ptr(&'static self) -> *mut c_void {
        ptr::from_ref(self).cast_mut().cast()
    }
}

/// A type under construction: `Type::new(c"gort.Chan", size_of::<Chan>()).slot(..).make()`.
pub(crate) struct Type {
    name: &'static CStr,
    size: usize,
    flags: u32,
    slots: Vec<PyType_Slot>,
}

impl Type {
    /// An immutable, final type by default. The object is a `#[repr(C)]` struct that begins with `PyObject`.
    pub(crate) fn new(name: &'static CStr, size: usize) -> Self {
        #[allow(unused_mut, reason = "3.9 has no immutable types")]
        let mut flags = Py_TPFLAGS_DEFAULT as u32;
        #[cfg(Py_3_10)]
        {
            flags |= Py_TPFLAGS_IMMUTABLETYPE as u32;
        }
        Self { name, size, flags, slots: Vec::new() }
    }

    /// More flags: `Py_TPFLAGS_HAVE_GC`, `Py_TPFLAGS_BASETYPE`.
    pub(crate) fn flags(mut self, flags: impl TryInto<u32>) -> Self {
        self.flags |= flags.try_into().unwrap_or_else(|_| unreachable!("type flags are 32 bits"));
        self
    }

    /// Any slot: `.slot(Py_tp_dealloc, dealloc as *mut c_void)`.
    pub(crate) fn slot(mut self, slot: c_int, pointer: *mut c_void) -> Self {
        self.slots.push(PyType_Slot { slot, pfunc: pointer });
        self
    }

    pub(crate) fn doc(self, doc: &'static CStr) -> Self {
        self.slot(Py_tp_doc, doc.as_ptr().cast_mut().cast())
    }

    pub(crate) fn methods<const N: usize>(self, methods: &'static Table<PyMethodDef, N>) -> Self {
        self.slot(Py_tp_methods, methods.as_ptr())
    }

    pub(crate) fn getters<const N: usize>(self, getters: &'static Table<PyGetSetDef, N>) -> Self {
        self.slot(Py_tp_getset, getters.as_ptr())
    }

    /// Make the type. Without a `Py_tp_new` of its own it cannot be called from Python.
    pub(crate) fn make(mut self) -> Py<Owned> {
        #[allow(unused_mut, reason = "3.9 has no flag for it")]
        let mut flags = self.flags;
        let callable = self.slots.iter().any(|slot| slot.slot == Py_tp_new);
        #[cfg(Py_3_10)]
        if !callable {
            flags |= Py_TPFLAGS_DISALLOW_INSTANTIATION as u32;
        }
        self.slots.push(PyType_Slot { slot: 0, pfunc: ptr::null_mut() });
        let mut spec = PyType_Spec {
            name: self.name.as_ptr(),
            basicsize: self.size as c_int,
            itemsize: 0,
            flags,
            slots: self.slots.as_mut_ptr(),
        };
        // SAFETY: a spec whose slots end with a zeroed one; name, doc and tables are static, the rest is copied.
        let made = unsafe { Owned::new(PyType_FromSpec(&mut spec))? };
        if cfg!(not(Py_3_10)) && !callable {
            // SAFETY: a new heap type, not yet used.
            unsafe { (*made.as_ptr().cast::<PyTypeObject>()).tp_new = None };
        }
        Ok(made)
    }
}

/// Allocate an object of `class` (which may be a subclass), zeroed after its head.
///
/// # Safety
/// `class` is a type that was made for `T`s.
pub(crate) unsafe fn allocate<T>(class: *mut PyTypeObject) -> Py<NonNull<T>> {
    // SAFETY: every type has an allocator.
    unsafe {
        let allocate = (*class).tp_alloc.unwrap_or(PyType_GenericAlloc);
        NonNull::new(allocate(class, 0).cast::<T>()).ok_or(Raised)
    }
}

/// The end of a `tp_dealloc` of a heap type: free the object, and let go of its type.
///
/// # Safety
/// `object` is being deallocated, and its contents are gone.
pub(crate) unsafe fn free(object: Object) {
    // SAFETY: the caller's promise; every type has tp_free.
    unsafe {
        let class = Py_TYPE(object);
        let free = (*class).tp_free.unwrap_or(PyObject_Free);
        free(object.cast());
        Py_DECREF(class.cast());
    }
}

/// An object that is made once, at import, and lives as long as the process.
pub(crate) struct Global(AtomicPtr<PyObject>);

impl Global {
    pub(crate) const fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// Null before the import.
    #[inline(always)]
    pub(crate) fn get(&self) -> Object {
        // Relaxed: set with the GIL held, read with the GIL held.
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn type_ptr(&self) -> *mut PyTypeObject {
        self.get().cast()
    }

    pub(crate) fn set(&self, object: Owned) {
        self.0.store(object.into_ptr(), Ordering::Relaxed);
    }
}

/// Put `object` into the module under `name`.
///
/// # Safety
/// `module` is the module.
pub(crate) unsafe fn add(module: Object, name: &CStr, object: Object) -> Py<()> {
    // SAFETY: live objects.
    check(unsafe { PyObject_SetAttrString(module, name.as_ptr(), object) }).map(drop)
}
