//! The poller's driver: who waits for a descriptor of the system's, and how those are found whose wait is over.
//!
//! The one thing to know: there is one epoll set, and no thread of its own that waits in it. Whoever has nothing
//! better to do asks the set ([`poll`]) and makes ready whoever can go on: a worker that runs out of work, one that
//! has been busy for a while, and the sentinel of `idle/`, which alone *sleeps* for it ([`sleep`]). As long as nobody
//! has ever waited for a descriptor there is no set, and the scheduler pays one load of a flag.
//!
//! Descriptors are registered edge-triggered, once, for both directions, and the record that belongs to a registration
//! is found by the descriptor's *number* ([`table`]), never by a pointer that the kernel keeps. An event of a
//! registration that is gone is ignored, or wakes somebody who looks again: **every wake-up from here says only "look
//! again"**.
//!
//! | file | concept |
//! |---|---|
//! | `entry.rs` | what is known of a descriptor's number: events counted, who waits |
//! | `table.rs` | from the number to the record |
//! | `driver.rs` | the epoll set, registering, asking it |
//! | `bell.rs` | waking a worker that sleeps for the set |
//!
//! **Who waits is counted** ([`Waiting`]), from before it looks whether it must wait until it goes on. This is one
//! half of a pair: count, then read who keeps watch; the other half is announce (idle; what the sentinel does), then
//! read the count. All sequentially consistent, so at least one sees the other, and somebody polls: see `idle/`.
//! It is also what keeps the deadlock detector from taking those who wait for lost (`quiet.rs`).

#[cfg(not(loom))]
mod bell;
#[cfg(not(loom))]
mod driver;
mod entry;
#[cfg(all(test, loom))]
mod model;
#[cfg(not(loom))]
mod table;

#[cfg(not(loom))]
pub(super) use bell::{Bell, ring};
#[cfg(not(loom))]
pub(crate) use driver::Waiting;
#[cfg(not(loom))]
pub(super) use driver::{
    Harvest, after_fork_child, after_fork_parent, before_fork, in_use, last_poll, poll, poll_if_stale, sleep,
    waiting,
};
pub(crate) use entry::{Direction, Entry, Seen};
#[cfg(not(loom))]
pub(crate) use table::{entry_of, find as known_entry};
