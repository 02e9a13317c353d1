//! The once's word, and every way in which it may change.
//!
//! | bit | meaning |
//! |---|---|
//! | `LOCKED` | somebody is at the queue; nobody else changes anything in the word meanwhile |
//! | `WAITERS` | the queue is not empty |
//! | `RUNNING` | the function runs |
//! | `DONE` | it has run; nothing else is set, and nothing changes any more |
//!
//! | transition | by whom | from | to |
//! |---|---|---|---|
//! | `begin` | the first caller | nothing set | `RUNNING` |
//! | `enter_queue` | one that comes meanwhile | `RUNNING`, not `LOCKED` | `LOCKED`, `WAITERS` |
//! | `leave_queue` | the same, parked | `LOCKED` | not that |
//! | `finish_lone` | the first caller, when the function has ended | `RUNNING` and nothing else | `DONE` |
//! | `lock` | the same, if somebody waits | `RUNNING`, not `LOCKED` | `LOCKED` |
//! | `finish` | the same, when it has claimed all waiters | `LOCKED` | `DONE` |
//!
//! Orderings: Acquire in `is_done` and `look` pairs with the Release in `finish_lone` and `finish`: who sees
//! `DONE` sees what the function did. Acquire in `enter_queue` and `lock` pairs with the Release in
//! `leave_queue`.

use crate::primitive::atomic::{AtomicU32, Ordering};
#[cfg(loom)]
use crate::sync::knobs::{self, Bug};

const LOCKED: u32 = 1;
const WAITERS: u32 = 2;
const RUNNING: u32 = 4;
const DONE: u32 = 8;

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

    pub(super) fn done(self) -> bool {
        self.0 == DONE
    }
}

impl State {
    #[cfg(test)]
    pub(super) fn new() -> Self {
        State { word: AtomicU32::new(0) }
    }

    #[inline]
    pub(super) fn is_done(&self) -> bool {
        self.look().done()
    }

    #[inline]
    pub(super) fn look(&self) -> Seen {
        Seen(self.word.load(Ordering::Acquire))
    }

    pub(super) fn begin(&self) -> bool {
        self.word.compare_exchange(0, RUNNING, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// True: the caller holds the lock, and the function was running when it got it. It pushes its node and then
    /// calls `leave_queue`.
    pub(super) fn enter_queue(&self, seen: &mut Seen) -> bool {
        debug_assert!(!seen.locked() && seen.0 & RUNNING != 0);
        #[cfg(loom)]
        if knobs::is(Bug::QueueUnchecked) {
            seen.0 = self.word.load(Ordering::Relaxed) & !LOCKED;
        }
        self.replace(seen, seen.0 | LOCKED | WAITERS)
    }

    /// The queue may be seen by others from here on, and the caller's node with it.
    pub(super) fn leave_queue(&self) {
        self.word.fetch_and(!LOCKED, Ordering::Release);
    }

    /// If true, the memory may be gone.
    pub(super) fn finish_lone(&self) -> bool {
        self.word.compare_exchange(RUNNING, DONE, done_order(), Ordering::Relaxed).is_ok()
    }

    pub(super) fn lock(&self, seen: &mut Seen) -> bool {
        debug_assert!(!seen.locked());
        self.replace(seen, seen.0 | LOCKED)
    }

    /// After this the memory may be gone.
    pub(super) fn finish(&self) {
        self.word.store(DONE, done_order());
    }

    fn replace(&self, seen: &mut Seen, new: u32) -> bool {
        // Acquire on failure: `seen` is then as good as a `look`.
        match self.word.compare_exchange_weak(seen.0, new, Ordering::Acquire, Ordering::Acquire) {
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

fn done_order() -> Ordering {
    #[cfg(loom)]
    if knobs::is(Bug::DoneRelaxed) {
        return Ordering::Relaxed;
    }
    Ordering::Release
}
