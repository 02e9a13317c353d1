//! Sleeping on a 32-bit word (futex(2), private to the process).

use super::atomic::AtomicU32;

/// Sleep while `word` holds `expected`, until woken or until `deadline` (absolute, on [`super::now`];
/// [`super::FOREVER`]: no end). May return for no reason: the caller looks at its condition again.
#[cfg(not(loom))]
pub(crate) fn futex_wait(word: &AtomicU32, expected: u32, deadline: i64) {
    let errno = super::errno();
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
    super::set_errno(errno);
}

/// Wake up to `n` threads that sleep on the word at `word`. The address is only a key: the word's memory
/// may already belong to somebody else, who then sees one spurious wake-up.
#[cfg(not(loom))]
pub(crate) fn futex_wake(word: *const AtomicU32, n: i32) {
    let errno = super::errno();
    // SAFETY: FUTEX_WAKE does not read the word; an address that is no longer mapped gives EFAULT.
    unsafe { libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG, n) };
    super::set_errno(errno);
}

#[cfg(loom)]
pub(crate) use sleepers::{futex_wait, futex_wake};

/// The kernel's half, for models. A sleeper without a deadline is really blocked: loom need not try all the
/// orders in which threads that only wait could take turns, which has no end with three of them, and reports a
/// lost wake-up as a deadlock. One with a deadline looks again after a while, and sees by its clock that time
/// has passed.
#[cfg(loom)]
mod sleepers {
    use super::super::atomic::{AtomicU32, Ordering};
    use loom::thread::{self, Thread};
    use std::cell::RefCell;

    // All of a model's threads run in one thread of the process.
    std::thread_local! {
        static SLEEPERS: RefCell<Vec<(*const AtomicU32, Thread)>> = const { RefCell::new(Vec::new()) };
    }

    pub(crate) fn futex_wait(word: &AtomicU32, expected: u32, deadline: i64) {
        // As the kernel, which compares under a lock that the waker takes too, it must see the latest value:
        // only a read-modify-write does, and one that fails changes nothing. From here to `park` no other
        // thread of the model runs.
        if word.compare_exchange(!expected, !expected, Ordering::Relaxed, Ordering::Relaxed) != Err(expected)
        {
            return;
        }
        if deadline != crate::primitive::FOREVER {
            return thread::yield_now();
        }
        SLEEPERS.with_borrow_mut(|sleepers| sleepers.push((word, thread::current())));
        thread::park();
    }

    pub(crate) fn futex_wake(word: *const AtomicU32, n: i32) {
        for _ in 0..n {
            let first = SLEEPERS.with_borrow_mut(|sleepers| {
                let at = sleepers.iter().position(|(of, _)| *of == word)?;
                Some(sleepers.remove(at).1)
            });
            match first {
                Some(thread) => thread.unpark(),
                None => return,
            }
        }
    }
}
