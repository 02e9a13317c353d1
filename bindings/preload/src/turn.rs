//! One at a time: for calls that cannot ask "now or not at all".
//!
//! The one thing to know: `accept` on a blocking socket, and `read` on a terminal, can only be made when `poll`
//! has said that they would not wait. If ten goroutines see the same connection ready, nine would then block. So
//! looking and taking are done under a lock, chosen by what the fd refers to (not by its number: duplicates share
//! it). Nobody holds it while waiting, so it does not matter that different files may share one. Other processes,
//! and threads that are not goroutines, do not take it: if one of them is faster, the call blocks its thread, as
//! without us.

use crate::calls::Calls;
use crate::real;
use core::cell::UnsafeCell;
use core::ffi::c_int;

const LOCKS: usize = 64;

/// As many `gort_mutex_t`.
#[repr(C, align(8))]
struct Locks(UnsafeCell<[[u64; 2]; LOCKS]>);

// SAFETY: only gort touches them; and `forget`, when there is one thread.
unsafe impl Sync for Locks {}

static LOCKED: Locks = Locks(UnsafeCell::new([[0; 2]; LOCKS]));

/// If `fd`, which is known to the kernel by `number` (an inode's), is ready for one of `events`: call `take`.
/// `None`: it is not. The caller is pinned.
pub(crate) fn take<T>(
    calls: &Calls,
    number: u64,
    fd: c_int,
    events: c_int,
    take: impl FnOnce() -> T,
) -> Option<T> {
    let lock = LOCKED.0.get().cast::<[u64; 2]>().wrapping_add(number as usize % LOCKS);
    // SAFETY: one of the array's, all 0 at first.
    unsafe { (calls.mutex_lock)(lock.cast()) };
    let mut set = libc::pollfd { fd, events: events as i16, revents: 0 };
    // SAFETY: one element. Errors (no such fd) are for `take` to find.
    let ready = unsafe { real::poll()(&mut set, 1, 0) } != 0;
    let taken = ready.then(take);
    // SAFETY: as above, and we hold it.
    unsafe { (calls.mutex_unlock)(lock.cast()) };
    taken
}

/// In a forked child: whoever held one is not there.
pub(crate) fn forget() {
    // SAFETY: the only thread there is, and no goroutine.
    unsafe { *LOCKED.0.get() = [[0; 2]; LOCKS] };
}
