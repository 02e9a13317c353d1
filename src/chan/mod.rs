//! Channels and select: Go's, for goroutines and plain OS threads in the same queues.
//!
//! | file | what lives there |
//! |---|---|
//! | `channel.rs` | the channel itself: its memory, its references, its flags |
//! | `waiter.rs` | the place of one blocked call in a channel's queue |
//! | `transfer.rs` | what send and receive do under the lock, and what can be refused without it |
//! | `ops.rs` | send, receive, close: try, wait, wait until |
//! | `select.rs` | choosing one of several |
//! | `lock_set.rs` | locking the channels of a select in one order |
//! | `pending.rs` | a select whose waiter is a callback |
//! | `owner.rs` | channels that a timer feeds |
//! | `dropper.rs` | channels whose elements own something |
//! | `census.rs` | what is in a channel, and who waits |
//! | `element.rs`, `random.rs`, `witness.rs` | copying, fair choice, what a loom model sees |
//!
//! The one thing to know: **whoever makes a transfer happen does the whole of it under the channel's lock, and
//! the unlock is its last touch of the channel.** A sender copies straight into the waiting receiver's memory;
//! a receiver of a full buffer takes the head and moves the first waiting sender's element to the tail. The
//! woken side finds its work done and never competes for the channel again, so a value that was handed over
//! cannot be taken by another, and order is kept.
//!
//! Invariants, whenever the lock is free:
//!
//! 1. A receiver that can be claimed is queued only while the buffer is empty, no sender is queued and the
//!    channel is open; a sender only while the buffer is full (always so at capacity 0), likewise. (Both may
//!    hold select's own waiters of *one* call at once, and waiters that were won elsewhere or timed out; those
//!    are dropped when met.)
//! 2. `receiving` and `sending` say whether the queue is non-empty; `len` is the number in the buffer.
//! 3. Nobody is queued on a closed channel, and closed stays closed.
//!
//! Lifetime. The peer of a call may release the last reference as soon as it sees the call's effect, even
//! before the call has returned. Three rules make that safe: the unlock is the last touch; the last release
//! takes the lock, so that it waits for whoever is still inside; and a call that may have to come back to a
//! channel after its effect was seen elsewhere (a select that was served by another of its channels, a wait
//! with a deadline) *pins* the channel while it is queued there, and a pinned channel outlives its references
//! until the pin is taken out. A channel with an *owner* ([`Owner`]) tells it before it is freed.

mod census;
mod channel;
mod dropper;
mod element;
mod lock_set;
mod ops;
mod owner;
mod pending;
mod random;
mod select;
mod transfer;
mod waiter;
mod witness;

#[cfg(all(test, loom))]
mod model;
#[cfg(all(test, not(loom)))]
mod tests;

pub(crate) use channel::Chan;
pub(crate) use dropper::{Dropper, select_dropping, try_select_dropping};
pub(crate) use owner::{Handed, Owner};
pub(crate) use pending::{Async, Done, Progress, select_async};
pub(crate) use select::{Case, MAX_CASES, Selected, select, try_select};

/// How a call on one channel ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum Outcome {
    /// The element was sent or received.
    Done,
    /// Send: the channel is closed. Receive: it is closed and drained, and the element was zeroed.
    Closed,
    /// It would have to wait.
    NotReady,
    /// The deadline passed first.
    TimedOut,
    /// No room for an element that is received to be dropped; nothing was received.
    NoMemory,
}

/// As the status of a case that was carried out: GORT_OK and GORT_ECLOSED.
pub(crate) const STATUS_DONE: i32 = 0;
pub(crate) const STATUS_CLOSED: i32 = -4001;

/// What a call does to a channel, by the numbers of the ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum Op {
    Send = 1,
    Recv = 2,
}
