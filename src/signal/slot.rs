//! What a handler and those outside handlers share about one signal: one word.
//!
//! The one thing to know: whether a signal is wanted and how many of it have come that nobody has dealt with is one
//! word, so a handler's whole effect is one compare-exchange: either it counts its signal in, and then whoever takes
//! the count or closes the slot gets it, or it finds the slot closed, and then the signal is not ours. Nothing is in
//! between, however long a handler is held up, and whatever it has interrupted.
//!
//! | the slot is | a handler | moved on by |
//! |---|---|---|
//! | closed | leaves the signal to what there was before us | `open`, by the first that wants it |
//! | open | counts it in and rings, if it is the entry that counts | `close`, by the last that wants it |
//!
//! Open and close are called under the registry's lock. Entries are explained in `action.rs`.
//!
//! [`Bell`] wakes the thread that deals with the counts. A handler counts first, then sets the bell (Release); the
//! thread clears it (Acquire), then looks at all counts. Who rings at a bell that is set already has not been
//! overlooked: the thread has not cleared it yet, and when it does, it reads that ring or a later one.

use crate::primitive::atomic::{AtomicU32, Ordering};
use crate::primitive::{FOREVER, futex_wait, futex_wake};

/// How many entries there are.
pub(super) const ENTRIES: usize = 8;

const OPEN: u32 = 1 << 31;
const ENTRY: u32 = 7 << ENTRY_SHIFT;
const ENTRY_SHIFT: u32 = 28;
const COUNT: u32 = (1 << ENTRY_SHIFT) - 1;
const _: () = assert!(ENTRIES == (ENTRY >> ENTRY_SHIFT) as usize + 1);

/// The word: see the file's comment.
pub(super) struct Slot(AtomicU32);

/// What has become of a handler's signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Posted {
    /// It will be sent on, and the bell is to be rung.
    Counted,
    /// It is wanted, but another entry counts.
    NotHere,
    /// Nobody wants it.
    Closed,
}

fn entry(word: u32) -> usize {
    ((word & ENTRY) >> ENTRY_SHIFT) as usize
}

impl Slot {
    #[cfg(not(loom))]
    pub(super) const fn new() -> Self {
        Slot(AtomicU32::new(0))
    }

    #[cfg(loom)]
    pub(super) fn new() -> Self {
        Slot(AtomicU32::new(0))
    }

    /// The handler that is entered at `at` has a signal. Async-signal-safe.
    pub(super) fn post(&self, at: usize) -> Posted {
        // Acquire, here and below: what `open` was preceded by is to be seen, if only the entry is.
        let mut word = self.0.load(Ordering::Acquire);
        loop {
            if word & OPEN == 0 {
                return Posted::Closed;
            }
            if entry(word) != at {
                return Posted::NotHere;
            }
            // So many have never been missed for want of room in a channel.
            let next = if word & COUNT == COUNT { word } else { word + 1 };
            match self.0.compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Posted::Counted,
                Err(now) => word = now,
            }
        }
    }

    /// Signals are wanted from now on, and counted by the handler that is entered at `at`.
    pub(super) fn open(&self, at: usize) {
        debug_assert!(at < ENTRIES);
        // It was closed, and then nobody changes it.
        self.0.store(OPEN | (at as u32) << ENTRY_SHIFT, Ordering::Release);
    }

    /// Those that were counted since the last time.
    pub(super) fn take(&self) -> u32 {
        if self.0.load(Ordering::Acquire) & COUNT == 0 {
            return 0;
        }
        self.0.fetch_and(!COUNT, Ordering::AcqRel) & COUNT
    }

    /// Signals are not wanted any more; returns those that had been counted.
    pub(super) fn close(&self) -> u32 {
        self.0.swap(0, Ordering::AcqRel) & COUNT
    }

    /// The entry that counts, if the slot is open.
    pub(super) fn counts_at(&self) -> Option<usize> {
        let word = self.0.load(Ordering::Acquire);
        (word & OPEN != 0).then(|| entry(word))
    }

    /// A mistake for a model: what is counted between the two steps is lost.
    #[cfg(loom)]
    pub(super) fn close_blindly(&self) -> u32 {
        let count = self.take();
        self.0.store(0, Ordering::Release);
        count
    }

    /// Another.
    #[cfg(loom)]
    pub(super) fn take_blindly(&self) -> u32 {
        let word = self.0.load(Ordering::Acquire);
        self.0.store(word & !COUNT, Ordering::Release);
        word & COUNT
    }
}

/// Something has been counted: see the file's comment. The word is a futex, 1 once it was rung.
pub(super) struct Bell(AtomicU32);

impl Bell {
    #[cfg(not(loom))]
    pub(super) const fn new() -> Self {
        Bell(AtomicU32::new(0))
    }

    #[cfg(loom)]
    pub(super) fn new() -> Self {
        Bell(AtomicU32::new(0))
    }

    /// Async-signal-safe, and leaves `errno` alone.
    pub(super) fn ring(&self) {
        if self.0.swap(1, Ordering::AcqRel) == 0 {
            futex_wake(&self.0, 1);
        }
    }

    /// Sleep until it is rung, or has been since the last time.
    pub(super) fn wait(&self) {
        while !self.clear() {
            futex_wait(&self.0, 0, FOREVER);
        }
    }

    /// Had it been rung?
    pub(super) fn clear(&self) -> bool {
        self.0.swap(0, Ordering::AcqRel) != 0
    }
}
