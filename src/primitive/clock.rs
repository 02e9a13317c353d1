//! The monotonic clock, in nanoseconds, that every deadline of gort is measured on.

/// No deadline: wait for ever (`GORT_FOREVER`).
pub(crate) const FOREVER: i64 = i64::MAX;

/// `CLOCK_MONOTONIC` in nanoseconds. Costs a vDSO call, about 25 ns: not for paths that need not wait.
#[cfg(not(loom))]
pub(crate) fn now() -> i64 {
    let mut ts = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `ts` is a valid place for the answer; CLOCK_MONOTONIC always exists, so the call cannot fail.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut ts) };
    ts.tv_sec * 1_000_000_000 + ts.tv_nsec
}

/// In a model each thread has a clock of its own, which goes on by 1 each time it is asked; so a model chooses
/// by its deadline how often a thread looks before its time is up, and every replay sees the same times.
#[cfg(loom)]
pub(crate) fn now() -> i64 {
    loom::thread_local! {
        static TICKS: std::cell::Cell<i64> = std::cell::Cell::new(0);
    }
    TICKS.with(|ticks| {
        ticks.set(ticks.get() + 1);
        ticks.get()
    })
}
