//! Waiting for a descriptor that somebody else owns: poll(2) of one descriptor, for a goroutine.
//!
//! The one thing to know: what is told comes from poll(2) itself, asked without waiting; the poller only says when to ask
//! again. So whatever else happens to the number meanwhile (it is closed, another file gets it, others wait for it too),
//! the answer is what poll(2) would say, and at worst it comes late.

use super::sys;
use crate::ffi::status::{EINVAL, ENOMEM, EPERM, ETIMEDOUT};
use crate::primitive::{FOREVER, now};
use crate::sched::poller::{Direction, Waiting, entry_of};

const KNOWN: i32 = (libc::POLLIN
    | libc::POLLPRI
    | libc::POLLOUT
    | libc::POLLERR
    | libc::POLLHUP
    | libc::POLLNVAL
    | libc::POLLRDNORM
    | libc::POLLRDBAND
    | libc::POLLWRNORM
    | libc::POLLWRBAND
    | libc::POLLRDHUP) as i32;
const WRITING: i32 = (libc::POLLOUT | libc::POLLWRNORM | libc::POLLWRBAND) as i32;

/// Wait until one of `events` holds of `fd`, or an error does: what holds, as of poll(2); or a status.
pub(crate) fn wait_fd(fd: i32, events: i32, deadline: i64) -> i32 {
    if fd < 0 || events & !KNOWN != 0 {
        return EINVAL;
    }
    let Some(entry) = entry_of(fd) else { return ENOMEM };
    let (writing, reading) = (events & WRITING != 0, events & !WRITING != 0 || events == 0);
    let mut attached = Attached(None);
    loop {
        let seen =
            [reading.then(|| entry.seen(Direction::Read)), writing.then(|| entry.seen(Direction::Write))];
        match sys::poll(fd, events as i16) {
            Ok(0) | Err(libc::EINTR) => {}
            Ok(now) => return now.into(),
            Err(errno) => return -errno,
        }
        if deadline != FOREVER && deadline <= now() {
            return ETIMEDOUT;
        }
        if attached.0.is_none() {
            match entry.attach(fd) {
                Ok(()) => attached.0 = Some((entry, fd)),
                // Closed since poll(2) saw it, which will say so.
                Err(status) if status == -libc::EBADF => continue,
                // A file that is always ready, and yet is not for what was asked: that never comes.
                Err(status) if status == EPERM => {}
                Err(status) => return status,
            }
            if attached.0.is_some() {
                // What came before it was registered raises an event now, or did so for others: look again.
                continue;
            }
        } else if let Err(status) = entry.ensure_attached(fd)
            && status != -libc::EBADF
        {
            return status;
        }
        let waiting = Waiting::begin();
        // Both status codes lead to another look, which tells what holds even then.
        let _ = entry.wait(seen, || Ok(deadline));
        drop(waiting);
    }
}

/// Relied on until dropped.
struct Attached(Option<(&'static crate::sched::poller::Entry, i32)>);

impl Drop for Attached {
    fn drop(&mut self) {
        if let Some((entry, fd)) = self.0 {
            entry.detach(fd);
        }
    }
}
