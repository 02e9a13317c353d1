//! fork(2): the child starts afresh.
//!
//! The one thing to know: of all threads only the one that forked goes on in the child, so the parent's runtime
//! is dead there: its workers are gone and its goroutines must not run twice. The child forgets it (it lies in
//! memory, unused) and starts a new one at the first use; the goroutine that forked, if it was one, is a plain
//! thread from then on, on the stack it was on; when its function returns, the child exits. What must survive
//! are the process-wide lists of free memory, so their locks are held across the fork.

use super::goroutine::{lock_extras, unlock_extras};
use super::{current, detect, fresh, poller, roster, runtime};
use crate::coroutine;
use crate::loaded;
use crate::primitive::atomic::{AtomicBool, Ordering};
use crate::signal;
use std::cell::UnsafeCell;
use std::ptr::null_mut;
use std::sync::MutexGuard;

/// The locks held across a fork: from `prepare` to `parent` or `child`, which run on the same thread.
struct Held(UnsafeCell<Option<Locks>>);

struct Locks {
    /// First, as it comes before all others.
    signals: MutexGuard<'static, signal::Registry>,
    _starting: MutexGuard<'static, ()>,
    _batches: MutexGuard<'static, fresh::Batches>,
    _listing: MutexGuard<'static, ()>,
    main: MutexGuard<'static, detect::State>,
}

// SAFETY: touched only between `prepare` and `parent` or `child`, by the thread that holds the first lock in it.
unsafe impl Sync for Held {}

static HELD: Held = Held(UnsafeCell::new(None));

/// Register the hooks, once for the life of the process (they are inherited by its children).
pub(super) fn install() {
    static INSTALLED: AtomicBool = AtomicBool::new(false);
    if !INSTALLED.swap(true, Ordering::Relaxed) {
        // SAFETY: plain functions. Without memory for the registration there are no hooks, and a child that
        // only execs, which is all that POSIX promises, is not harmed.
        unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) };
    }
}

unsafe extern "C" fn prepare() {
    let locks = Locks {
        signals: signal::lock(),
        _starting: runtime::lock_starting(),
        _batches: fresh::lock_batches(),
        _listing: loaded::lock(),
        main: detect::lock(),
    };
    // SAFETY: the first lock makes this thread the only one between here and `release`.
    unsafe { *HELD.0.get() = Some(locks) };
    lock_extras();
    poller::before_fork();
    coroutine::before_fork();
}

unsafe extern "C" fn parent() {
    // SAFETY: `prepare` has run on this thread.
    unsafe {
        coroutine::after_fork_parent();
        poller::after_fork_parent();
        unlock_extras();
        release();
    }
}

unsafe extern "C" fn child() {
    // SAFETY: `prepare` has run on the thread that this one is the copy of, and there is no other.
    unsafe {
        coroutine::after_fork_child();
        poller::after_fork_child();
        unlock_extras();
    }
    let g = super::current_goroutine();
    if !g.is_null() {
        // SAFETY: the calling goroutine's own record, which nobody uses any more.
        unsafe { crate::panic::adopt(super::Goroutine::scopes(g)) };
    }
    if !current::worker().is_null()
        && let Some(rt) = runtime::started()
    {
        // A worker's signals are blocked; the plain thread that it is now gets the host's.
        // SAFETY: a live set.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &rt.host_mask, null_mut()) };
    }
    current::set_worker(null_mut());
    // SAFETY: the only thread there is.
    unsafe { roster::forget() };
    runtime::forget();
    crate::net::forget_names();
    // SAFETY: `prepare` has filled it in; as above.
    unsafe {
        if let Some(locks) = &mut *HELD.0.get() {
            // First, as it gives SIGQUIT up.
            detect::forget(&mut locks.main);
            signal::after_fork(&mut locks.signals);
        }
        release();
    }
}

/// The function of the goroutine that forked has returned in the child. There is nobody to return to: as where
/// `main` returns, the process ends.
#[cold]
pub(super) fn end_child(status: i32) -> ! {
    // SAFETY: a plain thread's call of exit.
    unsafe { libc::exit(status) }
}

/// # Safety
/// `prepare` has run on this thread (or the one it is the copy of), and this has not since.
unsafe fn release() {
    // SAFETY: the caller's promise: we hold the first lock. The guards are dropped when they are out of the
    // cell, so that the next fork finds it empty.
    drop(unsafe { (*HELD.0.get()).take() });
}
