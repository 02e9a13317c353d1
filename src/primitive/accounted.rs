//! The threads of the process that are accounted for: gort's own, and those that wait in gort for ever.
//!
//! The one thing to know: whoever counts a thread in does so while it is certain to exist, and it is counted
//! out *before* it can do anything on its own again. So the number is never more than that of the threads that
//! exist and cannot act by themselves, and if it equals that of all threads of the process at one instant,
//! nobody outside gort can do anything at that instant.
//!
//! | thread | counted in | counted out |
//! |---|---|---|
//! | gort's own | by itself, first of all | by itself, before it says for the last time that it has nothing to do |
//! | one that waits in gort without a deadline | by itself, last of all before it sleeps | **by the one who wakes it**, before it is told |
//!
//! The one who wakes such a thread may be faster than the thread itself, which can be reached before it has counted
//! itself in (it must not be counted while it still lets others go on). Then the number is one too small
//! until it has; that is no harm.
//!
//! The two numbers cannot be read at one instant, hence [`Accounted::covers`]: the count, then the number of all
//! threads, then the count again. Each change of the count makes the word another, so two equal ones mean that it
//! stood still in between, also at the instant at which the threads were counted.
//!
//! What a thread did before it was counted in is seen by who reads a word with it in: all steps are sequentially
//! consistent. What a thread did that has ended is seen by who counts the threads without it; the kernel, on its
//! way out and on the way to the answer, passes barriers enough, and the reader has its own fence.

use super::atomic::{AtomicU64, Ordering, fence};

/// The upper half counts changes, the lower half threads.
const CHANGE: u64 = 1 << 32;

/// The word: see the file's comment.
pub(crate) struct Accounted {
    word: AtomicU64,
    #[cfg(loom)]
    bug: Bug,
}

/// A value of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen(u64);

/// What a model breaks.
#[cfg(loom)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    None,
    /// The count is not read again.
    NoSecondLook,
    /// The count is read when the threads have been counted.
    ThreadsFirst,
    /// The numbers alone are compared, not whether there was a change.
    NumbersOnly,
}

impl Seen {
    pub(crate) fn threads(self) -> u32 {
        self.0 as u32
    }
}

impl Accounted {
    #[cfg(not(loom))]
    pub(crate) const fn new() -> Self {
        Accounted { word: AtomicU64::new(0) }
    }

    #[cfg(loom)]
    pub(crate) fn new(bug: Bug) -> Self {
        Accounted { word: AtomicU64::new(0), bug }
    }

    /// Count a thread in.
    pub(crate) fn add(&self) {
        self.word.fetch_add(CHANGE + 1, Ordering::SeqCst);
    }

    /// Count a thread out.
    pub(crate) fn sub(&self) {
        // One change more and one thread less.
        self.word.fetch_add(CHANGE - 1, Ordering::SeqCst);
    }

    pub(crate) fn load(&self) -> Seen {
        Seen(self.word.load(Ordering::SeqCst))
    }

    /// In a forked child: there is one thread, and it is not ours.
    #[cfg(not(loom))]
    pub(crate) fn forget(&self) {
        self.word.store(0, Ordering::SeqCst);
    }

    /// Is every thread of the process accounted for, and does `quiet` hold, at one and the same instant?
    ///
    /// `threads` counts those of the process, each that exists in user space for certain, at some instant of
    /// its own. `quiet` is asked after that and must be such that from the said instant on only what it looks at
    /// could let anybody act.
    pub(crate) fn covers(&self, threads: impl FnOnce() -> Option<u32>, quiet: impl FnOnce() -> bool) -> bool {
        #[cfg(loom)]
        if self.bug == Bug::ThreadsFirst {
            let threads = threads();
            return threads == Some(self.load().threads()) && quiet();
        }
        let before = self.load();
        let all = threads();
        // The looks of `quiet` come after the counting.
        fence(Ordering::SeqCst);
        if all != Some(before.threads()) || !quiet() {
            return false;
        }
        #[cfg(loom)]
        match self.bug {
            Bug::NoSecondLook => return true,
            Bug::NumbersOnly => return self.load().threads() == before.threads(),
            _ => {}
        }
        self.load() == before
    }
}
