//! Send, receive, close.
//!
//! The one thing to know: the fast paths are one lock, a copy and a plain store; what waits is out of line.

use super::channel::Chan;
use super::waiter::Waiter;
use super::{Op, Outcome, element};
use crate::primitive::atomic::Ordering;
use crate::primitive::{FOREVER, now};
use crate::sched::WaitReason;
use crate::sched::wait::{TIMED_OUT, Wait, WakeList};
use std::cell::UnsafeCell;

/// Has `deadline` passed? Asks the clock only if it must: 0 and less always has, `FOREVER` never.
pub(super) fn passed(deadline: i64) -> bool {
    deadline <= 0 || (deadline != FOREVER && now() >= deadline)
}

/// In each of these `this` is live until the call's effect can be seen, and `elem` is readable (send) or null or
/// writable (receive) for one element until the call returns.
impl Chan {
    /// Waits. `Done` or `Closed`.
    ///
    /// # Safety
    /// As said above.
    #[inline]
    pub(crate) unsafe fn send(this: *mut Chan, elem: *const u8) -> Outcome {
        // SAFETY: the caller's promise; `wait` takes the lock over.
        unsafe {
            Self::lock(this);
            let step = Self::send_locked(this, elem);
            if step.outcome == Outcome::NotReady {
                return Self::wait(this, Op::Send, elem.cast_mut(), FOREVER);
            }
            step.finish(this)
        }
    }

    /// Waits. `Done`, `Closed` or, `elem` null, `NoMemory`.
    ///
    /// # Safety
    /// As said above.
    #[inline]
    pub(crate) unsafe fn recv(this: *mut Chan, elem: *mut u8) -> Outcome {
        // SAFETY: the caller's promise; `wait` takes the lock over.
        unsafe {
            if elem.is_null() && Self::drops(this) {
                return Self::recv_to_drop(this, |elem| Self::recv(this, elem));
            }
            Self::lock(this);
            let step = Self::recv_locked(this, elem);
            if step.outcome == Outcome::NotReady {
                return Self::wait(this, Op::Recv, elem, FOREVER);
            }
            step.finish(this)
        }
    }

    /// Does not wait. `Done`, `Closed` or `NotReady`.
    ///
    /// # Safety
    /// As said above.
    #[inline]
    pub(crate) unsafe fn try_send(this: *mut Chan, elem: *const u8) -> Outcome {
        // SAFETY: the caller's promise.
        unsafe {
            if Self::refuses_send(this) {
                return Outcome::NotReady;
            }
            Self::lock(this);
            Self::send_locked(this, elem).finish(this)
        }
    }

    /// Does not wait. `Done`, `Closed`, `NotReady` or, `elem` null, `NoMemory`.
    ///
    /// # Safety
    /// As said above.
    #[inline]
    pub(crate) unsafe fn try_recv(this: *mut Chan, elem: *mut u8) -> Outcome {
        // SAFETY: the caller's promise.
        unsafe {
            if elem.is_null() && Self::drops(this) {
                return Self::recv_to_drop(this, |elem| Self::try_recv(this, elem));
            }
            match Self::refuses_recv(this) {
                Outcome::Closed => {
                    element::zero(elem, (*this).elem_size);
                    return Outcome::Closed;
                }
                Outcome::NotReady if Self::is_owned(this) => return Self::try_recv_owned(this, elem),
                Outcome::NotReady => return Outcome::NotReady,
                _ => {}
            }
            Self::lock(this);
            Self::recv_locked(this, elem).finish(this)
        }
    }

    /// Waits until `deadline`. `Done`, `Closed` or `TimedOut`.
    ///
    /// # Safety
    /// As said above.
    pub(crate) unsafe fn send_until(this: *mut Chan, elem: *const u8, deadline: i64) -> Outcome {
        // SAFETY: the caller's promise; `wait` takes the lock over.
        unsafe {
            let tried = Self::try_send(this, elem);
            if tried != Outcome::NotReady {
                return tried;
            }
            if passed(deadline) {
                return Outcome::TimedOut;
            }
            Self::lock(this);
            let step = Self::send_locked(this, elem);
            if step.outcome == Outcome::NotReady {
                return Self::wait(this, Op::Send, elem.cast_mut(), deadline);
            }
            step.finish(this)
        }
    }

    /// Waits until `deadline`. `Done`, `Closed`, `TimedOut` or, `elem` null, `NoMemory`.
    ///
    /// # Safety
    /// As said above.
    pub(crate) unsafe fn recv_until(this: *mut Chan, elem: *mut u8, deadline: i64) -> Outcome {
        // SAFETY: the caller's promise; `wait` takes the lock over.
        unsafe {
            if elem.is_null() && Self::drops(this) {
                return Self::recv_to_drop(this, |elem| Self::recv_until(this, elem, deadline));
            }
            let tried = Self::try_recv(this, elem);
            if tried != Outcome::NotReady {
                return tried;
            }
            if passed(deadline) {
                return Outcome::TimedOut;
            }
            Self::lock(this);
            let step = Self::recv_locked(this, elem);
            if step.outcome == Outcome::NotReady {
                return Self::wait(this, Op::Recv, elem, deadline);
            }
            step.finish(this)
        }
    }

    /// Queue up and block. The woken side finds all done: it reads its waiter, not the channel.
    ///
    /// # Safety
    /// As said above; the caller holds the lock, which this gives up, and found that it must wait.
    #[inline(never)]
    unsafe fn wait(this: *mut Chan, op: Op, elem: *mut u8, deadline: i64) -> Outcome {
        let reason = if op == Op::Send { WaitReason::ChanSend } else { WaitReason::ChanReceive };
        let mut wait = Wait::new(reason, false);
        wait.set_deadline(deadline);
        let wait = &raw const wait;
        let waiter = UnsafeCell::new(Waiter::new(wait, 1, op, elem));
        let waiter = waiter.get();
        // SAFETY: both live in this frame, which outlasts the wait: `block` returns when the waiter was claimed
        // and woken, or timed out, and then `withdraw` sees it out of the queue. Without a deadline it cannot
        // time out, so only contested waiters come to `withdraw`.
        unsafe {
            if deadline != FOREVER {
                (*waiter).ring = waiter;
                Self::pin(this);
            }
            Self::enqueue(this, waiter);
            if (*wait).block(unlock_step, this.cast()) == TIMED_OUT {
                Self::withdraw(this, waiter);
                return Outcome::TimedOut;
            }
            Waiter::outcome(waiter)
        }
    }

    /// As `try_send`, and leave it to the caller, who may hold a lock now, to wake the receiver, if there is one.
    ///
    /// # Safety
    /// As said above; `woken` is woken afterwards.
    pub(crate) unsafe fn try_send_into(this: *mut Chan, elem: *const u8, woken: &mut WakeList) -> Outcome {
        // SAFETY: the caller's promise; as in `send_locked`, save that the waiter itself is kept.
        unsafe {
            Self::lock(this);
            if !(*this).closed.load(Ordering::Relaxed) && (*this).receiving.load(Ordering::Relaxed) {
                let receiver = Self::claim_receiver(this);
                if !receiver.is_null() {
                    Waiter::give(receiver, elem, (*this).elem_size);
                    woken.push(receiver.cast());
                    Self::unlock(this);
                    return Outcome::Done;
                }
            }
            // Nobody waits: it goes into the buffer, or nowhere.
            let step = Self::send_locked(this, elem);
            debug_assert!(step.peer.is_null());
            Self::unlock(this);
            step.outcome
        }
    }

    /// Close: whoever waits is woken with `Closed`, receivers first, each in the order they came. `Done`, or
    /// `Closed` if it already was.
    ///
    /// # Safety
    /// As said above.
    pub(crate) unsafe fn close(this: *mut Chan) -> Outcome {
        let mut woken = WakeList::new();
        // SAFETY: the caller's promise.
        unsafe {
            let outcome = Self::close_into(this, &mut woken);
            woken.wake();
            outcome
        }
    }

    /// Close, and leave it to the caller, who may hold a lock now, to wake those who wait.
    ///
    /// # Safety
    /// As said above; `woken` is woken afterwards.
    pub(crate) unsafe fn close_into(this: *mut Chan, woken: &mut WakeList) -> Outcome {
        // SAFETY: the caller's promise; the lock is held up to the unlock, and the woken waiters are claimed by
        // us and not touched after they are woken.
        unsafe {
            Self::lock(this);
            if (*this).closed.load(Ordering::Relaxed) {
                Self::unlock(this);
                return Outcome::Closed;
            }
            // Before the queues are emptied: who sees an emptied one without the lock must see this too.
            (*this).closed.store(true, Ordering::Release);
            let size = (*this).elem_size;
            loop {
                let mut waiter = Self::claim_receiver(this);
                if waiter.is_null() {
                    waiter = Self::claim_sender(this);
                }
                if waiter.is_null() {
                    break;
                }
                Waiter::shut(waiter, size);
                woken.push(waiter.cast());
            }
            Self::unlock(this);
        }
        Outcome::Done
    }
}

/// The release step of [`Wait::block`].
///
/// # Safety
/// `chan` is a `*mut Chan` whose lock was taken by the one who blocks. Once it is released, nothing is touched.
pub(super) unsafe fn unlock_step(chan: *mut ()) {
    // SAFETY: the caller's promise.
    unsafe { Chan::unlock(chan.cast()) }
}
