//! The read-write mutex's word, and every way in which it may change.
//!
//! | bits | meaning |
//! |---|---|
//! | 63..32 | how many hold it for reading |
//! | 31..3 | how many in the queue wait to read |
//! | 2, `WAITERS` | the queue is not empty |
//! | 1, `WRITER` | somebody holds it for writing |
//! | 0, `LOCKED` | somebody is at the queue; **nobody else changes anything in the word meanwhile** |
//!
//! | transition | by whom | from | to |
//! |---|---|---|---|
//! | `take_free` | lock, try_lock | all zero | `WRITER` |
//! | `join` | rlock, try_rlock | not `WRITER`, `WAITERS`, `LOCKED` | one reader more |
//! | `enter_queue` | one who must wait | not [`Seen::open_to`] it, not `LOCKED` | `LOCKED`, `WAITERS`, perhaps one reader more in the queue |
//! | `leave_queue` | the same, parked | `LOCKED` | not that |
//! | `leave` | runlock | readers, not `LOCKED`; if it is the last reader, not `WAITERS` | one reader fewer |
//! | `free_lone` | unlock | `WRITER` and nothing else | all zero |
//! | `lock_queue` | unlock and the last runlock, if somebody waits; one who timed out | not `LOCKED` | `LOCKED` |
//! | `pass_on` | the same | `LOCKED` | whatever they decided, not `LOCKED` |
//!
//! What always holds: `WAITERS` implies that somebody holds the mutex; while readers do, the first in the queue
//! is a writer. So a new reader must wait exactly if `WRITER` or `WAITERS` is set, and the mutex is free
//! exactly if nothing is set, apart from `LOCKED` for the few instructions of one who timed out.
//!
//! Orderings: Acquire in `take_free`, `join` pairs with the Release in `free_lone`, `leave`, `pass_on`; that of
//! `lock_queue`, `enter_queue` with whatever cleared `LOCKED`. Every `leave` is a read-modify-write, so that
//! the last reader's `lock_queue`, or the next writer's `take_free`, sees the ends of all readers. The stores
//! of `leave_queue` and `pass_on` end those release sequences; but they come behind an Acquire that took over
//! what those carried.

use super::How;
use crate::primitive::atomic::{AtomicU64, Ordering};
#[cfg(loom)]
use crate::sync::knobs::{self, Bug};
use crate::sync::order::{acquire, release};

const LOCKED: u64 = 1;
const WRITER: u64 = 2;
const WAITERS: u64 = 4;
const QUEUED_READER: u64 = 8;
const READER_SHIFT: u32 = 32;
const READER: u64 = 1 << READER_SHIFT;
/// All but the readers that hold it.
const LOW: u64 = READER - 1;

#[repr(C)]
pub(super) struct State {
    word: AtomicU64,
}

/// The word as it was when it was last looked at. A transition that fails because it has changed refreshes it.
#[derive(Clone, Copy)]
pub(super) struct Seen(u64);

/// Who holds the mutex and who waits, as one who has the queue's lock sees and decides it.
pub(super) struct Holders {
    pub(super) writer: bool,
    pub(super) readers: u32,
    pub(super) queued_readers: u32,
}

impl Seen {
    pub(super) fn queue_locked(self) -> bool {
        self.0 & LOCKED != 0
    }

    pub(super) fn has_writer(self) -> bool {
        self.0 & WRITER != 0
    }

    pub(super) fn has_waiters(self) -> bool {
        self.0 & WAITERS != 0
    }

    #[inline]
    pub(super) fn readers(self) -> u32 {
        (self.0 >> READER_SHIFT) as u32
    }

    /// It may be had, now or when `LOCKED` is gone.
    #[inline]
    pub(super) fn open_to(self, how: How) -> bool {
        match how {
            How::Read => self.0 & LOW & !LOCKED == 0,
            How::Write => self.0 & !LOCKED == 0,
        }
    }

    pub(super) fn holders(self) -> Holders {
        Holders {
            writer: self.has_writer(),
            readers: self.readers(),
            queued_readers: ((self.0 & LOW) / QUEUED_READER) as u32,
        }
    }
}

impl State {
    #[cfg(test)]
    pub(super) fn new() -> Self {
        State { word: AtomicU64::new(0) }
    }

    #[inline]
    pub(super) fn look(&self) -> Seen {
        Seen(self.word.load(Ordering::Relaxed))
    }

    #[inline]
    pub(super) fn take_free(&self) -> bool {
        self.word.compare_exchange(0, WRITER, acquire(), Ordering::Relaxed).is_ok()
    }

    /// False also if the caller would have to wait, or if there are as many readers as can be counted.
    #[inline]
    pub(super) fn join(&self, seen: &mut Seen) -> bool {
        seen.0 & LOW == 0 && seen.readers() != u32::MAX && self.replace(seen, seen.0 + READER, acquire())
    }

    /// True: the caller holds the queue's lock, and was to wait when it got it. It pushes its node and then
    /// calls `leave_queue`.
    pub(super) fn enter_queue(&self, seen: &mut Seen, how: How) -> bool {
        debug_assert!(!seen.open_to(how) && !seen.queue_locked());
        #[cfg(loom)]
        if knobs::is(Bug::QueueUnchecked) {
            seen.0 = self.word.load(Ordering::Relaxed) & !LOCKED;
        }
        let queued = if how == How::Read { QUEUED_READER } else { 0 };
        self.replace(seen, (seen.0 | LOCKED | WAITERS) + queued, acquire())
    }

    /// The queue may be seen by others from here on, and the caller's node with it.
    pub(super) fn leave_queue(&self) {
        self.word.fetch_and(!LOCKED, release());
    }

    /// If true, the mutex's memory may be gone. So with `free_lone` and `pass_on`. False also if the last
    /// reader is to wake somebody, or somebody is at the queue, or there is no reader.
    #[inline]
    pub(super) fn leave(&self, seen: &mut Seen) -> bool {
        let simple = match seen.readers() {
            0 => false,
            1 => seen.0 & LOW == 0,
            _ => !seen.queue_locked(),
        };
        simple && self.replace(seen, seen.0 - READER, release())
    }

    #[inline]
    pub(super) fn free_lone(&self) -> bool {
        self.word.compare_exchange(WRITER, 0, release(), Ordering::Relaxed).is_ok()
    }

    pub(super) fn lock_queue(&self, seen: &mut Seen) -> bool {
        debug_assert!(!seen.queue_locked());
        self.replace(seen, seen.0 | LOCKED, acquire())
    }

    /// `empty`: the queue is, now.
    pub(super) fn pass_on(&self, to: &Holders, empty: bool) {
        debug_assert!(!empty || to.queued_readers == 0);
        let flags = if to.writer { WRITER } else { 0 } | if empty { 0 } else { WAITERS };
        let counts = u64::from(to.readers) * READER + u64::from(to.queued_readers) * QUEUED_READER;
        self.word.store(counts | flags, release());
    }

    #[inline]
    fn replace(&self, seen: &mut Seen, new: u64, success: Ordering) -> bool {
        match self.word.compare_exchange_weak(seen.0, new, success, Ordering::Relaxed) {
            Ok(_) => true,
            Err(now) => {
                seen.0 = now;
                false
            }
        }
    }

    /// The memory's owner is alone with it: loom fails the model if anybody else is, or was unordered.
    #[cfg(all(test, loom))]
    pub(super) fn assert_alone(&mut self) {
        self.word.with_mut(|_| ());
    }

    #[cfg(all(test, not(loom)))]
    pub(super) fn fill_with_readers(&self) {
        self.word.store(u64::from(u32::MAX) * READER, Ordering::Relaxed);
    }
}
