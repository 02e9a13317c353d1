//! The heaps that were found, and which of them an address is in.

use super::heap::Heap;
use super::scratch::{Errno, Scratch};

/// More heaps than this are searched as a whole.
const MOST_HEAPS: usize = 4096;
/// The heaps that were found, in memory that is not malloc's.
pub(super) struct Heaps {
    pub(super) place: Scratch<u8>,
    len: usize,
}

impl Heaps {
    pub(super) fn new() -> Result<Heaps, Errno> {
        Ok(Heaps { place: Scratch::new(MOST_HEAPS * size_of::<Heap>())?, len: 0 })
    }

    pub(super) fn push(&mut self, heap: Heap) {
        if self.len < MOST_HEAPS {
            // SAFETY: within the room, which begins on a page.
            unsafe { self.place.room().as_mut_ptr().cast::<Heap>().add(self.len).write(heap) };
            self.len += 1;
        }
    }

    pub(super) fn all(&mut self) -> &mut [Heap] {
        // SAFETY: so many were written.
        unsafe { std::slice::from_raw_parts_mut(self.place.room().as_mut_ptr().cast(), self.len) }
    }
}

impl Drop for Heaps {
    fn drop(&mut self) {
        // SAFETY: dropped once, and not used again.
        unsafe { std::ptr::drop_in_place(self.all()) };
    }
}

/// Which of `heaps`, which are in order, `address` is in.
pub(super) fn heap_of(heaps: &[Heap], address: usize) -> Option<usize> {
    let i = heaps.partition_point(|heap| heap.start <= address).checked_sub(1)?;
    (address < heaps[i].end).then_some(i)
}
