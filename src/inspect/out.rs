//! Writing a report to somebody else's file descriptor.
//!
//! The one thing to know: nobody listening is an answer, not a catastrophe: the first error ends the writing and is
//! returned. SIGPIPE is held off while writing, so that a closed pipe does not end the process.

use std::fmt;
use std::io::{Error, ErrorKind};
use std::mem::zeroed;
use std::ptr::null_mut;

/// So much is written at once.
const ROOM: usize = 64 * 1024;

/// A buffered text; in `fmt::Write`, an error means that writing has failed and [`Out::finish`] says how.
pub(super) struct Out {
    fd: i32,
    text: Vec<u8>,
    error: Option<i32>,
}

impl Out {
    pub(super) fn new(fd: i32) -> Out {
        Out { fd, text: Vec::with_capacity(ROOM), error: None }
    }

    /// Write what is left. `Err`: the errno of the first write that failed.
    pub(super) fn finish(mut self) -> Result<(), i32> {
        self.flush();
        match self.error {
            None => Ok(()),
            Some(errno) => Err(errno),
        }
    }

    fn flush(&mut self) {
        if self.error.is_none() {
            self.error = without_sigpipe(|| write_all(self.fd, &self.text)).err();
        }
        self.text.clear();
    }
}

impl fmt::Write for Out {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.text.extend_from_slice(text.as_bytes());
        if self.text.len() >= ROOM {
            self.flush();
        }
        if self.error.is_some() { Err(fmt::Error) } else { Ok(()) }
    }
}

fn write_all(fd: i32, mut rest: &[u8]) -> Result<(), i32> {
    while !rest.is_empty() {
        // SAFETY: `rest` is a live buffer of that length.
        let n = unsafe { libc::write(fd, rest.as_ptr().cast(), rest.len()) };
        // That nothing was written is no answer for a file; do not ask for ever.
        if n == 0 {
            return Err(libc::EIO);
        }
        if let Ok(n) = usize::try_from(n) {
            rest = &rest[n..];
            continue;
        }
        let error = Error::last_os_error();
        match error.kind() {
            ErrorKind::Interrupted => {}
            ErrorKind::WouldBlock => {
                let mut poll = libc::pollfd { fd, events: libc::POLLOUT, revents: 0 };
                // SAFETY: one live structure. Whatever it says, the next write tells.
                unsafe { libc::poll(&mut poll, 1, -1) };
            }
            _ => return Err(error.raw_os_error().unwrap_or(libc::EIO)),
        }
    }
    Ok(())
}

/// A write to a pipe that nobody reads sends SIGPIPE to the writing thread: block it, and take it back.
fn without_sigpipe<R>(f: impl FnOnce() -> R) -> R {
    // SAFETY: live sets, initialised before use; the thread's own mask, which is put back. What is taken off is a
    // SIGPIPE that was not there before, so it is ours.
    unsafe {
        let mut pipe: libc::sigset_t = zeroed();
        libc::sigemptyset(&mut pipe);
        libc::sigaddset(&mut pipe, libc::SIGPIPE);
        let mut pending: libc::sigset_t = zeroed();
        libc::sigpending(&mut pending);
        let before = libc::sigismember(&pending, libc::SIGPIPE) == 1;
        let mut mask: libc::sigset_t = zeroed();
        libc::pthread_sigmask(libc::SIG_BLOCK, &pipe, &mut mask);
        let result = f();
        if !before {
            let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
            while libc::sigtimedwait(&pipe, null_mut(), &now) == -1
                && Error::last_os_error().kind() == ErrorKind::Interrupted
            {}
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, &mask, null_mut());
        result
    }
}
