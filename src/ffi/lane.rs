//! Lanes, and what a runtime that rides on goroutines asks about the one that calls.

use super::goroutine::gort_lane_t;
use super::status;
use crate::coroutine::{Class, GUARD};
use crate::sched::lane::{self, Closed, Hooks, Lane, Options};
use crate::sched::{self, Goroutine};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::null_mut;

/// A hook of gort_lane_hooks_t that speaks of a thread of the lane. `data` is gort_lane_options_t.data.
pub type gort_lane_thread_fn_t = Option<unsafe extern "C" fn(data: *mut c_void)>;

/// A hook of gort_lane_hooks_t that speaks of a goroutine of the lane. `arg` is what it was spawned with.
pub type gort_lane_goroutine_fn_t = Option<unsafe extern "C" fn(data: *mut c_void, arg: *mut c_void)>;

/// A hook of gort_lane_hooks_t that asks about a goroutine of the lane.
pub type gort_lane_keeps_fn_t = Option<unsafe extern "C" fn(data: *mut c_void, arg: *mut c_void) -> bool>;

/// What a lane calls on its threads; each may be NULL.
///
/// All but `keeps_thread` run on the thread's own stack, outside of any goroutine (gort_in_goroutine() is false): they may
/// block as far as the lane's owner wants that, and may call gort, but must not wait for goroutines of the lane. No C++
/// exception, and no panic, may leave them. Each thread calls, in this order: thread_start; then any number of times
/// thread_busy, turns of goroutines, thread_idle; then thread_end. A turn is goroutine_start or goroutine_resume, the
/// goroutine itself, and goroutine_leave or goroutine_end. At the exit of the process a thread may stop after thread_idle,
/// for good.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct gort_lane_hooks_t {
    /// sizeof(gort_lane_hooks_t)
    pub size: usize,
    /// On a new thread of the lane, first of all.
    pub thread_start: gort_lane_thread_fn_t,
    /// It has got one of the lane's slots and is about to run goroutines. May wait (for a global lock, say).
    pub thread_busy: gort_lane_thread_fn_t,
    /// It is about to give the slot up: to sleep, to make a call of gort_blocking(), or to end.
    pub thread_idle: gort_lane_thread_fn_t,
    /// Last of all.
    pub thread_end: gort_lane_thread_fn_t,
    /// Before a goroutine's first turn.
    pub goroutine_start: gort_lane_goroutine_fn_t,
    /// Before each later turn.
    pub goroutine_resume: gort_lane_goroutine_fn_t,
    /// It has parked or yielded. It goes on nowhere before this has returned.
    pub goroutine_leave: gort_lane_goroutine_fn_t,
    /// It has ended, in whichever way.
    pub goroutine_end: gort_lane_goroutine_fn_t,
    /// Does the goroutine need this very thread to go on? Asked on its own stack, whenever it is about to park or yield:
    /// true keeps the thread, this time. A lock of gort's may be held meanwhile, so this must not block, nor call gort or
    /// anything that may.
    pub keeps_thread: gort_lane_keeps_fn_t,
}

// SAFETY: `repr(C)`, `size` first, functions that may be NULL.
unsafe impl super::options::Options for gort_lane_hooks_t {}

/// `gort_lane_options_t.flags`: never more than `limit` goroutines of the lane run at once. Without it a goroutine that has
/// kept its thread for 10 ms while others of the lane wait goes on running, but another thread takes its slot.
pub const GORT_LANE_STRICT: u32 = 1;

/// How a lane is to be; for gort_lane_new(). Zero fields mean the default.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct gort_lane_options_t {
    /// sizeof(gort_lane_options_t)
    pub size: usize,
    /// How many of its goroutines may run at once, each on a thread: its slots. Default 1.
    pub limit: u32,
    /// GORT_LANE_STRICT, or 0.
    pub flags: u32,
    /// Bytes reserved for the stack of each of its goroutines, as in gort_options_t. Default: that of the runtime.
    pub stack_size: usize,
    /// What its threads are called (15 bytes of it); copied. Default: "gort-lane".
    pub name: *const c_char,
    /// What it calls; copied. Default: nothing.
    pub hooks: *const gort_lane_hooks_t,
    /// Passed to each hook.
    pub data: *mut c_void,
}

// SAFETY: `repr(C)`, `size` first, integers and pointers.
unsafe impl super::options::Options for gort_lane_options_t {}

fn core(lane: *const gort_lane_t) -> *const Lane {
    lane.cast()
}

/// Make a lane: goroutines that run on threads of their own, which run no others. Goroutines are started in it by
/// gort_spawn_with(); they use everything of gort as any others do, and with any others. Threads are started when they
/// are needed, and those that are too many end after 2 s without work.
///
/// A lane lives until its last handle is released and its last goroutine has ended; then its threads end. In a forked child
/// the parent's lanes are closed.
///
/// Does not block. `opts` stays the caller's and is copied with its name and hooks; NULL means all defaults. What `data`
/// points to must stay until the lane's last thread has ended (see gort_lane_close()). The caller owns the handle.
/// NULL: an unknown flag, a stack size over 1 GiB, a bad `size` (of the options or the hooks), a non-zero byte past the
/// fields known to this library, or no memory. Since 0.1.
///
/// # Safety
/// `opts` is NULL or points to `opts->size` readable bytes, as do the hooks; the hooks may be called as described, on any
/// thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_lane_new(opts: *const gort_lane_options_t) -> *mut gort_lane_t {
    // SAFETY: the caller's promise.
    let Some(opts) = (unsafe { super::options::read(opts) }) else { return null_mut() };
    // SAFETY: as above.
    let Some(hooks) = (unsafe { super::options::read(opts.hooks) }) else { return null_mut() };
    let class = match opts.stack_size {
        0 => None,
        bytes => match Class::for_size(bytes) {
            Some(class) => Some(class),
            None => return null_mut(),
        },
    };
    if opts.flags & !GORT_LANE_STRICT != 0 {
        return null_mut();
    }
    let name = if opts.name.is_null() {
        None
    } else {
        // SAFETY: a name is a NUL-terminated text.
        match super::goroutine::copied(unsafe { CStr::from_ptr(opts.name) }) {
            Some(name) => Some(name),
            None => return null_mut(),
        }
    };
    let options = Options {
        limit: opts.limit,
        strict: opts.flags & GORT_LANE_STRICT != 0,
        class,
        name,
        hooks: Hooks {
            data: opts.data,
            thread_start: hooks.thread_start,
            thread_busy: hooks.thread_busy,
            thread_idle: hooks.thread_idle,
            thread_end: hooks.thread_end,
            goroutine_start: hooks.goroutine_start,
            goroutine_resume: hooks.goroutine_resume,
            goroutine_leave: hooks.goroutine_leave,
            goroutine_end: hooks.goroutine_end,
            keeps_thread: hooks.keeps_thread,
        },
    };
    Lane::make(options).cast_mut().cast()
}

/// One more handle of a lane, which it returns.
///
/// Does not block. NULL gives NULL. Since 0.1.
///
/// # Safety
/// `lane` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_lane_retain(lane: *mut gort_lane_t) -> *mut gort_lane_t {
    if !lane.is_null() {
        // SAFETY: the caller's promise.
        unsafe { Lane::retain(core(lane)) };
    }
    lane
}

/// Give a handle up. A lane without handles goes on until its last goroutine has ended.
///
/// Does not block. NULL does nothing. Since 0.1.
///
/// # Safety
/// `lane` is NULL or a handle of the caller's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_lane_release(lane: *mut gort_lane_t) {
    if !lane.is_null() {
        // SAFETY: the caller's promise.
        unsafe { Lane::release(core(lane)) };
    }
}

/// Close a lane: none of its goroutines starts or goes on any more, those that run do so until they next reach the
/// scheduler, and its threads end. Those that have not started are gone; the others stay parked for good, and nothing on
/// their stacks is undone. May be called again, to wait again.
///
/// Blocks until the last thread has returned from `thread_end`, or until `deadline` (GORT_FOREVER: none). The handle stays
/// the caller's.
/// GORT_OK; GORT_ETIMEDOUT: some threads have not ended (the lane is closed all the same); GORT_EDEADLK: the caller is on a
/// thread of the lane, and nothing was done; GORT_EINVAL: `lane` is NULL. In a forked child, of a parent's lane: GORT_OK.
/// Since 0.1.
///
/// # Safety
/// `lane` is NULL or a handle of the caller's, which nobody releases meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_lane_close(lane: *mut gort_lane_t, deadline: i64) -> c_int {
    if lane.is_null() {
        return status::EINVAL;
    }
    // SAFETY: the caller's promise.
    match unsafe { (*core(lane)).close(deadline) } {
        Closed::Done => status::OK,
        Closed::TimedOut => status::ETIMEDOUT,
        Closed::Inside => status::EDEADLK,
    }
}

/// The lane of the calling goroutine, borrowed; NULL: it is in none, or the caller is no goroutine.
///
/// Does not block and does not start the runtime. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn gort_lane_current() -> *mut gort_lane_t {
    lane::current().cast_mut().cast()
}

/// The number of the calling goroutine, as dumps show it; 0 on a plain thread. Numbers are never used twice.
///
/// Does not block and does not start the runtime. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn gort_id() -> u64 {
    // SAFETY: null, or the calling goroutine's own record.
    unsafe { sched::current_goroutine().as_ref() }.map_or(0, Goroutine::id)
}

/// Where the stack of the calling goroutine is: from `*low`, above its guard, up to `*high`.
///
/// Does not block and does not start the runtime.
/// GORT_OK; GORT_EINVAL: the caller is no goroutine, or `low` or `high` is NULL. Then nothing is written. Since 0.1.
///
/// # Safety
/// `low` and `high` are NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_stack_bounds(low: *mut *mut c_void, high: *mut *mut c_void) -> c_int {
    let g = sched::current_goroutine();
    if g.is_null() || low.is_null() || high.is_null() {
        return status::EINVAL;
    }
    // SAFETY: the calling goroutine's own record, which lies above its frames; the caller's promise.
    unsafe {
        *low = (*g).stack().base().wrapping_add(GUARD).cast();
        *high = g.cast();
    }
    status::OK
}
