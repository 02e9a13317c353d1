//! `gort_main` and `gort_run`: a C function as the main goroutine.
//!
//! The one thing to know: the calling thread only waits (`detect.rs`); the main goroutine runs on the workers like any
//! other, on a stack of 8 MiB. Its end does not wait for other goroutines. In a deadlock, after which `gort_run` returns,
//! it stays where it is, so what it shares with the thread is not on the thread's stack.

use super::detect::{self, CannotBegin, Detect, Waited};
use super::goroutine::{AtEnd, BY_EXIT, Body, MAIN};
use super::{Spawn, current_goroutine, fork, spawn};
use crate::coroutine::Class;
use crate::fatal::fatal;
use crate::primitive::FOREVER;
use crate::primitive::atomic::Ordering;
use std::ffi::c_void;

/// What a thread's usual stack is.
const STACK: usize = 8 << 20;

/// The host's function.
#[derive(Clone, Copy)]
enum Function {
    Main(unsafe extern "C" fn(*mut c_void) -> i32),
    Run(Body),
}

/// The main goroutine's.
struct Main {
    function: Function,
    arg: *mut c_void,
    /// 0 if the function did not return, but a deferred call recovered its panic.
    result: i32,
    /// A reference.
    detect: *mut Detect,
}

/// Run `body(arg)` as the main goroutine and return what it returns. Blocks the calling thread.
pub(crate) fn main(body: unsafe extern "C" fn(*mut c_void) -> i32, arg: *mut c_void) -> i32 {
    if !current_goroutine().is_null() {
        fatal(format_args!("gort_main: called from a goroutine"));
    }
    let detect = match detect::begin(true) {
        Ok(detect) => detect,
        Err(CannotBegin::Busy) => fatal(format_args!("gort_main: another main goroutine is running")),
        Err(CannotBegin::NoMemory) => fatal(format_args!("gort_main: no memory for the main goroutine")),
    };
    // SAFETY: the one reference is ours.
    unsafe {
        if !start(detect, Function::Main(body), arg) {
            fatal(format_args!("gort_main: no memory for the main goroutine"));
        }
        let waited = Detect::wait(detect, FOREVER);
        debug_assert!(waited == Waited::Done);
        Detect::end(detect);
        let result = (*detect).result.load(Ordering::Relaxed);
        Detect::release(detect);
        result
    }
}

/// Run `body(arg)` as the main goroutine and wait for its end: `Done`; or for a deadlock, in which it is left. Not from
/// a goroutine.
pub(crate) fn run(body: Body, arg: *mut c_void) -> Result<Waited, CannotBegin> {
    let detect = detect::begin(false)?;
    // SAFETY: the one reference is ours.
    unsafe {
        let started = start(detect, Function::Run(body), arg);
        let waited = if started { Detect::wait(detect, FOREVER) } else { Waited::Ended };
        Detect::end(detect);
        Detect::release(detect);
        if started { Ok(waited) } else { Err(CannotBegin::NoMemory) }
    }
}

/// Start the main goroutine. False: no memory.
///
/// # Safety
/// `detect` is live.
unsafe fn start(detect: *mut Detect, function: Function, arg: *mut c_void) -> bool {
    let mut boxed = Vec::new();
    if boxed.try_reserve_exact(1).is_err() {
        return false;
    }
    boxed.push(Main { function, arg, result: 0, detect });
    let main: *mut Main = Box::into_raw(boxed.into_boxed_slice()).cast();
    // SAFETY: the caller's promise; `main` is ours until the goroutine was started.
    unsafe {
        Detect::retain(detect);
        let spawned = spawn(Spawn {
            body: body as Body,
            arg: main.cast(),
            class: Class::for_size(STACK),
            flags: MAIN,
            extra: None,
            at_end: Some(AtEnd { call: ended, arg: main.cast() }),
        });
        if spawned.is_err() {
            Detect::release(detect);
            drop(Box::from_raw(main));
        }
        spawned.is_ok()
    }
}

unsafe extern "C" fn body(main: *mut c_void) {
    let main = main.cast::<Main>();
    // SAFETY: this goroutine's, until `ended`; the host's function, with its own argument.
    unsafe {
        let result = match (*main).function {
            Function::Main(function) => function((*main).arg),
            Function::Run(function) => {
                function((*main).arg);
                0
            }
        };
        if current_goroutine().is_null() {
            // A forked child: the thread that waits is not there.
            fork::end_child(result);
        }
        (*main).result = result;
    }
}

/// # Safety
/// `main` is the `Main` of this goroutine, which has just ended.
unsafe fn ended(main: *mut c_void) {
    // SAFETY: nobody else has it; it was made as a slice of one, which is laid out as that one. The goroutine that ends is
    // the caller.
    unsafe {
        let Main { result, detect, .. } = *Box::from_raw(main.cast::<Main>());
        if (*current_goroutine()).flags & BY_EXIT == 0 {
            (*detect).result.store(result, Ordering::Relaxed);
            Detect::done(detect);
        }
        // Else `gort_exit`: the others go on, and the thread that waits goes on waiting.
        Detect::release(detect);
    }
}
