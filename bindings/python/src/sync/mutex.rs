//! `Mutex`.

use std::ffi::{c_int, c_void};
use std::mem::offset_of;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{dealloc, obtained, runtime_error, threading_deadline, waited};
use crate::block::may_block;
use crate::gort::{self, OK, gort_mutex_t};
use crate::raw::*;

pub(super) static CLASS: Global = Global::new();

/// What a lock is made of, for `Mutex` and for `RLock`.
#[repr(C)]
pub(super) struct Lock {
    pub(super) mutex: gort_mutex_t,
    /// Somebody holds it, who has not begun to unlock it. Relaxed throughout: the mutex orders those who hold it, and
    /// only they set it; whoever clears it may unlock, and whoever does not see it has not been told of the lock.
    held: AtomicBool,
}

impl Lock {
    /// Lock it, or wait in vain until `deadline`: a status.
    ///
    /// # Safety
    /// `this` is part of an object that the caller keeps. The GIL is held.
    pub(super) unsafe fn lock(this: *mut Lock, deadline: i64) -> Py<c_int> {
        // SAFETY: the caller's promise; the C calls touch the mutex only.
        unsafe {
            let mutex = &raw mut (*this).mutex;
            let status = may_block(
                deadline,
                || gort::gort_mutex_try_lock(mutex),
                |until| gort::gort_mutex_lock_until(mutex, until),
            )?;
            if status == OK {
                (*this).held.store(true, Ordering::Relaxed);
            }
            Ok(status)
        }
    }

    /// # Safety
    /// As for `lock`.
    pub(super) unsafe fn try_lock(this: *mut Lock) -> c_int {
        // SAFETY: the caller's promise.
        unsafe {
            let status = gort::gort_mutex_try_lock(&raw mut (*this).mutex);
            if status == OK {
                (*this).held.store(true, Ordering::Relaxed);
            }
            status
        }
    }

    /// False: nobody holds it.
    ///
    /// # Safety
    /// As for `lock`.
    pub(super) unsafe fn unlock(this: *mut Lock) -> bool {
        // SAFETY: the caller's promise; whoever has taken `held` away is the one who unlocks.
        unsafe {
            let held = Self::take(this);
            if held {
                gort::gort_mutex_unlock(&raw mut (*this).mutex);
            }
            held
        }
    }

    /// Take away the right to unlock: false if nobody holds it. For a wait that unlocks by itself.
    ///
    /// # Safety
    /// As for `lock`.
    pub(super) unsafe fn take(this: *mut Lock) -> bool {
        // SAFETY: the caller's promise.
        unsafe { (*this).held.swap(false, Ordering::Relaxed) }
    }

    /// The caller holds the mutex by another way than `lock`.
    ///
    /// # Safety
    /// As for `lock`.
    pub(super) unsafe fn taken(this: *mut Lock) {
        // SAFETY: the caller's promise.
        unsafe { (*this).held.store(true, Ordering::Relaxed) };
    }

    /// # Safety
    /// As for `lock`.
    pub(super) unsafe fn held(this: *mut Lock) -> bool {
        // SAFETY: the caller's promise.
        unsafe { (*this).held.load(Ordering::Relaxed) }
    }
}

#[repr(C)]
pub(super) struct Mutex {
    head: PyObject,
    pub(super) lock: Lock,
    weakrefs: Object,
}

static METHODS: Table<PyMethodDef, 9> = table([
    function(
        c"lock",
        lock,
        c"lock($self, /, timeout=None)\n--\n\nLock it; wait while another holds it. Raises TimeoutError.",
    ),
    method0(
        c"try_lock",
        try_lock,
        c"try_lock($self, /)\n--\n\nLock it if nobody holds it: whether that was so.",
    ),
    method0(
        c"unlock",
        unlock,
        c"unlock($self, /)\n--\n\nUnlock it, whoever locked it. RuntimeError if nobody holds it.",
    ),
    method0(c"locked", locked, c"locked($self, /)\n--\n\nWhether somebody holds it."),
    function(
        c"acquire",
        acquire,
        c"acquire($self, /, blocking=True, timeout=-1)\n--\n\nAs threading.Lock.acquire.",
    ),
    method0(c"release", unlock, c"release($self, /)\n--\n\nThe same as unlock()."),
    method0(c"__enter__", enter, c"__enter__($self, /)\n--\n\nLock it."),
    function(c"__exit__", exit, c"__exit__($self, /, *args)\n--\n\nUnlock it."),
    method0(
        c"_at_fork_reinit",
        reinit,
        c"_at_fork_reinit($self, /)\n--\n\nAs threading.Lock: unlocked, in a forked child.",
    ),
]);

static MEMBERS: Table<PyMemberDef, 1> = table([weak_list(offset_of!(Mutex, weakrefs))]);

pub(super) fn make() -> Py<Owned> {
    Type::new(c"gort.Mutex", size_of::<Mutex>())
        .doc(c"Mutex()\n--\n\nA lock that one holds at a time, as Go's sync.Mutex: not recursive, not bound to who locked it.")
        .slot(Py_tp_new, new as *mut c_void)
        .slot(Py_tp_dealloc, dealloc::<{ offset_of!(Mutex, weakrefs) }> as *mut c_void)
        .slot(Py_tp_members, MEMBERS.as_ptr())
        .methods(&METHODS)
        .make()
}

static NEW: Params<0> = Params::new("Mutex", [], 0);

unsafe extern "C" fn new(class: *mut PyTypeObject, args: Object, kwargs: Object) -> Object {
    // SAFETY: Python's arguments for a tp_new; zeroed memory is an unlocked mutex.
    returned(|| unsafe {
        NEW.parse_tuple(args, kwargs)?;
        Owned::new(allocate::<Mutex>(class)?.as_ptr().cast())
    })
}

/// # Safety
/// `this` is a `Mutex`.
pub(super) unsafe fn lock_of(this: Object) -> *mut Lock {
    // SAFETY: the caller's promise.
    unsafe { &raw mut (*this.cast::<Mutex>()).lock }
}

static LOCK: Params<1> = Params::new("Mutex.lock", [c"timeout"], 0);

unsafe extern "C" fn lock(this: Object, args: *const Object, nargs: Py_ssize_t, names: Object) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe {
        let [timeout] = LOCK.parse(args, nargs, names)?;
        waited(Lock::lock(lock_of(this), to_deadline(timeout)?)?)?;
        Ok(none())
    })
}

unsafe extern "C" fn try_lock(this: Object, _: Object) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe { Ok(boolean(Lock::try_lock(lock_of(this)) == OK)) })
}

unsafe extern "C" fn unlock(this: Object, _: Object) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe {
        if Lock::unlock(lock_of(this)) {
            Ok(none())
        } else {
            Err(runtime_error("unlock of an unlocked Mutex"))
        }
    })
}

unsafe extern "C" fn locked(this: Object, _: Object) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe { Ok(boolean(Lock::held(lock_of(this)))) })
}

static ACQUIRE: Params<2> = Params::new("Mutex.acquire", [c"blocking", c"timeout"], 0);

unsafe extern "C" fn acquire(this: Object, args: *const Object, nargs: Py_ssize_t, names: Object) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe {
        let [blocking, timeout] = ACQUIRE.parse(args, nargs, names)?;
        let deadline = threading_deadline(blocking, timeout)?;
        Ok(boolean(obtained(Lock::lock(lock_of(this), deadline)?)?))
    })
}

unsafe extern "C" fn enter(this: Object, _: Object) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe {
        waited(Lock::lock(lock_of(this), gort::FOREVER)?)?;
        Ok(Owned::borrow(this))
    })
}

unsafe extern "C" fn exit(this: Object, _: *const Object, _: Py_ssize_t, _: Object) -> Object {
    // SAFETY: called by Python with one of ours.
    unsafe { unlock(this, std::ptr::null_mut()) }
}

unsafe extern "C" fn reinit(this: Object, _: Object) -> Object {
    // SAFETY: called by Python with one of ours, in a child that has one thread.
    returned(|| unsafe {
        lock_of(this).write_bytes(0, 1);
        Ok(none())
    })
}
