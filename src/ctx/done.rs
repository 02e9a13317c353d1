//! The done channel; is a context done, and why.
//!
//! The one thing to know: **one word says whether it is done**, and it is also where the channel stands, which is
//! made when it is first asked for.
//!
//! | the word | meaning | who moves it there |
//! |---|---|---|
//! | null | not done, and there is no channel | the birth |
//! | a channel | done if that is closed | `make`, by whoever asks for it first |
//! | `DONE` | done, and there is no channel | the cancel (from null), under the context's lock |
//! | | ... or there is none any more, and nobody is left to ask | the end of the channel, likewise |
//!
//! Cancel writes `err` and `cause`, and then moves the word or closes the channel, all under the lock. Its
//! compare-exchange meets that of `make` in the same word: either the cancel finds the channel and closes it, or
//! `make` finds `DONE`. Release there, and in the channel's `closed`, pairs with the Acquire of [`Ctx::outcome`]: who
//! sees that it is done sees why.
//!
//! **The channel's owner is the context** ([`Owner`]), and the context's reference to it is like a user's. When the
//! last reference to the context is given up while another holds the channel, that reference becomes the
//! channel's ([`Canceller::pass_to_chan`]) and is given up with its end: the context stays in the tree, and
//! its deadline or its parents can still close the channel. If nobody else holds it, the two go together.

use super::canceller::Canceller;
use super::context::Ctx;
#[cfg(loom)]
use super::knobs::{self, Bug};
use crate::chan::{Chan, Owner};
use crate::fatal::fatal;
use crate::primitive::atomic::{AtomicPtr, Ordering};
use crate::sched::wait::WakeList;
use std::ptr::null_mut;

const DONE: *mut Chan = std::ptr::without_provenance_mut(1);

pub(super) struct Done {
    word: AtomicPtr<Chan>,
}

/// How a context ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) err: i32,
    pub(crate) cause: i32,
}

fn is_chan(word: *mut Chan) -> bool {
    !word.is_null() && word != DONE
}

impl Done {
    pub(super) fn new() -> Self {
        Done { word: AtomicPtr::new(null_mut()) }
    }

    /// Without telling anybody: for a context that nobody else knows.
    pub(super) fn become_done(&self) {
        self.word.store(DONE, Ordering::Release);
    }

    #[cfg(loom)]
    pub(super) fn retire(&mut self) {
        self.word.with_mut(|_| ());
    }
}

impl Canceller {
    /// Let it be done for all who look. Those who wait are claimed into `woken`.
    ///
    /// # Safety
    /// The caller holds the lock, and has written why. `woken` is woken when it is unlocked.
    pub(super) unsafe fn show_done(this: *mut Canceller, woken: &mut WakeList) {
        // SAFETY: the caller's promise. A channel that is in the word is in place: its end takes the lock first
        // (`gone`). The lock of a channel comes after that of its context.
        unsafe {
            let word = &(*this).done.word;
            // Acquire on failure: the channel was made by another.
            let found = word.compare_exchange(null_mut(), DONE, Ordering::Release, Ordering::Acquire);
            if let Err(chan) = found
                && is_chan(chan)
            {
                Chan::close_into(chan, woken);
            }
        }
    }

    /// The caller is about to give up the last reference: does somebody hold the done channel? True: the
    /// reference is the channel's now.
    ///
    /// # Safety
    /// The caller owns a reference, the only one that does not belong to a timer that is firing.
    pub(super) unsafe fn pass_to_chan(this: *mut Canceller) -> bool {
        // SAFETY: the caller's promise. There is no handle left by which a channel could be asked for, so if the
        // word is not a channel now, it will not be. If it is, the context's reference to it is not given up yet:
        // else the one to the context would be the channel's, and not the caller's.
        unsafe {
            if !is_chan((*this).done.word.load(Ordering::Acquire)) {
                return false;
            }
            #[cfg(loom)]
            if knobs::is(Bug::FreeWithChan) {
                return false;
            }
            // Under the lock, because a timer may be closing the channel.
            Self::lock(this);
            let ours = Chan::give_up((*this).done.word.load(Ordering::Acquire));
            if ours {
                (*this).done.word.store(DONE, Ordering::Release);
            }
            // If not ours, the channel may end, and the context with it, as soon as it is unlocked.
            Self::unlock(this);
            !ours
        }
    }
}

/// The channel is about to be freed, after all handles of its context.
///
/// # Safety
/// `this` is the context of that channel.
unsafe fn gone(this: *mut ()) {
    let this: *mut Canceller = this.cast();
    // SAFETY: the channel's reference is ours to give up. Whoever cancels holds the lock while it is in the
    // channel, and finds none after this.
    unsafe {
        #[cfg(loom)]
        let locked = !knobs::is(Bug::GoneUnlocked);
        #[cfg(not(loom))]
        let locked = true;
        if locked {
            Canceller::lock(this);
        }
        (*this).done.word.store(DONE, Ordering::Release);
        if locked {
            Canceller::unlock(this);
        }
        Ctx::release(this.cast());
    }
}

impl Ctx {
    /// The channel that is closed when the context is done, borrowed; null if it never can be.
    ///
    /// # Safety
    /// The caller holds `this`.
    pub(crate) unsafe fn done(this: *mut Ctx) -> *mut Chan {
        // SAFETY: the caller's promise keeps the canceller, and that its channel.
        unsafe {
            let canceller = Self::canceller(this);
            if canceller.is_null() {
                return null_mut();
            }
            let mut word = (*canceller).done.word.load(Ordering::Acquire);
            if word.is_null() {
                word = make(canceller);
            }
            if word == DONE { closed() } else { word }
        }
    }

    /// How it ended; `None`: it has not.
    ///
    /// # Safety
    /// The caller holds `this`.
    pub(crate) unsafe fn outcome(this: *mut Ctx) -> Option<Outcome> {
        // SAFETY: as in `done`.
        unsafe {
            let canceller = Self::canceller(this);
            if canceller.is_null() {
                return None;
            }
            let word = (*canceller).done.word.load(Ordering::Acquire);
            let done = if is_chan(word) { Chan::is_closed(word) } else { word == DONE };
            // Relaxed: ordered by the Acquire that showed us that it is done.
            done.then(|| Outcome {
                err: (*canceller).err.load(Ordering::Relaxed),
                cause: (*canceller).cause.load(Ordering::Relaxed),
            })
        }
    }
}

/// The first call makes the channel. Returns what is in the word then.
///
/// # Safety
/// The caller holds `canceller`.
#[cold]
unsafe fn make(canceller: *mut Canceller) -> *mut Chan {
    let chan = Chan::new_owned(0, 0, Owner { gone, arg: canceller.cast() });
    if chan.is_null() {
        // Not null, which would say that it will never be done.
        fatal(format_args!("gort_ctx_done: out of memory for the channel"));
    }
    // SAFETY: the caller's promise. The new channel's one reference is the context's, or given up at once.
    unsafe {
        let word = &(*canceller).done.word;
        match word.compare_exchange(null_mut(), chan, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => chan,
            Err(found) => {
                Chan::give_up(chan);
                found
            }
        }
    }
}

/// The one closed channel of all contexts that were done before anybody asked. It keeps a reference of its own.
#[cfg(not(loom))]
fn closed() -> *mut Chan {
    static CLOSED: AtomicPtr<Chan> = AtomicPtr::new(null_mut());
    let found = CLOSED.load(Ordering::Acquire);
    if !found.is_null() {
        return found;
    }
    let chan = new_closed();
    match CLOSED.compare_exchange(null_mut(), chan, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => chan,
        Err(found) => {
            // SAFETY: the one reference to a channel that nobody else knows.
            unsafe { Chan::release(chan) };
            found
        }
    }
}

/// Loom wants no statics; a model does not release it.
#[cfg(loom)]
fn closed() -> *mut Chan {
    new_closed()
}

fn new_closed() -> *mut Chan {
    let chan = Chan::new(0, 0);
    if chan.is_null() {
        fatal(format_args!("gort_ctx_done: out of memory for the channel"));
    }
    // SAFETY: nobody else knows it.
    unsafe { Chan::close(chan) };
    chan
}
