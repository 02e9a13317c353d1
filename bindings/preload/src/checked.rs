//! What `_FORTIFY_SOURCE` makes of these calls when the compiler knows how large the buffer is.
//!
//! The one thing to know: a call that would write past the buffer goes to libc's checked function, which ends the
//! process in libc's way.

use crate::{file, poll, real, socket};
use core::ffi::{c_int, c_void};
use libc::{nfds_t, pollfd, sigset_t, sockaddr, socklen_t, ssize_t, timespec};

pub(crate) unsafe extern "C" fn read_chk(
    fd: c_int,
    buffer: *mut c_void,
    size: usize,
    room: usize,
) -> ssize_t {
    // SAFETY: what the program gave us.
    unsafe {
        if size > room { real::__read_chk()(fd, buffer, size, room) } else { file::read(fd, buffer, size) }
    }
}

pub(crate) unsafe extern "C" fn recv_chk(
    fd: c_int,
    buffer: *mut c_void,
    size: usize,
    room: usize,
    flags: c_int,
) -> ssize_t {
    // SAFETY: what the program gave us.
    unsafe {
        if size > room {
            real::__recv_chk()(fd, buffer, size, room, flags)
        } else {
            socket::recv(fd, buffer, size, flags)
        }
    }
}

/// The seventh argument is on the stack, where the entry leaves it.
pub(crate) unsafe extern "C" fn recvfrom_chk(
    fd: c_int,
    buffer: *mut c_void,
    size: usize,
    room: usize,
    flags: c_int,
    address: *mut sockaddr,
    length: *mut socklen_t,
) -> ssize_t {
    // SAFETY: what the program gave us.
    unsafe {
        if size > room {
            real::__recvfrom_chk()(fd, buffer, size, room, flags, address, length)
        } else {
            socket::recvfrom(fd, buffer, size, flags, address, length)
        }
    }
}

pub(crate) unsafe extern "C" fn poll_chk(
    fds: *mut pollfd,
    count: nfds_t,
    time_out: c_int,
    room: usize,
) -> c_int {
    // SAFETY: what the program gave us.
    unsafe {
        if room / size_of::<pollfd>() < count as usize {
            real::__poll_chk()(fds, count, time_out, room)
        } else {
            poll::poll(fds, count, time_out)
        }
    }
}

pub(crate) unsafe extern "C" fn ppoll_chk(
    fds: *mut pollfd,
    count: nfds_t,
    time_out: *const timespec,
    mask: *const sigset_t,
    room: usize,
) -> c_int {
    // SAFETY: what the program gave us.
    unsafe {
        if room / size_of::<pollfd>() < count as usize {
            real::__ppoll_chk()(fds, count, time_out, mask, room)
        } else {
            poll::ppoll(fds, count, time_out, mask)
        }
    }
}
