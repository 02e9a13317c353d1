//! Accepting connections.
//!
//! The one thing to know: the listener is asked first and waited for only if it has nobody, so a call that failed for
//! want of descriptors has taken nothing from the queue, and the next call finds what this one left.

use super::fd::Fd;
use super::socket;
use std::os::fd::RawFd;
use std::ptr::{NonNull, null_mut};

/// Wait for a connection.
pub(crate) fn accept(listener: &Fd) -> Result<NonNull<Fd>, i32> {
    loop {
        let raw = listener.io_read(accept_raw);
        match RawFd::try_from(raw).unwrap_or(-libc::EINVAL) {
            // It came, and was gone before we were there.
            error if error == -libc::ECONNABORTED => {}
            error if error < 0 => return Err(error),
            raw => return socket::adopt_raw(raw),
        }
    }
}

fn accept_raw(listener: RawFd) -> isize {
    #[cfg(target_os = "linux")]
    // SAFETY: nobody asks for the address.
    unsafe {
        libc::accept4(listener, null_mut(), null_mut(), libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC) as isize
    }
    #[cfg(not(target_os = "linux"))]
    // SAFETY: as above; `fcntl` on what it gave.
    unsafe {
        let raw = libc::accept(listener, null_mut(), null_mut());
        if raw >= 0 {
            libc::fcntl(raw, libc::F_SETFD, libc::FD_CLOEXEC);
            libc::fcntl(raw, libc::F_SETFL, libc::O_NONBLOCK);
        }
        raw as isize
    }
}
