//! Channels with an owner: something that sends into the channel while nobody holds a handle for it to do so.
//!
//! The one thing to know: the owner (a timer) has no reference to its channel. Those who may receive hold the
//! references, and when the last of them is given up the owner is told, **after** which the channel is freed. So
//! a timer whose channel nobody holds goes away, however far off its deadline is.
//!
//! What keeps the channel in place for an owner that is about to send: it sends under a lock of its own, after
//! a look at whether it was told, and being told takes that lock. The owner's lock is therefore taken before
//! the channel's, and `gone` and `prompt` are called with no channel's lock held.
//!
//! Who looks without waiting must find what is due, even if no worker has come to it: a goroutine that keeps its
//! worker busy and looks again and again would look for ever. So a look that finds nothing prompts the owner.

use super::Outcome;
use super::channel::Chan;
use crate::primitive::atomic::Ordering;
use crate::sched::wait::{Order, Wait};
use std::ptr::null_mut;

/// Who is told that a channel is about to be freed, and that somebody has found nothing in it.
#[derive(Clone, Copy)]
pub(crate) struct Owner {
    /// Called with `arg` by a receiver that does not wait and finds nothing, while it holds no lock: the owner
    /// sends now what it would send as soon as somebody had the time to see to it.
    pub(crate) prompt: unsafe fn(*mut ()),
    /// Called once, with `arg`. The channel is still in place; the owner does not touch it afterwards.
    pub(crate) gone: unsafe fn(*mut ()),
    pub(crate) arg: *mut (),
}

/// The receiver that was given the element, if there was one: served, and to be woken.
#[must_use]
pub(crate) struct Handed(*const Wait);

impl Chan {
    /// Send if that can be done at once; otherwise, or if the channel is closed, the element is dropped. The
    /// receiver is left to the caller to wake, who may hold a lock now that it should not hold then.
    ///
    /// # Safety
    /// `this` stays live for the call; `elem` is readable for an element.
    pub(crate) unsafe fn offer(this: *mut Chan, elem: *const u8) -> Handed {
        // SAFETY: the caller's promise.
        unsafe {
            Self::lock(this);
            let step = Self::send_locked(this, elem);
            Self::unlock(this);
            Handed(step.peer)
        }
    }

    /// Take back what was offered and has not been received; was there anything? The owner is not prompted: it
    /// is the owner that asks, and may hold its own lock.
    ///
    /// # Safety
    /// `this` stays live for the call.
    pub(crate) unsafe fn take_back(this: *mut Chan) -> bool {
        // SAFETY: the caller's promise.
        unsafe {
            if Self::refuses_recv(this) != Outcome::Done {
                return false;
            }
            Self::lock(this);
            Self::recv_locked(this, null_mut()).finish(this) == Outcome::Done
        }
    }

    /// `try_recv` on an owned channel that is empty: the owner may have something by now.
    ///
    /// # Safety
    /// As for `try_recv`; the channel has an owner.
    #[cold]
    pub(super) unsafe fn try_recv_owned(this: *mut Chan, elem: *mut u8) -> Outcome {
        // SAFETY: the caller's promise: its reference keeps the channel, and so the owner.
        unsafe {
            let owner = Self::owner(this).read_unaligned();
            (owner.prompt)(owner.arg);
            if Self::refuses_recv(this) == Outcome::NotReady {
                return Outcome::NotReady;
            }
            Self::lock(this);
            Self::recv_locked(this, elem).finish(this)
        }
    }
}

impl Chan {
    /// Does anybody wait to receive? Exact while nobody can do anything with the channel.
    ///
    /// # Safety
    /// `this` is live.
    pub(crate) unsafe fn has_receiver(this: *mut Chan) -> bool {
        // SAFETY: the caller's promise. Acquire pairs with the Release under the channel's lock.
        unsafe { (*this).receiving.load(Ordering::Acquire) }
    }
}

impl Handed {
    pub(crate) const fn nobody() -> Self {
        Handed(std::ptr::null())
    }

    /// Let the receiver go on. Many may be woken in a row: each queues behind the last.
    ///
    /// # Safety
    /// As for [`Wait::wake`]: no lock is held that the receiver would free.
    pub(crate) unsafe fn wake(self) {
        if !self.0.is_null() {
            // SAFETY: claimed by `offer`, and woken only here, since `self` is used up.
            unsafe { Wait::wake(self.0, Order::Queue) };
        }
    }
}
