//! The go statement and what a goroutine may do to itself.

use super::status;
use crate::coroutine::Class;
use crate::fatal::fatal;
use crate::sched::lane::{self, Refused};
use crate::sched::{self, Extra, Spawn};
use std::ffi::{CStr, CString, c_char, c_int, c_void};

/// A goroutine's function. No C++ exception may leave it.
pub type gort_fn_t = Option<unsafe extern "C" fn(arg: *mut c_void)>;

/// `gort_spawn_options_t.flags`: the goroutine never changes its OS thread once it has started. It shares that
/// thread with other goroutines; to have it alone, call gort_lock_thread().
pub const GORT_SPAWN_PINNED: u32 = 1;

/// Goroutines that run on threads of their own: see gort_lane_new(). A handle.
#[derive(Debug)]
pub struct gort_lane_t {
    _opaque: [u8; 0],
}

/// How a goroutine is to be started; for gort_spawn_with(). Zero fields mean the default.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct gort_spawn_options_t {
    /// sizeof(gort_spawn_options_t)
    pub size: usize,
    /// Bytes reserved for its stack, as in gort_options_t. Default: that of the runtime.
    pub stack_size: usize,
    /// Shown in reports; copied. Default: none.
    pub name: *const c_char,
    /// GORT_SPAWN_PINNED, or 0.
    pub flags: u32,
    /// The lane to start it in, borrowed. Default: none.
    pub lane: *mut gort_lane_t,
}

// SAFETY: `repr(C)`, `size` first, integers and a pointer.
unsafe impl super::options::Options for gort_spawn_options_t {}

/// `site`: where the exported function returns to.
fn spawn(spawn: Spawn, site: usize) -> c_int {
    match sched::spawn_at(spawn, site) {
        Ok(()) => status::OK,
        Err(sched::NoMemory) => status::ENOMEM,
    }
}

/// Start a goroutine that runs `fn(arg)`: Go's `go fn(arg)`. It ends when `fn` returns or calls gort_exit().
///
/// Does not block. `arg` stays the caller's.
/// GORT_OK; GORT_EINVAL: `fn` is NULL; GORT_ENOMEM. Since 0.1.
///
/// # Safety
/// `fn_` may be called with `arg` on another thread.
#[unsafe(no_mangle)]
#[cfg_attr(target_arch = "x86_64", unsafe(naked))]
pub unsafe extern "C" fn gort_spawn(fn_: gort_fn_t, arg: *mut c_void) -> c_int {
    super::site::with_site!(rdx, spawn_plain(fn_, arg))
}

/// # Safety
/// As for [`gort_spawn`].
unsafe extern "C" fn spawn_plain(fn_: gort_fn_t, arg: *mut c_void, site: usize) -> c_int {
    let Some(body) = fn_ else { return status::EINVAL };
    spawn(Spawn { body, arg, class: None, flags: 0, extra: None, at_end: None }, site)
}

/// Start a goroutine that runs `fn(copy)`, where `copy` is a copy of the `size` bytes at `args`, made before
/// this call returns. The copy is aligned to 16 bytes and valid until the goroutine has ended. With `size` 0,
/// `fn` gets NULL.
///
/// Does not block. `args` stays the caller's; the copy is the library's and is freed by it.
/// GORT_OK; GORT_EINVAL: `fn` is NULL, or `args` is and `size` is not 0; GORT_ENOMEM. Since 0.1.
///
/// # Safety
/// `args` points to `size` readable bytes; `fn_` may be called with a copy of them on another thread.
#[unsafe(no_mangle)]
#[cfg_attr(target_arch = "x86_64", unsafe(naked))]
pub unsafe extern "C" fn gort_spawn_copy(fn_: gort_fn_t, args: *const c_void, size: usize) -> c_int {
    super::site::with_site!(rcx, spawn_copy(fn_, args, size))
}

/// # Safety
/// As for [`gort_spawn_copy`].
unsafe extern "C" fn spawn_copy(fn_: gort_fn_t, args: *const c_void, size: usize, site: usize) -> c_int {
    let Some(body) = fn_ else { return status::EINVAL };
    if size == 0 {
        let arg = std::ptr::null_mut();
        return spawn(Spawn { body, arg, class: None, flags: 0, extra: None, at_end: None }, site);
    }
    if args.is_null() {
        return status::EINVAL;
    }
    let mut copy: Vec<u128> = Vec::new();
    let units = size.div_ceil(size_of::<u128>());
    if copy.try_reserve_exact(units).is_err() {
        return status::ENOMEM;
    }
    // SAFETY: the capacity is `units`; the last unit is zeroed before part of it is copied over.
    unsafe {
        copy.as_mut_ptr().add(units - 1).write(0);
        std::ptr::copy_nonoverlapping(args.cast::<u8>(), copy.as_mut_ptr().cast::<u8>(), size);
        copy.set_len(units);
    }
    let arg = copy.as_mut_ptr().cast::<c_void>();
    let Some(extra) = boxed(Extra { name: None, _args: copy }) else { return status::ENOMEM };
    let extra = Some(extra);
    spawn(Spawn { body, arg, class: None, flags: 0, extra, at_end: None }, site)
}

/// Start a goroutine that runs `fn(arg)`, with a name, a stack size, bound to one thread, or in a lane.
///
/// Does not block. `opts` stays the caller's and is copied with its name; NULL means all defaults. `arg` stays
/// the caller's.
/// GORT_OK; GORT_EINVAL: `fn` is NULL, an unknown flag, a stack size over 1 GiB, a bad `size`, or a non-zero
/// byte past the fields known to this library; GORT_ENOMEM; GORT_ECLOSED: the lane is closed. Since 0.1.
///
/// # Safety
/// `opts` is NULL or points to `opts->size` readable bytes, its lane is NULL or live; `fn_` may be called with `arg` on another thread.
#[unsafe(no_mangle)]
#[cfg_attr(target_arch = "x86_64", unsafe(naked))]
pub unsafe extern "C" fn gort_spawn_with(
    opts: *const gort_spawn_options_t,
    fn_: gort_fn_t,
    arg: *mut c_void,
) -> c_int {
    super::site::with_site!(rcx, spawn_with(opts, fn_, arg))
}

/// # Safety
/// As for [`gort_spawn_with`].
unsafe extern "C" fn spawn_with(
    opts: *const gort_spawn_options_t,
    fn_: gort_fn_t,
    arg: *mut c_void,
    site: usize,
) -> c_int {
    let Some(body) = fn_ else { return status::EINVAL };
    // SAFETY: the caller's promise.
    let Some(opts) = (unsafe { read_options(opts) }) else { return status::EINVAL };
    if opts.flags & !GORT_SPAWN_PINNED != 0 {
        return status::EINVAL;
    }
    let class = match opts.stack_size {
        0 => None,
        bytes => match Class::for_size(bytes) {
            Some(class) => Some(class),
            None => return status::EINVAL,
        },
    };
    let extra = if opts.name.is_null() {
        None
    } else {
        // SAFETY: a name is a NUL-terminated text.
        let name = copied(unsafe { CStr::from_ptr(opts.name) });
        match name.and_then(|name| boxed(Extra { name: Some(name), _args: Vec::new() })) {
            Some(extra) => Some(extra),
            None => return status::ENOMEM,
        }
    };
    let flags = if opts.flags & GORT_SPAWN_PINNED != 0 { sched::PINNED } else { 0 };
    let goroutine = Spawn { body, arg, class, flags, extra, at_end: None };
    if opts.lane.is_null() {
        return spawn(goroutine, site);
    }
    // SAFETY: the caller's promise.
    match unsafe { lane::spawn(opts.lane.cast_const().cast(), goroutine, site) } {
        Ok(()) => status::OK,
        Err(Refused::NoMemory) => status::ENOMEM,
        Err(Refused::Closed) => status::ECLOSED,
    }
}

/// `Box::new` that does not end the process when there is no memory.
fn boxed<T>(value: T) -> Option<Box<T>> {
    const { assert!(size_of::<T>() != 0) };
    // SAFETY: the layout is not empty; the memory is written before it becomes a box, whose allocator it is from.
    unsafe {
        let place = std::alloc::alloc(std::alloc::Layout::new::<T>()).cast::<T>();
        if place.is_null() {
            return None;
        }
        place.write(value);
        Some(Box::from_raw(place))
    }
}

/// A copy of `text`; `None`: no memory.
pub(super) fn copied(text: &CStr) -> Option<CString> {
    let bytes = text.to_bytes();
    let mut copy = Vec::new();
    // One more for the NUL, so that `CString` need not make room for it.
    copy.try_reserve_exact(bytes.len() + 1).ok()?;
    copy.extend_from_slice(bytes);
    CString::new(copy).ok()
}

/// # Safety
/// As for [`gort_spawn_with`].
unsafe fn read_options(opts: *const gort_spawn_options_t) -> Option<gort_spawn_options_t> {
    // SAFETY: the caller's promise.
    unsafe { super::options::read(opts) }
}

/// Let other goroutines run first: Go's `runtime.Gosched`. On a plain thread: sched_yield().
///
/// Does not wait for anything. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn gort_yield() {
    sched::yield_now();
}

/// Wait for at least `ns` nanoseconds; `ns <= 0` returns at once.
///
/// Blocks. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn gort_sleep(ns: i64) {
    sched::sleep(ns);
}

/// End the calling goroutine: Go's `runtime.Goexit`. Does not return. All its deferred calls are run, and it passes
/// through every gort_try(); the C cleanups and C++ destructors of its frames are run too. gort_recover() returns
/// NULL in deferred calls that are run for it, and a panic that is replaced by it is over.
///
/// From the main goroutine: the others go on (see gort_main). Outside a goroutine: a fatal error. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn gort_exit() -> ! {
    if sched::current_goroutine().is_null() {
        fatal(format_args!("gort_exit: called outside a goroutine"));
    }
    crate::panic::exit()
}

/// Is the caller a goroutine?
///
/// Does not block and does not start the runtime. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn gort_in_goroutine() -> bool {
    !sched::current_goroutine().is_null()
}

/// Keep the calling goroutine on its present OS thread, and everybody else off it: Go's
/// `runtime.LockOSThread`. Nests: as many gort_unlock_thread() undo it. A goroutine that ends locked takes the
/// thread with it. On a goroutine spawned with GORT_SPAWN_PINNED, which keeps its thread anyway but shares it,
/// and on a plain thread: no effect. After gort_pin_thread(), before its gort_unpin_thread(): the thread is kept
/// until both are undone, and shared all the while.
///
/// May let another thread take over other goroutines; does not wait. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn gort_lock_thread() {
    sched::lock_thread();
}

/// Undo one gort_lock_thread(). One too many has no effect.
///
/// Does not block. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn gort_unlock_thread() {
    sched::unlock_thread();
}

/// Keep the calling goroutine on its present OS thread, which others go on sharing: what GORT_SPAWN_PINNED does for a
/// goroutine's whole life, from here to gort_unpin_thread(). For code that must find errno, thread-locals or a
/// library's per-thread state as it left them, over calls that park. Nests: as many gort_unpin_thread() undo it, up to
/// 65534; more are never undone. A goroutine that ends pinned leaves the thread as it is. On a plain thread: no effect.
///
/// Does not block. While it is pinned, it can go on only when its thread is free: another goroutine that computes or
/// blocks for long there holds it up. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn gort_pin_thread() {
    sched::pin_thread();
}

/// Undo one gort_pin_thread(). One too many has no effect.
///
/// Does not block. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn gort_unpin_thread() {
    sched::unpin_thread();
}
