//! The Python lane: worker threads on which goroutines of Python run, each with a thread state of its own.
//!
//! The one thing to know: **one `PyThreadState` for each goroutine, one more (*home*) for each thread of the lane.** The
//! hooks of the lane put the right one in place, so that a goroutine finds its exception, its context and its frames
//! however often it has changed threads:
//!
//! | hook | what is attached before | after |
//! |---|---|---|
//! | `thread_busy` | nothing | home: the GIL is taken |
//! | `goroutine_start`, `goroutine_resume` | home, or the goroutine that left last | the goroutine's |
//! | `goroutine_leave` | the goroutine's | home; up to 3.11 nothing changes yet, which saves a swap |
//! | `goroutine_end` | the goroutine's | home; its own is deleted |
//! | `thread_idle` | home, or the goroutine that left last | nothing: the GIL is given back |
//!
//! Up to 3.11 a state that was left attached by a goroutine that has left cannot be wanted elsewhere: whoever would
//! resume it needs the GIL, and this thread has it until it has put another state in place. From 3.12 on a swap drops
//! the GIL on its way and writes to the old state after that, so it is done before the goroutine is let go.
//!
//! A goroutine whose C code has released the GIL and then parks in gort by itself (through ctypes) leaves with nothing
//! attached (`detached`), and goes on so.

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

use crate::errors::raise_status;
use crate::foreign;
use crate::go::Goroutine;
use crate::gort;
use crate::raw::*;

/// Reserved for the stack of a goroutine; what is touched of it is memory. Python's parser needs 400 KiB at its worst.
pub(crate) const STACK_SIZE: usize = 1 << 20;

/// Whether `goroutine_leave` leaves the state attached (see above).
const LAZY: bool = cfg!(not(Py_3_12));

unsafe extern "C" {
    fn gort_py_attach(state: *mut PyThreadState);
    fn gort_py_detach();
    fn gort_py_swap(state: *mut PyThreadState);
    fn gort_py_bind(state: *mut PyThreadState);
    fn gort_py_attached() -> *mut PyThreadState;
    fn gort_py_state_new(
        interpreter: *mut PyInterpreterState,
        id: std::ffi::c_ulong,
        stack_size: usize,
    ) -> *mut PyThreadState;
    fn gort_py_home_new(interpreter: *mut PyInterpreterState) -> *mut PyThreadState;
    fn gort_py_state_delete(state: *mut PyThreadState);
    fn gort_py_home_delete(state: *mut PyThreadState);
}

/// What a thread of the lane has.
struct Seat {
    home: Cell<*mut PyThreadState>,
    /// The state that the hooks have attached; null: none.
    attached: Cell<*mut PyThreadState>,
    /// The goroutine that runs; null: none.
    current: Cell<*mut Goroutine>,
}

thread_local! {
    static SEAT: Seat = const {
        Seat { home: Cell::new(ptr::null_mut()), attached: Cell::new(ptr::null_mut()), current: Cell::new(ptr::null_mut()) }
    };
}

/// Where this thread's seat is. Asked anew after every park, since that may be on another thread; and so the compiler
/// must not know that the answer could be kept.
#[inline(never)]
fn seat() -> *const Seat {
    let mut at = SEAT.with(ptr::from_ref);
    // SAFETY: no instruction at all.
    unsafe { std::arch::asm!("/* {0} */", inout(reg) at, options(nostack, preserves_flags)) };
    at
}

/// The calling goroutine of the lane; null elsewhere.
#[inline]
pub(crate) fn current() -> *mut Goroutine {
    // SAFETY: this thread's, which lives.
    unsafe { (*seat()).current.get() }
}

/// Whether the caller is a goroutine of the Python lane.
#[inline]
pub(crate) fn in_goroutine() -> bool {
    !current().is_null()
}

/// The lane; null before the first `go`, and in a forked child.
static LANE: AtomicPtr<gort::gort_lane_t> = AtomicPtr::new(ptr::null_mut());
static INTERPRETER: AtomicPtr<PyInterpreterState> = AtomicPtr::new(ptr::null_mut());
/// The interpreter is about to end: no goroutine starts any more.
static CLOSED: AtomicBool = AtomicBool::new(false);
/// How many forks there have been between the process that imported the module first and this one.
static FORKS: AtomicU64 = AtomicU64::new(0);
/// Numbers for thread states, which must not be those of threads (addresses, where pthread_t is one).
static NEXT_ID: AtomicU64 = AtomicU64::new(1 << 56);

/// As `FORKS`.
pub(crate) fn forks() -> u64 {
    // Relaxed: changes between two processes, not between two threads.
    FORKS.load(Ordering::Relaxed)
}

/// The lane, made when it is first asked for.
///
/// # Safety
/// The GIL is held.
#[inline]
pub(crate) unsafe fn lane() -> Py<*mut gort::gort_lane_t> {
    // Relaxed: written with the GIL held.
    let lane = LANE.load(Ordering::Relaxed);
    if !lane.is_null() && !CLOSED.load(Ordering::Relaxed) {
        return Ok(lane);
    }
    // SAFETY: the caller's promise.
    unsafe { make() }
}

/// # Safety
/// The GIL is held.
#[cold]
unsafe fn make() -> Py<*mut gort::gort_lane_t> {
    if CLOSED.load(Ordering::Relaxed) {
        stop_if_goroutine();
        // SAFETY: a built-in exception type.
        return Err(unsafe { raise(PyExc_RuntimeError, "cannot start a goroutine: the interpreter is ending") });
    }
    let hooks = gort::gort_lane_hooks_t {
        size: size_of::<gort::gort_lane_hooks_t>(),
        thread_start: Some(thread_start),
        thread_busy: Some(thread_busy),
        thread_idle: Some(thread_idle),
        thread_end: Some(thread_end),
        goroutine_start: Some(goroutine_start),
        goroutine_resume: Some(goroutine_resume),
        goroutine_leave: Some(goroutine_leave),
        goroutine_end: Some(goroutine_end),
        keeps_thread: Some(keeps_thread),
    };
    let options = gort::gort_lane_options_t {
        size: size_of::<gort::gort_lane_options_t>(),
        // The GIL lets one run at a time.
        limit: 1,
        flags: 0,
        stack_size: STACK_SIZE,
        name: c"python".as_ptr(),
        hooks: &hooks,
        data: ptr::null_mut(),
    };
    // SAFETY: the hooks are copied; they hold what the interface asks of them. The GIL is held.
    unsafe {
        INTERPRETER.store(PyInterpreterState_Get(), Ordering::Relaxed);
        let lane = gort::gort_lane_new(&options);
        if lane.is_null() {
            return Err(no_memory());
        }
        LANE.store(lane, Ordering::Release);
        Ok(lane)
    }
}

/// At the interpreter's exit: no goroutine of Python runs any more, but those that do not come to the scheduler within
/// a moment, which end as daemon threads do: the next time that they ask for the GIL.
///
/// # Safety
/// The GIL is held.
pub(crate) unsafe fn close() {
    CLOSED.store(true, Ordering::Relaxed);
    let lane = LANE.load(Ordering::Relaxed);
    if lane.is_null() || in_goroutine() {
        return;
    }
    // SAFETY: a handle that we own; the GIL is released, so that those that run can come to an end.
    unsafe {
        let saved = PyEval_SaveThread();
        gort::gort_lane_close(lane, gort::gort_now() + 50_000_000);
        PyEval_RestoreThread(saved);
    }
}

/// The interpreter is about to end.
pub(crate) fn is_closed() -> bool {
    CLOSED.load(Ordering::Relaxed)
}

/// A goroutine that notices that the lane is closed ends there, as all of them do when they come to the scheduler.
pub(crate) fn stop_if_goroutine() {
    while in_goroutine() {
        // SAFETY: a goroutine's call. It returns only if the lane is not closed quite yet.
        unsafe { gort::gort_yield() };
    }
}

/// In a forked child: there is no lane and no goroutine; the one that forked is a thread now.
///
/// # Safety
/// The GIL is held, by the only thread there is.
pub(crate) unsafe fn forked() {
    FORKS.fetch_add(1, Ordering::Relaxed);
    let lane = LANE.swap(ptr::null_mut(), Ordering::Relaxed);
    // SAFETY: a handle of the parent's may be released, and nothing else. This thread's seat.
    unsafe {
        gort::gort_lane_release(lane);
        let seat = &*seat();
        seat.home.set(ptr::null_mut());
        seat.attached.set(ptr::null_mut());
        seat.current.set(ptr::null_mut());
    }
}

// -------------------------------------------------------------------------------------------------------- hooks
//
// SAFETY of all of them: the lane calls them on its own threads, on the thread's own stack, in the order that its interface
// gives; so `seat()` is that of the thread, and a goroutine's record is nobody else's.

unsafe extern "C" fn thread_start(_data: *mut c_void) {
    // SAFETY: this thread's signal mask; a new state, which needs no GIL.
    unsafe {
        // Python's handlers are for the main thread; a signal of the process must not interrupt goroutines instead.
        let mut all = std::mem::zeroed();
        libc::sigfillset(&mut all);
        for fault in [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGABRT, libc::SIGSYS] {
            libc::sigdelset(&mut all, fault);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, ptr::null_mut());
        let home = gort_py_home_new(INTERPRETER.load(Ordering::Relaxed));
        if home.is_null() {
            fatal("no memory for a thread state");
        }
        (*seat()).home.set(home);
    }
}

unsafe extern "C" fn thread_busy(_data: *mut c_void) {
    // SAFETY: see above; nothing is attached.
    unsafe {
        let seat = &*seat();
        gort_py_attach(seat.home.get());
        seat.attached.set(seat.home.get());
    }
}

unsafe extern "C" fn thread_idle(_data: *mut c_void) {
    // SAFETY: see above; a state is attached, and a goroutine's is not to be saved here and restored elsewhere.
    unsafe {
        go_home(&*seat());
        gort_py_detach();
        (*seat()).attached.set(ptr::null_mut());
    }
}

unsafe extern "C" fn thread_end(_data: *mut c_void) {
    // SAFETY: see above. Without an interpreter there is no state of it left.
    unsafe {
        let home = (*seat()).home.replace(ptr::null_mut());
        if Py_IsInitialized() != 0 && !home.is_null() {
            gort_py_attach(home);
            gort_py_home_delete(home);
        }
    }
}

unsafe extern "C" fn goroutine_start(_data: *mut c_void, arg: *mut c_void) {
    // SAFETY: see above; the GIL is held.
    unsafe {
        let goroutine = arg.cast::<Goroutine>();
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let state = gort_py_state_new(INTERPRETER.load(Ordering::Relaxed), id, STACK_SIZE);
        if state.is_null() {
            fatal("no memory for a thread state");
        }
        (*goroutine).state = state;
        enter(&*seat(), goroutine);
    }
}

unsafe extern "C" fn goroutine_resume(_data: *mut c_void, arg: *mut c_void) {
    // SAFETY: see above.
    unsafe {
        let (seat, goroutine) = (&*seat(), arg.cast::<Goroutine>());
        if !(*goroutine).detached {
            return enter(seat, goroutine);
        }
        (*goroutine).detached = false;
        go_home(seat);
        gort_py_detach();
        seat.attached.set(ptr::null_mut());
        gort_py_bind((*goroutine).state);
        seat.current.set(goroutine);
    }
}

unsafe extern "C" fn goroutine_leave(_data: *mut c_void, arg: *mut c_void) {
    // SAFETY: see above.
    unsafe {
        let (seat, goroutine) = (&*seat(), arg.cast::<Goroutine>());
        left(seat, goroutine);
        if !LAZY {
            go_home(seat);
        }
    }
}

unsafe extern "C" fn goroutine_end(_data: *mut c_void, arg: *mut c_void) {
    // SAFETY: see above; the record is freed here and not used again.
    unsafe {
        let (seat, goroutine) = (&*seat(), arg.cast::<Goroutine>());
        left(seat, goroutine);
        go_home(seat);
        if !(*goroutine).is_clear {
            // It has ended by gort_exit(), called from C code: whatever it held goes, with home attached.
            PyThreadState_Clear((*goroutine).state);
            Goroutine::empty(goroutine);
        }
        gort_py_state_delete((*goroutine).state);
        Goroutine::free(goroutine);
    }
}

/// Attach a goroutine's state instead of the one that is.
///
/// # Safety
/// As for the hooks.
#[inline]
unsafe fn enter(seat: &Seat, goroutine: *mut Goroutine) {
    // SAFETY: the caller's promise.
    unsafe {
        let state = (*goroutine).state;
        if seat.attached.get() != state {
            gort_py_swap(state);
            seat.attached.set(state);
        }
    }
    seat.current.set(goroutine);
}

/// A goroutine has left: know what it has left attached.
///
/// # Safety
/// As for the hooks.
#[inline]
unsafe fn left(seat: &Seat, goroutine: *mut Goroutine) {
    seat.current.set(ptr::null_mut());
    // SAFETY: the caller's promise. If its state is attached, then to this thread: it has run here.
    unsafe {
        if gort_py_attached() == (*goroutine).state {
            seat.attached.set((*goroutine).state);
        } else {
            (*goroutine).detached = true;
            gort_py_attach(seat.home.get());
            seat.attached.set(seat.home.get());
        }
    }
}

/// Attach home, if it is not.
///
/// # Safety
/// As for the hooks; a state is attached.
#[inline]
unsafe fn go_home(seat: &Seat) {
    let home = seat.home.get();
    if seat.attached.get() != home {
        // SAFETY: the caller's promise.
        unsafe { gort_py_swap(home) };
        seat.attached.set(home);
    }
}

/// On the goroutine's own stack: must it stay on this thread, for the frames that it has?
unsafe extern "C" fn keeps_thread(_data: *mut c_void, arg: *mut c_void) -> bool {
    // SAFETY: see above, but for the stack.
    unsafe {
        let goroutine = &*arg.cast::<Goroutine>();
        if gort_py_attached() != goroutine.state {
            return true;
        }
        let high = goroutine.stack_high;
        if goroutine.is_plain && goroutine.here != 0 && foreign::is_flat(goroutine.here, high) {
            return false;
        }
        let here = 0_usize;
        foreign::on_stack((&raw const here).addr(), high)
    }
}

fn fatal(message: &str) -> ! {
    let text = std::ffi::CString::new(format!("gort: {message}")).unwrap_or_default();
    // SAFETY: a text; does not return.
    unsafe { Py_FatalError(text.as_ptr()) }
}

/// Start `f(goroutine)` in the lane.
///
/// # Safety
/// The GIL is held. `goroutine` is a new record, given away if this succeeds.
#[inline]
pub(crate) unsafe fn spawn(f: gort::gort_fn_t, goroutine: *mut Goroutine) -> Py<()> {
    // SAFETY: the caller's promise.
    unsafe {
        let options = gort::gort_spawn_options_t {
            size: size_of::<gort::gort_spawn_options_t>(),
            stack_size: 0,
            name: ptr::null(),
            flags: 0,
            lane: lane()?,
        };
        match gort::gort_spawn_with(&options, f, goroutine.cast()) {
            gort::OK => Ok(()),
            gort::ECLOSED => {
                stop_if_goroutine();
                Err(raise(PyExc_RuntimeError, "cannot start a goroutine: the interpreter is ending"))
            }
            status => Err(raise_status(status)),
        }
    }
}
