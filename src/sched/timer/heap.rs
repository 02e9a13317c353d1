//! A min-heap of timer nodes, each of which knows its place in it, so that any can be taken out in O(log n).
//!
//! Four children to a parent: half the depth of a binary heap, and the four 16-byte entries that are compared
//! on the way down lie side by side. The deadline is copied into the entry, so that a node's own cache line is
//! touched only when its entry moves, or for its `seq` when two deadlines are equal.

use super::TimerNode;
use std::collections::TryReserveError;

const ARITY: usize = 4;

#[derive(Clone, Copy)]
struct Entry {
    when: i64,
    node: *mut TimerNode,
}

impl Entry {
    /// # Safety
    /// Both nodes are in the heap, whose lock is held.
    unsafe fn is_before(self, other: Entry) -> bool {
        // SAFETY: the caller's promise.
        self.when < other.when
            || self.when == other.when && unsafe { (*self.node).seq.get() < (*other.node).seq.get() }
    }

    /// # Safety
    /// The node is in the heap, whose lock is held.
    unsafe fn set_index(self, index: usize) {
        // SAFETY: the caller's promise.
        unsafe { (*self.node).index.set(index) };
    }
}

/// Everything in here is called under the lock of the `TimerHeap` around it.
pub(super) struct Heap {
    entries: Vec<Entry>,
    /// Given to the next node that is inserted.
    seq: u64,
}

impl Heap {
    pub(super) const fn new() -> Self {
        Heap { entries: Vec::new(), seq: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// All of them, the earliest first, the rest in no order.
    #[cfg(not(loom))]
    pub(super) fn nodes(&self) -> impl Iterator<Item = *mut TimerNode> {
        self.entries.iter().map(|entry| entry.node)
    }

    /// The earliest deadline; `i64::MAX` if there is none.
    pub(super) fn next(&self) -> i64 {
        self.entries.first().map_or(i64::MAX, |entry| entry.when)
    }

    /// # Safety
    /// `node` is live and in no heap.
    pub(super) unsafe fn push(&mut self, node: *mut TimerNode) -> Result<(), TryReserveError> {
        self.entries.try_reserve(1)?;
        // SAFETY: `node` is live, and after the push the last of the entries.
        unsafe {
            (*node).seq.set(self.seq);
            self.seq += 1;
            self.entries.push(Entry { when: (*node).when, node });
            self.sift_up(self.entries.len() - 1);
        }
        Ok(())
    }

    /// Take out the node at `index`.
    ///
    /// # Safety
    /// `index` is less than `len()`.
    pub(super) unsafe fn remove(&mut self, index: usize) -> *mut TimerNode {
        let removed = self.entries.swap_remove(index);
        // The place that became free keeps no pointer: the search for leaks would follow it.
        self.entries.spare_capacity_mut()[0].write(Entry { when: 0, node: std::ptr::null_mut() });
        if index < self.entries.len() {
            // What was last now stands at `index`: it may belong higher up or further down.
            // SAFETY: `index` is within, and all entries' nodes are live.
            unsafe {
                if self.sift_up(index) == index {
                    self.sift_down(index);
                }
            }
        }
        removed.node
    }

    /// Take over all of `other`'s nodes, and tell `moved` each. The nodes keep their `seq`, so the order of
    /// equal deadlines is kept among those that were inserted into the same heap.
    ///
    /// # Safety
    /// `moved` only touches the node.
    pub(super) unsafe fn append(
        &mut self,
        other: &mut Heap,
        moved: impl Fn(*mut TimerNode),
    ) -> Result<(), TryReserveError> {
        self.entries.try_reserve(other.entries.len())?;
        self.seq = self.seq.max(other.seq);
        for entry in other.entries.drain(..) {
            moved(entry.node);
            self.entries.push(entry);
            // SAFETY: the last entry is within; all entries' nodes are live.
            unsafe { self.sift_up(self.entries.len() - 1) };
        }
        Ok(())
    }

    /// Move the entry at `index` up to where it belongs; returns where that is, and writes it to the node.
    ///
    /// # Safety
    /// `index` is within; all entries' nodes are live.
    unsafe fn sift_up(&mut self, mut index: usize) -> usize {
        let entry = self.entries[index];
        // SAFETY: the caller's promise.
        unsafe {
            while index > 0 {
                let parent = (index - 1) / ARITY;
                if !entry.is_before(self.entries[parent]) {
                    break;
                }
                self.entries[index] = self.entries[parent];
                self.entries[index].set_index(index);
                index = parent;
            }
            self.entries[index] = entry;
            entry.set_index(index);
        }
        index
    }

    /// Move the entry at `index` down to where it belongs, and write that to the node.
    ///
    /// # Safety
    /// As for `sift_up`.
    unsafe fn sift_down(&mut self, mut index: usize) {
        let entry = self.entries[index];
        // SAFETY: the caller's promise.
        unsafe {
            loop {
                let first = index * ARITY + 1;
                let children = first..(first + ARITY).min(self.entries.len());
                let mut least = index;
                let mut least_entry = entry;
                for child in children {
                    if self.entries[child].is_before(least_entry) {
                        (least, least_entry) = (child, self.entries[child]);
                    }
                }
                if least == index {
                    break;
                }
                self.entries[index] = least_entry;
                least_entry.set_index(index);
                index = least;
            }
            self.entries[index] = entry;
            entry.set_index(index);
        }
    }
}
