//! The mutex's word, and every way in which it may change.
//!
//! | bit | meaning |
//! |---|---|
//! | `LOCKED` | somebody holds the mutex |
//! | `QUEUE_LOCKED` | somebody is at the queue of waiters; held for a few instructions |
//! | `WAITERS` | the queue is not empty; changes only under `QUEUE_LOCKED` |
//! | `WOKEN` | somebody is awake who wants the mutex and will try again, so unlock need not wake another |
//! | `STARVING` | a waiter waits too long: unlock hands the mutex over instead of freeing it |
//!
//! | transition | by whom | from | to |
//! |---|---|---|---|
//! | `take_free` | lock, try_lock | nothing set | `LOCKED` |
//! | `take` | whoever wants it | not `LOCKED` | `LOCKED`; one who was awake takes back `WOKEN` |
//! | `stay_awake` | one who spins | `LOCKED`, `WAITERS`, not `WOKEN` | `WOKEN` |
//! | `enter_queue` | one who must wait | `LOCKED`, not `QUEUE_LOCKED` | `QUEUE_LOCKED`, `WAITERS`, perhaps `STARVING`; takes back `WOKEN` |
//! | `leave_queue` | the same, parked | `QUEUE_LOCKED` | not that |
//! | `give_up` | one woken past its deadline | `LOCKED` | takes back `WOKEN` |
//! | `free_lone` | unlock | `LOCKED` and nothing else | nothing set |
//! | `free_unattended` | unlock | nobody to wake ([`Seen::nobody_to_wake`]) | not `LOCKED` |
//! | `lock_queue` | unlock; one who timed out | not `QUEUE_LOCKED` | `QUEUE_LOCKED` |
//! | `free_and_wake` | unlock that took a waiter out | `LOCKED`, `QUEUE_LOCKED` | neither; `WOKEN` for that waiter |
//! | `free_unclaimed` | unlock that found only waiters that had timed out | `LOCKED`, `QUEUE_LOCKED` | neither, nor `WAITERS`, `STARVING` |
//! | `hand_over` | unlock that took a waiter out, if `STARVING` | `LOCKED`, `QUEUE_LOCKED` | `LOCKED` |
//! | `unlock_queue` | one who timed out and has left the queue | `QUEUE_LOCKED` | not that |
//! | `stop_starving` | the holder | `STARVING` | not that |
//!
//! What always holds: `STARVING` implies `LOCKED`. A free mutex with `WAITERS` has `WOKEN`, and `WOKEN` means
//! that at least one thread is bound to `take`, `enter_queue` or `give_up`, each of which is one step that also
//! sees whether the mutex is `LOCKED`. So no waiter is left behind with a free mutex.
//!
//! Every change is a read-modify-write, so all of them belong to the release sequence of the last unlock: the
//! Acquire in `take*` pairs with the Release in `free*`, whatever came between. `lock_queue` and `enter_queue`
//! (Acquire) pair with whatever cleared `QUEUE_LOCKED` (Release) in the same way.

use crate::primitive::atomic::{AtomicU32, Ordering};
#[cfg(loom)]
use crate::sync::knobs::{self, Bug};
use crate::sync::order::{acquire, release};
use crate::sync::spin::Holder;

const LOCKED: u32 = 1;
const QUEUE_LOCKED: u32 = 2;
const WAITERS: u32 = 4;
const WOKEN: u32 = 8;
const STARVING: u32 = 16;

#[repr(C, align(8))]
pub(super) struct State {
    word: AtomicU32,
    holder: Holder,
}

/// The word as it was when it was last looked at. A transition that fails because it has changed refreshes it.
#[derive(Clone, Copy)]
pub(super) struct Seen(u32);

impl Seen {
    pub(super) fn locked(self) -> bool {
        self.0 & LOCKED != 0
    }

    pub(super) fn queue_locked(self) -> bool {
        self.0 & QUEUE_LOCKED != 0
    }

    pub(super) fn starving(self) -> bool {
        self.0 & STARVING != 0
    }

    /// Somebody waits, and nobody is awake to try again.
    pub(super) fn wants_waking(self) -> bool {
        self.0 & (WAITERS | WOKEN) == WAITERS
    }

    /// Unlock may simply free the mutex: no one waits, or one is awake and no one is to be preferred to it.
    pub(super) fn nobody_to_wake(self) -> bool {
        self.0 & WAITERS == 0 || self.0 & (WOKEN | STARVING) == WOKEN
    }
}

impl State {
    #[cfg(test)]
    pub(super) fn new() -> Self {
        State { word: AtomicU32::new(0), holder: Holder::default() }
    }

    pub(super) fn look(&self) -> Seen {
        Seen(self.word.load(Ordering::Relaxed))
    }

    #[inline]
    pub(super) fn take_free(&self) -> bool {
        let taken = self.word.compare_exchange(0, LOCKED, acquire(), Ordering::Relaxed).is_ok();
        if taken {
            self.holder.note();
        }
        taken
    }

    /// `awake`: the caller is the one that `WOKEN` stands for.
    pub(super) fn take(&self, seen: &mut Seen, awake: bool) -> bool {
        debug_assert!(!seen.locked());
        let taken = self.replace(seen, (seen.0 | LOCKED) & !woken_if(awake), acquire());
        if taken {
            self.holder.note();
        }
        taken
    }

    /// The mutex was handed to the caller.
    pub(super) fn received(&self) {
        self.holder.note();
    }

    /// Is it worth looking again soon? (The holder as it was a moment ago may be another's.)
    pub(super) fn holder_runs(&self) -> bool {
        self.holder.runs()
    }

    pub(super) fn stay_awake(&self, seen: &mut Seen) -> bool {
        debug_assert!(seen.locked() && seen.wants_waking());
        self.replace(seen, seen.0 | WOKEN, Ordering::Relaxed)
    }

    /// True: the caller holds the queue's lock, and the mutex was locked when it got it. It pushes its node and
    /// then calls `leave_queue`.
    pub(super) fn enter_queue(&self, seen: &mut Seen, awake: bool, starving: bool) -> bool {
        debug_assert!(seen.locked() && !seen.queue_locked());
        let starving = if starving { STARVING } else { 0 };
        #[cfg(loom)]
        if knobs::is(Bug::QueueUnchecked) {
            seen.0 = self.word.load(Ordering::Relaxed) & !QUEUE_LOCKED;
        }
        let new = (seen.0 | QUEUE_LOCKED | WAITERS | starving) & !woken_if(awake);
        self.replace(seen, new, acquire())
    }

    /// The queue may be seen by others from here on, and the caller's node with it.
    pub(super) fn leave_queue(&self) {
        self.word.fetch_and(!QUEUE_LOCKED, release());
    }

    pub(super) fn give_up(&self, seen: &mut Seen) -> bool {
        debug_assert!(seen.locked());
        self.replace(seen, seen.0 & !WOKEN, Ordering::Relaxed)
    }

    /// If true, the mutex's memory may be gone. So with all that follow and whose name begins with `free`, or
    /// with `hand`.
    #[inline]
    pub(super) fn free_lone(&self) -> bool {
        self.word.compare_exchange(LOCKED, 0, release(), Ordering::Relaxed).is_ok()
    }

    pub(super) fn free_unattended(&self, seen: &mut Seen) -> bool {
        debug_assert!(seen.locked() && seen.nobody_to_wake());
        self.replace(seen, seen.0 & !(LOCKED | STARVING), release())
    }

    pub(super) fn lock_queue(&self, seen: &mut Seen) -> bool {
        debug_assert!(!seen.queue_locked());
        self.replace(seen, seen.0 | QUEUE_LOCKED, acquire())
    }

    /// `empty`, here and below: the queue is, now.
    pub(super) fn free_and_wake(&self, empty: bool) {
        self.change(|word| (word | WOKEN) & !(LOCKED | QUEUE_LOCKED | waiters_if(empty)));
    }

    pub(super) fn free_unclaimed(&self) {
        self.change(|word| word & !(LOCKED | QUEUE_LOCKED | waiters_if(true)));
    }

    pub(super) fn hand_over(&self, empty: bool) {
        self.change(|word| word & !(QUEUE_LOCKED | waiters_if(empty)));
    }

    pub(super) fn unlock_queue(&self, empty: bool) {
        self.change(|word| word & !(QUEUE_LOCKED | waiters_if(empty)));
    }

    pub(super) fn stop_starving(&self) {
        self.word.fetch_and(!STARVING, Ordering::Relaxed);
    }

    #[cfg(all(test, not(loom)))]
    pub(super) fn holder_on_processor(&self) -> bool {
        self.holder.on_processor()
    }

    fn replace(&self, seen: &mut Seen, new: u32, success: Ordering) -> bool {
        match self.word.compare_exchange_weak(seen.0, new, success, Ordering::Relaxed) {
            Ok(_) => true,
            Err(now) => {
                seen.0 = now;
                false
            }
        }
    }

    /// For those who hold the queue's lock: only `LOCKED` and `WOKEN` can change under them.
    fn change(&self, new: impl Fn(u32) -> u32) {
        let mut seen = self.look();
        loop {
            let new = new(seen.0);
            if self.replace(&mut seen, new, release()) {
                return;
            }
        }
    }

    /// Half of `free_and_wake`, for [`Bug::FreeInTwoSteps`].
    #[cfg(loom)]
    pub(super) fn free_before_the_queue(&self, empty: bool) {
        self.change(|word| (word | WOKEN) & !(LOCKED | waiters_if(empty)));
    }

    /// The memory's owner is alone with it: loom fails the model if anybody else is, or was unordered.
    #[cfg(all(test, loom))]
    pub(super) fn assert_alone(&mut self) {
        self.word.with_mut(|_| ());
    }
}

fn woken_if(awake: bool) -> u32 {
    if awake { WOKEN } else { 0 }
}

/// No waiters, none that starves.
fn waiters_if(empty: bool) -> u32 {
    if empty { WAITERS | STARVING } else { 0 }
}
