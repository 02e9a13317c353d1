//! The condition variable's word, and every way in which it may change.
//!
//! | bit | meaning |
//! |---|---|
//! | `LOCKED` | somebody is at the queue; nobody else changes anything in the word meanwhile |
//! | `WAITERS` | the queue is not empty |
//!
//! | transition | by whom | from | to |
//! |---|---|---|---|
//! | `enter_queue` | wait | not `LOCKED` | `LOCKED`, `WAITERS` |
//! | `leave_queue` | the same, parked | `LOCKED` | not that |
//! | `lock` | signal, broadcast, if somebody waits; a wait that timed out | not `LOCKED` | `LOCKED` |
//! | `unlock` | the same | `LOCKED` | not that, nor `WAITERS` if the queue is empty |
//!
//! Orderings: Acquire in `enter_queue` and `lock` pairs with the Release in `leave_queue` and `unlock`. A
//! signal's `look` needs none: a wait that it must see happened before it (the caller has held the mutex since,
//! or has heard of the wait in some other way), so it sees the wait's `WAITERS`, or what came after.

use crate::primitive::atomic::{AtomicU32, Ordering};
use crate::sync::order::{acquire, release};

const LOCKED: u32 = 1;
const WAITERS: u32 = 2;

#[repr(C, align(8))]
pub(super) struct State {
    word: AtomicU32,
}

/// The word as it was when it was last looked at. A transition that fails because it has changed refreshes it.
#[derive(Clone, Copy)]
pub(super) struct Seen(u32);

impl Seen {
    pub(super) fn locked(self) -> bool {
        self.0 & LOCKED != 0
    }

    #[inline]
    pub(super) fn has_waiters(self) -> bool {
        self.0 & WAITERS != 0
    }
}

impl State {
    #[cfg(test)]
    pub(super) fn new() -> Self {
        State { word: AtomicU32::new(0) }
    }

    #[inline]
    pub(super) fn look(&self) -> Seen {
        Seen(self.word.load(Ordering::Relaxed))
    }

    /// True: the caller holds the lock. It pushes its node and then calls `leave_queue`.
    pub(super) fn enter_queue(&self, seen: &mut Seen) -> bool {
        debug_assert!(!seen.locked());
        self.replace(seen, seen.0 | LOCKED | WAITERS)
    }

    /// The queue may be seen by others from here on, and the caller's node with it.
    pub(super) fn leave_queue(&self) {
        self.word.store(WAITERS, release());
    }

    pub(super) fn lock(&self, seen: &mut Seen) -> bool {
        debug_assert!(!seen.locked());
        self.replace(seen, seen.0 | LOCKED)
    }

    /// `empty`: the queue is, now. If those who waited are claimed, the memory may be gone once they are woken.
    pub(super) fn unlock(&self, empty: bool) {
        self.word.store(if empty { 0 } else { WAITERS }, release());
    }

    fn replace(&self, seen: &mut Seen, new: u32) -> bool {
        match self.word.compare_exchange_weak(seen.0, new, acquire(), Ordering::Relaxed) {
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
