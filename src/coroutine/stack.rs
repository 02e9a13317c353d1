//! One reserved stack: a range of addresses that costs memory only where it has been touched.
//!
//! ```text
//! base()                limit()                                            place()     end()
//!   | guard, 64 KiB       | the coroutine's frames, growing down  <-- sp    | record | colour |
//!   +---------------------+-------------------------------------------+----------------------+
//!                                                                     |    the top page      |
//! ```
//!
//! The record of whatever runs on the stack, the colour and the first frames share the top page: a coroutine
//! that is parked high up has touched exactly one page.
//!
//! **Colours.** All stacks end on a multiple of 128 KiB. Without more, the tops of all of them would fall in
//! the same few sets of every cache, and switching among a thousand coroutines would miss on each. So the
//! used part of a stack ends 0 to 15 times 128 bytes below its end, in turn.

use super::class::{Class, GUARD};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

const COLOURS: usize = 16;
const COLOUR_STEP: usize = 128;
/// The largest record that still leaves 1.8 KiB of a 4 KiB top page for frames at the deepest colour.
const LARGEST_RECORD: usize = 320;
const _: () = assert!(4096 - (COLOURS - 1) * COLOUR_STEP - LARGEST_RECORD >= 1843);

/// The low bits of a stack's base are zero (it is aligned to its class): they hold the class and the colour.
const CLASS_BITS: usize = 0xf;
const COLOUR_SHIFT: u32 = 4;
const TAG: usize = 0xff;
const _: () = assert!(Class::COUNT <= CLASS_BITS + 1 && COLOURS << COLOUR_SHIFT <= TAG + 1);

/// A handle of a stack: one word, copied freely; it owns nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Stack(NonNull<u8>);

// SAFETY: a handle is an address and two small numbers; what is done with the memory is unsafe on its own.
unsafe impl Send for Stack {}

impl Stack {
    /// The stack at `base`, the `slot`th of its class.
    ///
    /// # Safety
    /// `base` is the start of a mapped range of `class.size()` bytes, aligned to that size.
    pub(super) unsafe fn new(base: *mut u8, class: Class, slot: usize) -> Stack {
        debug_assert!(base.addr().is_multiple_of(class.size()));
        let tag = class.index() | (slot % COLOURS) << COLOUR_SHIFT;
        // SAFETY: a mapped range does not start at address 0.
        Stack(unsafe { NonNull::new_unchecked(base.map_addr(|addr| addr | tag)) })
    }

    /// The lowest reserved address, where the guard begins.
    #[inline]
    pub(crate) fn base(&self) -> *mut u8 {
        self.0.as_ptr().map_addr(|addr| addr & !TAG)
    }

    /// The end of the guard: the lowest address that can be used.
    #[inline]
    pub(crate) fn limit(&self) -> *mut u8 {
        self.base().wrapping_add(GUARD)
    }

    /// One past the last reserved address.
    #[inline]
    pub(crate) fn end(&self) -> *mut u8 {
        self.base().wrapping_add(self.class().size())
    }

    /// Its size class.
    #[inline]
    pub(crate) fn class(&self) -> Class {
        Class::from_index(self.0.as_ptr().addr() & CLASS_BITS)
    }

    #[inline]
    fn colour(&self) -> usize {
        (self.0.as_ptr().addr() & TAG) >> COLOUR_SHIFT
    }

    /// Where the record of what runs on this stack lives: on the top page, below the colour, aligned to 64.
    /// The stack proper begins right below it.
    #[inline]
    pub(crate) fn place<T>(&self) -> *mut T {
        const { assert!(size_of::<T>() <= LARGEST_RECORD && align_of::<T>() <= 64) };
        let below = self.colour() * COLOUR_STEP + size_of::<T>().next_multiple_of(64);
        self.end().wrapping_sub(below).cast()
    }

    /// The lowest address of the top page.
    #[cfg(test)]
    #[inline]
    pub(super) fn top_page(&self) -> *mut u8 {
        self.end().wrapping_sub(page_size())
    }
}

/// The system's page size.
pub(super) fn page_size() -> usize {
    static SIZE: AtomicUsize = AtomicUsize::new(0);
    // Relaxed: every thread that finds 0 stores the same number.
    match SIZE.load(Ordering::Relaxed) {
        0 => {
            // SAFETY: sysconf has no preconditions.
            let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
            let size = usize::try_from(size).unwrap_or(4096);
            SIZE.store(size, Ordering::Relaxed);
            size
        }
        size => size,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(align(64))]
    struct Record {
        _bytes: [u8; 256],
    }

    fn stack(slot: usize, size: usize) -> Stack {
        let base = std::ptr::without_provenance_mut(7 << 30);
        // SAFETY: only addresses are computed below; nothing is read or written there.
        unsafe { Stack::new(base, Class::for_size(size).unwrap(), slot) }
    }

    #[test]
    fn a_handle_is_one_word_and_knows_its_range() {
        assert_eq!(size_of::<Option<Stack>>(), 8);
        for size in [128 << 10, 256 << 10, 8 << 20, 1 << 30] {
            for slot in [0, 5, 15, 16, 31] {
                let s = stack(slot, size);
                assert_eq!(s.base().addr(), 7 << 30);
                assert_eq!(s.limit().addr(), (7 << 30) + GUARD);
                assert_eq!(s.end().addr(), (7 << 30) + size);
                assert_eq!(s.class().size(), size);
            }
        }
    }

    #[test]
    fn the_record_and_1800_bytes_of_frames_fit_on_the_top_page_in_every_colour() {
        let mut tops = std::collections::HashSet::new();
        for slot in 0..32 {
            let s = stack(slot, 256 << 10);
            let record = s.place::<Record>();
            assert!(record.addr().is_multiple_of(64));
            assert!(record.addr() + 256 <= s.end().addr());
            assert!(record.addr() - s.top_page().addr() >= 1843);
            tops.insert(record.addr());
        }
        assert_eq!(tops.len(), COLOURS);
    }
}
