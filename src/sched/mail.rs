//! A worker's mailbox: how a processor is handed to a worker that sleeps or is about to.
//!
//! The one thing to know: there is one sender of a parcel at a time, since whoever sends one has first taken the
//! worker out of the idle list (or holds the goroutine that the worker waits for). Pokes may come from anybody
//! at any time and say only "look again".
//!
//! | bit of `word` | meaning | set by | cleared by |
//! |---|---|---|---|
//! | `PROC` | `parcel` holds a processor | `deliver`, after it has written the parcel | `take` |
//! | `POKE` | look again | `poke` | `take` |
//! | the rest | 0: the owner is awake, or sleeps on the word. Else it sleeps until its bell is rung, and this is the bell's number plus 1 | `listen`, if there is no mail | `stop_listening` |
//!
//! All change the one word by one operation each, so a sender either comes before `listen`, which then refuses, or
//! learns from what it has replaced which bell to ring. It has the number from the word and rings when the mailbox may be
//! gone already; hence bells are never closed (`poller/bell.rs`).

#[cfg(not(loom))]
use super::poller::ring;
#[cfg(loom)]
use super::threads_only::ring;
use crate::primitive::atomic::{AtomicU32, Ordering};
use crate::primitive::{futex_wait, futex_wake};
use std::cell::UnsafeCell;

const PROC: u32 = 1;
const POKE: u32 = 2;
const MAIL: u32 = PROC | POKE;
const BELL_SHIFT: u32 = 2;

pub(super) struct Mailbox<P> {
    /// Futex.
    word: AtomicU32,
    /// The sender's until `PROC` is set, then the owner's until the worker can be sent to again.
    parcel: UnsafeCell<Option<P>>,
}

// SAFETY: `parcel` is handed from the sender to the owner by `word` (release, acquire), and back by whatever
// told the next sender that the worker waits again (the idle lists' lock, or a run queue).
unsafe impl<P: Send> Sync for Mailbox<P> {}

impl<P> Mailbox<P> {
    pub(super) fn new() -> Self {
        Mailbox { word: AtomicU32::new(0), parcel: UnsafeCell::new(None) }
    }

    /// Send `parcel` and wake the owner, who may be gone with the mailbox as soon as it has the parcel.
    ///
    /// # Safety
    /// The owner waits or is about to, and nobody else sends it a parcel before it has taken this one.
    pub(super) unsafe fn deliver(&self, parcel: P) {
        // SAFETY: one sender at a time, and the owner reads `parcel` only after `word` says PROC.
        unsafe { *self.parcel.get() = Some(parcel) };
        let word = &raw const self.word;
        // Release pairs with the Acquire in `take`: the parcel is there.
        let before = self.word.fetch_or(PROC, Ordering::Release);
        wake(word, before);
    }

    /// Make a sleeping owner look again. The caller knows that the mailbox stays in place.
    pub(super) fn poke(&self) {
        let before = self.word.fetch_or(POKE, Ordering::Release);
        wake(&self.word, before);
    }

    /// Empty the mailbox; the parcel if one has come.
    ///
    /// # Safety
    /// The caller is the owner.
    pub(super) unsafe fn take(&self) -> Option<P> {
        // One swap, so that a parcel that comes between a look and the clearing is not lost.
        if self.word.swap(0, Ordering::Acquire) & PROC == 0 {
            return None;
        }
        // SAFETY: PROC says that the sender is done with it, and there is no second sender before we wait again.
        unsafe { (*self.parcel.get()).take() }
    }

    pub(super) fn has_mail(&self) -> bool {
        self.word.load(Ordering::Relaxed) & MAIL != 0
    }

    /// The owner is about to sleep until `bell` is rung. False: there is mail, and nobody will ring.
    pub(super) fn listen(&self, bell: i32) -> bool {
        let listening = (bell as u32 + 1) << BELL_SHIFT;
        self.word.compare_exchange(0, listening, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// It sleeps no more. True: there is mail, and the bell was rung for it, or will be.
    pub(super) fn stop_listening(&self) -> bool {
        self.word.fetch_and(MAIL, Ordering::Relaxed) & MAIL != 0
    }

    /// Sleep until there is mail, or until `deadline`; may return early.
    pub(super) fn sleep(&self, deadline: i64) {
        futex_wait(&self.word, 0, deadline);
    }
}

/// Wake the owner, whose word was `before` when the mail came. The word's address alone is used.
fn wake(word: *const AtomicU32, before: u32) {
    match (before >> BELL_SHIFT).checked_sub(1) {
        Some(bell) => ring(bell as i32),
        None => futex_wake(word, 1),
    }
}
