//! The timer queue: one [`TimerHeap`] per processor, of nodes that live in the memory of those who wait.
//!
//! A node has a deadline and two functions. When the deadline has passed, [`TimerHeap::run_expired`] takes the
//! node out, calls `claim(node)` **under the heap's lock** (does the timer win the race for this wait?) and, if
//! that said true, `fire(node)` after the lock is released (wake the waiter, send the tick). The owner of a
//! node that was inserted and has not fired calls [`TimerNode::cancel`] before it lets go of the memory.
//!
//! Why a node is never touched after its owner let go of it:
//!
//! * A node in a heap is only reached under that heap's lock. `cancel` takes the lock, so nobody is at the node
//!   when it returns, and takes the node out, so nobody will be.
//! * A node whose claim was refused is dropped by the heap while its owner may already be in `cancel`. The
//!   heap's **last** touch of it is the store of null to `heap` (Release), *after* the claim; `cancel` reads
//!   null (Acquire) and returns without the lock. To clear `heap` first and claim later is the bug that
//!   `model.rs` keeps as a test.
//! * A node whose claim was granted belongs to the timer until `fire`: its owner must not free or insert it
//!   before `fire` has been called with it, and the heap holds it only by its address in a local array, which
//!   it drops when it calls `fire`.
//! * A node may move to another heap ([`TimerHeap::drain_into`]) between `cancel`'s look at `heap` and its
//!   taking of the lock, so `cancel` looks again under the lock. Heaps themselves stay as long as there is a
//!   node that was ever in them and may still be cancelled: as long as any goroutine exists.
//!
//! | `heap` of a node | meaning | who moves it there |
//! |---|---|---|
//! | null | in no heap, and no heap will touch it again (unless it waits for its `fire`) | `new`; `cancel`; `run_expired` |
//! | a heap | in that heap, at `index` | `insert`, `drain_into`, both under the lock of that heap |
//!
//! Locks: only `drain_into` holds two, and takes them in the order of their addresses. `claim` runs under one,
//! so it takes no lock and does not insert or cancel; `fire` runs under none.

mod heap;
#[cfg(all(test, loom))]
mod model;
#[cfg(all(test, not(loom)))]
mod tests;

use crate::fatal::fatal;
use crate::primitive::SpinLock;
use crate::primitive::atomic::{AtomicI64, AtomicPtr, Ordering};
use heap::Heap;
use std::cell::{Cell, UnsafeCell};
use std::ptr::{self, null_mut};

/// What a node is for.
pub(crate) struct TimerKind {
    /// Does the timer win? Called under the heap's lock.
    pub(crate) claim: unsafe fn(*mut TimerNode) -> bool,
    /// Called once if `claim` said true, under no lock.
    pub(crate) fire: unsafe fn(*mut TimerNode),
    /// Would firing let anybody go on, as things are? Called under the heap's lock.
    pub(crate) wakes: unsafe fn(*mut TimerNode) -> bool,
}

/// One deadline in somebody else's memory.
pub(crate) struct TimerNode {
    when: i64,
    kind: &'static TimerKind,
    /// The heap it is in, or null. See the table above.
    heap: AtomicPtr<TimerHeap>,
    /// Its place in that heap. Guarded by the heap's lock.
    index: Cell<usize>,
    /// Which of two equal deadlines was inserted first. Guarded by the heap's lock.
    seq: Cell<u64>,
}

impl TimerNode {
    /// A node without a deadline; not to be inserted before [`TimerNode::set`].
    #[inline]
    pub(crate) fn new() -> Self {
        TimerNode {
            when: i64::MAX,
            kind: &NEVER,
            heap: AtomicPtr::new(null_mut()),
            index: Cell::new(0),
            seq: Cell::new(0),
        }
    }

    /// Give a node that is in no heap its deadline, and what to do then. `claim` is called under the heap's
    /// lock and says whether the timer wins; only then is `fire` called, once, under no lock. After a claim
    /// that said false, and after `fire`, the heap has forgotten the node.
    #[inline]
    pub(crate) fn set(&mut self, when: i64, kind: &'static TimerKind) {
        self.when = when;
        self.kind = kind;
    }

    /// The deadline; `i64::MAX` if it has none.
    #[inline]
    pub(crate) fn when(&self) -> i64 {
        self.when
    }

    /// Take `node` out of the heap it is in, if any. True: it was in, and `claim` will not be called for it.
    /// False: it was never inserted, or its claim has been called. Unless that claim was granted and `fire` is
    /// still to come, the node's memory is the owner's alone after this.
    ///
    /// # Safety
    /// `node` is live, and nobody inserts it meanwhile.
    pub(crate) unsafe fn cancel(node: *mut TimerNode) -> bool {
        // SAFETY: the caller's promise. A shared reference will do: what a heap changes in a node is in cells.
        let node_ref = unsafe { &*node };
        loop {
            // Acquire pairs with the Release in `run_expired`: the heap is done with the node, claim included.
            let heap = node_ref.heap.load(Ordering::Acquire);
            if heap.is_null() {
                return false;
            }
            // SAFETY: a heap outlives every node that was in it (module comment).
            let heap = unsafe { &*heap };
            heap.lock.lock();
            // Relaxed: changed only under the lock we hold, if the node is in this heap; else we look again.
            let still_in = ptr::eq(node_ref.heap.load(Ordering::Relaxed), heap);
            if still_in {
                // SAFETY: we hold the lock, and the node is in this heap.
                unsafe {
                    (*heap.heap.get()).remove(node_ref.index.get());
                    heap.publish_next();
                }
                // Relaxed: only the owner, who is here, asks.
                node_ref.heap.store(null_mut(), Ordering::Relaxed);
            }
            // SAFETY: locked above.
            unsafe { heap.lock.unlock() };
            if still_in {
                return true;
            }
        }
    }
}

static NEVER: TimerKind = TimerKind { claim: never_claimed, fire: never_fired, wakes: never_claimed };

unsafe fn never_claimed(_node: *mut TimerNode) -> bool {
    false
}

unsafe fn never_fired(_node: *mut TimerNode) {}

/// The deadlines of one processor.
pub(crate) struct TimerHeap {
    lock: SpinLock,
    /// The earliest deadline, `i64::MAX` if there is none. Written under the lock, read by anybody.
    next: AtomicI64,
    /// Guarded by `lock`.
    heap: UnsafeCell<Heap>,
}

// SAFETY: the heap is only touched under the lock; the nodes it points to follow the module comment.
unsafe impl Send for TimerHeap {}
// SAFETY: as above.
unsafe impl Sync for TimerHeap {}

impl TimerHeap {
    /// How many nodes one [`TimerHeap::run_expired`] takes out at most: what is woken must get to run, and the
    /// lock be free, before the rest.
    pub(crate) const BATCH: usize = 64;

    #[cfg(not(loom))]
    pub(crate) const fn new() -> Self {
        TimerHeap {
            lock: SpinLock::new(),
            next: AtomicI64::new(i64::MAX),
            heap: UnsafeCell::new(Heap::new()),
        }
    }

    #[cfg(loom)]
    pub(crate) fn new() -> Self {
        TimerHeap {
            lock: SpinLock::new(),
            next: AtomicI64::new(i64::MAX),
            heap: UnsafeCell::new(Heap::new()),
        }
    }

    /// The earliest deadline; `i64::MAX` if there is none. A hint to everyone who does not hold the lock, and
    /// exact on the thread that inserted last. A worker that goes to sleep on it relies on the same two fences
    /// as for run queues: who inserts into another's heap fences, then looks for sleepers; who goes to sleep
    /// announces itself, fences, then looks here.
    #[inline]
    pub(crate) fn next(&self) -> i64 {
        // Relaxed: no memory is reached through it.
        self.next.load(Ordering::Relaxed)
    }

    /// Insert `node`. True: it is now the earliest, so whoever sleeps until [`TimerHeap::next`] must be woken.
    /// Ends the process if there is no memory for the heap's array.
    ///
    /// # Safety
    /// `node` is live, `set`, in no heap and not waiting for its `fire`. It stays in place, and nobody `set`s
    /// it, until it was cancelled or fired. This heap outlives it.
    pub(crate) unsafe fn insert(&self, node: *mut TimerNode) -> bool {
        self.lock.lock();
        // SAFETY: we hold the lock; `node` is the caller's promise.
        let inserted = unsafe {
            debug_assert!((*node).heap.load(Ordering::Relaxed).is_null());
            let heap = &mut *self.heap.get();
            let inserted = heap.push(node);
            // Relaxed: whoever else follows this pointer was given the node by somebody after this call.
            (*node).heap.store(ptr::from_ref(self).cast_mut(), Ordering::Relaxed);
            inserted
        };
        if inserted.is_err() {
            fatal(format_args!("out of memory (timers)"));
        }
        // SAFETY: we hold the lock until the end; the node is in the heap, and so live, while we do.
        unsafe {
            let earliest = (*node).index.get() == 0;
            if earliest {
                self.publish_next();
            }
            self.lock.unlock();
            earliest
        }
    }

    /// Take out the nodes whose deadline is `now` or earlier, in the order of their deadlines and, among
    /// equals, of their insertion, but no more than [`TimerHeap::BATCH`]; fire those that can be claimed. Returns
    /// how many fired. If more are due, [`TimerHeap::next`] says so.
    ///
    /// # Safety
    /// The caller holds no lock that a `fire` needs.
    #[inline]
    pub(crate) unsafe fn run_expired(&self, now: i64) -> usize {
        if self.next() > now {
            return 0;
        }
        // SAFETY: the caller's promise.
        unsafe { self.run_batch::<false>(now) }
    }

    /// `FORGET_FIRST` is the bug named in the module comment, for the model to find.
    ///
    /// # Safety
    /// As for `run_expired`.
    #[cold]
    unsafe fn run_batch<const FORGET_FIRST: bool>(&self, now: i64) -> usize {
        let mut claimed = [null_mut::<TimerNode>(); Self::BATCH];
        let mut count = 0;
        self.lock.lock();
        // SAFETY: we hold the lock, so every node in the heap is live (its owner would have to take the lock to
        // take it out) until we say that we are done with it.
        unsafe {
            let heap = &mut *self.heap.get();
            for _ in 0..Self::BATCH {
                if heap.next() > now {
                    break;
                }
                let node = heap.remove(0);
                if FORGET_FIRST {
                    (*node).heap.store(null_mut(), Ordering::Release);
                }
                let won = ((*node).kind.claim)(node);
                if won {
                    claimed[count] = node;
                    count += 1;
                }
                if !FORGET_FIRST {
                    // Release pairs with the Acquire in `cancel`. If the claim was refused, this is the last
                    // touch: the owner may be waiting for just this store.
                    (*node).heap.store(null_mut(), Ordering::Release);
                }
            }
            self.publish_next();
            self.lock.unlock();
        }
        for &node in &claimed[..count] {
            // SAFETY: a claimed node is live until `fire` is called with it, which we do once.
            unsafe { ((*node).kind.fire)(node) };
        }
        count
    }

    /// Would the earliest of them let anybody go on if it fired now?
    #[cfg(not(loom))]
    pub(crate) fn first_wakes(&self) -> bool {
        self.next() != i64::MAX && self.any_wakes(1)
    }

    /// Would any?
    #[cfg(not(loom))]
    pub(crate) fn wakes(&self) -> bool {
        self.next() != i64::MAX && self.any_wakes(usize::MAX)
    }

    #[cfg(not(loom))]
    #[cold]
    fn any_wakes(&self, look_at: usize) -> bool {
        self.lock.lock();
        // SAFETY: we hold the lock, so every node in the heap is live.
        let any = unsafe { (*self.heap.get()).nodes().take(look_at).any(|node| ((*node).kind.wakes)(node)) };
        // SAFETY: locked above.
        unsafe { self.lock.unlock() };
        any
    }

    /// Move all nodes to `other`: this heap's processor retires. Returns how many; if any, whoever sleeps until
    /// `other.next()` must look again.
    ///
    /// # Safety
    /// `other` is not this heap, and outlives the nodes.
    pub(crate) unsafe fn drain_into(&self, other: &TimerHeap) -> usize {
        debug_assert!(!ptr::eq(self, other));
        let (first, second) =
            if ptr::from_ref(self) < ptr::from_ref(other) { (self, other) } else { (other, self) };
        first.lock.lock();
        second.lock.lock();
        // SAFETY: we hold both locks, so both heaps and all nodes in them are ours; they are two heaps.
        unsafe {
            let (from, to) = (&mut *self.heap.get(), &mut *other.heap.get());
            let moved = from.len();
            if to
                .append(from, |node| {
                    // Relaxed: `cancel` looks again under the lock of the heap it finds.
                    (*node).heap.store(ptr::from_ref(other).cast_mut(), Ordering::Relaxed);
                })
                .is_err()
            {
                fatal(format_args!("out of memory (timers)"));
            }
            self.publish_next();
            other.publish_next();
            second.lock.unlock();
            first.lock.unlock();
            moved
        }
    }

    /// # Safety
    /// The caller holds the lock.
    unsafe fn publish_next(&self) {
        // SAFETY: the caller's promise.
        let next = unsafe { (*self.heap.get()).next() };
        self.next.store(next, Ordering::Relaxed);
    }
}
