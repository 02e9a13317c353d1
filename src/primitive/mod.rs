//! The bottom of the crate: atomics, two locks, futexes and the monotonic clock.
//!
//! The one thing to know: everything that a loom model must see goes through here. In earnest these are
//! `std`'s atomics and the kernel's futex; under `--cfg loom` they are loom's, and a futex wait is a yield
//! (a spurious wake-up, which every caller must stand anyway).

mod accounted;
#[cfg(not(loom))]
pub(crate) mod backtrace;
mod clock;
#[cfg(not(loom))]
mod errno;
mod futex;
#[cfg(not(loom))]
mod helper;
mod sleep_lock;
mod spin;
#[cfg(not(loom))]
mod threads;

pub(crate) use accounted::Accounted;
#[cfg(loom)]
pub(crate) use accounted::Bug as AccountedBug;
pub(crate) use clock::{FOREVER, now};
#[cfg(not(loom))]
pub(crate) use errno::{errno, set_errno};
pub(crate) use futex::{futex_wait, futex_wake};
#[cfg(not(loom))]
pub(crate) use helper::start_helper;
pub(crate) use sleep_lock::SleepLock;
pub(crate) use spin::{Backoff, SpinLock};
#[cfg(not(loom))]
pub(crate) use threads::{threads, threads_at_a_glance};

#[cfg(not(loom))]
pub(crate) use std::sync::atomic;

#[cfg(loom)]
pub(crate) use loom::sync::atomic;

/// The one of this process.
#[cfg(not(loom))]
pub(crate) static ACCOUNTED: Accounted = Accounted::new();

/// One turn of a busy wait.
#[inline]
pub(crate) fn relax() {
    #[cfg(not(loom))]
    std::hint::spin_loop();
    #[cfg(loom)]
    loom::thread::yield_now();
}
