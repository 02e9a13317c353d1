//! `gort_rwmutex_t`: Go's read-write mutex, on the word of `state.rs` (whose tables say who does what) and one
//! queue of readers and writers.
//!
//! The one thing to know: **the mutex is always handed over, never left free for waiters to compete for.** That
//! gives Go's rules at once. A writer that waits is in the queue, and whoever finds somebody in the queue queues
//! too: so it holds off new readers. Unlock lets *all* readers in that have queued by then, those behind other
//! writers too, and only if there are none the next writer; the last reader to leave lets in who is first in the
//! queue. So neither readers nor writers starve. A writer whose deadline passes lets in the readers behind it,
//! up to the next writer.
//!
//! Since each unlock takes out all readers, those that are in the queue when the next comes have queued since:
//! they are found from its end, without a look at the thousands of writers that may stand before them.
//!
//! Rejected: to free it and let who is awake compete, as the mutex does. A free lock would have to keep readers
//! out while the writer that it belongs to wakes up.
//!
//! The claim decides: who has been let in holds the mutex, whatever its deadline says.

#[cfg(all(test, loom))]
mod model;
mod state;
#[cfg(all(test, not(loom)))]
mod tests;

#[cfg(loom)]
use super::knobs::{self, Bug};
use super::queue::WaitQueue;
use super::spin::may_spin;
use crate::fatal::fatal;
use crate::primitive::{Backoff, FOREVER, now, relax};
use crate::sched::WaitReason;
use crate::sched::wait::{Node, Queue, TIMED_OUT, Wait, WakeList};
use state::{Holders, State};
use std::ptr::{self, null_mut};

/// How often, and for how long each time, one who finds the mutex taken and nobody queued looks again.
const SPINS: u32 = 4;
const TURNS_PER_SPIN: u32 = 30;

/// What for the mutex is wanted. A waiter's node has it as its `id`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Read = 1,
    Write = 2,
}

/// All zero bytes: nobody holds it.
#[repr(C)]
pub(crate) struct RwMutex {
    state: State,
    queue: WaitQueue,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<RwMutex>() <= 16 && align_of::<RwMutex>() <= 8);

// SAFETY: the word is atomic, and the queue guarded by a bit of it.
unsafe impl Send for RwMutex {}
// SAFETY: as above.
unsafe impl Sync for RwMutex {}

impl RwMutex {
    #[cfg(test)]
    pub(crate) fn new() -> Self {
        RwMutex { state: State::new(), queue: WaitQueue::new() }
    }

    #[inline]
    pub(crate) fn rlock(&self) {
        if !self.state.join(&mut self.state.look()) {
            self.lock_slow(How::Read, FOREVER);
        }
    }

    /// False: a writer holds it or waits for it.
    #[inline]
    pub(crate) fn try_rlock(&self) -> bool {
        self.state.join(&mut self.state.look()) || self.try_slow(How::Read)
    }

    /// False: the deadline passed. Tries before it looks at the deadline.
    #[inline]
    pub(crate) fn rlock_until(&self, deadline: i64) -> bool {
        self.try_rlock() || (deadline == FOREVER || now() < deadline) && self.lock_slow(How::Read, deadline)
    }

    /// # Safety
    /// The mutex's memory may be gone when this returns, and so may whatever it guarded: the caller must not
    /// hold references to it that must stay valid. (`&self` need not: the type is all interior mutability.)
    #[inline]
    pub(crate) unsafe fn runlock(&self) {
        if !self.state.leave(&mut self.state.look()) {
            // SAFETY: the caller's promise.
            unsafe { self.runlock_slow() };
        }
    }

    #[inline]
    pub(crate) fn lock(&self) {
        if !self.state.take_free() {
            self.lock_slow(How::Write, FOREVER);
        }
    }

    /// False: somebody holds it.
    #[inline]
    pub(crate) fn try_lock(&self) -> bool {
        self.state.take_free() || self.try_slow(How::Write)
    }

    /// False: the deadline passed. Tries before it looks at the deadline.
    #[inline]
    pub(crate) fn lock_until(&self, deadline: i64) -> bool {
        self.try_lock() || (deadline == FOREVER || now() < deadline) && self.lock_slow(How::Write, deadline)
    }

    /// # Safety
    /// As for `runlock`.
    #[inline]
    pub(crate) unsafe fn unlock(&self) {
        if !self.state.free_lone() {
            // SAFETY: the caller's promise.
            unsafe { self.unlock_slow() };
        }
    }

    #[cold]
    fn try_slow(&self, how: How) -> bool {
        let mut backoff = Backoff::new();
        loop {
            let mut seen = self.state.look();
            if !seen.open_to(how) {
                return false;
            }
            if seen.queue_locked() {
                backoff.snooze();
                continue;
            }
            let taken = match how {
                How::Read => self.state.join(&mut seen),
                How::Write => self.state.take_free(),
            };
            if taken {
                return true;
            }
            check_readers(seen.readers());
        }
    }

    /// Lock although it could not be had just now. False: the deadline passed.
    #[cold]
    fn lock_slow(&self, how: How, deadline: i64) -> bool {
        let mut spins = 0;
        let mut backoff = Backoff::new();
        loop {
            let mut seen = self.state.look();
            if seen.open_to(how) {
                if self.try_slow(how) {
                    return true;
                }
            } else if spins < SPINS && !seen.has_waiters() && may_spin() {
                spins += 1;
                (0..TURNS_PER_SPIN).for_each(|_| relax());
            } else if seen.queue_locked() {
                backoff.snooze();
            } else if self.state.enter_queue(&mut seen, how) {
                break;
            }
        }

        let reason = match how {
            How::Read => WaitReason::RwMutexRLock,
            How::Write => WaitReason::RwMutexLock,
        };
        let mut wait = Wait::new(reason, false);
        wait.set_deadline(deadline);
        let mut node = Node::new(&wait, how as u32, null_mut());
        let node = &raw mut node;
        // SAFETY: `enter_queue` took the lock. The node stays in place until it was taken out (then it is
        // claimed, or dropped in favour of the timer) or, if we timed out, until `abandon`. `release` undoes
        // `enter_queue` and touches nothing else.
        unsafe {
            self.queue.with(|queue| queue.push_back(node));
            if wait.block(release, ptr::from_ref(self).cast_mut().cast()) != TIMED_OUT {
                return true;
            }
            self.abandon(node, how);
        }
        false
    }

    /// Take `node`, whose wait has timed out, out of the queue; if it was a writer's, let those in whom it alone
    /// held off.
    ///
    /// # Safety
    /// `node` was queued here by the caller, and is still in place.
    #[cold]
    unsafe fn abandon(&self, node: *mut Node, how: How) {
        let mut backoff = Backoff::new();
        let mut seen = self.state.look();
        while seen.queue_locked() || !self.state.lock_queue(&mut seen) {
            backoff.snooze();
            seen = self.state.look();
        }
        let mut holders = seen.holders();
        let mut woken = WakeList::new();
        // SAFETY: we hold the lock, and the node is live; it may have been dropped already. `pass_on` is the last
        // touch of the mutex.
        unsafe {
            let empty = self.queue.with(|queue| {
                if queue.unlink(node) && how == How::Read {
                    holders.queued_readers -= 1;
                }
                #[cfg(loom)]
                let held = holders.writer || knobs::is(Bug::LeaveSilently);
                #[cfg(not(loom))]
                let held = holders.writer;
                if !held {
                    let_in_first(queue, &mut holders, &mut woken);
                }
                queue.is_empty()
            });
            self.pass_on(&holders, empty, woken);
        }
    }

    /// # Safety
    /// As for `runlock`.
    #[cold]
    unsafe fn runlock_slow(&self) {
        let mut backoff = Backoff::new();
        let mut seen = self.state.look();
        loop {
            if seen.readers() == 0 {
                fatal(format_args!("sync: RUnlock of unlocked RWMutex"));
            }
            if seen.queue_locked() {
                backoff.snooze();
                seen = self.state.look();
            } else if seen.readers() == 1 && seen.has_waiters() {
                if self.state.lock_queue(&mut seen) {
                    break;
                }
            } else if self.state.leave(&mut seen) {
                return;
            }
        }
        let mut holders = seen.holders();
        holders.readers = 0;
        let mut woken = WakeList::new();
        // SAFETY: we hold the lock. `pass_on` is the last touch of the mutex.
        unsafe {
            let empty = self.queue.with(|queue| {
                let_in_first(queue, &mut holders, &mut woken);
                queue.is_empty()
            });
            self.pass_on(&holders, empty, woken);
        }
    }

    /// # Safety
    /// As for `unlock`.
    #[cold]
    unsafe fn unlock_slow(&self) {
        let mut backoff = Backoff::new();
        let mut seen = self.state.look();
        loop {
            if !seen.has_writer() {
                fatal(format_args!("sync: Unlock of unlocked RWMutex"));
            }
            if seen.queue_locked() {
                backoff.snooze();
                seen = self.state.look();
            } else if seen.has_waiters() {
                if self.state.lock_queue(&mut seen) {
                    break;
                }
            } else if self.state.free_lone() {
                return;
            } else {
                seen = self.state.look();
            }
        }
        let mut holders = seen.holders();
        holders.writer = false;
        let mut woken = WakeList::new();
        // SAFETY: we hold the lock. `pass_on` is the last touch of the mutex.
        unsafe {
            let empty = self.queue.with(|queue| {
                let_in_readers(queue, &mut holders, &mut woken);
                if holders.readers == 0 {
                    let_in_first(queue, &mut holders, &mut woken);
                }
                queue.is_empty()
            });
            self.pass_on(&holders, empty, woken);
        }
    }

    /// Unlock the queue, and wake those who hold the mutex from here on.
    ///
    /// # Safety
    /// The caller holds the queue's lock; `holders` and `empty` are true of it. The mutex's memory may be gone
    /// when this returns.
    unsafe fn pass_on(&self, holders: &Holders, empty: bool, woken: WakeList) {
        // SAFETY: those in the list are claimed, and `pass_on` is the last touch of the mutex.
        unsafe {
            #[cfg(loom)]
            if knobs::is(Bug::WakeThenLeave) {
                woken.wake();
                return self.state.pass_on(holders, empty);
            }
            self.state.pass_on(holders, empty);
            woken.wake();
        }
    }
}

impl Holders {
    fn count_reader(&mut self, let_in: bool) {
        if let_in {
            check_readers(self.readers);
            self.readers += 1;
        }
    }
}

/// Let in who is first in the queue: a writer if nobody holds the mutex, or all readers up to the next writer.
///
/// # Safety
/// The lock is held, and no writer holds the mutex. A node that goes to `woken` is claimed, so it and its wait
/// live until it is woken.
unsafe fn let_in_first(queue: &mut Queue, holders: &mut Holders, woken: &mut WakeList) {
    // SAFETY: queued nodes are live, and the lock is held.
    unsafe {
        while !queue.is_empty() && !holders.writer {
            let node = queue.head;
            let writer = is_writer(node);
            if writer && holders.readers > 0 {
                return;
            }
            queue.unlink(node);
            let claimed = (*(*node).wait).claim((*node).id);
            if writer {
                holders.writer = claimed;
            } else {
                holders.queued_readers -= 1;
                holders.count_reader(claimed);
            }
            if claimed {
                woken.push(node);
            }
        }
    }
}

/// Let in all readers in the queue, in their order.
///
/// # Safety
/// As for `let_in_first`.
unsafe fn let_in_readers(queue: &mut Queue, holders: &mut Holders, woken: &mut WakeList) {
    if holders.queued_readers == 0 {
        return;
    }
    // SAFETY: queued nodes are live, and the lock is held; as many as counted are readers' nodes.
    unsafe {
        let mut node = queue.tail;
        let mut further = holders.queued_readers - u32::from(!is_writer(node));
        while further > 0 {
            node = (*node).prev;
            further -= u32::from(!is_writer(node));
        }
        while holders.queued_readers > 0 {
            let next = queue.after(node);
            if !is_writer(node) {
                queue.unlink(node);
                holders.queued_readers -= 1;
                let claimed = (*(*node).wait).claim((*node).id);
                holders.count_reader(claimed);
                if claimed {
                    woken.push(node);
                }
            }
            node = next;
        }
    }
}

/// # Safety
/// `node` is live, and the lock of its queue held.
unsafe fn is_writer(node: *mut Node) -> bool {
    // SAFETY: the caller's promise.
    unsafe { (*node).id == How::Write as u32 }
}

/// The step that lets others see a queued node: see [`Wait::block`].
///
/// # Safety
/// `mutex` is a mutex whose `enter_queue` succeeded.
unsafe fn release(mutex: *mut ()) {
    // SAFETY: the one who waits cannot return before the queue is unlocked (if its timer woke it already, it
    // waits for just that); so the memory is there up to this step.
    unsafe { (*mutex.cast::<RwMutex>()).state.leave_queue() };
}

#[cold]
fn check_readers(readers: u32) {
    if readers == u32::MAX {
        fatal(format_args!("sync: too many readers of an RWMutex"));
    }
}
