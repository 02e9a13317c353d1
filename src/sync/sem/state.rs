//! The semaphore's word, and every way in which it may change.
//!
//! | bits | meaning |
//! |---|---|
//! | 63..2 | how many permits are free |
//! | 1, `WAITERS` | the queue is not empty |
//! | 0, `LOCKED` | somebody is at the queue; **nobody else changes anything in the word meanwhile** |
//!
//! | transition | by whom | from | to |
//! |---|---|---|---|
//! | `take` | acquire, try_acquire | enough permits, nobody waits, not `LOCKED` | fewer permits |
//! | `give` | release | nobody waits, not `LOCKED` | more permits |
//! | `enter_queue` | acquire | too few permits or `WAITERS`, not `LOCKED` | `LOCKED`, `WAITERS` |
//! | `leave_queue` | the same, parked | `LOCKED` | not that |
//! | `lock` | release, if somebody waits; an acquire that timed out | not `LOCKED` | `LOCKED` |
//! | `pass_on` | the same, when it has claimed all who can go on | `LOCKED` | what is left of the permits, not `LOCKED` |
//!
//! What always holds while nobody is at the queue: the first in it wants more than there is, or has timed out
//! and is on its way.
//!
//! Orderings: Acquire in `take` and `lock` pairs with the Release in `give` and `pass_on`: who gets permits
//! sees what was done before each release so far. `give` and `take` are read-modify-writes, which carry on the
//! release sequences of the releases before; `pass_on` is a store, behind an Acquire that took over what those
//! carried.

use crate::primitive::atomic::{AtomicU64, Ordering};
#[cfg(loom)]
use crate::sync::knobs::{self, Bug};
use crate::sync::order::{acquire, release};

const LOCKED: u64 = 1;
const WAITERS: u64 = 2;
const SHIFT: u32 = 2;

/// The most permits that may be free at once: 2^62 - 1.
pub(crate) const MOST: i64 = (u64::MAX >> SHIFT) as i64;

#[repr(C)]
pub(super) struct State {
    word: AtomicU64,
}

/// The word as it was when it was last looked at. A transition that fails because it has changed refreshes it.
#[derive(Clone, Copy)]
pub(super) struct Seen(u64);

impl Seen {
    /// 0..=`MOST`.
    #[inline]
    pub(super) fn permits(self) -> i64 {
        (self.0 >> SHIFT) as i64
    }

    #[inline]
    pub(super) fn locked(self) -> bool {
        self.0 & LOCKED != 0
    }

    #[inline]
    pub(super) fn has_waiters(self) -> bool {
        self.0 & WAITERS != 0
    }

    /// `n` permits may be had, now or when `LOCKED` is gone.
    #[inline]
    pub(super) fn open_to(self, n: i64) -> bool {
        !self.has_waiters() && self.permits() >= n
    }
}

impl State {
    /// `permits`: 0..=`MOST`.
    #[cfg(any(test, not(loom)))]
    pub(super) fn new(permits: i64) -> Self {
        State { word: AtomicU64::new((permits as u64) << SHIFT) }
    }

    #[inline]
    pub(super) fn look(&self) -> Seen {
        Seen(self.word.load(Ordering::Relaxed))
    }

    #[inline]
    pub(super) fn take(&self, seen: &mut Seen, n: i64) -> bool {
        debug_assert!(seen.open_to(n) && !seen.locked());
        self.replace(seen, seen.0 - ((n as u64) << SHIFT), acquire())
    }

    /// If true, the memory may be gone. The sum is at most `MOST`.
    #[inline]
    pub(super) fn give(&self, seen: &mut Seen, n: i64) -> bool {
        debug_assert!(!seen.has_waiters() && !seen.locked());
        self.replace(seen, seen.0 + ((n as u64) << SHIFT), release())
    }

    /// True: the caller holds the lock, and was to wait when it got it. It pushes its node and then calls
    /// `leave_queue`.
    pub(super) fn enter_queue(&self, seen: &mut Seen) -> bool {
        debug_assert!(!seen.locked());
        #[cfg(loom)]
        if knobs::is(Bug::QueueUnchecked) {
            seen.0 = self.word.load(Ordering::Relaxed) & !LOCKED;
        }
        self.replace(seen, seen.0 | LOCKED | WAITERS, acquire())
    }

    /// The queue may be seen by others from here on, and the caller's node with it.
    pub(super) fn leave_queue(&self) {
        self.word.fetch_and(!LOCKED, release());
    }

    pub(super) fn lock(&self, seen: &mut Seen) -> bool {
        debug_assert!(!seen.locked());
        self.replace(seen, seen.0 | LOCKED, acquire())
    }

    /// `empty`: the queue is, now. After this the memory may be gone.
    pub(super) fn pass_on(&self, permits: i64, empty: bool) {
        debug_assert!((0..=MOST).contains(&permits));
        let waiters = if empty { 0 } else { WAITERS };
        self.word.store((permits as u64) << SHIFT | waiters, release());
    }

    #[inline]
    fn replace(&self, seen: &mut Seen, new: u64, success: Ordering) -> bool {
        match self.word.compare_exchange_weak(seen.0, new, success, Ordering::Relaxed) {
            Ok(_) => true,
            Err(now) => {
                seen.0 = now;
                false
            }
        }
    }

    /// The memory's owner is alone with it: loom fails the model if anybody else is, or was unordered.
    #[cfg(all(test, loom))]
    pub(super) fn assert_alone(&mut self) {
        self.word.with_mut(|_| ());
    }
}
