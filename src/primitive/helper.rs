//! Helper threads: gort's own threads that run no goroutines.
//!
//! The one thing to know: like a worker, a helper takes no signal that is meant for the process, so that the host's
//! signals go to the host's threads; and it is counted in [`ACCOUNTED`] for as long as it lives.

use super::ACCOUNTED;
use std::ptr::null_mut;

/// Signals that are the result of a thread's own instructions, or sent to it on purpose.
const OWN: [i32; 7] =
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGABRT, libc::SIGPROF];

/// Start a thread that runs `body`, with a stack of `stack` bytes. A name has at most 15 bytes. The error is an errno.
#[cold]
pub(crate) fn start_helper(
    name: &'static str,
    stack: usize,
    body: impl FnOnce() + Send + 'static,
) -> Result<(), i32> {
    // SAFETY: the sets are live and filled in before they are used.
    let before = unsafe {
        let mut all = std::mem::zeroed::<libc::sigset_t>();
        let mut before = std::mem::zeroed::<libc::sigset_t>();
        libc::sigfillset(&mut all);
        for signal in OWN {
            libc::sigdelset(&mut all, signal);
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, &all, &mut before);
        before
    };
    // It inherits the mask.
    let started = std::thread::Builder::new().name(name.into()).stack_size(stack).spawn(|| {
        ACCOUNTED.add();
        body();
        ACCOUNTED.sub();
    });
    // SAFETY: the mask that was there before.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &before, null_mut()) };
    match started {
        Ok(_) => Ok(()),
        Err(error) => Err(error.raw_os_error().unwrap_or(libc::ENOMEM)),
    }
}
