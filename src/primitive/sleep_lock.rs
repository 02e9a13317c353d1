//! A lock whose waiters sleep, for critical sections that thousands of threads may want at the same time.
//!
//! The one thing to know: it has the manners of [`super::SpinLock`]. The unlock is one atomic step and the *last* touch
//! of the lock's memory (what may follow it, a wake-up, only names the address), so whoever gets in next may free the
//! object that holds it; and it may be given back on another stack or thread than it was taken on. What it costs more is
//! a locked instruction at each unlock. What it spares: of a crowd that wants a spin lock while its holder has lost the CPU,
//! all are runnable again and again, and the holder waits behind them.
//!
//! | word | meaning | left for |
//! |---|---|---|
//! | `FREE` | nobody holds it | `HELD` by who finds it so; `WANTED` by who has slept, or is about to |
//! | `HELD` | held, and nobody sleeps | `WANTED` by who wants it; `FREE` by the holder |
//! | `WANTED` | held, and somebody may sleep | `FREE` by the holder, who then wakes one |
//!
//! (The third mutex of Drepper's "Futexes Are Tricky".) No wake-up is lost: whoever sleeps has left `WANTED` there, and the
//! kernel compares under its own lock; whoever is woken takes the lock as `WANTED`, since others may sleep that he knows
//! nothing of.

use super::atomic::{AtomicU32, Ordering};
use super::{FOREVER, futex_wait, futex_wake};

const FREE: u32 = 0;
const HELD: u32 = 1;
const WANTED: u32 = 2;

/// Looks before the first sleep: the sections are short.
#[cfg(not(loom))]
const SPINS: u32 = 40;

pub(crate) struct SleepLock {
    word: AtomicU32,
}

impl SleepLock {
    pub(crate) fn new() -> Self {
        SleepLock { word: AtomicU32::new(FREE) }
    }

    #[inline]
    pub(crate) fn lock(&self) {
        // Acquire, here and below, pairs with the Release in `unlock`: what the last holder did is seen here.
        if self.word.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).is_err() {
            self.lock_slow();
        }
    }

    #[cold]
    fn lock_slow(&self) {
        #[cfg(not(loom))]
        for _ in 0..SPINS {
            let word = self.word.load(Ordering::Relaxed);
            if word == FREE
                && self.word.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).is_ok()
            {
                return;
            }
            if word == WANTED {
                break;
            }
            super::relax();
        }
        while self.word.swap(WANTED, Ordering::Acquire) != FREE {
            futex_wait(&self.word, WANTED, FOREVER);
        }
    }

    /// # Safety
    /// The caller holds the lock, or took it over from the one who locked it. After this call the lock's memory may be
    /// gone.
    #[inline]
    pub(crate) unsafe fn unlock(&self) {
        let word = &raw const self.word;
        if self.word.swap(FREE, Ordering::Release) == WANTED {
            // The address alone is used: see `futex_wake`.
            futex_wake(word, 1);
        }
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::*;
    use loom::thread;

    struct Guarded {
        lock: SleepLock,
        /// Read and written apart, under the lock only: what the last holder wrote is lost if it is not seen.
        count: AtomicU32,
    }

    fn add(guarded: &Guarded, unlock: fn(&SleepLock)) {
        guarded.lock.lock();
        let count = guarded.count.load(Ordering::Relaxed);
        guarded.count.store(count + 1, Ordering::Relaxed);
        unlock(&guarded.lock);
    }

    fn three(unlock: fn(&SleepLock)) {
        loom::model(move || {
            // Never freed: a model that ends in a deadlock must not free anything of loom's.
            let guarded: &'static Guarded =
                Box::leak(Box::new(Guarded { lock: SleepLock::new(), count: AtomicU32::new(0) }));
            let others = [0, 1].map(|_| thread::spawn(move || add(guarded, unlock)));
            add(guarded, unlock);
            for other in others {
                other.join().unwrap();
            }
            assert_eq!(guarded.count.load(Ordering::Relaxed), 3);
        });
    }

    #[test]
    fn model_sleep_lock_is_held_by_one_and_nobody_sleeps_on() {
        // SAFETY: held.
        three(|lock| unsafe { lock.unlock() });
    }

    #[test]
    #[should_panic]
    fn model_sleep_lock_given_back_relaxed_does_not_guard() {
        three(|lock| {
            if lock.word.swap(FREE, Ordering::Relaxed) == WANTED {
                futex_wake(&raw const lock.word, 1);
            }
        });
    }

    #[test]
    #[should_panic]
    fn model_sleep_lock_given_back_without_a_wake_up_leaves_somebody_asleep() {
        three(|lock| lock.word.store(FREE, Ordering::Release));
    }
}
