//! SIGQUIT under `gort_main`: a dump on stderr, and the end of the process.
//!
//! The one thing to know: the handler only sets a bit of the word that the thread in `gort_main` sleeps on, and wakes
//! it; that thread, which runs no goroutine, does the rest. So it works while all workers are busy or blocked, and
//! nothing is allocated in a signal handler.

use crate::fatal;
use crate::primitive::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};
use crate::primitive::futex_wake;
use std::mem::zeroed;
use std::ptr::{null, null_mut};

/// The word to set [`ASKED`] in. What it points to is a static.
static WORD: AtomicPtr<AtomicU32> = AtomicPtr::new(null_mut());
/// A `gort_main` runs, and wants the signal unless the host does.
static WANTED: AtomicBool = AtomicBool::new(false);

/// Set in the word by the handler.
pub(crate) const ASKED: u32 = 1 << 31;

extern "C" fn handler(_: i32) {
    ask();
}

/// What the handler does. Async-signal-safe.
pub(crate) fn ask() {
    let word = WORD.load(Ordering::Acquire);
    // SAFETY: null or a static.
    if let Some(word) = unsafe { word.as_ref() } {
        word.fetch_or(ASKED, Ordering::Release);
        futex_wake(word, i32::MAX);
    }
}

/// What installs our handler.
pub(crate) fn action() -> libc::sigaction {
    // SAFETY: live structures; the handler is async-signal-safe.
    unsafe {
        let mut action: libc::sigaction = zeroed();
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
        libc::sigemptyset(&mut action.sa_mask);
        action
    }
}

pub(crate) fn is_handler(of: usize) -> bool {
    of == handler as *const () as usize
}

pub(crate) fn is_wanted() -> bool {
    WANTED.load(Ordering::SeqCst)
}

/// Have SIGQUIT set [`ASKED`] in `word` from now on, unless the host handles or ignores it, or wants it on a
/// channel: then from when it does not any more.
pub(crate) fn install(word: &'static AtomicU32) {
    WORD.store(std::ptr::from_ref(word).cast_mut(), Ordering::Release);
    WANTED.store(true, Ordering::SeqCst);
    replace(libc::SIG_DFL, &action());
}

/// Undo [`install`], unless somebody else has put a handler in the place of ours.
pub(crate) fn restore() {
    WANTED.store(false, Ordering::SeqCst);
    withdraw_if_unwanted();
}

/// To be called by whoever has installed [`action`] because the signal was wanted: of two that do this and
/// [`restore`] at the same time, one at least sees what the other has done.
pub(crate) fn withdraw_if_unwanted() {
    if !is_wanted() {
        // SAFETY: a zeroed structure is the default action.
        let default = unsafe { zeroed() };
        replace(handler as *const () as usize, &default);
    }
}

/// Install `new` if `expected` is there.
fn replace(expected: usize, new: &libc::sigaction) {
    // SAFETY: live structures.
    unsafe {
        let mut now: libc::sigaction = zeroed();
        let mut was: libc::sigaction = zeroed();
        if libc::sigaction(libc::SIGQUIT, null(), &mut now) == 0
            && now.sa_sigaction == expected
            && libc::sigaction(libc::SIGQUIT, new, &mut was) == 0
            && was.sa_sigaction != expected
        {
            // Another thread has been faster.
            libc::sigaction(libc::SIGQUIT, &was, null_mut());
        }
    }
}

/// The dump and the end, on the thread that waits in `gort_main`.
pub(crate) fn quit() -> ! {
    fatal::end_with(format_args!("SIGQUIT: quit\n\n"), || {
        // Nobody listens on stderr: end all the same.
        let _ = super::dump_all(2);
    })
}
