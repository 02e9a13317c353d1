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
/// The handler is ours.
static INSTALLED: AtomicBool = AtomicBool::new(false);

/// Set in the word by the handler.
pub(crate) const ASKED: u32 = 1 << 31;

extern "C" fn handler(_: i32) {
    let word = WORD.load(Ordering::Acquire);
    // SAFETY: null or a static.
    if let Some(word) = unsafe { word.as_ref() } {
        word.fetch_or(ASKED, Ordering::Release);
        futex_wake(word, i32::MAX);
    }
}

/// Have SIGQUIT set [`ASKED`] in `word` from now on, unless the host handles or ignores it.
pub(crate) fn install(word: &'static AtomicU32) {
    WORD.store(std::ptr::from_ref(word).cast_mut(), Ordering::Release);
    // SAFETY: live structures; the handler is async-signal-safe.
    unsafe {
        let mut old: libc::sigaction = zeroed();
        if libc::sigaction(libc::SIGQUIT, null(), &mut old) != 0 || old.sa_sigaction != libc::SIG_DFL {
            return;
        }
        let mut new: libc::sigaction = zeroed();
        new.sa_sigaction = handler as *const () as usize;
        new.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
        libc::sigemptyset(&mut new.sa_mask);
        if libc::sigaction(libc::SIGQUIT, &new, null_mut()) == 0 {
            INSTALLED.store(true, Ordering::Relaxed);
        }
    }
}

/// Undo [`install`], unless the host has put a handler of its own in the place of ours.
pub(crate) fn restore() {
    if !INSTALLED.swap(false, Ordering::Relaxed) {
        return;
    }
    // SAFETY: live structures.
    unsafe {
        let mut now: libc::sigaction = zeroed();
        if libc::sigaction(libc::SIGQUIT, null(), &mut now) == 0
            && now.sa_sigaction == handler as *const () as usize
        {
            let mut default: libc::sigaction = zeroed();
            default.sa_sigaction = libc::SIG_DFL;
            libc::sigaction(libc::SIGQUIT, &default, null_mut());
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
