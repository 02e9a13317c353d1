//! Waking a worker that sleeps for the epoll set: an eventfd of its own.
//!
//! The one thing to know: the bell is *not* in the epoll set, where another thread that polls could take its event away.
//! The worker sleeps in ppoll(2) on two descriptors, the set and its bell, so what is rung for it stays until it has
//! heard it. A bell is never closed, only passed on: whoever rings it may come late, when the worker that it was for has
//! gone, and must not write to what the number has become by then. To whoever has it then, it says "look again" for
//! nothing.

use crate::primitive::SpinLock;
use crate::primitive::{errno, set_errno};
use std::cell::UnsafeCell;

/// A bell that nobody else has. Goes back when dropped.
pub(in crate::sched) struct Bell(i32);

/// All bells.
struct Bells {
    lock: SpinLock,
    /// Guarded by `lock`: every bell that was ever made, and those that nobody has.
    lists: UnsafeCell<(Vec<i32>, Vec<i32>)>,
}

// SAFETY: the lists are touched under the lock only.
unsafe impl Sync for Bells {}

static BELLS: Bells = Bells { lock: SpinLock::new(), lists: UnsafeCell::new((Vec::new(), Vec::new())) };

fn with_lists<T>(f: impl FnOnce(&mut Vec<i32>, &mut Vec<i32>) -> T) -> T {
    BELLS.lock.lock();
    // SAFETY: locked.
    unsafe {
        let (all, free) = &mut *BELLS.lists.get();
        let result = f(all, free);
        BELLS.lock.unlock();
        result
    }
}

impl Bell {
    /// `None`: no descriptor, or no memory, is to be had.
    pub(in crate::sched) fn new() -> Option<Bell> {
        if let Some(fd) = with_lists(|_, free| free.pop()) {
            return Some(Bell(fd));
        }
        // SAFETY: no preconditions.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return None;
        }
        let noted = with_lists(|all, free| {
            // Room to give it back, too.
            let noted = all.try_reserve(1).is_ok() && free.try_reserve(all.len() + 1).is_ok();
            if noted {
                all.push(fd);
            }
            noted
        });
        if !noted {
            // SAFETY: ours, and nobody else knows it.
            unsafe { libc::syscall(libc::SYS_close, fd) };
            return None;
        }
        Some(Bell(fd))
    }

    pub(in crate::sched) fn number(&self) -> i32 {
        self.0
    }

    /// What was rung so far is heard.
    pub(super) fn hear(&self) {
        let mut count = 0_u64;
        // SAFETY: an eventfd of ours that does not block; 8 bytes to write to.
        unsafe { libc::syscall(libc::SYS_read, self.0, &raw mut count, 8) };
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        with_lists(|_, free| free.push(self.0));
    }
}

/// Ring the bell with this number.
pub(in crate::sched) fn ring(bell: i32) {
    let saved = errno();
    let one = 1_u64;
    // SAFETY: bells are never closed; 8 bytes to read. It does not block: full, it is rung already.
    unsafe { libc::syscall(libc::SYS_write, bell, &raw const one, 8) };
    set_errno(saved);
}

/// Before a fork: nobody changes the lists until [`unlock`].
pub(super) fn lock() {
    BELLS.lock.lock();
}

/// # Safety
/// This thread, or the one it is the copy of, has called [`lock`].
pub(super) unsafe fn unlock() {
    // SAFETY: the caller's promise.
    unsafe { BELLS.lock.unlock() };
}

/// In a forked child: the parent's bells are not ours to ring, or to hear.
///
/// # Safety
/// As for [`unlock`], which is to be called after this.
pub(super) unsafe fn forget() {
    // SAFETY: locked; the descriptors are this process's copies.
    unsafe {
        let (all, free) = &mut *BELLS.lists.get();
        for bell in all.drain(..) {
            libc::syscall(libc::SYS_close, bell);
        }
        free.clear();
    }
}
