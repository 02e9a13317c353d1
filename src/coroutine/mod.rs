//! Stacks and switching between them; knows no scheduler.
//!
//! | file | what lives there |
//! |---|---|
//! | `switch_x86_64` | the switch, in assembly |
//! | `switch_corosensei` | the same interface through corosensei, for every other architecture |
//! | `class`, `stack` | size classes; one stack: its range, its guard, its colour, the place of the record on it |
//! | `slab`, `guard`, `advise` | where stacks come from: reserved many at a time, guarded, by batched system calls |
//! | `pool` | the process-wide pools, last in, first out |
//! | `trim` | memory of pooled stacks that once went deep goes back, in the background; the fork hooks |
//! | `overflow`, `altstack` | telling an overflow of a stack from the host's own faults |
//!
//! The one thing to know: a stack is address space until it is touched. A coroutine that is parked high up
//! costs its top page and, at the default size, an eighth of a page of page tables.

mod advise;
mod altstack;
mod class;
mod guard;
mod overflow;
mod pool;
mod slab;
mod stack;
mod trim;

#[cfg(any(feature = "corosensei-switch", not(target_arch = "x86_64")))]
mod switch_corosensei;
#[cfg(any(feature = "corosensei-switch", not(target_arch = "x86_64")))]
use switch_corosensei as switch;

#[cfg(not(any(feature = "corosensei-switch", not(target_arch = "x86_64"))))]
mod switch_x86_64;
#[cfg(not(any(feature = "corosensei-switch", not(target_arch = "x86_64"))))]
use switch_x86_64 as switch;

#[cfg(test)]
mod switch_tests;
#[cfg(test)]
mod testing;

pub(crate) use altstack::AltStack;
pub(crate) use class::{Class, GUARD};
pub(crate) use overflow::install as install_overflow_handler;
pub(crate) use pool::{
    acquire, acquire_batch, for_each_held_list, for_each_held_slab, for_each_slot, release, release_batch,
    reserved_bytes,
};
pub(crate) use stack::Stack;
pub(crate) use switch::Coroutine;
pub(crate) use trim::{after_fork_child, after_fork_parent, before_fork, trims};

/// Why no stack can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoStack {
    /// The process may have no more mappings for guards (`vm.max_map_count`; kernels before Linux 6.13).
    Budget,
    /// No address space, or no memory for page tables.
    NoMemory,
}
