//! The handler, in a few copies.
//!
//! The one thing to know: what runs here is async-signal-safe. It allocates nothing, takes no lock, waits for
//! nobody, and holds nothing while it calls the host's handler, which may never return.
//!
//! It is installed with the flags and the mask of the host's handler that it stands for, so that the kernel itself
//! does for that one what it asked for. While it counts, all signals are blocked: a handler that interrupts it and jumps
//! away would leave a signal counted and the bell not rung.

use super::action::{Before, SIGNALS, Signal, handler_for, is_function, is_hosts};
use super::slot::{Bell, ENTRIES, Posted};
use crate::inspect::quit;
use crate::primitive::atomic::{AtomicI32, Ordering};
use crate::primitive::{errno, set_errno};
use std::ffi::{c_int, c_void};
use std::mem::zeroed;
use std::ptr::{null, null_mut};

pub(super) static BELL: Bell = Bell::new();

/// The process whose signals are counted. A child, forked or sharing our memory until it calls exec, has its own
/// signals, and nobody in it who sends them on.
pub(super) static OWNER: AtomicI32 = AtomicI32::new(0);

pub(super) type Entry = unsafe extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);

/// All copies. `action.rs` says what for.
pub(super) static HANDLERS: [Entry; ENTRIES] =
    [enter::<0>, enter::<1>, enter::<2>, enter::<3>, enter::<4>, enter::<5>, enter::<6>, enter::<7>];

/// # Safety
/// Called by the kernel, or by a handler of the host's that found it installed and passes on what it was given.
unsafe extern "C" fn enter<const AT: usize>(signo: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the caller's promise.
    unsafe { handle(AT, signo, info, context) };
}

/// # Safety
/// As for `enter`.
unsafe fn handle(at: usize, signo: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let Some(signal) = usize::try_from(signo).ok().and_then(|n| SIGNALS.get(n)) else { return };
    let before = signal.before(at);
    let errno = errno();
    // SAFETY: getpid has no preconditions.
    let own = unsafe { libc::getpid() } == OWNER.load(Ordering::Acquire);
    let wanted = own && post(signal, at) != Posted::Closed;
    set_errno(errno);
    match before {
        // SAFETY: the host's function, called with what it would have been called with.
        Before::Function(action) => unsafe { call(action, signo, info, context) },
        // What the signal does by itself is not wanted while somebody is told of it.
        Before::Nothing => {}
        Before::Default if wanted => {}
        Before::Default => {
            // SAFETY: the caller's promise.
            unsafe { default_action(signal, own, signo, info) };
            set_errno(errno);
        }
    }
}

/// Count it, with all signals blocked.
fn post(signal: &Signal, at: usize) -> Posted {
    // SAFETY: live sets; the thread's own mask, which is put back.
    unsafe {
        let mut all: libc::sigset_t = zeroed();
        let mut mask: libc::sigset_t = zeroed();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut mask);
        let posted = signal.slot.post(at);
        if posted == Posted::Counted {
            BELL.ring();
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, &mask, null_mut());
        posted
    }
}

/// # Safety
/// `action` has a function; the rest as for `enter`.
unsafe fn call(action: &libc::sigaction, signo: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: it is a function of the one type or of the other, as the flags say.
    unsafe {
        if action.sa_flags & libc::SA_SIGINFO != 0 {
            std::mem::transmute::<usize, Entry>(action.sa_sigaction)(signo, info, context);
        } else {
            std::mem::transmute::<usize, unsafe extern "C" fn(c_int)>(action.sa_sigaction)(signo);
        }
    }
}

/// Nobody wants the signal (any more), and there was no handler: have it do what it does by itself. Installed all the
/// same, since a handler may be late, or somebody has put ours back who had found it here earlier.
///
/// # Safety
/// `info` is what the kernel gave.
#[cold]
unsafe fn default_action(signal: &Signal, own: bool, signo: c_int, info: *mut libc::siginfo_t) {
    if matches!(signo, libc::SIGCHLD | libc::SIGURG | libc::SIGWINCH | libc::SIGCONT) {
        return;
    }
    if own && signo == libc::SIGQUIT && quit::is_wanted() {
        quit::ask();
        return;
    }
    // SAFETY: a zeroed structure is the default action.
    let default: libc::sigaction = unsafe { zeroed() };
    let Ok(was) = replace(signo, &default) else { return };
    // Somebody may want it again since we looked, and have installed our handler before the line above: then it must
    // be there again. If that comes after the line, it stays. One of the two sees the other: that one opens the slot
    // before it installs, we install before we look at the slot, and both go through the kernel's lock.
    if own && let Some(at) = signal.slot.counts_at() {
        let _ = replace(signo, &if is_hosts(&was) { was } else { handler_for(signal, at) });
        if post(signal, at) == Posted::Counted {
            return;
        }
    }
    // SAFETY: the caller's promise.
    unsafe { send_again(signo, info) };
    // Still here, so it has only stopped us for a while.
    if is_function(&was) {
        put_back(signo, &was);
    }
}

/// Install `was` in the place of the default action.
fn put_back(signo: c_int, was: &libc::sigaction) {
    if installed(signo).is_ok_and(|now| now.sa_sigaction == libc::SIG_DFL)
        && let Ok(now) = replace(signo, was)
        && now.sa_sigaction != libc::SIG_DFL
    {
        // Another thread has been faster.
        let _ = replace(signo, &now);
    }
}

/// To this very thread, as it came. What it does now is the kernel's affair.
///
/// # Safety
/// As for `default_action`.
unsafe fn send_again(signo: c_int, info: *mut libc::siginfo_t) {
    // SAFETY: `info` is live; a set that is live.
    unsafe {
        let (process, thread) = (libc::getpid(), libc::syscall(libc::SYS_gettid));
        // A host's handler that calls us may have none.
        let queued =
            !info.is_null() && libc::syscall(libc::SYS_rt_tgsigqueueinfo, process, thread, signo, info) == 0;
        if !queued {
            libc::syscall(libc::SYS_tgkill, process, thread, signo);
        }
        // Here and now: on return a mask may come back in which it is blocked (sigsuspend).
        let mut this: libc::sigset_t = zeroed();
        libc::sigaddset(&mut this, signo);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &this, null_mut());
    }
}

/// What is installed for `signo` now.
pub(super) fn installed(signo: c_int) -> Result<libc::sigaction, i32> {
    // SAFETY: a live structure that the call fills in.
    unsafe {
        let mut now: libc::sigaction = zeroed();
        if libc::sigaction(signo, null(), &mut now) == 0 { Ok(now) } else { Err(errno()) }
    }
}

/// Install `new`, and return what it has replaced.
pub(super) fn replace(signo: c_int, new: &libc::sigaction) -> Result<libc::sigaction, i32> {
    // SAFETY: live structures; `new` is one of ours, or one that the host had installed.
    unsafe {
        let mut was: libc::sigaction = zeroed();
        if libc::sigaction(signo, new, &mut was) == 0 { Ok(was) } else { Err(errno()) }
    }
}
