//! Writing to a pipe, or whatever else is no socket, so that a reader that is gone is an error and no SIGPIPE.
//!
//! The one thing to know: the signal goes to the thread that writes. A worker blocks all signals, so there it only
//! has to be taken away again, lest it stay pending; any other thread, and a worker whose goroutine keeps it and may
//! have unblocked what it likes, blocks it for as long as the call takes.

use crate::net::sys::{self, Result};
use crate::primitive::{errno, set_errno};
use crate::sched::{current_goroutine, keeps_thread};
use std::mem::zeroed;
use std::ptr::{null, null_mut};

/// # Safety
/// `buf` is good for reading `n` bytes.
pub(super) unsafe fn write(fd: i32, buf: *const u8, n: usize) -> Result<usize> {
    if !current_goroutine().is_null() && !keeps_thread() {
        // SAFETY: the caller's promise.
        let result = unsafe { sys::write(fd, buf, n) };
        if result == Err(libc::EPIPE) {
            take_away();
        }
        return result;
    }
    // SAFETY: live sets. The thread's mask is as it was at the end.
    unsafe {
        let pending = is_pending();
        let mut before = zeroed();
        libc::pthread_sigmask(libc::SIG_BLOCK, &sigpipe(), &mut before);
        let result = sys::write(fd, buf, n);
        if result == Err(libc::EPIPE) && !pending {
            take_away();
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, &before, null_mut());
        result
    }
}

fn sigpipe() -> libc::sigset_t {
    // SAFETY: a live set, initialised by the first call.
    unsafe {
        let mut set = zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, libc::SIGPIPE);
        set
    }
}

/// One was sent to this thread before, by somebody else, and is blocked: it must stay.
fn is_pending() -> bool {
    // SAFETY: a live set, which the call fills in.
    unsafe {
        let mut set = zeroed();
        libc::sigpending(&mut set);
        libc::sigismember(&set, libc::SIGPIPE) == 1
    }
}

/// A SIGPIPE that is pending, as it is blocked.
fn take_away() {
    let saved = errno();
    let (set, at_once) = (sigpipe(), libc::timespec { tv_sec: 0, tv_nsec: 0 });
    // SAFETY: a live set and a live time; it does not wait. By `syscall`: sigtimedwait is a point of cancellation.
    unsafe { libc::syscall(libc::SYS_rt_sigtimedwait, &raw const set, null::<u8>(), &raw const at_once, 8) };
    set_errno(saved);
}
