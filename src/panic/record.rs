//! One panic or exit that is under way.
//!
//! The one thing to know: they form a chain, newest first. A panic in a deferred call that was run for another
//! panic replaces that one; an exit replaces panics (as Go's Goexit aborts them); and a panic in a deferred
//! call that was run for an exit stands before the exit. **Recovering the newest takes the chain back to the next
//! exit**, which then goes on: an exit that has begun always ends its goroutine. What was replaced is kept for
//! the report.
//!
//! A record is one allocation: this header, the return addresses, the text. It is on the heap since all stack
//! that it could be in is unwound, and used by C++ handlers on the way.

use super::landing::Place;
use super::scope::Landing;
use super::unwind::{self, Exception};
use crate::fatal::fatal;
use crate::primitive::backtrace::{DEPTH, enclosing_function};
use std::fmt;
use std::ptr::{null, null_mut};

#[repr(C)]
pub(super) struct Record {
    /// What the unwinder knows it by.
    pub(super) exception: Exception,
    /// What it replaced, or null.
    pub(super) link: *mut Record,
    /// Where it is to land; null: at the root of its goroutine.
    pub(super) target: *mut Landing,
    pub(super) is_exit: bool,
    pub(super) recovered: bool,
    /// Recovered, and raised again with the same text in the same deferred call.
    repanicked: bool,
    addresses: u32,
    /// How many C++ exceptions were thrown and not caught when it was raised.
    pub(super) uncaught: u32,
    text: usize,
}

const _: () = assert!(size_of::<Record>().is_multiple_of(align_of::<usize>()) && size_of::<Place>() != 0);

impl Record {
    /// A panic with the addresses of its backtrace. Without memory for it nobody can recover it, and the process
    /// ends.
    pub(super) fn panic(text: &[u8], addresses: &[usize]) -> *mut Record {
        let record = Record::allocate(size_of_val(addresses) + text.len() + 1);
        if record.is_null() {
            fatal(format_args!("gort_panic: out of memory; panic: {}", String::from_utf8_lossy(text)));
        }
        // SAFETY: allocated with that much room behind the header. The text ends with a NUL.
        unsafe {
            record.write(Record::new(false, addresses.len() as u32, text.len()));
            let room = record.add(1).cast::<usize>();
            room.copy_from_nonoverlapping(addresses.as_ptr(), addresses.len());
            let room = room.add(addresses.len()).cast::<u8>();
            room.copy_from_nonoverlapping(text.as_ptr(), text.len());
            room.add(text.len()).write(0);
        }
        record
    }

    /// `this`, a panic, with another backtrace: what it called last from the function at `seam` on, and then `outer`. Of
    /// the frames of that function the outermost counts. (Where that is not known, or there is no memory, `this` as it
    /// was.)
    ///
    /// # Safety
    /// `this` is live and the caller's; the result replaces it.
    pub(super) unsafe fn called_from(this: *mut Record, seam: usize, outer: &[usize]) -> *mut Record {
        // SAFETY: the caller's promise. Everything is copied before it is freed.
        unsafe {
            let inner = Record::addresses(this);
            let Some(n) = inner.iter().rposition(|&address| enclosing_function(address) == seam) else {
                return this;
            };
            if (*this).is_exit || inner.len() == DEPTH {
                return this;
            }
            let mut all = Vec::new();
            if all.try_reserve_exact(n + outer.len()).is_err() {
                return this;
            }
            all.extend_from_slice(&inner[..n]);
            all.extend_from_slice(outer);
            all.truncate(DEPTH);
            let new = Record::panic(Record::text(this), &all);
            (*new).link = (*this).link;
            (*new).recovered = (*this).recovered;
            (*new).repanicked = (*this).repanicked;
            libc::free(this.cast());
            new
        }
    }

    pub(super) fn exit() -> *mut Record {
        let record = Record::allocate(0);
        if record.is_null() {
            fatal(format_args!("gort_exit: out of memory"));
        }
        // SAFETY: just allocated.
        unsafe { record.write(Record::new(true, 0, 0)) };
        record
    }

    fn allocate(more: usize) -> *mut Record {
        const { assert!(align_of::<Record>() <= 16) };
        // SAFETY: malloc has no preconditions; its memory is aligned to 16.
        unsafe { libc::malloc(size_of::<Record>() + more).cast() }
    }

    fn new(is_exit: bool, addresses: u32, text: usize) -> Record {
        Record {
            exception: Exception::new(unwind::swallowed),
            link: null_mut(),
            target: null_mut(),
            is_exit,
            recovered: false,
            repanicked: false,
            addresses,
            uncaught: 0,
            text,
        }
    }

    /// The message, without the NUL that follows it.
    ///
    /// # Safety
    /// `this` is a live record, and stays so as long as the result is used.
    pub(super) unsafe fn text<'a>(this: *const Record) -> &'a [u8] {
        // SAFETY: as `panic` has laid it out; an exit has an empty text.
        unsafe {
            let room = this.add(1).cast::<usize>().add((*this).addresses as usize).cast::<u8>();
            std::slice::from_raw_parts(room, (*this).text)
        }
    }

    /// The return addresses of the frames that it was raised in, innermost first.
    ///
    /// # Safety
    /// As for `text`.
    pub(super) unsafe fn addresses<'a>(this: *const Record) -> &'a [usize] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts(this.add(1).cast(), (*this).addresses as usize) }
    }

    /// The chain that begins with `newer` replaces the one that begins with `older` (or null).
    ///
    /// # Safety
    /// All are live and the caller's; `newer` is not null.
    pub(super) unsafe fn replace(newer: *mut Record, older: *mut Record) {
        // SAFETY: the caller's promise.
        unsafe {
            let mut last = newer;
            while !(*last).link.is_null() {
                last = (*last).link;
            }
            (*last).link = older;
            if !older.is_null() && !(*last).is_exit && !(*older).is_exit && (*older).recovered {
                (*older).repanicked = Record::text(last) == Record::text(older);
            }
        }
    }

    /// The chain without all that stands before its first exit: that exit, or null.
    ///
    /// # Safety
    /// As for `replace`. What is left out is freed.
    pub(super) unsafe fn back_to_exit(mut this: *mut Record) -> *mut Record {
        // SAFETY: the caller's promise.
        unsafe {
            while !this.is_null() && !(*this).is_exit {
                let link = (*this).link;
                libc::free(this.cast());
                this = link;
            }
        }
        this
    }

    /// Free the whole chain.
    ///
    /// # Safety
    /// As for `replace`.
    pub(super) unsafe fn free_all(mut this: *mut Record) {
        // SAFETY: the caller's promise.
        unsafe {
            while !this.is_null() {
                let link = (*this).link;
                libc::free(this.cast());
                this = link;
            }
        }
    }

    /// Print the chain, oldest first, as Go does: `panic: first`, then ` [recovered]` or ` [recovered,
    /// repanicked]`, then a line for each that replaced it, behind a tab. The chain is turned round by it.
    ///
    /// # Safety
    /// As for `replace`.
    pub(super) unsafe fn print(newest: *mut Record, out: &mut dyn fmt::Write) -> fmt::Result {
        // SAFETY: the caller's promise. No recursion: a scope may have any number of deferred calls that panic.
        unsafe {
            let (mut this, mut newer) = (newest, null_mut());
            while !this.is_null() {
                let older = std::mem::replace(&mut (*this).link, newer);
                newer = this;
                this = older;
            }
            let (mut this, mut older): (*mut Record, *const Record) = (newer, null());
            while !this.is_null() {
                if older.is_null() {
                    Record::print_line(this, out)?;
                } else if !(*older).repanicked {
                    if !(*older).is_exit {
                        out.write_str("\t")?;
                    }
                    Record::print_line(this, out)?;
                }
                // Else it has the same text as `older`, whose line says so.
                older = this;
                this = (*this).link;
            }
        }
        Ok(())
    }

    /// # Safety
    /// As for `text`.
    unsafe fn print_line(this: *const Record, out: &mut dyn fmt::Write) -> fmt::Result {
        // SAFETY: the caller's promise.
        let (record, text) = unsafe { (&*this, Record::text(this)) };
        if record.is_exit {
            return Ok(());
        }
        out.write_str("panic: ")?;
        // What follows a line break is set in, so that no message can look like the report's own lines.
        out.write_str(&String::from_utf8_lossy(text).replace('\n', "\n\t"))?;
        out.write_str(match (record.repanicked, record.recovered) {
            (true, _) => " [recovered, repanicked]\n",
            (false, true) => " [recovered]\n",
            (false, false) => "\n",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panic(text: &str, recovered: bool) -> *mut Record {
        let record = Record::panic(text.as_bytes(), &[1, 2, 3]);
        // SAFETY: just made.
        unsafe { (*record).recovered = recovered };
        record
    }

    /// The report of a chain, oldest first.
    fn printed(records: &[*mut Record]) -> String {
        let mut text = String::new();
        // SAFETY: made by the test, each used once.
        unsafe {
            let mut chain = null_mut();
            for &record in records {
                Record::replace(record, chain);
                chain = record;
            }
            assert!(Record::print(chain, &mut text).is_ok());
            if let Some(&oldest) = records.first() {
                Record::free_all(oldest);
            }
        }
        text
    }

    #[test]
    fn chains_print_as_in_go() {
        assert_eq!(printed(&[panic("x", false)]), "panic: x\n");
        assert_eq!(printed(&[panic("a\nb", false)]), "panic: a\n\tb\n");
        assert_eq!(printed(&[panic("x", false), panic("y", false)]), "panic: x\n\tpanic: y\n");
        assert_eq!(printed(&[panic("x", true), panic("y", false)]), "panic: x [recovered]\n\tpanic: y\n");
        assert_eq!(printed(&[panic("x", true), panic("x", false)]), "panic: x [recovered, repanicked]\n");
        // The tests of Go's runtime: RepanickedMiddlePanic, RepanickedPanicSandwich.
        assert_eq!(
            printed(&[
                panic("inner", true),
                panic("middle", true),
                panic("middle", true),
                panic("outer", false)
            ]),
            "panic: inner [recovered]\n\tpanic: middle [recovered, repanicked]\n\tpanic: outer\n"
        );
        assert_eq!(
            printed(&[panic("outer", true), panic("inner", true), panic("outer", false)]),
            "panic: outer [recovered]\n\tpanic: inner [recovered]\n\tpanic: outer\n"
        );
        assert_eq!(printed(&[Record::exit(), panic("x", false)]), "panic: x\n");
        assert_eq!(
            printed(&[panic("x", false), Record::exit(), panic("y", false)]),
            "panic: x\n\tpanic: y\n"
        );
    }

    #[test]
    fn recovering_goes_back_to_the_exit() {
        // SAFETY: all made here, each used once.
        unsafe {
            assert!(Record::back_to_exit(panic("x", true)).is_null());
            let (exit, x, y) = (Record::exit(), panic("x", false), panic("y", true));
            Record::replace(x, exit);
            Record::replace(y, x);
            assert_eq!(Record::back_to_exit(y), exit);
            assert_eq!(Record::back_to_exit(exit), exit);
            Record::free_all(exit);
        }
    }

    #[test]
    fn a_record_keeps_its_text_and_addresses() {
        let record = Record::panic(b"some text", &[10, 20]);
        // SAFETY: just made, freed at the end.
        unsafe {
            assert_eq!(Record::text(record), b"some text");
            assert_eq!(*Record::text(record).as_ptr().add(9), 0);
            assert_eq!(Record::addresses(record), [10, 20]);
            Record::free_all(record);
        }
    }
}
