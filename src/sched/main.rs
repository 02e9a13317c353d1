//! `gort_main`: a C function as the main goroutine.
//!
//! The one thing to know: the calling thread only waits; the main goroutine runs on the workers like any other,
//! on a stack of 8 MiB. Its end does not wait for other goroutines.

use super::goroutine::{AtEnd, Body, MAIN};
use super::runtime::Runtime;
use super::{Spawn, current_goroutine, fork, rt, spawn};
use crate::coroutine::Class;
use crate::fatal::fatal;
use crate::inspect::quit;
use crate::primitive::atomic::{AtomicBool, AtomicU32, Ordering, fence};
use crate::primitive::{FOREVER, futex_wait, futex_wake};
use std::ffi::c_void;
use std::time::Duration;

/// What a thread's usual stack is.
const STACK: usize = 8 << 20;

static RUNNING: AtomicBool = AtomicBool::new(false);

/// In a forked child: no main goroutine is running.
pub(super) fn forget() {
    RUNNING.store(false, Ordering::Release);
    quit::restore();
}

/// What the waiting thread and the main goroutine share; on the thread's stack.
struct Main {
    body: unsafe extern "C" fn(*mut c_void) -> i32,
    arg: *mut c_void,
    result: i32,
    /// The function returned (and did not call `gort_exit`).
    returned: bool,
}

/// What the thread in `gort_main` sleeps on (a futex): `DONE` when the result is there, `EXITED` when there will be
/// none; and `quit::ASKED` with either or none. A static, as a signal handler may come to it late.
static STATUS: AtomicU32 = AtomicU32::new(0);

const DONE: u32 = 1;
const EXITED: u32 = 2;

/// Run `body(arg)` as the main goroutine and return what it returns. Blocks the calling thread.
pub(crate) fn main(body: unsafe extern "C" fn(*mut c_void) -> i32, arg: *mut c_void) -> i32 {
    if !current_goroutine().is_null() {
        fatal(format_args!("gort_main: called from a goroutine"));
    }
    if RUNNING.swap(true, Ordering::AcqRel) {
        fatal(format_args!("gort_main: another main goroutine is running"));
    }
    let mut main = Main { body, arg, result: 0, returned: false };
    STATUS.store(0, Ordering::Relaxed);
    quit::install(&STATUS);
    let shared = (&raw mut main).cast::<c_void>();
    let spawned = spawn(Spawn {
        body: run as Body,
        arg: shared,
        class: Class::for_size(STACK),
        flags: MAIN,
        extra: None,
        at_end: Some(AtEnd { call: ended, arg: shared }),
    });
    if spawned.is_err() {
        fatal(format_args!("gort_main: no memory for the main goroutine"));
    }
    // Acquire pairs with the Release in `ended`.
    loop {
        match STATUS.load(Ordering::Acquire) {
            DONE => break,
            asked if asked & quit::ASKED != 0 => quit::quit(),
            EXITED => {
                // A goroutine that ended just when `main_exited` was set may have missed it, and have been missed
                // by the main goroutine's own look. By now its end is seen.
                std::thread::sleep(Duration::from_millis(1));
                check_exited(rt());
                futex_wait(&STATUS, EXITED, FOREVER);
            }
            none => futex_wait(&STATUS, none, FOREVER),
        }
    }
    quit::restore();
    RUNNING.store(false, Ordering::Release);
    // SAFETY: written by the main goroutine before `STATUS` was; read through the pointer it was shared by.
    unsafe { (*shared.cast::<Main>()).result }
}

unsafe extern "C" fn run(shared: *mut c_void) {
    let main = shared.cast::<Main>();
    // SAFETY: the waiting thread keeps it in place until `STATUS` is set, and reads it only then.
    unsafe {
        let result = ((*main).body)((*main).arg);
        if current_goroutine().is_null() {
            // A forked child: the thread that waits is not there.
            fork::end_child(result);
        }
        (*main).result = result;
        (*main).returned = true;
    }
}

/// # Safety
/// `shared` is the `Main` of this goroutine, which has just ended.
unsafe fn ended(shared: *mut c_void) {
    let main = shared.cast::<Main>();
    // SAFETY: as in `run`; once `STATUS` is set the thread may return.
    let returned = unsafe { (*main).returned };
    if !returned {
        // `gort_exit`: the others go on, and the thread that called `gort_main` waits for ever.
        rt().main_exited.store(true, Ordering::SeqCst);
    }
    STATUS.fetch_or(if returned { DONE } else { EXITED }, Ordering::Release);
    futex_wake(&STATUS, 1);
}

/// A goroutine has ended after the main goroutine called `gort_exit`: was it the last?
#[cold]
pub(super) fn check_exited(rt: &Runtime) {
    // Of two that end at the same time on two processors, one must see both.
    fence(Ordering::SeqCst);
    if rt.num_goroutines() == 0 {
        fatal(format_args!("no goroutines (main called gort_exit) - deadlock!"));
    }
}
