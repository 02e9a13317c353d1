//! Who is in a descriptor: one word, and the queues of those who wait for their turn.
//!
//! | bits of the word | meaning | set by | cleared by |
//! |---|---|---|---|
//! | `CLOSED` | no call gets in any more | `close` | |
//! | `BUSY << d` | somebody has the turn of direction d | `take`, or the one who had it, for the next | `give_up` |
//! | `WAITED << d` | somebody may be queued for that turn | `take`, under the queue's lock | whoever finds the queue empty under that lock |
//! | `ONE` and above | how many are in it, those who wait for a turn included, and one more until it is closed | | |
//!
//! The one thing to know: whoever is counted keeps the number from being closed, and whoever counts down to zero closes
//! it. A turn is handed to the first in the queue, which was counted when it queued itself, so nobody passes it.
//!
//! A turn that is given up without a look at the queue was given up in a word without `WAITED`; and `WAITED` is set
//! only in a word with `BUSY`: both by one compare-exchange of the whole word, so nobody queues for a turn that is
//! free.

use crate::primitive::atomic::{AtomicI64, AtomicU64, Ordering};
use crate::primitive::{FOREVER, SpinLock, now};
use crate::sched::WaitReason;
use crate::sched::poller::Direction;
use crate::sched::wait::{Node, Order, Queue, TIMED_OUT, Wait, WakeList};
use std::cell::UnsafeCell;
use std::ptr::null_mut;

const CLOSED: u64 = 1;
const BUSY: u64 = 2;
const WAITED: u64 = 8;
const ONE: u64 = 32;

/// Why somebody does not get a turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refused {
    Closed,
    TimedOut,
}

/// What a waiter for a turn is told.
const YOURS: i32 = 1;
const LOOK: i32 = 2;

pub(super) struct Turns {
    word: AtomicU64,
    lines: [Line; 2],
    /// What a model breaks.
    #[cfg(loom)]
    pub(super) bug: Bug,
}

#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(loom), allow(dead_code))] // what a model breaks
pub(super) enum Bug {
    None,
    /// Who waits queues for the turn without a look whether it is taken still.
    QueueUnchecked,
    /// A turn is given up without a look whether somebody waits for it.
    GiveUpBlindly,
    /// A turn is given up with a relaxed operation.
    RelaxedGiveUp,
}

/// Those who wait for a turn of one direction.
struct Line {
    lock: SpinLock,
    /// Guarded by `lock`.
    queue: UnsafeCell<Queue>,
}

// SAFETY: the queues are touched under their locks only.
unsafe impl Sync for Turns {}
// SAFETY: nothing in it belongs to a thread.
unsafe impl Send for Turns {}

impl Line {
    fn new() -> Line {
        Line { lock: SpinLock::new(), queue: UnsafeCell::new(Queue::new()) }
    }
}

impl Turns {
    pub(super) fn new() -> Turns {
        Turns {
            word: AtomicU64::new(ONE),
            lines: [Line::new(), Line::new()],
            #[cfg(loom)]
            bug: Bug::None,
        }
    }

    #[cfg(not(loom))]
    #[inline(always)]
    fn is(&self, _: Bug) -> bool {
        false
    }

    #[cfg(loom)]
    fn is(&self, bug: Bug) -> bool {
        self.bug == bug
    }

    #[inline]
    pub(super) fn is_closed(&self) -> bool {
        self.word.load(Ordering::Acquire) & CLOSED != 0
    }

    /// Nobody gets in from now on. `None`: it was closed before. True: nobody is in it, and the caller is to close
    /// the number.
    pub(super) fn close(&self) -> Option<bool> {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            if word & CLOSED != 0 {
                return None;
            }
            // AcqRel: what those did who have left is seen here, and this by those who look after they were stirred.
            match self.word.compare_exchange(word, (word | CLOSED) - ONE, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => return Some(word < 2 * ONE),
                Err(now) => word = now,
            }
        }
    }

    /// Be counted, without a turn. False: it is closed.
    pub(super) fn enter(&self) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        while word & CLOSED == 0 {
            match self.word.compare_exchange(word, word + ONE, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    /// Be counted no more. True: it is closed, that was the last one, and the caller is to close the number.
    #[must_use]
    pub(super) fn leave(&self) -> bool {
        let before = self.word.fetch_sub(ONE, Ordering::AcqRel);
        before < 2 * ONE
    }

    /// Be counted, and have the turn of `direction`; waits for it until `deadline` has passed, which is looked at again
    /// whenever somebody [`Turns::stir`]s. `Err`: why not, and whether the caller is to close the number.
    #[inline]
    pub(super) fn take(&self, direction: Direction, deadline: &AtomicI64) -> Result<(), (Refused, bool)> {
        let busy = BUSY << direction as u32;
        let mut word = self.word.load(Ordering::Relaxed);
        while word & (CLOSED | busy) == 0 {
            match self.word.compare_exchange(word, (word | busy) + ONE, Ordering::Acquire, Ordering::Relaxed)
            {
                Ok(_) => return Ok(()),
                Err(now) => word = now,
            }
        }
        self.wait(direction, deadline)
    }

    #[cold]
    fn wait(&self, direction: Direction, deadline: &AtomicI64) -> Result<(), (Refused, bool)> {
        let (busy, waited) = (BUSY << direction as u32, WAITED << direction as u32);
        if !self.enter() {
            return Err((Refused::Closed, false));
        }
        let line = &self.lines[direction as usize];
        loop {
            line.lock.lock();
            let mut word = self.word.load(Ordering::Relaxed);
            let refused = loop {
                // Under the lock: who stirs has changed what it stirs for before it takes the lock.
                let until = deadline.load(Ordering::Relaxed);
                let next = if word & CLOSED != 0 {
                    break Some(Refused::Closed);
                } else if word & busy == 0 && !self.is(Bug::QueueUnchecked) {
                    word | busy
                } else if until != FOREVER && until <= now() {
                    break Some(Refused::TimedOut);
                } else {
                    word | waited
                };
                match self.word.compare_exchange(word, next, Ordering::Acquire, Ordering::Relaxed) {
                    Ok(_) if next & busy != word & busy => {
                        // SAFETY: locked above.
                        unsafe { line.lock.unlock() };
                        return Ok(());
                    }
                    Ok(_) => break None,
                    Err(now) => word = now,
                }
            };
            if let Some(why) = refused {
                // SAFETY: locked above.
                unsafe { line.lock.unlock() };
                return Err((why, self.leave()));
            }
            let mut wait = Wait::new(WaitReason::Io, false);
            let until = deadline.load(Ordering::Relaxed);
            wait.set_deadline(until);
            let mut node = Node::new(&wait, 1, null_mut());
            let node = &raw mut node;
            // SAFETY: locked; the node stays in place until it was popped, or is taken out below. `unlock` gives up
            // the lock, which stays in place: we are counted, and take it again before we leave if the deadline was
            // first.
            let id = unsafe {
                (*line.queue.get()).push_back(node);
                wait.block(unlock, (&raw const line.lock).cast_mut().cast())
            };
            if id == TIMED_OUT {
                line.lock.lock();
                // SAFETY: locked; queued here if at all.
                unsafe {
                    (*line.queue.get()).unlink(node);
                    self.look_at_line(direction);
                    line.lock.unlock();
                }
                // The deadline may have been moved meanwhile; if not, the next turn of the loop says so.
                continue;
            }
            // SAFETY: popped and written by who woke us, who is done with it.
            if unsafe { (*node).status } == YOURS {
                return Ok(());
            }
        }
    }

    /// Give up the turn of `direction`, and be counted no more. True as for [`Turns::leave`].
    #[inline]
    #[must_use]
    pub(super) fn give_up(&self, direction: Direction) -> bool {
        let (busy, waited) = (BUSY << direction as u32, WAITED << direction as u32);
        let done = if self.is(Bug::RelaxedGiveUp) { Ordering::Relaxed } else { Ordering::AcqRel };
        let mut word = self.word.load(Ordering::Relaxed);
        while word & waited == 0 || self.is(Bug::GiveUpBlindly) {
            // Release pairs with the Acquire of who has the turn next.
            match self.word.compare_exchange(word, (word & !busy) - ONE, done, Ordering::Relaxed) {
                Ok(_) => return word < 2 * ONE,
                Err(now) => word = now,
            }
        }
        self.hand_over(direction);
        self.leave()
    }

    #[cold]
    fn hand_over(&self, direction: Direction) {
        let line = &self.lines[direction as usize];
        line.lock.lock();
        // SAFETY: locked; what is popped is claimed, and woken once the lock is released. The turn is its own from
        // then on.
        unsafe {
            let node = (*line.queue.get()).pop();
            if node.is_null() {
                // Those who were queued have given up.
                self.word.fetch_and(!((BUSY | WAITED) << direction as u32), Ordering::Release);
                line.lock.unlock();
                return;
            }
            self.look_at_line(direction);
            (*node).status = YOURS;
            let wait = (*node).wait;
            line.lock.unlock();
            Wait::wake(wait, Order::Queue);
        }
    }

    /// Is anybody queued still?
    ///
    /// # Safety
    /// The caller holds the lock of this direction's line.
    unsafe fn look_at_line(&self, direction: Direction) {
        // SAFETY: the caller's promise.
        if unsafe { (*self.lines[direction as usize].queue.get()).is_empty() } {
            self.word.fetch_and(!(WAITED << direction as u32), Ordering::Relaxed);
        }
    }

    /// Have those who wait for the turn look again: it was closed, or their deadline was moved.
    pub(super) fn stir(&self, direction: Direction) {
        let line = &self.lines[direction as usize];
        let mut woken = WakeList::new();
        line.lock.lock();
        // SAFETY: locked; what is popped is claimed, and woken once the lock is released.
        unsafe {
            loop {
                let node = (*line.queue.get()).pop();
                if node.is_null() {
                    break;
                }
                (*node).status = LOOK;
                woken.push(node);
            }
            self.look_at_line(direction);
            line.lock.unlock();
            woken.wake();
        }
    }
}

/// # Safety
/// `lock` is a `SpinLock` that the caller has taken over.
unsafe fn unlock(lock: *mut ()) {
    // SAFETY: the caller's promise.
    unsafe { (*lock.cast::<SpinLock>()).unlock() };
}
