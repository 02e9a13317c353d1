//! fds of ours that live for the time of a call.
//!
//! The one thing to know: a call that waits keeps a duplicate of the caller's fd. The kernel does the same with what
//! it calls the open file: a `read` that waits goes on with what it began with, even if the fd is closed meanwhile
//! and its number means something else. With the number alone we would then wait for the wrong thing, or for ever
//! (a closed fd leaves an epoll set without a word).
//!
//! **Forks.** A child inherits the duplicates and does not know them: a connection that it and its parent close would
//! stay open. `O_CLOEXEC` takes care of children that exec. For the others every fd of ours has its bit in [`OURS`],
//! and the child closes what is marked. For that, fd and mark must be made and unmade as one as seen by forks:
//!
//! | [`GATE`] | meaning |
//! |---|---|
//! | low 16 bits | threads between "about to make an fd" and "marked", or the reverse |
//! | high 16 bits | forks that are under way, or wait for those threads |
//!
//! A fork announces itself and waits for the low half to be 0; who comes to the gate meanwhile waits for the high half
//! to be 0. Inside the gate is one system call, which calls nobody. Both sides change
//! one word by read-modify-write, so there is one order of events, and acquire/release on it orders the rest.

use core::ffi::c_int;
use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// fds from here on are not duplicated.
const MANY: usize = 1 << 20;

static OURS: [AtomicU64; MANY / 64] = [const { AtomicU64::new(0) }; MANY / 64];
/// Words of `OURS` that were ever used.
static USED: AtomicUsize = AtomicUsize::new(0);

static GATE: AtomicU32 = AtomicU32::new(0);
const FORK: u32 = 1 << 16;

/// An fd of ours, closed when it goes.
pub(crate) struct Held(c_int);

impl Held {
    /// The fd that `make` makes, if it does.
    pub(crate) fn new(make: impl FnOnce() -> c_int) -> Option<Held> {
        enter();
        let fd = make();
        if let Some((word, bit)) = place(fd) {
            USED.fetch_max(word + 1, Ordering::Relaxed);
            OURS[word].fetch_or(bit, Ordering::Relaxed);
        }
        leave();
        (fd >= 0).then_some(Held(fd))
    }

    /// Another fd for what `fd` is, if there is one to be had.
    pub(crate) fn duplicate(fd: c_int) -> Option<Held> {
        // SAFETY: no memory is concerned.
        let held = Held::new(|| unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0) })?;
        place(held.0).is_some().then_some(held)
    }

    pub(crate) fn fd(&self) -> c_int {
        self.0
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        enter();
        if let Some((word, bit)) = place(self.0) {
            OURS[word].fetch_and(!bit, Ordering::Relaxed);
        }
        // Inside the gate, or a child would have it and not know. The last reference to a socket that lingers waits
        // in here, and forks with it; but that is the last one only if the program has closed its own meanwhile.
        // SAFETY: ours.
        unsafe { libc::close(self.0) };
        leave();
    }
}

/// Where the mark of `fd` is.
fn place(fd: c_int) -> Option<(usize, u64)> {
    let fd = usize::try_from(fd).ok()?;
    (fd < MANY).then_some((fd / 64, 1 << (fd % 64)))
}

fn enter() {
    while GATE
        .fetch_update(Ordering::Acquire, Ordering::Relaxed, |gate| (gate < FORK).then_some(gate + 1))
        .is_err()
    {
        // SAFETY: no preconditions.
        unsafe { libc::sched_yield() };
    }
}

fn leave() {
    GATE.fetch_sub(1, Ordering::Release);
}

/// To be called once.
pub(crate) fn watch_forks() {
    // SAFETY: functions for the whole life of the process: the library is not unloaded.
    unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
}

unsafe extern "C" fn before() {
    GATE.fetch_add(FORK, Ordering::Relaxed);
    while GATE.load(Ordering::Acquire) & (FORK - 1) != 0 {
        // SAFETY: no preconditions.
        unsafe { libc::sched_yield() };
    }
}

unsafe extern "C" fn in_parent() {
    GATE.fetch_sub(FORK, Ordering::Release);
}

unsafe extern "C" fn in_child() {
    // Nobody else is left.
    GATE.store(0, Ordering::Relaxed);
    for (word, marks) in OURS.iter().enumerate().take(USED.load(Ordering::Relaxed)) {
        let mut left = marks.swap(0, Ordering::Relaxed);
        while left != 0 {
            // SAFETY: a duplicate whose goroutine is not in this process.
            unsafe { libc::close((word * 64) as c_int + left.trailing_zeros() as c_int) };
            left &= left - 1;
        }
    }
    crate::turn::forget();
}
