//! `gort_mutex_t`: Go's mutex, on the word of `state.rs` (whose tables say who does what) and a queue.
//!
//! As in Go there are two modes. In **normal mode** unlock frees the mutex and wakes the first waiter, which
//! then competes with whoever comes along: the newcomer is on a CPU already and mostly wins, which is fast. A
//! waiter that loses goes back to the front. If it has waited for a millisecond by then, the mutex goes into
//! **starvation mode**: unlock hands it to the first waiter directly, newcomers do not stand a chance and queue
//! at the end. A waiter that got it so and had waited for less than a millisecond, or was the last, ends the
//! mode.
//!
//! Rejected: to hand over always. Each hand-over to a parked waiter costs a switch while the mutex lies idle
//! (a "lock convoy"), where the running thread could have passed through it a hundred times.
//!
//! Whom unlock has chosen must not get lost. In starvation mode it holds the mutex, whatever its deadline says:
//! the claim decides, and a claimed lock is a success. In normal mode it tries once more; if the mutex is taken
//! and its deadline has passed, `give_up` withdraws `WOKEN` in the same step that sees `LOCKED`, so that the
//! holder's unlock wakes the next.

#[cfg(all(test, loom))]
mod model;
mod state;
#[cfg(all(test, not(loom)))]
mod tests;

#[cfg(loom)]
use super::knobs::{self, Bug};
use super::queue::WaitQueue;
use crate::fatal::fatal;
use crate::primitive::{Backoff, FOREVER, now, relax};
use crate::sched::WaitReason;
use crate::sched::wait::{Node, Order, TIMED_OUT, Wait};
use state::State;
use std::ptr::{self, null_mut};

/// How often, and for how long each time, one who finds the mutex taken looks again before it queues; as long as
/// the holder runs: one that is parked will not unlock before somebody has run who may be waiting for us.
const SPINS: u32 = 4;
const TURNS_PER_SPIN: u32 = 30;

/// A node's `status` if the mutex was handed over; 0 means "try again".
const HANDED_OVER: i32 = 1;

/// All zero bytes: unlocked.
#[repr(C)]
pub(crate) struct Mutex {
    state: State,
    queue: WaitQueue,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Mutex>() <= 16 && align_of::<Mutex>() <= 8);

// SAFETY: the word is atomic, and the queue guarded by a bit of it.
unsafe impl Send for Mutex {}
// SAFETY: as above.
unsafe impl Sync for Mutex {}

impl Mutex {
    #[cfg(test)]
    pub(crate) fn new() -> Self {
        Mutex { state: State::new(), queue: WaitQueue::new() }
    }

    #[inline]
    pub(crate) fn lock(&self) {
        if !self.state.take_free() {
            self.lock_slow(FOREVER);
        }
    }

    /// False: somebody holds it.
    #[inline]
    pub(crate) fn try_lock(&self) -> bool {
        self.state.take_free() || self.try_lock_slow()
    }

    /// False: the deadline passed. Tries before it looks at the deadline.
    #[inline]
    pub(crate) fn lock_until(&self, deadline: i64) -> bool {
        self.state.take_free()
            || self.try_lock_slow()
            || (deadline == FOREVER || now() < deadline) && self.lock_slow(deadline)
    }

    /// # Safety
    /// The mutex's memory may be gone when this returns, and so may whatever it guarded: the caller must not
    /// hold references to it that must stay valid. (`&self` need not: the type is all interior mutability.)
    #[inline]
    pub(crate) unsafe fn unlock(&self) {
        if !self.state.free_lone() {
            // SAFETY: the caller's promise.
            unsafe { self.unlock_slow() };
        }
    }

    #[cold]
    fn try_lock_slow(&self) -> bool {
        let mut seen = self.state.look();
        while !seen.locked() {
            if self.state.take(&mut seen, false) {
                return true;
            }
        }
        false
    }

    /// Lock although it was not free just now. False: the deadline passed.
    #[cold]
    fn lock_slow(&self, deadline: i64) -> bool {
        // When this call queued first; 0: it has not yet.
        let mut queued_at = 0;
        // `WOKEN` stands for this call.
        let mut awake = false;
        let mut starving = false;
        let mut spins = 0;
        let mut backoff = Backoff::new();
        let mut seen = self.state.look();
        loop {
            if !seen.locked() {
                if self.state.take(&mut seen, awake) {
                    return true;
                }
                continue;
            }
            if spins < SPINS && !seen.starving() && self.state.holder_runs() {
                awake = awake || seen.wants_waking() && self.state.stay_awake(&mut seen);
                spins += 1;
                (0..TURNS_PER_SPIN).for_each(|_| relax());
                seen = self.state.look();
                continue;
            }
            if awake && deadline != FOREVER && now() >= deadline {
                #[cfg(loom)]
                if knobs::is(Bug::KeepWoken) {
                    return false;
                }
                if self.state.give_up(&mut seen) {
                    return false;
                }
                continue;
            }
            if seen.queue_locked() {
                backoff.snooze();
                seen = self.state.look();
                continue;
            }
            let retry = queued_at != 0;
            if !retry {
                queued_at = now();
            }
            if !self.state.enter_queue(&mut seen, awake, starving) {
                continue;
            }

            let mut wait = Wait::new(WaitReason::MutexLock, false);
            wait.set_deadline(deadline);
            let mut node = Node::new(&wait, 1, null_mut());
            let node = &raw mut node;
            // SAFETY: `enter_queue` locked the queue. The node stays in place until it was popped (then it is
            // claimed, or dropped in favour of the timer) or, if we timed out, until `abandon`. `release` undoes
            // `enter_queue` and touches nothing else.
            let winner = unsafe {
                self.queue.with(|queue| if retry { queue.push_front(node) } else { queue.push_back(node) });
                wait.block(release, ptr::from_ref(self).cast_mut().cast())
            };
            if winner == TIMED_OUT {
                // SAFETY: it is our node, and may still be queued.
                unsafe { self.abandon(node) };
                return false;
            }
            let waited_long = now() - queued_at >= starving_after();
            // SAFETY: claimed and woken: the node is nobody's but ours, and the waker's writes are seen.
            if unsafe { (*node).status } == HANDED_OVER {
                self.state.received();
                if !waited_long {
                    self.state.stop_starving();
                }
                return true;
            }
            awake = true;
            starving = starving || waited_long;
            spins = 0;
            seen = self.state.look();
        }
    }

    /// Take `node`, whose wait has timed out, out of the queue.
    ///
    /// # Safety
    /// `node` was queued here by the caller, and is still in place.
    #[cold]
    unsafe fn abandon(&self, node: *mut Node) {
        let mut backoff = Backoff::new();
        let mut seen = self.state.look();
        while seen.queue_locked() || !self.state.lock_queue(&mut seen) {
            backoff.snooze();
            seen = self.state.look();
        }
        // SAFETY: we hold the queue's lock, and the node is live; unlock may have dropped it already.
        let empty = unsafe {
            self.queue.with(|queue| {
                queue.unlink(node);
                queue.is_empty()
            })
        };
        self.state.unlock_queue(empty);
    }

    /// # Safety
    /// As for `unlock`.
    #[cold]
    unsafe fn unlock_slow(&self) {
        let mut backoff = Backoff::new();
        let mut seen = self.state.look();
        loop {
            if !seen.locked() {
                fatal(format_args!("sync: unlock of unlocked mutex"));
            }
            if seen.nobody_to_wake() {
                if self.state.free_unattended(&mut seen) {
                    return;
                }
            } else if seen.queue_locked() {
                backoff.snooze();
                seen = self.state.look();
            } else if self.state.lock_queue(&mut seen) {
                break;
            }
        }
        // SAFETY: we hold the queue's lock. A popped node is claimed, so it and its wait live until we wake it.
        // The transitions are the last touch of the mutex.
        unsafe {
            let (node, empty) = self.queue.with(|queue| (queue.pop(), queue.is_empty()));
            if node.is_null() {
                self.state.free_unclaimed();
                return;
            }
            // `seen` is still right about starving: that bit changes only under the queue's lock or by the
            // holder of the mutex, and we are both.
            if seen.starving() {
                (*node).status = HANDED_OVER;
                self.state.hand_over(empty);
            } else {
                #[cfg(loom)]
                if knobs::is(Bug::FreeInTwoSteps) {
                    self.state.free_before_the_queue(empty);
                    Wait::wake((*node).wait, Order::Next);
                    return self.state.leave_queue();
                }
                self.state.free_and_wake(empty);
            }
            Wait::wake((*node).wait, Order::Next);
        }
    }
}

/// The step that lets others see a queued node: see [`Wait::block`].
///
/// # Safety
/// `mutex` is a mutex whose `enter_queue` succeeded.
unsafe fn release(mutex: *mut ()) {
    // SAFETY: the one who waits cannot return before the queue is unlocked (if its timer woke it already, it
    // waits for just that); so the memory is there up to this step.
    unsafe { (*mutex.cast::<Mutex>()).state.leave_queue() };
}

/// Go's figure: 1 ms.
#[cfg(not(loom))]
fn starving_after() -> i64 {
    1_000_000
}

#[cfg(loom)]
fn starving_after() -> i64 {
    knobs::get().starving_after
}
