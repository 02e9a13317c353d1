//! The end of a process that nobody saved: what is printed, then status 2.
//!
//! The one thing to know: of several goroutines that end the process at once, one reports, and the others wait
//! for the end.

use super::record::Record;
use crate::primitive::atomic::{AtomicBool, Ordering};
use crate::{fatal, inspect, sched};
use std::fmt::{self, Write};

/// Stderr, through a buffer, so that lines come out whole.
pub(super) struct Stderr {
    bytes: [u8; 512],
    len: usize,
}

impl Stderr {
    pub(super) fn new() -> Stderr {
        Stderr { bytes: [0; 512], len: 0 }
    }

    pub(super) fn flush(&mut self) {
        fatal::write(&self.bytes[..self.len]);
        self.len = 0;
    }
}

impl Write for Stderr {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut text = text.as_bytes();
        while !text.is_empty() {
            if self.len == self.bytes.len() {
                self.flush();
            }
            let n = text.len().min(self.bytes.len() - self.len);
            self.bytes[self.len..self.len + n].copy_from_slice(&text[..n]);
            self.len += n;
            text = &text[n..];
        }
        Ok(())
    }
}

/// Nobody recovered the panic that is the first of this chain.
///
/// # Safety
/// The chain is the caller's.
#[cold]
pub(super) unsafe fn unrecovered(record: *mut Record) -> ! {
    // SAFETY: the caller's promise; nothing frees the records any more.
    unsafe { end(|out| Record::print(record, out), Record::addresses(record)) }
}

/// Print what `what` says, a blank line, who the caller is, and the frames with these return addresses. Then end
/// the process.
pub(super) fn end(what: impl FnOnce(&mut Stderr) -> fmt::Result, addresses: &[usize]) -> ! {
    static REPORTING: AtomicBool = AtomicBool::new(false);
    // Relaxed: nothing but the flag itself is shared.
    if REPORTING.swap(true, Ordering::Relaxed) {
        loop {
            // SAFETY: waits for a signal; the thread ends with the process.
            unsafe { libc::pause() };
        }
    }
    let mut out = Stderr::new();
    // Writing to `Stderr` cannot fail.
    let _ = what(&mut out);
    let _ = match sched::current_goroutine_id() {
        Some(id) => write!(out, "\ngoroutine {id} [running]:\n"),
        // As Go numbers what is on a thread's own stack.
        None => out.write_str("\ngoroutine 0 [thread]:\n"),
    };
    out.flush();
    inspect::write_frames(2, addresses);
    fatal::end_process()
}
