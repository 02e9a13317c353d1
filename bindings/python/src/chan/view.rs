//! The types `SendChan` and `RecvChan`: a channel that can only be sent on, only be received from.
//!
//! The one thing to know: a view is a reference to a `Chan` and nothing more; each of its methods is the one of
//! `Chan`, made for another [`Face`].

use std::ffi::{c_int, c_void};
use std::mem::offset_of;

use super::object::{CHAN, Chan, compare, hash};
use super::ops;
use crate::raw::*;

pub(crate) static SEND_CHAN: Global = Global::new();
pub(crate) static RECV_CHAN: Global = Global::new();

/// `gort.SendChan` and `gort.RecvChan`.
#[repr(C)]
struct View {
    head: PyObject,
    /// A `Chan`, owned; null once the collector has cleared the view.
    chan: Object,
    weakrefs: Object,
}

/// One of the three types, for what they have in common.
pub(crate) trait Face {
    /// The channel behind an object of the type.
    ///
    /// # Safety
    /// `object` is of the type.
    unsafe fn chan<'a>(object: Object) -> &'a Chan;
}

/// `Chan` itself.
pub(crate) struct Whole;
/// A view, of either kind.
pub(crate) struct Part;

impl Face for Whole {
    #[inline(always)]
    unsafe fn chan<'a>(object: Object) -> &'a Chan {
        // SAFETY: the caller's promise.
        unsafe { Chan::of(object) }
    }
}

impl Face for Part {
    #[inline(always)]
    unsafe fn chan<'a>(object: Object) -> &'a Chan {
        // SAFETY: the caller's promise. A view has its channel from its making to its end.
        unsafe { Chan::of((*object.cast::<View>()).chan) }
    }
}

/// The channel behind an object of any of the three types; `None` for another object.
///
/// # Safety
/// `object` is live.
#[inline]
pub(crate) unsafe fn target<'a>(object: Object) -> Option<&'a Chan> {
    // SAFETY: the type says what the object is.
    unsafe {
        let class = Py_TYPE(object);
        if class == CHAN.type_ptr() {
            Some(Whole::chan(object))
        } else if class == SEND_CHAN.type_ptr() || class == RECV_CHAN.type_ptr() {
            Some(Part::chan(object))
        } else {
            None
        }
    }
}

unsafe fn make(class: &Global, chan: Object) -> Py<Owned> {
    // SAFETY: the type is made for views; the object is new.
    unsafe {
        let view = allocate::<View>(class.type_ptr())?.as_ptr();
        (*view).chan = Owned::borrow(chan).into_ptr();
        Owned::new(view.cast())
    }
}

pub(super) unsafe extern "C" fn tx(chan: Object, _: *mut c_void) -> Object {
    // SAFETY: called by Python with a `Chan`.
    returned(|| unsafe { make(&SEND_CHAN, chan) })
}

pub(super) unsafe extern "C" fn rx(chan: Object, _: *mut c_void) -> Object {
    // SAFETY: called by Python with a `Chan`.
    returned(|| unsafe { make(&RECV_CHAN, chan) })
}

unsafe extern "C" fn dealloc(object: Object) {
    // SAFETY: the object is at its end, and nobody else has it.
    unsafe {
        PyObject_GC_UnTrack(object.cast());
        let view: *mut View = object.cast();
        if !(*view).weakrefs.is_null() {
            PyObject_ClearWeakRefs(object);
        }
        Py_XDECREF((*view).chan);
        free(object);
    }
}

/// A view has no `tp_clear`: a cycle through it goes through its channel, which has one, and so a live view always has
/// its channel.
unsafe extern "C" fn traverse(object: Object, visit: visitproc, arg: *mut c_void) -> c_int {
    // SAFETY: called by the collector, which holds the GIL.
    unsafe {
        match visit(Py_TYPE(object).cast(), arg) {
            0 => visit((*object.cast::<View>()).chan, arg),
            stop => stop,
        }
    }
}

unsafe extern "C" fn repr(object: Object) -> Object {
    // SAFETY: called by Python with a view.
    returned(|| unsafe {
        let direction = if Py_TYPE(object) == SEND_CHAN.type_ptr() { "SendChan" } else { "RecvChan" };
        let inner = Owned::new(PyObject_Repr((*object.cast::<View>()).chan))?;
        string(&text(inner.as_ptr())?.replacen("Chan", direction, 1))
    })
}

static SEND_METHODS: Table<PyMethodDef, 6> = table([
    function(c"send", ops::send::<Part>, c"send($self, value, timeout=None)\n--\n\nAs Chan.send()."),
    method1(c"try_send", ops::try_send::<Part>, c"try_send($self, value, /)\n--\n\nAs Chan.try_send()."),
    method0(c"close", ops::close::<Part>, c"close($self, /)\n--\n\nAs Chan.close()."),
    method1(c"on_send", ops::on_send::<Part>, c"on_send($self, value, /)\n--\n\nAs Chan.on_send()."),
    method1(c"asend", ops::asend::<Part>, c"asend($self, value, /)\n--\n\nAs Chan.asend()."),
    generic(),
]);

static RECV_METHODS: Table<PyMethodDef, 6> = table([
    function(c"recv", ops::recv::<Part>, c"recv($self, timeout=None)\n--\n\nAs Chan.recv()."),
    function(c"recv_ok", ops::recv_ok::<Part>, c"recv_ok($self, timeout=None)\n--\n\nAs Chan.recv_ok()."),
    method0(c"try_recv", ops::try_recv::<Part>, c"try_recv($self, /)\n--\n\nAs Chan.try_recv()."),
    method0(c"on_recv", ops::on_recv::<Part>, c"on_recv($self, /)\n--\n\nAs Chan.on_recv()."),
    method0(c"arecv", ops::arecv::<Part>, c"arecv($self, /)\n--\n\nAs Chan.arecv()."),
    generic(),
]);

static GETTERS: Table<PyGetSetDef, 1> =
    table([getter(c"cap", ops::cap::<Part>, c"The capacity of the channel.")]);

static MEMBERS: Table<PyMemberDef, 1> = table([weak_list(offset_of!(View, weakrefs))]);

fn common(name: &'static std::ffi::CStr) -> Type {
    Type::new(name, size_of::<View>())
        .flags(Py_TPFLAGS_HAVE_GC)
        .slot(Py_tp_dealloc, dealloc as *mut c_void)
        .slot(Py_tp_traverse, traverse as *mut c_void)
        .slot(Py_tp_repr, repr as *mut c_void)
        .slot(Py_tp_richcompare, compare as *mut c_void)
        .slot(Py_tp_hash, hash as *mut c_void)
        .slot(Py_sq_length, ops::len::<Part> as *mut c_void)
        .slot(Py_nb_bool, ops::truth as *mut c_void)
        .slot(Py_tp_members, MEMBERS.as_ptr())
        .getters(&GETTERS)
}

/// # Safety
/// `module` is the module.
pub(super) unsafe fn add_to(module: Object) -> Py<()> {
    let send = common(c"gort.SendChan")
        .doc(c"A view of a channel that can only send: Chan.tx.")
        .methods(&SEND_METHODS)
        .make()?;
    let recv = common(c"gort.RecvChan")
        .doc(c"A view of a channel that can only receive: Chan.rx.")
        .slot(Py_tp_iter, PyObject_SelfIter as *mut c_void)
        .slot(Py_tp_iternext, ops::next::<Part> as *mut c_void)
        .slot(Py_am_aiter, PyObject_SelfIter as *mut c_void)
        .slot(Py_am_anext, ops::anext::<Part> as *mut c_void)
        .methods(&RECV_METHODS)
        .make()?;
    // SAFETY: the caller's promise.
    unsafe {
        add(module, c"SendChan", send.as_ptr())?;
        add(module, c"RecvChan", recv.as_ptr())?;
    }
    SEND_CHAN.set(send);
    RECV_CHAN.set(recv);
    Ok(())
}
