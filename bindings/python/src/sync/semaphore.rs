//! `Semaphore`.

use std::ffi::{c_int, c_void};
use std::mem::offset_of;
use std::sync::atomic::{AtomicI64, Ordering};

use super::{dealloc, obtained, waited};
use crate::block::may_block;
use crate::gort::{self, OK, gort_sem_t};
use crate::raw::*;

pub(super) static CLASS: Global = Global::new();

/// As many permits may be free at once.
const MOST: i64 = (1 << 62) - 1;

#[repr(C)]
struct Semaphore {
    head: PyObject,
    sem: gort_sem_t,
    /// No less than the permits that are free: raised before they are given, lowered after they were taken. Relaxed:
    /// it guards nothing but the bound.
    free: AtomicI64,
    weakrefs: Object,
}

static METHODS: Table<PyMethodDef, 5> = table([
    function(
        c"acquire",
        acquire,
        c"acquire($self, /, n=1, timeout=None)\n--\n\nTake n permits; wait until there are so many and nobody waits who came before. Raises TimeoutError.",
    ),
    function(
        c"try_acquire",
        try_acquire,
        c"try_acquire($self, /, n=1)\n--\n\nTake n permits if there are so many and nobody waits: whether that was so.",
    ),
    function(
        c"release",
        release,
        c"release($self, /, n=1)\n--\n\nGive n permits, whoever took them: there may be more than at the start.",
    ),
    method0(c"__enter__", enter, c"__enter__($self, /)\n--\n\nTake one permit."),
    function(c"__exit__", exit, c"__exit__($self, /, *args)\n--\n\nGive it back."),
]);

static MEMBERS: Table<PyMemberDef, 1> = table([weak_list(offset_of!(Semaphore, weakrefs))]);

pub(super) fn make() -> Py<Owned> {
    Type::new(c"gort.Semaphore", size_of::<Semaphore>())
        .doc(c"Semaphore(n)\n--\n\nA number of permits, taken and given any number at a time, first come, first served.")
        .slot(Py_tp_new, new as *mut c_void)
        .slot(Py_tp_dealloc, dealloc::<{ offset_of!(Semaphore, weakrefs) }> as *mut c_void)
        .slot(Py_tp_members, MEMBERS.as_ptr())
        .methods(&METHODS)
        .make()
}

static NEW: Params<1> = Params::new("Semaphore", [c"n"], 1);

unsafe extern "C" fn new(class: *mut PyTypeObject, args: Object, kwargs: Object) -> Object {
    // SAFETY: Python's arguments for a tp_new.
    returned(|| unsafe {
        let [n] = NEW.parse_tuple(args, kwargs)?;
        let n = to_int(n)?;
        if !(0..=MOST).contains(&n) {
            return Err(value_error("Semaphore() wants a number of permits from 0 to 2**62 - 1"));
        }
        let this: *mut Semaphore = allocate::<Semaphore>(class)?.as_ptr();
        gort::gort_sem_init(&raw mut (*this).sem, n);
        (*this).free = AtomicI64::new(n);
        Owned::new(this.cast())
    })
}

/// The argument `n`, 1 if it is absent.
unsafe fn permits(n: Object) -> Py<i64> {
    // SAFETY: null or live.
    let n = if n.is_null() { 1 } else { unsafe { to_int(n)? } };
    if n < 1 { Err(value_error("the number of permits must be at least 1")) } else { Ok(n) }
}

impl Semaphore {
    unsafe fn acquire(this: *mut Semaphore, n: i64, deadline: i64) -> Py<c_int> {
        // SAFETY: the caller keeps the object; the C calls touch the C value only.
        unsafe {
            let sem = &raw mut (*this).sem;
            let attempt = || gort::gort_sem_try_acquire(sem, n);
            let status = may_block(deadline, attempt, |until| gort::gort_sem_acquire_until(sem, n, until))?;
            if status == OK {
                (*this).free.fetch_sub(n, Ordering::Relaxed);
            }
            Ok(status)
        }
    }

    unsafe fn release(this: *mut Semaphore, n: i64) -> Py<()> {
        // SAFETY: as for `acquire`; the number that C adds to is no more than `free` was.
        unsafe {
            let add = |free: i64| free.checked_add(n).filter(|sum| *sum <= MOST);
            if (*this).free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_err() {
                return Err(value_error("too many permits in a semaphore"));
            }
            gort::gort_sem_release(&raw mut (*this).sem, n);
            Ok(())
        }
    }
}

static ACQUIRE: Params<2> = Params::new("Semaphore.acquire", [c"n", c"timeout"], 0);

unsafe extern "C" fn acquire(this: Object, args: *const Object, nargs: Py_ssize_t, names: Object) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe {
        let [n, timeout] = ACQUIRE.parse(args, nargs, names)?;
        let n = permits(n)?;
        waited(Semaphore::acquire(this.cast(), n, to_deadline(timeout)?)?)?;
        Ok(none())
    })
}

static TRY_ACQUIRE: Params<1> = Params::new("Semaphore.try_acquire", [c"n"], 0);

unsafe extern "C" fn try_acquire(
    this: Object,
    args: *const Object,
    nargs: Py_ssize_t,
    names: Object,
) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe {
        let [n] = TRY_ACQUIRE.parse(args, nargs, names)?;
        let n = permits(n)?;
        let this: *mut Semaphore = this.cast();
        let status = gort::gort_sem_try_acquire(&raw mut (*this).sem, n);
        if status == OK {
            (*this).free.fetch_sub(n, Ordering::Relaxed);
        }
        Ok(boolean(obtained(status)?))
    })
}

static RELEASE: Params<1> = Params::new("Semaphore.release", [c"n"], 0);

unsafe extern "C" fn release(this: Object, args: *const Object, nargs: Py_ssize_t, names: Object) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe {
        let [n] = RELEASE.parse(args, nargs, names)?;
        Semaphore::release(this.cast(), permits(n)?)?;
        Ok(none())
    })
}

unsafe extern "C" fn enter(this: Object, _: Object) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe {
        waited(Semaphore::acquire(this.cast(), 1, gort::FOREVER)?)?;
        Ok(Owned::borrow(this))
    })
}

unsafe extern "C" fn exit(this: Object, _: *const Object, _: Py_ssize_t, _: Object) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe { Semaphore::release(this.cast(), 1).map(|()| none()) })
}
