//! `gort_waitgroup_t`: Go's wait group, on the word of `state.rs` (whose tables say who does what) and a queue.
//!
//! The one thing to know: the memory belongs to the waiters. The last `done` is over, for everybody who may be
//! watching, with the step that makes the counter zero: a waiter, or one that comes just then and need not
//! wait, may free the object while that `done` is still waking others. So it claims all waiters into a list of
//! its own first, makes the word zero, and touches only the list afterwards.
//!
//! It may be used again as soon as a wait has returned; waiters of the wave before are in no queue any more.

#[cfg(all(test, loom))]
mod model;
mod state;
#[cfg(all(test, not(loom)))]
mod tests;

#[cfg(loom)]
use super::knobs::{self, Bug};
use super::queue::WaitQueue;
use crate::panic::panic;
use crate::primitive::{Backoff, FOREVER, now};
use crate::sched::WaitReason;
use crate::sched::wait::{Node, TIMED_OUT, Wait, WakeList};
use state::{Seen, State};
use std::ptr::{self, null_mut};

/// All zero bytes: nothing counted.
#[repr(C)]
pub(crate) struct WaitGroup {
    state: State,
    queue: WaitQueue,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<WaitGroup>() <= 16 && align_of::<WaitGroup>() <= 8);

// SAFETY: the word is atomic, and the queue guarded by a bit of it.
unsafe impl Send for WaitGroup {}
// SAFETY: as above.
unsafe impl Sync for WaitGroup {}

impl WaitGroup {
    #[cfg(test)]
    pub(crate) fn new() -> Self {
        WaitGroup { state: State::new(), queue: WaitQueue::new() }
    }

    /// Add `delta` to the counter, and wake all waiters if that makes it zero. A counter below zero is a panic,
    /// as in Go; so is one above `i32::MAX`, where Go's wraps around.
    ///
    /// # Safety
    /// If the counter becomes zero, the wait group's memory may be gone when this returns. (`&self` need not
    /// stay valid: the type is all interior mutability.)
    #[inline]
    pub(crate) unsafe fn add(&self, delta: i64) {
        let mut seen = self.state.look();
        loop {
            let counter = seen.counter().saturating_add(delta);
            if !(0..=i64::from(i32::MAX)).contains(&counter) {
                out_of_range(counter);
            }
            if seen.locked() || counter == 0 && seen.has_waiters() {
                // SAFETY: the caller's promise.
                if unsafe { self.add_slow(&mut seen, counter == 0) } {
                    return;
                }
            } else if self.state.count(&mut seen, counter) {
                return;
            }
        }
    }

    /// [`WaitGroup::add`] of -1.
    ///
    /// # Safety
    /// As for `add`.
    #[inline]
    pub(crate) unsafe fn done(&self) {
        // SAFETY: the caller's promise.
        unsafe { self.add(-1) };
    }

    /// Wait until the counter is zero.
    #[inline]
    pub(crate) fn wait(&self) {
        if !self.state.look().is_zero() {
            self.wait_slow(FOREVER);
        }
    }

    /// False: the deadline passed. Looks at the counter first.
    #[inline]
    pub(crate) fn wait_until(&self, deadline: i64) -> bool {
        self.state.look().is_zero() || self.wait_slow(deadline)
    }

    /// The counter is to become zero and somebody waits, or somebody is at the queue. True: the counter is zero
    /// and all are woken. False: look again.
    ///
    /// # Safety
    /// As for `add`.
    #[cold]
    unsafe fn add_slow(&self, seen: &mut Seen, to_zero: bool) -> bool {
        if seen.locked() {
            *seen = self.locked_by_another();
            return false;
        }
        debug_assert!(to_zero && seen.has_waiters());
        if !self.state.lock(seen) {
            return false;
        }
        let mut woken = WakeList::new();
        // SAFETY: we hold the lock. A popped node is claimed, so it and its wait live until we wake it.
        // `become_zero` is the last touch of the wait group.
        unsafe {
            self.queue.with(|queue| {
                loop {
                    let node = queue.pop();
                    if node.is_null() {
                        break;
                    }
                    woken.push(node);
                }
            });
            #[cfg(loom)]
            if knobs::is(Bug::WakeThenZero) {
                woken.wake();
                self.state.become_zero();
                return true;
            }
            self.state.become_zero();
            woken.wake();
        }
        true
    }

    #[cold]
    fn wait_slow(&self, deadline: i64) -> bool {
        let mut seen = self.state.look();
        let mut looked_at_clock = deadline == FOREVER;
        loop {
            if seen.is_zero() {
                return true;
            }
            if seen.locked() {
                seen = self.locked_by_another();
                continue;
            }
            if !looked_at_clock {
                looked_at_clock = true;
                if passed(deadline) {
                    return false;
                }
            }
            if self.state.enter_queue(&mut seen) {
                break;
            }
        }

        let mut wait = Wait::new(WaitReason::WaitGroupWait, false);
        wait.set_deadline(deadline);
        let mut node = Node::new(&wait, 1, null_mut());
        let node = &raw mut node;
        // SAFETY: `enter_queue` took the lock. The node stays in place until it was popped (then it is claimed,
        // or dropped in favour of the timer) or, if we timed out, until `abandon`. `release` undoes
        // `enter_queue` and touches nothing else.
        unsafe {
            self.queue.with(|queue| queue.push_back(node));
            if wait.block(release, ptr::from_ref(self).cast_mut().cast()) != TIMED_OUT {
                // The counter was zero. The object may be gone.
                return true;
            }
            self.abandon(node);
        }
        false
    }

    /// Take `node`, whose wait has timed out, out of the queue.
    ///
    /// # Safety
    /// `node` was queued here by the caller, and is still in place.
    #[cold]
    unsafe fn abandon(&self, node: *mut Node) {
        let mut seen = self.state.look();
        while seen.locked() || !self.state.lock(&mut seen) {
            seen = self.locked_by_another();
        }
        // SAFETY: we hold the lock, and the node is live; the last `done` may have dropped it already.
        let empty = unsafe {
            self.queue.with(|queue| {
                queue.unlink(node);
                queue.is_empty()
            })
        };
        self.state.unlock(empty);
    }

    /// Wait for the few instructions that somebody is at the queue.
    fn locked_by_another(&self) -> Seen {
        let mut backoff = Backoff::new();
        loop {
            backoff.snooze();
            let seen = self.state.look();
            if !seen.locked() {
                return seen;
            }
        }
    }
}

/// The step that lets others see a queued node: see [`Wait::block`].
///
/// # Safety
/// `group` is a wait group whose `enter_queue` succeeded.
unsafe fn release(group: *mut ()) {
    // SAFETY: while the lock is held the counter cannot become zero, and the one who waits cannot return (if its
    // timer woke it already, it waits for the lock); so the memory is there up to this step.
    unsafe { (*group.cast::<WaitGroup>()).state.leave_queue() };
}

#[cold]
fn out_of_range(counter: i64) -> ! {
    if counter < 0 {
        panic(format_args!("sync: negative WaitGroup counter"));
    }
    panic(format_args!("sync: WaitGroup counter overflow"));
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
