//! Descriptors: read, write, deadlines, close; and waiting for those of others.
//!
//! The one thing to know: see `net/fd/mod.rs`.

use super::status::{EINVAL, OK};
use crate::net::fd::Fd;
use crate::net::wait::wait_fd;
use crate::sched::poller::Direction;
use std::ffi::{c_int, c_void};
use std::ptr::{NonNull, null_mut};

/// A descriptor of the system's that gort has taken over: a socket, a pipe, a terminal. A call that has to wait parks
/// the goroutine and not its thread. Any number of goroutines and threads may use it at the same time, but at most
/// one reads and one writes at a time: the others wait for their turn, in their order, so what several write is not
/// mixed up. Since 0.1.
pub struct gort_fd_t {
    _opaque: [u8; 0],
}

/// The core's; `None` for NULL.
///
/// # Safety
/// `f` is NULL, or a live handle that stays so for as long as the reference is used.
#[inline]
pub(super) unsafe fn fd<'a>(f: *mut gort_fd_t) -> Option<&'a Fd> {
    // SAFETY: the caller's promise: handles point to the core's type.
    unsafe { f.cast::<Fd>().as_ref() }
}

/// # Safety
/// `err` is NULL or writable.
unsafe fn tell(err: *mut c_int, status: c_int) {
    if !err.is_null() {
        // SAFETY: the caller's promise.
        unsafe { err.write(status) };
    }
}

/// Takes over the descriptor `fd`, which must be one that can be waited for, as a socket, a pipe or a terminal (a
/// regular file cannot), and makes it non-blocking, for everybody who shares it. From then on it is to be used
/// through the handle alone, and closed by gort_fd_close() or the last gort_fd_release(). If it fails, the descriptor
/// is yours as before.
///
/// Does not block. The handle is yours: gort_fd_release() gives it up. NULL if it fails; `*err`, unless `err` is
/// NULL, is `GORT_OK`, or why it failed: `GORT_EPERM`, it cannot be waited for; `GORT_EBADF`, it is not open;
/// `GORT_ENOMEM`; `GORT_EMFILE`, `GORT_ENFILE`, `GORT_ENOSPC`, the system has no more of what waiting takes. Since
/// 0.1.
///
/// # Safety
/// `err` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_fd_open(fd: c_int, err: *mut c_int) -> *mut gort_fd_t {
    let (handle, status) = match Fd::adopt(fd) {
        Ok(fd) => (fd.as_ptr().cast(), OK),
        Err(status) => (null_mut(), status),
    };
    // SAFETY: the caller's promise.
    unsafe { tell(err, status) };
    handle
}

/// The number of the descriptor, for calls that gort does not have, such as setsockopt(2). Not to be closed.
///
/// Does not block. Returns the number; `GORT_ECLOSED` once it was closed; `GORT_EINVAL` if `f` is NULL. Since 0.1.
///
/// # Safety
/// `f` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_fd_raw(f: *mut gort_fd_t) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { fd(f) }.map_or(EINVAL, Fd::raw)
}

/// Reads up to `n` bytes to `buf`, as soon as there are any.
///
/// Blocks, until the read deadline at most. `f` and `buf` stay yours. Returns how many bytes were read, which is 0 at
/// the end of the stream (and if `n` is 0); `GORT_ECLOSED` if it is closed, also meanwhile; `GORT_ETIMEDOUT` if the
/// read deadline has passed, even if there is something to read; `GORT_EINVAL` if `f` is NULL, or `buf` is and `n` is
/// not 0; what read(2) failed with, such as `GORT_ECONNRESET`. Since 0.1.
///
/// # Safety
/// `f` is NULL or a live handle; `buf` is writable for `n` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_fd_read(f: *mut gort_fd_t, buf: *mut c_void, n: usize) -> i64 {
    // SAFETY: the caller's promise.
    match unsafe { fd(f) } {
        // SAFETY: the caller's promise.
        Some(fd) if !buf.is_null() || n == 0 => unsafe { fd.read(buf.cast(), n) },
        _ => EINVAL.into(),
    }
}

/// Writes all `n` bytes at `buf`, without those of another call in between. A reader that is gone is an error, and
/// never a SIGPIPE.
///
/// Blocks, until the write deadline at most. `f` and `buf` stay yours. Returns `n`; or fewer, and then the next call
/// returns why; `GORT_ECLOSED` if it is closed, also meanwhile; `GORT_ETIMEDOUT` if the write deadline has passed,
/// even if there is room; `GORT_EINVAL` if `f` is NULL, or `buf` is and `n` is not 0; what write(2) failed with, such
/// as `GORT_EPIPE` and `GORT_ECONNRESET`. Since 0.1.
///
/// # Safety
/// `f` is NULL or a live handle; `buf` is readable for `n` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_fd_write(f: *mut gort_fd_t, buf: *const c_void, n: usize) -> i64 {
    // SAFETY: the caller's promise.
    match unsafe { fd(f) } {
        // SAFETY: the caller's promise.
        Some(fd) if !buf.is_null() || n == 0 => unsafe { fd.write(buf.cast(), n) },
        _ => EINVAL.into(),
    }
}

/// From `deadline` on (on `gort_now()`) calls that read from `f`, or accept on it, return `GORT_ETIMEDOUT`, those
/// that wait already included. A deadline in the past: at once. `GORT_FOREVER`, which it begins with: never. A call
/// that returned `GORT_ETIMEDOUT` has read nothing; with another deadline reading goes on.
///
/// Does not block. `f` stays yours. Returns `GORT_OK`; `GORT_ECLOSED` if it is closed; `GORT_EINVAL` if `f` is NULL.
/// Since 0.1.
///
/// # Safety
/// `f` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_fd_set_read_deadline(f: *mut gort_fd_t, deadline: i64) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { fd(f) }.map_or(EINVAL, |fd| fd.set_deadline(Direction::Read, deadline))
}

/// As gort_fd_set_read_deadline(), of calls that write. One that has written a part returns how much.
///
/// Does not block. `f` stays yours. Returns as gort_fd_set_read_deadline(). Since 0.1.
///
/// # Safety
/// `f` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_fd_set_write_deadline(f: *mut gort_fd_t, deadline: i64) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { fd(f) }.map_or(EINVAL, |fd| fd.set_deadline(Direction::Write, deadline))
}

/// Ends one direction of a connection, or both: `how` is SHUT_RD, SHUT_WR or SHUT_RDWR, as of shutdown(2). After
/// SHUT_WR the peer reads the end of the stream, and can still be read from.
///
/// Does not block. `f` stays yours. Returns `GORT_OK`; `GORT_ECLOSED` if it is closed; `GORT_EINVAL` if `f` is NULL
/// or `how` is none of these; what shutdown(2) failed with, such as `GORT_ENOTCONN` and `GORT_ENOTSOCK`. Since 0.1.
///
/// # Safety
/// `f` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_fd_shutdown(f: *mut gort_fd_t, how: c_int) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { fd(f) }.map_or(EINVAL, |fd| fd.shutdown(how))
}

/// Closes the descriptor. Calls that wait in it return `GORT_ECLOSED`, and so do all later ones. When it returns, the
/// number has been closed and may be another file's.
///
/// Blocks, for as long as calls that are in it take to leave, which do not wait any more. The handle stays yours, for
/// gort_fd_release(). Returns `GORT_OK`; `GORT_ECLOSED` if it was closed before; `GORT_EINVAL` if `f` is NULL. Since
/// 0.1.
///
/// # Safety
/// `f` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_fd_close(f: *mut gort_fd_t) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { fd(f) }.map_or(EINVAL, Fd::close)
}

/// One more handle to the same descriptor, to be given up by another gort_fd_release().
///
/// Does not block. Returns `f`. Since 0.1.
///
/// # Safety
/// `f` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_fd_retain(f: *mut gort_fd_t) -> *mut gort_fd_t {
    // SAFETY: the caller's promise.
    if let Some(fd) = unsafe { fd(f) } {
        fd.retain();
    }
    f
}

/// Gives up a handle. The last one closes the descriptor, as gort_fd_close() does, if it is open.
///
/// Blocks as gort_fd_close(), if it closes. NULL: does nothing. Since 0.1.
///
/// # Safety
/// `f` is NULL or a live handle, which is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_fd_release(f: *mut gort_fd_t) {
    if let Some(fd) = NonNull::new(f.cast::<Fd>()) {
        // SAFETY: the caller's promise.
        unsafe { Fd::release(fd) };
    }
}

/// Waits until something of `events` (POLLIN, POLLOUT and the like, of poll.h) holds of the descriptor `fd`, as
/// poll(2) does for one: for libraries that own their descriptors. Several may wait for one. A deadline in the past:
/// does not wait.
///
/// Blocks, until `deadline` (on `gort_now()`) at most. `fd` stays yours, and must stay open meanwhile. Returns what
/// holds, a number greater than
/// 0: of `events`, and POLLERR, POLLHUP and POLLNVAL (it is not open) even unasked; `GORT_ETIMEDOUT` if nothing did before the
/// deadline; `GORT_EINVAL` if `fd` is negative or `events` has bits that poll(2) does not know; `GORT_ENOMEM`;
/// `GORT_EMFILE`, `GORT_ENFILE`, `GORT_ENOSPC`, the system has no more of what waiting takes. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn gort_wait_fd(fd: c_int, events: c_int, deadline: i64) -> c_int {
    wait_fd(fd, events, deadline)
}
