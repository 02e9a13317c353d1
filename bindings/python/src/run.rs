//! `run`: a main goroutine, with the deadlock detector on.
//!
//! The one thing to know: main is a goroutine of the lane like any other; the thread that has called `run` waits for it
//! in `gort_detect_wait`, where it counts as one that waits for ever, and comes up between its slices to look for
//! signals. If it gives up (Ctrl-C, a deadlock), main goes on by itself, and what it ends with goes where that of any
//! goroutine goes. What the two share, a `Run`, is guarded by the GIL.

use std::ffi::{c_int, c_void};
use std::ptr;

use crate::block;
use crate::errors::{self, raise_status};
use crate::go::{self, Goroutine};
use crate::gort;
use crate::raw::*;

/// What main and the thread that waits for it share. Freed by whoever is the last.
struct Run {
    detect: *mut gort::gort_detect_t,
    ended: bool,
    /// The thread does not wait any more.
    abandoned: bool,
    result: Object,
    /// What was raised: type, value, traceback.
    raised: [Object; 3],
}

unsafe extern "C" fn run(_module: Object, args: *const Object, nargs: Py_ssize_t, names: Object) -> Object {
    // SAFETY: called by Python.
    returned(|| unsafe {
        let (callable, rest, positional) = go::call_arguments("run", args, nargs, names)?;
        if gort::gort_in_goroutine() {
            return Err(raise(PyExc_RuntimeError, "gort.run() was called from a goroutine"));
        }
        let mut status = 0;
        let detect = gort::gort_detect_begin(&mut status);
        if detect.is_null() {
            return Err(match status {
                gort::EBUSY => raise(PyExc_RuntimeError, "gort.run() is running already"),
                status => raise_status(status),
            });
        }
        let result = with_detector(detect, callable, rest, positional, names);
        gort::gort_detect_end(detect);
        gort::gort_detect_release(detect);
        result
    })
}

/// # Safety
/// As for `go::start`; the detector is on.
unsafe fn with_detector(
    detect: *mut gort::gort_detect_t,
    callable: Object,
    args: &[Object],
    positional: usize,
    names: Object,
) -> Py<Owned> {
    // SAFETY: the caller's promise. Main has a reference to the detector. `shared` is freed here if main has ended, or
    // was not started, and by main otherwise; neither looks at it without the GIL.
    unsafe {
        let report = Report::new()?;
        let shared = Box::into_raw(Box::new(Run {
            detect: gort::gort_detect_retain(detect),
            ended: false,
            abandoned: false,
            result: ptr::null_mut(),
            raised: [ptr::null_mut(); 3],
        }));
        if let Err(raised) = go::start(callable, args, positional, names, ended, shared.cast()) {
            gort::gort_detect_release(detect);
            drop(Box::from_raw(shared));
            return Err(raised);
        }
        let waited = block::may_block_until(gort::FOREVER, |until| gort::gort_detect_wait(detect, until, report.0));
        if !(*shared).ended {
            (*shared).abandoned = true;
            return match waited? {
                gort::EDEADLK => Err(raise(errors::DEADLOCK.get(), &report.read())),
                status => Err(raise_status(status)),
            };
        }
        let shared = *Box::from_raw(shared);
        if shared.result.is_null() {
            let [kind, value, traceback] = shared.raised;
            if waited.is_err() {
                // A signal's handler has raised as well: that one goes out, and it is the last that was raised.
                [kind, value, traceback].map(|object| Py_XDECREF(object));
                return Err(Raised);
            }
            PyErr_Restore(kind, value, traceback);
            return Err(Raised);
        }
        let result = Owned::new(shared.result)?;
        waited.map(|_| result)
    }
}

/// Main has ended: tell the thread that waits for it.
unsafe fn ended(goroutine: *mut Goroutine, result: Object, data: *mut c_void) {
    // SAFETY: what `with_detector` has passed, with the GIL held.
    unsafe {
        let shared = data.cast::<Run>();
        let detect = (*shared).detect;
        if (*shared).abandoned {
            drop(Box::from_raw(shared));
            go::forget(goroutine, result, ptr::null_mut());
        } else {
            (*shared).result = result;
            if result.is_null() {
                let [kind, value, traceback] = &mut (*shared).raised;
                PyErr_Fetch(kind, value, traceback);
            }
            (*shared).ended = true;
        }
        // From here on `shared` may be gone: the GIL may be lost, but not before the thread can find `ended`.
        gort::gort_detect_done(detect);
        gort::gort_detect_release(detect);
    }
}

/// A file in memory for the report of a deadlock.
struct Report(c_int);

impl Report {
    fn new() -> Py<Self> {
        // SAFETY: a name.
        let file = unsafe { libc::memfd_create(c"gort-deadlock".as_ptr(), libc::MFD_CLOEXEC) };
        if file < 0 {
            // SAFETY: sets an exception from errno.
            unsafe { PyErr_SetFromErrno(PyExc_OSError) };
            return Err(Raised);
        }
        Ok(Self(file))
    }

    fn read(&self) -> String {
        let mut text = Vec::new();
        let mut part = [0_u8; 4096];
        loop {
            // SAFETY: our file, and a place for so many bytes.
            let got = unsafe { libc::pread(self.0, part.as_mut_ptr().cast(), part.len(), text.len() as i64) };
            match usize::try_from(got) {
                Ok(count @ 1..) => text.extend_from_slice(&part[..count]),
                _ => break,
            }
        }
        let text = String::from_utf8_lossy(&text);
        let text = text.trim();
        let text = text.strip_prefix("fatal error: ").unwrap_or(text);
        if text.is_empty() { "all goroutines are asleep - deadlock!".into() } else { text.into() }
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        // SAFETY: our file.
        unsafe { libc::close(self.0) };
    }
}

static FUNCTIONS: Table<PyMethodDef, 1> = table([function(
    c"run",
    run,
    c"run(main, /, *args, **kwargs)\n--\n\nCall main(*args, **kwargs) in a goroutine, wait for it, and return what it \
      returns, or raise what it raises. If all goroutines are asleep before that, and nothing can wake one, Deadlock is \
      raised, with the dump of them. Other goroutines are not waited for.",
)]);

/// # Safety
/// `module` is the module.
pub(crate) unsafe fn add_to(module: Object) -> Py<()> {
    // SAFETY: a static table with its end.
    check(unsafe { PyModule_AddFunctions(module, FUNCTIONS.as_ptr().cast()) }).map(drop)
}
