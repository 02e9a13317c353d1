//! The end of a process that nobody saved: what is printed, then status 2.

use super::record::Record;
use crate::{fatal, inspect};
use std::fmt::{self, Write};

/// Nobody recovered the panic that is the first of this chain.
///
/// # Safety
/// The chain is the caller's.
#[cold]
pub(super) unsafe fn unrecovered(record: *mut Record) -> ! {
    // SAFETY: the caller's promise; nothing frees the records any more.
    unsafe {
        let addresses = Record::addresses(record);
        end(|out| Record::print(record, out), addresses)
    }
}

/// Print what `what` says, a blank line, who the caller is, and the frames with these return addresses. Then end
/// the process.
pub(super) fn end(what: impl FnOnce(&mut dyn Write) -> fmt::Result, addresses: &[usize]) -> ! {
    fatal::end_writing(what, || inspect::write_running(2, addresses))
}
