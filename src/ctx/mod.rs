//! Contexts and groups: Go's `context` and `errgroup`.
//!
//! | file | what lives there |
//! |---|---|
//! | `context.rs` | what all contexts have: references, the chain of parents, values |
//! | `canceller.rs` | a context that can be cancelled: its place in the tree, its birth and its end |
//! | `cancel.rs` | cancelling a context and all below it |
//! | `done.rs` | the done channel; is it done, and why |
//! | `deadline.rs` | the timer of a context with a deadline |
//! | `after.rs` | functions that are started when a context is done |
//! | `group.rs` | groups of goroutines that work on one task |
//!
//! The one thing to know: **whoever cancels holds the locks of the whole path from the context that it was
//! asked to cancel down to the one it is at.** Every other call takes one lock at a time. From this it follows:
//!
//! * The order of locks is parent before child, and since a context's ancestors are fixed at its birth, no two
//!   calls can wait for each other. Below a context's lock come only its channel's and a timer heap's, under
//!   which nobody takes a context's.
//! * A context that is found done under its lock is done with all below it: who made it so held the lock until
//!   it was through. So whichever of two cancels comes second, when it returns all is cancelled too.
//! * A context that is linked into its parent stays in place while the parent's lock is held, whatever becomes
//!   of its references: before it is freed it unlinks itself, under that lock. The walk needs no references.
//!   (The path of a walk may be 100,000 contexts long. It is a loop, and finds its way back by `up`.)
//!
//! Nobody is woken and no goroutine is started under a lock: the walk takes along whom to tell, and tells them
//! when it has let go of everything. That is also when it has touched the contexts for the last time, as whoever
//! sees that one is done may release it.
//!
//! Done, for all who look, is one step: the done channel is closed, or, if nobody has asked for the channel yet,
//! the word where it would stand says "done". Before that `err` is 0 for everybody; after it, `err` and `cause` are
//! what they stay (see `done.rs`).
//!
//! References. A child holds its parent; the parent only knows its children. The other references are the
//! user's handles; one for each function that waits for the end (`after.rs`); one of a timer that is firing; and
//! one of a done channel that outlives the handles (`done.rs`): who retained it is told of the end though the
//! context was released. An active deadline by itself holds nothing: if nobody could notice that it passes, the
//! context goes and its timer with it.

mod after;
mod cancel;
mod canceller;
mod context;
mod deadline;
mod done;
#[cfg(not(loom))]
mod group;
#[cfg(loom)]
mod knobs;
#[cfg(all(test, loom))]
mod model;
#[cfg(all(test, not(loom)))]
mod tests;

pub(crate) use context::Ctx;
#[cfg(not(loom))]
pub(crate) use context::background;
#[cfg(not(loom))]
pub(crate) use group::{Busy, Group, Work};

use std::ffi::c_void;

/// The `err` of a context that was cancelled.
pub(crate) const CANCELED: i32 = -libc::ECANCELED;
/// The `err` of a context whose deadline has passed.
pub(crate) const TIMED_OUT: i32 = -libc::ETIMEDOUT;

/// What a context starts in a goroutine of its own.
pub(crate) type Call = unsafe extern "C" fn(*mut c_void);
