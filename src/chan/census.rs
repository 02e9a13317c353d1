//! What is in a channel, and who waits: for those who must know of every element, as a garbage collector does.
//!
//! The one thing to know: the channels of timers show nothing here; what lies in them is their timer's.

use super::Outcome;
use super::channel::Chan;
use super::dropper::Scratch;
use std::ptr::null_mut;

/// In each of these `this` is live until the call returns.
impl Chan {
    /// Visit each element in the buffer, under the lock, until `visit` says other than 0; that is returned.
    ///
    /// # Safety
    /// As said above; `visit` leaves the elements as they are, and calls nothing of gort's.
    pub(crate) unsafe fn visit(this: *mut Chan, visit: impl FnMut(*mut u8) -> i32) -> i32 {
        // SAFETY: the caller's promise.
        unsafe {
            if Self::is_owned(this) {
                return 0;
            }
            Self::lock(this);
            let stopped = Self::each(this, visit);
            Self::unlock(this);
            stopped
        }
    }

    /// Receive and drop as many elements as the buffer holds now. How many they were; `None`: no memory.
    ///
    /// # Safety
    /// As said above; the caller holds no lock.
    pub(crate) unsafe fn clear(this: *mut Chan) -> Option<usize> {
        // SAFETY: the caller's promise.
        unsafe {
            // 0 if it is a timer's.
            let present = Self::len(this);
            let dropper = Self::dropper(this);
            let mut scratch = Scratch::new();
            let elem = match dropper {
                Some(_) => scratch.room(Self::elem_size(this))?,
                None => null_mut(),
            };
            for count in 0..present {
                Self::lock(this);
                // Somebody else may have been faster; and what a sender that waits has is not in the buffer.
                if Self::buffered(this) == 0 {
                    Self::unlock(this);
                    return Some(count);
                }
                let outcome = Self::recv_locked(this, elem).finish(this);
                debug_assert!(outcome == Outcome::Done);
                if let Some(dropper) = dropper {
                    dropper.drop(elem);
                }
            }
            Some(present)
        }
    }

    /// How many waiters are queued: those of a select count once for each case.
    ///
    /// # Safety
    /// As said above.
    pub(crate) unsafe fn waiters(this: *mut Chan) -> usize {
        // SAFETY: the caller's promise; the nodes of a queue are live under its lock.
        unsafe {
            Self::lock(this);
            let mut count = 0;
            for queue in [&(*this).receivers, &(*this).senders] {
                let mut node = queue.head;
                while !node.is_null() {
                    count += 1;
                    node = queue.after(node);
                }
            }
            Self::unlock(this);
            count
        }
    }
}
