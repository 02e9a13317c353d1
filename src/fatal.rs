//! Errors that end the process: the text on stderr, then status 2, as the Go runtime does.
//!
//! The one thing to know: [`end`] neither allocates nor locks nor unwinds, so it may be called anywhere, a signal
//! handler included. [`fatal`] and [`panic`] print a backtrace as well, so they may not. The host's hook is called
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

/// Formats into a fixed buffer; what does not fit is cut off. One byte is left for a NUL.
struct Message {
    bytes: [u8; 1024],
    len: usize,
}

impl Message {
    fn new(text: fmt::Arguments<'_>) -> Message {
        let mut message = Message { bytes: [0; 1024], len: 0 };
        // Writing into a `Message` cannot fail.
        let _ = message.write_fmt(text);
        message
    }

    fn print(&self) {
        let mut rest = &self.bytes[..self.len];
        while !rest.is_empty() {
            // SAFETY: `rest` is a live buffer of that length; write(2) is async-signal-safe.
            let n = unsafe { libc::write(2, rest.as_ptr().cast(), rest.len()) };
            match usize::try_from(n) {
                Ok(n) if n > 0 => rest = &rest[n..],
                // Nobody listens on stderr: end all the same.
                _ => break,
            }
        }
    }
}

impl Write for Message {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        let n = s.len().min(self.bytes.len() - 1 - self.len);
        self.bytes[self.len..self.len + n].copy_from_slice(&s.as_bytes()[..n]);
        self.len += n;
        Ok(())
    }
}

/// Print `fatal error: <what>` and the caller's backtrace, and end the process with status 2. Exit handlers do
/// not run.
#[cold]
pub(crate) fn fatal(what: fmt::Arguments<'_>) -> ! {
    end_with(format_args!("fatal error: {what}\n"), backtrace)
}

/// Print `panic: <what>` and the caller's backtrace, and end the process with status 2: what Go panics about.
#[cold]
pub(crate) fn panic(what: fmt::Arguments<'_>) -> ! {
    end_with(format_args!("panic: {what}\n"), backtrace)
}

/// Print `text` as it is and end the process with status 2.
#[cold]
pub(crate) fn end(text: fmt::Arguments<'_>) -> ! {
    end_with(text, || {})
}

/// Print `text`, and what `more` prints, call the hook and end the process with status 2.
#[cold]
pub(crate) fn end_with(text: fmt::Arguments<'_>, more: impl FnOnce()) -> ! {
    let mut message = Message::new(text);
    claim(&message);
    message.print();
    more();
    call_hook(&mut message);
    // SAFETY: _exit has no preconditions.
    unsafe { libc::_exit(STATUS) }
}

/// Become the thread that ends the process. Does not return if another is, or this one was already.
#[cfg(not(loom))]
fn claim(message: &Message) {
    // SAFETY: gettid has no preconditions.
    let me = unsafe { libc::syscall(libc::SYS_gettid) } as i32;
    let Err(who) = ENDING.compare_exchange(0, me, Ordering::Relaxed, Ordering::Relaxed) else { return };
    if who == me {
        message.print();
    } else {
        // SAFETY: sleep has no preconditions.
        unsafe { libc::sleep(PATIENCE) };
    }
    // SAFETY: nor has _exit.
    unsafe { libc::_exit(STATUS) }
}

#[cfg(loom)]
fn claim(_: &Message) {}

#[cfg(not(loom))]
fn call_hook(message: &mut Message) {
    // Acquire pairs with the Release in `set_hook`. Called once: only one thread gets here, once.
    // SAFETY: null, or set once and never freed.
    let Some(hook) = (unsafe { HOOK.load(Ordering::Acquire).as_ref() }) else { return };
    let text = &message.bytes[..message.len];
    let len = text.len() - text.iter().rev().take_while(|&&byte| byte == b'\n').count();
    message.bytes[len] = 0;
    // SAFETY: the host's function, with its own argument and a text that ends with a NUL.
    unsafe { (hook.call)(message.bytes.as_ptr().cast(), hook.arg) };
}

#[cfg(loom)]
fn call_hook(_: &mut Message) {}

/// The caller's backtrace. If there is hardly any memory, none: to fail for want of it now would hide why.
#[cfg(not(loom))]
fn backtrace() {
    if Vec::<u8>::new().try_reserve_exact(8 << 20).is_ok() {
        crate::inspect::write_caller(2);
    }
}

#[cfg(loom)]
fn backtrace() {}
