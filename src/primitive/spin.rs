//! A spin lock for critical sections of a few instructions.
//!
//! The one thing to know: the unlock is one plain store and the *last* touch of the lock's memory, so the
//! object that holds the lock may be freed by whoever gets in next (the "Lifetime" rule of the ABI); and the
//! lock may be taken on one stack or thread and released on another (a park releases it on the scheduler's
//! stack). A lock with sleeping waiters could promise neither cheaply. Whoever spins for long gives up its
//! time slice, then sleeps for short, growing whiles, so a holder that lost its CPU gets it back even on one
//! core and under real-time priorities.

use super::atomic::{AtomicU32, Ordering};

#[derive(Default)]
pub(crate) struct SpinLock {
    /// 0 free, 1 held.
    held: AtomicU32,
}

impl SpinLock {
    #[cfg(not(loom))]
    pub(crate) const fn new() -> Self {
        SpinLock { held: AtomicU32::new(0) }
    }

    #[cfg(loom)]
    pub(crate) fn new() -> Self {
        SpinLock { held: AtomicU32::new(0) }
    }

    #[inline]
    pub(crate) fn lock(&self) {
        if !self.try_lock() {
            self.lock_slow();
        }
    }

    #[inline]
    pub(crate) fn try_lock(&self) -> bool {
        // Acquire pairs with the Release in `unlock`: what the last holder did is seen here.
        self.held.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// # Safety
    /// The caller holds the lock, or took it over from the one who locked it. After this call the lock's
    /// memory may be gone.
    #[inline]
    pub(crate) unsafe fn unlock(&self) {
        #[cfg(loom)]
        let word = &raw const self.held;
        self.held.store(0, Ordering::Release);
        #[cfg(loom)]
        super::futex_wake(word, i32::MAX);
    }

    /// In a model: the end of the lock's memory, which every access must have happened before.
    #[cfg(loom)]
    pub(crate) fn retire(&mut self) {
        self.held.with_mut(|_| ());
    }

    /// In a model whoever finds it held sleeps: see the comment in `futex.rs`.
    #[cfg(loom)]
    fn lock_slow(&self) {
        while !self.try_lock() {
            super::futex_wait(&self.held, 1, super::FOREVER);
        }
    }

    #[cfg(not(loom))]
    #[cold]
    fn lock_slow(&self) {
        let mut backoff = Backoff::new();
        loop {
            while self.held.load(Ordering::Relaxed) != 0 {
                backoff.snooze();
            }
            if self.try_lock() {
                return;
            }
        }
    }
}

/// How long to wait between two looks at a word that another thread is about to change.
pub(crate) struct Backoff {
    turns: u32,
}

impl Backoff {
    const SPINS: u32 = 60;
    const YIELDS: u32 = 70;

    pub(crate) fn new() -> Self {
        Backoff { turns: 0 }
    }

    pub(crate) fn snooze(&mut self) {
        self.turns += 1;
        #[cfg(loom)]
        super::relax();
        #[cfg(not(loom))]
        if self.turns < Self::SPINS {
            super::relax();
        } else if self.turns < Self::YIELDS {
            std::thread::yield_now();
        } else {
            // 20 us, growing to 1 ms: also lets a holder of lower real-time priority run.
            let micros = (20 * (self.turns - Self::YIELDS + 1)).min(1000);
            let errno = super::errno();
            std::thread::sleep(std::time::Duration::from_micros(micros.into()));
            super::set_errno(errno);
        }
    }
}
