//! `Cond`.
//!
//! The one thing to know: a wait on the main thread is made by a proxy (`proxy`), so that no signal is lost between two
//! looks at Python's signals. If Ctrl-C ends such a wait, its place in the queue stays, and the signal that comes to it is
//! passed on to the next, unless it was a broadcast, which has reached them all.

use std::ffi::{c_int, c_void};
use std::mem::offset_of;
use std::sync::atomic::{AtomicU64, Ordering};

use super::mutex::{self, Lock};
use super::rlock::{self, RLock};
use super::{runtime_error, waited};
use crate::block::{may_block_until, on_main_thread};
use crate::gort::{self, OK, gort_cond_t, gort_mutex_t};
use crate::lane;
use crate::proxy::{Call, by_proxy, drop_later};
use crate::raw::*;

pub(super) static CLASS: Global = Global::new();

#[repr(C)]
struct Cond {
    head: PyObject,
    cond: gort_cond_t,
    /// How many broadcasts there were: for waits that were left behind. Relaxed: read with the mutex held, by who was
    /// woken by the broadcast that it wants to know of.
    broadcasts: AtomicU64,
    /// A `Mutex` or an `RLock`; owned, never null once made.
    mutex: Object,
    weakrefs: Object,
}

impl Cond {
    /// The lock of its mutex.
    unsafe fn lock(this: *mut Cond) -> *mut Lock {
        // SAFETY: `this` is live, and keeps its mutex, which is one of the two.
        unsafe {
            let mutex = (*this).mutex;
            if Py_TYPE(mutex) == mutex::CLASS.type_ptr() {
                mutex::lock_of(mutex)
            } else {
                &raw mut (*mutex.cast::<RLock>()).lock
            }
        }
    }

    /// Its mutex, if that knows who holds it.
    unsafe fn rlock(this: *mut Cond) -> Option<*mut RLock> {
        // SAFETY: as for `lock`.
        unsafe { (Py_TYPE((*this).mutex) == rlock::CLASS.type_ptr()).then(|| (*this).mutex.cast()) }
    }

    /// Unlock the mutex, wait until `deadline`, lock it again.
    unsafe fn wait(this: *mut Cond, deadline: i64) -> Py<c_int> {
        // SAFETY: the caller keeps the object, which keeps its mutex. Whoever has taken `held` away is the one who
        // unlocks, which the wait does.
        unsafe {
            let lock = Self::lock(this);
            let hold = match Self::rlock(this) {
                Some(rlock) => Some((rlock, RLock::let_go(rlock).ok_or_else(not_locked)?)),
                None => None,
            };
            if !Lock::take(lock) {
                return Err(not_locked());
            }
            let (cond, mutex) = (&raw mut (*this).cond, &raw mut (*lock).mutex);
            let result = if deadline == 0 {
                Ok(gort::ETIMEDOUT)
            } else if !lane::in_goroutine() && on_main_thread() {
                let call =
                    Wait { cond, mutex, deadline, broadcasts: (*this).broadcasts.load(Ordering::Relaxed) };
                Py_INCREF(this.cast());
                let result = by_proxy(call);
                match result {
                    Ok((status, _)) => {
                        Py_DECREF(this.cast());
                        Ok(status)
                    }
                    Err(Raised) => {
                        // The wait, or its undoing, has unlocked the mutex; the block that we are in wants it locked.
                        lock_in_any_case(mutex);
                        Err(Raised)
                    }
                }
            } else {
                // A slice of the main thread's never comes here: one wait.
                may_block_until(deadline, |until| gort::gort_cond_wait_until(cond, mutex, until))
            };
            Lock::taken(lock);
            if let Some((rlock, hold)) = hold {
                RLock::take_up(rlock, hold);
            }
            result
        }
    }
}

fn not_locked() -> Raised {
    runtime_error("wait on a Cond whose mutex is not locked by the caller")
}

/// Lock without looking at signals: one is being raised already.
unsafe fn lock_in_any_case(mutex: *mut gort_mutex_t) {
    // SAFETY: the GIL is held, and released around the wait, on the main thread.
    unsafe {
        let saved = PyEval_SaveThread();
        gort::gort_mutex_lock_until(mutex, gort::FOREVER);
        PyEval_RestoreThread(saved);
    }
}

/// A wait that the main thread has handed to a proxy. Holds a reference to the `Cond`, which it is part of.
struct Wait {
    cond: *mut gort_cond_t,
    mutex: *mut gort_mutex_t,
    deadline: i64,
    broadcasts: u64,
}

impl Wait {
    fn object(&self) -> *mut Cond {
        self.cond.cast::<u8>().wrapping_sub(offset_of!(Cond, cond)).cast()
    }

    /// Unlock, and pass the signal on, if it was one.
    fn pass_on(&self, status: c_int) {
        // SAFETY: the reference keeps all of it; the wait has locked the mutex.
        unsafe {
            let signalled =
                status == OK && (*self.object()).broadcasts.load(Ordering::Relaxed) == self.broadcasts;
            gort::gort_mutex_unlock(self.mutex);
            if signalled {
                gort::gort_cond_signal(self.cond);
            }
        }
    }
}

impl Call for Wait {
    fn run(&mut self) -> c_int {
        // SAFETY: the reference keeps both; the main thread has locked the mutex and given it away.
        unsafe { gort::gort_cond_wait_until(self.cond, self.mutex, self.deadline) }
    }

    fn undo(self, status: c_int) {
        self.pass_on(status);
        drop_later(self.object().cast());
    }

    fn undo_here(self, status: c_int) {
        self.pass_on(status);
        // SAFETY: the reference that was taken for the call; the caller of the method has another.
        unsafe { Py_DECREF(self.object().cast()) };
    }
}

static METHODS: Table<PyMethodDef, 3> = table([
    function(
        c"wait",
        wait,
        c"wait($self, /, timeout=None)\n--\n\nUnlock the mutex, wait for a signal or a broadcast, lock it again. Raises TimeoutError, with the\nmutex locked. No wake-up is spurious, but others may have had the mutex since: look at the condition in a loop.",
    ),
    method0(c"signal", signal, c"signal($self, /)\n--\n\nWake the one that has waited the longest, if there is one."),
    method0(c"broadcast", broadcast, c"broadcast($self, /)\n--\n\nWake all who wait."),
]);

static GETTERS: Table<PyGetSetDef, 1> = table([getter(c"mutex", mutex, c"The mutex that waits unlock.")]);

static MEMBERS: Table<PyMemberDef, 1> = table([weak_list(offset_of!(Cond, weakrefs))]);

pub(super) fn make() -> Py<Owned> {
    Type::new(c"gort.Cond", size_of::<Cond>())
        .doc(c"Cond(mutex)\n--\n\nLets those who hold a mutex wait until something that it guards has changed, as Go's sync.Cond.")
        .slot(Py_tp_new, new as *mut c_void)
        .slot(Py_tp_dealloc, dealloc as *mut c_void)
        .slot(Py_tp_members, MEMBERS.as_ptr())
        .methods(&METHODS)
        .getters(&GETTERS)
        .make()
}

static NEW: Params<1> = Params::new("Cond", [c"mutex"], 1);

unsafe extern "C" fn new(class: *mut PyTypeObject, args: Object, kwargs: Object) -> Object {
    // SAFETY: Python's arguments for a tp_new; zeroed memory is a cond that nobody waits on.
    returned(|| unsafe {
        let [mutex] = NEW.parse_tuple(args, kwargs)?;
        if Py_TYPE(mutex) != mutex::CLASS.type_ptr() && Py_TYPE(mutex) != rlock::CLASS.type_ptr() {
            return Err(type_error("Cond() wants a gort.Mutex or a gort.RLock"));
        }
        let cond: *mut Cond = allocate::<Cond>(class)?.as_ptr();
        (*cond).mutex = Owned::borrow(mutex).into_ptr();
        Owned::new(cond.cast())
    })
}

unsafe extern "C" fn dealloc(this: Object) {
    // SAFETY: called by Python when the last reference is gone.
    unsafe {
        if !(*this.cast::<Cond>()).weakrefs.is_null() {
            PyObject_ClearWeakRefs(this);
        }
        Py_XDECREF((*this.cast::<Cond>()).mutex);
        free(this);
    }
}

static WAIT: Params<1> = Params::new("Cond.wait", [c"timeout"], 0);

unsafe extern "C" fn wait(this: Object, args: *const Object, nargs: Py_ssize_t, names: Object) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe {
        let [timeout] = WAIT.parse(args, nargs, names)?;
        waited(Cond::wait(this.cast(), to_deadline(timeout)?)?)?;
        Ok(none())
    })
}

unsafe extern "C" fn signal(this: Object, _: Object) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe {
        gort::gort_cond_signal(&raw mut (*this.cast::<Cond>()).cond);
        Ok(none())
    })
}

unsafe extern "C" fn broadcast(this: Object, _: Object) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe {
        let this: *mut Cond = this.cast();
        (*this).broadcasts.fetch_add(1, Ordering::Relaxed);
        gort::gort_cond_broadcast(&raw mut (*this).cond);
        Ok(none())
    })
}

unsafe extern "C" fn mutex(this: Object, _: *mut c_void) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe { Ok(Owned::borrow((*this.cast::<Cond>()).mutex)) })
}
