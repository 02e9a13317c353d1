//! Several fds to wait for at once.
//!
//! The one thing to know: they go into an epoll set of the call's own, and gort waits for that *one* fd: an epoll
//! set is readable when something in it is ready. Members are edge-triggered, so each reports once and then only
//! what is new; what counts is what `poll` or `select` says afterwards, who are asked after every report has been
//! taken out and before the next wait. What happens after they were asked makes a new report; nothing is lost, and
//! a member that epoll calls ready and they do not (a hang-up, for who asked for urgent data only) makes nobody
//! spin.

use crate::call::Wait;
use crate::calls::Calls;
use crate::errno::errno;
use crate::hold::Held;
use core::ffi::c_int;
use core::mem::zeroed;
use libc::epoll_event;

pub(crate) struct Set(Held);

impl Set {
    /// `None`: there are too many fds, or no memory.
    pub(crate) fn new() -> Option<Set> {
        // SAFETY: no memory is concerned.
        Held::new(|| unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) }).map(Set)
    }

    /// Add `fd`. `all`: what is asked of it in all, by whoever names it several times. False: that cannot be
    /// waited for in this way.
    pub(crate) fn add(&self, fd: c_int, events: u32, all: impl FnOnce() -> u32) -> bool {
        self.control(libc::EPOLL_CTL_ADD, fd, events)
            || match errno() {
                libc::EEXIST => self.control(libc::EPOLL_CTL_MOD, fd, all()),
                // It is what it is (a file) or gone: no events will come from it. Had they been there already, nobody
                // would wait.
                libc::EPERM | libc::EBADF | libc::ENOENT => true,
                _ => false,
            }
    }

    fn control(&self, operation: c_int, fd: c_int, events: u32) -> bool {
        let mut event = epoll_event { events: events | libc::EPOLLET as u32, u64: 0 };
        // SAFETY: a live event.
        unsafe { libc::epoll_ctl(self.0.fd(), operation, fd, &mut event) == 0 }
    }

    /// Until there is a report, or the deadline has passed.
    pub(crate) fn wait(&self, calls: &Calls, deadline: i64) -> Wait {
        match (calls.wait_fd)(self.0.fd(), libc::POLLIN.into(), deadline) {
            ready if ready > 0 => {
                // SAFETY: all 0 is an event; there is room for as many as said.
                unsafe {
                    let mut taken: [epoll_event; 16] = zeroed();
                    while libc::epoll_wait(self.0.fd(), taken.as_mut_ptr(), 16, 0) == 16 {}
                }
                Wait::Ready(ready)
            }
            status if status == -libc::ETIMEDOUT => Wait::TimedOut,
            _ => Wait::Impossible,
        }
    }
}
