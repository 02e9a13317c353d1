//! System calls on descriptors: the result or the error's number, and `errno` as it was.
//!
//! The one thing to know: they are made with `syscall`, not by the C library's functions of the same names. Those are
//! points at which a thread can be cancelled, and programs put functions of their own in front of them
//! (libgort_preload does).

use crate::primitive::{errno, set_errno};
use std::ptr::null;

/// What a call returned, or the error's number (positive).
pub(crate) type Result<T> = std::result::Result<T, i32>;

/// `syscall(...)` as a [`Result`].
macro_rules! call {
    ($($arg:expr),+) => {{
        let saved = errno();
        let result = libc::syscall($($arg),+);
        if result == -1 {
            let error = errno();
            set_errno(saved);
            Err(error)
        } else {
            Ok(result)
        }
    }};
}

/// # Safety
/// `buf` is good for writing `n` bytes.
#[inline]
pub(crate) unsafe fn read(fd: i32, buf: *mut u8, n: usize) -> Result<usize> {
    // SAFETY: the caller's promise.
    unsafe { call!(libc::SYS_read, fd, buf, n).map(|n| n as usize) }
}

/// # Safety
/// `buf` is good for reading `n` bytes.
#[inline]
pub(crate) unsafe fn write(fd: i32, buf: *const u8, n: usize) -> Result<usize> {
    // SAFETY: the caller's promise.
    unsafe { call!(libc::SYS_write, fd, buf, n).map(|n| n as usize) }
}

/// As `write`, on a socket, which raises no SIGPIPE.
///
/// # Safety
/// As for `write`.
#[inline]
pub(crate) unsafe fn send(fd: i32, buf: *const u8, n: usize) -> Result<usize> {
    // SAFETY: the caller's promise; no address.
    unsafe { call!(libc::SYS_sendto, fd, buf, n, libc::MSG_NOSIGNAL, null::<u8>(), 0).map(|n| n as usize) }
}

pub(crate) fn close(fd: i32) -> Result<()> {
    // SAFETY: whose it is, is the callers' affair.
    unsafe { call!(libc::SYS_close, fd).map(drop) }
}

pub(crate) fn shutdown(fd: i32, how: i32) -> Result<()> {
    // SAFETY: integers.
    unsafe { call!(libc::SYS_shutdown, fd, how).map(drop) }
}

/// Its status flags.
pub(crate) fn flags(fd: i32) -> Result<i32> {
    // SAFETY: integers.
    unsafe { call!(libc::SYS_fcntl, fd, libc::F_GETFL).map(|flags| flags as i32) }
}

pub(crate) fn set_flags(fd: i32, flags: i32) -> Result<()> {
    // SAFETY: integers.
    unsafe { call!(libc::SYS_fcntl, fd, libc::F_SETFL, flags).map(drop) }
}

/// An option of a socket that is an int.
pub(crate) fn socket_option(fd: i32, name: i32) -> Result<i32> {
    let (mut value, mut len) = (0_i32, size_of::<i32>() as libc::socklen_t);
    // SAFETY: two live variables, of which the second is the size of the first.
    unsafe { call!(libc::SYS_getsockopt, fd, libc::SOL_SOCKET, name, &raw mut value, &raw mut len)? };
    Ok(value)
}

/// poll(2) of one descriptor without waiting: what holds of `events`, 0: nothing.
pub(crate) fn poll(fd: i32, events: i16) -> Result<i16> {
    let mut it = libc::pollfd { fd, events, revents: 0 };
    let at_once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a live structure, a live time, no signal mask.
    unsafe { call!(libc::SYS_ppoll, &raw mut it, 1, &raw const at_once, null::<u8>(), 8)? };
    Ok(it.revents)
}

/// Remove a file, if it is there.
pub(crate) fn unlink(path: &std::ffi::CStr) {
    // SAFETY: a text that ends with a NUL.
    let _ = unsafe { call!(libc::SYS_unlinkat, libc::AT_FDCWD, path.as_ptr(), 0) };
}

/// Take a connection from a listener: non-blocking, closed by exec.
pub(crate) fn accept(fd: i32) -> Result<usize> {
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: nobody asks for the address.
    unsafe { call!(libc::SYS_accept4, fd, null::<u8>(), null::<u8>(), flags).map(|fd| fd as usize) }
}

/// Connect to the address of `len` bytes at `addr`.
///
/// # Safety
/// `addr` is good for reading `len` bytes.
pub(crate) unsafe fn connect(fd: i32, addr: *const u8, len: libc::socklen_t) -> Result<()> {
    // SAFETY: the caller's promise.
    unsafe { call!(libc::SYS_connect, fd, addr, len).map(drop) }
}

/// Receive one datagram, and its sender's address.
///
/// # Safety
/// `buf` is good for writing `n` bytes, `from` for `*from_len`.
pub(crate) unsafe fn recv_from(
    fd: i32,
    buf: *mut u8,
    n: usize,
    from: *mut u8,
    from_len: &mut libc::socklen_t,
) -> Result<usize> {
    // SAFETY: the caller's promise.
    unsafe { call!(libc::SYS_recvfrom, fd, buf, n, 0, from, &raw mut *from_len).map(|n| n as usize) }
}

/// Send one datagram, to the address of `len` bytes at `to`.
///
/// # Safety
/// `buf` is good for reading `n` bytes, `to` for `len`.
pub(crate) unsafe fn send_to(
    fd: i32,
    buf: *const u8,
    n: usize,
    to: *const u8,
    len: libc::socklen_t,
) -> Result<usize> {
    // SAFETY: the caller's promise.
    unsafe { call!(libc::SYS_sendto, fd, buf, n, libc::MSG_NOSIGNAL, to, len).map(|n| n as usize) }
}
