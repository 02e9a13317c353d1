//! Goroutines that can never wake: partial deadlock, which Go finds only in a garbage collection.
//!
//! | file | what lives there |
//! |---|---|
//! | `search.rs` | the search, and what counts as what |
//! | `graph.rs`, `values.rs` | following pointers; what could be one |
//! | `freeze.rs` | stopping all other threads |
//! | `heap.rs`, `heaps.rs`, `lists.rs` | taking malloc's heaps apart; which of their blocks are free |
//! | `memory.rs`, `kernel.rs` | reading the process's memory, and what the kernel keeps for it |
//! | `scratch.rs` | memory for the search itself |
//!
//! The one thing to know: **it names nobody who could still wake**, as far as pointers can be seen; it may miss
//! some. So everything else is stopped while it searches. Without that no order of reading would do: a running
//! thread may move the only pointer to a channel from where we have not looked yet to where we have.
//!
//! While the threads are stopped we must not allocate, free, or take a lock that one of them may hold. What
//! must not be in the middle of a change is locked before: the stack pools and the roster of workers.

mod freeze;
mod graph;
mod heap;
mod heaps;
mod kernel;
mod lists;
mod memory;
mod scratch;
mod search;
mod values;

use super::caller::stack_below;
use crate::coroutine;
use crate::primitive::{errno, set_errno};
use crate::sched::{lock_roster, unlock_roster};
use freeze::Frozen;
use memory::Memory;
use scratch::{Errno, Scratch};
use search::{Caller, Search};
use std::hint::black_box;

/// The registers that belong to a function's caller.
#[cfg(target_arch = "x86_64")]
const SAVED: usize = 6;
#[cfg(target_arch = "aarch64")]
const SAVED: usize = 20;

/// Find all leaked goroutines, by number. All other threads of the process are stopped meanwhile. `Err`: an errno;
/// EPERM if the process may not be traced, ENOTSUP if there is no telling.
#[inline(never)]
pub(crate) fn find() -> Result<Vec<u64>, Errno> {
    let mut registers = [0usize; SAVED];
    let sp: usize;
    // SAFETY: stores into the array; what this function has saved of its caller's registers lies above `sp`.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        std::arch::asm!(
            "mov [{place}], rbx",
            "mov [{place} + 8], rbp",
            "mov [{place} + 16], r12",
            "mov [{place} + 24], r13",
            "mov [{place} + 32], r14",
            "mov [{place} + 40], r15",
            "mov {sp}, rsp",
            place = in(reg) registers.as_mut_ptr(),
            sp = out(reg) sp,
            options(nostack, preserves_flags),
        );
        #[cfg(target_arch = "aarch64")]
        std::arch::asm!(
            "stp x19, x20, [{place}]",
            "stp x21, x22, [{place}, 16]",
            "stp x23, x24, [{place}, 32]",
            "stp x25, x26, [{place}, 48]",
            "stp x27, x28, [{place}, 64]",
            "stp x29, x30, [{place}, 80]",
            "stp d8, d9, [{place}, 96]",
            "stp d10, d11, [{place}, 112]",
            "stp d12, d13, [{place}, 128]",
            "stp d14, d15, [{place}, 144]",
            "mov {sp}, sp",
            place = in(reg) registers.as_mut_ptr(),
            sp = out(reg) sp,
            options(nostack, preserves_flags),
        );
    }
    let found = search_from(&registers, sp);
    // Not the last call: this frame must stay where it is.
    black_box(&mut registers);
    found
}

#[inline(never)]
fn search_from(registers: &[usize], sp: usize) -> Result<Vec<u64>, Errno> {
    let errno = errno();
    // SAFETY: no preconditions.
    let tid = unsafe { libc::syscall(libc::SYS_gettid) as i32 };
    let caller = Caller { registers, sp, below: stack_below(sp), tid };
    let found = prepare_and_search(&caller);
    set_errno(errno);
    found
}

fn prepare_and_search(caller: &Caller<'_>) -> Result<Vec<u64>, Errno> {
    let mut leaks = Scratch::growing(1 << 26)?;
    let mut search = Search::new()?;
    let mut memory = Memory::new()?;
    // Also: one search at a time.
    lock_roster();
    coroutine::before_fork();
    let frozen = Frozen::new();
    // SAFETY: the locks were taken above, and if `frozen` is there all other threads are stopped.
    let result = frozen
        .as_ref()
        .map_err(|&error| error)
        .and_then(|frozen| unsafe { search.run(frozen, &mut memory, caller, &mut leaks) });
    drop(frozen);
    // SAFETY: taken above.
    unsafe {
        coroutine::after_fork_parent();
        unlock_roster();
    }
    result?;
    let mut leaks = leaks.as_slice().to_vec();
    leaks.sort_unstable();
    Ok(leaks)
}
