//! Looking again from time to time, while what is waited for cannot be seen to happen.
//!
//! The one thing to know: a thread of the host's that may act suppresses the report of a deadlock, and nobody
//! tells us when such a thread ends. So whoever finds the goroutines at rest but such a thread in the process
//! [`Poll::ask`]s the thread in `gort_main` to look again: after 50 us, then after twice as long each time, up to
//! a second. When for such a second nobody has asked, it goes back to sleep without a time-out.
//!
//! | bits | meaning | moved there by |
//! |---|---|---|
//! | none | the thread sleeps for ever | `stop`, from `ON` |
//! | `ON` | it sleeps until its next look, and stops after a long one if it stays so | `take`, before its look |
//! | `ON`, `ASKED` | it sleeps until its next look | `ask`; from none: it must be woken |
//!
//! What was done before an `ask` is seen by the look after the `take` that sees it, or by the one who is woken.

use crate::primitive::atomic::{AtomicU32, Ordering};

pub(crate) struct Poll(AtomicU32);

const ON: u32 = 1;
const ASKED: u32 = 2;

/// First and longest interval between two looks, ns.
pub(crate) const FIRST: i64 = 50_000;
pub(crate) const LONGEST: i64 = 1_000_000_000;

impl Poll {
    #[cfg(not(loom))]
    pub(crate) const fn new() -> Self {
        Poll(AtomicU32::new(0))
    }

    #[cfg(loom)]
    pub(crate) fn new() -> Self {
        Poll(AtomicU32::new(0))
    }

    /// Have the thread look again. True: it must be woken.
    pub(crate) fn ask(&self) -> bool {
        self.0.fetch_or(ON | ASKED, Ordering::AcqRel) & ON == 0
    }

    /// Is it to look from time to time?
    pub(crate) fn is_on(&self) -> bool {
        self.0.load(Ordering::Acquire) & ON != 0
    }

    /// Has anybody asked since this was last called?
    pub(crate) fn take(&self) -> bool {
        self.0.fetch_and(!ASKED, Ordering::AcqRel) & ASKED != 0
    }

    /// Nobody has asked for long: stop. False: somebody just has.
    pub(crate) fn stop(&self) -> bool {
        self.0.compare_exchange(ON, 0, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// For a model: whether or not somebody has asked.
    #[cfg(loom)]
    pub(crate) fn stop_blindly(&self) -> bool {
        self.0.store(0, Ordering::Release);
        true
    }

    /// There is nobody to ask any more, or not yet.
    #[cfg(not(loom))]
    pub(crate) fn forget(&self) {
        self.0.store(0, Ordering::Release);
    }
}
