//! `gort_sem_t`: a weighted semaphore, on the word of `state.rs` (whose tables say who does what) and a queue.
//!
//! The one thing to know: **first come, first served, by weight.** Whoever finds somebody in the queue queues
//! too, even if there are permits enough for it: or one who wants many would wait for ever behind those who
//! want few. Release gives the permits away itself, to the first in the queue and those behind it, up to one
//! who wants more than there is left; who is woken has its permits. One that gives up may have held up those
//! behind it, and gives them what there is before it goes.
//!
//! The claim decides: who has been given its permits has them, whatever its deadline says.

#[cfg(all(test, loom))]
mod model;
mod state;
#[cfg(all(test, not(loom)))]
mod tests;

#[cfg(loom)]
use super::knobs::{self, Bug};
use super::queue::WaitQueue;
use crate::fatal::fatal;
use crate::primitive::{Backoff, FOREVER, now};
use crate::sched::WaitReason;
use crate::sched::wait::{Node, Queue, TIMED_OUT, Wait, WakeList};
pub(crate) use state::MOST;
use state::{Seen, State};
use std::ptr;

/// All zero bytes: no permits.
#[repr(C)]
pub(crate) struct Semaphore {
    state: State,
    queue: WaitQueue,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Semaphore>() <= 16 && align_of::<Semaphore>() <= 8);

// SAFETY: the word is atomic, and the queue guarded by a bit of it.
unsafe impl Send for Semaphore {}
// SAFETY: as above.
unsafe impl Sync for Semaphore {}

impl Semaphore {
    /// With so many permits, 0..=[`MOST`].
    #[cfg(any(test, not(loom)))]
    pub(crate) fn new(permits: i64) -> Self {
        Semaphore { state: State::new(permits), queue: WaitQueue::new() }
    }

    /// Take `n` permits, at least 1; wait until there are so many and nobody has waited longer.
    #[inline]
    pub(crate) fn acquire(&self, n: i64) {
        if !self.try_acquire(n) {
            self.acquire_slow(n, FOREVER);
        }
    }

    /// False: there are fewer, or somebody waits.
    #[inline]
    pub(crate) fn try_acquire(&self, n: i64) -> bool {
        let mut seen = self.state.look();
        while seen.open_to(n) {
            if seen.locked() {
                seen = self.locked_by_another();
            } else if self.state.take(&mut seen, n) {
                return true;
            }
        }
        false
    }

    /// False: the deadline passed. Tries before it looks at the deadline.
    #[inline]
    pub(crate) fn acquire_until(&self, n: i64, deadline: i64) -> bool {
        self.try_acquire(n) || (deadline == FOREVER || now() < deadline) && self.acquire_slow(n, deadline)
    }

    /// Give `n` permits, at least 1, whether the caller has taken them or not.
    ///
    /// # Safety
    /// If somebody takes them, the memory may be gone when this returns. (`&self` need not stay valid: the type
    /// is all interior mutability.)
    #[inline]
    pub(crate) unsafe fn release(&self, n: i64) {
        let mut seen = self.state.look();
        loop {
            if n > MOST - seen.permits() {
                fatal(format_args!("sync: too many permits in a semaphore"));
            }
            if seen.locked() {
                seen = self.locked_by_another();
            } else if seen.has_waiters() {
                if self.state.lock(&mut seen) {
                    break;
                }
            } else if self.state.give(&mut seen, n) {
                return;
            }
        }
        // SAFETY: we hold the lock; the caller's promise.
        unsafe { self.pass_on(seen.permits() + n, ptr::null_mut()) };
    }

    /// Wait although there were not enough permits just now. False: the deadline passed.
    #[cold]
    fn acquire_slow(&self, n: i64, deadline: i64) -> bool {
        let mut seen = self.state.look();
        loop {
            if seen.locked() {
                seen = self.locked_by_another();
            } else if seen.open_to(n) {
                if self.state.take(&mut seen, n) {
                    return true;
                }
            } else if self.state.enter_queue(&mut seen) {
                break;
            }
        }

        let mut wait = Wait::new(WaitReason::Semacquire, false);
        wait.set_deadline(deadline);
        let mut wanted = n;
        let mut node = Node::new(&wait, 1, (&raw mut wanted).cast());
        let node = &raw mut node;
        // SAFETY: `enter_queue` took the lock. The node, and the number that it points to, stay in place until
        // it was taken out (then it is claimed, or dropped in favour of the timer) or, if we timed out, until
        // `abandon`. `release` undoes `enter_queue` and touches nothing else.
        unsafe {
            self.queue.with(|queue| queue.push_back(node));
            if wait.block(release, ptr::from_ref(self).cast_mut().cast()) != TIMED_OUT {
                return true;
            }
            self.abandon(node);
        }
        false
    }

    /// Take `node`, whose wait has timed out, out of the queue, and let those go on whom it held up.
    ///
    /// # Safety
    /// `node` was queued here by the caller, and is still in place.
    #[cold]
    unsafe fn abandon(&self, node: *mut Node) {
        let mut seen = self.state.look();
        while seen.locked() || !self.state.lock(&mut seen) {
            seen = self.locked_by_another();
        }
        // SAFETY: we hold the lock, and the node is the caller's.
        unsafe { self.pass_on(seen.permits(), node) };
    }

    /// Take `leaver` out of the queue, unless it is null; give what can be given of `permits`; unlock.
    ///
    /// # Safety
    /// The caller holds the lock. `leaver` is live, and was queued here. The memory may be gone when this
    /// returns.
    #[cold]
    unsafe fn pass_on(&self, mut permits: i64, leaver: *mut Node) {
        let mut woken = WakeList::new();
        // SAFETY: we hold the lock. A node in the list is claimed, so it and its wait live until we wake it.
        // `State::pass_on` is the last touch of the semaphore.
        unsafe {
            let empty = self.queue.with(|queue| {
                if !leaver.is_null() {
                    queue.unlink(leaver);
                }
                #[cfg(loom)]
                if !leaver.is_null() && knobs::is(Bug::LeaveSilently) {
                    return queue.is_empty();
                }
                give(queue, &mut permits, &mut woken);
                queue.is_empty()
            });
            #[cfg(loom)]
            if knobs::is(Bug::WakeThenLeave) {
                woken.wake();
                return self.state.pass_on(permits, empty);
            }
            self.state.pass_on(permits, empty);
            woken.wake();
        }
    }

    /// Wait for the few instructions that somebody is at the queue.
    #[cold]
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

/// Give the permits to the first in the queue and those behind it, as far as they go.
///
/// # Safety
/// The lock is held. A node that goes to `woken` is claimed.
unsafe fn give(queue: &mut Queue, permits: &mut i64, woken: &mut WakeList) {
    while !queue.is_empty() {
        let node = queue.head;
        // SAFETY: queued nodes are live, with the number that they point to; the lock is held.
        unsafe {
            let wanted = (*node).elem.cast::<i64>().read();
            if wanted > *permits {
                return;
            }
            queue.unlink(node);
            if (*(*node).wait).claim((*node).id) {
                *permits -= wanted;
                woken.push(node);
            }
        }
    }
}

/// The step that lets others see a queued node: see [`Wait::block`].
///
/// # Safety
/// `sem` is a semaphore whose `enter_queue` succeeded.
unsafe fn release(sem: *mut ()) {
    // SAFETY: the one who waits cannot return before the queue is unlocked (if its timer woke it already, it
    // waits for just that); so the memory is there up to this step.
    unsafe { (*sem.cast::<Semaphore>()).state.leave_queue() };
}
