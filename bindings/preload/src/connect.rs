//! connect and accept.
//!
//! The one thing to know: the kernel has no "now or not at all" for either, only `O_NONBLOCK`, which is the same
//! for everybody who has the socket. For `accept` it must not be touched: plain threads and other processes may be
//! accepting on the same socket, and would fail. So one goroutine at a time looks and takes (`turn.rs`). A socket
//! that is to be connected is one party's: `connect` sets `O_NONBLOCK` for the one system call that starts
//! connecting and takes it away again, waits, and calls libc's `connect` again, which then reports how it went, as
//! after waiting itself.

use crate::call::{Call, Wait, is_nonblocking, option_of};
use crate::errno::{Outcome, answer, outcome};
use crate::{real, runtime, turn};
use core::ffi::c_int;
use core::mem::zeroed;
use libc::{EAGAIN, EALREADY, EINPROGRESS, POLLIN, POLLOUT, sockaddr, socklen_t};

pub(crate) unsafe extern "C" fn connect(fd: c_int, address: *const sockaddr, length: socklen_t) -> c_int {
    let mut call = Call::new(fd);
    let before = call.errno;
    // SAFETY: what the program gave us.
    let really = |fd| outcome(unsafe { real::connect()(fd, address, length) } as isize);
    let result = connect_with(&mut call, fd, really);
    drop(call);
    answer(result, before) as c_int
}

fn connect_with(call: &mut Call, fd: c_int, really: impl Fn(c_int) -> Outcome) -> Outcome {
    // SAFETY: no memory is concerned.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    let waits = matches!(option_of(fd, libc::SO_TYPE), Some(libc::SOCK_STREAM | libc::SOCK_SEQPACKET));
    if flags == -1 || flags & libc::O_NONBLOCK != 0 || !waits {
        return really(fd);
    }
    let mut pause = 1_000_000;
    loop {
        // SAFETY: no memory is concerned.
        unsafe { libc::fcntl(call.fd(), libc::F_SETFL, flags | libc::O_NONBLOCK) };
        let started = really(call.fd());
        // SAFETY: as above.
        unsafe { libc::fcntl(call.fd(), libc::F_SETFL, flags) };
        match started {
            Err(EINPROGRESS | EALREADY) => {
                return match call.wait(POLLOUT.into(), libc::SO_SNDTIMEO) {
                    Wait::TimedOut => Err(EINPROGRESS),
                    Wait::Ready(_) | Wait::Impossible => really(call.fd()),
                };
            }
            // A local socket whose listener has too many to accept. There is nothing to wait for but time.
            Err(EAGAIN) => {
                let Some(deadline) = call.begin(libc::SO_SNDTIMEO) else { return really(call.fd()) };
                let left = deadline.saturating_sub((call.calls.now)());
                if left <= 0 {
                    return Err(EAGAIN);
                }
                (call.calls.sleep)(left.min(pause));
                pause = (pause * 2).min(32_000_000);
            }
            done => return done,
        }
    }
}

pub(crate) unsafe extern "C" fn accept(fd: c_int, address: *mut sockaddr, length: *mut socklen_t) -> c_int {
    // SAFETY: what the program gave us.
    accept_with(fd, |fd| unsafe { real::accept()(fd, address, length) })
}

pub(crate) unsafe extern "C" fn accept4(
    fd: c_int,
    address: *mut sockaddr,
    length: *mut socklen_t,
    flags: c_int,
) -> c_int {
    // SAFETY: what the program gave us.
    accept_with(fd, |fd| unsafe { real::accept4()(fd, address, length, flags) })
}

fn accept_with(fd: c_int, really: impl Fn(c_int) -> c_int) -> c_int {
    // What does not listen will never be ready, and fails at once.
    if is_nonblocking(fd) || option_of(fd, libc::SO_ACCEPTCONN) != Some(1) || !runtime::may_park() {
        return really(fd);
    }
    // SAFETY: all 0 is a status; the place is one.
    let number = unsafe {
        let mut status: libc::stat = zeroed();
        libc::fstat(fd, &mut status);
        status.st_ino
    };
    let mut call = Call::new(fd);
    let before = call.errno;
    call.pin();
    let result = loop {
        let fd = call.fd();
        let ready = libc::POLLIN.into();
        if let Some(accepted) = turn::take(call.calls, number, fd, ready, || outcome(really(fd) as isize)) {
            break accepted;
        }
        match call.wait(POLLIN.into(), libc::SO_RCVTIMEO) {
            // Another took it. That is no reason to rest: the next one is new.
            Wait::Ready(_) => call.progress(),
            Wait::TimedOut => break Err(EAGAIN),
            Wait::Impossible => break outcome(really(fd) as isize),
        }
    };
    drop(call);
    answer(result, before) as c_int
}
