//! Lanes: goroutines that run on threads of their own, with hooks, for another language's runtime.
//!
//! The one thing to know: **a thread of a lane is a worker without a processor.** What its goroutines ready, spawn or arm
//! for others goes the way of any thread outside (`Runtime::inject`, `Runtime::timers`). What is readied *for* them, from
//! anywhere, goes to their lane ([`ready`]): one run queue, first in, first out, under one lock, and as many *slots* as
//! may run at once (`slots.rs`).
//!
//! A turn of a goroutine of a lane, on the thread that holds a slot:
//!
//! 1. `goroutine_start` or `goroutine_resume`, the switch to it, and the switch back when it leaves.
//! 2. If it parked: it is marked *leaving*, its timer is armed, its release step makes it reachable.
//! 3. `goroutine_leave` (or `goroutine_end`). No lock is held, so whoever readies it may come before this is done: under the
//!    lane's lock he finds the mark, and leaves word with the goroutine instead of queueing it.
//! 4. Under the lock: the mark is taken away; what word was left queues the goroutine. Then the next one is picked, and it
//!    goes on with 1.
//! 5. If there is none, or the goroutine keeps the thread: `thread_idle`; then the queue is looked at again, under the lock,
//!    and if there still is nothing that this thread may run, its slot goes to what waits, or is free, and the thread sleeps
//!    until it is sent a task. A slot is with the task that it is sent. Then `thread_busy`, and 1.
//!
//! So between `thread_busy` and `thread_idle` a thread holds a slot, unless the monitor has taken it away.
//!
//! **A goroutine that keeps its thread** (the hook says so, or it is locked or pinned) has that thread in `pin`. It stands in
//! the queue like any other; only who finds it first there is told to give the slot to that thread, and gives up his own.
//!
//! **The deadlock detector** is told by `Pending`: raised for each thread that is sent a task, under the lane's lock, by
//! someone who counts as running himself; lowered by that thread before it sleeps, after its slot was passed on. Then the
//! thread looks for a deadlock.
//!
//! **Lifetime.** A lane lives while there is a handle, a goroutine or a thread of it; all three are counted under its lock.
//! Whoever takes the last away frees it. In a forked child the parent's lanes stay in memory, and are never locked.
//!
//! | file | concept |
//! |---|---|
//! | `slots.rs` | the book: queue, slots, who sleeps |
//! | `record.rs` | the lane: what the lock guards, counts, its end |
//! | `hooks.rs` | what its owner wants called |
//! | `enter.rs` | what others do to a lane: ready, spawn |
//! | `member.rs` | what a worker has that is a lane's thread |
//! | `work.rs` | its loop |
//! | `turn.rs` | one goroutine for a while: begin, leave, end |
//! | `call.rs` | blocking calls |
//! | `close.rs` | closing, exit |
//! | `monitor.rs` | goroutines that keep a slot for long |
//! | `model.rs` | the loom model of the book and of sleeping |

#[cfg(not(loom))]
mod call;
#[cfg(not(loom))]
mod close;
#[cfg(not(loom))]
mod enter;
#[cfg(not(loom))]
mod hooks;
#[cfg(not(loom))]
mod member;
#[cfg(all(test, loom))]
mod model;
#[cfg(not(loom))]
mod monitor;
#[cfg(not(loom))]
mod record;
#[cfg_attr(loom, allow(dead_code))] // the models use a part of it
mod slots;
#[cfg(not(loom))]
mod turn;
#[cfg(not(loom))]
mod work;

#[cfg(not(loom))]
pub(crate) use {
    close::Closed,
    enter::{Refused, current, spawn},
    hooks::Hooks,
    record::{Lane, Options},
};

#[cfg(not(loom))]
pub(super) use {
    close::stop_all,
    enter::{ready, requeue},
    member::Member,
    record::Registry,
    work::work,
};
