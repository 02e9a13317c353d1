//! Errors that end the process: the text on stderr, then status 2, as the Go runtime does.
//!
//! The one thing to know: [`end`] neither allocates nor locks nor unwinds, so it may be called anywhere, a signal
//! handler included. [`fatal`] prints a backtrace as well, so it may not. The host's hook is called
//! last, when all that there is to say has been written.
//!
//! One thread ends the process. Another that fails meanwhile waits for that, for a while; the same one, which fails
//! while it prints its backtrace or in the hook, prints its second text and ends the process at once.

use crate::primitive::atomic::{AtomicI32, AtomicPtr, Ordering};
use std::ffi::{c_char, c_void};
use std::fmt::{self, Write};
use std::ptr::null_mut;

/// The status of a process that the runtime ends.
pub(crate) const STATUS: i32 = 2;

/// How long a thread that fails waits for another that has failed before to end the process, s.
const PATIENCE: u32 = 10;

/// What the host wants called before the end.
#[derive(Clone, Copy)]
pub(crate) struct Hook {
    pub(crate) call: unsafe extern "C" fn(*const c_char, *mut c_void),
    pub(crate) arg: *mut c_void,
}

#[cfg(not(loom))]
static HOOK: AtomicPtr<Hook> = AtomicPtr::new(null_mut());
/// The thread that ends the process, or 0.
#[cfg(not(loom))]
static ENDING: AtomicI32 = AtomicI32::new(0);

/// Set the hook, or none. One that was set before is never freed: somebody may be about to call it.
#[cfg(not(loom))]
pub(crate) fn set_hook(hook: Option<Hook>) {
    let hook = hook.map_or(null_mut(), |hook| Box::into_raw(Box::new(hook)));
    HOOK.store(hook, Ordering::Release);
}

/// Stderr, through a buffer, so that lines come out whole; and the beginning of all that was written, for the hook.
struct Report {
    pending: [u8; 512],
    len: usize,
    /// What does not fit is cut off. One byte is left for a NUL.
    beginning: [u8; 1024],
    kept: usize,
}

impl Report {
    fn new() -> Report {
        Report { pending: [0; 512], len: 0, beginning: [0; 1024], kept: 0 }
    }

    fn flush(&mut self) {
        let mut rest = &self.pending[..self.len];
        while !rest.is_empty() {
            // SAFETY: `rest` is a live buffer of that length; write(2) is async-signal-safe.
            let n = unsafe { libc::write(2, rest.as_ptr().cast(), rest.len()) };
            match usize::try_from(n) {
                Ok(n) if n > 0 => rest = &rest[n..],
                // Nobody listens on stderr: end all the same.
                _ => break,
            }
        }
        self.len = 0;
    }
}

impl Write for Report {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut text = text.as_bytes();
        let n = text.len().min(self.beginning.len() - 1 - self.kept);
        self.beginning[self.kept..self.kept + n].copy_from_slice(&text[..n]);
        self.kept += n;
        while !text.is_empty() {
            if self.len == self.pending.len() {
                self.flush();
            }
            let n = text.len().min(self.pending.len() - self.len);
            self.pending[self.len..self.len + n].copy_from_slice(&text[..n]);
            self.len += n;
            text = &text[n..];
        }
        Ok(())
    }
}

/// Print `fatal error: <what>` and the caller's backtrace, and end the process with status 2. Exit handlers do
/// not run.
#[cold]
pub(crate) fn fatal(what: fmt::Arguments<'_>) -> ! {
    end_with(format_args!("fatal error: {what}\n"), backtrace)
}

/// Print `text` as it is and end the process with status 2.
#[cold]
pub(crate) fn end(text: fmt::Arguments<'_>) -> ! {
    end_with(text, || {})
}

/// Print `text`, and what `more` prints, call the hook and end the process with status 2.
#[cold]
pub(crate) fn end_with(text: fmt::Arguments<'_>, more: impl FnOnce()) -> ! {
    end_writing(|out| out.write_fmt(text), more)
}

/// As [`end_with`], for a text of any length that `text` writes.
#[cold]
pub(crate) fn end_writing(text: impl FnOnce(&mut dyn Write) -> fmt::Result, more: impl FnOnce()) -> ! {
    let mut report = Report::new();
    let again = !claim();
    // Writing to a `Report` cannot fail.
    let _ = text(&mut report);
    report.flush();
    if !again {
        more();
        call_hook(&mut report);
    }
    // SAFETY: _exit has no preconditions.
    unsafe { libc::_exit(STATUS) }
}

/// Become the thread that ends the process; false: this one was already. Does not return if another is.
#[cfg(not(loom))]
fn claim() -> bool {
    // SAFETY: gettid has no preconditions.
    let me = unsafe { libc::syscall(libc::SYS_gettid) } as i32;
    let Err(who) = ENDING.compare_exchange(0, me, Ordering::Relaxed, Ordering::Relaxed) else { return true };
    if who != me {
        // SAFETY: neither has preconditions.
        unsafe {
            libc::sleep(PATIENCE);
            libc::_exit(STATUS);
        }
    }
    false
}

#[cfg(loom)]
fn claim() -> bool {
    true
}

#[cfg(not(loom))]
fn call_hook(report: &mut Report) {
    // Acquire pairs with the Release in `set_hook`. Called once: only one thread gets here, once.
    // SAFETY: null, or set once and never freed.
    let Some(hook) = (unsafe { HOOK.load(Ordering::Acquire).as_ref() }) else { return };
    let text = &report.beginning[..report.kept];
    let len = text.len() - text.iter().rev().take_while(|&&byte| byte == b'\n').count();
    report.beginning[len] = 0;
    // SAFETY: the host's function, with its own argument and a text that ends with a NUL.
    unsafe { (hook.call)(report.beginning.as_ptr().cast(), hook.arg) };
}

#[cfg(loom)]
fn call_hook(_: &mut Report) {}

/// The caller's backtrace. If there is hardly any memory, none: to fail for want of it now would hide why.
#[cfg(not(loom))]
fn backtrace() {
    if Vec::<u8>::new().try_reserve_exact(8 << 20).is_ok() {
        crate::inspect::write_caller(2);
    }
}

#[cfg(loom)]
fn backtrace() {}
