//! The place of one blocked call in a channel's queue.
//!
//! The one thing to know: there are two kinds. A **plain** waiter stands in one queue without a deadline; its
//! call never comes back to the channel, as whoever takes it out serves it. A **contested** one may lose (its
//! deadline passes, another channel of its select is first), and then its call comes back to unlink it. So
//! contested waiters pin their channel, one pin for all that a call has there; these are linked in a ring.
//! Whoever claims one takes the rest of the ring and the pin out as well, so that the winner's channel need
//! not be touched again, which by then may be gone.

use super::channel::Chan;
use super::witness::Witness;
use super::{Op, Outcome, element};
use crate::primitive::atomic::Ordering;
use crate::sched::wait::{Node, Wait};
use std::ptr::null_mut;

/// `node` comes first: a pointer to the node is a pointer to the waiter.
#[repr(C)]
pub(super) struct Waiter {
    pub(super) node: Node,
    /// The next waiter of the same call on the same channel, itself if there is no other; null: plain.
    pub(super) ring: *mut Waiter,
    op: Op,
    /// Stands for `node.elem`'s target and `node.status`: written by the waker before it wakes.
    pub(super) handed: Witness,
}

impl Waiter {
    /// A plain waiter; setting `ring` makes it a contested one.
    #[inline]
    pub(super) fn new(wait: *const Wait, id: u32, op: Op, elem: *mut u8) -> Self {
        Waiter { node: Node::new(wait, id, elem), ring: null_mut(), op, handed: Witness::new() }
    }

    /// What the waker left, once the wait is over and this waiter has won it.
    ///
    /// # Safety
    /// `this` is live, was claimed and its wait woken.
    #[inline]
    pub(super) unsafe fn outcome(this: *const Waiter) -> Outcome {
        // SAFETY: the caller's promise.
        unsafe {
            (*this).handed.read();
            if (*this).node.status == Outcome::Done as i32 { Outcome::Done } else { Outcome::Closed }
        }
    }

    /// Give a claimed receiver the element at `from`.
    ///
    /// # Safety
    /// `this` was claimed by the caller and not woken yet; `from` is readable for `size` bytes, the size of
    /// its channel's elements.
    #[inline(always)]
    pub(super) unsafe fn give(this: *mut Waiter, from: *const u8, size: usize) {
        // SAFETY: a claimed waiter and its memory stay until it is woken.
        unsafe {
            (*this).handed.write();
            if !(*this).node.elem.is_null() {
                element::copy((*this).node.elem, from, size);
            }
            (*this).node.status = Outcome::Done as i32;
        }
    }

    /// Tell a claimed sender that its element was taken. (The taker has read `node.elem` before.)
    ///
    /// # Safety
    /// `this` was claimed by the caller and not woken yet.
    #[inline(always)]
    pub(super) unsafe fn taken(this: *mut Waiter) {
        // SAFETY: as above.
        unsafe {
            (*this).handed.write();
            (*this).node.status = Outcome::Done as i32;
        }
    }

    /// Tell a claimed waiter that the channel was closed.
    ///
    /// # Safety
    /// `this` was claimed by the caller and not woken yet; `size` is the size of its channel's elements.
    pub(super) unsafe fn shut(this: *mut Waiter, size: usize) {
        // SAFETY: as above.
        unsafe {
            (*this).handed.write();
            if (*this).op == Op::Recv {
                element::zero((*this).node.elem, size);
            }
            (*this).node.status = Outcome::Closed as i32;
        }
    }
}

/// The queues. In each of these `this` is live and the caller holds its lock.
impl Chan {
    /// # Safety
    /// As said above; `waiter` is in no queue and stays in place until it is out again. If it is contested,
    /// the caller pins the channel once for its ring.
    pub(super) unsafe fn enqueue(this: *mut Chan, waiter: *mut Waiter) {
        // SAFETY: the caller's promise. The flags' Release pairs with the Acquire of the refusals without
        // the lock (`transfer.rs`).
        unsafe {
            match (*waiter).op {
                Op::Send => {
                    (*this).senders.push_back(waiter.cast());
                    (*this).sending.store(true, Ordering::Release);
                }
                Op::Recv => {
                    (*this).receivers.push_back(waiter.cast());
                    (*this).receiving.store(true, Ordering::Release);
                }
            }
        }
    }

    /// Claim the first receiver, or null. The caller hands over, unlocks and wakes.
    ///
    /// # Safety
    /// As said above.
    #[inline]
    pub(super) unsafe fn claim_receiver(this: *mut Chan) -> *mut Waiter {
        // SAFETY: the lock is held; every node of these queues is the head of a `Waiter`.
        unsafe {
            let waiter: *mut Waiter = (*this).receivers.pop().cast();
            Self::claimed(this, waiter);
            (*this).receiving.store(!(*this).receivers.is_empty(), Ordering::Release);
            waiter
        }
    }

    /// Claim the first sender, or null. The caller takes its element, unlocks and wakes.
    ///
    /// # Safety
    /// As said above.
    #[inline]
    pub(super) unsafe fn claim_sender(this: *mut Chan) -> *mut Waiter {
        // SAFETY: as for `claim_receiver`.
        unsafe {
            let waiter: *mut Waiter = (*this).senders.pop().cast();
            Self::claimed(this, waiter);
            (*this).sending.store(!(*this).senders.is_empty(), Ordering::Release);
            waiter
        }
    }

    /// # Safety
    /// As said above; `waiter` is null or was just popped here.
    #[inline]
    unsafe fn claimed(this: *mut Chan, waiter: *mut Waiter) {
        // SAFETY: the caller's promise. A contested waiter has its pin until now; that the channel lives on
        // is the business of our own reference.
        unsafe {
            if !waiter.is_null() && !(*waiter).ring.is_null() {
                Self::unlink_ring(this, waiter);
                Self::unpin(this);
            }
        }
    }

    /// Take out what is still queued of the ring of `first`.
    ///
    /// # Safety
    /// As said above; `first` is contested, and its ring is of this channel.
    unsafe fn unlink_ring(this: *mut Chan, first: *mut Waiter) {
        // SAFETY: the waiters of a ring live until their call has seen them out of the queues, under the lock.
        unsafe {
            let mut waiter = first;
            loop {
                match (*waiter).op {
                    Op::Send => (*this).senders.unlink(waiter.cast()),
                    Op::Recv => (*this).receivers.unlink(waiter.cast()),
                };
                waiter = (*waiter).ring;
                if waiter == first {
                    break;
                }
            }
            (*this).sending.store(!(*this).senders.is_empty(), Ordering::Release);
            (*this).receiving.store(!(*this).receivers.is_empty(), Ordering::Release);
        }
    }

    /// A call comes back for the waiters that did not win. Takes the lock itself; the channel may be gone
    /// afterwards.
    ///
    /// # Safety
    /// `waiter` is contested and was queued on `this`, and none of its ring was claimed; so the call's pin is
    /// still set, and is given up here.
    pub(super) unsafe fn withdraw(this: *mut Chan, waiter: *mut Waiter) {
        // SAFETY: the pin keeps the channel until it is taken out.
        unsafe {
            Self::lock(this);
            Self::unlink_ring(this, waiter);
            Self::unpin_and_unlock(this);
        }
    }
}
