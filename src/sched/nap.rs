//! How the monitor sleeps while there is nothing to monitor, and is woken.
//!
//! The one thing to know: both sides act under the idle lists' lock. The monitor lies down ([`Nap::lie_down`]) when it
//! finds, under that lock, that no processor is in use; whoever then takes one into use does so under the same lock, and
//! wakes it ([`Nap::rouse`]). So the one that comes second to the lock sees what the first has done: no processor is in
//! use while the monitor lies down and stays so. The price is a load for each processor that is taken, and a futex call
//! for each nap, of which there is at most one for each of the monitor's ticks.
//!
//! | `word` | meaning | moved there by |
//! |---|---|---|
//! | `AWAKE` | it ticks, or sleeps until its next tick | `rouse` |
//! | `ASLEEP` | it sleeps until it is woken | `lie_down` |

use crate::primitive::atomic::{AtomicU32, Ordering};
use crate::primitive::{FOREVER, futex_wait, futex_wake};

const AWAKE: u32 = 0;
const ASLEEP: u32 = 1;

pub(super) struct Nap {
    /// Futex.
    word: AtomicU32,
}

impl Nap {
    pub(super) fn new() -> Self {
        Nap { word: AtomicU32::new(AWAKE) }
    }

    /// A processor is taken into use. Under the idle lists' lock.
    #[inline]
    pub(super) fn rouse(&self) {
        // Relaxed: written under the lock that we hold.
        if self.word.load(Ordering::Relaxed) == ASLEEP {
            self.word.store(AWAKE, Ordering::Relaxed);
            futex_wake(&self.word, 1);
        }
    }

    /// No processor is in use. Under the idle lists' lock; then [`Nap::sleep`], without it.
    pub(super) fn lie_down(&self) {
        self.word.store(ASLEEP, Ordering::Relaxed);
    }

    /// Sleep until roused.
    pub(super) fn sleep(&self) {
        // Relaxed: what the one that roused us has done is looked at under the lock, or is looked at again.
        while self.word.load(Ordering::Relaxed) == ASLEEP {
            futex_wait(&self.word, ASLEEP, FOREVER);
        }
    }

    /// Sleep until `deadline`; may return early.
    #[cfg(not(loom))]
    pub(super) fn pause(&self, deadline: i64) {
        futex_wait(&self.word, AWAKE, deadline);
    }
}
