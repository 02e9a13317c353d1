//! One call that may have to wait.
//!
//! The one thing to know: from its first wait to its end the goroutine is pinned to its thread (compilers keep the
//! address of `errno` across calls of `read`), and the fd is kept open by a duplicate. A call that need not wait does
//! neither.

use crate::calls::Calls;
use crate::errno::{errno, outcome};
use crate::hold::Held;
use crate::runtime;
use core::ffi::{c_int, c_void};

pub(crate) const FOREVER: i64 = i64::MAX;
/// How often in a row "ready" may turn out not to be so, at once, before we wait a little in between.
const PATIENCE: u32 = 3;
/// A wait that took less was none, ns.
const AT_ONCE: i64 = 100_000;
/// How long we wait in between, ns.
const REST: i64 = 1_000_000;

/// How a wait ended.
pub(crate) enum Wait {
    /// What poll(2) says: one of the events that were asked for, or POLLERR, POLLHUP, POLLNVAL.
    Ready(c_int),
    TimedOut,
    /// Here one cannot wait as a goroutine. Do what libc does.
    Impossible,
}

/// A call of a goroutine.
pub(crate) struct Call {
    pub(crate) calls: &'static Calls,
    /// `errno` when the program called.
    pub(crate) errno: c_int,
    fd: c_int,
    held: Option<Held>,
    pinned: bool,
    deadline: Option<i64>,
    /// Waits that ended at once with "ready", since something was done.
    vain: u32,
}

impl Call {
    #[inline]
    pub(crate) fn new(fd: c_int) -> Call {
        Call {
            calls: runtime::calls(),
            errno: errno(),
            fd,
            held: None,
            pinned: false,
            deadline: None,
            vain: 0,
        }
    }

    /// What the call is about: the caller's fd, or our own for the same.
    pub(crate) fn fd(&self) -> c_int {
        self.held.as_ref().map_or(self.fd, Held::fd)
    }

    pub(crate) fn pin(&mut self) {
        if !self.pinned {
            (self.calls.pin_thread)();
            self.pinned = true;
        }
    }

    /// The call is going to wait: until when, as the socket's time-out `option` says (SO_RCVTIMEO or SO_SNDTIMEO),
    /// counted from the first time on. `None`: it cannot wait as a goroutine.
    pub(crate) fn begin(&mut self, option: c_int) -> Option<i64> {
        if self.deadline.is_none() && runtime::may_park() {
            self.pin();
            self.held = Held::duplicate(self.fd);
            self.deadline = Some(match time_out(self.fd, option) {
                Some(limit) => (self.calls.now)().saturating_add(limit),
                None => FOREVER,
            });
        }
        self.deadline
    }

    /// The call waits for `fd`, as it is, until `deadline`.
    pub(crate) fn until(&mut self, fd: c_int, deadline: i64) {
        self.fd = fd;
        self.deadline = Some(deadline);
    }

    /// Wait for `events` on the fd, until what `begin` says.
    pub(crate) fn wait(&mut self, events: c_int, option: c_int) -> Wait {
        let Some(deadline) = self.begin(option) else { return Wait::Impossible };
        let began = self.rest_if_vain(deadline);
        match (self.calls.wait_fd)(self.fd(), events, deadline) {
            ready if ready > 0 => {
                let at_once = (self.calls.now)() - began < AT_ONCE;
                self.vain = if at_once { self.vain + 1 } else { 0 };
                Wait::Ready(ready)
            }
            status if status == -libc::ETIMEDOUT => Wait::TimedOut,
            _ => Wait::Impossible,
        }
    }

    /// The kernel may call an fd ready which is not so for us (a socket with something in its error queue, say). No
    /// goroutine is to spin for that. Returns the time.
    fn rest_if_vain(&self, deadline: i64) -> i64 {
        let now = (self.calls.now)();
        if self.vain <= PATIENCE {
            return now;
        }
        (self.calls.sleep)(REST.min(deadline.saturating_sub(now)));
        (self.calls.now)()
    }

    /// Has "ready" turned out not to be so several times?
    pub(crate) fn is_vain(&self) -> bool {
        self.vain > PATIENCE
    }

    /// Something was done.
    pub(crate) fn progress(&mut self) {
        self.vain = 0;
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.held = None;
        if self.pinned {
            (self.calls.unpin_thread)();
        }
    }
}

/// Does the program itself want no waiting on this fd? So too if there is no such fd: libc's function will say so.
pub(crate) fn is_nonblocking(fd: c_int) -> bool {
    // SAFETY: no memory is concerned.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    flags == -1 || flags & libc::O_NONBLOCK != 0
}

/// A number among a socket's options; `None`: it is no socket, or has no such option.
pub(crate) fn option_of(fd: c_int, option: c_int) -> Option<c_int> {
    let mut value: c_int = 0;
    // SAFETY: the place is as large as said.
    unsafe { get(fd, option, (&raw mut value).cast(), size_of::<c_int>()) }.then_some(value)
}

/// A socket's time-out in nanoseconds, if it has one.
fn time_out(fd: c_int, option: c_int) -> Option<i64> {
    let mut value = libc::timeval { tv_sec: 0, tv_usec: 0 };
    // SAFETY: the place is as large as said.
    if !unsafe { get(fd, option, (&raw mut value).cast(), size_of::<libc::timeval>()) } {
        return None;
    }
    let nanoseconds = value.tv_sec.saturating_mul(1_000_000_000).saturating_add(value.tv_usec * 1000);
    (nanoseconds > 0).then_some(nanoseconds)
}

/// # Safety
/// `place` has room for `size` bytes.
unsafe fn get(fd: c_int, option: c_int, place: *mut c_void, size: usize) -> bool {
    let mut length = size as libc::socklen_t;
    // SAFETY: the caller's promise.
    let result = unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, option, place, &mut length) };
    outcome(result as isize).is_ok() && length as usize == size
}
