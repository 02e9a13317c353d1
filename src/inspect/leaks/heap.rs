//! The blocks of glibc's malloc, found by walking its heaps.
//!
//! The one thing to know: **a heap is taken apart only if the walk over its blocks is consistent from its first
//! byte to its last**; any other memory, that of another allocator say, is searched as a whole, like a global
//! variable. What is used here of glibc has been so since 2.10 and is looked at, not relied on:
//!
//! ```text
//!   a block:  | size of the one before, if that is free | its own size + 3 flags | contents ...
//! ```
//!
//! A block's contents reach over the next one's first word. Flag 1 says that the block *before* is in use. The
//! main heap is the mapping `[heap]`; the others begin on a multiple of 64 MiB, with a small header. The last
//! block (`top`) is what has not been given out yet.
//!
//! A thread may have been stopped in the middle of malloc or free. Blocks that are neither being allocated nor
//! freed just then are as they always are, and what the walk may get wrong is the part that is: memory that is
//! nobody's at that moment.
//!
//! **Free blocks** hold what was there when they were freed, pointers too. Those that malloc has joined to its
//! free memory are told by the flag, and by their size at their end too: without that it may be a block in use that
//! realloc is just making larger. Small ones wait in lists for their next use, without the flag, and look used: see
//! `lists.rs`.

use super::memory::{Mapping, Memory};
use super::scratch::{Bits, Errno};

pub(super) const ALIGN: usize = 16;
const LEAST: usize = 32;
const BEFORE_IN_USE: usize = 1;
const MAPPED: usize = 2;
const FLAGS: usize = 7;
const ARENA: usize = 64 << 20;
/// A heap that was taken apart.
pub(super) struct Heap {
    /// Where its first block begins, and its last ends.
    pub(super) start: usize,
    pub(super) end: usize,
    /// Where the last block begins, which is not given out.
    pub(super) top: usize,
    /// The record of the arena that it is part of, if a header says so: the main one has none.
    pub(super) arena: Option<usize>,
    /// A bit for each block's first 16 bytes.
    starts: Bits,
    /// Blocks that can be reached.
    reached: Bits,
    /// Blocks that only goroutines can reach that cannot be reached themselves.
    kept: Bits,
    /// Small free blocks, in the lists that were found.
    listed: Bits,
}

/// # Safety
/// `at` is the address of readable memory that nobody writes meanwhile.
#[inline]
pub(super) unsafe fn word(at: usize) -> usize {
    // SAFETY: the caller's promise.
    unsafe { (at as *const usize).read_volatile() }
}

impl Heap {
    /// Take apart what lies between `first` and `end`; `None`: those are not malloc's blocks.
    ///
    /// # Safety
    /// The range is readable, and nobody writes it.
    unsafe fn walk(first: usize, end: usize) -> Result<Option<Heap>, Errno> {
        // SAFETY: the caller's promise; first without writing anything down, as most attempts fail early.
        let Some(top) = (unsafe { each_block(first, end, |_| ()) }) else { return Ok(None) };
        let n = (end - first) / ALIGN;
        let mut heap = Heap {
            start: first,
            end,
            top,
            arena: None,
            starts: Bits::new(n)?,
            reached: Bits::new(n)?,
            kept: Bits::new(n)?,
            listed: Bits::new(n)?,
        };
        // SAFETY: as above.
        unsafe { each_block(first, end, |block| heap.starts.set((block - first) / ALIGN)) };
        Ok(Some(heap))
    }

    /// All heaps in the anonymous mapping `mapping`, to `found`.
    ///
    /// # Safety
    /// Nobody writes the mapping's memory.
    pub(super) unsafe fn find(
        memory: &Memory,
        mapping: &Mapping,
        mut found: impl FnMut(Heap),
    ) -> Result<(), Errno> {
        if mapping.heap {
            // SAFETY: the caller's promise.
            if let Some(heap) = unsafe { Self::walk(mapping.start, mapping.end) }? {
                found(heap);
            }
            return Ok(());
        }
        let mut arena = mapping.start.next_multiple_of(ARENA);
        while arena < mapping.end {
            // The header: its arena, the heap before, its size, how much of it is writable.
            let [owner, before, size, writable] = memory.peek(arena);
            let plausible = owner != 0
                && owner.is_multiple_of(8)
                && before.is_multiple_of(ARENA)
                && (before == 0) == (owner & !(ARENA - 1) == arena)
                && (4096..=ARENA).contains(&size)
                && size.is_multiple_of(4096)
                && (size..=ARENA).contains(&writable)
                && arena + size <= mapping.end;
            if plausible {
                // Where the first block is depends on the version, and on whether the arena's own record
                // comes first.
                for first in (arena + 0x20..arena + 0x1000).step_by(ALIGN) {
                    // SAFETY: within the mapping.
                    if let Some(heap) = unsafe { Self::walk(first, arena + size) }? {
                        found(Heap { arena: Some(owner), ..heap });
                        break;
                    }
                }
            }
            arena += ARENA;
        }
        Ok(())
    }

    fn index(&self, block: usize) -> usize {
        (block - self.start) / ALIGN
    }

    /// The block that `address`, which lies in this heap, is in.
    pub(super) fn block_of(&self, address: usize) -> usize {
        let index = self.starts.at_or_below(self.index(address)).unwrap_or(0);
        self.start + index * ALIGN
    }

    pub(super) fn size(&self, block: usize) -> usize {
        // SAFETY: a block of this heap, whose memory stays as it is while we look.
        unsafe { word(block + 8) & !FLAGS }
    }

    /// All that its user may have written.
    pub(super) fn contents(&self, block: usize) -> (usize, usize) {
        (block + ALIGN, (block + self.size(block) + 8).min(self.end))
    }

    /// Does nobody own it?
    pub(super) fn is_free(&self, block: usize) -> bool {
        self.is_joined_free(block) || self.listed.get(self.index(block))
    }

    /// Part of malloc's own free memory.
    fn is_joined_free(&self, block: usize) -> bool {
        if block >= self.top {
            return true;
        }
        let size = self.size(block);
        // SAFETY: as in `size`; the block behind has a header, as this is not the last.
        unsafe { word(block + size + 8) & BEFORE_IN_USE == 0 && word(block + size) == size }
    }

    /// The block is in a list of free ones.
    pub(super) fn set_listed(&mut self, block: usize) {
        self.listed.set(self.index(block));
    }

    /// Does a block that may be given out begin at this address?
    pub(super) fn is_block(&self, address: usize) -> bool {
        self.holds(address) && address < self.top && self.starts.get(self.index(address))
    }

    fn holds(&self, address: usize) -> bool {
        address.is_multiple_of(ALIGN) && (self.start..self.end).contains(&address)
    }

    /// Is the word at `place`, outside of this heap, with the value `value`, one of malloc's own links to its
    /// free memory? Such a link points to a free block's header, which is also the end of the block before, and
    /// must not pass for a pointer to that one.
    ///
    /// # Safety
    /// The page around `place` is readable.
    pub(super) unsafe fn is_own_link(&self, place: usize, value: usize) -> bool {
        // No arena lies across the end of a page here: what we look at is on the page that was read.
        let within = (16..4096 - 32).contains(&(place % 4096));
        if !within || !place.is_multiple_of(8) || !self.holds(value) || !self.starts.get(self.index(value)) {
            return false;
        }
        // SAFETY: the caller's promise; `value` is a block's header.
        unsafe {
            if value == self.top {
                return self.is_top_link(place);
            }
            // `last_remainder`: what was once left over of a free block, and may be in use again.
            if word(place - 8) == self.top && self.is_top_link(place - 8) {
                return true;
            }
            if !self.is_joined_free(value) {
                return false;
            }
            // A list's head looks like a block; its first block points back to it, and its last on to it.
            let (next, before) = (word(value + 16), word(value + 24));
            before == place.wrapping_sub(16) || next == place.wrapping_sub(24) || self.is_top_link(place - 8)
        }
    }

    /// An arena's `top` is followed by `last_remainder` and the list of unsorted blocks, whose head begins where
    /// `top` is.
    ///
    /// # Safety
    /// As for `is_own_link`.
    unsafe fn is_top_link(&self, place: usize) -> bool {
        // SAFETY: the caller's promise.
        self.is_arena(place, unsafe { word(place + 16) })
    }

    /// Is `place`, which holds the address of the last block, part of an arena? `first`: the word two further on.
    pub(super) fn is_arena(&self, place: usize, first: usize) -> bool {
        // SAFETY: a block of this heap.
        first == place || self.is_block(first) && unsafe { word(first + 24) } == place
    }

    /// The block behind this one; none behind the last.
    pub(super) fn next(&self, block: usize) -> Option<usize> {
        (block < self.top).then(|| block + self.size(block))
    }

    pub(super) fn is_reached(&self, block: usize) -> bool {
        self.reached.get(self.index(block))
    }

    pub(super) fn reach(&mut self, block: usize) {
        self.reached.set(self.index(block));
    }

    pub(super) fn is_kept(&self, block: usize) -> bool {
        self.kept.get(self.index(block))
    }

    pub(super) fn keep(&mut self, block: usize) {
        self.kept.set(self.index(block));
    }
}

/// Call `f` for each block; where the last begins, if all is consistent.
///
/// # Safety
/// The range is readable, and nobody writes it.
unsafe fn each_block(first: usize, end: usize, mut f: impl FnMut(usize)) -> Option<usize> {
    let mut block = first;
    loop {
        // SAFETY: there are 16 bytes at least up to `end`, see below.
        let head = unsafe { word(block + 8) };
        let (size, flags) = (head & !FLAGS, head & FLAGS);
        // A heap that is full ends with a mark or two, smaller than any block.
        if end - block <= 3 * ALIGN && size < LEAST && block != first {
            f(block);
            return Some(block);
        }
        if size < LEAST || !size.is_multiple_of(ALIGN) || flags & MAPPED != 0 || size > end - block {
            return None;
        }
        if block == first && flags & BEFORE_IN_USE == 0 {
            return None;
        }
        f(block);
        if size == end - block {
            return Some(block);
        }
        block += size;
        if end - block < ALIGN {
            return None;
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Blocks of these sizes, all in use, and a last one that is not given out.
    pub(in super::super) fn heap_of(sizes: &[usize]) -> (Vec<u128>, Heap) {
        let all = sizes.iter().sum::<usize>() + 64;
        let mut memory = vec![0u128; all / ALIGN];
        let start = memory.as_mut_ptr().addr();
        let mut at = 0;
        for &size in sizes.iter().chain(&[64]) {
            memory[at / ALIGN] = ((size | BEFORE_IN_USE) as u128) << 64;
            at += size;
        }
        // SAFETY: readable, and ours.
        let heap = unsafe { Heap::walk(start, start + all) }.unwrap().unwrap();
        assert_eq!(heap.top, start + all - 64);
        (memory, heap)
    }

    #[test]
    fn memory_that_is_no_heap_is_not_taken_for_one() {
        let (mut memory, heap) = heap_of(&[32, 48, 160, 32]);
        // SAFETY: as above.
        let walk = || unsafe { Heap::walk(heap.start, heap.end) }.unwrap().is_some();
        assert!(walk());
        for size in [0usize, 16, 33 + 8, 48 + 8, 1 << 20] {
            memory[2] = ((size | BEFORE_IN_USE) as u128) << 64;
            assert!(!walk(), "{size}");
        }
    }

    #[test]
    fn a_block_that_realloc_has_half_enlarged_is_in_use() {
        let (mut memory, heap) = heap_of(&[32, 48, 160, 32]);
        let block = heap.start + 32;
        assert!(!heap.is_free(block) && heap.is_free(heap.top));
        // The next says that this one is free, but not of what size, or of another.
        memory[5] = 160 << 64;
        assert!(!heap.is_free(block));
        memory[5] |= 32;
        assert!(!heap.is_free(block));
        memory[5] = 160 << 64 | 48;
        assert!(heap.is_free(block));
    }
}
