//! Memory for [`Fresh`] records: a free list for each processor, batches between them.
//!
//! The one thing to know: records are made on one processor and used up on another, so a list that only grew
//! where goroutines end would starve where they are spawned. Lists trade batches through one global list.
//! Records are never given back to the allocator: a million of them are 64 MB, and the next burst wants them.
//! So they can be looked at any time: [`for_each_record`] meets all there are, the free ones (`id` 0) too.

use super::goroutine::Fresh;
use crate::primitive::atomic::{AtomicPtr, Ordering};
use std::alloc::{Layout, alloc_zeroed};
use std::mem::MaybeUninit;
use std::ptr::{NonNull, null_mut};
use std::sync::{Mutex, MutexGuard};

/// A free record; the links lie where the record's first fields will be.
struct Free {
    next: *mut Free,
    /// In the first record of a batch on the global list: the batch behind it.
    next_batch: *mut Free,
}

const BATCH: usize = 64;

/// A processor's own list.
pub(super) struct FreshList {
    head: *mut Free,
    len: usize,
}

/// The first of the batches of `BATCH` records each.
pub(super) struct Batches(*mut Free);

// SAFETY: free records belong to whoever takes them out of the list; the mutex hands them over.
unsafe impl Send for Batches {}

static BATCHES: Mutex<Batches> = Mutex::new(Batches(null_mut()));

/// Lock the global list: also for a fork.
pub(super) fn lock_batches() -> MutexGuard<'static, Batches> {
    BATCHES.lock().unwrap_or_else(|e| e.into_inner())
}

impl FreshList {
    pub(super) const fn new() -> Self {
        FreshList { head: null_mut(), len: 0 }
    }

    /// Memory for one record; `None`: there is none.
    #[inline]
    pub(super) fn take(&mut self) -> Option<NonNull<Fresh>> {
        if self.head.is_null() && !self.refill() {
            return None;
        }
        let free = self.head;
        // SAFETY: a non-null head is a free record of this list.
        self.head = unsafe { (*free).next };
        self.len -= 1;
        NonNull::new(free.cast())
    }

    /// Take back the memory of a record.
    ///
    /// # Safety
    /// It came from `take` of some list and nobody uses it any more.
    #[inline]
    pub(super) unsafe fn give(&mut self, record: NonNull<Fresh>) {
        let free = record.cast::<Free>().as_ptr();
        // SAFETY: the memory is ours now, and large and aligned enough.
        unsafe { (*free).next = self.head };
        self.head = free;
        self.len += 1;
        if self.len >= 4 * BATCH {
            self.flush(2 * BATCH);
        }
    }

    /// Give all to `other`.
    pub(super) fn drain_into(&mut self, other: &mut FreshList) {
        while !self.head.is_null() {
            let free = self.head;
            // SAFETY: a non-null head is a free record of this list, and the other's from here on.
            unsafe {
                self.head = (*free).next;
                other.give(NonNull::new_unchecked(free).cast());
            }
            self.len -= 1;
        }
    }

    /// Give all but at most `keep` + a batch to the global list.
    pub(super) fn flush(&mut self, keep: usize) {
        let mut batches = lock_batches();
        while self.len >= keep + BATCH {
            let first = self.head;
            let mut last = first;
            for _ in 1..BATCH {
                // SAFETY: the list has at least BATCH records.
                last = unsafe { (*last).next };
            }
            // SAFETY: `last` is the BATCH-th record; what follows stays.
            unsafe {
                self.head = (*last).next;
                (*last).next = null_mut();
                (*first).next_batch = batches.0;
            }
            self.len -= BATCH;
            batches.0 = first;
        }
    }

    #[cold]
    fn refill(&mut self) -> bool {
        let mut batches = lock_batches();
        let first = batches.0;
        if !first.is_null() {
            // SAFETY: the list holds first records of free batches.
            batches.0 = unsafe { (*first).next_batch };
        }
        drop(batches);
        self.head = if first.is_null() { carve() } else { first };
        if self.head.is_null() {
            return false;
        }
        self.len = BATCH;
        true
    }
}

/// Memory for `BATCH` records, and the batch made before.
#[repr(C)]
struct Carved {
    records: [MaybeUninit<Fresh>; BATCH],
    before: *mut Carved,
}

/// The newest of all batches that were ever made.
static CARVED: AtomicPtr<Carved> = AtomicPtr::new(null_mut());

/// Meet the memory of every record there is, free or not. Others may be writing it.
pub(super) fn for_each_record(mut f: impl FnMut(*mut Fresh)) {
    // Acquire pairs with the Release in `carve`.
    let mut batch = CARVED.load(Ordering::Acquire);
    while !batch.is_null() {
        for i in 0..BATCH {
            // SAFETY: a batch in the list is never freed, and holds so many.
            f(unsafe { (&raw mut (*batch).records).cast::<Fresh>().add(i) });
        }
        // SAFETY: as above; written before it was listed.
        batch = unsafe { (*batch).before };
    }
}

/// A new batch, or null.
fn carve() -> *mut Free {
    let layout = Layout::new::<Carved>();
    // SAFETY: the layout is not empty. All ids are 0.
    let batch = unsafe { alloc_zeroed(layout) }.cast::<Carved>();
    if batch.is_null() {
        return null_mut();
    }
    let base = batch.cast::<Fresh>();
    let mut head = null_mut();
    for i in (0..BATCH).rev() {
        // SAFETY: the block holds BATCH records.
        unsafe {
            let free = base.add(i).cast::<Free>();
            (*free).next = head;
            head = free;
        }
    }
    let mut newest = CARVED.load(Ordering::Relaxed);
    loop {
        // SAFETY: the batch is ours until it is listed.
        unsafe { (*batch).before = newest };
        match CARVED.compare_exchange(newest, batch, Ordering::Release, Ordering::Relaxed) {
            Ok(_) => return head,
            Err(seen) => newest = seen,
        }
    }
}
