//! The scheduler: goroutines on processors on workers, M:N, with work stealing.
//!
//! The one thing to know: everything that blocks is built on two functions. [`park`] takes the calling
//! goroutine off its worker and *then*, on the scheduler's stack, runs a `release` step that makes it reachable;
//! [`ready`] puts a goroutine that the caller has claimed back into a run queue. `wait.rs` wraps the two, and a
//! futex for plain threads, into the one waiter type that channels and locks use.
//!
//! | file | concept |
//! |---|---|
//! | `goroutine.rs`, `fresh.rs` | the records of a goroutine, before and after its first run |
//! | `proc.rs` | a processor: run queue, timers, caches |
//! | `worker.rs`, `thread.rs` | a worker: the OS thread that runs goroutines while it holds a processor |
//! | `mail.rs` | a worker's mailbox: being handed a processor |
//! | `pick.rs`, `run.rs` | what runs next; running it, and what is done when it has left |
//! | `pool.rs`, `idle/` | who is idle, searches, keeps watch: the protocol that loses no wake-up |
//! | `blocking.rs` | calls that may block, made by the worker without a processor |
//! | `sysmon.rs`, `nap.rs` | the monitor: goroutines that keep their worker for long |
//! | `pin.rs` | goroutines that may run on one thread only |
//! | `quiet.rs`, `poll.rs` | is everything at rest? looking again from time to time |
//! | `poller/` | descriptors of the system's: who waits for one, and finding those that are ready |
//! | `lane/` | goroutines on threads of their own, for another language's runtime |
//! | `stackless.rs` | goroutines for which there is no stack at the moment |
//! | `wait.rs`, `timer/` | waiting: claims, queues, deadlines |
//! | `runtime.rs`, `main.rs`, `fork.rs` | starting it all; `gort_main`; starting afresh in a forked child |
//! | `detect.rs` | the thread that waits for a main goroutine, and for a deadlock |
//! | `roster.rs` | all workers, for the search for leaked goroutines |
//! | `arm.rs` | who must be told of a timer |
//! | `exceptions.rs` | C++ exceptions in flight go with their goroutine |
//! | `look.rs` | reading the records of goroutines that are somebody else's |
//! | `running.rs` | whether somebody runs at the moment, for those who spin |
//! | `current.rs` | the worker of the calling thread |
//! | `overflow.rs` | the report of a stack overflow |
//! | `model/` | loom models of the protocols, and of broken variants of them |

#[cfg(not(loom))]
mod arm;
#[cfg(not(loom))]
mod blocking;
#[cfg(not(loom))]
mod current;
#[cfg(not(loom))]
mod detect;
#[cfg(not(loom))]
mod exceptions;
#[cfg(not(loom))]
mod fork;
#[cfg(not(loom))]
mod fresh;
#[cfg(not(loom))]
mod goroutine;
#[cfg(not(loom))]
mod idle;
pub(crate) mod lane;
#[cfg(not(loom))]
mod look;
#[cfg_attr(loom, allow(dead_code))] // the models use a part of it
mod mail;
#[cfg(not(loom))]
mod main;
#[cfg(all(test, loom))]
mod model;
#[cfg_attr(loom, allow(dead_code))] // the models use a part of it
mod nap;
#[cfg(not(loom))]
mod overflow;
#[cfg(not(loom))]
mod pick;
#[cfg(not(loom))]
mod pin;
#[cfg_attr(loom, allow(dead_code))] // the models use a part of it
pub(crate) mod poll;
pub(crate) mod poller;
mod pool;
#[cfg(not(loom))]
mod proc;
#[cfg(not(loom))]
pub(crate) mod quiet;
mod reason;
#[cfg(not(loom))]
mod roster;
#[cfg(not(loom))]
mod run;
#[cfg(not(loom))]
mod running;
#[cfg(not(loom))]
mod runtime;
#[cfg(not(loom))]
mod spawn;
#[cfg(not(loom))]
mod stackless;
#[cfg(not(loom))]
mod switch;
#[cfg(not(loom))]
mod sysmon;
#[cfg(not(loom))]
mod thread;
pub(crate) mod timer;
pub(crate) mod wait;
#[cfg(not(loom))]
mod worker;

#[cfg(loom)]
mod threads_only;

pub(crate) use reason::WaitReason;

#[cfg(not(loom))]
pub(crate) use {
    arm::{Added, add_timer, removed},
    blocking::blocking,
    detect::{CannotBegin, Detect, Waited, begin as detect, look_now, ring},
    exceptions::{Handlers, hide, settle, uncaught},
    goroutine::{AtEnd, BY_TIMER, Body, Extra, Goroutine, PINNED, State},
    look::{Me, View, for_each, me},
    main::{main, run},
    pin::{keeps_thread, lock_thread, pin_thread, unlock_thread, unpin_thread},
    roster::{StoppedWorker, WORKER_SIZE, for_each_worker, goroutine_on, lock_roster, unlock_roster},
    running::{here, runs},
    runtime::{Options, counts, rt, start},
    spawn::{NoMemory, Spawn, go, spawn, spawn_at},
    switch::{current_goroutine, park, ready, sleep, start_over, yield_now},
};

#[cfg(not(loom))]
use switch::entry;

#[cfg(all(test, loom))]
pub(crate) use threads_only::use_heap;
#[cfg(loom)]
pub(crate) use threads_only::{
    Added, Goroutine, NoMemory, add_timer, current_goroutine, go, park, ready, removed,
};
