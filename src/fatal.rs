//! Errors that end the process: the text on stderr, then status 2, as the Go runtime does.
//!
//! The one thing to know: nothing here allocates, locks or unwinds, so it may be called anywhere, a signal
//! handler included.

use std::fmt::{self, Write};

/// The status of a process that the runtime ends.
pub(crate) const STATUS: i32 = 2;

/// Formats into a fixed buffer; what does not fit is cut off.
struct Message {
    bytes: [u8; 1024],
    len: usize,
}

impl Write for Message {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        let n = s.len().min(self.bytes.len() - self.len);
        self.bytes[self.len..self.len + n].copy_from_slice(&s.as_bytes()[..n]);
        self.len += n;
        Ok(())
    }
}

/// Print `fatal error: <what>` and end the process with status 2. Exit handlers do not run.
#[cold]
pub(crate) fn fatal(what: fmt::Arguments<'_>) -> ! {
    end(format_args!("fatal error: {what}\n"))
}

/// Print `text` as it is and end the process with status 2.
#[cold]
pub(crate) fn end(text: fmt::Arguments<'_>) -> ! {
    let mut message = Message { bytes: [0; 1024], len: 0 };
    // Writing into a `Message` cannot fail.
    let _ = message.write_fmt(text);
    write(&message.bytes[..message.len]);
    end_process()
}

/// Write to stderr, as far as anybody listens there.
pub(crate) fn write(mut rest: &[u8]) {
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

/// End the process with status 2. Exit handlers do not run.
pub(crate) fn end_process() -> ! {
    // SAFETY: _exit has no preconditions.
    unsafe { libc::_exit(STATUS) }
}
