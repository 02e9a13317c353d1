//! `after`, `Timer`, `Ticker`.
//!
//! The one thing to know: ticks come on a `Chan` of seconds, on the clock of `time.monotonic()`. A timer with a function
//! starts it as a goroutine; what that needs lives in a [`Call`], which the timer object and the armed timer of the C
//! library share, since an armed timer fires though its object is gone.

use std::ffi::{c_int, c_void};
use std::mem::offset_of;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use crate::attach::with_gil;
use crate::block;
use crate::chan::{Chan, Format, wrap};
use crate::gort::{self, ECLOSED, FOREVER, OK, gort_case_t, gort_chan_t, gort_timer_t};
use crate::raw::*;

/// The function of the module that starts a goroutine.
static GO: Global = Global::new();

/// `gort.Timer` and `gort.Ticker`.
#[repr(C)]
struct Timer {
    head: PyObject,
    timer: *mut gort_timer_t,
    /// The channel of the ticks, owned; null for a timer with a function.
    chan: Object,
    /// What a timer with a function does; else null.
    call: *mut Call,
    /// Of a ticker: closed when it is stopped, which ends the iterations over it.
    stopped: AtomicPtr<gort_chan_t>,
    weakrefs: Object,
}

impl Timer {
    unsafe fn of<'a>(object: Object) -> &'a Timer {
        // SAFETY: the caller has an object of one of the types; what changes is atomic.
        unsafe { &*object.cast() }
    }
}

/// What a timer with a function does.
struct Call {
    /// One for the object, one while the timer is armed or its function is being started. Changed with the GIL held.
    refs: AtomicUsize,
    function: AtomicPtr<PyObject>,
    /// The context of whoever made the timer.
    context: AtomicPtr<PyObject>,
}

impl Call {
    /// # Safety
    /// `function` is live.
    unsafe fn new(function: Object) -> Py<*mut Call> {
        // SAFETY: the caller's promise.
        unsafe {
            let context = Owned::new(PyContext_CopyCurrent())?;
            let function = AtomicPtr::new(Owned::borrow(function).into_ptr());
            let context = AtomicPtr::new(context.into_ptr());
            Ok(Box::into_raw(Box::new(Call { refs: AtomicUsize::new(1), function, context })))
        }
    }

    fn retain(this: *mut Call) {
        // SAFETY: the caller has a reference. Relaxed, as all here: with the GIL held.
        unsafe { (*this).refs.fetch_add(1, Ordering::Relaxed) };
    }

    /// # Safety
    /// The caller has a reference, and gives it up; the GIL is held.
    unsafe fn release(this: *mut Call) {
        // SAFETY: the caller's promise. The last one has the call to itself.
        unsafe {
            if (*this).refs.fetch_sub(1, Ordering::Relaxed) == 1 {
                let call = Box::from_raw(this);
                call.drop_contents();
            }
        }
    }

    unsafe fn drop_contents(&self) {
        for place in [&self.function, &self.context] {
            // SAFETY: an owned reference or null, taken out.
            unsafe { Py_XDECREF(place.swap(ptr::null_mut(), Ordering::Relaxed)) };
        }
    }

    /// Start the goroutine.
    ///
    /// # Safety
    /// The GIL is held.
    unsafe fn start(&self) {
        let (function, context) =
            (self.function.load(Ordering::Relaxed), self.context.load(Ordering::Relaxed));
        // SAFETY: both are owned here as long as the call is armed; this thread is in no other context.
        unsafe {
            if PyContext_Enter(context) == 0 {
                let mut args = [function];
                let started = PyObject_Vectorcall(GO.get(), args.as_mut_ptr(), 1, ptr::null_mut());
                if PyContext_Exit(context) == 0 && !started.is_null() {
                    Py_DECREF(started);
                    return;
                }
                Py_XDECREF(started);
            }
            PyErr_WriteUnraisable(function);
        }
    }
}

/// What the C library runs in a goroutine of its own, which is not the lane's: what waits for the GIL waits on a thread
/// where that holds up nobody.
unsafe extern "C" fn fire(call: *mut c_void) {
    // SAFETY: the reference of the armed timer goes on to `start`.
    unsafe { gort::gort_blocking(start, call) };
}

unsafe extern "C" fn start(call: *mut c_void) -> *mut c_void {
    let call: *mut Call = call.cast();
    // SAFETY: the reference is ours. Without an interpreter it is left to the end of the process.
    with_gil(|| unsafe {
        (*call).start();
        Call::release(call);
    });
    ptr::null_mut()
}

/// A delay in seconds. `FOREVER`: infinite.
unsafe fn delay(seconds: Object) -> Py<i64> {
    // SAFETY: a live argument.
    unsafe { to_nanoseconds(seconds) }
}

/// The period of a ticker.
unsafe fn period(seconds: Object) -> Py<i64> {
    // SAFETY: a live argument.
    match unsafe { to_nanoseconds(seconds)? } {
        ..=0 => Err(value_error("the period of a ticker must be more than 0 seconds")),
        period => Ok(period),
    }
}

unsafe extern "C" fn new_timer(class: *mut PyTypeObject, args: Object, kwargs: Object) -> Object {
    const PARAMS: Params<2> = Params::new("Timer", [c"seconds", c"fn"], 1);
    // SAFETY: called by Python with a tuple and a dict or null.
    returned(|| unsafe {
        let [seconds, function] = PARAMS.parse_tuple(args, kwargs)?;
        let ns = delay(seconds)?;
        if !given(function) {
            return make(class, gort::gort_timer_new(ns), ptr::null_mut());
        }
        if PyCallable_Check(function) == 0 {
            return Err(type_error("Timer: fn must be callable"));
        }
        if GO.get().is_null() {
            let module = Owned::new(PyImport_ImportModule(c"gort._gort".as_ptr()))?;
            GO.set(Owned::new(PyObject_GetAttrString(module.as_ptr(), c"go".as_ptr()))?);
        }
        let call = Call::new(function)?;
        // For the armed timer, which may fire at once.
        Call::retain(call);
        let timer = gort::gort_timer_func(ns, fire, call.cast());
        if timer.is_null() {
            Call::release(call);
        }
        make(class, timer, call)
    })
}

unsafe extern "C" fn new_ticker(class: *mut PyTypeObject, args: Object, kwargs: Object) -> Object {
    const PARAMS: Params<1> = Params::new("Ticker", [c"seconds"], 1);
    // SAFETY: called by Python with a tuple and a dict or null.
    returned(|| unsafe {
        let [seconds] = PARAMS.parse_tuple(args, kwargs)?;
        let ticker = make(class, gort::gort_ticker_new(period(seconds)?), ptr::null_mut())?;
        let stopped = gort::gort_chan_new(0, 0);
        if stopped.is_null() {
            return Err(no_memory());
        }
        Timer::of(ticker.as_ptr()).stopped.store(stopped, Ordering::Relaxed);
        Ok(ticker)
    })
}

/// An object for a timer, which may be null for want of memory.
///
/// # Safety
/// `timer` and a reference to `call` (or null: its ticks come on a channel) are given away.
unsafe fn make(class: *mut PyTypeObject, timer: *mut gort_timer_t, call: *mut Call) -> Py<Owned> {
    // SAFETY: the type is made for `Timer`s; the object is new, and its end frees what it has by then.
    unsafe {
        let object = match allocate::<Timer>(class) {
            Ok(object) => object.as_ptr(),
            Err(raised) => {
                gort::gort_timer_release(timer);
                if !call.is_null() {
                    Call::release(call);
                }
                return Err(raised);
            }
        };
        (*object).timer = timer;
        (*object).call = call;
        let owned = Owned::new(object.cast())?;
        if timer.is_null() {
            return Err(no_memory());
        }
        if call.is_null() {
            let ch = gort::gort_chan_retain(gort::gort_timer_chan(timer));
            (*object).chan = wrap(ch, Format::SECONDS)?.into_ptr();
        }
        Ok(owned)
    }
}

unsafe extern "C" fn dealloc(object: Object) {
    // SAFETY: the object is at its end, and nobody else has it.
    unsafe {
        PyObject_GC_UnTrack(object.cast());
        let timer: *mut Timer = object.cast();
        if !(*timer).weakrefs.is_null() {
            PyObject_ClearWeakRefs(object);
        }
        gort::gort_timer_release((*timer).timer);
        gort::gort_chan_release(*(*timer).stopped.get_mut());
        Py_XDECREF((*timer).chan);
        if !(*timer).call.is_null() {
            Call::release((*timer).call);
        }
        free(object);
    }
}

unsafe extern "C" fn traverse(object: Object, visit: visitproc, arg: *mut c_void) -> c_int {
    // SAFETY: called by the collector, which holds the GIL.
    unsafe {
        let timer = Timer::of(object);
        let mut references = [Py_TYPE(object).cast(), timer.chan, ptr::null_mut(), ptr::null_mut()];
        // An armed timer holds its function from outside.
        if let Some(call) = timer.call.as_ref()
            && call.refs.load(Ordering::Relaxed) == 1
        {
            references[2] = call.function.load(Ordering::Relaxed);
            references[3] = call.context.load(Ordering::Relaxed);
        }
        for reference in references {
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
    // SAFETY: called by the collector, for an object that nobody can reach: its timer is not reset any more.
    unsafe {
        if let Some(call) = Timer::of(object).call.as_ref()
            && call.refs.load(Ordering::Relaxed) == 1
        {
            call.drop_contents();
        }
    }
    0
}

unsafe extern "C" fn stop_timer(object: Object, _: Object) -> Object {
    // SAFETY: called by Python with a `Timer`.
    returned(|| unsafe {
        let timer = Timer::of(object);
        let active = gort::gort_timer_stop(timer.timer);
        if active && !timer.call.is_null() {
            // It will not fire: its reference is left over.
            Call::release(timer.call);
        }
        Ok(boolean(active))
    })
}

unsafe extern "C" fn reset_timer(object: Object, seconds: Object) -> Object {
    // SAFETY: called by Python with a `Timer` and a live argument.
    returned(|| unsafe {
        let timer = Timer::of(object);
        let ns = delay(seconds)?;
        if timer.call.is_null() {
            return Ok(boolean(gort::gort_timer_reset(timer.timer, ns)));
        }
        if (*timer.call).function.load(Ordering::Relaxed).is_null() {
            return Err(value_error("the timer has been taken apart by the garbage collector"));
        }
        // For the armed timer, which may fire at once. If it was armed before, there are two now for one firing.
        Call::retain(timer.call);
        let active = gort::gort_timer_reset(timer.timer, ns);
        if active {
            Call::release(timer.call);
        }
        Ok(boolean(active))
    })
}

unsafe extern "C" fn stop_ticker(object: Object, _: Object) -> Object {
    // SAFETY: called by Python with a `Ticker`. Closing it twice does no harm.
    returned(|| unsafe {
        let ticker = Timer::of(object);
        gort::gort_timer_stop(ticker.timer);
        gort::gort_chan_close(ticker.stopped.load(Ordering::Relaxed));
        Ok(none())
    })
}

unsafe extern "C" fn reset_ticker(object: Object, seconds: Object) -> Object {
    // SAFETY: called by Python with a `Ticker` and a live argument.
    returned(|| unsafe {
        let ticker = Timer::of(object);
        let ns = period(seconds)?;
        let stopped = ticker.stopped.load(Ordering::Relaxed);
        if gort::gort_chan_try_recv(stopped, ptr::null_mut()) == ECLOSED {
            let new = gort::gort_chan_new(0, 0);
            if new.is_null() {
                return Err(no_memory());
            }
            ticker.stopped.store(new, Ordering::Relaxed);
            gort::gort_chan_release(stopped);
        }
        gort::gort_timer_reset(ticker.timer, ns);
        Ok(none())
    })
}

/// The next tick; the end if the ticker was stopped.
unsafe extern "C" fn next(object: Object) -> Object {
    // SAFETY: called by Python with a `Ticker`, which stays alive for the whole call and keeps its channel; the other
    // one is retained meanwhile, as `reset` may put another in its place. Both touch no Python object.
    let tick = unsafe {
        let ticker = Timer::of(object);
        let stopped = gort::gort_chan_retain(ticker.stopped.load(Ordering::Relaxed));
        let mut due = 0i64;
        let case = |chan, elem| gort_case_t { chan, elem, op: gort::RECV, status: OK };
        let mut cases =
            [case(stopped, ptr::null_mut()), case(Chan::of(ticker.chan).ch, (&raw mut due).cast())];
        // A ticker that is stopped ends at once, whatever is due.
        let status = if gort::gort_chan_try_recv(stopped, ptr::null_mut()) == ECLOSED {
            Ok(0)
        } else {
            let cases = cases.as_mut_ptr();
            let attempt = || gort::gort_try_select(cases, 2);
            block::may_block(FOREVER, attempt, |deadline| gort::gort_select_until(cases, 2, deadline))
        };
        gort::gort_chan_release(stopped);
        match status {
            Ok(1) => float(due as f64 * 1e-9),
            _ => Err(Raised),
        }
    };
    tick.map_or(ptr::null_mut(), Owned::into_ptr)
}

unsafe extern "C" fn enter(object: Object, _: Object) -> Object {
    // SAFETY: called by Python with a live object.
    unsafe { Owned::borrow(object).into_ptr() }
}

/// The end of `with`: stop.
unsafe extern "C" fn exit(object: Object, _: *const Object, _: Py_ssize_t, _: Object) -> Object {
    // SAFETY: called by Python with a `Ticker`.
    unsafe { stop_ticker(object, ptr::null_mut()) }
}

unsafe extern "C" fn chan(object: Object, _: *mut c_void) -> Object {
    // SAFETY: called by Python with one of the types.
    returned(|| unsafe {
        let chan = Timer::of(object).chan;
        Ok(if chan.is_null() { none() } else { Owned::borrow(chan) })
    })
}

unsafe extern "C" fn after(_module: Object, seconds: Object) -> Object {
    // SAFETY: called by Python with a live argument.
    returned(|| unsafe { wrap(gort::gort_after(delay(seconds)?), Format::SECONDS) })
}

static TIMER_METHODS: Table<PyMethodDef, 2> = table([
    method0(
        c"stop",
        stop_timer,
        c"stop($self, /)\n--\n\nLet it fire no more until it is reset. True: it was active, or its tick had not been \
          received; no tick from before is received any more.",
    ),
    method1(
        c"reset",
        reset_timer,
        c"reset($self, seconds, /)\n--\n\nLet it fire seconds from now on. True: it was active, or its tick had not been \
          received; no tick from before is received any more.",
    ),
]);

static TICKER_METHODS: Table<PyMethodDef, 4> = table([
    method0(
        c"stop",
        stop_ticker,
        c"stop($self, /)\n--\n\nLet it tick no more until it is reset. That ends the iterations over it; it does not \
          close chan.",
    ),
    method1(c"reset", reset_ticker, c"reset($self, seconds, /)\n--\n\nLet it tick every so many seconds from now on."),
    method0(c"__enter__", enter, c"__enter__($self, /)\n--\n\nThe ticker itself."),
    function(c"__exit__", exit, c"__exit__($self, /, *exception)\n--\n\nStop."),
]);

static TIMER_GETTERS: Table<PyGetSetDef, 1> = table([getter(
    c"chan",
    chan,
    c"The channel on which it ticks, once, with the time at which it was due; None for a timer with a function.",
)]);

static TICKER_GETTERS: Table<PyGetSetDef, 1> = table([getter(
    c"chan",
    chan,
    c"The channel on which it ticks, each time with the time at which it was due.",
)]);

static FUNCTIONS: Table<PyMethodDef, 1> = table([
    method1(
        c"after",
        after,
        c"after(seconds, /)\n--\n\nA channel that yields one value when that time has passed: when it was due, on the \
          clock of time.monotonic().",
    ),
]);

static MEMBERS: Table<PyMemberDef, 1> = table([weak_list(offset_of!(Timer, weakrefs))]);

fn common(name: &'static std::ffi::CStr) -> Type {
    Type::new(name, size_of::<Timer>())
        .flags(Py_TPFLAGS_HAVE_GC)
        .slot(Py_tp_dealloc, dealloc as *mut c_void)
        .slot(Py_tp_traverse, traverse as *mut c_void)
        .slot(Py_tp_clear, clear as *mut c_void)
        .slot(Py_tp_members, MEMBERS.as_ptr())
}

/// Make the types and the functions and put them into the module.
///
/// # Safety
/// `module` is the module.
pub(crate) unsafe fn add_to(module: Object) -> Py<()> {
    let timer = common(c"gort.Timer")
        .doc(
            c"Timer(seconds, fn=None)\n--\n\nA timer that fires once: it sends a tick on chan, or starts the goroutine \
              fn(). One with a function fires though nobody has the object any more.",
        )
        .slot(Py_tp_new, new_timer as *mut c_void)
        .methods(&TIMER_METHODS)
        .getters(&TIMER_GETTERS)
        .make()?;
    let ticker = common(c"gort.Ticker")
        .doc(
            c"Ticker(seconds)\n--\n\nTicks every so many seconds, on chan or by iterating over it; while a tick has not \
              been received, those that follow are dropped. At the end of a with block it is stopped.",
        )
        .slot(Py_tp_new, new_ticker as *mut c_void)
        .slot(Py_tp_iter, PyObject_SelfIter as *mut c_void)
        .slot(Py_tp_iternext, next as *mut c_void)
        .methods(&TICKER_METHODS)
        .getters(&TICKER_GETTERS)
        .make()?;
    // SAFETY: the caller's promise.
    unsafe {
        add(module, c"Timer", timer.as_ptr())?;
        add(module, c"Ticker", ticker.as_ptr())?;
        check(PyModule_AddFunctions(module, FUNCTIONS.as_ptr().cast())).map(drop)
    }
}
