//! `WaitGroup`.

use std::ffi::{c_int, c_void};
use std::mem::offset_of;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{dealloc, runtime_error, waited};
use crate::block::may_block;
use crate::go::{self, Goroutine, call_arguments};
use crate::gort::{self, EAGAIN, ETIMEDOUT, gort_waitgroup_t};
use crate::raw::*;

pub(super) static CLASS: Global = Global::new();

#[repr(C)]
pub(super) struct WaitGroup {
    head: PyObject,
    wg: gort_waitgroup_t,
    /// The counter as C has it: checked and changed together with C's, under `busy`.
    count: i64,
    /// A lock, held for a few instructions, during which nobody parks: with a GIL there is never anybody to wait for.
    busy: AtomicBool,
    weakrefs: Object,
}

impl WaitGroup {
    unsafe fn add(this: *mut WaitGroup, delta: i64) -> Py<()> {
        // SAFETY: the caller keeps the object; `busy` makes the check and the call one step, so that C's counter is
        // what `count` says, and does not become negative or overflow, which would be a panic.
        unsafe {
            while (*this).busy.swap(true, Ordering::Acquire) {
                std::hint::spin_loop();
            }
            let new = (*this).count.checked_add(delta);
            let result = match new {
                Some(new @ 0..=0x7fff_ffff) => {
                    (*this).count = new;
                    gort::gort_waitgroup_add(&raw mut (*this).wg, delta);
                    Ok(())
                }
                Some(..=-1) => Err("negative WaitGroup counter"),
                _ => Err("WaitGroup counter overflow"),
            };
            (*this).busy.store(false, Ordering::Release);
            result.map_err(runtime_error)
        }
    }

    unsafe fn wait(this: *mut WaitGroup, deadline: i64) -> Py<c_int> {
        // SAFETY: the caller keeps the object; the C calls touch the C value only.
        unsafe {
            let wg = &raw mut (*this).wg;
            let attempt = || match gort::gort_waitgroup_wait_until(wg, 0) {
                ETIMEDOUT => EAGAIN,
                status => status,
            };
            may_block(deadline, attempt, |until| gort::gort_waitgroup_wait_until(wg, until))
        }
    }
}

static METHODS: Table<PyMethodDef, 4> = table([
    function(c"add", add, c"add($self, /, n=1)\n--\n\nAdd n, which may be negative, to the counter. RuntimeError if it would be below zero."),
    method0(c"done", done, c"done($self, /)\n--\n\nTake one from the counter."),
    function(c"wait", wait, c"wait($self, /, timeout=None)\n--\n\nWait until the counter is zero. Raises TimeoutError."),
    function(
        c"go",
        go,
        c"go($self, fn, /, *args, **kwargs)\n--\n\nAdd one, and start a goroutine that calls fn(*args, **kwargs) and takes one away when that has ended in\nany way. An exception goes to gort.excepthook first.",
    ),
]);

static MEMBERS: Table<PyMemberDef, 1> = table([weak_list(offset_of!(WaitGroup, weakrefs))]);

pub(super) fn make() -> Py<Owned> {
    Type::new(c"gort.WaitGroup", size_of::<WaitGroup>())
        .doc(c"WaitGroup()\n--\n\nWaits until a number of things are done, as Go's sync.WaitGroup.")
        .slot(Py_tp_new, new as *mut c_void)
        .slot(Py_tp_dealloc, dealloc::<{ offset_of!(WaitGroup, weakrefs) }> as *mut c_void)
        .slot(Py_tp_members, MEMBERS.as_ptr())
        .methods(&METHODS)
        .make()
}

static NEW: Params<0> = Params::new("WaitGroup", [], 0);

unsafe extern "C" fn new(class: *mut PyTypeObject, args: Object, kwargs: Object) -> Object {
    // SAFETY: Python's arguments for a tp_new; zeroed memory is a wait group at zero.
    returned(|| unsafe {
        NEW.parse_tuple(args, kwargs)?;
        Owned::new(allocate::<WaitGroup>(class)?.as_ptr().cast())
    })
}

static ADD: Params<1> = Params::new("WaitGroup.add", [c"n"], 0);

unsafe extern "C" fn add(this: Object, args: *const Object, nargs: Py_ssize_t, names: Object) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe {
        let [n] = ADD.parse(args, nargs, names)?;
        let n = if n.is_null() { 1 } else { to_int(n)? };
        WaitGroup::add(this.cast(), n)?;
        Ok(none())
    })
}

unsafe extern "C" fn done(this: Object, _: Object) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe { WaitGroup::add(this.cast(), -1).map(|()| none()) })
}

static WAIT: Params<1> = Params::new("WaitGroup.wait", [c"timeout"], 0);

unsafe extern "C" fn wait(this: Object, args: *const Object, nargs: Py_ssize_t, names: Object) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe {
        let [timeout] = WAIT.parse(args, nargs, names)?;
        waited(WaitGroup::wait(this.cast(), to_deadline(timeout)?)?)?;
        Ok(none())
    })
}

unsafe extern "C" fn go(this: Object, args: *const Object, nargs: Py_ssize_t, names: Object) -> Object {
    // SAFETY: called by Python with one of ours; the goroutine gets a reference of its own, which `end` gives up.
    returned(|| unsafe {
        let (function, rest, positional) = call_arguments("WaitGroup.go", args, nargs, names)?;
        WaitGroup::add(this.cast(), 1)?;
        Py_INCREF(this);
        if let Err(raised) = go::start(function, rest, positional, names, end, this.cast()) {
            undo(this);
            return Err(raised);
        }
        Ok(none())
    })
}

/// Take one from the counter, and give up the reference. An exception that is set stays so.
unsafe fn undo(this: Object) {
    // SAFETY: the reference of `go`. The counter is at least one, unless the user has taken away too much: then
    // there is nobody to tell.
    unsafe {
        let (mut kind, mut value, mut traceback) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
        PyErr_Fetch(&mut kind, &mut value, &mut traceback);
        if WaitGroup::add(this.cast(), -1).is_err() {
            PyErr_WriteUnraisable(this);
        }
        PyErr_Restore(kind, value, traceback);
        Py_DECREF(this);
    }
}

unsafe fn end(goroutine: *mut Goroutine, result: Object, this: *mut c_void) {
    // SAFETY: called by the goroutine at its end.
    unsafe {
        go::forget(goroutine, result, ptr::null_mut());
        undo(this.cast());
    }
}
