//! Memory for the search itself: not from malloc, whose locks a stopped thread may hold, and not searched.
//!
//! The one thing to know: every array is a mapping of its own, and made larger, by moving it, when it is full. To
//! reserve the worst case at once would cost nothing, but for a process whose address space is limited, or that has
//! locked all its memory, present and future.

use std::ptr::null_mut;

/// What went wrong: an errno.
pub(super) type Errno = i32;

/// A growing array in a mapping of its own; elements are plain data.
pub(super) struct Scratch<T: Copy> {
    base: *mut T,
    cap: usize,
    most: usize,
    len: usize,
}

/// Growing arrays begin with so many bytes.
const FIRST: usize = 64 << 10;

impl<T: Copy> Scratch<T> {
    /// Room for `cap` elements, all zero bytes until they are written.
    pub(super) fn new(cap: usize) -> Result<Self, Errno> {
        Self::reserve(cap, cap)
    }

    /// Room for up to `most` elements.
    pub(super) fn growing(most: usize) -> Result<Self, Errno> {
        Self::reserve((FIRST / size_of::<T>()).min(most), most)
    }

    /// Room for `cap` elements, and after `grow` for up to `most`.
    pub(super) fn reserve(cap: usize, most: usize) -> Result<Self, Errno> {
        let bytes = cap.checked_mul(size_of::<T>()).ok_or(libc::ENOMEM)?.max(1);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping at a place of the kernel's choice.
        let base = unsafe { libc::mmap(null_mut(), bytes, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(libc::ENOMEM);
        }
        Ok(Scratch { base: base.cast(), cap, most, len: 0 })
    }

    pub(super) fn push(&mut self, value: T) -> Result<(), Errno> {
        if self.len == self.cap {
            self.grow()?;
        }
        // SAFETY: within the mapping.
        unsafe { self.base.add(self.len).write(value) };
        self.len += 1;
        Ok(())
    }

    /// Twice the room, at another place.
    pub(super) fn grow(&mut self) -> Result<(), Errno> {
        let cap = (self.cap * 2).min(self.most);
        if cap == self.cap {
            return Err(libc::ENOMEM);
        }
        let (old, new) = (self.cap * size_of::<T>(), cap * size_of::<T>());
        // SAFETY: our own mapping, to which nobody has a reference, as this has the only one.
        let base = unsafe { libc::mremap(self.base.cast(), old, new, libc::MREMAP_MAYMOVE) };
        if base == libc::MAP_FAILED {
            return Err(libc::ENOMEM);
        }
        self.base = base.cast();
        self.cap = cap;
        Ok(())
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        if self.len == 0 {
            return None;
        }
        self.len -= 1;
        // SAFETY: written by `push`.
        Some(unsafe { self.base.add(self.len).read() })
    }

    pub(super) fn as_slice(&self) -> &[T] {
        // SAFETY: so many were written.
        unsafe { std::slice::from_raw_parts(self.base, self.len) }
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [T] {
        // SAFETY: as above, and borrowed for writing.
        unsafe { std::slice::from_raw_parts_mut(self.base, self.len) }
    }

    /// Forget the contents.
    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    /// All of the room as one slice. For types of which all zero bytes are a value.
    pub(super) fn room(&mut self) -> &mut [T] {
        // SAFETY: a mapping starts as zero bytes, and what was written since are values.
        unsafe { std::slice::from_raw_parts_mut(self.base, self.cap) }
    }

    /// Where it lies.
    pub(super) fn place(&self) -> (usize, usize) {
        (self.base.addr(), self.base.addr() + (self.cap * size_of::<T>()).next_multiple_of(4096))
    }
}

impl<T: Copy> Drop for Scratch<T> {
    fn drop(&mut self) {
        // SAFETY: our own mapping, which nobody refers to any more.
        unsafe { libc::munmap(self.base.cast(), (self.cap * size_of::<T>()).max(1)) };
    }
}

/// A set of small numbers.
pub(super) struct Bits {
    words: Scratch<u64>,
}

impl Bits {
    /// For numbers below `n`.
    pub(super) fn new(n: usize) -> Result<Self, Errno> {
        Ok(Bits { words: Scratch::new(n / 64 + 1)? })
    }

    pub(super) fn get(&self, i: usize) -> bool {
        debug_assert!(i / 64 < self.words.cap);
        // SAFETY: callers ask for numbers below the `n` of `new`; the mapping starts as zeros.
        unsafe { *self.words.base.add(i / 64) >> (i % 64) & 1 != 0 }
    }

    pub(super) fn set(&mut self, i: usize) {
        self.words.room()[i / 64] |= 1 << (i % 64);
    }

    /// The largest number in the set that is at most `i`.
    pub(super) fn at_or_below(&self, i: usize) -> Option<usize> {
        debug_assert!(i / 64 < self.words.cap);
        let mut word = i / 64;
        // SAFETY: as in `get`, here and below.
        let mut bits = unsafe { *self.words.base.add(word) } & (u64::MAX >> (63 - i % 64));
        while bits == 0 {
            word = word.checked_sub(1)?;
            // SAFETY: as above.
            bits = unsafe { *self.words.base.add(word) };
        }
        Some(word * 64 + 63 - bits.leading_zeros() as usize)
    }

    pub(super) fn place(&self) -> (usize, usize) {
        self.words.place()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_array_says_so_and_gives_back_what_was_pushed() {
        let mut array = Scratch::new(3).unwrap();
        for i in 0..3 {
            array.push(i).unwrap();
        }
        assert_eq!(array.push(3), Err(libc::ENOMEM));
        assert_eq!(array.as_slice(), [0, 1, 2]);
        assert_eq!(array.pop(), Some(2));
        array.clear();
        assert_eq!(array.pop(), None);
    }

    #[test]
    fn a_growing_array_keeps_what_was_pushed() {
        let mut array = Scratch::growing(100_000).unwrap();
        let first = array.place();
        for i in 0..100_000usize {
            array.push(i).unwrap();
        }
        assert_eq!(array.push(0), Err(libc::ENOMEM));
        assert!(array.place().1 - array.place().0 > first.1 - first.0);
        assert!(array.as_slice().iter().copied().eq(0..100_000));
    }

    #[test]
    fn the_nearest_member_below_is_found_over_empty_words() {
        let mut bits = Bits::new(1000).unwrap();
        for i in [3, 64, 700] {
            bits.set(i);
        }
        assert!(bits.get(64) && !bits.get(65));
        let found = |i| bits.at_or_below(i);
        assert_eq!([found(2), found(3), found(63), found(64)], [None, Some(3), Some(3), Some(64)]);
        assert_eq!([found(699), found(700), found(999)], [Some(64), Some(700), Some(700)]);
    }
}
