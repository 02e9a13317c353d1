//! The descriptor: taking it over, closing it, its deadlines.
//!
//! The one thing to know: see the folder's comment. `Fd::end` is called by whoever was the last to leave a closed one.

use super::turns::Turns;
use crate::ffi::status::{ECLOSED, EINVAL, ENOMEM, OK};
use crate::net::bound::Bound;
use crate::net::sys;
use crate::primitive::FOREVER;
use crate::primitive::atomic::{AtomicBool, AtomicI32, AtomicI64, AtomicPtr, AtomicU32, AtomicU64, Ordering};
use crate::sched::poller::{Direction, Entry, entry_of, known_entry};
use crate::sync::Semaphore;
use std::alloc::{Layout, alloc};
use std::ptr::NonNull;
use std::sync::OnceLock;

pub(crate) struct Fd {
    pub(super) turns: Turns,
    /// Handles, and one more until it is closed for good. The memory goes with the last.
    refs: AtomicU32,
    pub(super) raw: i32,
    pub(super) kind: Kind,
    /// The record of its number. Another one in a forked child.
    entry: AtomicPtr<Entry>,
    pub(super) sides: [Side; 2],
    number_closed: AtomicBool,
    /// A permit once the number is closed.
    gone: Semaphore,
    /// What goes with a Unix socket that listens.
    bound: OnceLock<Box<Bound>>,
}

/// One direction.
pub(super) struct Side {
    pub(super) deadline: AtomicI64,
    /// An error that the last call met when it had moved some bytes: for the next call to return. 0: none. Whose turn
    /// it is.
    pub(super) owed: AtomicI32,
    /// [`NOT_DRY`], or the count of events before a call that has left nothing to be read. Whose turn it is.
    pub(super) dry: AtomicU64,
}

pub(super) const NOT_DRY: u64 = u64::MAX;

/// What decides how it is written to, and when it is known to be empty.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A read that returns less than was asked for has left nothing.
    Tcp,
    Socket,
    Other,
}

impl Kind {
    fn of(fd: i32) -> Kind {
        let Ok(kind) = sys::socket_option(fd, libc::SO_TYPE) else { return Kind::Other };
        let domain = sys::socket_option(fd, libc::SO_DOMAIN);
        let inet = matches!(domain, Ok(libc::AF_INET | libc::AF_INET6));
        let tcp = matches!(sys::socket_option(fd, libc::SO_PROTOCOL), Ok(libc::IPPROTO_TCP));
        if kind == libc::SOCK_STREAM && inet && tcp { Kind::Tcp } else { Kind::Socket }
    }
}

impl Side {
    fn new() -> Side {
        Side { deadline: AtomicI64::new(FOREVER), owed: AtomicI32::new(0), dry: AtomicU64::new(NOT_DRY) }
    }
}

impl Fd {
    /// Take over `raw`, which does not block from then on: one handle. `Err`: why not (a status), and it is the
    /// caller's as before.
    pub(crate) fn adopt(raw: i32) -> Result<NonNull<Fd>, i32> {
        let flags = sys::flags(raw).map_err(|errno| -errno)?;
        let entry = entry_of(raw).ok_or(ENOMEM)?;
        // SAFETY: the size is not zero.
        let memory = NonNull::new(unsafe { alloc(Layout::new::<Fd>()) }).ok_or(ENOMEM)?.cast::<Fd>();
        let ready = entry.attach(raw).and_then(|()| {
            if flags & libc::O_NONBLOCK != 0 {
                return Ok(());
            }
            sys::set_flags(raw, flags | libc::O_NONBLOCK).map_err(|errno| {
                entry.detach(raw);
                -errno
            })
        });
        if let Err(status) = ready {
            // SAFETY: allocated above, with this layout.
            unsafe { std::alloc::dealloc(memory.as_ptr().cast(), Layout::new::<Fd>()) };
            return Err(status);
        }
        // SAFETY: fresh memory for one.
        unsafe {
            memory.write(Fd {
                turns: Turns::new(),
                refs: AtomicU32::new(2),
                raw,
                kind: Kind::of(raw),
                entry: AtomicPtr::new(std::ptr::from_ref(entry).cast_mut()),
                sides: [Side::new(), Side::new()],
                number_closed: AtomicBool::new(false),
                gone: Semaphore::new(0),
                bound: OnceLock::new(),
            });
        }
        Ok(memory)
    }

    /// To be removed when it is closed. Nobody else has a handle yet.
    pub(in crate::net) fn set_bound(&self, bound: Bound) {
        let _ = self.bound.set(Box::new(bound));
    }

    /// One handle more.
    pub(crate) fn retain(&self) {
        // Relaxed: the caller has one.
        self.refs.fetch_add(1, Ordering::Relaxed);
    }

    /// One handle less; the last one closes it.
    ///
    /// # Safety
    /// The caller gives up a handle of its own.
    pub(crate) unsafe fn release(this: NonNull<Fd>) {
        // SAFETY: the caller's handle keeps it.
        let fd = unsafe { this.as_ref() };
        // The last handle, but not the last reference: still open, or being closed by who is in it. Handles are given
        // up one by one, and none is made when there is none, so of several here one finds 2. Acquire, Release: as
        // usual.
        let mut refs = fd.refs.load(Ordering::Acquire);
        loop {
            if refs == 2 && !fd.turns.is_closed() {
                fd.close();
                refs = fd.refs.load(Ordering::Acquire);
                continue;
            }
            match fd.refs.compare_exchange(refs, refs - 1, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => break,
                Err(now) => refs = now,
            }
        }
        if refs == 1 {
            // SAFETY: the last reference was the caller's.
            unsafe { Self::free(this) };
        }
    }

    /// # Safety
    /// Nobody has a reference.
    unsafe fn free(this: NonNull<Fd>) {
        // SAFETY: allocated by `adopt` with this layout; the caller's promise.
        unsafe {
            this.as_ptr().drop_in_place();
            std::alloc::dealloc(this.as_ptr().cast(), Layout::new::<Fd>());
        }
    }

    /// The number; `ECLOSED` once it was closed.
    pub(crate) fn raw(&self) -> i32 {
        if self.turns.is_closed() { ECLOSED } else { self.raw }
    }

    /// Close it, and wait until the number is closed: until those who are in it have left, which they do at once.
    pub(crate) fn close(&self) -> i32 {
        let last = match self.turns.close() {
            None => return ECLOSED,
            Some(last) => last,
        };
        if let Some(bound) = self.bound.get() {
            bound.remove();
        }
        if last {
            self.end();
        } else if self.own_entry().is_none() {
            // A forked child that has not waited in it: those who are counted were in it in the parent, at the fork,
            // and will never leave. The memory stays, which is theirs.
            self.close_number();
        } else {
            self.stir(Direction::Read);
            self.stir(Direction::Write);
            self.gone.acquire(1);
        }
        OK
    }

    /// Whoever waits for a turn, or for an event, looks again.
    fn stir(&self, direction: Direction) {
        self.turns.stir(direction);
        if let Some(entry) = self.own_entry() {
            entry.stir(direction);
        }
    }

    fn close_number(&self) {
        // Relaxed: once, by whoever is first; the number was handed on by what decided that it is to be closed.
        if !self.number_closed.swap(true, Ordering::Relaxed) {
            let _ = sys::close(self.raw);
        }
    }

    /// The last one has left a descriptor that was closed.
    #[cold]
    pub(super) fn end(&self) {
        if let Some(entry) = self.own_entry() {
            entry.detach_to_close(self.raw);
        }
        self.close_number();
        // SAFETY: it stays in place up to the next step.
        unsafe { Semaphore::release(&self.gone, 1) };
        // What keeps the memory up to here is the reference that goes with not being closed for good, and that is ours.
        if self.refs.fetch_sub(1, Ordering::AcqRel) == 1 {
            // SAFETY: that was the last one.
            unsafe { Self::free(NonNull::from(self)) };
        }
    }

    /// Be in it, for a call that needs no turn: as `f` is called it is not closed.
    pub(crate) fn with(&self, f: impl FnOnce(i32) -> i32) -> i32 {
        if !self.turns.enter() {
            return ECLOSED;
        }
        let result = f(self.raw);
        if self.turns.leave() {
            self.end();
        }
        result
    }

    /// `how` as of shutdown(2).
    pub(crate) fn shutdown(&self, how: i32) -> i32 {
        if !matches!(how, libc::SHUT_RD | libc::SHUT_WR | libc::SHUT_RDWR) {
            return EINVAL;
        }
        self.with(|raw| sys::shutdown(raw, how).map_or_else(|errno| -errno, |()| OK))
    }

    /// Calls in this direction return `ETIMEDOUT` from `deadline` on, those that wait already included.
    pub(crate) fn set_deadline(&self, direction: Direction, deadline: i64) -> i32 {
        self.with(|_| {
            self.sides[direction as usize].deadline.store(deadline, Ordering::SeqCst);
            self.stir(direction);
            OK
        })
    }

    /// The record of its number, where it is registered.
    pub(super) fn entry(&self) -> &'static Entry {
        // SAFETY: records are never freed.
        unsafe { &*self.entry.load(Ordering::Acquire) }
    }

    /// The record, if it is this process's. The lock of one that is the parent's may have been held by another thread
    /// of the parent's at the fork, and would never be free; and nobody of ours waits there.
    fn own_entry(&self) -> Option<&'static Entry> {
        known_entry(self.raw).filter(|known| std::ptr::eq(*known, self.entry()))
    }

    /// See to it that events come: in a forked child the descriptor is not registered yet.
    pub(super) fn attached(&self) -> Result<&'static Entry, i32> {
        let entry = self.entry();
        if entry.is_attached() { Ok(entry) } else { self.attach_again() }
    }

    #[cold]
    fn attach_again(&self) -> Result<&'static Entry, i32> {
        let entry = entry_of(self.raw).ok_or(ENOMEM)?;
        let known = std::ptr::eq(entry, self.entry());
        // Of two that come here together, a reader and a writer, the second finds it registered, which does no harm.
        if known {
            entry.ensure_attached(self.raw)?
        } else {
            entry.attach(self.raw)?
        }
        self.entry.store(std::ptr::from_ref(entry).cast_mut(), Ordering::Release);
        Ok(entry)
    }
}
