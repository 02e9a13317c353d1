//! `RLock`: a lock that its owner may take again. The owner is a goroutine or, outside goroutines, a thread.
//!
//! The one thing to know: who the caller is, is the number of its Python thread state, of which each goroutine has its
//! own, and each thread. (`threading.RLock` asks for the OS thread, which goroutines share.)

use std::ffi::{c_int, c_void};
use std::mem::offset_of;
use std::sync::atomic::{AtomicU64, Ordering};

use super::mutex::Lock;
use super::{dealloc, obtained, runtime_error, threading_deadline, waited};
use crate::gort::{self, OK};
use crate::raw::*;

pub(super) static CLASS: Global = Global::new();

#[repr(C)]
pub(super) struct RLock {
    head: PyObject,
    pub(super) lock: Lock,
    /// Who holds it, or 0. Relaxed: only the owner can find itself here, and it has written it itself.
    owner: AtomicU64,
    /// How often. The owner's.
    depth: u64,
    weakrefs: Object,
}

/// How a lock was held, to be so again.
pub(super) struct Hold {
    owner: u64,
    depth: u64,
}

/// Who calls: never 0.
fn caller() -> u64 {
    // SAFETY: the GIL is held, so there is a state.
    unsafe { (PyThreadState_GetID(PyThreadState_Get()) + 1) as u64 }
}

impl RLock {
    unsafe fn acquire(this: *mut RLock, deadline: i64) -> Py<c_int> {
        // SAFETY: `this` is the caller's to use; depth is touched by the owner alone.
        unsafe {
            let caller = caller();
            if (*this).owner.load(Ordering::Relaxed) == caller {
                (*this).depth += 1;
                return Ok(OK);
            }
            let status = Lock::lock(&raw mut (*this).lock, deadline)?;
            if status == OK {
                (*this).owner.store(caller, Ordering::Relaxed);
                (*this).depth = 1;
            }
            Ok(status)
        }
    }

    unsafe fn owned(this: *mut RLock) -> bool {
        // SAFETY: as in `acquire`.
        unsafe { (*this).owner.load(Ordering::Relaxed) == caller() }
    }

    unsafe fn release(this: *mut RLock) -> Py<()> {
        // SAFETY: as in `acquire`.
        unsafe {
            if !Self::owned(this) {
                return Err(runtime_error("unlock of an RLock that the caller does not hold"));
            }
            (*this).depth -= 1;
            if (*this).depth == 0 {
                (*this).owner.store(0, Ordering::Relaxed);
                Lock::unlock(&raw mut (*this).lock);
            }
            Ok(())
        }
    }

    /// Before a wait that unlocks all at once: `None` if the caller does not hold it.
    pub(super) unsafe fn let_go(this: *mut RLock) -> Option<Hold> {
        // SAFETY: as in `acquire`.
        unsafe {
            if !Self::owned(this) {
                return None;
            }
            let hold = Hold { owner: (*this).owner.swap(0, Ordering::Relaxed), depth: (*this).depth };
            (*this).depth = 0;
            Some(hold)
        }
    }

    /// After it: the caller holds the mutex again.
    pub(super) unsafe fn take_up(this: *mut RLock, hold: Hold) {
        // SAFETY: as in `acquire`.
        unsafe {
            (*this).owner.store(hold.owner, Ordering::Relaxed);
            (*this).depth = hold.depth;
        }
    }
}

static METHODS: Table<PyMethodDef, 10> = table([
    function(c"lock", lock, c"lock($self, /, timeout=None)\n--\n\nLock it, once more if the caller holds it. Raises TimeoutError."),
    method0(c"try_lock", try_lock, c"try_lock($self, /)\n--\n\nLock it if nobody else holds it: whether that was so."),
    method0(c"unlock", unlock, c"unlock($self, /)\n--\n\nUndo one lock(). RuntimeError if the caller does not hold it."),
    method0(c"locked", locked, c"locked($self, /)\n--\n\nWhether somebody holds it."),
    function(c"acquire", acquire, c"acquire($self, /, blocking=True, timeout=-1)\n--\n\nAs threading.RLock.acquire."),
    method0(c"release", unlock, c"release($self, /)\n--\n\nThe same as unlock()."),
    method0(c"__enter__", enter, c"__enter__($self, /)\n--\n\nLock it."),
    function(c"__exit__", exit, c"__exit__($self, /, *args)\n--\n\nUnlock it."),
    method0(c"_is_owned", is_owned, c"_is_owned($self, /)\n--\n\nWhether the caller holds it; for threading.Condition."),
    method0(c"_at_fork_reinit", reinit, c"_at_fork_reinit($self, /)\n--\n\nAs threading.RLock: unlocked, in a forked child."),
]);

static MEMBERS: Table<PyMemberDef, 1> = table([weak_list(offset_of!(RLock, weakrefs))]);

pub(super) fn make() -> Py<Owned> {
    Type::new(c"gort.RLock", size_of::<RLock>())
        .doc(c"RLock()\n--\n\nA lock that the goroutine which holds it (the thread, outside goroutines) may take again.")
        .slot(Py_tp_new, new as *mut c_void)
        .slot(Py_tp_dealloc, dealloc::<{ offset_of!(RLock, weakrefs) }> as *mut c_void)
        .slot(Py_tp_members, MEMBERS.as_ptr())
        .methods(&METHODS)
        .make()
}

static NEW: Params<0> = Params::new("RLock", [], 0);

unsafe extern "C" fn new(class: *mut PyTypeObject, args: Object, kwargs: Object) -> Object {
    // SAFETY: Python's arguments for a tp_new; zeroed memory is an unlocked one.
    returned(|| unsafe {
        NEW.parse_tuple(args, kwargs)?;
        Owned::new(allocate::<RLock>(class)?.as_ptr().cast())
    })
}

static LOCK: Params<1> = Params::new("RLock.lock", [c"timeout"], 0);

unsafe extern "C" fn lock(this: Object, args: *const Object, nargs: Py_ssize_t, names: Object) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe {
        let [timeout] = LOCK.parse(args, nargs, names)?;
        waited(RLock::acquire(this.cast(), to_deadline(timeout)?)?)?;
        Ok(none())
    })
}

unsafe extern "C" fn try_lock(this: Object, _: Object) -> Object {
    // SAFETY: called by Python with one of ours; a deadline of 0 does not wait.
    returned(|| unsafe {
        let status = RLock::acquire(this.cast(), 0)?;
        Ok(boolean(obtained(status)?))
    })
}

unsafe extern "C" fn unlock(this: Object, _: Object) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe { RLock::release(this.cast()).map(|()| none()) })
}

unsafe extern "C" fn locked(this: Object, _: Object) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe { Ok(boolean(Lock::held(&raw mut (*this.cast::<RLock>()).lock))) })
}

static ACQUIRE: Params<2> = Params::new("RLock.acquire", [c"blocking", c"timeout"], 0);

unsafe extern "C" fn acquire(this: Object, args: *const Object, nargs: Py_ssize_t, names: Object) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe {
        let [blocking, timeout] = ACQUIRE.parse(args, nargs, names)?;
        let deadline = threading_deadline(blocking, timeout)?;
        let status = RLock::acquire(this.cast(), deadline)?;
        Ok(boolean(obtained(status)?))
    })
}

unsafe extern "C" fn enter(this: Object, _: Object) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe {
        waited(RLock::acquire(this.cast(), gort::FOREVER)?)?;
        Ok(Owned::borrow(this))
    })
}

unsafe extern "C" fn exit(this: Object, _: *const Object, _: Py_ssize_t, _: Object) -> Object {
    // SAFETY: called by Python with one of ours.
    unsafe { unlock(this, std::ptr::null_mut()) }
}

unsafe extern "C" fn is_owned(this: Object, _: Object) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe { Ok(boolean(RLock::owned(this.cast()))) })
}

unsafe extern "C" fn reinit(this: Object, _: Object) -> Object {
    // SAFETY: called by Python with one of ours, in a child that has one thread.
    returned(|| unsafe {
        let this: *mut RLock = this.cast();
        (&raw mut (*this).lock).write_bytes(0, 1);
        (*this).owner.store(0, Ordering::Relaxed);
        (*this).depth = 0;
        Ok(none())
    })
}
