//! From a descriptor's number to its record.
//!
//! The one thing to know: records are made when a number is first asked for, in blocks of which each is as large as
//! all before it, and stay for ever; so a reference to one is always good, and a look-up takes no lock.

use super::entry::Entry;
use crate::primitive::SpinLock;
use crate::primitive::atomic::{AtomicPtr, Ordering};
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::null_mut;

/// Numbers of the first block. 2^6 to 2^30, which is more than a process may have.
const FIRST: usize = 64;
const BLOCKS: usize = 25;

static TABLE: [AtomicPtr<Entry>; BLOCKS] = [const { AtomicPtr::new(null_mut()) }; BLOCKS];
/// Held to make a block.
static GROWING: SpinLock = SpinLock::new();

/// Block, place in it, length of it.
fn place(fd: i32) -> Option<(usize, usize, usize)> {
    let fd = usize::try_from(fd).ok()?;
    let block = (fd / FIRST + 1).ilog2() as usize;
    let before = FIRST * ((1 << block) - 1);
    (block < BLOCKS).then_some((block, fd - before, FIRST << block))
}

/// The record of `fd`, if there is one.
pub(crate) fn find(fd: i32) -> Option<&'static Entry> {
    let (block, at, _) = place(fd)?;
    let first = TABLE[block].load(Ordering::Acquire);
    // SAFETY: a block that is there has so many records (Release below), and stays.
    if first.is_null() { None } else { Some(unsafe { &*first.add(at) }) }
}

/// The record of `fd`, made if there is none. `None`: that is no number of a descriptor, or there is no memory.
pub(crate) fn entry_of(fd: i32) -> Option<&'static Entry> {
    if let Some(entry) = find(fd) {
        return Some(entry);
    }
    let (block, at, len) = place(fd)?;
    let layout = Layout::array::<Entry>(len).ok()?;
    // Zeroed pages cost nothing until they are touched, and a record that is all zero is a new one ([`Entry::new`]).
    // SAFETY: the size is not zero.
    let records = unsafe { alloc_zeroed(layout) }.cast::<Entry>();
    if records.is_null() {
        return None;
    }
    GROWING.lock();
    let mut first = TABLE[block].load(Ordering::Relaxed);
    let mine = first.is_null();
    if mine {
        first = records;
        // Release pairs with the Acquire in `find`.
        TABLE[block].store(first, Ordering::Release);
    }
    // SAFETY: locked above.
    unsafe { GROWING.unlock() };
    if !mine {
        // SAFETY: allocated above with this layout, and shown to nobody.
        unsafe { dealloc(records.cast(), layout) };
    }
    // SAFETY: as in `find`.
    Some(unsafe { &*first.add(at) })
}

/// Before a fork: nobody makes a block until [`unlock`].
pub(super) fn lock() {
    GROWING.lock();
}

/// # Safety
/// This thread, or the one it is the copy of, has called [`lock`].
pub(super) unsafe fn unlock() {
    // SAFETY: the caller's promise.
    unsafe { GROWING.unlock() };
}

/// In a forked child: the records, and who is queued in them, are the parent's. They stay in memory, unused.
pub(super) fn forget() {
    for block in &TABLE {
        block.store(null_mut(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_a_place_of_its_own() {
        let mut expected = (0, 0);
        for fd in 0..10_000 {
            let (block, at, len) = place(fd).unwrap();
            assert_eq!((block, at), expected);
            assert_eq!(len, FIRST << block);
            expected = if at + 1 == len { (block + 1, 0) } else { (block, at + 1) };
        }
        assert_eq!(place(-1), None);
        assert!(place((1 << 30) - 1).is_some());
    }

    #[test]
    fn a_new_record_is_all_zero() {
        // SAFETY: zeroed memory is what `entry_of` takes for a record.
        let zeroed: Entry = unsafe { std::mem::zeroed() };
        assert!(zeroed.is_like_new() && Entry::new().is_like_new());
    }

    #[test]
    fn a_record_stays_where_it_is() {
        let first = entry_of(70).unwrap();
        assert!(entry_of(1000).is_some());
        assert!(std::ptr::eq(first, entry_of(70).unwrap()));
        assert!(std::ptr::eq(first, find(70).unwrap()));
        assert!(entry_of(-5).is_none());
    }
}
