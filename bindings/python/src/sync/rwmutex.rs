//! `RWMutex`, and its two sides, which `with` locks and unlocks: `with rw.read(): ...`.

use std::ffi::{c_int, c_void};
use std::mem::offset_of;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::{dealloc, runtime_error, waited};
use crate::block::may_block;
use crate::gort::{self, OK, gort_rwmutex_t};
use crate::raw::*;

pub(super) static CLASS: Global = Global::new();
pub(super) static SIDE: Global = Global::new();

#[repr(C)]
struct RWMutex {
    head: PyObject,
    rw: gort_rwmutex_t,
    /// Those who hold it for reading and have not begun to unlock it. Relaxed, as `Lock::held`.
    readers: AtomicU32,
    /// Somebody holds it for writing likewise.
    writer: AtomicBool,
    weakrefs: Object,
}

/// One side of a `RWMutex`.
#[repr(C)]
struct Side {
    head: PyObject,
    /// Owned; never null once made.
    rw: Object,
    /// What `timeout` was, in nanoseconds, or `FOREVER`.
    timeout: i64,
    writing: bool,
}

impl RWMutex {
    unsafe fn lock(this: *mut RWMutex, writing: bool, deadline: i64) -> Py<c_int> {
        // SAFETY: the caller keeps the object; the C calls touch the C value only.
        unsafe {
            let rw = &raw mut (*this).rw;
            let status = if writing {
                let wait = |until| gort::gort_rwmutex_lock_until(rw, until);
                may_block(deadline, || gort::gort_rwmutex_try_lock(rw), wait)?
            } else {
                let wait = |until| gort::gort_rwmutex_rlock_until(rw, until);
                may_block(deadline, || gort::gort_rwmutex_try_rlock(rw), wait)?
            };
            Self::note(this, writing, status);
            Ok(status)
        }
    }

    unsafe fn try_lock(this: *mut RWMutex, writing: bool) -> c_int {
        // SAFETY: as for `lock`.
        unsafe {
            let rw = &raw mut (*this).rw;
            let status =
                if writing { gort::gort_rwmutex_try_lock(rw) } else { gort::gort_rwmutex_try_rlock(rw) };
            Self::note(this, writing, status);
            status
        }
    }

    /// Remember what was locked.
    unsafe fn note(this: *mut RWMutex, writing: bool, status: c_int) {
        // SAFETY: as for `lock`.
        unsafe {
            if status != OK {
            } else if writing {
                (*this).writer.store(true, Ordering::Relaxed);
            } else {
                (*this).readers.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    unsafe fn unlock(this: *mut RWMutex, writing: bool) -> Py<()> {
        // SAFETY: as for `lock`; whoever has taken the note away is the one who unlocks.
        unsafe {
            if writing {
                if !(*this).writer.swap(false, Ordering::Relaxed) {
                    return Err(runtime_error("unlock of an RWMutex that is not locked for writing"));
                }
                gort::gort_rwmutex_unlock(&raw mut (*this).rw);
            } else {
                let take = |n: u32| n.checked_sub(1);
                if (*this).readers.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_err() {
                    return Err(runtime_error("runlock of an RWMutex that is not locked for reading"));
                }
                gort::gort_rwmutex_runlock(&raw mut (*this).rw);
            }
        }
        Ok(())
    }
}

static METHODS: Table<PyMethodDef, 8> = table([
    function(c"lock", lock, c"lock($self, /, timeout=None)\n--\n\nLock it for writing: nobody else holds it. Raises TimeoutError."),
    method0(c"try_lock", try_lock, c"try_lock($self, /)\n--\n\nLock it for writing if nobody holds it: whether that was so."),
    method0(c"unlock", unlock, c"unlock($self, /)\n--\n\nUndo lock(). RuntimeError if nobody holds it for writing."),
    function(c"rlock", rlock, c"rlock($self, /, timeout=None)\n--\n\nLock it for reading: other readers may, too. Raises TimeoutError."),
    method0(c"try_rlock", try_rlock, c"try_rlock($self, /)\n--\n\nLock it for reading if no writer holds it or waits for it: whether that was so."),
    method0(c"runlock", runlock, c"runlock($self, /)\n--\n\nUndo one rlock(). RuntimeError if nobody holds it for reading."),
    function(c"read", read, c"read($self, /, timeout=None)\n--\n\nA context manager: holds it for reading."),
    function(c"write", write, c"write($self, /, timeout=None)\n--\n\nA context manager: holds it for writing."),
]);

static MEMBERS: Table<PyMemberDef, 1> = table([weak_list(offset_of!(RWMutex, weakrefs))]);

pub(super) fn make() -> Py<Owned> {
    Type::new(c"gort.RWMutex", size_of::<RWMutex>())
        .doc(c"RWMutex()\n--\n\nA lock that many may hold for reading, or one for writing, as Go's sync.RWMutex: a writer that waits\nholds off new readers.")
        .slot(Py_tp_new, new as *mut c_void)
        .slot(Py_tp_dealloc, dealloc::<{ offset_of!(RWMutex, weakrefs) }> as *mut c_void)
        .slot(Py_tp_members, MEMBERS.as_ptr())
        .methods(&METHODS)
        .make()
}

static NEW: Params<0> = Params::new("RWMutex", [], 0);

unsafe extern "C" fn new(class: *mut PyTypeObject, args: Object, kwargs: Object) -> Object {
    // SAFETY: Python's arguments for a tp_new; zeroed memory is an unlocked one.
    returned(|| unsafe {
        NEW.parse_tuple(args, kwargs)?;
        Owned::new(allocate::<RWMutex>(class)?.as_ptr().cast())
    })
}

static LOCK: Params<1> = Params::new("RWMutex.lock", [c"timeout"], 0);
static RLOCK: Params<1> = Params::new("RWMutex.rlock", [c"timeout"], 0);

unsafe extern "C" fn lock(this: Object, args: *const Object, nargs: Py_ssize_t, names: Object) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe {
        let [timeout] = LOCK.parse(args, nargs, names)?;
        waited(RWMutex::lock(this.cast(), true, to_deadline(timeout)?)?)?;
        Ok(none())
    })
}

unsafe extern "C" fn rlock(this: Object, args: *const Object, nargs: Py_ssize_t, names: Object) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe {
        let [timeout] = RLOCK.parse(args, nargs, names)?;
        waited(RWMutex::lock(this.cast(), false, to_deadline(timeout)?)?)?;
        Ok(none())
    })
}

unsafe extern "C" fn try_lock(this: Object, _: Object) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe { Ok(boolean(RWMutex::try_lock(this.cast(), true) == OK)) })
}

unsafe extern "C" fn try_rlock(this: Object, _: Object) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe { Ok(boolean(RWMutex::try_lock(this.cast(), false) == OK)) })
}

unsafe extern "C" fn unlock(this: Object, _: Object) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe { RWMutex::unlock(this.cast(), true).map(|()| none()) })
}

unsafe extern "C" fn runlock(this: Object, _: Object) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe { RWMutex::unlock(this.cast(), false).map(|()| none()) })
}

static READ: Params<1> = Params::new("RWMutex.read", [c"timeout"], 0);
static WRITE: Params<1> = Params::new("RWMutex.write", [c"timeout"], 0);

unsafe extern "C" fn read(this: Object, args: *const Object, nargs: Py_ssize_t, names: Object) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe { side(this, false, READ.parse(args, nargs, names)?) })
}

unsafe extern "C" fn write(this: Object, args: *const Object, nargs: Py_ssize_t, names: Object) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe { side(this, true, WRITE.parse(args, nargs, names)?) })
}

unsafe fn side(rw: Object, writing: bool, [timeout]: [Object; 1]) -> Py<Owned> {
    // SAFETY: `rw` is one of ours, `timeout` null or live.
    unsafe {
        let timeout = if given(timeout) { to_nanoseconds(timeout)? } else { gort::FOREVER };
        let side: *mut Side = allocate::<Side>(SIDE.type_ptr())?.as_ptr();
        (*side).rw = Owned::borrow(rw).into_ptr();
        (*side).timeout = timeout;
        (*side).writing = writing;
        Owned::new(side.cast())
    }
}

static SIDE_METHODS: Table<PyMethodDef, 2> = table([
    method0(c"__enter__", enter, c"__enter__($self, /)\n--\n\nLock it for this side."),
    function(c"__exit__", exit, c"__exit__($self, /, *args)\n--\n\nUnlock it for this side."),
]);

pub(super) fn make_side() -> Py<Owned> {
    Type::new(c"gort._Side", size_of::<Side>())
        .doc(c"What RWMutex.read() and RWMutex.write() return.")
        .slot(Py_tp_dealloc, dealloc_side as *mut c_void)
        .methods(&SIDE_METHODS)
        .make()
}

unsafe extern "C" fn dealloc_side(this: Object) {
    // SAFETY: called by Python when the last reference is gone.
    unsafe {
        Py_XDECREF((*this.cast::<Side>()).rw);
        free(this);
    }
}

unsafe extern "C" fn enter(this: Object, _: Object) -> Object {
    // SAFETY: called by Python with one of ours, which keeps its RWMutex.
    returned(|| unsafe {
        let side: *mut Side = this.cast();
        let deadline = match (*side).timeout {
            gort::FOREVER => gort::FOREVER,
            ..=0 => 0,
            timeout => gort::gort_now().saturating_add(timeout),
        };
        waited(RWMutex::lock((*side).rw.cast(), (*side).writing, deadline)?)?;
        Ok(Owned::borrow((*side).rw))
    })
}

unsafe extern "C" fn exit(this: Object, _: *const Object, _: Py_ssize_t, _: Object) -> Object {
    // SAFETY: as for `enter`.
    returned(|| unsafe {
        let side: *mut Side = this.cast();
        RWMutex::unlock((*side).rw.cast(), (*side).writing).map(|()| none())
    })
}
