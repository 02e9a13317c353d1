//! The timer of a context with a deadline.
//!
//! The one thing to know: the heap that a timer is in holds no reference to the context. When the timer is due, its
//! claim takes one, and fails if the last is gone; the end of a context takes its timer out of the heap, and so waits
//! for a claim that is under way.

use super::TIMED_OUT;
use super::canceller::Canceller;
use super::context::Ctx;
#[cfg(loom)]
use super::knobs::{self, Bug};
use crate::primitive::atomic::Ordering;
use crate::primitive::{FOREVER, now};
use crate::sched::timer::{TimerKind, TimerNode};
use crate::sched::{Added, add_timer};

/// Has `deadline` passed? Asks the clock only if it must: 0 and less always has, `FOREVER` never.
pub(super) fn passed(deadline: i64) -> bool {
    deadline <= 0 || (deadline != FOREVER && now() >= deadline)
}

/// When is `ns` from now? `FOREVER` stays.
pub(super) fn after(ns: i64) -> i64 {
    if ns == FOREVER { FOREVER } else { now().saturating_add(ns) }
}

impl Ctx {
    /// A child of `parent` that can be cancelled; null if there is no memory.
    ///
    /// # Safety
    /// `parent` is live, or null for the background.
    pub(crate) unsafe fn with_cancel(parent: *mut Ctx) -> *mut Ctx {
        // SAFETY: the caller's promise.
        unsafe { Canceller::create(parent, FOREVER) }
    }

    /// ... that is done at `deadline` at the latest.
    ///
    /// # Safety
    /// As for `with_cancel`.
    pub(crate) unsafe fn with_deadline(parent: *mut Ctx, deadline: i64) -> *mut Ctx {
        // SAFETY: the caller's promise.
        unsafe { Canceller::create(parent, deadline) }
    }

    /// ... that is done in `ns` at the latest.
    ///
    /// # Safety
    /// As for `with_cancel`.
    pub(crate) unsafe fn with_timeout(parent: *mut Ctx, ns: i64) -> *mut Ctx {
        // SAFETY: the caller's promise.
        unsafe { Canceller::create(parent, after(ns)) }
    }
}

impl Canceller {
    /// Start the timer, unless a cancel from above has come first.
    ///
    /// # Safety
    /// The caller has a handle; it is called once.
    pub(super) unsafe fn arm(this: *mut Canceller) {
        let mut added = Added::nothing();
        // SAFETY: the node is in no heap, and stays in place until `Canceller::free` or a cancel has taken it out.
        // Under the lock, so that a cancel does not look for it while it is being inserted.
        unsafe {
            Self::lock(this);
            if (*this).err.load(Ordering::Relaxed) == 0 {
                (*(*this).timer.get()).set((*this).deadline, &DEADLINE);
                added = add_timer((*this).timer.get());
            }
            Self::unlock(this);
        }
        added.tell();
    }
}

static DEADLINE: TimerKind = TimerKind { claim, fire, wakes };

/// For all that can be told here somebody waits for the end, or a function does: as Go, which keeps a deadline
/// by a timer that calls a function.
unsafe fn wakes(_: *mut TimerNode) -> bool {
    true
}

fn canceller_of(node: *mut TimerNode) -> *mut Canceller {
    node.cast::<u8>().wrapping_sub(std::mem::offset_of!(Canceller, timer)).cast()
}

/// # Safety
/// As [`TimerNode::set`] says: the heap's lock is held, so that the context, which takes its node out before it
/// is freed, is in place.
unsafe fn claim(node: *mut TimerNode) -> bool {
    #[cfg(loom)]
    if knobs::is(Bug::ClaimDead) {
        return true;
    }
    // SAFETY: see above.
    unsafe { Ctx::try_retain(canceller_of(node).cast()) }
}

/// # Safety
/// As [`TimerNode::set`] says; `claim` has taken a reference.
unsafe fn fire(node: *mut TimerNode) {
    let this = canceller_of(node);
    // SAFETY: the reference is ours.
    unsafe {
        Canceller::cancel(this, TIMED_OUT, TIMED_OUT);
        Ctx::release(this.cast());
    }
}
