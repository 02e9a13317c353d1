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
    let (writing, reading) = (events & WRITING != 0, events & !WRITING != 0 || events == 0);
    // A number that is not open is not worth a record.
    if let Some(result) = ask(fd, events, deadline) {
        return result;
    }
    let Some(entry) = entry_of(fd) else { return ENOMEM };
    let mut attached = Attached(None);
    loop {
        let seen =
            [reading.then(|| entry.seen(Direction::Read)), writing.then(|| entry.seen(Direction::Write))];
        if let Some(result) = ask(fd, events, deadline) {
            return result;
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

/// What to return, if it is time.
fn ask(fd: i32, events: i32, deadline: i64) -> Option<i32> {
    match sys::poll(fd, events as i16) {
        Ok(0) | Err(libc::EINTR) if deadline != FOREVER && deadline <= now() => Some(ETIMEDOUT),
        Ok(0) | Err(libc::EINTR) => None,
        Ok(now) => Some(now.into()),
        Err(errno) => Some(-errno),
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
