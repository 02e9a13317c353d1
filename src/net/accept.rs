//! Accepting connections.
//!
//! The one thing to know: the listener is asked first and waited for only if it has nobody, so a call that failed for
//! want of descriptors has taken nothing from the queue, and the next call finds what this one left.

use super::fd::Fd;
use super::{socket, sys};
use std::ptr::NonNull;

/// Wait for a connection.
pub(crate) fn accept(listener: &Fd) -> Result<NonNull<Fd>, i32> {
    loop {
        // Descriptors and statuses are ints.
        match listener.io_read(sys::accept) as i32 {
            // It came, and was gone before we were there.
            error if error == -libc::ECONNABORTED => {}
            error if error < 0 => return Err(error),
            raw => return socket::adopt_raw(raw),
        }
    }
}
