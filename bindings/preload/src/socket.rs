//! recv and send, with and without addresses, and what all transfers on sockets have in common.
//!
//! The one thing to know: the first try is made with `MSG_DONTWAIT`, which is about this call alone. If it moves
//! what was asked for, or fails with anything but `EAGAIN`, that is the answer, and nothing else was done. (A try
//! that fails with `EAGAIN` has written nothing, lengths included.)

use crate::call::{Call, Wait, is_nonblocking, option_of};
use crate::errno::{Outcome, answer, outcome};
use crate::real;
use core::ffi::{c_int, c_void};
use core::ptr::null_mut;
use libc::{
    EAGAIN, MSG_DONTWAIT, MSG_WAITALL, POLLERR, POLLHUP, POLLIN, POLLOUT, sockaddr, socklen_t, ssize_t,
};

/// Forms that never wait, or that say so themselves.
pub(crate) const NO_WAIT: c_int = MSG_DONTWAIT | libc::MSG_ERRQUEUE | libc::MSG_OOB;

pub(crate) unsafe extern "C" fn recv(fd: c_int, buffer: *mut c_void, size: usize, flags: c_int) -> ssize_t {
    // SAFETY: what the program gave us. recv and recvfrom are one system call.
    unsafe { recvfrom(fd, buffer, size, flags, null_mut(), null_mut()) }
}

pub(crate) unsafe extern "C" fn recvfrom(
    fd: c_int,
    buffer: *mut c_void,
    size: usize,
    flags: c_int,
    address: *mut sockaddr,
    length: *mut socklen_t,
) -> ssize_t {
    let really = |fd, flags, done: usize| {
        // SAFETY: what the program gave us; `done` bytes have been received before, no more than `size`.
        outcome(unsafe {
            real::recvfrom()(fd, buffer.wrapping_byte_add(done), size - done, flags, address, length)
        })
    };
    if flags & NO_WAIT != 0 {
        // SAFETY: as above.
        return unsafe { real::recvfrom()(fd, buffer, size, flags, address, length) };
    }
    let call = Call::new(fd);
    let before = call.errno;
    answer(receive(call, flags, size, really), before)
}

pub(crate) unsafe extern "C" fn send(fd: c_int, buffer: *const c_void, size: usize, flags: c_int) -> ssize_t {
    // SAFETY: what the program gave us; send and sendto are one system call.
    unsafe { sendto(fd, buffer, size, flags, core::ptr::null(), 0) }
}

pub(crate) unsafe extern "C" fn sendto(
    fd: c_int,
    buffer: *const c_void,
    size: usize,
    flags: c_int,
    address: *const sockaddr,
    length: socklen_t,
) -> ssize_t {
    let really = |fd, flags, done: usize| {
        // SAFETY: what the program gave us; `done` bytes have been sent before, no more than `size`.
        outcome(unsafe {
            real::sendto()(fd, buffer.wrapping_byte_add(done), size - done, flags, address, length)
        })
    };
    if flags & (MSG_DONTWAIT | libc::MSG_FASTOPEN) != 0 {
        // SAFETY: as above.
        return unsafe { real::sendto()(fd, buffer, size, flags, address, length) };
    }
    let call = Call::new(fd);
    let before = call.errno;
    answer(transmit(call, flags, size, really), before)
}

/// Receive. `really(fd, flags, done)` receives what is missing after `done` bytes.
pub(crate) fn receive(
    mut call: Call,
    flags: c_int,
    size: usize,
    really: impl Fn(c_int, c_int, usize) -> Outcome,
) -> Outcome {
    let first = really(call.fd(), flags | MSG_DONTWAIT, 0);
    let whole = flags & MSG_WAITALL != 0;
    let mut done = match first {
        // Nothing at all is the end of the stream.
        Ok(n) if !whole || n == 0 || n >= size || !is_stream(call.fd()) => return first,
        Ok(n) => n,
        Err(EAGAIN) => 0,
        Err(_) => return first,
    };
    if is_nonblocking(call.fd()) {
        return first;
    }
    if whole && flags & libc::MSG_PEEK != 0 {
        // It waits for more than the first byte and takes nothing: that can only the kernel.
        return really(call.fd(), flags, 0);
    }
    loop {
        match call.wait(POLLIN.into(), libc::SO_RCVTIMEO) {
            // The error is for the next call.
            Wait::Ready(events) if done != 0 && events & c_int::from(POLLERR) != 0 => return Ok(done),
            Wait::Ready(_) => {}
            Wait::TimedOut if done != 0 => return Ok(done),
            Wait::TimedOut => return Err(EAGAIN),
            Wait::Impossible => return rest(done, really(call.fd(), flags, done)),
        }
        match really(call.fd(), flags | MSG_DONTWAIT, done) {
            Ok(n) => {
                done += n;
                if !whole || n == 0 || done >= size || !is_stream(call.fd()) {
                    return Ok(done);
                }
                call.progress();
            }
            Err(EAGAIN) => {}
            error => return rest(done, error),
        }
    }
}

/// Send all: a blocking send does. `really(fd, flags, done)` sends what is left after `done` bytes.
pub(crate) fn transmit(
    mut call: Call,
    flags: c_int,
    size: usize,
    really: impl Fn(c_int, c_int, usize) -> Outcome,
) -> Outcome {
    let first = really(call.fd(), flags | MSG_DONTWAIT, 0);
    let mut done = match first {
        Ok(n) if n >= size => return first,
        Ok(n) => n,
        Err(EAGAIN) => 0,
        Err(_) => return first,
    };
    if is_nonblocking(call.fd()) {
        return first;
    }
    loop {
        // Once something was sent, errors, and the signal that comes with EPIPE, are for the next call.
        let quiet = if done != 0 { flags | libc::MSG_NOSIGNAL } else { flags };
        match call.wait(POLLOUT.into(), libc::SO_SNDTIMEO) {
            Wait::Ready(events) if done != 0 && events & c_int::from(POLLERR | POLLHUP) != 0 => {
                return Ok(done);
            }
            Wait::Ready(_) => {}
            Wait::TimedOut if done != 0 => return Ok(done),
            Wait::TimedOut => return Err(EAGAIN),
            Wait::Impossible => return rest(done, really(call.fd(), quiet, done)),
        }
        match really(call.fd(), quiet | MSG_DONTWAIT, done) {
            Ok(n) => {
                done += n;
                if done >= size {
                    return Ok(done);
                }
                call.progress();
            }
            Err(EAGAIN) => {}
            error => return rest(done, error),
        }
    }
}

/// The outcome of a call of which `done` bytes had been moved before its last part.
fn rest(done: usize, last: Outcome) -> Outcome {
    match last {
        Ok(n) => Ok(done + n),
        Err(_) if done != 0 => Ok(done),
        error => error,
    }
}

fn is_stream(fd: c_int) -> bool {
    option_of(fd, libc::SO_TYPE) == Some(libc::SOCK_STREAM)
}
