//! The type `Chan`: its making, its end, and what the garbage collector asks of it.

use std::ffi::{c_int, c_void};
use std::mem::offset_of;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};

use super::elem::{Format, Kind};
use super::{ops, view};
use crate::attach::with_gil;
use crate::gort::{self, gort_chan_options_t, gort_chan_t};
use crate::raw::*;

pub(crate) static CHAN: Global = Global::new();

/// `gort.Chan`.
#[repr(C)]
pub(crate) struct Chan {
    head: PyObject,
    /// A reference of our own.
    pub(crate) ch: *mut gort_chan_t,
    pub(crate) format: Format,
    /// Calls that may act on the channel now without holding the GIL. Changed with the GIL held.
    pub(crate) guests: AtomicUsize,
    /// Code that is not Python has, or once had, the handle.
    shared: AtomicBool,
    /// Null or a set: the operations of event loops that wait here. Somebody who finds the channel can wake them, so
    /// it must keep them alive.
    waiting: AtomicPtr<PyObject>,
    weakrefs: Object,
}

impl Chan {
    /// # Safety
    /// `object` is a `Chan`.
    pub(crate) unsafe fn of<'a>(object: Object) -> &'a Chan {
        // SAFETY: the caller's promise; the fields that change are atomic.
        unsafe { &*object.cast() }
    }

    /// As an object: a borrowed reference.
    pub(crate) fn object(&self) -> Object {
        ptr::from_ref(self).cast_mut().cast()
    }

    /// The address of the channel, for C code. From now on the garbage collector stays out.
    pub(crate) fn share(&self) -> *mut gort_chan_t {
        // Relaxed: read and written with the GIL held.
        self.shared.store(true, Ordering::Relaxed);
        self.ch
    }

    /// The set that keeps alive the operations that wait here; `None` if somebody else must, because others than
    /// Python can complete them.
    pub(crate) fn waiting(&self) -> Py<Option<Object>> {
        if self.is_shared() {
            return Ok(None);
        }
        let set = self.waiting.load(Ordering::Relaxed);
        if !set.is_null() {
            return Ok(Some(set));
        }
        // SAFETY: makes a set.
        let new = unsafe { Owned::new(PySet_New(ptr::null_mut()))? }.into_ptr();
        match self.waiting.compare_exchange(ptr::null_mut(), new, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => Ok(Some(new)),
            Err(other) => {
                // SAFETY: ours; making it has let another in, whose set is as good.
                unsafe { Py_DECREF(new) };
                Ok(Some(other))
            }
        }
    }

    /// `operation` waits here no more.
    ///
    /// # Safety
    /// It is live, and somebody else has a reference to it.
    pub(crate) unsafe fn forget(&self, operation: Object) {
        let set = self.waiting.load(Ordering::Relaxed);
        // SAFETY: a set of ours; operations have the hash and the equality of `object`.
        unsafe {
            if !set.is_null() && PySet_Discard(set, operation) < 0 {
                PyErr_Clear();
            }
        }
    }

    fn is_shared(&self) -> bool {
        self.shared.load(Ordering::Relaxed)
    }

    /// Whether the collector may look into the buffer, as `mod.rs` says.
    fn is_ours_alone(&self) -> bool {
        self.format.kind == Kind::Object
            && !self.ch.is_null()
            && !self.is_shared()
            && self.guests.load(Ordering::Relaxed) == 0
    }
}

/// A `Chan` for a channel that others know of too: a timer's, a context's, one of C code.
///
/// # Safety
/// `ch` is a reference that the caller gives away, or null for want of memory; its elements are of that format.
pub(crate) unsafe fn wrap(ch: *mut gort_chan_t, format: Format) -> Py<Owned> {
    if ch.is_null() {
        return Err(no_memory());
    }
    // SAFETY: the caller's promise.
    unsafe { make(CHAN.type_ptr(), ch, format, true) }
}

/// # Safety
/// As for `wrap`.
unsafe fn make(class: *mut PyTypeObject, ch: *mut gort_chan_t, format: Format, shared: bool) -> Py<Owned> {
    // SAFETY: the type is made for `Chan`s; a new object is ours alone, and zeroed is valid for what is not set here.
    unsafe {
        match allocate::<Chan>(class) {
            Ok(chan) => {
                let chan = chan.as_ptr();
                (*chan).ch = ch;
                (&raw mut (*chan).format).write(format);
                (*chan).shared = AtomicBool::new(shared);
                Owned::new(chan.cast())
            }
            Err(raised) => {
                gort::gort_chan_release(ch);
                Err(raised)
            }
        }
    }
}

unsafe extern "C" fn new(class: *mut PyTypeObject, args: Object, kwargs: Object) -> Object {
    const PARAMS: Params<2> = Params::new("Chan", [c"cap", c"elem"], 0).keyword_only_after(1);
    // SAFETY: called by Python with a tuple and a dict or null.
    returned(|| unsafe {
        let [cap, elem] = PARAMS.parse_tuple(args, kwargs)?;
        let cap = if cap.is_null() { 0 } else { to_int(cap)? };
        let Ok(cap) = usize::try_from(cap) else {
            return Err(value_error("the capacity of a channel must not be negative"));
        };
        let format = Format::new(elem)?;
        let ch = if format.kind == Kind::Object {
            let size = size_of::<gort_chan_options_t>();
            let options = gort_chan_options_t { size, drop: Some(drop_object), data: ptr::null_mut() };
            gort::gort_chan_new_with(format.size, cap, &options)
        } else {
            gort::gort_chan_new(format.size, cap)
        };
        if ch.is_null() {
            return Err(no_memory());
        }
        make(class, ch, format, false)
    })
}

/// What becomes of a buffered object whose channel is gone.
unsafe extern "C" fn drop_object(elem: *mut c_void, _: *mut c_void) {
    // SAFETY: an element is an owned reference, or null if C code has sent that; the channel has given it up.
    let object = unsafe { elem.cast::<Object>().read() };
    // SAFETY: as above.
    with_gil(|| unsafe { Py_XDECREF(object) });
}

unsafe extern "C" fn from_handle(
    _class: Object,
    args: *const Object,
    nargs: Py_ssize_t,
    names: Object,
) -> Object {
    const PARAMS: Params<2> = Params::new("Chan.from_handle", [c"handle", c"elem"], 1).keyword_only_after(1);
    // SAFETY: called by Python; that the address is a channel's is what the caller in Python answers for.
    returned(|| unsafe {
        let [handle, elem] = PARAMS.parse(args, nargs, names)?;
        let number = Owned::new(PyNumber_Index(handle))?;
        let ch: *mut gort_chan_t = PyLong_AsVoidPtr(number.as_ptr()).cast();
        if ch.is_null() {
            if PyErr_Occurred().is_null() {
                return Err(value_error("a handle is the address of a channel, and not NULL"));
            }
            return Err(Raised);
        }
        let format = Format::of(elem, gort::gort_chan_elem_size(ch))?;
        wrap(gort::gort_chan_retain(ch), format)
    })
}

unsafe extern "C" {
    /// In `trash.c`: untracks the object, and calls `gort_python_chan_free` unless too many are being
    /// deallocated one inside the other; then a little later.
    fn gort_python_chan_dealloc(object: Object);
}

/// The end of a `Chan`, called by `trash.c`.
///
/// # Safety
/// `object` is a `Chan` that is being deallocated, and is not tracked any more.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn gort_python_chan_free(object: Object) {
    // SAFETY: the caller's promise: nobody else has it.
    unsafe {
        let chan: *mut Chan = object.cast();
        if !(*chan).weakrefs.is_null() {
            PyObject_ClearWeakRefs(object);
        }
        Py_XDECREF(*(*chan).waiting.get_mut());
        // What is in the buffer is dropped here, if nobody else has the channel.
        gort::gort_chan_release((*chan).ch);
        free(object);
    }
}

/// A visit of the collector on its way through a channel's buffer.
struct Visit {
    visit: visitproc,
    arg: *mut c_void,
}

unsafe extern "C" fn visit_element(elem: *mut c_void, arg: *mut c_void) -> c_int {
    // SAFETY: an element is a reference or null; the collector's functions neither wait nor call us.
    unsafe {
        let Visit { visit, arg } = *arg.cast::<Visit>();
        let object = elem.cast::<Object>().read();
        if object.is_null() { 0 } else { visit(object, arg) }
    }
}

unsafe extern "C" fn traverse(object: Object, visit: visitproc, arg: *mut c_void) -> c_int {
    // SAFETY: called by the collector, which holds the GIL.
    unsafe {
        let chan = Chan::of(object);
        match visit(Py_TYPE(object).cast(), arg) {
            0 => {}
            stop => return stop,
        }
        // Once it is shared others can complete the operations that wait, whoever can reach the channel in Python.
        let waiting = chan.waiting.load(Ordering::Relaxed);
        if !waiting.is_null() && !chan.is_shared() {
            match visit(waiting, arg) {
                0 => {}
                stop => return stop,
            }
        }
        if !chan.is_ours_alone() {
            return 0;
        }
        let mut visit = Visit { visit, arg };
        gort::gort_chan_visit(chan.ch, visit_element, (&raw mut visit).cast())
    }
}

unsafe extern "C" fn clear(object: Object) -> c_int {
    // SAFETY: called by the collector, for a channel that nobody can reach.
    unsafe {
        let chan = Chan::of(object);
        Py_XDECREF(chan.waiting.swap(ptr::null_mut(), Ordering::Relaxed));
        if chan.is_ours_alone() {
            gort::gort_chan_clear(chan.ch);
        }
    }
    0
}

unsafe extern "C" fn repr(object: Object) -> Object {
    // SAFETY: called by Python with a `Chan`.
    returned(|| unsafe {
        let ch = Chan::of(object).ch;
        let (len, cap) = (gort::gort_chan_len(ch), gort::gort_chan_cap(ch));
        string(&format!("<gort.Chan len={len} cap={cap} at {ch:p}>"))
    })
}

unsafe extern "C" fn handle(object: Object, _: *mut c_void) -> Object {
    // SAFETY: called by Python with a `Chan`.
    returned(|| unsafe { unsigned(Chan::of(object).share() as u64) })
}

/// Two are equal that stand for the same channel, as one made by `from_handle` may.
pub(super) unsafe extern "C" fn compare(this: Object, other: Object, op: c_int) -> Object {
    // SAFETY: called by Python with one of ours first.
    returned(|| unsafe {
        let equal = Py_TYPE(this) == Py_TYPE(other)
            && view::target(this).map(|c| c.ch) == view::target(other).map(|c| c.ch);
        if op == Py_EQ {
            Ok(boolean(equal))
        } else if op == Py_NE {
            Ok(boolean(!equal))
        } else {
            Ok(Owned::borrow(Py_NotImplemented()))
        }
    })
}

pub(super) unsafe extern "C" fn hash(this: Object) -> Py_hash_t {
    // SAFETY: called by Python with one of ours.
    let address = unsafe { view::target(this) }.map_or(0, |chan| chan.ch as usize);
    // Addresses are multiples of 16; and -1 would be an error, which no rotated address is.
    address.rotate_right(4) as Py_hash_t
}

static METHODS: Table<PyMethodDef, 12> = table([
    function(
        c"send",
        ops::send::<view::Whole>,
        c"send($self, value, timeout=None)\n--\n\nSend value. Waits until a receiver has it or it has a place in the \
          buffer. Raises Closed; TimeoutError when timeout seconds have passed.",
    ),
    function(
        c"recv",
        ops::recv::<view::Whole>,
        c"recv($self, timeout=None)\n--\n\nReceive a value. Waits until there is one. Raises Closed once the channel is \
          closed and drained; TimeoutError when timeout seconds have passed.",
    ),
    function(
        c"recv_ok",
        ops::recv_ok::<view::Whole>,
        c"recv_ok($self, timeout=None)\n--\n\nReceive (value, True); (None, False) once the channel is closed and \
          drained. Raises TimeoutError when timeout seconds have passed.",
    ),
    method1(
        c"try_send",
        ops::try_send::<view::Whole>,
        c"try_send($self, value, /)\n--\n\nSend value if that can be done at once. Raises WouldBlock, Closed.",
    ),
    method0(
        c"try_recv",
        ops::try_recv::<view::Whole>,
        c"try_recv($self, /)\n--\n\nReceive a value if there is one. Raises WouldBlock, Closed.",
    ),
    method0(
        c"close",
        ops::close::<view::Whole>,
        c"close($self, /)\n--\n\nClose the channel: what is in the buffer can still be received, nothing can be sent. \
          Raises Closed if it was closed before.",
    ),
    method0(c"on_recv", ops::on_recv::<view::Whole>, c"on_recv($self, /)\n--\n\nA case for select: receive from here."),
    method1(
        c"on_send",
        ops::on_send::<view::Whole>,
        c"on_send($self, value, /)\n--\n\nA case for select: send value here.",
    ),
    method1(
        c"asend",
        ops::asend::<view::Whole>,
        c"asend($self, value, /)\n--\n\nA coroutine for an event loop of asyncio: send value. Raises Closed. If it is \
          cancelled, value was not sent.",
    ),
    method0(
        c"arecv",
        ops::arecv::<view::Whole>,
        c"arecv($self, /)\n--\n\nA coroutine for an event loop of asyncio: receive a value. Raises Closed once the \
          channel is closed and drained. If it is cancelled, nothing was received.",
    ),
    class_function(
        c"from_handle",
        from_handle,
        c"from_handle($type, handle, *, elem=None)\n--\n\nThe channel at the address handle: another's Chan.handle, or a \
          gort_chan_t* of C code. The caller answers for what its elements are: elem is object (owned references; the \
          default), int, float, bytes, or a number of bytes.",
    ),
    generic(),
]);

static GETTERS: Table<PyGetSetDef, 4> = table([
    getter(c"cap", ops::cap::<view::Whole>, c"The capacity; 0: a send waits for its receiver."),
    getter(c"tx", view::tx, c"A view of the channel that can only send."),
    getter(c"rx", view::rx, c"A view of the channel that can only receive."),
    getter(
        c"handle",
        handle,
        c"The address of the channel, a gort_chan_t*, for C code; valid as long as this object, or longer if it is \
          retained there.",
    ),
]);

static MEMBERS: Table<PyMemberDef, 1> = table([weak_list(offset_of!(Chan, weakrefs))]);

/// # Safety
/// `module` is the module.
pub(super) unsafe fn add_to(module: Object) -> Py<()> {
    let class = Type::new(c"gort.Chan", size_of::<Chan>())
        .flags(Py_TPFLAGS_HAVE_GC)
        .doc(
            c"Chan(cap=0, *, elem=None)\n--\n\nA channel that holds up to cap values; without a buffer a send waits for \
              its receiver. Any object travels. For channels that C code uses too, elem says what an element is: int (an \
              int64_t), float (a double), or a number of bytes.",
        )
        .slot(Py_tp_new, new as *mut c_void)
        .slot(Py_tp_dealloc, gort_python_chan_dealloc as *mut c_void)
        .slot(Py_tp_traverse, traverse as *mut c_void)
        .slot(Py_tp_clear, clear as *mut c_void)
        .slot(Py_tp_repr, repr as *mut c_void)
        .slot(Py_tp_richcompare, compare as *mut c_void)
        .slot(Py_tp_hash, hash as *mut c_void)
        .slot(Py_tp_iter, PyObject_SelfIter as *mut c_void)
        .slot(Py_tp_iternext, ops::next::<view::Whole> as *mut c_void)
        .slot(Py_am_aiter, PyObject_SelfIter as *mut c_void)
        .slot(Py_am_anext, ops::anext::<view::Whole> as *mut c_void)
        .slot(Py_sq_length, ops::len::<view::Whole> as *mut c_void)
        .slot(Py_nb_bool, ops::truth as *mut c_void)
        .slot(Py_tp_members, MEMBERS.as_ptr())
        .methods(&METHODS)
        .getters(&GETTERS)
        .make()?;
    // SAFETY: the caller's promise.
    unsafe { add(module, c"Chan", class.as_ptr())? };
    CHAN.set(class);
    Ok(())
}
