//! The wait group's word, and every way in which it may change.
//!
//! | bits | meaning |
//! |---|---|
//! | 63..32 | the counter, 0..=`i32::MAX` |
//! | 1, `WAITERS` | the queue is not empty |
//! | 0, `LOCKED` | somebody is at the queue; **nobody else changes anything in the word meanwhile** |
//!
//! | transition | by whom | from | to |
//! |---|---|---|---|
//! | `count` | add, done | not `LOCKED`; if the new counter is 0, not `WAITERS` | the new counter |
//! | `lock` | the add or done that must wake; a wait that timed out | not `LOCKED` | `LOCKED` |
//! | `enter_queue` | wait | counter above 0, not `LOCKED` | `LOCKED`, `WAITERS` |
//! | `leave_queue` | the same, parked | `LOCKED` | not that |
//! | `unlock` | a wait that timed out and has left the queue | `LOCKED` | not that, nor `WAITERS` if that was the last |
//! | `become_zero` | the add or done that must wake, when it has claimed all waiters | `LOCKED` | all zero |
//!
//! A wait returns without blocking only if the **whole word** is zero. So while there are waiters the counter
//! is never seen at zero before `become_zero`, the last touch: until then the word shows the old counter.
//!
//! Orderings: Acquire in a wait's `look` pairs with the Release in `count` or `become_zero`. Each `count` is a
//! read-modify-write, so the last one carries the release sequences of all before it; `become_zero` is a plain
//! store, but `lock` before it was an Acquire that took over those same sequences. So whoever sees zero sees
//! what was done before every `done`.

use crate::primitive::atomic::{AtomicU64, Ordering};
#[cfg(loom)]
use crate::sync::knobs::{self, Bug};

const LOCKED: u64 = 1;
const WAITERS: u64 = 2;
const COUNTER_SHIFT: u32 = 32;
const FLAGS: u64 = (1 << COUNTER_SHIFT) - 1;

#[repr(C)]
pub(super) struct State {
    word: AtomicU64,
}

/// The word as it was when it was last looked at. A transition that fails because it has changed refreshes it.
#[derive(Clone, Copy)]
pub(super) struct Seen(u64);

impl Seen {
    pub(super) fn counter(self) -> i64 {
        (self.0 >> COUNTER_SHIFT) as i64
    }

    pub(super) fn locked(self) -> bool {
        self.0 & LOCKED != 0
    }

    pub(super) fn has_waiters(self) -> bool {
        self.0 & WAITERS != 0
    }

    /// Nothing counted, and nobody at work on the object either.
    #[inline]
    pub(super) fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl State {
    #[cfg(test)]
    pub(super) fn new() -> Self {
        State { word: AtomicU64::new(0) }
    }

    #[inline]
    pub(super) fn look(&self) -> Seen {
        Seen(self.word.load(Ordering::Acquire))
    }

    /// If true and `counter` is 0, the wait group's memory may be gone. `counter` fits in 31 bits.
    #[inline]
    pub(super) fn count(&self, seen: &mut Seen, counter: i64) -> bool {
        debug_assert!(!seen.locked() && (counter > 0 || !seen.has_waiters()));
        let new = (counter as u64) << COUNTER_SHIFT | seen.0 & FLAGS;
        self.replace(seen, new, Ordering::Release)
    }

    pub(super) fn lock(&self, seen: &mut Seen) -> bool {
        debug_assert!(!seen.locked());
        self.replace(seen, seen.0 | LOCKED, Ordering::Acquire)
    }

    /// True: the caller holds the lock, and the counter was above 0 when it got it. It pushes its node and then
    /// calls `leave_queue`.
    pub(super) fn enter_queue(&self, seen: &mut Seen) -> bool {
        debug_assert!(!seen.locked() && seen.counter() > 0);
        self.replace(seen, seen.0 | LOCKED | WAITERS, Ordering::Acquire)
    }

    /// The queue may be seen by others from here on, and the caller's node with it.
    pub(super) fn leave_queue(&self) {
        self.word.fetch_and(!LOCKED, Ordering::Release);
    }

    /// `empty`: the queue is, now.
    pub(super) fn unlock(&self, empty: bool) {
        let cleared = if empty { LOCKED | WAITERS } else { LOCKED };
        // A read-modify-write although nobody else writes: a plain store would end the release sequences of the
        // `count`s before it, which the next wait or `lock` needs.
        self.word.fetch_and(!cleared, Ordering::Release);
    }

    /// After this the wait group's memory may be gone.
    pub(super) fn become_zero(&self) {
        #[cfg(loom)]
        if knobs::is(Bug::ZeroRelaxed) {
            return self.word.store(0, Ordering::Relaxed);
        }
        self.word.store(0, Ordering::Release);
    }

    #[inline]
    fn replace(&self, seen: &mut Seen, new: u64, success: Ordering) -> bool {
        // Acquire on failure: `seen` is then as good as a `look`.
        match self.word.compare_exchange_weak(seen.0, new, success, Ordering::Acquire) {
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
