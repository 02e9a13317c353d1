//! Seeing inside: what the runtime tells of itself.
//!
//! | file | concept |
//! |---|---|
//! | `deadlock.rs`, `poll.rs` | nobody can go on any more: finding it, and saying so |
//!
//! The one thing to know: what lives here only looks. It asks the scheduler, and the scheduler tells it at a few
//! points that it is worth looking.

#[cfg(not(loom))]
pub(crate) mod deadlock;
pub(crate) mod poll;
