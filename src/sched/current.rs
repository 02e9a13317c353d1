//! Who am I: the worker of the calling thread.
//!
//! The one thing to know: a goroutine may come back from a park on another thread, so no address of a
//! thread-local may live across one. Compilers keep such addresses in registers all the same (LLVM #98479).
//! On x86-64 the variable is therefore read by one instruction sequence that the compiler cannot split or
//! hoist: initial-exec TLS (8 bytes of the static TLS block that glibc keeps spare for `dlopen`), two loads.
//! Elsewhere an accessor that is never inlined, with an empty `asm!` so that it is not taken for pure.

use super::worker::Worker;

#[cfg(target_arch = "x86_64")]
std::arch::global_asm!(
    ".pushsection .tbss,\"awT\",@nobits",
    ".p2align 3",
    ".globl gort_tls_worker",
    ".hidden gort_tls_worker",
    ".type gort_tls_worker, @object",
    ".size gort_tls_worker, 8",
    "gort_tls_worker:",
    ".zero 8",
    ".popsection",
);

/// The worker that the calling thread is, or null on a thread that is not gort's.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn worker() -> *mut Worker {
    let worker: *mut Worker;
    // SAFETY: reads this thread's copy of `gort_tls_worker`, defined above. Not `pure`: it is read anew at
    // each use, because a park in between may have changed the thread.
    unsafe {
        std::arch::asm!(
            "mov {0}, qword ptr [rip + gort_tls_worker@GOTTPOFF]",
            "mov {0}, qword ptr fs:[{0}]",
            out(reg) worker,
            options(nostack, preserves_flags, readonly),
        );
    }
    worker
}

#[cfg(target_arch = "x86_64")]
pub(super) fn set_worker(worker: *mut Worker) {
    // SAFETY: writes this thread's copy of `gort_tls_worker`.
    unsafe {
        std::arch::asm!(
            "mov {tmp}, qword ptr [rip + gort_tls_worker@GOTTPOFF]",
            "mov qword ptr fs:[{tmp}], {worker}",
            tmp = out(reg) _,
            worker = in(reg) worker,
            options(nostack, preserves_flags),
        );
    }
}

#[cfg(not(target_arch = "x86_64"))]
thread_local! {
    static WORKER: std::cell::Cell<*mut Worker> = const { std::cell::Cell::new(std::ptr::null_mut()) };
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(never)]
pub(super) fn worker() -> *mut Worker {
    // SAFETY: an empty template; it only keeps calls of this function from being merged across a park.
    unsafe { std::arch::asm!("") };
    WORKER.with(std::cell::Cell::get)
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(never)]
pub(super) fn set_worker(worker: *mut Worker) {
    WORKER.with(|w| w.set(worker));
}
