//! Arming a timer: which processor's heap it goes to, and who must be told.
//!
//! The one thing to know: a worker that sleeps has looked at the earliest deadline of every heap; who inserts
//! an earlier one must see to it that somebody looks again. This is the publisher's half of the pair in `pool`:
//! insert, fence, read who keeps watch.

use super::proc::Proc;
use super::runtime::{Runtime, rt};
use super::timer::TimerNode;
use super::{current, idle};
use crate::inspect::deadlock;
use crate::primitive::atomic::{Ordering, fence};

/// A node was inserted. The caller tells the sleepers once it holds no lock: telling may start a thread.
#[must_use]
pub(crate) struct Added {
    earliest: bool,
}

/// Insert `node` into the heap of the processor that the calling worker holds. A thread that holds none uses
/// the runtime's: what is inserted into the heap of a processor that has retired, nobody fires.
///
/// # Safety
/// As for [`super::timer::TimerHeap::insert`]. (Heaps are never freed.)
pub(crate) unsafe fn add_timer(node: *mut TimerNode) -> Added {
    let w = current::worker();
    // SAFETY: null, or the calling thread's own worker, which does not lose its processor before it is back in
    // the scheduler; so a retiring processor's heap is drained after this.
    let held = if w.is_null() { None } else { unsafe { (*w).proc.get() } };
    let timers = held.map_or_else(|| &*rt().timers, |proc| &proc.timers);
    // SAFETY: the caller's promise.
    Added { earliest: unsafe { timers.insert(node) } }
}

/// # Safety
/// As for [`add_timer`]; the calling worker holds `proc`.
#[inline]
pub(super) unsafe fn add_to(proc: &Proc, node: *mut TimerNode) -> Added {
    // SAFETY: the caller's promise.
    Added { earliest: unsafe { proc.timers.insert(node) } }
}

/// A timer was taken out of its heap before it was due; or processors were out of the idle list for a moment. Those who
/// look for a deadlock may have been kept from it by that. A goroutine that did so looks when it leaves its
/// processor; a thread of the host's may end, and nobody would look. May be called under a spin lock.
#[inline]
pub(crate) fn removed() {
    if current::worker().is_null() {
        deadlock::ask();
    }
}

impl Added {
    pub(crate) const fn nothing() -> Self {
        Added { earliest: false }
    }

    /// Wake whoever sleeps longer than until the new deadline.
    #[inline]
    pub(crate) fn tell(self) {
        if self.earliest {
            tell(rt());
        }
    }
}

fn tell(rt: &'static Runtime) {
    // The first half of the pair in `pool`: the timer is published, then read who keeps watch.
    fence(Ordering::SeqCst);
    if rt.pool.load().wants_arming() {
        idle::arm(rt);
    }
}
