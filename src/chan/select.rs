//! Choosing one of several operations.
//!
//! A select goes through up to three steps:
//!
//! 1. **Poll**: in random order, try each case as its own `try_send` or `try_recv`. Nothing is locked but a
//!    channel that looks ready. Most selects end here.
//! 2. **Settle**: lock all channels and go through the cases again, in the same order. Now they are judged at
//!    one instant: a value that moves from one of the channels to another cannot be missed. If one is ready it
//!    is done; a `try_select` is refused here.
//! 3. **Park**: still under all the locks, queue a waiter for every case; block, unlocking. Whoever wins one of
//!    them does the transfer. Then take out the others.
//!
//! The one thing to know: exactly one case commits, because in steps 1 and 2 we do it ourselves while nothing of
//! ours is queued (so a select never meets itself), and in step 3 one compare-exchange on the wait decides.
//! Whatever commits a case unlocks that case's channel last, or never touches it again; the others are
//! still referenced or pinned (see `mod.rs`).

use super::channel::Chan;
use super::lock_set::LockSet;
use super::ops::passed;
use super::random::Random;
use super::waiter::Waiter;
use super::{Op, Outcome};
use crate::sched::WaitReason;
use crate::sched::wait::{TIMED_OUT, Wait};
use std::mem::MaybeUninit;
use std::ptr::null_mut;

/// More cases than this are refused by the ABI; indices fit in 16 bits.
pub(crate) const MAX_CASES: usize = 65536;

/// Up to here all that a select needs is on its stack.
const SMALL: usize = 8;

/// One case: an operation that the select may choose. In memory it is what the ABI calls `gort_case_t`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Case {
    /// Null: never ready.
    pub(crate) chan: *mut Chan,
    /// Read from (send), or written to or null (receive).
    pub(crate) elem: *mut u8,
    pub(crate) op: Op,
    /// The ABI's; only [`super::pending`] writes it.
    pub(crate) status: i32,
}

/// The caller's cases.
#[derive(Clone, Copy)]
pub(super) struct Cases {
    first: *const Case,
    len: usize,
}

impl Cases {
    /// # Safety
    /// `first` points to `len` cases, which stay in place and unchanged for as long as this is used.
    pub(super) unsafe fn new(first: *const Case, len: usize) -> Self {
        Cases { first, len }
    }

    pub(super) fn len(self) -> usize {
        self.len
    }

    /// # Safety
    /// `index` is in range, and the caller's select has not returned.
    #[inline(always)]
    pub(super) unsafe fn get(self, index: usize) -> Case {
        // SAFETY: the caller's promise.
        unsafe { *self.first.add(index) }
    }
}

/// How a select ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Selected {
    /// This case committed, with `Done` or `Closed`.
    Case(usize, Outcome),
    NotReady,
    TimedOut,
    NoMemory,
}

/// Does not wait. A case, `NotReady`, or `NoMemory`.
///
/// # Safety
/// `first` points to `len` cases, at most [`MAX_CASES`], which stay unchanged until the call returns. Each
/// `chan` is null or live, and each `elem` readable (send) or null or writable (receive) for an element of it.
pub(crate) unsafe fn try_select(first: *const Case, len: usize) -> Selected {
    let cases = Cases { first, len };
    // SAFETY: the caller's promise.
    unsafe {
        if len == 1 && !cases.get(0).chan.is_null() {
            return match attempt(cases.get(0)) {
                Outcome::NotReady => Selected::NotReady,
                outcome => Selected::Case(0, outcome),
            };
        }
        run(cases, None)
    }
}

/// Waits until `deadline`. A case, `TimedOut`, or `NoMemory`.
///
/// # Safety
/// As for [`try_select`].
pub(crate) unsafe fn select(first: *const Case, len: usize, deadline: i64) -> Selected {
    let cases = Cases { first, len };
    // SAFETY: the caller's promise.
    unsafe {
        if len == 1 && !cases.get(0).chan.is_null() {
            let Case { chan, elem, op, .. } = cases.get(0);
            let outcome = match op {
                Op::Send => Chan::send_until(chan, elem, deadline),
                Op::Recv => Chan::recv_until(chan, elem, deadline),
            };
            return match outcome {
                Outcome::TimedOut => Selected::TimedOut,
                outcome => Selected::Case(0, outcome),
            };
        }
        run(cases, Some(deadline))
    }
}

/// The three steps, on memory that suits the number of cases. Without a deadline (not even "for ever") it does
/// not wait.
///
/// # Safety
/// As for [`try_select`].
unsafe fn run(cases: Cases, deadline: Option<i64>) -> Selected {
    let len = cases.len();
    // SAFETY (all calls): the caller's promise; the slices are of the lengths asked for.
    if len <= SMALL {
        let mut order: [u16; SMALL] = [0, 1, 2, 3, 4, 5, 6, 7];
        let order = &mut order[..len];
        // SAFETY: as above.
        if let Some(chosen) = unsafe { poll(cases, order) } {
            return chosen;
        }
        let mut sorted = [0; SMALL];
        let mut waiters = [const { MaybeUninit::<Waiter>::uninit() }; SMALL];
        let wait_until = deadline.filter(|&deadline| !passed(deadline));
        // SAFETY: as above.
        let settled = unsafe { settle(cases, order, &mut sorted[..len], &mut waiters, wait_until) };
        return refusal(settled, deadline);
    }

    let Some(mut order) = reserve::<u16>(len) else { return Selected::NoMemory };
    order.extend((0..len).map(|index| index as u16));
    // SAFETY: as above.
    if let Some(chosen) = unsafe { poll(cases, &mut order) } {
        return chosen;
    }
    let wait_until = deadline.filter(|&deadline| !passed(deadline));
    let Some(mut sorted) = reserve::<u16>(len) else { return Selected::NoMemory };
    sorted.resize(len, 0);
    let Some(mut waiters) = reserve::<Waiter>(if wait_until.is_some() { len } else { 0 }) else {
        return Selected::NoMemory;
    };
    // SAFETY: as above.
    let settled = unsafe { settle(cases, &order, &mut sorted, waiters.spare_capacity_mut(), wait_until) };
    refusal(settled, deadline)
}

/// A select that was to wait does not say `NotReady`.
fn refusal(settled: Selected, deadline: Option<i64>) -> Selected {
    if settled == Selected::NotReady && deadline.is_some() { Selected::TimedOut } else { settled }
}

pub(super) fn reserve<T>(len: usize) -> Option<Vec<T>> {
    let mut vec = Vec::new();
    vec.try_reserve_exact(len).ok()?;
    Some(vec)
}

/// One case as a call of its own that does not wait.
///
/// # Safety
/// `case.chan` is live, `case.elem` as for [`try_select`].
#[inline(always)]
unsafe fn attempt(case: Case) -> Outcome {
    // SAFETY: the caller's promise.
    unsafe {
        match case.op {
            Op::Send => Chan::try_send(case.chan, case.elem),
            Op::Recv => Chan::try_recv(case.chan, case.elem),
        }
    }
}

/// Step 1. Shuffles `order` (which holds every index once) as it goes, so that the first ready case found is
/// each of the ready ones with equal odds.
///
/// # Safety
/// As for [`try_select`].
pub(super) unsafe fn poll(cases: Cases, order: &mut [u16]) -> Option<Selected> {
    let mut random = Random::new();
    for at in 0..order.len() {
        order.swap(at, at + random.below(order.len() - at));
        let index = order[at].into();
        // SAFETY: `order` holds indices of `cases`; the caller's promise.
        let outcome = unsafe {
            let case = cases.get(index);
            if case.chan.is_null() {
                continue;
            }
            attempt(case)
        };
        if outcome != Outcome::NotReady {
            return Some(Selected::Case(index, outcome));
        }
    }
    None
}

/// Steps 2 and 3. `waiters` has room for all cases if `wait_until` is given. Without it, `NotReady` instead of
/// waiting.
///
/// # Safety
/// As for [`try_select`]; `order` holds every index once.
unsafe fn settle(
    cases: Cases,
    order: &[u16],
    sorted: &mut [u16],
    waiters: &mut [MaybeUninit<Waiter>],
    wait_until: Option<i64>,
) -> Selected {
    // SAFETY: the caller's promise; the channels are referenced for the whole call, as nothing it does is seen
    // before it commits. It commits on one channel, which it unlocks last.
    unsafe {
        let set = LockSet::new(cases, sorted);
        set.lock();
        if let Some(chosen) = commit(cases, set, order) {
            return chosen;
        }
        match wait_until {
            Some(deadline) => park(cases, set, waiters.as_mut_ptr().cast(), deadline),
            None => {
                set.unlock();
                Selected::NotReady
            }
        }
    }
}

/// Step 2, once all is locked: carry out the first case that is ready, and unlock all. `None`: there is none, and all is
/// locked still.
///
/// # Safety
/// As for [`settle`]; the caller holds the locks of `set`.
#[inline(always)]
pub(super) unsafe fn commit(cases: Cases, set: LockSet, order: &[u16]) -> Option<Selected> {
    // SAFETY: the caller's promise.
    unsafe {
        for &index in order {
            let Case { chan, elem, op, .. } = cases.get(index.into());
            if chan.is_null() {
                continue;
            }
            let step = match op {
                Op::Send => Chan::send_locked(chan, elem),
                Op::Recv => Chan::recv_locked(chan, elem),
            };
            if step.outcome != Outcome::NotReady {
                set.unlock_others(chan);
                return Some(Selected::Case(index.into(), step.finish(chan)));
            }
        }
    }
    None
}

/// The first half of step 3: queue a waiter for every case.
///
/// # Safety
/// The caller holds the locks of `set`; `waiters` has room for all cases. Waiters and `wait` stay in place until none
/// of them is queued any more.
#[inline(always)]
pub(super) unsafe fn enqueue(cases: Cases, set: LockSet, waiters: *mut Waiter, wait: *const Wait) {
    // SAFETY: the caller's promise. `id` is 1 up to 65536.
    unsafe {
        set.each(|group| {
            set.each_case(group, |index, next| {
                let Case { op, elem, .. } = cases.get(index);
                let waiter = waiters.add(index);
                waiter.write(Waiter::new(wait, index as u32 + 1, op, elem));
                (*waiter).ring = waiters.add(next);
            });
            Chan::pin(group.chan);
            set.each_case(group, |index, _| Chan::enqueue(group.chan, waiters.add(index)));
        });
    }
}

/// Take out of the queues what was not served: of all channels but that of the case that was.
///
/// # Safety
/// The waiters of `set` were queued by [`enqueue`], and the wait was won: by case `winner`, or by none (`None`). The
/// caller holds no lock. Called once.
#[inline(always)]
pub(super) unsafe fn withdraw(cases: Cases, set: LockSet, waiters: *mut Waiter, winner: Option<usize>) {
    // SAFETY: the caller's promise. Of the winner's channel nothing of ours is left; it may be gone. The others are
    // pinned.
    unsafe {
        let winner = winner.map_or(null_mut(), |index| cases.get(index).chan);
        set.each(|group| {
            if group.chan != winner {
                Chan::withdraw(group.chan, waiters.add(set.first_case(group)));
            }
        });
    }
}

/// Step 3.
///
/// # Safety
/// As for [`settle`]; the caller holds the locks of `set`, which this gives up; `waiters` has room for all
/// cases.
#[inline(never)]
unsafe fn park(cases: Cases, set: LockSet, waiters: *mut Waiter, deadline: i64) -> Selected {
    let reason = if cases.len() == 0 { WaitReason::SelectNoCases } else { WaitReason::Select };
    let mut wait = Wait::new(reason, true);
    wait.set_deadline(deadline);
    let wait = &raw const wait;
    // SAFETY: wait, waiters and set live in frames that outlast this call. It returns only when each channel of
    // the set was either unlocked by the one who won there, or locked again in `withdraw`; both come after
    // its unlock in the release step, which after the last of them touches nothing of these frames (see
    // `LockSet::each`).
    unsafe {
        enqueue(cases, set, waiters, wait);

        // With no channel at all nothing would keep this frame until the step has read it: the deadline may
        // pass before it runs.
        let won = if set.is_empty() {
            (*wait).block(unlock_none, null_mut())
        } else {
            (*wait).block(unlock_all, (&raw const set).cast_mut().cast())
        };

        if won == TIMED_OUT {
            withdraw(cases, set, waiters, None);
            return Selected::TimedOut;
        }
        let index = won as usize - 1;
        withdraw(cases, set, waiters, Some(index));
        Selected::Case(index, Waiter::outcome(waiters.add(index)))
    }
}

/// The release step of [`Wait::block`] for a select without channels.
fn unlock_none(_: *mut ()) {}

/// The release step of [`Wait::block`].
///
/// # Safety
/// `set` points to a [`LockSet`] whose locks were taken by the one who blocks, and stays until the last of them
/// is released.
unsafe fn unlock_all(set: *mut ()) {
    // SAFETY: the caller's promise; `unlock` works on a copy.
    unsafe {
        let set: LockSet = *set.cast();
        set.unlock();
    }
}
