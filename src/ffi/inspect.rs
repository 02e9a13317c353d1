//! Dumps, counts, and being told of the end.

use super::status::{EINVAL, OK};
use crate::fatal::{self, Hook};
use crate::inspect;
use crate::sched;
use crate::signal;
use std::ffi::{c_char, c_int, c_void};

/// Write every goroutine to `fd`, as Go does: its number, its name if it has one, its state or what it waits for and,
/// from a minute on, for how long; then its backtrace, and where and by which goroutine it was created. The calling
/// goroutine comes first, then the others by number. Of more than 10 that are alike in all of this there is one
/// entry, with their count and numbers. One that runs on another thread has no backtrace. On other processors than
/// x86-64 no goroutine has one but the caller's, and where they were created is not known.
///
/// Each is shown as it was at some moment during the call. Those that can never wake are marked, `[chan receive
/// (leaked)]`, if that can be found out: all threads are stopped for a moment, as by gort_leaks(). How long it has waited may be
/// shown too long, by as much as its processor took for 61 turns of goroutines.
///
/// Blocks, its OS thread too, until all is written; not for another goroutine. May be called several times at once.
/// Not to be called in a signal handler. `fd` stays yours. If nobody reads from it any more, that is GORT_EPIPE and
/// not SIGPIPE.
/// GORT_OK; what write(2) failed with, such as GORT_EBADF or GORT_EPIPE. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn gort_dump(fd: c_int) -> c_int {
    match inspect::dump_marked(fd) {
        Ok(()) => OK,
        Err(errno) => -errno,
    }
}

/// Find the goroutines that can never wake, write them to `fd` as gort_dump() does, and return how many they are:
/// those that wait, without a deadline, for something that nobody else can get to: no pointer to their channel, mutex,
/// read-write mutex, condition variable, once, semaphore or wait group, or to the memory it is part of, is left
/// anywhere but with goroutines that can never wake either. None is named that could still wake; some may be missed,
/// since old values count as pointers too. docs/leaks.md says what is seen, what is not, and what it costs.
///
/// Blocks, its OS thread too: stops all other threads of the process while it searches its memory (about a second for a
/// gigabyte), then writes. Not to be called in a signal handler. `fd` stays yours.
/// The number, 0 or more; GORT_EPERM: the process may not be traced (a debugger or a sandbox), and so its threads not
/// be stopped; GORT_ENOTSUP: it uses io_uring or asynchronous I/O, which keep pointers that cannot be seen, or this
/// system has no /proc; GORT_EAGAIN: a thread did not stop in time; GORT_ENOMEM; what write(2) or ptrace(2) failed
/// with. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn gort_leaks(fd: c_int) -> c_int {
    match inspect::report_leaks(fd) {
        Ok(count) => c_int::try_from(count).unwrap_or(c_int::MAX),
        Err(errno) => -errno,
    }
}

/// What the runtime has done and has; for gort_stats().
#[repr(C)]
#[derive(Clone, Copy)]
pub struct gort_stats_t {
    /// sizeof(gort_stats_t)
    pub size: usize,
    /// Goroutines that there are, those that have not run yet included: gort_num_goroutines().
    pub goroutines: u64,
    /// Goroutines that were ever spawned.
    pub spawned: u64,
    /// OS threads that run goroutines, sleeping ones included.
    pub workers: u64,
    /// All OS threads of the library: the workers, one that watches for goroutines that keep theirs, one that gives
    /// back the memory of unused stacks, one that sends signals on.
    pub threads: u64,
    /// How often a goroutine has begun to wait, for whatever it was.
    pub parks: u64,
    /// How often a worker has taken goroutines, one or several, from another's queue.
    pub steals: u64,
    /// How often a waiting goroutine was made ready to run. Yielding counts as neither park nor wake-up.
    pub wakeups: u64,
    /// Address space of all stacks that were made so far, in use or kept to be used again. Of it, memory is taken only
    /// where a stack has been touched.
    pub stack_bytes: u64,
}

/// Fill in `out`. The numbers are counted up to the moment of the call; while goroutines run, each by itself. Before
/// the runtime has started they are 0.
///
/// Does not block and does not start the runtime. `out` stays yours; `out->size` says how much of it there is to
/// fill in (GORT_STATS_INIT sets it). What a later version of the library may have added to it is set to 0.
/// GORT_OK; GORT_EINVAL: `out` is NULL, or `out->size` is smaller than the size itself. Since 0.1.
///
/// # Safety
/// `out` is NULL or points to `out->size` writable bytes, the first of which hold that size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_stats(out: *mut gort_stats_t) -> c_int {
    // SAFETY: the struct begins with its size.
    let size = if out.is_null() { 0 } else { unsafe { out.cast::<usize>().read_unaligned() } };
    if size < size_of::<usize>() {
        return EINVAL;
    }
    let counts = sched::counts();
    let stats = gort_stats_t {
        size,
        goroutines: counts.goroutines,
        spawned: counts.spawned,
        workers: counts.workers,
        threads: counts.threads + u64::from(signal::sends()),
        parks: counts.parks,
        steals: counts.steals,
        wakeups: counts.wakeups,
        stack_bytes: counts.stack_bytes,
    };
    let known = size.min(size_of::<gort_stats_t>());
    // SAFETY: `size` bytes are writable; `known` is no more than that, and than there is.
    unsafe {
        std::ptr::copy_nonoverlapping((&raw const stats).cast::<u8>(), out.cast::<u8>(), known);
        out.cast::<u8>().add(known).write_bytes(0, size - known);
    }
    OK
}

/// A function to be called before the process is ended.
pub type gort_fatal_hook_t = Option<unsafe extern "C" fn(message: *const c_char, arg: *mut c_void)>;

/// Have `hook(message, arg)` called before the library ends the process: after a fatal error, a panic that nobody
/// recovered, a deadlock, SIGQUIT. It replaces the hook set before; NULL: none.
///
/// It is called once, when all has been written to stderr that is to be, on the thread that failed; when it returns,
/// the process ends with status 2, without exit handlers. `message` is the text without the backtrace, "fatal error:
/// sync: unlock of unlocked mutex", and valid until it returns. It must not wait for a goroutine, and may be called
/// while locks of the library are held: it should call nothing of it. If it fails fatally itself the process ends at
/// once. **After a stack overflow it is called in a signal handler**, and may do only what such a handler may.
///
/// Does not block. `arg` stays yours. Since 0.1.
///
/// # Safety
/// `hook` may be called with `arg` on any thread until the process ends, even when it has been replaced meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_set_fatal_hook(hook: gort_fatal_hook_t, arg: *mut c_void) {
    fatal::set_hook(hook.map(|call| Hook { call, arg }));
}
