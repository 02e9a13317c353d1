//! Mutex, read-write mutex, condition variable, once, semaphore, wait group.
//!
//! The one thing to know: each is 16 bytes of the caller's memory, ready when zeroed, never destroyed: one
//! atomic word of state, and a queue of waiters in one pointer ([`queue`]), guarded by a bit of that word.
//!
//! The rule they are built around ("Lifetime" in the ABI): whoever can observe the effect of a call may free
//! the memory at once. So the call that lets others go on (unlock, done and the like) **touches the object for
//! the last time with the one atomic operation that makes the effect observable**: before it, it takes out of
//! the queue and claims whom it is going to wake; after it, it only wakes them, which touches their memory, not
//! the object's.

mod cond;
#[cfg(loom)]
pub(crate) mod knobs;
mod mutex;
mod once;
mod order;
mod queue;
mod rwmutex;
mod sem;
mod spin;
#[cfg(all(test, not(loom)))]
mod testing;
mod waitgroup;

pub(crate) use cond::Cond;
pub(crate) use mutex::Mutex;
pub(crate) use once::Once;
pub(crate) use rwmutex::RwMutex;
pub(crate) use sem::{MOST as MOST_PERMITS, Semaphore};
pub(crate) use waitgroup::WaitGroup;
