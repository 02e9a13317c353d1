//! Channels for event loops of asyncio: an operation that tells a loop when it has been carried out.
//!
//! The one thing to know: an operation is a `gort_select_async`, and whoever completes it does so on any thread, with
//! or without the GIL, and must not wait for it. So it leaves the operation in the **mailbox** of the loop and writes
//! to a descriptor that the loop watches; the loop's own thread then empties the mailbox, and sets the results of the
//! futures that the tasks await. What a task does with an operation is in `_aio.py`.
//!
//! Memory: cases and elements lie in the operation's object. It is not freed before the C library is through with them:
//! whoever frees it gives the select up first, and if that comes too late, waits until `done` has left the
//! operation in the mailbox (it is on its way, and needs nothing from us), and takes it out there.

use std::cell::{Cell, UnsafeCell};
use std::ffi::{c_int, c_void};
use std::mem::{MaybeUninit, offset_of};
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::chan::{Chan, aside};
use crate::errors::raise_status;
use crate::gort::{self, gort_async_t};
use crate::raw::*;
use crate::select::{Cases, Room};

static MAILBOX: Global = Global::new();
static OPERATION: Global = Global::new();

/// The coroutine functions of `_aio.py`, found when they are first needed: not everybody needs asyncio.
pub(crate) static SEND: Function = Function::new(c"send");
pub(crate) static RECV: Function = Function::new(c"recv");
pub(crate) static NEXT: Function = Function::new(c"next_");

/// A function of `gort._aio`.
pub(crate) struct Function {
    name: &'static std::ffi::CStr,
    found: Global,
}

impl Function {
    const fn new(name: &'static std::ffi::CStr) -> Self {
        Self { name, found: Global::new() }
    }
}

/// Call a function of `gort._aio`.
///
/// # Safety
/// The arguments are live.
pub(crate) unsafe fn call(function: &Function, args: &[Object]) -> Py<Owned> {
    // SAFETY: the caller's promise.
    unsafe {
        if function.found.get().is_null() {
            let module = Owned::new(PyImport_ImportModule(c"gort._aio".as_ptr()))?;
            function.found.set(Owned::new(PyObject_GetAttrString(module.as_ptr(), function.name.as_ptr()))?);
        }
        Owned::new(PyObject_Vectorcall(function.found.get(), args.as_ptr(), args.len(), ptr::null_mut()))
    }
}

// ---------------------------------------------------------------------------------------------------- mailbox

/// What operations that have completed are left in, and what wakes the loop.
struct Mail {
    /// An eventfd: the loop waits until it can be read.
    wake: c_int,
    /// The operations, in the order in which they completed. Each is in it at most once, and is not freed while it is.
    done: Mutex<Vec<*const Operation>>,
}

// SAFETY: the pointers are passed on under the lock, and followed with the GIL held.
unsafe impl Send for Mail {}
// SAFETY: as above.
unsafe impl Sync for Mail {}

impl Mail {
    fn new() -> Py<Arc<Self>> {
        // SAFETY: makes a descriptor.
        let wake = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if wake < 0 {
            // SAFETY: a built-in exception type; errno says why.
            unsafe { PyErr_SetFromErrno(PyExc_OSError) };
            return Err(Raised);
        }
        Ok(Arc::new(Self { wake, done: Mutex::new(Vec::new()) }))
    }

    fn done(&self) -> MutexGuard<'_, Vec<*const Operation>> {
        // Nothing panics while it is locked.
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Mail {
    fn drop(&mut self) {
        // SAFETY: ours.
        unsafe { libc::close(self.wake) };
    }
}

/// `_gort._Mailbox`.
#[repr(C)]
struct Mailbox {
    head: PyObject,
    mail: MaybeUninit<Arc<Mail>>,
    /// A set, owned: the operations that others than Python can complete. The loop keeps them alive.
    kept: Object,
    weakrefs: Object,
}

unsafe fn mail<'a>(mailbox: Object) -> &'a Arc<Mail> {
    // SAFETY: the caller has a `Mailbox`, which has its mail from its making to its end.
    unsafe { (*mailbox.cast::<Mailbox>()).mail.assume_init_ref() }
}

unsafe extern "C" fn new_mailbox(class: *mut PyTypeObject, args: Object, kwargs: Object) -> Object {
    const PARAMS: Params<0> = Params::new("_Mailbox", [], 0);
    // SAFETY: called by Python with a tuple and a dict or null; the object is new.
    returned(|| unsafe {
        let [] = PARAMS.parse_tuple(args, kwargs)?;
        let mail = Mail::new()?;
        let kept = Owned::new(PySet_New(ptr::null_mut()))?;
        let mailbox = allocate::<Mailbox>(class)?.as_ptr();
        (*mailbox).mail.write(mail);
        (*mailbox).kept = kept.into_ptr();
        Owned::new(mailbox.cast())
    })
}

unsafe extern "C" fn free_mailbox(object: Object) {
    // SAFETY: the object is at its end. Operations hold on to their mailbox, so that none is in it.
    unsafe {
        PyObject_GC_UnTrack(object.cast());
        let mailbox: *mut Mailbox = object.cast();
        if !(*mailbox).weakrefs.is_null() {
            PyObject_ClearWeakRefs(object);
        }
        Py_XDECREF((*mailbox).kept);
        (*mailbox).mail.assume_init_drop();
        free(object);
    }
}

unsafe extern "C" fn traverse_mailbox(object: Object, visit: visitproc, arg: *mut c_void) -> c_int {
    // SAFETY: called by the collector, which holds the GIL. The set is there from soon after the making; it has a
    // `tp_clear`, and so a mailbox needs none.
    unsafe {
        let kept = (*object.cast::<Mailbox>()).kept;
        match visit(Py_TYPE(object).cast(), arg) {
            0 if !kept.is_null() => visit(kept, arg),
            stop => stop,
        }
    }
}

unsafe extern "C" fn fileno(object: Object, _: Object) -> Object {
    // SAFETY: called by Python with a `Mailbox`.
    returned(|| unsafe { int(mail(object).wake.into()) })
}

/// Empty the mailbox: the futures of the operations, those that have one.
unsafe extern "C" fn take(object: Object, _: Object) -> Object {
    // SAFETY: called by Python with a `Mailbox`. The operations in it are live: one that is at its end takes itself
    // out before anything else, and the GIL is held from there to here.
    returned(|| unsafe {
        let mail = mail(object);
        let mut count = 0u64;
        // What is left in the mailbox from now on writes again. It does not wait; nothing to read is no matter.
        libc::read(mail.wake, (&raw mut count).cast(), size_of::<u64>());
        let operations: Vec<Owned> = {
            let mut done = mail.done();
            done.drain(..).map(|operation| Owned::borrow(operation.cast_mut().cast())).collect()
        };
        let futures = Owned::new(PyList_New(0))?;
        for operation in operations {
            let operation = Operation::of(operation.as_ptr());
            operation.forget();
            let future = operation.future.get();
            if !future.is_null() {
                check(PyList_Append(futures.as_ptr(), future))?;
            }
        }
        Ok(futures)
    })
}

// -------------------------------------------------------------------------------------------------- operation

/// How far an operation is.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum State {
    /// Not started. (Zero: what a new object is.)
    New,
    /// The C library has it.
    Pending,
    /// Case `chosen` was carried out.
    Chosen,
    /// The result has gone to who asked for it, or there will be none.
    Spent,
}

/// `_gort._Operation`: a select that tells an event loop. What changes, changes with the GIL held, but for `done`.
#[repr(C)]
struct Operation {
    head: PyObject,
    /// A `Mailbox`, owned.
    mailbox: Object,
    /// What keeps the channels alive, owned: the tuple of the arguments.
    arguments: Object,
    /// What to tell, owned; null: nobody.
    future: Cell<Object>,
    room: *mut (Room, Cases),
    select: Cell<*mut gort_async_t>,
    chosen: Cell<c_int>,
    state: Cell<State>,
    /// `leave` has left it in the mailbox and touches it no more. Under the mailbox's lock.
    done: UnsafeCell<bool>,
    weakrefs: Object,
}

impl Operation {
    unsafe fn of<'a>(object: Object) -> &'a Operation {
        // SAFETY: the caller has an `Operation`; what changes is in cells, and the GIL is held.
        unsafe { &*object.cast() }
    }

    fn object(&self) -> Object {
        ptr::from_ref(self).cast_mut().cast()
    }

    /// The channels it waits on.
    ///
    /// # Safety
    /// The room was made.
    unsafe fn chans(&self) -> impl Iterator<Item = &Chan> {
        // SAFETY: the arguments keep them alive as long as the operation.
        unsafe { (*self.room).1.chans() }
    }

    /// Those who wait keep it alive no more.
    ///
    /// # Safety
    /// The room was made, and the caller has a reference.
    unsafe fn forget(&self) {
        // SAFETY: as the caller says.
        unsafe {
            self.chans().for_each(|chan| chan.forget(self.object()));
            if PySet_Discard((*self.mailbox.cast::<Mailbox>()).kept, self.object()) < 0 {
                PyErr_Clear();
            }
        }
    }

    /// # Safety
    /// It is new, and has its room.
    unsafe fn start(&self) -> Py<()> {
        // SAFETY: cases and elements stay in place until `settle` or `cancel`, and so does the operation: its end
        // comes after one of the two.
        unsafe {
            for chan in self.chans() {
                let keeper = chan.waiting()?.unwrap_or((*self.mailbox.cast::<Mailbox>()).kept);
                check(PySet_Add(keeper, self.object()))?;
            }
            let cases = &mut (*self.room).1;
            let mut err = 0;
            self.state.set(State::Pending);
            let arg = self.object().cast();
            let select = gort::gort_select_async(cases.as_mut_ptr(), cases.len(), leave, arg, &mut err);
            self.select.set(select);
            if select.is_null() {
                self.state.set(State::Spent);
                cases.give_back(None);
                return Err(raise_status(err));
            }
            Ok(())
        }
    }

    /// Give it up: whether that was in time.
    ///
    /// # Safety
    /// The GIL is held.
    unsafe fn cancel(&self) -> bool {
        // SAFETY: a pending operation has its select, and the C library is through with the cases if it says so.
        unsafe {
            if self.state.get() != State::Pending {
                return false;
            }
            if !gort::gort_async_cancel(self.select.get()) {
                self.settle();
                return false;
            }
            gort::gort_async_release(self.select.replace(ptr::null_mut()));
            self.state.set(State::Spent);
            aside(|| (*self.room).1.give_back(None));
            true
        }
    }

    /// It was carried out: wait until that is over, and remember how. That is a few instructions of another thread,
    /// which does not need the GIL for them.
    ///
    /// # Safety
    /// It is pending, and was carried out.
    unsafe fn settle(&self) {
        // SAFETY: the select is there until now.
        unsafe {
            let mail = mail(self.mailbox);
            loop {
                let queue = mail.done();
                if *self.done.get() {
                    break;
                }
                drop(queue);
                libc::sched_yield();
            }
            let select = self.select.replace(ptr::null_mut());
            self.chosen.set(gort::gort_async_result(select));
            gort::gort_async_release(select);
            self.state.set(State::Chosen);
        }
    }

    /// What the select returns or raises. Once.
    ///
    /// # Safety
    /// It is settled.
    unsafe fn result(&self) -> Py<Owned> {
        self.state.set(State::Spent);
        // SAFETY: the case that was chosen was carried out.
        unsafe { (*self.room).1.carried_out(self.chosen.get() as usize) }
    }
}

/// What the C library calls when a case has been carried out: on any thread, with or without the GIL.
unsafe extern "C" fn leave(operation: *mut c_void) {
    let operation: *const Operation = operation.cast();
    // SAFETY: the operation is there until `done` is seen to be set, and with it its mailbox; neither changes. After
    // the unlock only the mail is touched, to which we have a reference of our own.
    unsafe {
        let mail = Arc::clone(mail((*operation).mailbox));
        let first = {
            let mut queue = mail.done();
            queue.push(operation);
            *(*operation).done.get() = true;
            queue.len() == 1
        };
        if first {
            // Whoever leaves the first thing in an empty mailbox wakes the loop; it empties it all at once.
            let one = 1u64;
            libc::write(mail.wake, (&raw const one).cast(), size_of::<u64>());
        }
    }
}

/// `_Operation(mailbox, *cases)`: start it.
unsafe extern "C" fn new_operation(class: *mut PyTypeObject, args: Object, _kwargs: Object) -> Object {
    // SAFETY: called by Python with a tuple; the object is new, and its end frees what it has by then.
    returned(|| unsafe {
        let count = PyTuple_GET_SIZE(args);
        if count == 0 || Py_TYPE(PyTuple_GET_ITEM(args, 0)) != MAILBOX.type_ptr() {
            return Err(type_error("_Operation(mailbox, *cases)"));
        }
        let mut room = Room::new(count as usize - 1)?;
        let cases = room.cases();
        let object = allocate::<Operation>(class)?.as_ptr();
        let operation = Owned::new(object.cast())?;
        (*object).mailbox = Owned::borrow(PyTuple_GET_ITEM(args, 0)).into_ptr();
        (*object).arguments = Owned::borrow(args).into_ptr();
        (*object).room = Box::into_raw(Box::new((room, cases)));
        for index in 1..count {
            if let Err(raised) = (*(*object).room).1.add(PyTuple_GET_ITEM(args, index)) {
                (*object).state.set(State::Spent);
                aside(|| (*(*object).room).1.give_back(None));
                return Err(raised);
            }
        }
        if let Err(raised) = (*object).start() {
            aside(|| (*object).forget());
            return Err(raised);
        }
        Ok(operation)
    })
}

unsafe extern "C" fn free_operation(object: Object) {
    // SAFETY: the object is at its end. It takes itself out of the mailbox before any code of Python may run.
    unsafe {
        PyObject_GC_UnTrack(object.cast());
        let operation = Operation::of(object);
        let pending = operation.state.get() == State::Pending;
        if pending && gort::gort_async_cancel(operation.select.get()) {
            gort::gort_async_release(operation.select.replace(ptr::null_mut()));
            operation.state.set(State::New);
        } else if pending {
            operation.settle();
        }
        if !operation.mailbox.is_null() {
            mail(operation.mailbox).done().retain(|&other| other.cast_mut().cast() != object);
        }
        if !operation.weakrefs.is_null() {
            PyObject_ClearWeakRefs(object);
        }
        let cases = (!operation.room.is_null()).then(|| &mut (*operation.room).1);
        match (operation.state.get(), cases) {
            // Given up, just now.
            (State::New, Some(cases)) => aside(|| cases.give_back(None)),
            // Carried out, and nobody wants to know: what was received is dropped.
            (State::Chosen, Some(_)) => aside(|| {
                if operation.result().is_err() {
                    PyErr_Clear();
                }
            }),
            _ => {}
        }
        if !operation.room.is_null() {
            drop(Box::from_raw(operation.room));
        }
        Py_XDECREF(operation.future.get());
        Py_XDECREF(operation.arguments);
        Py_XDECREF(operation.mailbox);
        free(object);
    }
}

/// The value that a pending operation is to send is not shown: somebody who does not hold the GIL may take it.
unsafe extern "C" fn traverse(object: Object, visit: visitproc, arg: *mut c_void) -> c_int {
    // SAFETY: called by the collector, which holds the GIL.
    unsafe {
        let operation = Operation::of(object);
        for reference in
            [Py_TYPE(object).cast(), operation.mailbox, operation.arguments, operation.future.get()]
        {
            if !reference.is_null() {
                match visit(reference, arg) {
                    0 => {}
                    stop => return stop,
                }
            }
        }
        0
    }
}

unsafe extern "C" fn clear(object: Object) -> c_int {
    // SAFETY: called by the collector, for an object that nobody can reach.
    unsafe { Py_XDECREF(Operation::of(object).future.replace(ptr::null_mut())) };
    0
}

unsafe extern "C" fn wait(object: Object, future: Object) -> Object {
    // SAFETY: called by Python with an `Operation` and a live object.
    returned(|| unsafe {
        Py_XDECREF(Operation::of(object).future.replace(Owned::borrow(future).into_ptr()));
        Ok(none())
    })
}

unsafe extern "C" fn cancel(object: Object, _: Object) -> Object {
    // SAFETY: called by Python with an `Operation`.
    returned(|| unsafe {
        let operation = Operation::of(object);
        let in_time = operation.cancel();
        operation.forget();
        Ok(boolean(in_time))
    })
}

unsafe extern "C" fn result(object: Object, _: Object) -> Object {
    // SAFETY: called by Python with an `Operation`.
    returned(|| unsafe {
        let operation = Operation::of(object);
        let done = {
            let _queue = mail(operation.mailbox).done();
            *operation.done.get()
        };
        if operation.state.get() == State::Pending && done {
            operation.settle();
        }
        if operation.state.get() != State::Chosen {
            return Err(raise(PyExc_RuntimeError, "the operation has no result, or it was asked for before"));
        }
        operation.result()
    })
}

static MAILBOX_METHODS: Table<PyMethodDef, 2> = table([
    method0(
        c"fileno",
        fileno,
        c"fileno($self, /)\n--\n\nA descriptor that can be read while something is in it.",
    ),
    method0(
        c"take",
        take,
        c"take($self, /)\n--\n\nEmpty it: a list of the futures whose operations have completed.",
    ),
]);

static OPERATION_METHODS: Table<PyMethodDef, 3> = table([
    method1(c"wait", wait, c"wait($self, future, /)\n--\n\nThe future that the mailbox shall yield."),
    method0(
        c"cancel",
        cancel,
        c"cancel($self, /)\n--\n\nGive it up. True: it was not carried out, and will not be. False: it was; see result().",
    ),
    method0(c"result", result, c"result($self, /)\n--\n\nWhat the select returns or raises; once it has completed, once."),
]);

static MAILBOX_MEMBERS: Table<PyMemberDef, 1> = table([weak_list(offset_of!(Mailbox, weakrefs))]);
static OPERATION_MEMBERS: Table<PyMemberDef, 1> = table([weak_list(offset_of!(Operation, weakrefs))]);

/// Make the types and put them into the module.
///
/// # Safety
/// `module` is the module.
pub(crate) unsafe fn add_to(module: Object) -> Py<()> {
    let mailbox = Type::new(c"gort._gort._Mailbox", size_of::<Mailbox>())
        .flags(Py_TPFLAGS_HAVE_GC)
        .slot(Py_tp_traverse, traverse_mailbox as *mut c_void)
        .doc(c"_Mailbox()\n--\n\nWhat tells an event loop of operations that have completed.")
        .slot(Py_tp_new, new_mailbox as *mut c_void)
        .slot(Py_tp_dealloc, free_mailbox as *mut c_void)
        .slot(Py_tp_members, MAILBOX_MEMBERS.as_ptr())
        .methods(&MAILBOX_METHODS)
        .make()?;
    let operation = Type::new(c"gort._gort._Operation", size_of::<Operation>())
        .flags(Py_TPFLAGS_HAVE_GC)
        .doc(c"_Operation(mailbox, /, *cases)\n--\n\nA select whose completion is left in a mailbox.")
        .slot(Py_tp_new, new_operation as *mut c_void)
        .slot(Py_tp_dealloc, free_operation as *mut c_void)
        .slot(Py_tp_traverse, traverse as *mut c_void)
        .slot(Py_tp_clear, clear as *mut c_void)
        .slot(Py_tp_members, OPERATION_MEMBERS.as_ptr())
        .methods(&OPERATION_METHODS)
        .make()?;
    // SAFETY: the caller's promise.
    unsafe {
        add(module, c"_Mailbox", mailbox.as_ptr())?;
        add(module, c"_Operation", operation.as_ptr())?;
    }
    MAILBOX.set(mailbox);
    OPERATION.set(operation);
    Ok(())
}
