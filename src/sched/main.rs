//! `gort_main`: a C function as the main goroutine.
//!
//! The one thing to know: the calling thread only waits; the main goroutine runs on the workers like any other,
//! on a stack of 8 MiB. Its end does not wait for other goroutines.

use super::goroutine::{AtEnd, BY_EXIT, Body, MAIN};
use super::{Spawn, current_goroutine, fork, spawn};
use crate::coroutine::Class;
use crate::fatal::fatal;
use crate::inspect::{deadlock, quit};
use crate::primitive::atomic::{AtomicBool, AtomicU32, Ordering};
use crate::primitive::{futex_wait, futex_wake};
use std::ffi::c_void;

/// What a thread's usual stack is.
const STACK: usize = 8 << 20;

static RUNNING: AtomicBool = AtomicBool::new(false);

/// In a forked child: no main goroutine is running.
pub(super) fn forget() {
    RUNNING.store(false, Ordering::Release);
    deadlock::forget();
    quit::restore();
}

/// What the waiting thread and the main goroutine share; on the thread's stack.
struct Main {
    body: unsafe extern "C" fn(*mut c_void) -> i32,
    arg: *mut c_void,
    /// 0 if the function did not return, but a deferred call recovered its panic.
    result: i32,
}

/// What the thread in `gort_main` sleeps on (a futex): `DONE` when the result is there, `LOOK` when it is to look for
/// a deadlock from time to time, `quit::ASKED`. A static, as those who set a bit may come to it late.
static STATUS: AtomicU32 = AtomicU32::new(0);

const DONE: u32 = 1;
const LOOK: u32 = 2;

/// Have the thread in `gort_main` see that something has changed.
pub(crate) fn ring() {
    set(LOOK);
}

fn set(bit: u32) {
    STATUS.fetch_or(bit, Ordering::Release);
    futex_wake(&STATUS, 1);
}

/// Run `body(arg)` as the main goroutine and return what it returns. Blocks the calling thread.
pub(crate) fn main(body: unsafe extern "C" fn(*mut c_void) -> i32, arg: *mut c_void) -> i32 {
    if !current_goroutine().is_null() {
        fatal(format_args!("gort_main: called from a goroutine"));
    }
    if RUNNING.swap(true, Ordering::AcqRel) {
        fatal(format_args!("gort_main: another main goroutine is running"));
    }
    let mut main = Main { body, arg, result: 0 };
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
    let mut looks = deadlock::Looks::new();
    loop {
        // Cleared before the look that it asks for. Acquire pairs with the Release in `set`.
        let status = STATUS.fetch_and(!LOOK, Ordering::Acquire) & !LOOK;
        if status & DONE != 0 {
            break;
        }
        if status & quit::ASKED != 0 {
            quit::quit();
        }
        let until = looks.next();
        futex_wait(&STATUS, status, until);
    }
    quit::restore();
    RUNNING.store(false, Ordering::Release);
    // SAFETY: written by the main goroutine before `DONE` was set; read through the pointer it was shared by.
    unsafe { (*shared.cast::<Main>()).result }
}

unsafe extern "C" fn run(shared: *mut c_void) {
    let main = shared.cast::<Main>();
    deadlock::begin();
    // SAFETY: the waiting thread keeps it in place until `DONE`, and reads it only then.
    unsafe {
        let result = ((*main).body)((*main).arg);
        if current_goroutine().is_null() {
            // A forked child: the thread that waits is not there.
            fork::end_child(result);
        }
        (*main).result = result;
    }
}

/// # Safety
/// `shared` is the `Main` of this goroutine, which has just ended.
unsafe fn ended(_: *mut c_void) {
    // SAFETY: the goroutine that ends, which is the caller.
    if unsafe { (*current_goroutine()).flags } & BY_EXIT == 0 {
        deadlock::end();
        // Once it is set, the thread may return, and its `Main` is gone.
        set(DONE);
    }
    // Else `gort_exit`: the others go on, and the thread that called `gort_main` waits for ever.
}
