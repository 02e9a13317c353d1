//! May it help to spin for a lock? Only while its holder runs, on another CPU.
//!
//! The one thing to know: a mutex has room to note where its holder's stack is ([`Holder`]). A read-write mutex has
//! none, and many holders; whoever wants it spins, as briefly, if there are several CPUs ([`may_spin`]).

#[cfg(not(loom))]
use crate::primitive::atomic::{AtomicU32, Ordering};
#[cfg(not(loom))]
use crate::sched;

/// Who holds a lock: a hint, written by the holder when it has it, and left there when it unlocks. All zero bytes
/// are nobody.
#[derive(Default)]
#[repr(transparent)]
pub(super) struct Holder {
    #[cfg(not(loom))]
    place: AtomicU32,
}

#[cfg(not(loom))]
impl Holder {
    /// The caller holds the lock now.
    #[inline(always)]
    pub(super) fn note(&self) {
        self.place.store(sched::here(), Ordering::Relaxed);
    }

    /// Does the holder run at this moment, on another CPU?
    pub(super) fn runs(&self) -> bool {
        may_spin() && self.on_processor()
    }

    /// Is the holder a goroutine that runs? Of a plain thread that cannot be told, so: no.
    pub(super) fn on_processor(&self) -> bool {
        sched::runs(self.place.load(Ordering::Relaxed))
    }
}

#[cfg(loom)]
impl Holder {
    pub(super) fn note(&self) {}

    pub(super) fn runs(&self) -> bool {
        may_spin()
    }
}

#[cfg(not(loom))]
pub(super) fn may_spin() -> bool {
    use std::sync::atomic::AtomicU8;
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
