//! Signals on channels, as Go's `os/signal`.
//!
//! | file | what lives there |
//! |---|---|
//! | `registry.rs` | which channels want which signals; the thread that sends |
//! | `slot.rs` | what handlers share with the others: counts and a bell |
//! | `action.rs` | putting our handler in the place of what there was, and that back |
//! | `handler.rs` | the handler |
//!
//! The one thing to know: **a signal is either sent on, or has the effect that it would have had without us; never
//! both by mistake, never neither.** A handler counts its signal in, in one step, and rings; a thread of gort's
//! (`gort-signal`) takes the counts and sends. Whoever stops a channel first puts back what handled the signal before
//! (if nobody else wants it), then closes the count, and sends what was counted until then, and only then is the
//! channel forgotten. A handler that comes later finds the count closed, and does what there was before us.
//!
//! Everything but the handler happens under one lock, the registry's, sending included: so nothing is on its way to a
//! channel when stop has returned. It is taken before any other lock of gort's. A handler takes none.
//!
//! Why no crate: `signal-hook-registry` calls the host's handlers too, but never puts them, or the default action,
//! back.

#[cfg(not(loom))]
mod action;
#[cfg(not(loom))]
mod handler;
#[cfg(all(test, loom))]
mod model;
#[cfg(not(loom))]
mod registry;
mod slot;

#[cfg(not(loom))]
pub(crate) use registry::{Registry, after_fork, lock, notify, sends, stop};
