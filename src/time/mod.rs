//! Timers and tickers, with the semantics of Go 1.23 and later.
//!
//! | file | what lives there |
//! |---|---|
//! | `timer.rs` | the timer: its state, its references, new, stop, reset, release |
//! | `fire.rs` | what happens when it is due |
//!
//! The one thing to know: **a tick is sent, and taken back, under the timer's own lock.** Firing looks at the
//! state and sends under it; stop and reset change the state and empty the channel's buffer under it. So when
//! stop or reset has returned, no older tick lies in the buffer, and none is on its way: a firing that comes
//! later finds that it is not due.
//!
//! A timer's heap node cannot be put into a heap again between its claim (under the heap's lock, where nobody
//! can wait for ours) and its `fire`. That while is visible to stop and reset: the node was queued and cannot
//! be cancelled any more. They then only write down what is to be, and `fire` makes it true: it sends nothing,
//! or puts the node into a heap with the new deadline.
//!
//! | `active` | `queued` | the timer |
//! |---|---|---|
//! | no | no | has fired, was stopped |
//! | yes | yes | is in a heap, or was claimed and waits for its `fire` |
//! | no | yes | was stopped between claim and `fire` |
//! | yes | no | will never be due (`FOREVER`) |
//!
//! References. A timer is freed with its last reference; a queued node is one. The other is the handle's, for
//! a timer that calls a function: released while active it still fires. A timer with a channel belongs to the
//! channel instead (`chan::Owner`): the handle is a reference to the channel, and when the last one to the
//! channel is given up nobody can receive a tick any more, so the timer is stopped and goes. `gort_after` is a
//! timer of which only the channel is given away.
//!
//! Locks, in the order in which they are taken: the timer's; then its channel's, or a heap's. Nothing is woken,
//! started or told under them. The unlock is the last touch of a timer by stop, reset and whoever set it off,
//! because their effect (a tick, a call) may make another release it before they have returned.

mod fire;
#[cfg(all(test, loom))]
mod model;
#[cfg(all(test, not(loom)))]
mod tests;
mod timer;

pub(crate) use timer::{Timer, after};

use std::ffi::c_void;

/// What a timer calls in a goroutine of its own.
pub(crate) type Call = unsafe extern "C" fn(*mut c_void);
