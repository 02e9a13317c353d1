//! What send and receive do under the lock, and what can be refused without it.
//!
//! The one thing to know: the functions here neither lock, unlock nor wake. A step that found a peer returns
//! its wait; the caller unlocks first ([`Step::finish`]), because the peer may free the channel as soon as it
//! runs.

use super::channel::Chan;
use super::waiter::Waiter;
use super::{Outcome, element};
use crate::primitive::atomic::Ordering;
use crate::sched::wait::{Order, Wait};
use std::ptr::null;

/// What came of an attempt under the lock.
pub(super) struct Step {
    /// Never [`Outcome::TimedOut`].
    pub(super) outcome: Outcome,
    /// Claimed, served and to be woken; null: nobody.
    pub(super) peer: *const Wait,
}

impl Step {
    #[inline(always)]
    fn alone(outcome: Outcome) -> Self {
        Step { outcome, peer: null() }
    }

    /// Unlock, then wake. The channel may be gone afterwards.
    ///
    /// # Safety
    /// The caller holds the lock of `chan`, on which this step was done, and no lock that the peer's call needs
    /// in order to free anything.
    #[inline(always)]
    pub(super) unsafe fn finish(self, chan: *mut Chan) -> Outcome {
        // SAFETY: the caller's promise; the peer was claimed by us and not woken yet.
        unsafe {
            Chan::unlock(chan);
            if !self.peer.is_null() {
                Wait::wake(self.peer, Order::Next);
            }
        }
        self.outcome
    }
}

impl Chan {
    /// Send if it can be done at once: to the first waiting receiver, else into the buffer.
    ///
    /// # Safety
    /// `this` is live, the caller holds its lock; `elem` is readable for an element.
    #[inline(always)]
    pub(super) unsafe fn send_locked(this: *mut Chan, elem: *const u8) -> Step {
        // SAFETY: the caller's promise. Under the lock relaxed loads are exact.
        unsafe {
            if (*this).closed.load(Ordering::Relaxed) {
                return Step::alone(Outcome::Closed);
            }
            if (*this).receiving.load(Ordering::Relaxed) {
                let receiver = Self::claim_receiver(this);
                if !receiver.is_null() {
                    Waiter::give(receiver, elem, (*this).elem_size);
                    return Step { outcome: Outcome::Done, peer: (*receiver).node.wait };
                }
            }
            let len = (*this).len.load(Ordering::Relaxed);
            if len == (*this).cap {
                return Step::alone(Outcome::NotReady);
            }
            Self::write_tail(this, elem);
            (*this).len.store(len + 1, Ordering::Release);
            Step::alone(Outcome::Done)
        }
    }

    /// Receive if it can be done at once: from the buffer, which the first waiting sender then fills up; else
    /// from the first waiting sender; else, if the channel is closed, nothing, and `elem` is zeroed.
    ///
    /// # Safety
    /// `this` is live, the caller holds its lock; `elem` is null or writable for an element.
    #[inline(always)]
    pub(super) unsafe fn recv_locked(this: *mut Chan, elem: *mut u8) -> Step {
        // SAFETY: the caller's promise.
        unsafe {
            let len = (*this).len.load(Ordering::Relaxed);
            if len != 0 {
                Self::read_head(this, elem);
                if (*this).sending.load(Ordering::Relaxed) {
                    let sender = Self::claim_sender(this);
                    if !sender.is_null() {
                        // The buffer was full (invariant 1): the place behind its last element is the one that
                        // we have just emptied, and `len` stays.
                        Self::write_tail(this, (*sender).node.elem);
                        Waiter::taken(sender);
                        return Step { outcome: Outcome::Done, peer: (*sender).node.wait };
                    }
                }
                (*this).len.store(len - 1, Ordering::Release);
                return Step::alone(Outcome::Done);
            }
            if (*this).sending.load(Ordering::Relaxed) {
                let sender = Self::claim_sender(this);
                if !sender.is_null() {
                    if !elem.is_null() {
                        element::copy(elem, (*sender).node.elem, (*this).elem_size);
                    }
                    Waiter::taken(sender);
                    return Step { outcome: Outcome::Done, peer: (*sender).node.wait };
                }
            }
            if (*this).closed.load(Ordering::Relaxed) {
                element::zero(elem, (*this).elem_size);
                return Step::alone(Outcome::Closed);
            }
            Step::alone(Outcome::NotReady)
        }
    }

    /// Can a send that must not wait be refused without taking the lock?
    ///
    /// It can if at one moment the channel was open and could take nothing. We look at "can take nothing" first
    /// and at `closed` second: open then means open at the first look too, since closed stays closed. The
    /// other way round would be wrong: a close takes the waiting receivers away, and between the two looks an
    /// open channel with a receiver can become a closed one without, having been ready all along. Acquire on
    /// the first look pairs with the Release of the store it reads: had that been made after the close, we
    /// would see `closed` as well.
    ///
    /// # Safety
    /// `this` is live.
    #[inline(always)]
    pub(super) unsafe fn refuses_send(this: *mut Chan) -> bool {
        // SAFETY: the caller's promise; `cap` is fixed.
        unsafe {
            let full = if (*this).cap == 0 {
                !(*this).receiving.load(Ordering::Acquire)
            } else {
                (*this).len.load(Ordering::Acquire) == (*this).cap
            };
            full && !(*this).closed.load(Ordering::Relaxed)
        }
    }

    /// Can a receive that must not wait be settled without taking the lock? `NotReady` and `Closed` say so;
    /// `Done` says that it looks ready and the lock must tell.
    ///
    /// Empty first, open second, as for `refuses_send`: an open, filled channel that is closed and drained
    /// meanwhile must not pass for an open and empty one. If it is closed, we look once more whether it is
    /// empty: on a closed channel that cannot change back. Acquire on `closed` pairs with the Release in
    /// `close`: the second look sees all that was sent before, and the caller all that the closer did before.
    ///
    /// # Safety
    /// `this` is live.
    #[inline(always)]
    pub(super) unsafe fn refuses_recv(this: *mut Chan) -> Outcome {
        // SAFETY: the caller's promise.
        unsafe {
            if !Self::looks_empty(this) {
                return Outcome::Done;
            }
            if !(*this).closed.load(Ordering::Acquire) {
                return Outcome::NotReady;
            }
            if Self::looks_empty(this) { Outcome::Closed } else { Outcome::Done }
        }
    }

    /// # Safety
    /// `this` is live.
    #[inline(always)]
    unsafe fn looks_empty(this: *mut Chan) -> bool {
        // SAFETY: the caller's promise; `cap` is fixed.
        unsafe {
            if (*this).cap == 0 {
                !(*this).sending.load(Ordering::Acquire)
            } else {
                (*this).len.load(Ordering::Acquire) == 0
            }
        }
    }
}
