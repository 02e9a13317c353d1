//! The declarations of `gort.h` that the module uses.
//!
//! The one thing to know: `include/gort.h` says what each does; here are names and types only, in its order.
//! Handles are opaque. A function is added here when something uses it.

#![allow(non_camel_case_types, reason = "the names of the C header")]
#![allow(dead_code, reason = "a face of the library, not a list of what is used today")]

use std::ffi::{c_char, c_int, c_void};

macro_rules! handles {
    ($($name:ident)*) => { $(
        /// A handle.
        #[repr(C)]
        pub(crate) struct $name { _opaque: [u8; 0] }
    )* };
}
handles!(gort_chan_t gort_timer_t gort_ctx_t gort_fd_t gort_lane_t gort_async_t gort_detect_t);

macro_rules! values {
    ($($name:ident)*) => { $(
        /// A value type: ready when zeroed, 16 bytes.
        #[repr(C, align(8))]
        pub(crate) struct $name(pub(crate) [u64; 2]);
    )* };
}
values!(gort_mutex_t gort_rwmutex_t gort_cond_t gort_once_t gort_waitgroup_t gort_sem_t);

pub(crate) const OK: c_int = 0;
pub(crate) const ECLOSED: c_int = -4001;
pub(crate) const EPANIC: c_int = -4002;
pub(crate) const ENONAME: c_int = -4003;
pub(crate) const EAGAIN: c_int = -libc::EAGAIN;
pub(crate) const EBUSY: c_int = -libc::EBUSY;
pub(crate) const ECANCELED: c_int = -libc::ECANCELED;
pub(crate) const EDEADLK: c_int = -libc::EDEADLK;
pub(crate) const EINVAL: c_int = -libc::EINVAL;
pub(crate) const ENOMEM: c_int = -libc::ENOMEM;
pub(crate) const ETIMEDOUT: c_int = -libc::ETIMEDOUT;
pub(crate) const FOREVER: i64 = i64::MAX;

pub(crate) type gort_fn_t = unsafe extern "C" fn(arg: *mut c_void);

#[repr(C)]
pub(crate) struct gort_options_t {
    pub(crate) size: usize,
    pub(crate) max_procs: u32,
    pub(crate) max_threads: u32,
    pub(crate) stack_size: usize,
    pub(crate) flags: u32,
}

#[repr(C)]
pub(crate) struct gort_spawn_options_t {
    pub(crate) size: usize,
    pub(crate) stack_size: usize,
    pub(crate) name: *const c_char,
    pub(crate) flags: u32,
    pub(crate) lane: *mut gort_lane_t,
}

pub(crate) const LANE_STRICT: u32 = 1;

#[repr(C)]
pub(crate) struct gort_lane_hooks_t {
    pub(crate) size: usize,
    pub(crate) thread_start: Option<unsafe extern "C" fn(data: *mut c_void)>,
    pub(crate) thread_busy: Option<unsafe extern "C" fn(data: *mut c_void)>,
    pub(crate) thread_idle: Option<unsafe extern "C" fn(data: *mut c_void)>,
    pub(crate) thread_end: Option<unsafe extern "C" fn(data: *mut c_void)>,
    pub(crate) goroutine_start: Option<unsafe extern "C" fn(data: *mut c_void, arg: *mut c_void)>,
    pub(crate) goroutine_resume: Option<unsafe extern "C" fn(data: *mut c_void, arg: *mut c_void)>,
    pub(crate) goroutine_leave: Option<unsafe extern "C" fn(data: *mut c_void, arg: *mut c_void)>,
    pub(crate) goroutine_end: Option<unsafe extern "C" fn(data: *mut c_void, arg: *mut c_void)>,
    pub(crate) keeps_thread: Option<unsafe extern "C" fn(data: *mut c_void, arg: *mut c_void) -> bool>,
}

#[repr(C)]
pub(crate) struct gort_lane_options_t {
    pub(crate) size: usize,
    pub(crate) limit: u32,
    pub(crate) flags: u32,
    pub(crate) stack_size: usize,
    pub(crate) name: *const c_char,
    pub(crate) hooks: *const gort_lane_hooks_t,
    pub(crate) data: *mut c_void,
}

#[repr(C)]
pub(crate) struct gort_chan_options_t {
    pub(crate) size: usize,
    pub(crate) drop: Option<unsafe extern "C" fn(elem: *mut c_void, data: *mut c_void)>,
    pub(crate) data: *mut c_void,
}

pub(crate) const SEND: c_int = 1;
pub(crate) const RECV: c_int = 2;

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct gort_case_t {
    pub(crate) chan: *mut gort_chan_t,
    pub(crate) elem: *mut c_void,
    pub(crate) op: c_int,
    pub(crate) status: c_int,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct gort_stats_t {
    pub(crate) size: usize,
    pub(crate) goroutines: u64,
    pub(crate) spawned: u64,
    pub(crate) workers: u64,
    pub(crate) threads: u64,
    pub(crate) parks: u64,
    pub(crate) steals: u64,
    pub(crate) wakeups: u64,
    pub(crate) stack_bytes: u64,
}

unsafe extern "C" {
    // Version, errors
    pub(crate) fn gort_version() -> u32;
    pub(crate) fn gort_version_string() -> *const c_char;
    pub(crate) fn gort_err_name(code: c_int) -> *const c_char;
    pub(crate) fn gort_strerror(code: c_int) -> *const c_char;

    // Runtime
    pub(crate) fn gort_init(opts: *const gort_options_t) -> c_int;
    pub(crate) fn gort_max_procs(n: c_int) -> c_int;
    pub(crate) fn gort_num_cpu() -> c_int;
    pub(crate) fn gort_num_goroutines() -> usize;
    pub(crate) fn gort_now() -> i64;
    pub(crate) fn gort_shutdown(deadline: i64) -> c_int;

    // Goroutines
    pub(crate) fn gort_spawn(f: gort_fn_t, arg: *mut c_void) -> c_int;
    pub(crate) fn gort_spawn_with(opts: *const gort_spawn_options_t, f: gort_fn_t, arg: *mut c_void) -> c_int;
    pub(crate) fn gort_yield();
    pub(crate) fn gort_sleep(ns: i64);
    pub(crate) fn gort_exit() -> !;
    pub(crate) fn gort_in_goroutine() -> bool;
    pub(crate) fn gort_lock_thread();
    pub(crate) fn gort_unlock_thread();
    pub(crate) fn gort_pin_thread();
    pub(crate) fn gort_unpin_thread();
    pub(crate) fn gort_id() -> u64;
    pub(crate) fn gort_stack_bounds(low: *mut *mut c_void, high: *mut *mut c_void) -> c_int;

    // Lanes
    pub(crate) fn gort_lane_new(opts: *const gort_lane_options_t) -> *mut gort_lane_t;
    pub(crate) fn gort_lane_close(lane: *mut gort_lane_t, deadline: i64) -> c_int;
    pub(crate) fn gort_lane_retain(lane: *mut gort_lane_t) -> *mut gort_lane_t;
    pub(crate) fn gort_lane_release(lane: *mut gort_lane_t);
    pub(crate) fn gort_lane_current() -> *mut gort_lane_t;

    // Deadlocks that are survived
    pub(crate) fn gort_detect_begin(err: *mut c_int) -> *mut gort_detect_t;
    pub(crate) fn gort_detect_wait(d: *mut gort_detect_t, deadline: i64, dump_fd: c_int) -> c_int;
    pub(crate) fn gort_detect_done(d: *mut gort_detect_t);
    pub(crate) fn gort_detect_end(d: *mut gort_detect_t) -> c_int;
    pub(crate) fn gort_detect_retain(d: *mut gort_detect_t) -> *mut gort_detect_t;
    pub(crate) fn gort_detect_release(d: *mut gort_detect_t);

    // Channels
    pub(crate) fn gort_chan_new(elem_size: usize, capacity: usize) -> *mut gort_chan_t;
    pub(crate) fn gort_chan_new_with(
        elem_size: usize,
        capacity: usize,
        opts: *const gort_chan_options_t,
    ) -> *mut gort_chan_t;
    pub(crate) fn gort_chan_retain(ch: *mut gort_chan_t) -> *mut gort_chan_t;
    pub(crate) fn gort_chan_release(ch: *mut gort_chan_t);
    pub(crate) fn gort_chan_try_send(ch: *mut gort_chan_t, elem: *const c_void) -> c_int;
    pub(crate) fn gort_chan_send_until(ch: *mut gort_chan_t, elem: *const c_void, deadline: i64) -> c_int;
    pub(crate) fn gort_chan_try_recv(ch: *mut gort_chan_t, elem: *mut c_void) -> c_int;
    pub(crate) fn gort_chan_recv_until(ch: *mut gort_chan_t, elem: *mut c_void, deadline: i64) -> c_int;
    pub(crate) fn gort_chan_close(ch: *mut gort_chan_t) -> c_int;
    pub(crate) fn gort_chan_len(ch: *const gort_chan_t) -> usize;
    pub(crate) fn gort_chan_cap(ch: *const gort_chan_t) -> usize;
    pub(crate) fn gort_chan_elem_size(ch: *const gort_chan_t) -> usize;
    pub(crate) fn gort_chan_visit(
        ch: *mut gort_chan_t,
        f: unsafe extern "C" fn(elem: *mut c_void, arg: *mut c_void) -> c_int,
        arg: *mut c_void,
    ) -> c_int;
    pub(crate) fn gort_chan_clear(ch: *mut gort_chan_t) -> c_int;
    pub(crate) fn gort_chan_waiters(ch: *const gort_chan_t) -> usize;

    // Select
    pub(crate) fn gort_try_select(cases: *mut gort_case_t, n: usize) -> c_int;
    pub(crate) fn gort_select_until(cases: *mut gort_case_t, n: usize, deadline: i64) -> c_int;
    pub(crate) fn gort_select_async(
        cases: *mut gort_case_t,
        n: usize,
        done: unsafe extern "C" fn(arg: *mut c_void),
        arg: *mut c_void,
        err: *mut c_int,
    ) -> *mut gort_async_t;
    pub(crate) fn gort_async_result(a: *mut gort_async_t) -> c_int;
    pub(crate) fn gort_async_cancel(a: *mut gort_async_t) -> bool;
    pub(crate) fn gort_async_release(a: *mut gort_async_t);

    // Mutexes, wait groups
    pub(crate) fn gort_mutex_try_lock(m: *mut gort_mutex_t) -> c_int;
    pub(crate) fn gort_mutex_lock_until(m: *mut gort_mutex_t, deadline: i64) -> c_int;
    pub(crate) fn gort_mutex_unlock(m: *mut gort_mutex_t);
    pub(crate) fn gort_rwmutex_try_lock(rw: *mut gort_rwmutex_t) -> c_int;
    pub(crate) fn gort_rwmutex_lock_until(rw: *mut gort_rwmutex_t, deadline: i64) -> c_int;
    pub(crate) fn gort_rwmutex_unlock(rw: *mut gort_rwmutex_t);
    pub(crate) fn gort_rwmutex_try_rlock(rw: *mut gort_rwmutex_t) -> c_int;
    pub(crate) fn gort_rwmutex_rlock_until(rw: *mut gort_rwmutex_t, deadline: i64) -> c_int;
    pub(crate) fn gort_rwmutex_runlock(rw: *mut gort_rwmutex_t);
    pub(crate) fn gort_cond_wait_until(c: *mut gort_cond_t, m: *mut gort_mutex_t, deadline: i64) -> c_int;
    pub(crate) fn gort_cond_signal(c: *mut gort_cond_t);
    pub(crate) fn gort_cond_broadcast(c: *mut gort_cond_t);
    pub(crate) fn gort_waitgroup_add(wg: *mut gort_waitgroup_t, delta: i64);
    pub(crate) fn gort_waitgroup_done(wg: *mut gort_waitgroup_t);
    pub(crate) fn gort_waitgroup_wait_until(wg: *mut gort_waitgroup_t, deadline: i64) -> c_int;
    pub(crate) fn gort_sem_init(s: *mut gort_sem_t, permits: i64);
    pub(crate) fn gort_sem_try_acquire(s: *mut gort_sem_t, n: i64) -> c_int;
    pub(crate) fn gort_sem_acquire_until(s: *mut gort_sem_t, n: i64, deadline: i64) -> c_int;
    pub(crate) fn gort_sem_release(s: *mut gort_sem_t, n: i64);

    // Time
    pub(crate) fn gort_after(ns: i64) -> *mut gort_chan_t;
    pub(crate) fn gort_timer_new(ns: i64) -> *mut gort_timer_t;
    pub(crate) fn gort_timer_func(ns: i64, f: gort_fn_t, arg: *mut c_void) -> *mut gort_timer_t;
    pub(crate) fn gort_ticker_new(period_ns: i64) -> *mut gort_timer_t;
    pub(crate) fn gort_timer_chan(t: *mut gort_timer_t) -> *mut gort_chan_t;
    pub(crate) fn gort_timer_stop(t: *mut gort_timer_t) -> bool;
    pub(crate) fn gort_timer_reset(t: *mut gort_timer_t, ns: i64) -> bool;
    pub(crate) fn gort_timer_release(t: *mut gort_timer_t);

    // Contexts
    pub(crate) fn gort_ctx_background() -> *mut gort_ctx_t;
    pub(crate) fn gort_ctx_with_cancel(parent: *mut gort_ctx_t) -> *mut gort_ctx_t;
    pub(crate) fn gort_ctx_with_timeout(parent: *mut gort_ctx_t, ns: i64) -> *mut gort_ctx_t;
    pub(crate) fn gort_ctx_with_deadline(parent: *mut gort_ctx_t, deadline: i64) -> *mut gort_ctx_t;
    pub(crate) fn gort_ctx_with_value_owned(
        parent: *mut gort_ctx_t,
        key: *const c_void,
        value: *mut c_void,
        destroy: Option<unsafe extern "C" fn(value: *mut c_void)>,
    ) -> *mut gort_ctx_t;
    pub(crate) fn gort_ctx_without_cancel(parent: *mut gort_ctx_t) -> *mut gort_ctx_t;
    pub(crate) fn gort_ctx_cancel(ctx: *mut gort_ctx_t);
    pub(crate) fn gort_ctx_cancel_cause(ctx: *mut gort_ctx_t, cause: c_int);
    pub(crate) fn gort_ctx_done(ctx: *mut gort_ctx_t) -> *mut gort_chan_t;
    pub(crate) fn gort_ctx_err(ctx: *mut gort_ctx_t) -> c_int;
    pub(crate) fn gort_ctx_cause(ctx: *mut gort_ctx_t) -> c_int;
    pub(crate) fn gort_ctx_deadline(ctx: *mut gort_ctx_t) -> i64;
    pub(crate) fn gort_ctx_value(ctx: *mut gort_ctx_t, key: *const c_void) -> *mut c_void;
    pub(crate) fn gort_ctx_after_func(ctx: *mut gort_ctx_t, f: gort_fn_t, arg: *mut c_void, id: *mut u64) -> c_int;
    pub(crate) fn gort_ctx_after_func_stop(ctx: *mut gort_ctx_t, id: u64) -> bool;
    pub(crate) fn gort_ctx_retain(ctx: *mut gort_ctx_t) -> *mut gort_ctx_t;
    pub(crate) fn gort_ctx_release(ctx: *mut gort_ctx_t);

    // Descriptors, the network
    pub(crate) fn gort_fd_open(fd: c_int, err: *mut c_int) -> *mut gort_fd_t;
    pub(crate) fn gort_fd_raw(f: *mut gort_fd_t) -> c_int;
    pub(crate) fn gort_fd_read(f: *mut gort_fd_t, buf: *mut c_void, n: usize) -> i64;
    pub(crate) fn gort_fd_write(f: *mut gort_fd_t, buf: *const c_void, n: usize) -> i64;
    pub(crate) fn gort_fd_set_read_deadline(f: *mut gort_fd_t, deadline: i64) -> c_int;
    pub(crate) fn gort_fd_set_write_deadline(f: *mut gort_fd_t, deadline: i64) -> c_int;
    pub(crate) fn gort_fd_shutdown(f: *mut gort_fd_t, how: c_int) -> c_int;
    pub(crate) fn gort_fd_close(f: *mut gort_fd_t) -> c_int;
    pub(crate) fn gort_fd_retain(f: *mut gort_fd_t) -> *mut gort_fd_t;
    pub(crate) fn gort_fd_release(f: *mut gort_fd_t);
    pub(crate) fn gort_wait_fd(fd: c_int, events: c_int, deadline: i64) -> c_int;
    pub(crate) fn gort_listen(network: *const c_char, address: *const c_char, err: *mut c_int) -> *mut gort_fd_t;
    pub(crate) fn gort_accept(listener: *mut gort_fd_t, err: *mut c_int) -> *mut gort_fd_t;
    pub(crate) fn gort_dial(
        network: *const c_char,
        address: *const c_char,
        deadline: i64,
        err: *mut c_int,
    ) -> *mut gort_fd_t;
    pub(crate) fn gort_fd_local_addr(f: *mut gort_fd_t, buf: *mut c_char, n: usize) -> c_int;
    pub(crate) fn gort_fd_peer_addr(f: *mut gort_fd_t, buf: *mut c_char, n: usize) -> c_int;
    pub(crate) fn gort_recv_from(
        f: *mut gort_fd_t,
        buf: *mut c_void,
        n: usize,
        addr: *mut c_char,
        addr_size: usize,
    ) -> i64;
    pub(crate) fn gort_send_to(f: *mut gort_fd_t, buf: *const c_void, n: usize, addr: *const c_char) -> i64;

    // Waiting for the world
    pub(crate) fn gort_blocking(f: unsafe extern "C" fn(*mut c_void) -> *mut c_void, arg: *mut c_void) -> *mut c_void;
    pub(crate) fn gort_signal_notify(ch: *mut gort_chan_t, signo: c_int) -> c_int;
    pub(crate) fn gort_signal_stop(ch: *mut gort_chan_t) -> c_int;

    // Seeing inside
    pub(crate) fn gort_dump(fd: c_int) -> c_int;
    pub(crate) fn gort_stats(out: *mut gort_stats_t) -> c_int;
    pub(crate) fn gort_trace_start(path: *const c_char) -> c_int;
    pub(crate) fn gort_trace_stop() -> c_int;
}
