//! May it help to spin for a lock? Only if its holder can run meanwhile, on another CPU.

#[cfg(not(loom))]
pub(super) fn may_spin() -> bool {
    use std::sync::atomic::{AtomicU8, Ordering};
    /// 0 not known yet, 1 one CPU, 2 several. Relaxed: whoever looks it up twice finds the same.
    static CPUS: AtomicU8 = AtomicU8::new(0);
    match CPUS.load(Ordering::Relaxed) {
        0 => {
            let several = allowed_cpus() > 1;
            CPUS.store(1 + u8::from(several), Ordering::Relaxed);
            several
        }
        cpus => cpus == 2,
    }
}

/// The CPUs that the process may run on (in earnest, its main thread: a caller may be pinned to one); 1 if that
/// cannot be told.
#[cfg(not(loom))]
fn allowed_cpus() -> usize {
    // SAFETY: an all-zero set is valid.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is a valid place of the size given. A machine with more CPUs than it holds gives an error.
    if unsafe { libc::sched_getaffinity(libc::getpid(), size_of::<libc::cpu_set_t>(), &mut set) } != 0 {
        return 1;
    }
    // SAFETY: `set` was filled in.
    usize::try_from(unsafe { libc::CPU_COUNT(&set) }).unwrap_or(1)
}

#[cfg(loom)]
pub(super) fn may_spin() -> bool {
    super::knobs::get().spin
}
