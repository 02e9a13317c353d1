//! A queue of waiters in one pointer, so that an object of 16 bytes has a word left for its state.
//!
//! It is a [`Queue`] folded up: the pointer is the first node, and that one's `prev`, which an unfolded queue
//! keeps null, is the last node. [`WaitQueue::with`] unfolds it, works on it, and folds it up again.

use crate::sched::wait::{Node, Queue};
use std::ptr::null_mut;

#[cfg(loom)]
use loom::cell::UnsafeCell;
#[cfg(not(loom))]
use std::cell::UnsafeCell;

/// Guarded by a lock bit in the word of the object that it belongs to. All zero bytes: empty.
#[repr(transparent)]
pub(super) struct WaitQueue {
    first: UnsafeCell<*mut Node>,
}

impl WaitQueue {
    #[cfg(any(test, not(loom)))]
    pub(super) fn new() -> Self {
        WaitQueue { first: UnsafeCell::new(null_mut()) }
    }

    /// Run `work` on the queue.
    ///
    /// # Safety
    /// The caller holds the lock.
    #[inline]
    pub(super) unsafe fn with<R>(&self, work: impl FnOnce(&mut Queue) -> R) -> R {
        // SAFETY: the lock is held, so the cell and all nodes in the queue are ours alone.
        self.first_mut(|first| unsafe {
            let mut queue = unfold(*first);
            let result = work(&mut queue);
            *first = fold(queue);
            result
        })
    }

    #[cfg(not(loom))]
    #[inline]
    fn first_mut<R>(&self, work: impl FnOnce(*mut *mut Node) -> R) -> R {
        work(self.first.get())
    }

    /// Loom sees to it that nobody else is here, nor was without being ordered before us.
    #[cfg(loom)]
    fn first_mut<R>(&self, work: impl FnOnce(*mut *mut Node) -> R) -> R {
        self.first.with_mut(work)
    }
}

/// # Safety
/// `first` is null or the first node of a folded queue whose lock is held.
#[inline]
unsafe fn unfold(first: *mut Node) -> Queue {
    let mut queue = Queue::new();
    if !first.is_null() {
        queue.head = first;
        // SAFETY: queued nodes are live, and the lock is held.
        queue.tail = unsafe { std::mem::replace(&mut (*first).prev, null_mut()) };
    }
    queue
}

/// # Safety
/// The lock of the nodes in `queue` is held.
#[inline]
unsafe fn fold(queue: Queue) -> *mut Node {
    if !queue.head.is_null() {
        // SAFETY: queued nodes are live, and the lock is held.
        unsafe { (*queue.head).prev = queue.tail };
    }
    queue.head
}
