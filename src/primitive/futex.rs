//! Sleeping on a 32-bit word (futex(2), private to the process).

use super::atomic::AtomicU32;

/// Sleep while `word` holds `expected`, until woken or until `deadline` (absolute, on [`super::now`];
/// [`super::FOREVER`]: no end). May return for no reason: the caller looks at its condition again.
#[cfg(not(loom))]
pub(crate) fn futex_wait(word: &AtomicU32, expected: u32, deadline: i64) {
    let ts = libc::timespec { tv_sec: deadline / 1_000_000_000, tv_nsec: deadline % 1_000_000_000 };
    let timeout = if deadline == super::FOREVER { std::ptr::null() } else { &raw const ts };
    // SAFETY: `word` is a live 32-bit atomic and `timeout` is null or a valid timespec, both for the whole
    // call. FUTEX_WAIT_BITSET takes an absolute CLOCK_MONOTONIC time; every result means "look again".
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT_BITSET | libc::FUTEX_PRIVATE_FLAG,
            expected,
            timeout,
            std::ptr::null::<u32>(),
            libc::FUTEX_BITSET_MATCH_ANY,
        )
    };
}

/// Wake up to `n` threads that sleep on the word at `word`. The address is only a key: the word's memory
/// may already belong to somebody else, who then sees one spurious wake-up.
#[cfg(not(loom))]
pub(crate) fn futex_wake(word: *const AtomicU32, n: i32) {
    // SAFETY: FUTEX_WAKE does not read the word; an address that is no longer mapped gives EFAULT.
    unsafe { libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG, n) };
}

#[cfg(loom)]
pub(crate) fn futex_wait(word: &AtomicU32, expected: u32, _deadline: i64) {
    if word.load(super::atomic::Ordering::Relaxed) == expected {
        loom::thread::yield_now();
    }
}

#[cfg(loom)]
pub(crate) fn futex_wake(_word: *const AtomicU32, _n: i32) {}
