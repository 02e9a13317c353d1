//! Does the one who was here run at the moment?
//!
//! The one thing to know: this is a hint, for those who may spin. Where somebody's stack is says which goroutine
//! it is, and costs nothing to learn: no look at what belongs to the thread. A stack of the default size stands on
//! a multiple of that size, with its goroutine's record at its end, and a processor says whose record it is that
//! runs on it. Plain threads are on no processor: whether they run, nobody but the kernel knows.

use super::runtime::started;
use crate::primitive::atomic::Ordering;

/// Addresses are told apart by their bits from here on: 48 bits in 32.
const SHIFT: u32 = 16;

/// The place of the caller's stack.
#[inline(always)]
pub(crate) fn here() -> u32 {
    let place: usize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: reads a register.
    unsafe {
        std::arch::asm!("mov {}, rsp", out(reg) place, options(nomem, nostack, preserves_flags));
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        let local = 0u8;
        place = (&raw const local).addr();
    }
    (place >> SHIFT) as u32
}

/// Is there a processor that runs the goroutine of which [`here`] was that?
pub(crate) fn runs(here: u32) -> bool {
    let Some(rt) = started() else { return false };
    // The sizes of stacks are powers of two. A larger stack than the default is known by its upper end, where
    // goroutines mostly are.
    let stack = !((rt.class.size() >> SHIFT) as u32 - 1);
    rt.procs().any(|proc| {
        // Relaxed: no memory is reached through it.
        let running = proc.running.load(Ordering::Relaxed).addr();
        running != 0 && ((running >> SHIFT) as u32 ^ here) & stack == 0
    })
}
