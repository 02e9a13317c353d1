//! From where a panic or an exit was raised to where it lands.
//!
//! The one thing to know: the frames in between are unwound by the C library's unwinder (`_Unwind_ForcedUnwind`),
//! as for a cancelled thread, so C cleanups (`-fexceptions`) and C++ destructors are run. A frame without unwind
//! tables stops it; then what is left is skipped, and the landing reached all the same.
//!
//! **Parking meanwhile.** A cleanup may call gort and be resumed on another thread. The unwinder keeps what it
//! knows in its own frames, below the cleanup's on this very stack, and in the record's `Exception`; it holds no
//! lock while a cleanup runs. What C++ keeps per thread is carried over by `sched/exceptions.rs`.
//!
//! **A panic in a cleanup** that is run for another one leaves the frames of the first unwinding behind. Both
//! have the same landing, so it finds the first one written down there, and takes it into its chain.

use super::landing;
use super::record::Record;
use super::scope::{self, Landing};
use crate::fatal::fatal;
use crate::primitive::backtrace::{_Unwind_GetCFA, Context, NO_REASON};
use crate::sched::{self, Handlers};
use std::ffi::{c_int, c_void};

/// `_Unwind_Exception`: the unwinder's own words, and who to tell when a handler swallows it.
#[repr(C, align(16))]
pub(crate) struct Exception {
    class: u64,
    cleanup: unsafe extern "C" fn(c_int, *mut Exception),
    private: [usize; 2],
}

/// What the C++ runtime compares with its own name, to see that this is none of its exceptions.
pub(super) const CLASS: u64 = u64::from_be_bytes(*b"GORTPNC\0");

impl Exception {
    pub(super) fn new(cleanup: unsafe extern "C" fn(c_int, *mut Exception)) -> Exception {
        Exception { class: CLASS, cleanup, private: [0; 2] }
    }
}

/// `_UA_END_OF_STACK`.
const END_OF_STACK: c_int = 16;

type Stop = unsafe extern "C" fn(c_int, c_int, u64, *mut Exception, *mut Context, *mut c_void) -> c_int;

// Not "C-unwind": in a crate that aborts on panics that would guard the caller with a landing pad that aborts.
// The frames of ours that are unwound have no landing pads at all; see `mod.rs`.
unsafe extern "C" {
    fn _Unwind_ForcedUnwind(exception: *mut Exception, stop: Stop, arg: *mut c_void) -> c_int;
}

/// Let `record` (with the chain behind it) end what the caller is in the middle of: unwind to the innermost
/// landing, and go on there.
///
/// # Safety
/// The record is the caller's, and from here on the landing's. No frame between here and there holds anything
/// that must not be abandoned, other than what the unwinder knows of.
pub(super) unsafe fn raise(record: *mut Record) -> ! {
    // SAFETY: the record is live until the landing frees it, and the landing is live as long as it is listed.
    unsafe {
        let scopes = scope::current();
        let target = (*scopes).innermost();
        if target.is_null() && !(scope::has_root() && landing::STACKS_END) {
            // A plain thread outside `gort_try`: nothing is deferred, and nobody could recover. (Or, where stacks
            // do not end, a goroutine whose deferred calls have all been run.)
            super::report::unrecovered(record);
        }
        let raised = if target.is_null() { (*scopes).raised() } else { (*target).raised() };
        Record::replace(record, *raised);
        *raised = record;
        (*record).target = target;
        (*record).uncaught = sched::uncaught();
        sched::hide(handlers(target));
        _Unwind_ForcedUnwind(&raw mut (*record).exception, stop, record.cast());
        // The very first frame has no tables, or the unwinder failed.
        land(record)
    }
}

/// The catch blocks that `target` is in: of C++ code that has called the `gort_try`, or whatever it is. The root is in
/// none.
///
/// # Safety
/// It is null or live.
unsafe fn handlers(target: *mut Landing) -> Handlers {
    // SAFETY: the caller's promise.
    if target.is_null() { Handlers::NONE } else { unsafe { (*target).handlers() } }
}

/// Asked by the unwinder at each frame, before its cleanups are run.
///
/// # Safety
/// Called by the unwinder in [`raise`] only.
unsafe extern "C" fn stop(
    _: c_int,
    actions: c_int,
    _: u64,
    _: *mut Exception,
    context: *mut Context,
    record: *mut c_void,
) -> c_int {
    // SAFETY: `raise`'s record and the unwinder's context. The landing has not been reached yet, so its call has
    // not returned. (The stack pointer at a frame is, for the unwinder, the CFA of the frame below it.)
    unsafe {
        let record = record.cast::<Record>();
        let target = (*record).target;
        if actions & END_OF_STACK != 0
            || !target.is_null() && (*target).place().reached(_Unwind_GetCFA(context))
        {
            land(record);
        }
    }
    NO_REASON
}

/// # Safety
/// The target of `record` is the innermost landing of the caller's goroutine or thread, or null, and this a
/// goroutine with a root. The frames in between have been unwound, as far as that is possible.
unsafe fn land(record: *mut Record) -> ! {
    // SAFETY: the caller's promise.
    unsafe {
        let target = (*record).target;
        // A `catch (...)` that throws it on counts it as an exception, and nobody catches that.
        sched::settle(handlers(target), (*record).uncaught);
        if target.is_null() {
            sched::start_over()
        }
        landing::land((*target).place())
    }
}

/// A C++ `catch (...)` caught what we raised, and ended without throwing it on.
///
/// # Safety
/// Called by the C++ runtime with the exception of a live record.
pub(super) unsafe extern "C" fn swallowed(_: c_int, exception: *mut Exception) {
    let record = exception.cast::<Record>();
    // SAFETY: the exception is the first field of its record.
    let (is_exit, text) = unsafe { ((*record).is_exit, String::from_utf8_lossy(Record::text(record))) };
    let what = if is_exit { "gort_exit".into() } else { format!("gort_panic (\"{text}\")") };
    fatal(format_args!("a C++ catch (...) swallowed {what}: it must end with \"throw;\""));
}
