//! `go`: a goroutine from its start to its end.
//!
//! The one thing to know: a goroutine's record holds what it was started with, and belongs to whoever may run it: the
//! starter, then the lane, then the goroutine itself; `lane::goroutine_end` frees it. What the goroutine runs is `entry`,
//! on its own stack, with its own thread state attached: the call, what becomes of its result (`Finish`; by default an
//! exception goes to `gort.excepthook`), and then the end of all that the state holds, which may run destructors.

use std::ffi::{c_int, c_void};
use std::mem;
use std::ptr;

use crate::errors::checked;
use crate::gort;
use crate::lane::{self, STACK_SIZE};
use crate::raw::*;

unsafe extern "C" {
    fn gort_py_call(callable: Object, args: *mut Object, count: usize, names: Object) -> Object;
    fn gort_py_caller(instruction: *mut c_int) -> Object;
    fn gort_py_is_plain(callable: Object) -> c_int;
    fn gort_py_line(code: Object, instruction: c_int) -> c_int;
    fn gort_py_state_clear(state: *mut PyThreadState);
    fn gort_py_state_stack(state: *mut PyThreadState, low: *mut c_void, size: usize);
}

/// What is done with the result of a goroutine's function, null if an exception is set, on its own stack. It takes the
/// reference, and leaves no exception set. `data` is what the goroutine was started with.
pub(crate) type Finish = unsafe fn(goroutine: *mut Goroutine, result: Object, data: *mut c_void);

/// A goroutine of Python. Behind it in memory: a free place, then the arguments.
#[repr(C)]
pub(crate) struct Goroutine {
    /// Its thread state, from its first turn on.
    pub(crate) state: *mut PyThreadState,
    /// The end of its stack, from its first turn on.
    pub(crate) stack_high: usize,
    /// Where on its stack the function of this module was entered that waits; 0: it does not wait in one.
    pub(crate) here: usize,
    /// Its function is written in Python.
    pub(crate) is_plain: bool,
    /// It has left with no state attached.
    pub(crate) detached: bool,
    /// Nothing of what it held is left.
    pub(crate) is_clear: bool,
    /// `lane::forks()` where it was started: another number where it runs means that it has forked.
    forks: u64,
    callable: Object,
    /// Names of the last arguments; may be null.
    names: Object,
    /// Its contextvars.
    context: Object,
    /// The code that started it, and the instruction; may be null.
    creator: Object,
    instruction: c_int,
    /// Positional arguments, and all.
    positional: u32,
    arguments: u32,
    finish: Finish,
    data: *mut c_void,
}

impl Goroutine {
    /// A new one, that is to call `callable` with the `positional` first `args`, and the rest by `names`.
    ///
    /// # Safety
    /// The GIL is held; the objects are live, as many as said, and `names` is null or a tuple.
    unsafe fn new(
        callable: Object,
        args: &[Object],
        positional: usize,
        names: Object,
        finish: Finish,
        data: *mut c_void,
    ) -> Py<*mut Self> {
        // SAFETY: the caller's promise; the memory is ours, and as large as asked for.
        unsafe {
            let context = Owned::new(PyContext_CopyCurrent())?;
            let size = size_of::<Self>() + (1 + args.len()) * size_of::<Object>();
            let this = libc::malloc(size).cast::<Self>();
            if this.is_null() {
                return Err(no_memory());
            }
            let mut instruction = 0;
            let creator = gort_py_caller(&mut instruction);
            Py_INCREF(callable);
            Py_XINCREF(names);
            this.write(Self {
                state: ptr::null_mut(),
                stack_high: 0,
                here: 0,
                is_plain: gort_py_is_plain(callable) != 0,
                detached: false,
                is_clear: false,
                forks: lane::forks(),
                callable,
                names,
                context: context.into_ptr(),
                creator,
                instruction,
                positional: positional as u32,
                arguments: args.len() as u32,
                finish,
                data,
            });
            let places = Self::places(this);
            for (index, &arg) in args.iter().enumerate() {
                Py_INCREF(arg);
                places.add(index).write(arg);
            }
            Ok(this)
        }
    }

    /// Where the arguments are. The place before them is free.
    unsafe fn places(this: *mut Self) -> *mut Object {
        // SAFETY: the caller's: `this` is from `new`.
        unsafe { this.add(1).cast::<Object>().add(1) }
    }

    /// Let go of what it holds.
    ///
    /// # Safety
    /// `this` is from `new`, and the caller's; the GIL is held.
    pub(crate) unsafe fn empty(this: *mut Self) {
        // SAFETY: the caller's promise; each reference is given up once.
        unsafe {
            for index in 0..mem::take(&mut (*this).arguments) as usize {
                Py_DECREF(*Self::places(this).add(index));
            }
            for place in [&raw mut (*this).callable, &raw mut (*this).names, &raw mut (*this).context, &raw mut (*this).creator] {
                Py_XDECREF(place.replace(ptr::null_mut()));
            }
            (*this).is_clear = true;
        }
    }

    /// Free it.
    ///
    /// # Safety
    /// `this` is from `new`, empty, and used no more.
    pub(crate) unsafe fn free(this: *mut Self) {
        // SAFETY: the caller's promise.
        unsafe { libc::free(this.cast()) }
    }

    /// Where it was started, for people: `file.py:12, in main`.
    unsafe fn started_at(this: *mut Self) -> Py<Owned> {
        // SAFETY: the caller's: a live record, with the GIL held.
        unsafe {
            let code = (*this).creator;
            if code.is_null() {
                return Ok(none());
            }
            let attribute = |name: &std::ffi::CStr| Owned::new(PyObject_GetAttrString(code, name.as_ptr()));
            let (file, name) = (attribute(c"co_filename")?, attribute(c"co_name")?);
            let line = gort_py_line(code, (*this).instruction);
            tuple([file, int(line.into())?, name])
        }
    }
}

/// Start a goroutine that calls `callable`; its result goes to `finish`, with `data`.
///
/// # Safety
/// As for `Goroutine::new`; `finish` may be called so.
pub(crate) unsafe fn start(
    callable: Object,
    args: &[Object],
    positional: usize,
    names: Object,
    finish: Finish,
    data: *mut c_void,
) -> Py<()> {
    // SAFETY: the caller's promise. If nothing was spawned the record is still ours.
    unsafe {
        if PyCallable_Check(callable) == 0 {
            return Err(type_error("go() needs something that can be called"));
        }
        let goroutine = Goroutine::new(callable, args, positional, names, finish, data)?;
        lane::spawn(entry, goroutine).inspect_err(|_| {
            let (mut kind, mut value, mut traceback) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
            PyErr_Fetch(&mut kind, &mut value, &mut traceback);
            Goroutine::empty(goroutine);
            Goroutine::free(goroutine);
            PyErr_Restore(kind, value, traceback);
        })
    }
}

/// What a goroutine runs.
unsafe extern "C" fn entry(arg: *mut c_void) {
    // SAFETY: the record that was spawned; its state is attached, by `goroutine_start`.
    unsafe {
        let this = arg.cast::<Goroutine>();
        let (mut low, mut high) = (ptr::null_mut(), ptr::null_mut());
        gort::gort_stack_bounds(&mut low, &mut high);
        (*this).stack_high = high.addr();
        gort_py_state_stack((*this).state, low, STACK_SIZE);
        if MEASURE.get().is_null() && measure().is_err() {
            PyErr_Clear();
        }
        let result = if PyContext_Enter((*this).context) == 0 {
            let positional = (*this).positional as usize;
            gort_py_call((*this).callable, Goroutine::places(this), positional, (*this).names)
        } else {
            ptr::null_mut()
        };
        ((*this).finish)(this, result, (*this).data);
        if PyContext_Exit((*this).context) != 0 {
            PyErr_Clear();
        }
        if (*this).forks != lane::forks() {
            end_child();
        }
        Goroutine::empty(this);
        gort_py_state_clear((*this).state);
    }
}

/// The function of a goroutine that has forked has returned, in the child: there is nobody to return to, and the
/// process ends as that of a thread that forks does, with what it has printed.
#[cold]
unsafe fn end_child() -> ! {
    // SAFETY: the GIL is held; this is the only thread.
    unsafe {
        flush();
        libc::_exit(0)
    }
}

/// Write out what Python has buffered of standard output and error.
unsafe fn flush() {
    for name in [c"stdout", c"stderr"] {
        // SAFETY: the GIL is held. What fails is forgotten: there is nobody to tell.
        unsafe {
            let stream = PySys_GetObject(name.as_ptr());
            if given(stream) {
                let done = PyObject_CallMethod(stream, c"flush".as_ptr(), ptr::null());
                Py_XDECREF(done);
                PyErr_Clear();
            }
        }
    }
}

/// What `go` does with a result: forget it; an exception goes to `gort.excepthook`.
///
/// # Safety
/// As for any `Finish`.
pub(crate) unsafe fn forget(this: *mut Goroutine, result: Object, _data: *mut c_void) {
    if !result.is_null() {
        // SAFETY: the reference was given to us.
        unsafe { Py_DECREF(result) };
        return;
    }
    // SAFETY: an exception is set; the GIL is held.
    unsafe { escaped(this) }
}

/// An exception has left a goroutine: hand it to `gort._hook.escaped`, which calls `gort.excepthook`.
#[cold]
unsafe fn escaped(this: *mut Goroutine) {
    if lane::is_closed() {
        // Modules may be gone already, which raises all kinds of exceptions.
        lane::stop_if_goroutine();
    }
    // SAFETY: an exception is set, and the GIL is held.
    unsafe {
        let (mut kind, mut value, mut traceback) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
        PyErr_Fetch(&mut kind, &mut value, &mut traceback);
        PyErr_NormalizeException(&mut kind, &mut value, &mut traceback);
        if !traceback.is_null() {
            PyException_SetTraceback(value, traceback);
        }
        let told = (|| {
            let hook = Owned::new(PyImport_ImportModule(c"gort._hook".as_ptr()))?;
            let hook = Owned::new(PyObject_GetAttrString(hook.as_ptr(), c"escaped".as_ptr()))?;
            let arguments = tuple([Owned::borrow(value), Goroutine::started_at(this)?, unsigned(gort::gort_id())?])?;
            Owned::new(PyObject_CallObject(hook.as_ptr(), arguments.as_ptr())).map(drop)
        })();
        if told.is_err() {
            // The hook itself has failed, and so has the default: say what there is to say, and end.
            PyErr_Print();
            PyErr_Restore(kind, value, traceback);
            PyErr_Print();
            flush();
            libc::_exit(2);
        }
        Py_XDECREF(kind);
        Py_XDECREF(value);
        Py_XDECREF(traceback);
    }
}

// ---------------------------------------------------------------------------------------- how deep is flat

/// `lambda probe: probe()`, and that it has been measured; null before.
static MEASURE: Global = Global::new();
static PROBE: Global = Global::new();

/// Measure how deep on its stack a goroutine calls a function of this module, in one that is about to begin.
#[cold]
unsafe fn measure() -> Py<()> {
    // SAFETY: the GIL is held, and a goroutine's state is attached.
    unsafe {
        let globals = Owned::new(PyDict_New())?;
        let text = c"lambda probe: probe()";
        let function =
            Owned::new(PyRun_String(text.as_ptr(), Py_eval_input, globals.as_ptr(), globals.as_ptr()))?;
        MEASURE.set(function);
        let mut places = [ptr::null_mut(), PROBE.get()];
        let result = gort_py_call(MEASURE.get(), places.as_mut_ptr().add(1), 1, ptr::null_mut());
        Owned::new(result).map(drop)
    }
}

unsafe extern "C" fn probe(_: Object, _: *const Object, _: Py_ssize_t, _: Object) -> Object {
    returned(|| {
        let here = 0_u8;
        let goroutine = lane::current();
        if !goroutine.is_null() {
            // SAFETY: the calling goroutine's own record.
            crate::foreign::measured((&raw const here).addr(), unsafe { (*goroutine).stack_high });
        }
        Ok(none())
    })
}

// -------------------------------------------------------------------------------------------------- functions

/// The arguments of a function that hands them on: the callable, what it is called with, how many of that by
/// position. A `TypeError` if there is no callable.
///
/// # Safety
/// As for `Params::parse`.
pub(crate) unsafe fn call_arguments<'a>(
    function: &str,
    args: *const Object,
    nargs: Py_ssize_t,
    names: Object,
) -> Py<(Object, &'a [Object], usize)> {
    if nargs < 1 {
        return Err(type_error(&format!("{function}() needs the function that is to be called")));
    }
    // SAFETY: the caller's promise.
    unsafe {
        let named = if names.is_null() { 0 } else { PyTuple_GET_SIZE(names) };
        let rest = std::slice::from_raw_parts(args.add(1), (nargs - 1 + named) as usize);
        Ok((*args, rest, (nargs - 1) as usize))
    }
}

unsafe extern "C" fn go(_module: Object, args: *const Object, nargs: Py_ssize_t, names: Object) -> Object {
    // SAFETY: called by Python.
    returned(|| unsafe {
        let (callable, rest, positional) = call_arguments("go", args, nargs, names)?;
        start(callable, rest, positional, names, forget, ptr::null_mut())?;
        Ok(none())
    })
}

unsafe extern "C" fn gosched(_module: Object, _: Object) -> Object {
    // SAFETY: called by Python, with the GIL held.
    unsafe { crate::block::without_gil(|| gort::gort_yield()) };
    none().into_ptr()
}

static SLEEP: Params<1> = Params::new("sleep", [c"seconds"], 1);

unsafe extern "C" fn sleep(_module: Object, args: *const Object, nargs: Py_ssize_t, names: Object) -> Object {
    // SAFETY: called by Python.
    returned(|| unsafe {
        let [seconds] = SLEEP.parse(args, nargs, names)?;
        let nanoseconds = to_nanoseconds(seconds)?;
        if nanoseconds <= 0 {
            return Ok(none());
        }
        let deadline = gort::gort_now().saturating_add(nanoseconds);
        let slept = |until: i64| {
            gort::gort_sleep(until.saturating_sub(gort::gort_now()));
            gort::ETIMEDOUT
        };
        crate::block::may_block_until(deadline, slept)?;
        Ok(none())
    })
}

unsafe extern "C" fn num_goroutines(_module: Object, _: Object) -> Object {
    // SAFETY: reads a number.
    returned(|| unsigned(unsafe { gort::gort_num_goroutines() } as u64))
}

unsafe extern "C" fn num_cpu(_module: Object, _: Object) -> Object {
    // SAFETY: reads a number.
    returned(|| int(unsafe { gort::gort_num_cpu() }.into()))
}

static MAX_PROCS: Params<1> = Params::new("max_procs", [c"n"], 0);

unsafe extern "C" fn max_procs(_module: Object, args: *const Object, nargs: Py_ssize_t, names: Object) -> Object {
    // SAFETY: called by Python.
    returned(|| unsafe {
        let [n] = MAX_PROCS.parse(args, nargs, names)?;
        let number = match given(n) {
            true => to_int(n)?,
            // Only asks.
            false => return int(gort::gort_max_procs(0).into()),
        };
        match c_int::try_from(number) {
            Ok(number @ 1..) => int(checked(gort::gort_max_procs(number))?.into()),
            _ => Err(value_error("max_procs() must be at least 1")),
        }
    })
}

unsafe extern "C" fn close_lane(_module: Object, _: Object) -> Object {
    // SAFETY: called by Python's atexit.
    unsafe { lane::close() };
    none().into_ptr()
}

unsafe extern "C" fn after_fork(_module: Object, _: Object) -> Object {
    // SAFETY: called by Python in a forked child.
    unsafe {
        lane::forked();
        crate::block::set_main_thread(libc::pthread_self() as u64);
    }
    none().into_ptr()
}

static FUNCTIONS: Table<PyMethodDef, 8> = table([
    function(
        c"go",
        go,
        c"go(fn, /, *args, **kwargs)\n--\n\nCall fn(*args, **kwargs) in a new goroutine. What it returns is dropped; an \
          exception that leaves it goes to gort.excepthook.",
    ),
    method0(c"gosched", gosched, c"gosched()\n--\n\nLet the other goroutines run; go on behind them."),
    function(c"sleep", sleep, c"sleep(seconds)\n--\n\nLet this goroutine, or thread, sleep."),
    method0(c"num_goroutines", num_goroutines, c"num_goroutines()\n--\n\nHow many goroutines there are, of C code too."),
    method0(c"num_cpu", num_cpu, c"num_cpu()\n--\n\nHow many processors this process may use."),
    function(
        c"max_procs",
        max_procs,
        c"max_procs(n=None)\n--\n\nHow many goroutines of C code may run at once; set it to n if that is given. Returns \
          what it was. Python runs one at a time.",
    ),
    method0(c"_close", close_lane, c"_close()\n--\n\nFor atexit."),
    method0(c"_after_fork", after_fork, c"_after_fork()\n--\n\nFor os.register_at_fork."),
]);

static PROBE_FUNCTION: Table<PyMethodDef, 1> = table([function(c"_probe", probe, c"_probe()\n--\n\n")]);

/// # Safety
/// `module` is the module.
pub(crate) unsafe fn add_to(module: Object) -> Py<()> {
    // SAFETY: a static table with its end.
    unsafe {
        check(PyModule_AddFunctions(module, FUNCTIONS.as_ptr().cast()))?;
        PROBE.set(Owned::new(PyCFunction_NewEx(PROBE_FUNCTION.as_ptr().cast(), ptr::null_mut(), ptr::null_mut()))?);
        call_when_it_matters(module)
    }
}

/// Have `_close` called at exit, and `_after_fork` in forked children.
unsafe fn call_when_it_matters(module: Object) -> Py<()> {
    // SAFETY: the GIL is held.
    unsafe {
        let attribute = |object: Object, name: &std::ffi::CStr| Owned::new(PyObject_GetAttrString(object, name.as_ptr()));
        let import = |name: &std::ffi::CStr| Owned::new(PyImport_ImportModule(name.as_ptr()));
        let register = attribute(import(c"atexit")?.as_ptr(), c"register")?;
        let close = tuple([attribute(module, c"_close")?])?;
        Owned::new(PyObject_CallObject(register.as_ptr(), close.as_ptr()))?;
        let register = attribute(import(c"os")?.as_ptr(), c"register_at_fork")?;
        let names = Owned::new(PyDict_New())?;
        let forked = attribute(module, c"_after_fork")?;
        check(PyDict_SetItemString(names.as_ptr(), c"after_in_child".as_ptr(), forked.as_ptr()))?;
        Owned::new(PyObject_Call(register.as_ptr(), tuple([])?.as_ptr(), names.as_ptr())).map(drop)
    }
}
