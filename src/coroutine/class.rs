//! Stack size classes: powers of two, so that a slot is found from any address in it by rounding.

/// Kept out of reach at the low end of every stack, as part of its size. Far wider than a page: a C compiler
/// does not probe big frames by default, and a function with a large local array would step over a narrow
/// guard into the neighbour's stack without touching it.
pub(crate) const GUARD: usize = 64 * 1024;

/// How much address space a stack takes, guard included: a power of two from 128 KiB to 1 GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Class(u8);

const SMALLEST: u32 = 17;
const LARGEST: u32 = 30;

impl Class {
    /// How many classes there are.
    pub(super) const COUNT: usize = (LARGEST - SMALLEST + 1) as usize;

    /// The smallest class that holds `bytes`; `None` above 1 GiB.
    pub(crate) const fn for_size(bytes: usize) -> Option<Class> {
        if bytes > 1 << LARGEST {
            return None;
        }
        let shift = bytes.next_power_of_two().trailing_zeros();
        Some(Class(if shift > SMALLEST { (shift - SMALLEST) as u8 } else { 0 }))
    }

    /// Bytes of address space of one stack.
    #[inline]
    pub(crate) const fn size(self) -> usize {
        1 << (SMALLEST + self.0 as u32)
    }

    /// The class of this index, which is below [`Class::COUNT`].
    #[inline]
    pub(super) const fn from_index(index: usize) -> Class {
        debug_assert!(index < Class::COUNT);
        Class(index as u8)
    }

    /// From 0 (the smallest) up.
    #[inline]
    pub(super) const fn index(self) -> usize {
        self.0 as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_up_to_a_class() {
        let size = |bytes| Class::for_size(bytes).map(Class::size);
        assert_eq!(size(0), Some(128 << 10));
        assert_eq!(size(1), Some(128 << 10));
        assert_eq!(size(128 << 10), Some(128 << 10));
        assert_eq!(size((128 << 10) + 1), Some(256 << 10));
        assert_eq!(size(5 << 20), Some(8 << 20));
        assert_eq!(size(1 << 30), Some(1 << 30));
        assert_eq!(size((1 << 30) + 1), None);
        assert_eq!(size(usize::MAX), None);
    }

    #[test]
    fn every_class_has_an_index_and_a_usable_part() {
        for index in 0..Class::COUNT {
            let class = Class::from_index(index);
            assert_eq!(class.index(), index);
            assert!(class.size() >= 2 * GUARD);
            assert_eq!(Class::for_size(class.size()), Some(class));
        }
    }
}
