//! Is everything at rest: can no goroutine run, and would none be made ready by anything that we know of?
//!
//! The one thing to know: **a goroutine that can run is a processor that is busy, or it is in one of the places
//! that [`Quiet::is_certain`] looks at.** Those who look hold the idle lists' lock, so nobody gets a processor
//! meanwhile, and no goroutine runs, no timer fires, nobody is woken. What may still go on is
//!
//! - threads that are not gort's, which the caller counts (see [`crate::primitive::Accounted`]);
//! - workers that have just given their processor back and are on their way to sleep. They make nobody ready,
//!   they only move: a goroutine that waited for a stack to the global queue, where it is put before it is
//!   counted out here (so we look here first), and those of an inbox, under the lock that we hold.
//!
//! So if no thread outside can act at some instant, and each of the places was empty when it was looked at after
//! that instant, then everything is at rest at the end of the looks, and for ever.

use super::idle::Lists;
use super::poller;
use super::runtime::{Runtime, started};
use crate::primitive::atomic::{AtomicU64, Ordering};
use std::sync::MutexGuard;

/// What will let a goroutine go on and is not seen otherwise: registrations for signals, blocking calls, goroutines
/// that go on without a processor. Descriptors that are waited for are counted by themselves
/// ([`super::poller::Waiting`]), by the same rule.
///
/// Whoever starts such a thing raises the count **before** the goroutine that it keeps going leaves its
/// processor; whoever ends it lowers it **after** that goroutine was made ready (or, if nobody waits for it, at any
/// time while it holds a processor or is a thread outside). So who finds 0 finds the goroutine in its queue.
///
/// The threads of lanes run goroutines without a processor, so nobody holds *them* still: such a goroutine may come out of
/// one of the other places (it waited for a descriptor, which the monitor has found ready, or for a stack), run, and be gone
/// again between two looks. It cannot without a raise and a lower, though. So the upper half of the word counts the raises,
/// and who finds 0, looks at all else, and then finds the same word, knows that no thread of a lane has done anything in
/// between, and that what is in all the places was there at one instant.
pub(crate) struct Pending(AtomicU64);

/// The upper half counts raises, the lower half what is pending.
const RAISE: u64 = 1 << 32;

impl Pending {
    pub(super) const fn new() -> Self {
        Pending(AtomicU64::new(0))
    }

    pub(crate) fn raise(&self) {
        self.0.fetch_add(RAISE + 1, Ordering::SeqCst);
    }

    pub(crate) fn lower(&self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }

    fn word(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    fn any(&self) -> bool {
        self.word() as u32 != 0 || poller::waiting()
    }
}

/// All processors are idle, and stay so while this exists.
pub(crate) struct Quiet {
    rt: &'static Runtime,
    _lists: MutexGuard<'static, Lists>,
}

/// Does it look as if everything were at rest? Quick, takes no lock for long, and may be wrong either way while
/// anybody does anything. The last one to come to rest gets the right answer: of two who do so at the same
/// time, each announces it and then looks, all sequentially consistent.
pub(crate) fn seems_quiet() -> bool {
    let Some(rt) = started() else { return false };
    rt.pool.load().idle() >= rt.limit.load(Ordering::SeqCst)
        && rt.surplus.load(Ordering::SeqCst) == 0
        && !rt.pending.any()
        && rt.injector.is_empty()
        && !rt.timers.first_wakes()
        && !rt.procs().any(|p| p.timers.first_wakes())
}

/// Keep all processors idle. `None`: one is not, or the process exits.
pub(crate) fn hold_still() -> Option<Quiet> {
    let rt = started()?;
    let lists = rt.lists();
    // A processor is in the list, has retired, or is somebody's: also if it is in the mail, or surplus.
    let in_use = rt.procs().filter(|p| !p.retired.load(Ordering::Relaxed)).count();
    if lists.closed || lists.procs.len() != in_use {
        return None;
    }
    Some(Quiet { rt, _lists: lists })
}

impl Quiet {
    /// Nobody waits for a processor, and nothing that is pending will make anybody do so.
    pub(crate) fn is_certain(&self) -> bool {
        let rt = self.rt;
        let before = rt.pending.word();
        // In this order: see `Pending` and the file's comment.
        before as u32 == 0
            && !poller::waiting()
            && rt.stackless.len() == 0
            && rt.inboxed.load(Ordering::SeqCst) == 0
            && rt.injector.is_empty()
            && !rt.timers.wakes()
            && !rt.procs().any(|p| p.has_work() || p.timers.wakes())
            && rt.pending.word() == before
    }

    /// Goroutines that live: all of them are parked.
    pub(crate) fn goroutines(&self) -> usize {
        self.rt.num_goroutines()
    }
}
