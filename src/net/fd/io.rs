//! Trying a system call until it says something else than "not now".
//!
//! The one thing to know: each attempt is preceded by a look at the deadline (one in the past beats data that are
//! ready, as in Go) and at the count of events, and what follows an attempt in vain is the wait of `poller/entry.rs`,
//! from which an event, the deadline, another deadline and the end of the descriptor all lead back here.
//!
//! **The read that would only say "not now" is skipped** on a TCP connection where the last one left nothing: it got less
//! than it asked for. That is so unless the stream has a mark in it: urgent data, or its end (or an error). Those
//! raise an event of their own, which is remembered as sticky. If that event had been taken from the set when the
//! count was read before that last read, then the sticky mark was seen after it, and nothing is skipped. If it was
//! not, then the count moves after that, and the skipping ends with it. Other streams are not treated so: a Unix
//! socket ends a read at each passed descriptor, a pipe at the end of a packet.

use super::handle::{Fd, Kind, NOT_DRY};
use super::pipe;
use super::turns::Refused;
use crate::ffi::status::{ECLOSED, EIO, ETIMEDOUT};
use crate::net::sys;
use crate::primitive::atomic::Ordering;
use crate::primitive::{FOREVER, now};
use crate::sched::poller::{Direction, Entry, Seen, Waiting};

/// At most so much at a time, as Go does: some systems refuse more.
const MOST: usize = 1 << 30;

/// The turn of one direction. Given up when dropped.
struct Turn<'a> {
    fd: &'a Fd,
    direction: Direction,
}

impl Drop for Turn<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.fd.turns.give_up(self.direction) {
            self.fd.end();
        }
    }
}

impl Fd {
    /// Try `attempt(raw)`, as somebody who reads, until it returns something else than `EAGAIN`: its result, or a
    /// status.
    #[inline]
    pub(crate) fn io_read(&self, attempt: impl FnMut(i32) -> sys::Result<usize>) -> i64 {
        self.io(Direction::Read, attempt)
    }

    /// As [`Fd::io_read`], as somebody who writes. `attempt` has moved something or failed as a whole.
    #[inline]
    pub(crate) fn io_write(&self, attempt: impl FnMut(i32) -> sys::Result<usize>) -> i64 {
        self.io(Direction::Write, attempt)
    }

    #[inline]
    fn io(&self, direction: Direction, attempt: impl FnMut(i32) -> sys::Result<usize>) -> i64 {
        let _turn = match self.turn(direction) {
            Ok(turn) => turn,
            Err(status) => return status.into(),
        };
        // The record of the descriptor may be another after a wait, in a forked child; the count of the one that was
        // is as good.
        match self.keep_trying(direction, None, attempt) {
            Ok((n, _)) => n as i64,
            Err(status) => status.into(),
        }
    }

    /// Read up to `n` bytes: how many, 0 at the end of the stream, or a status.
    ///
    /// # Safety
    /// `buf` is good for writing `n` bytes until the call returns.
    pub(crate) unsafe fn read(&self, buf: *mut u8, n: usize) -> i64 {
        let _turn = match self.turn(Direction::Read) {
            Ok(turn) => turn,
            Err(status) => return status.into(),
        };
        if n == 0 {
            return 0;
        }
        let asked = n.min(MOST);
        let dry = &self.sides[Direction::Read as usize].dry;
        let before = dry.load(Ordering::Relaxed);
        // SAFETY: the caller's promise.
        let result =
            self.keep_trying(Direction::Read, Some(before), |raw| unsafe { sys::read(raw, buf, asked) });
        match result {
            Ok((got, seen)) => {
                let empty = self.kind == Kind::Tcp && got != 0 && got < asked && !self.entry().is_sticky();
                let dry_now = if empty { u64::from(seen.to_bits()) } else { NOT_DRY };
                if dry_now != before {
                    dry.store(dry_now, Ordering::Relaxed);
                }
                got as i64
            }
            Err(status) => status.into(),
        }
    }

    /// Write `n` bytes: `n`, or fewer and the next call returns why, or a status.
    ///
    /// # Safety
    /// `buf` is good for reading `n` bytes until the call returns.
    pub(crate) unsafe fn write(&self, buf: *const u8, n: usize) -> i64 {
        let _turn = match self.turn(Direction::Write) {
            Ok(turn) => turn,
            Err(status) => return status.into(),
        };
        let owed = &self.sides[Direction::Write as usize].owed;
        if owed.load(Ordering::Relaxed) != 0 {
            return owed.swap(0, Ordering::Relaxed).into();
        }
        let mut done = 0;
        loop {
            let left = (n - done).min(MOST);
            // SAFETY: the caller's promise, of the rest.
            let result = self.keep_trying(Direction::Write, None, |raw| unsafe {
                let rest = buf.add(done);
                if self.kind == Kind::Other {
                    pipe::write(raw, rest, left)
                } else {
                    sys::send(raw, rest, left)
                }
            });
            // A device that takes nothing, and does not say why, is not asked for ever.
            let result = if matches!(result, Ok((0, _))) && left != 0 { Err(EIO) } else { result };
            match result {
                Ok((moved, _)) => done += moved,
                Err(status) if done == 0 => return status.into(),
                Err(status) => {
                    // Deadline and end are there for the next call to see by itself; whatever the system said is not:
                    // it says it once. (One of the things it says is that the peer no longer answers, which is
                    // ETIMEDOUT too.)
                    if ![ETIMEDOUT, ECLOSED].contains(&status) || self.look(Direction::Write).is_ok() {
                        owed.store(status, Ordering::Relaxed);
                    }
                    return done as i64;
                }
            }
            if done == n {
                return n as i64;
            }
        }
    }

    #[inline]
    fn turn(&self, direction: Direction) -> Result<Turn<'_>, i32> {
        match self.turns.take(direction, &self.sides[direction as usize].deadline) {
            Ok(()) => Ok(Turn { fd: self, direction }),
            Err((why, last)) => {
                if last {
                    self.end();
                }
                Err(match why {
                    Refused::Closed => ECLOSED,
                    Refused::TimedOut => ETIMEDOUT,
                })
            }
        }
    }

    /// The caller has the turn. `dry`: see the file's comment. The result of the attempt that was not in vain, with
    /// the count of events from before it.
    #[inline]
    fn keep_trying(
        &self,
        direction: Direction,
        dry: Option<u64>,
        mut attempt: impl FnMut(i32) -> sys::Result<usize>,
    ) -> Result<(usize, Seen), i32> {
        loop {
            self.look(direction)?;
            let entry = self.entry();
            let seen = entry.seen(direction);
            if dry != Some(u64::from(seen.to_bits())) {
                match attempt(self.raw) {
                    Ok(n) => return Ok((n, seen)),
                    Err(libc::EAGAIN) => {}
                    Err(libc::EINTR) => continue,
                    Err(errno) => return Err(-errno),
                }
            }
            self.wait(direction, entry, seen)?;
        }
    }

    /// Why not to go on, or the deadline.
    #[inline]
    fn look(&self, direction: Direction) -> Result<i64, i32> {
        let deadline = self.sides[direction as usize].deadline.load(Ordering::Relaxed);
        if self.turns.is_closed() {
            return Err(ECLOSED);
        }
        if deadline != FOREVER && deadline <= now() {
            return Err(ETIMEDOUT);
        }
        Ok(deadline)
    }

    /// Wait for an event that is not in the count `seen` of `entry`. May return early.
    fn wait(&self, direction: Direction, entry: &'static Entry, seen: Seen) -> Result<(), i32> {
        let attached = self.attached()?;
        if !std::ptr::eq(attached, entry) {
            return Ok(());
        }
        let mut directions = [None, None];
        directions[direction as usize] = Some(seen);
        let _waiting = Waiting::begin();
        entry.wait(directions, || self.look(direction))
    }
}
