//! What is known of a descriptor's number: the events that came, and who waits for some.
//!
//! The one thing to know: **an edge is never lost, because events are counted.** Whoever wants to read
//!
//! 1. reads the count of the direction ([`Entry::seen`]),
//! 2. tries the system call, which says "not now",
//! 3. takes the lock, and queues itself only if the count is still the same.
//!
//! What makes the descriptor ready after step 2 raises an event after step 2, so the count moves after step 1: either
//! step 3 sees that, or the event is counted after step 3 and finds the waiter in the queue. A flag "ready", cleared
//! before the call, would do for one reader; here several may share a number ([`crate::net::wait`]), and one must not
//! clear what another relies on.
//!
//! Locks: the record's lock is held for a few stores, and for registering for a system call. Nothing is woken under it.

use crate::primitive::SpinLock;
use crate::primitive::atomic::{AtomicU32, Ordering};
use crate::primitive::{FOREVER, now};
use crate::sched::WaitReason;
use crate::sched::wait::{Node, Queue, TIMED_OUT, Wait, WakeList};
use std::cell::UnsafeCell;

/// What a descriptor is waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Direction {
    Read = 0,
    Write = 1,
}

/// The count of events of one direction at some moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Seen(u32);

impl Seen {
    pub(crate) fn to_bits(self) -> u32 {
        self.0
    }
}

/// What has come of a registration that never goes away again: the peer hung up, an error, urgent data.
pub(crate) const STICKY: u32 = 1;

/// The record of one descriptor's number. Never freed.
pub(crate) struct Entry {
    lock: SpinLock,
    /// Events so far, of each direction. Written under the lock.
    events: [AtomicU32; 2],
    /// [`STICKY`], or 0. Written under the lock.
    sticky: AtomicU32,
    /// The process, of those that fork made of one, whose set the number is registered with; 0: none. Under the lock.
    pub(super) epoch: AtomicU32,
    /// Which registration of this number is the current one. Under the lock.
    pub(super) generation: AtomicU32,
    inner: UnsafeCell<Inner>,
}

pub(super) struct Inner {
    waiters: [Queue; 2],
    /// Those that rely on the registration.
    pub(super) users: u32,
}

// SAFETY: `inner` is touched under the lock only.
unsafe impl Sync for Entry {}
// SAFETY: nothing in it belongs to a thread.
unsafe impl Send for Entry {}

/// Why a wait ended without an event, or was not begun: a status code.
pub(crate) type Refused = i32;

/// As `ffi::status` defines it, which the models do without.
const ETIMEDOUT: Refused = -libc::ETIMEDOUT;

impl Entry {
    /// All zero: see `table.rs`.
    #[cfg(any(test, loom))]
    pub(crate) fn new() -> Self {
        Entry {
            lock: SpinLock::new(),
            events: [AtomicU32::new(0), AtomicU32::new(0)],
            sticky: AtomicU32::new(0),
            epoch: AtomicU32::new(0),
            generation: AtomicU32::new(0),
            inner: UnsafeCell::new(Inner { waiters: [Queue::new(), Queue::new()], users: 0 }),
        }
    }

    /// Is nobody queued?
    #[cfg(all(test, loom))]
    pub(super) fn nobody_waits(&self) -> bool {
        self.lock().inner().waiters.iter().all(Queue::is_empty)
    }

    /// As [`Entry::new`] makes it?
    #[cfg(all(test, not(loom)))]
    pub(super) fn is_like_new(&self) -> bool {
        let mut locked = self.lock();
        let inner = locked.inner();
        let fresh = inner.users == 0 && inner.waiters.iter().all(Queue::is_empty);
        let words = [&self.events[0], &self.events[1], &self.sticky, &self.epoch, &self.generation];
        fresh && words.iter().all(|word| word.load(Ordering::Relaxed) == 0)
    }

    /// The count of events, to be read before the system call that is tried. Acquire: the call comes after.
    #[inline]
    pub(crate) fn seen(&self, direction: Direction) -> Seen {
        Seen(self.events[direction as usize].load(Ordering::Acquire))
    }

    /// The peer has hung up, there was an error, or urgent data came, at any time since it was registered. Exact for
    /// whoever has read a count with [`Entry::seen`] that the event is in.
    #[inline]
    pub(crate) fn is_sticky(&self) -> bool {
        self.sticky.load(Ordering::Relaxed) != 0
    }

    pub(super) fn lock(&self) -> Locked<'_> {
        self.lock.lock();
        Locked { entry: self }
    }

    /// Events came: count them, and move whoever waits for one to `woken`.
    pub(crate) fn happened(&self, read: bool, write: bool, sticky: bool, woken: &mut WakeList) {
        let mut locked = self.lock();
        if sticky {
            self.sticky.store(STICKY, Ordering::Relaxed);
        }
        if read {
            locked.count(Direction::Read, woken);
        }
        if write {
            locked.count(Direction::Write, woken);
        }
    }

    /// Have whoever waits for `direction` look again, whatever it waits for.
    pub(crate) fn stir(&self, direction: Direction) {
        let mut woken = WakeList::new();
        self.happened(direction == Direction::Read, direction == Direction::Write, false, &mut woken);
        // SAFETY: the lock was released above.
        unsafe { woken.wake() };
    }

    /// Wait until there is an event of one of the `directions` that is not in the count read before, or until the
    /// deadline, or until somebody [`Entry::stir`]s. `look` is called under the lock, before the caller is queued:
    /// the deadline, or why not to wait. Whoever changes what it looks at stirs afterwards, and so cannot be missed.
    ///
    /// The caller must be counted as waiting (`driver::Waiting`).
    pub(crate) fn wait(
        &self,
        directions: [Option<Seen>; 2],
        look: impl FnOnce() -> Result<i64, Refused>,
    ) -> Result<(), Refused> {
        let mut locked = self.lock();
        for (direction, seen) in directions.iter().enumerate() {
            if seen.is_some_and(|seen| seen.0 != self.events[direction].load(Ordering::Relaxed)) {
                return Ok(());
            }
        }
        let deadline = look()?;
        let both = directions.iter().flatten().count() > 1;
        let mut wait = Wait::new(WaitReason::Io, both);
        if deadline != FOREVER {
            if deadline <= now() {
                return Err(ETIMEDOUT);
            }
            wait.set_deadline(deadline);
        }
        let mut nodes = [0, 1].map(|i| Node::new(&wait, i + 1, std::ptr::null_mut()));
        let nodes = nodes.each_mut().map(|node| &raw mut *node);
        for (i, seen) in directions.iter().enumerate() {
            if seen.is_some() {
                // SAFETY: locked; the nodes stay in place until they are taken out, by who claims the wait or below.
                unsafe { locked.inner().waiters[i].push_back(nodes[i]) };
            }
        }
        std::mem::forget(locked);
        // SAFETY: `unlock` gives up the lock that is held here, of a record that is never freed; nobody who wakes needs
        // another one that we hold.
        let id = unsafe { wait.block(unlock, (&raw const *self).cast_mut().cast()) };
        if both || deadline != FOREVER {
            let mut locked = self.lock();
            for (i, seen) in directions.iter().enumerate() {
                // The node that won was taken out by its waker, who has used its links again.
                if seen.is_some() && id != i as u32 + 1 {
                    // SAFETY: locked; queued here if at all.
                    unsafe { locked.inner().waiters[i].unlink(nodes[i]) };
                }
            }
        }
        if id == TIMED_OUT { Err(ETIMEDOUT) } else { Ok(()) }
    }
}

/// # Safety
/// `entry` is an `Entry` whose lock the caller has taken over.
unsafe fn unlock(entry: *mut ()) {
    // SAFETY: the caller's promise; records are never freed.
    unsafe { (*entry.cast::<Entry>()).lock.unlock() };
}

/// The lock of a record, held.
pub(super) struct Locked<'a> {
    entry: &'a Entry,
}

impl Locked<'_> {
    pub(super) fn inner(&mut self) -> &mut Inner {
        // SAFETY: locked, and borrowed from the only guard.
        unsafe { &mut *self.entry.inner.get() }
    }

    fn count(&mut self, direction: Direction, woken: &mut WakeList) {
        let events = &self.entry.events[direction as usize];
        // Release pairs with the Acquire in `seen`: the sticky mark is there.
        events.store(events.load(Ordering::Relaxed).wrapping_add(1), Ordering::Release);
        let waiters = &mut self.inner().waiters[direction as usize];
        loop {
            // SAFETY: locked.
            let node = unsafe { waiters.pop() };
            if node.is_null() {
                return;
            }
            // SAFETY: just popped, and claimed by us.
            unsafe { woken.push(node) };
        }
    }

    /// The number belongs to a new file.
    pub(super) fn begin(&mut self, epoch: u32) {
        self.entry.epoch.store(epoch, Ordering::Relaxed);
        self.entry.sticky.store(0, Ordering::Relaxed);
        let generation = &self.entry.generation;
        generation.store(generation.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // SAFETY: a guard exists only while the lock is held.
        unsafe { self.entry.lock.unlock() };
    }
}
