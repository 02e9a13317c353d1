//! malloc's lists of small free blocks.
//!
//! The one thing to know: a block is free only if it is **in a list that begins where lists begin**. That its first
//! word looks like a link says nothing: malloc does not clear a block that it gives out, so there it stays until the
//! block's user writes something else, which may be never.
//!
//! There are two kinds. Each thread has lists of its own (`tcache_perthread_struct`, a block of malloc's): as many
//! lengths, of 16 bits, as there are lists, then their first blocks' contents. All blocks in them hold the same random
//! number as their second word. And each arena has lists (`fastbinsY`, right before its `top`), which link the headers.
//! Either way the list's place says how large its blocks are. A link is stored with the address of its place,
//! shifted, XORed in (glibc 2.32 and later; what is older, or later than 2.41, may keep its lists otherwise: they are
//! not found, and their blocks count as in use).
//!
//! A thread may have been stopped between two steps of putting a block in or taking one out. What can be reached from
//! the list's beginning is free all the same; the length may be wrong by one.

use super::heap::{ALIGN, Heap, word};
use super::heaps::heap_of;
use super::memory::{Mapping, Memory};
use super::scratch::Errno;

/// A list is followed so far.
const LONGEST: usize = 1 << 20;
/// The lists of a thread, and the size of the block they are in.
const OF_THREAD: usize = 64;
const THREAD: usize = OF_THREAD * (2 + 8) + ALIGN;
/// The lists of an arena; their place in its record.
const OF_ARENA: usize = 10;
const IN_ARENA: usize = 16;

/// Find all lists, and mark their blocks in `heaps`, which are in order.
///
/// # Safety
/// The heaps' memory is readable, and nobody writes it.
pub(super) unsafe fn mark(heaps: &mut [Heap], memory: &mut Memory) -> Result<(), Errno> {
    for i in 0..heaps.len() {
        let mut at = Some(heaps[i].start);
        while let Some(block) = at {
            at = heaps[i].next(block);
            if at.is_some() && heaps[i].size(block) == THREAD {
                // SAFETY: a block of a heap.
                unsafe { mark_of_thread(heaps, block + ALIGN) };
            }
        }
        if let Some(arena) = heaps[i].arena {
            mark_of_arena(heaps, memory, arena + IN_ARENA);
        }
    }
    mark_of_main_arena(heaps, memory)
}

/// # Safety
/// The contents of a block of the right size are at `record`; as for `mark`.
unsafe fn mark_of_thread(heaps: &mut [Heap], record: usize) {
    // SAFETY: within the block; blocks have two words at least.
    unsafe {
        let length = |i: usize| (word((record + i * 2) & !7) >> (i % 4 * 16)) & 0xffff;
        let first = |i: usize| word(record + OF_THREAD * 2 + i * 8);
        let mut number = 0;
        // First all is looked at: it may be no such record.
        for i in 0..OF_THREAD {
            let mut n = 0;
            let ends = follow(heaps, first(i).wrapping_sub(ALIGN), ALIGN, size_of_list(i), |_, block| {
                n += 1;
                let this = word(block + ALIGN + 8);
                let fits = this != 0 && (number == 0 || number == this);
                number = this;
                fits
            });
            if !(ends || first(i) == 0) || length(i).abs_diff(n) > 1 {
                return;
            }
        }
        for i in 0..OF_THREAD {
            follow(heaps, first(i).wrapping_sub(ALIGN), ALIGN, size_of_list(i), |heap, block| {
                heap.set_listed(block);
                true
            });
        }
    }
}

/// The lists whose beginnings are at `lists`.
fn mark_of_arena(heaps: &mut [Heap], memory: &Memory, lists: usize) {
    for i in 0..OF_ARENA {
        let [first, ..] = memory.peek(lists + i * 8);
        // SAFETY: the heaps' memory is readable, and nobody writes it.
        unsafe {
            if follow(heaps, first, 0, size_of_list(i), |_, _| true) {
                follow(heaps, first, 0, size_of_list(i), |heap, block| {
                    heap.set_listed(block);
                    true
                });
            }
        }
    }
}

/// The main arena is a variable of the C library's: it is known by its pointer to the last block of its heap.
fn mark_of_main_arena(heaps: &mut [Heap], memory: &mut Memory) -> Result<(), Errno> {
    let Some(main) = heaps.iter().position(|heap| heap.arena.is_none()) else { return Ok(()) };
    let top = heaps[main].top;
    for i in 0..memory.mappings().len() {
        let mapping = memory.mappings()[i];
        if !mapping.writable || !mapping.is_data() {
            continue;
        }
        for place in places_of(memory, &mapping, top)?.into_iter().flatten() {
            let [_, _, first, _] = memory.peek(place);
            if heaps[main].is_arena(place, first) {
                mark_of_arena(heaps, memory, place - OF_ARENA * 8);
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Where `value` stands in the mapping, a few times at most.
fn places_of(memory: &mut Memory, mapping: &Mapping, value: usize) -> Result<[Option<usize>; 8], Errno> {
    let mut places = [None; 8];
    let mut free = places.iter_mut();
    memory.read(mapping, mapping.start, mapping.end, |at, piece| {
        for (i, bytes) in piece.chunks_exact(8).enumerate() {
            if bytes == value.to_ne_bytes()
                && let Some(place) = free.next()
            {
                *place = Some(at + i * 8);
            }
        }
    })?;
    Ok(places)
}

fn size_of_list(i: usize) -> usize {
    (i + 2) * ALIGN
}

/// Go through the list that begins with the block `first` and links what is `offset` bytes into the blocks. True: it
/// ends as a list does, all its blocks are of this size, and `f` said true of each.
///
/// # Safety
/// As for `mark`.
unsafe fn follow(
    heaps: &mut [Heap],
    first: usize,
    offset: usize,
    size: usize,
    mut f: impl FnMut(&mut Heap, usize) -> bool,
) -> bool {
    let mut block = first;
    for _ in 0..LONGEST {
        let Some(i) = heap_of(heaps, block) else { return false };
        let heap = &mut heaps[i];
        if !heap.is_block(block) || heap.size(block) != size || !f(heap, block) {
            return false;
        }
        let place = block + ALIGN;
        // SAFETY: the first word of a block's contents.
        let next = unsafe { word(place) } ^ (place >> 12);
        if next == 0 {
            return true;
        }
        block = next.wrapping_sub(offset);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::heap::tests::heap_of;
    use super::*;

    /// Write a word, as malloc would.
    fn set(at: usize, value: usize) {
        // SAFETY: only called with places in the test's own memory.
        unsafe { (at as *mut usize).write_volatile(value) };
    }

    fn link(block: usize, to: usize) {
        set(block + ALIGN, to ^ (block + ALIGN) >> 12);
    }

    /// The lists of a thread: three blocks of 48 bytes, of which two are in a list, and the record.
    fn of_thread() -> (Vec<u128>, [Heap; 1], [usize; 3], usize) {
        let (memory, heap) = heap_of(&[48, 48, 48, THREAD]);
        let blocks = [heap.start, heap.start + 48, heap.start + 96];
        let record = heap.start + 144 + ALIGN;
        for (i, &block) in blocks.iter().enumerate() {
            link(block, blocks.get(i + 1).map_or(0, |next| next + ALIGN));
            set(block + ALIGN + 8, 0x1234_5678);
        }
        // The first was taken out, and is as it was.
        set(record, 2 << 16);
        set(record + OF_THREAD * 2 + 8, blocks[1] + ALIGN);
        (memory, [heap], blocks, record)
    }

    fn free(heap: &Heap, blocks: [usize; 3]) -> [bool; 3] {
        blocks.map(|block| heap.is_free(block))
    }

    #[test]
    fn what_is_in_a_list_of_a_thread_is_free_and_what_was_in_one_is_not() {
        let (_memory, mut heaps, blocks, record) = of_thread();
        // SAFETY: the test's own memory.
        unsafe { mark_of_thread(&mut heaps, record) };
        assert_eq!(free(&heaps[0], blocks), [false, true, true]);
    }

    #[test]
    fn what_only_looks_like_a_thread_s_lists_is_none() {
        let wrong: [&dyn Fn([usize; 3], usize); 5] = [
            &|_, record| set(record, 5 << 16),
            &|_, record| set(record, 2),
            &|[_, second, _], _| set(second + ALIGN + 8, 0),
            &|[_, _, third], _| set(third + ALIGN + 8, 0x1234_5679),
            &|[_, _, third], _| link(third, 64),
        ];
        for spoil in wrong {
            let (_memory, mut heaps, blocks, record) = of_thread();
            spoil(blocks, record);
            // SAFETY: the test's own memory.
            unsafe { mark_of_thread(&mut heaps, record) };
            assert_eq!(free(&heaps[0], blocks), [false; 3]);
        }
    }

    #[test]
    fn a_list_that_runs_in_a_circle_ends() {
        let (_memory, mut heaps, blocks, record) = of_thread();
        link(blocks[2], blocks[1] + ALIGN);
        // SAFETY: the test's own memory.
        unsafe { mark_of_thread(&mut heaps, record) };
        assert_eq!(free(&heaps[0], blocks), [false; 3]);
    }

    #[test]
    fn what_is_in_a_list_of_an_arena_is_free_and_what_was_in_one_is_not() {
        let (_memory, heap) = heap_of(&[48, 48, 48]);
        let blocks = [heap.start, heap.start + 48, heap.start + 96];
        let mut heaps = [heap];
        link(blocks[0], blocks[1]);
        link(blocks[1], blocks[2]);
        link(blocks[2], 0);
        let mut lists = [0; OF_ARENA + 3];
        lists[1] = blocks[1];
        mark_of_arena(&mut heaps, &Memory::new().unwrap(), lists.as_ptr().addr());
        assert_eq!(free(&heaps[0], blocks), [false, true, true]);
        // In the list of another size.
        let (_memory, heap) = heap_of(&[48, 48, 64]);
        let mut heaps = [heap];
        link(heaps[0].start, 0);
        lists = [0; OF_ARENA + 3];
        lists[2] = heaps[0].start;
        mark_of_arena(&mut heaps, &Memory::new().unwrap(), lists.as_ptr().addr());
        assert!(!heaps[0].is_free(heaps[0].start));
    }
}
