//! `Once`.
//!
//! The one thing to know: who comes first is known by one swap; the others wait for a wait group, which stands at one
//! until the function has ended. (`gort_once_do` has no deadline, so that Ctrl-C could not end a wait for it, and calls
//! the function from C, so that a goroutine would keep its thread while it parks in there.)

use std::ffi::c_void;
use std::mem::offset_of;
use std::sync::atomic::{AtomicU8, Ordering};

use super::{dealloc, waited};
use crate::block::may_block;
use crate::gort::{self, EAGAIN, ETIMEDOUT, gort_waitgroup_t};
use crate::raw::*;

pub(super) static CLASS: Global = Global::new();

const NEW: u8 = 0;
const BEGUN: u8 = 1;
const DONE: u8 = 2;

#[repr(C)]
struct Once {
    head: PyObject,
    state: AtomicU8,
    /// At one until the function has ended.
    running: gort_waitgroup_t,
    weakrefs: Object,
}

static METHODS: Table<PyMethodDef, 1> = table([function(
    c"do",
    run,
    c"do($self, fn, /, *args, **kwargs)\n--\n\nCall fn(*args, **kwargs) if this is the first call of all, else wait until that of the first has ended.\nAn exception in it goes to the first caller, and counts as an end.",
)]);

static GETTERS: Table<PyGetSetDef, 1> = table([getter(c"done", done, c"Whether the first call has ended.")]);

static MEMBERS: Table<PyMemberDef, 1> = table([weak_list(offset_of!(Once, weakrefs))]);

pub(super) fn make() -> Py<Owned> {
    Type::new(c"gort.Once", size_of::<Once>())
        .doc(c"Once()\n--\n\nCalls a function once, whoever comes first, as Go's sync.Once.")
        .slot(Py_tp_new, new as *mut c_void)
        .slot(Py_tp_dealloc, dealloc::<{ offset_of!(Once, weakrefs) }> as *mut c_void)
        .slot(Py_tp_members, MEMBERS.as_ptr())
        .methods(&METHODS)
        .getters(&GETTERS)
        .make()
}

static PARAMS: Params<0> = Params::new("Once", [], 0);

unsafe extern "C" fn new(class: *mut PyTypeObject, args: Object, kwargs: Object) -> Object {
    // SAFETY: Python's arguments for a tp_new; a wait group is ready when zeroed.
    returned(|| unsafe {
        PARAMS.parse_tuple(args, kwargs)?;
        let once: *mut Once = allocate::<Once>(class)?.as_ptr();
        gort::gort_waitgroup_add(&raw mut (*once).running, 1);
        Owned::new(once.cast())
    })
}

unsafe extern "C" fn run(this: Object, args: *const Object, nargs: Py_ssize_t, names: Object) -> Object {
    // SAFETY: called by Python with one of ours, which the caller keeps.
    returned(|| unsafe {
        let once: *mut Once = this.cast();
        if nargs < 1 {
            return Err(type_error("Once.do() missing required argument 'fn' (pos 1)"));
        }
        // Acquire: with Release below; who finds it done sees what the function did.
        if (*once).state.load(Ordering::Acquire) == DONE {
            return Ok(none());
        }
        let first = (*once).state.compare_exchange(NEW, BEGUN, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if !first {
            return wait(once);
        }
        let result = Owned::new(PyObject_Vectorcall(*args, args.add(1), (nargs - 1) as usize, names));
        (*once).state.store(DONE, Ordering::Release);
        gort::gort_waitgroup_done(&raw mut (*once).running);
        result.map(|_| none())
    })
}

unsafe fn wait(once: *mut Once) -> Py<Owned> {
    // SAFETY: the caller keeps it; the C calls touch the C value only.
    unsafe {
        let running = &raw mut (*once).running;
        let attempt = || match gort::gort_waitgroup_wait_until(running, 0) {
            ETIMEDOUT => EAGAIN,
            status => status,
        };
        waited(may_block(gort::FOREVER, attempt, |until| gort::gort_waitgroup_wait_until(running, until))?)?;
        Ok(none())
    }
}

unsafe extern "C" fn done(this: Object, _: *mut c_void) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe { Ok(boolean((*this.cast::<Once>()).state.load(Ordering::Acquire) == DONE)) })
}
