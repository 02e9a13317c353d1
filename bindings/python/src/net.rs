//! Descriptors of the C library: what `gort.net` builds its connections on.
//!
//! The one thing to know: **a call on the main thread is made in slices by way of the descriptor's deadline**, since
//! reading and writing have no deadline of their own. For each slice the deadline is set to the slice's end, and after
//! it back to the user's (`user`). Another call on the same descriptor may be woken by that: one that is told of a
//! timeout while the user's deadline has not passed begins again. Whoever puts a deadline back looks afterwards whether
//! the user has changed it meanwhile, and if so does it again: so the last word is the user's.

use std::ffi::{CString, c_char, c_int, c_void};
use std::mem::offset_of;
use std::ptr;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::block::{may_block_until, on_main_thread, without_gil};
use crate::errors::{checked, raise_status};
use crate::gort::{self, ETIMEDOUT, FOREVER, OK, gort_fd_t};
use crate::lane;
use crate::proxy::{Call, by_proxy};
use crate::raw::*;

static CLASS: Global = Global::new();

unsafe extern "C" {
    /// Of Python's C API; in place of the object, null if it fails.
    fn _PyBytes_Resize(bytes: *mut Object, size: Py_ssize_t) -> c_int;
}

const ADDR_SIZE: usize = 128;
const TIMED_OUT: i64 = ETIMEDOUT as i64;

#[repr(C)]
struct Fd {
    head: PyObject,
    /// A reference to it.
    f: *mut gort_fd_t,
    /// For reading and accepting.
    reads: Deadline,
    writes: Deadline,
    weakrefs: Object,
}

/// One of the two deadlines of a descriptor, and what the user wants it to be.
struct Deadline {
    user: AtomicI64,
    set: unsafe extern "C" fn(*mut gort_fd_t, i64) -> c_int,
}

impl Deadline {
    /// Make it what the user wants. SeqCst: of two who do this at once, the one who comes second in the order of all
    /// looks has seen the other's wish.
    unsafe fn put_back(&self, f: *mut gort_fd_t) {
        loop {
            let user = self.user.load(Ordering::SeqCst);
            // SAFETY: the caller has `f`.
            unsafe { (self.set)(f, user) };
            if self.user.load(Ordering::SeqCst) == user {
                return;
            }
        }
    }

    /// Make `call` until it succeeds, fails, or the user's deadline has passed.
    ///
    /// # Safety
    /// `f` is live for the call; the GIL is held.
    unsafe fn wait(&self, f: *mut gort_fd_t, mut call: impl FnMut() -> i64) -> Py<i64> {
        let mut result = 0;
        let sliced = !lane::in_goroutine() && on_main_thread();
        let body = |until: i64| {
            loop {
                // SAFETY: the caller's promise.
                unsafe {
                    if sliced && until != FOREVER {
                        (self.set)(f, until.min(self.user.load(Ordering::SeqCst)));
                    }
                    result = call();
                    if sliced {
                        self.put_back(f);
                    }
                    if result != TIMED_OUT || self.user.load(Ordering::SeqCst) <= gort::gort_now() {
                        return OK;
                    }
                    if sliced {
                        return ETIMEDOUT;
                    }
                    // Another's slice: it puts the deadline back at once.
                    gort::gort_sleep(100_000);
                }
            }
        };
        // SAFETY: the caller's promise.
        unsafe { may_block_until(FOREVER, body)? };
        Ok(result)
    }
}

fn result(n: i64) -> Py<i64> {
    if n < 0 { Err(raise_status(n as c_int)) } else { Ok(n) }
}

impl Fd {
    unsafe fn of<'a>(object: Object) -> &'a Fd {
        // SAFETY: the caller has one of ours; what changes in it is atomic.
        unsafe { &*object.cast() }
    }

    /// An object of `class` for a descriptor that is given away, or for the status that it is null for.
    unsafe fn make(class: Object, f: *mut gort_fd_t, status: c_int) -> Py<Owned> {
        // SAFETY: `class` was made for `Fd`s.
        unsafe {
            if f.is_null() {
                return Err(raise_status(status));
            }
            match allocate::<Fd>(class.cast()) {
                Ok(this) => {
                    let this: *mut Fd = this.as_ptr();
                    (*this).f = f;
                    let reads =
                        Deadline { user: AtomicI64::new(FOREVER), set: gort::gort_fd_set_read_deadline };
                    let writes =
                        Deadline { user: AtomicI64::new(FOREVER), set: gort::gort_fd_set_write_deadline };
                    (&raw mut (*this).reads).write(reads);
                    (&raw mut (*this).writes).write(writes);
                    Owned::new(this.cast())
                }
                Err(raised) => {
                    gort::gort_fd_release(f);
                    Err(raised)
                }
            }
        }
    }
}

static METHODS: Table<PyMethodDef, 14> = table([
    class_function(c"_listen", listen, c"_listen($type, network, address, /)\n--\n\n"),
    class_function(c"_dial", dial, c"_dial($type, network, address, timeout, /)\n--\n\n"),
    class_function(c"_open", open, c"_open($type, fd, /)\n--\n\nTake a descriptor over."),
    method1(c"_accept", accept, c"_accept($self, type, /)\n--\n\n"),
    method1(c"_read", read, c"_read($self, n, /)\n--\n\n"),
    method1(c"_readinto", readinto, c"_readinto($self, buffer, /)\n--\n\n"),
    method1(c"_write", write, c"_write($self, data, /)\n--\n\n"),
    method1(c"_shutdown", shutdown, c"_shutdown($self, how, /)\n--\n\n"),
    method0(c"close", close, c"close($self, /)\n--\n\nClose it; whoever waits in it gets Closed. Twice is as once."),
    method0(c"fileno", fileno, c"fileno($self, /)\n--\n\nThe number of the descriptor; raises Closed."),
    method1(
        c"set_deadline",
        set_deadline,
        c"set_deadline($self, t, /)\n--\n\nLet calls that wait raise TimeoutError at t, on the clock of time.monotonic(); None: never.",
    ),
    method1(c"set_read_deadline", set_read_deadline, c"set_read_deadline($self, t, /)\n--\n\nset_deadline() for reading and accepting."),
    method1(c"set_write_deadline", set_write_deadline, c"set_write_deadline($self, t, /)\n--\n\nset_deadline() for writing."),
    method0(c"__reduce__", reduce, c"__reduce__($self, /)\n--\n\nIt cannot be pickled."),
]);

static GETTERS: Table<PyGetSetDef, 3> = table([
    getter(c"local_addr", local_addr, c"The address of this side."),
    getter(c"peer_addr", peer_addr, c"The address of the other side."),
    getter(c"closed", closed, c"Whether it was closed."),
]);

static MEMBERS: Table<PyMemberDef, 1> = table([weak_list(offset_of!(Fd, weakrefs))]);

static FUNCTIONS: Table<PyMethodDef, 1> = table([function(
    c"wait_fd",
    wait_fd,
    c"wait_fd(fd, events, timeout=None)\n--\n\nWait until something of events (select.POLLIN, select.POLLOUT) holds of the descriptor fd, as select.poll does for\none: what holds. Raises TimeoutError.",
)]);

/// Make the type and put it into the module.
///
/// # Safety
/// `module` is the module.
pub(crate) unsafe fn add_to(module: Object) -> Py<()> {
    let class = Type::new(c"gort._gort.Fd", size_of::<Fd>())
        .doc(c"A descriptor, as gort_fd_t; what gort.net's classes derive from.")
        .flags(Py_TPFLAGS_BASETYPE)
        .slot(Py_tp_dealloc, dealloc as *mut c_void)
        .slot(Py_tp_members, MEMBERS.as_ptr())
        .methods(&METHODS)
        .getters(&GETTERS)
        .make()?;
    // SAFETY: the caller's promise.
    unsafe {
        add(module, c"Fd", class.as_ptr())?;
        CLASS.set(class);
        check(PyModule_AddFunctions(module, FUNCTIONS.as_ptr().cast())).map(drop)
    }
}

unsafe extern "C" fn dealloc(this: Object) {
    // SAFETY: called by Python when the last reference is gone: nobody is in a call, so that closing does not wait.
    unsafe {
        let fd: *mut Fd = this.cast();
        if !(*fd).weakrefs.is_null() {
            PyObject_ClearWeakRefs(this);
        }
        gort::gort_fd_release((*fd).f);
        free(this);
    }
}

/// A name of a network or an address.
unsafe fn c_string(object: Object) -> Py<CString> {
    // SAFETY: a live argument.
    CString::new(unsafe { text(object)? }).map_err(|_| value_error("embedded null character"))
}

unsafe fn exactly<const N: usize>(
    name: &str,
    args: *const Object,
    nargs: Py_ssize_t,
    names: Object,
) -> Py<[Object; N]> {
    if nargs as usize != N || !names.is_null() {
        return Err(type_error(&format!("{name}() takes exactly {N} positional arguments")));
    }
    // SAFETY: Python's arguments, so many.
    Ok(std::array::from_fn(|index| unsafe { *args.add(index) }))
}

unsafe extern "C" fn listen(class: Object, args: *const Object, nargs: Py_ssize_t, names: Object) -> Object {
    // SAFETY: called by Python with a subtype of ours.
    returned(|| unsafe {
        let [network, address] = exactly("_listen", args, nargs, names)?;
        let (network, address) = (c_string(network)?, c_string(address)?);
        let mut status = OK;
        let f = without_gil(|| gort::gort_listen(network.as_ptr(), address.as_ptr(), &mut status));
        Fd::make(class, f, status)
    })
}

/// A dial, which the main thread has made for it.
struct Dial {
    network: CString,
    address: CString,
    deadline: i64,
    f: *mut gort_fd_t,
}

impl Call for Dial {
    fn run(&mut self) -> c_int {
        let mut status = OK;
        // SAFETY: two strings, and a place for the status.
        self.f = unsafe {
            gort::gort_dial(self.network.as_ptr(), self.address.as_ptr(), self.deadline, &mut status)
        };
        status
    }

    fn undo(self, _: c_int) {
        // SAFETY: ours, or null.
        unsafe { gort::gort_fd_release(self.f) };
    }

    fn undo_here(self, status: c_int) {
        self.undo(status);
    }
}

unsafe extern "C" fn dial(class: Object, args: *const Object, nargs: Py_ssize_t, names: Object) -> Object {
    // SAFETY: called by Python with a subtype of ours.
    returned(|| unsafe {
        let [network, address, timeout] = exactly("_dial", args, nargs, names)?;
        let (network, address) = (c_string(network)?, c_string(address)?);
        let deadline = to_deadline(timeout)?;
        let mut call = Dial { network, address, deadline, f: ptr::null_mut() };
        if !lane::in_goroutine() && on_main_thread() {
            let (status, call) = by_proxy(call)?;
            return Fd::make(class, call.f, status);
        }
        let status = without_gil(|| call.run());
        Fd::make(class, call.f, status)
    })
}

unsafe extern "C" fn open(class: Object, args: *const Object, nargs: Py_ssize_t, names: Object) -> Object {
    // SAFETY: called by Python with a subtype of ours.
    returned(|| unsafe {
        let [fd] = exactly("_open", args, nargs, names)?;
        let fd = PyObject_AsFileDescriptor(fd);
        if fd < 0 {
            return Err(Raised);
        }
        let mut status = OK;
        let f = gort::gort_fd_open(fd, &mut status);
        Fd::make(class, f, status)
    })
}

unsafe extern "C" fn accept(this: Object, class: Object) -> Object {
    // SAFETY: called by Python with one of ours, which the caller keeps.
    returned(|| unsafe {
        let ours = PyType_Check(class) != 0 && PyType_IsSubtype(class.cast(), CLASS.type_ptr()) != 0;
        if !ours {
            return Err(type_error("_accept() wants a type of descriptors"));
        }
        let fd = Fd::of(this);
        let (mut status, mut f) = (OK, ptr::null_mut());
        fd.reads.wait(fd.f, || {
            f = gort::gort_accept(fd.f, &mut status);
            i64::from(status)
        })?;
        Fd::make(class, f, status)
    })
}

unsafe extern "C" fn read(this: Object, n: Object) -> Object {
    // SAFETY: called by Python with one of ours, which the caller keeps.
    returned(|| unsafe {
        let n = to_int(n)?;
        if n < 0 {
            return Err(value_error("a number of bytes must not be negative"));
        }
        let fd = Fd::of(this);
        let mut bytes = Owned::new(PyBytes_FromStringAndSize(ptr::null(), n as Py_ssize_t))?.into_ptr();
        // Nobody else knows of the bytes, until they are returned.
        let buffer: *mut c_void = PyBytes_AsString(bytes).cast();
        match fd.reads.wait(fd.f, || gort::gort_fd_read(fd.f, buffer, n as usize)).and_then(result) {
            Ok(got) => {
                // Null, with an exception, if it fails.
                _PyBytes_Resize(&mut bytes, got as Py_ssize_t);
                Owned::new(bytes)
            }
            Err(raised) => {
                Py_DECREF(bytes);
                Err(raised)
            }
        }
    })
}

/// A buffer of Python's, held.
struct Buffer(Py_buffer);

impl Buffer {
    unsafe fn new(object: Object, flags: c_int) -> Py<Box<Self>> {
        // SAFETY: zeroed is what an empty one is. It stays where it is: some exporters point to it.
        unsafe {
            let mut buffer: Box<Self> = Box::new(Self(std::mem::zeroed()));
            let result = PyObject_GetBuffer(object, &mut buffer.0, flags);
            if result != 0 {
                // There is nothing to release: it is still zeroed, for which releasing does nothing.
                return Err(Raised);
            }
            Ok(buffer)
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: filled in by `PyObject_GetBuffer`, or zeroed.
        unsafe { PyBuffer_Release(&mut self.0) };
    }
}

unsafe extern "C" fn readinto(this: Object, object: Object) -> Object {
    // SAFETY: called by Python with one of ours, which the caller keeps.
    returned(|| unsafe {
        let buffer = Buffer::new(object, PyBUF_WRITABLE)?;
        let (at, n) = (buffer.0.buf, buffer.0.len as usize);
        let fd = Fd::of(this);
        int(fd.reads.wait(fd.f, || gort::gort_fd_read(fd.f, at, n)).and_then(result)?)
    })
}

unsafe extern "C" fn write(this: Object, object: Object) -> Object {
    // SAFETY: called by Python with one of ours, which the caller keeps.
    returned(|| unsafe {
        let buffer = Buffer::new(object, PyBUF_SIMPLE)?;
        let n = buffer.0.len as usize;
        let fd = Fd::of(this);
        let mut written = 0;
        loop {
            let rest = n - written;
            let at = buffer.0.buf.cast_const().byte_add(written);
            // Less than all: the next call says why.
            written +=
                fd.writes.wait(fd.f, || gort::gort_fd_write(fd.f, at, rest)).and_then(result)? as usize;
            if written >= n {
                return int(written as i64);
            }
        }
    })
}

unsafe extern "C" fn shutdown(this: Object, how: Object) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe {
        let how = c_int::try_from(to_int(how)?).unwrap_or(-1);
        checked(gort::gort_fd_shutdown(Fd::of(this).f, how))?;
        Ok(none())
    })
}

unsafe extern "C" fn close(this: Object, _: Object) -> Object {
    // SAFETY: called by Python with one of ours. It waits for calls that are on their way out.
    returned(|| unsafe {
        let f = Fd::of(this).f;
        match without_gil(|| gort::gort_fd_close(f)) {
            gort::ECLOSED => Ok(none()),
            status => checked(status).map(|_| none()),
        }
    })
}

unsafe extern "C" fn fileno(this: Object, _: Object) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe { int(i64::from(checked(gort::gort_fd_raw(Fd::of(this).f))?)) })
}

unsafe fn set(this: Object, t: Object, reads: bool, writes: bool) -> Py<Owned> {
    // SAFETY: one of ours, and a live object.
    unsafe {
        let deadline = if given(t) { to_nanoseconds(t)?.max(0) } else { FOREVER };
        let fd = Fd::of(this);
        checked(gort::gort_fd_raw(fd.f))?;
        for (wanted, which) in [(reads, &fd.reads), (writes, &fd.writes)] {
            if wanted {
                which.user.store(deadline, Ordering::SeqCst);
                which.put_back(fd.f);
            }
        }
        Ok(none())
    }
}

unsafe extern "C" fn set_deadline(this: Object, t: Object) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe { set(this, t, true, true) })
}

unsafe extern "C" fn set_read_deadline(this: Object, t: Object) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe { set(this, t, true, false) })
}

unsafe extern "C" fn set_write_deadline(this: Object, t: Object) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe { set(this, t, false, true) })
}

unsafe extern "C" fn reduce(_this: Object, _: Object) -> Object {
    returned(|| Err(type_error("a connection cannot be pickled")))
}

unsafe fn address(
    this: Object,
    ask: unsafe extern "C" fn(*mut gort_fd_t, *mut c_char, usize) -> c_int,
) -> Py<Owned> {
    let mut buffer = [0 as c_char; ADDR_SIZE];
    // SAFETY: one of ours; a buffer of the size that is said, which ends with a NUL.
    unsafe {
        checked(ask(Fd::of(this).f, buffer.as_mut_ptr(), ADDR_SIZE))?;
        Owned::new(PyUnicode_DecodeFSDefault(buffer.as_ptr()))
    }
}

unsafe extern "C" fn local_addr(this: Object, _: *mut c_void) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe { address(this, gort::gort_fd_local_addr) })
}

unsafe extern "C" fn peer_addr(this: Object, _: *mut c_void) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe { address(this, gort::gort_fd_peer_addr) })
}

unsafe extern "C" fn closed(this: Object, _: *mut c_void) -> Object {
    // SAFETY: called by Python with one of ours.
    returned(|| unsafe { Ok(boolean(gort::gort_fd_raw(Fd::of(this).f) == gort::ECLOSED)) })
}

static WAIT_FD: Params<3> = Params::new("wait_fd", [c"fd", c"events", c"timeout"], 2);

unsafe extern "C" fn wait_fd(
    _module: Object,
    args: *const Object,
    nargs: Py_ssize_t,
    names: Object,
) -> Object {
    // SAFETY: called by Python.
    returned(|| unsafe {
        let [fd, events, timeout] = WAIT_FD.parse(args, nargs, names)?;
        let fd = PyObject_AsFileDescriptor(fd);
        if fd < 0 {
            return Err(Raised);
        }
        let events = c_int::try_from(to_int(events)?).unwrap_or(-1);
        let deadline = to_deadline(timeout)?;
        int(i64::from(checked(may_block_until(deadline, |until| gort::gort_wait_fd(fd, events, until))?)?))
    })
}
