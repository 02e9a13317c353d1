//! `gort_cond_t`: Go's condition variable, on the word of `state.rs` (whose tables say who does what) and a
//! queue.
//!
//! The one thing to know: a wait stands in the queue **before** it gives up the mutex. So whoever has held the
//! mutex since finds it there: a signal wakes the one that has waited longest, a broadcast all, and nobody is
//! woken by anything else but its deadline. Which of the two it was, the claim decides, once: a waiter that a
//! signal has claimed has consumed it and says so, however late it is; one that its deadline has claimed is
//! passed over by the signal, which then goes to the next.
//!
//! The memory may go once all waits have returned. So signal and broadcast touch the object for the last time
//! before they wake those they have claimed.
//!
//! Rejected: to move those whom a broadcast wakes to the mutex's queue straight away. It would tie the two
//! objects' locks together, and a goroutine that finds the mutex taken queues there in some 50 ns anyway.

#[cfg(all(test, loom))]
mod model;
mod state;
#[cfg(all(test, not(loom)))]
mod tests;

use super::Mutex;
#[cfg(loom)]
use super::knobs::{self, Bug};
use super::queue::WaitQueue;
use crate::primitive::{Backoff, FOREVER, now};
use crate::sched::WaitReason;
use crate::sched::wait::{Node, TIMED_OUT, Wait, WakeList};
use state::{Seen, State};
use std::ptr::null_mut;

/// All zero bytes: nobody waits.
#[repr(C)]
pub(crate) struct Cond {
    state: State,
    queue: WaitQueue,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Cond>() <= 16 && align_of::<Cond>() <= 8);

// SAFETY: the word is atomic, and the queue guarded by a bit of it.
unsafe impl Send for Cond {}
// SAFETY: as above.
unsafe impl Sync for Cond {}

/// What a wait gives up when it has left its stack.
struct Held {
    cond: *const Cond,
    mutex: *const Mutex,
}

impl Cond {
    #[cfg(test)]
    pub(crate) fn new() -> Self {
        Cond { state: State::new(), queue: WaitQueue::new() }
    }

    /// Unlock `mutex`, wait for a signal or a broadcast, lock `mutex`.
    ///
    /// # Safety
    /// The caller holds `mutex`, and must not hold references to what it guards. (An unlocked one is a fatal
    /// error as in unlock.) The condition variable stays in place until this returns.
    pub(crate) unsafe fn wait(&self, mutex: &Mutex) {
        // SAFETY: the caller's promise.
        unsafe { self.wait_until(mutex, FOREVER) };
    }

    /// False: the deadline passed; the mutex is locked all the same. One that has passed already: it stays so.
    ///
    /// # Safety
    /// As for `wait`.
    pub(crate) unsafe fn wait_until(&self, mutex: &Mutex, deadline: i64) -> bool {
        if deadline != FOREVER && passed(deadline) {
            return false;
        }
        #[cfg(loom)]
        if knobs::is(Bug::UnlockThenQueue) {
            // SAFETY: the caller's promise; `release` does not unlock it again.
            unsafe { mutex.unlock() };
        }
        let mut seen = self.state.look();
        while seen.locked() || !self.state.enter_queue(&mut seen) {
            seen = self.unless_locked();
        }

        let mut wait = Wait::new(WaitReason::CondWait, false);
        wait.set_deadline(deadline);
        let mut node = Node::new(&wait, 1, null_mut());
        let node = &raw mut node;
        let mut held = Held { cond: self, mutex };
        // SAFETY: `enter_queue` took the lock. The node stays in place until it was popped (then it is claimed,
        // or dropped in favour of the timer) or, if we timed out, until `abandon`; and so does `held`, which
        // `release` reads before it lets anybody else at the node.
        let signalled = unsafe {
            self.queue.with(|queue| queue.push_back(node));
            let signalled = wait.block(release, (&raw mut held).cast()) != TIMED_OUT;
            if !signalled {
                self.abandon(node);
            }
            #[cfg(loom)]
            let signalled = signalled && !(knobs::is(Bug::ForgetSignal) && deadline != FOREVER);
            signalled
        };
        mutex.lock();
        signalled
    }

    /// Wake the one that has waited longest. True: there was one.
    ///
    /// # Safety
    /// If all other waits have returned, the condition variable's memory may be gone when this returns. (`&self`
    /// need not stay valid: the type is all interior mutability.)
    #[inline]
    pub(crate) unsafe fn signal(&self) -> bool {
        // SAFETY: the caller's promise.
        self.state.look().has_waiters() && unsafe { self.wake(false) }
    }

    /// Wake all who wait.
    ///
    /// # Safety
    /// As for `signal`.
    #[inline]
    pub(crate) unsafe fn broadcast(&self) {
        if self.state.look().has_waiters() {
            // SAFETY: the caller's promise.
            unsafe { self.wake(true) };
        }
    }

    /// # Safety
    /// As for `signal`.
    #[cold]
    unsafe fn wake(&self, all: bool) -> bool {
        let mut seen = self.state.look();
        loop {
            if !seen.has_waiters() {
                return false;
            }
            if !seen.locked() && self.state.lock(&mut seen) {
                break;
            }
            seen = self.unless_locked();
        }
        let mut woken = WakeList::new();
        // SAFETY: we hold the lock. A popped node is claimed, so it and its wait live until we wake it.
        // `unlock` is the last touch of the object.
        unsafe {
            let (any, empty) = self.queue.with(|queue| {
                let mut any = false;
                loop {
                    let node = queue.pop();
                    if node.is_null() {
                        break;
                    }
                    woken.push(node);
                    any = true;
                    #[cfg(loom)]
                    let all = all && !knobs::is(Bug::WakeOne);
                    if !all {
                        break;
                    }
                }
                (any, queue.is_empty())
            });
            #[cfg(loom)]
            if knobs::is(Bug::WakeThenLeave) {
                woken.wake();
                self.state.unlock(empty);
                return any;
            }
            self.state.unlock(empty);
            woken.wake();
            any
        }
    }

    /// Take `node`, whose wait has timed out, out of the queue.
    ///
    /// # Safety
    /// `node` was queued here by the caller, and is still in place.
    #[cold]
    unsafe fn abandon(&self, node: *mut Node) {
        let mut seen = self.state.look();
        while seen.locked() || !self.state.lock(&mut seen) {
            seen = self.unless_locked();
        }
        // SAFETY: we hold the lock, and the node is live; a signal may have dropped it already.
        let empty = unsafe {
            self.queue.with(|queue| {
                queue.unlink(node);
                queue.is_empty()
            })
        };
        self.state.unlock(empty);
    }

    /// Wait for the few instructions that somebody is at the queue.
    fn unless_locked(&self) -> Seen {
        let mut backoff = Backoff::new();
        loop {
            let seen = self.state.look();
            if !seen.locked() {
                return seen;
            }
            backoff.snooze();
        }
    }
}

/// The step that lets others see a queued node, and gives up the mutex: see [`Wait::block`].
///
/// # Safety
/// `held` is a [`Held`] whose condition variable's `enter_queue` succeeded, and whose mutex is locked by the
/// one who waits.
unsafe fn release(held: *mut ()) {
    // SAFETY: `held` is on the waiter's stack, which stays until somebody is let at its node: read it first. The
    // waiter cannot return before the queue is unlocked and then the mutex; so both are there up to these steps.
    unsafe {
        let Held { cond, mutex } = held.cast::<Held>().read();
        (*cond).state.leave_queue();
        #[cfg(loom)]
        if knobs::is(Bug::UnlockThenQueue) {
            return;
        }
        (*mutex).unlock();
    }
}

#[cfg(not(loom))]
fn passed(deadline: i64) -> bool {
    now() >= deadline
}

/// The deadlines of models have passed, but only later, when the wait is queued.
#[cfg(loom)]
fn passed(_deadline: i64) -> bool {
    let _ = now;
    false
}
