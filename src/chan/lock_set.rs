//! Locking the channels of a select, all at once.
//!
//! The one thing to know: every select locks in the order of the channels' addresses and each channel once, so
//! no two can stand in each other's way. And the **walk reads ahead**: what it needs to know of the next
//! channel it reads before it does anything to this one. So when the last channel has been unlocked, neither the
//! cases nor the set is touched any more; the select that they belong to may have returned by then.

use super::channel::Chan;
use super::select::Cases;
use std::ptr::null_mut;

/// The cases that have a channel, ordered by its address.
#[derive(Clone, Copy)]
pub(super) struct LockSet {
    cases: Cases,
    sorted: *const u16,
    len: usize,
}

/// The cases of one channel: `sorted[from..to]`.
#[derive(Clone, Copy)]
pub(super) struct Group {
    pub(super) chan: *mut Chan,
    from: usize,
    to: usize,
}

impl LockSet {
    /// Fills `sorted`, which has room for all of `cases`.
    ///
    /// # Safety
    /// `cases` and `sorted` stay in place and unchanged for as long as the set is used.
    #[inline(always)]
    pub(super) unsafe fn new(cases: Cases, sorted: &mut [u16]) -> Self {
        let mut len = 0;
        for index in 0..cases.len() {
            // SAFETY: `index` is in range.
            if unsafe { !cases.get(index).chan.is_null() } {
                // At most 65536 cases.
                sorted[len] = index as u16;
                len += 1;
            }
        }
        // SAFETY: every index in `sorted` is in range.
        let address = |&index: &u16| unsafe { cases.get(index.into()).chan.addr() };
        // Small slices are sorted by insertion, none needs memory.
        sorted[..len].sort_unstable_by_key(address);
        LockSet { cases, sorted: sorted.as_ptr(), len }
    }

    pub(super) fn is_empty(self) -> bool {
        self.len == 0
    }

    /// # Safety
    /// The channels are live; the caller holds none of their locks.
    #[inline(always)]
    pub(super) unsafe fn lock(self) {
        // SAFETY: the caller's promise.
        unsafe { self.each(|group| Chan::lock(group.chan)) };
    }

    /// # Safety
    /// The caller holds all the locks, and gives them up here.
    #[inline(always)]
    pub(super) unsafe fn unlock(self) {
        // SAFETY: the caller's promise.
        unsafe { self.each(|group| Chan::unlock(group.chan)) };
    }

    /// Unlock all channels but one.
    ///
    /// # Safety
    /// As for `unlock`, save that `kept` stays locked.
    pub(super) unsafe fn unlock_others(self, kept: *mut Chan) {
        // SAFETY: the caller's promise.
        unsafe {
            self.each(|group| {
                if group.chan != kept {
                    Chan::unlock(group.chan);
                }
            });
        }
    }

    /// Visit each channel once, in order. After the last visit nothing but locals is touched.
    ///
    /// # Safety
    /// `self` is as `new` made it; its cases and order stay in place up to the last visit.
    #[inline(always)]
    pub(super) unsafe fn each(self, mut visit: impl FnMut(Group)) {
        let mut from = 0;
        // SAFETY: positions below `len` are asked for; see `new`.
        let chan_at = |at: usize| unsafe { self.cases.get((*self.sorted.add(at)).into()).chan };
        let mut next = if self.len == 0 { null_mut() } else { chan_at(0) };
        while from < self.len {
            let chan = next;
            let mut to = from + 1;
            while to < self.len {
                next = chan_at(to);
                if next != chan {
                    break;
                }
                to += 1;
            }
            visit(Group { chan, from, to });
            from = to;
        }
    }

    /// The index of the case at position `at`.
    ///
    /// # Safety
    /// `at` is a position of a group of this set.
    unsafe fn index_at(self, at: usize) -> usize {
        // SAFETY: the caller's promise.
        unsafe { *self.sorted.add(at) }.into()
    }

    /// Visit the cases of a channel: the index of each, and of the next one in the round.
    ///
    /// # Safety
    /// As for `each`, from which `group` came.
    pub(super) unsafe fn each_case(self, group: Group, mut visit: impl FnMut(usize, usize)) {
        // SAFETY: the positions of a group are positions of the set.
        unsafe {
            for at in group.from..group.to {
                let next = if at + 1 == group.to { group.from } else { at + 1 };
                visit(self.index_at(at), self.index_at(next));
            }
        }
    }

    /// The index of some case of the channel.
    ///
    /// # Safety
    /// As for `each_case`.
    pub(super) unsafe fn first_case(self, group: Group) -> usize {
        // SAFETY: a group is not empty.
        unsafe { self.index_at(group.from) }
    }
}
