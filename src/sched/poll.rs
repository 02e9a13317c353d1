//! Looking again from time to time, while what is waited for cannot be seen to happen.
//!
//! The one thing to know: a thread of the host's that may act suppresses the report of a deadlock, and nobody
//! tells us when such a thread ends. So whoever finds the goroutines at rest but such a thread in the process
//! [`Poll::ask`]s the thread in `gort_main` to look again: after 50 us, then after twice as long each time, up to
//! a second. When for such a second nobody has asked, it goes back to sleep without a time-out.
//!
//! | `on` | `asked` | |
//! |---|---|---|
//! | no | no | the thread sleeps for ever |
//! | no | yes | somebody has asked and is about to wake it, or it is about to look whether it was asked |
//! | yes | no | it sleeps until its next look, and stops after a long one if it stays so |
//! | yes | yes | it sleeps until its next look |
//!
//! No request is lost: who asks sets `asked`, then reads `on`; who stops clears `on`, then reads `asked`; all
//! sequentially consistent, so at least one sees the other.

use crate::primitive::atomic::{AtomicBool, Ordering, fence};

pub(crate) struct Poll {
    on: AtomicBool,
    asked: AtomicBool,
}

/// First and longest interval between two looks, ns.
pub(crate) const FIRST: i64 = 50_000;
pub(crate) const LONGEST: i64 = 1_000_000_000;

impl Poll {
    #[cfg(not(loom))]
    pub(crate) const fn new() -> Self {
        Poll { on: AtomicBool::new(false), asked: AtomicBool::new(false) }
    }

    #[cfg(loom)]
    pub(crate) fn new() -> Self {
        Poll { on: AtomicBool::new(false), asked: AtomicBool::new(false) }
    }

    /// Have the thread look again. True: it must be woken.
    pub(crate) fn ask(&self) -> bool {
        self.asked.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        !self.on.load(Ordering::SeqCst) && !self.on.swap(true, Ordering::SeqCst)
    }

    /// Is it to look from time to time?
    pub(crate) fn is_on(&self) -> bool {
        self.on.load(Ordering::SeqCst)
    }

    /// Has anybody asked since this was last called?
    pub(crate) fn take(&self) -> bool {
        self.asked.swap(false, Ordering::SeqCst)
    }

    /// Nobody has asked for long: stop. False: somebody just has.
    pub(crate) fn stop(&self) -> bool {
        self.on.store(false, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if !self.asked.load(Ordering::SeqCst) {
            return true;
        }
        // Who asked may be about to wake us, which does no harm.
        self.on.store(true, Ordering::SeqCst);
        false
    }

    /// There is nobody to ask any more, or not yet.
    #[cfg(not(loom))]
    pub(crate) fn forget(&self) {
        self.on.store(false, Ordering::SeqCst);
        self.asked.store(false, Ordering::SeqCst);
    }
}
