//! recvmsg and sendmsg, and readv and writev on sockets.
//!
//! The one thing to know: the program's message is used as it is for the first try. Only what is left of a
//! stream's bytes after it goes piece by piece through a message of our own, which has no address and no control
//! data: both went with the first byte.

use crate::call::Call;
use crate::errno::{Outcome, answer, outcome};
use crate::real;
use crate::socket::{NO_WAIT, receive, transmit};
use core::ffi::c_int;
use core::mem::zeroed;
use libc::{MSG_DONTWAIT, MSG_WAITALL, iovec, msghdr, ssize_t};

/// Pieces at a time.
const WINDOW: usize = 16;

pub(crate) unsafe extern "C" fn recvmsg(fd: c_int, message: *mut msghdr, flags: c_int) -> ssize_t {
    // Control data may come with any byte: the kernel knows where to stop.
    // SAFETY: what the program gave us, also below.
    if flags & NO_WAIT != 0 || flags & MSG_WAITALL != 0 && unsafe { (*message).msg_controllen } != 0 {
        // SAFETY: as above.
        return unsafe { real::recvmsg()(fd, message, flags) };
    }
    let call = Call::new(fd);
    let before = call.errno;
    // SAFETY: what the program gave us.
    answer(unsafe { receive_message(call, message, flags) }, before)
}

/// # Safety
/// `message` is as for recvmsg.
pub(crate) unsafe fn receive_message(call: Call, message: *mut msghdr, flags: c_int) -> Outcome {
    // SAFETY: the caller's promise, also for the rest.
    let size = if flags & MSG_WAITALL != 0 { unsafe { length(message) } } else { 0 };
    receive(call, flags, size, |fd, flags, done| {
        // SAFETY: as above; nobody else uses what it points to meanwhile.
        unsafe {
            match done {
                0 => outcome(real::recvmsg()(fd, message, flags)),
                _ => Rest::of(message, done).with(|rest| outcome(real::recvmsg()(fd, rest, flags))),
            }
        }
    })
}

pub(crate) unsafe extern "C" fn sendmsg(fd: c_int, message: *const msghdr, flags: c_int) -> ssize_t {
    if flags & (MSG_DONTWAIT | libc::MSG_FASTOPEN) != 0 {
        // SAFETY: what the program gave us.
        return unsafe { real::sendmsg()(fd, message, flags) };
    }
    let call = Call::new(fd);
    let before = call.errno;
    // SAFETY: what the program gave us.
    answer(unsafe { send_message(call, message, flags) }, before)
}

/// # Safety
/// `message` is as for sendmsg.
pub(crate) unsafe fn send_message(call: Call, message: *const msghdr, flags: c_int) -> Outcome {
    // SAFETY: the caller's promise, also for the rest.
    let size = unsafe { length(message) };
    transmit(call, flags, size, |fd, flags, done| {
        // SAFETY: as above.
        unsafe {
            match done {
                0 => outcome(real::sendmsg()(fd, message, flags)),
                _ => Rest::of(message, done).with(|rest| outcome(real::sendmsg()(fd, rest, flags))),
            }
        }
    })
}

/// How many bytes a message is about.
///
/// # Safety
/// `message` is live, and so are the pieces it counts.
unsafe fn length(message: *const msghdr) -> usize {
    // SAFETY: the caller's promise.
    unsafe { pieces(message) }.iter().fold(0, |sum, piece| sum.wrapping_add(piece.iov_len))
}

/// # Safety
/// As for `length`.
unsafe fn pieces<'a>(message: *const msghdr) -> &'a [iovec] {
    // SAFETY: the caller's promise.
    unsafe {
        if (*message).msg_iov.is_null() || (*message).msg_iovlen > libc::UIO_MAXIOV as usize {
            // The kernel will have said so.
            return &[];
        }
        core::slice::from_raw_parts((*message).msg_iov, (*message).msg_iovlen)
    }
}

/// The next pieces of a message of which the beginning is done.
struct Rest {
    pieces: [iovec; WINDOW],
    count: usize,
}

impl Rest {
    /// # Safety
    /// As for `length`; `done` is less than the length.
    unsafe fn of(message: *const msghdr, mut done: usize) -> Rest {
        // SAFETY: no pieces yet.
        let mut rest = Rest { pieces: unsafe { zeroed() }, count: 0 };
        // SAFETY: the caller's promise.
        for piece in unsafe { pieces(message) } {
            if done >= piece.iov_len {
                done -= piece.iov_len;
                continue;
            }
            if rest.count == WINDOW {
                break;
            }
            rest.pieces[rest.count] =
                iovec { iov_base: piece.iov_base.wrapping_byte_add(done), iov_len: piece.iov_len - done };
            rest.count += 1;
            done = 0;
        }
        rest
    }

    fn with(mut self, call: impl FnOnce(*mut msghdr) -> Outcome) -> Outcome {
        // SAFETY: all 0 is a message about nothing.
        let mut message: msghdr = unsafe { zeroed() };
        message.msg_iov = self.pieces.as_mut_ptr();
        message.msg_iovlen = self.count;
        call(&mut message)
    }
}
