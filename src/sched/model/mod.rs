//! Loom models of the scheduler's protocols, and of broken variants of them: every variant is a test that must
//! panic, so that a model that sees nothing is noticed.
//!
//! | file | protocol | real code in it |
//! |---|---|---|
//! | `world.rs` | the idle lists, the sentinel and the queues, step by step: what the next four are played on | `Pool`, `Mailbox` |
//! | `wake.rs` | publish, then read who is idle; announce, then look: searching, claims to wake, last looks | the same |
//! | `watch.rs` | the sentinel: armed, deep, its role taken away | the same |
//! | `pin.rs` | handing over a goroutine that is pinned to a worker | the same |
//! | `shrink.rs` | a processor beyond the limit steps back | the same |
//! | `park.rs` | commit after the switch; waker against deadline | `Wait`, `Queue`, `TimerHeap` |
//! | `slot.rs` | `next`: owner against thief | none: three operations on one word, written out |
//! | `mail.rs` | sending a processor to a worker | `Mailbox` |
//! | `blocking.rs` | the end of a blocking call | `Pool`, `Mailbox`, `Accounted` |
//! | `deadlock.rs` | everybody at rest: found, and never wrongly | `Accounted`, `Wait`, `Queue`, `Poll` |
//! | `stackless.rs` | waiting for a stack | none: it hangs on the stacks themselves |
//!
//! The one thing to know about sequential consistency: loom takes a sequentially consistent *access* for an
//! acquire or release one, and only a *fence* for what it is. The scheduler relies on more than that: a swap or
//! another read-modify-write, and then a load of another word, both `SeqCst` (`Proc::push_next` and then
//! `Pool::load`; `Pool::add_idle` and then `Proc::has_work`). The language puts all `SeqCst` accesses into one
//! order, so of two threads that each write and then read what the other writes at least one sees the other. The
//! models put a fence between the two accesses ([`world::World::sc`]), which says the same of exactly these two.
//! It says more for what is *not* `SeqCst` on either side, so each such place is listed here:
//!
//! - the push into a deque behind the swap in `push_next` (release): its own fence, and a test without it;
//! - `TimerHeap::next` (relaxed) in the looks of a worker that has just announced itself or said Deep: on the
//!   inserting side there is a fence; on the looking side the read-modify-write of the pool's word must be followed
//!   by one, or the load may be done before the announcement is seen (not on x86-64, where it is a barrier);
//! - crossbeam's `Stealer::is_empty` has a fence inside, before the load of the producer's index, and the
//!   injector's accesses are all `SeqCst`.

mod blocking;
mod deadlock;
mod look;
mod mail;
mod park;
mod pin;
mod shrink;
mod slot;
mod stackless;
mod wake;
mod watch;
mod world;
