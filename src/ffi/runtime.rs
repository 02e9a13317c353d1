//! Starting, sizing and asking the runtime.

use super::status;
use crate::coroutine::Class;
use crate::sched;
use std::ffi::{c_int, c_void};

/// `gort_options_t.flags`: never more than `max_procs` goroutines run at once. Without it another thread takes over
/// from a goroutine that has kept its worker for 10 to 20 ms while others wait; with it that one holds up the rest.
pub const GORT_STRICT_PROCS: u32 = 1;

/// How the runtime is to run; for gort_init(). Zero fields mean the default.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct gort_options_t {
    /// sizeof(gort_options_t)
    pub size: usize,
    /// Workers that pick up goroutines to run, at most 1024; a goroutine that keeps its worker for long is counted
    /// out (see GORT_STRICT_PROCS). Default: the environment variable GORT_MAXPROCS,
    /// else the CPUs that affinity and cgroup quota allow.
    pub max_procs: u32,
    /// OS threads that the runtime may have in all; past it: "fatal error: thread exhaustion". Default 10000.
    pub max_threads: u32,
    /// Bytes reserved for a goroutine's stack, of which the lowest 64 KiB are its guard; committed on touch.
    /// Rounded up to a power of two of at least 128 KiB; at most 1 GiB. Default 256 KiB.
    pub stack_size: usize,
    /// GORT_STRICT_PROCS, or 0.
    pub flags: u32,
}

// SAFETY: `repr(C)`, `size` first, integers only.
unsafe impl super::options::Options for gort_options_t {}

/// The function that gort_main() runs.
pub type gort_main_fn_t = Option<unsafe extern "C" fn(arg: *mut c_void) -> c_int>;

/// Set how the runtime runs. Optional; to be called before anything starts it (spawning, gort_main, a channel
/// operation that blocks).
///
/// Does not block. `opts` stays the caller's and is copied; NULL means all defaults.
/// GORT_OK; GORT_EBUSY: the runtime has started already; GORT_EINVAL: an unknown flag, a stack size over 1 GiB,
/// a bad `size`, or a non-zero byte past the fields known to this library. Since 0.1.
///
/// # Safety
/// `opts` is NULL or points to `opts->size` readable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_init(opts: *const gort_options_t) -> c_int {
    // SAFETY: the caller's promise.
    let Some(opts) = (unsafe { super::options::read(opts) }) else { return status::EINVAL };
    if opts.flags & !GORT_STRICT_PROCS != 0 || Class::for_size(opts.stack_size).is_none() {
        return status::EINVAL;
    }
    let options = sched::Options {
        max_procs: opts.max_procs,
        max_threads: opts.max_threads,
        stack_size: opts.stack_size,
        strict: opts.flags & GORT_STRICT_PROCS != 0,
    };
    match sched::start(options) {
        Ok(_) => status::OK,
        Err(_) => status::EBUSY,
    }
}

/// Run `fn(arg)` as the main goroutine, on a stack of 8 MiB, and return what it returns. Other goroutines are
/// not waited for: they go on until the process exits.
///
/// Blocks the calling thread until `fn` returns. May be called again afterwards. From a goroutine, or while
/// another main goroutine is running, it is a fatal error. If `fn` calls gort_exit(), the others go on and this
/// call never returns; when the last of them ends: "no goroutines (main called gort_exit) - deadlock!".
/// If no goroutine can run and nothing can wake one, the process ends with status 2 and a dump: "fatal error: all
/// goroutines are asleep - deadlock!". A thread that is not gort's and does not wait in gort for ever suppresses that.
/// What `fn` returns; GORT_EINVAL if `fn` is NULL. Since 0.1.
///
/// # Safety
/// `fn_` may be called with `arg` on another thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_main(fn_: gort_main_fn_t, arg: *mut c_void) -> c_int {
    match fn_ {
        Some(body) => sched::main(body, arg),
        None => status::EINVAL,
    }
}

/// Let `n` workers (at most 1024) run goroutines at once from now on; `n < 1` changes nothing.
///
/// Does not block: when there are to be fewer, the surplus workers step back when their goroutine next reaches
/// the scheduler.
/// The number before this call. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn gort_max_procs(n: c_int) -> c_int {
    sched::rt().max_procs(n) as c_int
}

/// The CPUs that this process may use: what its affinity mask and its cgroup's CPU quota allow, at least 1.
///
/// Does not block and does not start the runtime. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn gort_num_cpu() -> c_int {
    crate::cpu::available() as c_int
}

/// How many goroutines there are, those that have not run yet included. Other threads spawn and end goroutines
/// while it counts: then it may be too large, by those that ended meanwhile.
///
/// Does not block. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn gort_num_goroutines() -> usize {
    sched::rt().num_goroutines()
}

/// The clock of all deadlines: nanoseconds since some moment in the past, never going back (CLOCK_MONOTONIC).
///
/// Does not block and does not start the runtime. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn gort_now() -> i64 {
    crate::primitive::now()
}
