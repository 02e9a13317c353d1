//! A select that nobody blocks in: a function is called when one of its cases has been carried out.
//!
//! It goes through the steps of `select.rs`. If one of the first two finds a case that is ready, the function is called
//! at once. Else waiters are queued as in step 3, whose wait is a [`Callback`], and the call returns. Then exactly one
//! of two things happens, which the compare-exchange on the wait decides:
//!
//! | who wins the wait | what follows | `result` |
//! |---|---|---|
//! | a peer, under the lock of one of the channels | [`woken`], on the peer's thread, when that lock is free | the index |
//! | [`Async::cancel`] | the caller takes all waiters out of their queues | `CANCELLED` |
//!
//! The one thing to know: **what a woken call would do is done by whoever wakes it**, who holds no lock: it takes the
//! waiters out of the other channels' queues, then says what was chosen, then calls the host's function, and touches
//! nothing of the host's any more. What it uses is in the [`Async`], which has a reference for it: so the host may give
//! up its own, and free its cases, in that very function.
//!
//! The one who started it may still be unlocking the channels when a peer is at work on one of them. Neither gets in the
//! other's way, for the reason that is given for `park` in `select.rs`: before anything is freed, the peer takes the lock of
//! each channel but its own, so after the last unlock; and that touches nothing but the channel.

use super::dropper::Discards;
use super::lock_set::LockSet;
use super::select::{Case, Cases, Selected, commit, enqueue, poll, withdraw};
use super::waiter::Waiter;
use super::{Outcome, STATUS_CLOSED, STATUS_DONE};
use crate::primitive::atomic::{AtomicI32, AtomicU32, Ordering};
use crate::sched::removed;
use crate::sched::wait::{Callback, TIMED_OUT, Wait};
#[cfg(not(loom))]
use std::alloc::dealloc;
use std::alloc::{Layout, alloc};
use std::ffi::c_void;
use std::mem::MaybeUninit;

/// What [`Async::result`] says when no case has been carried out: not yet, or none will be.
const PENDING: i32 = -1;
const CANCELLED: i32 = -2;

/// The host's function.
#[derive(Clone, Copy)]
pub(crate) struct Done {
    pub(crate) call: unsafe extern "C" fn(*mut c_void),
    pub(crate) arg: *mut c_void,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    Pending,
    Chosen(usize),
    Cancelled,
}

/// `callback` comes first: a pointer to its wait is one to the whole. Behind it stand, for each case, a [`Waiter`], a
/// [`Case`] and two indices.
#[repr(C)]
pub(crate) struct Async {
    callback: Callback,
    /// The host's, and one for whoever completes or cancels it.
    refs: AtomicU32,
    result: AtomicI32,
    done: Done,
    /// The host's cases: the status of the chosen one is written there, and nothing is read once this is queued.
    host: *mut Case,
    /// Ours: with memory for what is to be dropped.
    cases: Cases,
    /// Written when the waiters are queued.
    set: MaybeUninit<LockSet>,
    waiters: *mut Waiter,
    discards: Option<Discards>,
    #[cfg_attr(loom, allow(dead_code))] // a model keeps the memory
    layout: Layout,
}

/// Where the arrays are.
struct Places {
    layout: Layout,
    waiters: usize,
    cases: usize,
    order: usize,
    sorted: usize,
}

impl Places {
    fn of(len: usize) -> Option<Places> {
        let (layout, waiters) = Layout::new::<Async>().extend(Layout::array::<Waiter>(len).ok()?).ok()?;
        let (layout, cases) = layout.extend(Layout::array::<Case>(len).ok()?).ok()?;
        let (layout, order) = layout.extend(Layout::array::<u16>(len).ok()?).ok()?;
        let (layout, sorted) = layout.extend(Layout::array::<u16>(len).ok()?).ok()?;
        Some(Places { layout, waiters, cases, order, sorted })
    }
}

/// Start a select; `done` is called when one of its cases has been carried out, perhaps before this returns. The caller
/// gets the one reference. `None`: no memory, and nothing has been done.
///
/// # Safety
/// `host` points to `len` cases, at most [`super::MAX_CASES`]. Until `done` was called, or a cancel has said true, these
/// stay in place, and each `elem` is readable (send) or null or writable (receive) for an element of its channel. Each
/// `chan` is null or live for the call. The caller holds no lock.
pub(crate) unsafe fn select_async(host: *mut Case, len: usize, done: Done) -> Option<*mut Async> {
    // SAFETY: the caller's promise.
    let discards = unsafe { Discards::of(host, len) }.ok()?;
    let places = Places::of(len)?;
    // SAFETY: the size is not zero.
    let block = unsafe { alloc(places.layout) };
    if block.is_null() {
        return None;
    }
    let this: *mut Async = block.cast();
    // SAFETY: within the block, and aligned, by its layout; fresh memory. The caller's promise for `host`.
    let (order, sorted) = unsafe {
        let cases: *mut Case = block.add(places.cases).cast();
        let order: *mut u16 = block.add(places.order).cast();
        let sorted: *mut u16 = block.add(places.sorted).cast();
        for index in 0..len {
            let mut case = *host.add(index);
            if let Some(elem) = discards.as_ref().and_then(|discards| discards.elem_for(index)) {
                case.elem = elem;
            }
            cases.add(index).write(case);
            order.add(index).write(index as u16);
            sorted.add(index).write(0);
        }
        this.write(Async {
            callback: Callback::new(woken),
            refs: AtomicU32::new(2),
            result: AtomicI32::new(PENDING),
            done,
            host,
            cases: Cases::new(cases, len),
            set: MaybeUninit::uninit(),
            waiters: block.add(places.waiters).cast(),
            discards,
            layout: places.layout,
        });
        (std::slice::from_raw_parts_mut(order, len), std::slice::from_raw_parts_mut(sorted, len))
    };
    // SAFETY: the caller's promise. The channels are referenced until the first of them is unlocked with a waiter in it,
    // and pinned from then on. Nothing of `this` is touched after that; our caller's reference keeps it.
    unsafe {
        let cases = (*this).cases;
        let wait = Async::wait(this);
        if let Some(Selected::Case(index, outcome)) = poll(cases, order) {
            Async::complete_at_once(this, index, outcome);
            return Some(this);
        }
        let set = LockSet::new(cases, sorted);
        set.lock();
        if let Some(Selected::Case(index, outcome)) = commit(cases, set, order) {
            Async::complete_at_once(this, index, outcome);
            return Some(this);
        }
        (*this).set.write(set);
        enqueue(cases, set, (*this).waiters, wait);
        set.unlock();
    }
    Some(this)
}

/// A peer has carried out a case: see [`Callback`].
///
/// # Safety
/// `wait` is that of an [`Async`]; the caller has claimed it, served its waiter, and holds no lock.
unsafe fn woken(wait: *const Wait) {
    let this: *mut Async = wait.cast_mut().cast();
    // SAFETY: the reference for whoever completes it is ours. What was written before the waiters were queued reached us
    // with the lock under which we found one.
    unsafe {
        let index = (*wait).winner() as usize - 1;
        let outcome = Waiter::outcome((*this).waiters.add(index));
        withdraw((*this).cases, (*this).set.assume_init(), (*this).waiters, Some(index));
        Async::complete(this, index, outcome);
    }
    // A timer among the cases may now be one that nobody waits for.
    removed();
}

/// In each of these `this` is live.
impl Async {
    /// In a model: every access must have happened before this one. The memory stays, so that who comes too late meets
    /// what is left, not garbage.
    #[cfg(loom)]
    fn retire(&mut self) {
        self.refs.with_mut(|_| ());
        self.result.with_mut(|_| ());
        self.callback.retire();
    }

    fn wait(this: *mut Async) -> *const Wait {
        this.cast::<Wait>()
    }

    /// # Safety
    /// Nothing was queued; as for `complete`.
    unsafe fn complete_at_once(this: *mut Async, index: usize, outcome: Outcome) {
        // SAFETY: the caller's promise: nobody else knows it yet.
        unsafe {
            let won = (*Self::wait(this)).claim(index as u32 + 1);
            debug_assert!(won);
            Self::complete(this, index, outcome);
        }
    }

    /// Say what was chosen, and give up the reference of whoever completes it.
    ///
    /// # Safety
    /// The caller owns that reference and has won the wait for case `index`; nothing is queued; it holds no lock.
    unsafe fn complete(this: *mut Async, index: usize, outcome: Outcome) {
        // SAFETY: the caller's promise; the host keeps its cases until `done` is called.
        unsafe {
            let status = if outcome == Outcome::Done { STATUS_DONE } else { STATUS_CLOSED };
            (*(*this).host.add(index)).status = status;
            if let Some(discards) = &(*this).discards {
                discards.settle(index, outcome);
            }
            let done = (*this).done;
            // Release pairs with the Acquire in `progress`: who sees it sees the element and the status.
            (*this).result.store(index as i32, Ordering::Release);
            (done.call)(done.arg);
            Self::release(this);
        }
    }

    /// # Safety
    /// As said above.
    pub(crate) unsafe fn progress(this: *mut Async) -> Progress {
        // SAFETY: the caller's promise.
        match unsafe { (*this).result.load(Ordering::Acquire) } {
            PENDING => Progress::Pending,
            CANCELLED => Progress::Cancelled,
            index => Progress::Chosen(index as usize),
        }
    }

    /// True: no case was or will be carried out, and nothing of the host's is touched any more. False: one was.
    ///
    /// # Safety
    /// As said above, by a reference of the caller's, who holds no lock.
    pub(crate) unsafe fn cancel(this: *mut Async) -> bool {
        // SAFETY: the caller's promise. Only what is queued is not won already: `set` has been written, and the
        // reference of whoever completes it is ours. Those who meet a waiter until it is out cannot claim it.
        unsafe {
            let wait = &*Self::wait(this);
            if !wait.cancel() {
                return wait.winner() == TIMED_OUT;
            }
            withdraw((*this).cases, (*this).set.assume_init(), (*this).waiters, None);
            (*this).result.store(CANCELLED, Ordering::Release);
            Self::release(this);
        }
        removed();
        true
    }

    /// # Safety
    /// As said above, by a reference of the caller's.
    pub(crate) unsafe fn retain(this: *mut Async) {
        // SAFETY: the caller's promise. Relaxed: who passes the new reference on, orders it.
        unsafe { (*this).refs.fetch_add(1, Ordering::Relaxed) };
    }

    /// Give up a reference; the last one frees.
    ///
    /// # Safety
    /// The caller owns it.
    pub(crate) unsafe fn release(this: *mut Async) {
        // SAFETY: the caller's promise. AcqRel: what was done under the others is over and seen by the last.
        unsafe {
            if (*this).refs.fetch_sub(1, Ordering::AcqRel) == 1 {
                #[cfg(loom)]
                (*this).retire();
                #[cfg(not(loom))]
                {
                    let layout = (*this).layout;
                    this.drop_in_place();
                    dealloc(this.cast(), layout);
                }
            }
        }
    }
}
