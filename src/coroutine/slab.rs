//! A slab: one mapping of many stacks of a class.
//!
//! The one thing to know: a slab is reserved, not committed. It is writable from the start, without swap
//! accounting (`MAP_NORESERVE`) and without huge pages, which would commit 2 MiB for the first byte touched.
//! Slabs are never unmapped, so the records of stacks can be looked at any time.

use super::class::Class;
use super::stack::Stack;
use std::ptr::null_mut;

/// The first slab of a class; each further one doubles what the class has.
const FIRST: usize = 4 << 20;
const LARGEST: usize = 8 << 30;

pub(super) struct Slab {
    base: *mut u8,
    class: Class,
    slots: usize,
    /// How many have been handed out at least once: those below this.
    claimed: usize,
    /// Slots of the class in earlier slabs.
    before: usize,
}

impl Slab {
    /// A new slab for a class that has `slots` slots in slabs already. Where the address space is short
    /// (RLIMIT_AS, strict overcommit) a smaller one; `None` if not one stack can be reserved.
    pub(super) fn reserve(class: Class, slots: usize) -> Option<Slab> {
        let size = class.size();
        let mut bytes = (slots * size).clamp(FIRST, LARGEST).max(size);
        loop {
            if let Some(base) = map(bytes, size) {
                return Some(Slab { base, class, slots: bytes / size, claimed: 0, before: slots });
            }
            if bytes == size {
                return None;
            }
            bytes = (bytes / 2).next_multiple_of(size);
        }
    }

    pub(super) fn slots(&self) -> usize {
        self.slots
    }

    /// The next slot that nobody has had.
    pub(super) fn claim(&mut self) -> Option<Stack> {
        (self.claimed < self.slots).then(|| {
            self.claimed += 1;
            self.slot(self.claimed - 1)
        })
    }

    /// How many slots have been handed out at least once.
    pub(super) fn claimed(&self) -> usize {
        self.claimed
    }

    /// The slot of this index, which is below [`Slab::claimed`].
    pub(super) fn slot(&self, index: usize) -> Stack {
        debug_assert!(index < self.slots);
        let base = self.base.wrapping_add(index * self.class.size());
        // SAFETY: within the mapping, which begins on a multiple of the class's size.
        unsafe { Stack::new(base, self.class, self.before + index) }
    }
}

/// Reserve `len` bytes on a multiple of `align`, readable and writable, untouched.
fn map(len: usize, align: usize) -> Option<*mut u8> {
    let base = map_aligned(len, align)?;
    // SAFETY: all on the mapping just made, which nobody else knows. A host that has called
    // mlockall(MCL_FUTURE) would have a writable mapping committed as a whole, and the kernel takes no guard
    // regions in locked memory: hence nothing is accessible until it has been unlocked.
    unsafe {
        libc::munlock(base.cast(), len);
        if libc::mprotect(base.cast(), len, libc::PROT_READ | libc::PROT_WRITE) != 0 {
            libc::munmap(base.cast(), len);
            return None;
        }
        // Costs no mapping: MAP_STACK has the same effect since Linux 6.7. A kernel without huge pages
        // refuses, which is as good.
        libc::madvise(base.cast(), len, libc::MADV_NOHUGEPAGE);
    }
    Some(base)
}

fn map_aligned(len: usize, align: usize) -> Option<*mut u8> {
    let base = map_at(null_mut(), len)?;
    if base.addr().is_multiple_of(align) {
        return Some(base);
    }
    unmap(base, len);
    // The kernel fills the address space downwards: the next aligned place below is most likely free.
    let hint = base.map_addr(|addr| addr & !(align - 1));
    if let Some(base) = map_at(hint, len) {
        if base.addr().is_multiple_of(align) {
            return Some(base);
        }
        unmap(base, len);
    }
    // More than needed, and both ends cut off.
    let whole = map_at(null_mut(), len + align)?;
    let base = whole.map_addr(|addr| addr.next_multiple_of(align));
    let head = base.addr() - whole.addr();
    unmap(whole, head);
    unmap(base.wrapping_add(len), align - head);
    Some(base)
}

fn map_at(hint: *mut u8, len: usize) -> Option<*mut u8> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK;
    // SAFETY: a new mapping; without MAP_FIXED the hint replaces nothing.
    let base = unsafe { libc::mmap(hint.cast(), len, libc::PROT_NONE, flags, -1, 0) };
    (base != libc::MAP_FAILED).then_some(base.cast())
}

fn unmap(base: *mut u8, len: usize) {
    if len > 0 {
        // SAFETY: part of a mapping that `map_aligned` made and nobody else knows. It can fail only where it
        // would cut a mapping in two at the limit of mappings; then the range stays reserved, unused.
        unsafe { libc::munmap(base.cast(), len) };
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::in_child;
    use super::*;

    fn class(size: usize) -> Class {
        Class::for_size(size).unwrap()
    }

    #[test]
    fn slabs_double_and_big_stacks_come_in_few() {
        let slots = |size, already| Slab::reserve(class(size), already).unwrap().slots();
        assert_eq!(slots(256 << 10, 0), 16);
        assert_eq!(slots(256 << 10, 16), 16);
        assert_eq!(slots(256 << 10, 64), 64);
        assert_eq!(slots(256 << 10, 1 << 20), 32768);
        assert_eq!(slots(64 << 20, 0), 1);
        assert_eq!(slots(1 << 30, 0), 1);
        assert_eq!(slots(1 << 30, 100), 8);
    }

    #[test]
    fn slots_are_aligned_to_their_size_and_claimed_once_in_order() {
        for size in [128 << 10, 4 << 20, 1 << 30] {
            let mut slab = Slab::reserve(class(size), 3).unwrap();
            let mut claimed = Vec::new();
            while let Some(stack) = slab.claim() {
                assert!(stack.base().addr().is_multiple_of(size));
                claimed.push(stack);
            }
            assert_eq!(claimed.len(), slab.slots());
            assert!(claimed.is_sorted_by(|a, b| a.end() == b.base()));
        }
    }

    #[test]
    fn a_short_address_space_gives_a_smaller_slab_then_none() {
        in_child(
            concat!(module_path!(), "::a_short_address_space_gives_a_smaller_slab_then_none"),
            &[],
            || {
                let mapped = std::fs::read_to_string("/proc/self/statm").unwrap();
                let pages: u64 = mapped.split(' ').next().unwrap().parse().unwrap();
                let limit = pages * 4096 + (200 << 20);
                let limit = libc::rlimit { rlim_cur: limit, rlim_max: limit };
                // SAFETY: a live struct; the limit holds for this child only.
                assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) }, 0);
                let slab = Slab::reserve(class(1 << 20), 1 << 12).unwrap();
                assert!((64..200).contains(&slab.slots()), "{}", slab.slots());
                assert!(Slab::reserve(class(1 << 30), 0).is_none());
            },
            |output| assert!(output.status.success(), "{output:?}"),
        );
    }
}
