//! Waiting: one type for goroutines, plain OS threads and callbacks, so that all may stand in the same queue.
//!
//! A blocking call makes one [`Wait`] (who waits, and who won it) and one [`Node`] for each queue it stands
//! in, all on its own stack. A queue is guarded by its object's lock. The protocol:
//!
//! 1. The caller, holding the lock(s), finds that it must wait and pushes its nodes.
//! 2. It calls [`Wait::block`] with a `release` step that unlocks. **A goroutine runs that step on the
//!    scheduler's stack after the switch away**: whoever can reach the node therefore finds a goroutine whose
//!    registers are saved, and may resume it at once. An OS thread simply unlocks and sleeps on a futex.
//! 3. A waker, holding the lock of one queue, takes the first node it can *claim* ([`Queue::pop`]), hands over
//!    what there is (copies the element, sets `status`), unlocks, and calls [`Wait::wake`]. From then on the
//!    wait's and the node's memory are gone.
//!
//! | `winner` | meaning | who moves it there |
//! |---|---|---|
//! | 0 | waiting | `Wait::new` |
//! | 1..=65536 | claimed by the waker of the node with that `id` | a waker, under its queue's lock |
//! | `TIMED_OUT` | the deadline passed first | the timer, or the OS thread itself |
//! | | ... or it was cancelled: see below | [`Wait::cancel`] |
//!
//! A wait with one queue and no deadline is claimed by being popped: the queue's lock decides, a plain store
//! is enough. With several queues or a deadline (`contested`) one compare-exchange on `winner` decides, once.
//! The loser leaves the node alone; the owner unlinks what is still queued, under each queue's lock, before
//! its call returns.
//!
//! A third kind of waiter neither parks nor sleeps: [`Callback`]. Nobody blocks in its wait; to wake it is to call a
//! function, on the waker's thread and stack, which does what a woken call would do (unlink the other nodes) and tells
//! the host. It lives in memory of its own, and instead of a deadline it has [`Wait::cancel`], with the same claim: who
//! cancels and wins unlinks all nodes; who loses knows that the function was or will be called.
//!
//! Orderings: `winner` and all that the waker wrote reach the woken side through the run queue (goroutine) or
//! through `done` (thread), both release/acquire; the claiming CAS needs none of its own.

use super::Goroutine;
use super::WaitReason;
use super::timer::{TimerKind, TimerNode};
use crate::primitive::atomic::{AtomicU32, Ordering};
use crate::primitive::{FOREVER, futex_wait, futex_wake, now};
use std::cell::UnsafeCell;
use std::ptr::{self, null_mut};

const WAITING: u32 = 0;
/// As `done` of a [`Callback`]'s wait.
const CALLS: u32 = 2;
/// What [`Wait::block`] returns when the deadline passed before any waker claimed the wait.
pub(crate) const TIMED_OUT: u32 = u32::MAX;

/// Where a woken goroutine goes on the waker's processor.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// It runs next: the usual case, one waker and one woken.
    Next,
    /// It queues behind what already waits: for one of many, which must run in the order they are woken in.
    Queue,
}

/// One blocking call of one goroutine or thread.
pub(crate) struct Wait {
    winner: AtomicU32,
    /// For an OS thread: 1 once it may go on. Futex. `CALLS`: it is no thread that waits, but a [`Callback`].
    done: AtomicU32,
    /// Several parties may try to claim this wait.
    contested: bool,
    reason: WaitReason,
    /// Null: an OS thread, or a [`Callback`].
    goroutine: *mut Goroutine,
    /// Only touched by `block` and by the timer queue.
    timer: UnsafeCell<TimerNode>,
}

impl Wait {
    /// A wait of the calling goroutine or thread. `contested`: it will stand in several queues. (A deadline
    /// given to [`Wait::set_deadline`] makes it contested as well.)
    #[inline]
    pub(crate) fn new(reason: WaitReason, contested: bool) -> Self {
        Wait {
            winner: AtomicU32::new(WAITING),
            done: AtomicU32::new(0),
            contested,
            reason,
            goroutine: super::current_goroutine(),
            timer: UnsafeCell::new(TimerNode::new()),
        }
    }

    /// Give the wait a deadline. To be called before its first node is queued.
    #[inline]
    pub(crate) fn set_deadline(&mut self, deadline: i64) {
        if deadline != FOREVER {
            self.contested = true;
            self.timer.get_mut().set(deadline, &TIMER);
        }
    }

    fn deadline(&self) -> i64 {
        // SAFETY: `when` is written before the wait is shared and never again.
        unsafe { (*self.timer.get()).when() }
    }

    /// Win this wait for the node `id` (1..=65536). The caller holds the lock of a queue with a node of this
    /// wait in it; true: it must hand over and then call [`Wait::wake`], exactly once.
    #[inline]
    pub(crate) fn claim(&self, id: u32) -> bool {
        if self.contested {
            self.winner.compare_exchange(WAITING, id, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        } else {
            self.winner.store(id, Ordering::Relaxed);
            true
        }
    }

    /// Block until claimed or until the deadline; returns the winning node's `id`, or [`TIMED_OUT`].
    /// When it returns, nobody else wakes or writes this wait any more. If it was contested, nodes of it may
    /// still be queued, and whoever pops one of them will try to claim the wait and fail: the caller must unlink
    /// them, under their locks, before node or wait go out of scope. Whether a node is still queued can only be
    /// asked under the lock too.
    ///
    /// # Safety
    /// `release(arg)` must be safe to call once, from another stack of the same thread; it makes the nodes
    /// reachable (unlocks), touches `arg`'s target no more once it has, and does not block. The caller holds
    /// no other lock that a waker needs.
    ///
    /// With a deadline the goroutine may go on before `release` has been called, on another worker. If `arg`
    /// points into the caller's frame, something must keep it there until `release` is done with it; what does
    /// so is that the caller, before it leaves, takes every lock again that `release` gives up.
    #[inline]
    pub(crate) unsafe fn block(&self, release: unsafe fn(*mut ()), arg: *mut ()) -> u32 {
        if self.goroutine.is_null() {
            // SAFETY: the caller's promise.
            unsafe { self.block_thread(release, arg) };
        } else {
            // SAFETY: the caller's promise; `timer` is armed on the scheduler's stack, before `release`, so
            // that neither the timer nor a waker meets a goroutine that still runs.
            unsafe { super::park(self.timer.get(), self.reason, release, arg) };
            if self.deadline() != FOREVER && self.winner.load(Ordering::Relaxed) != TIMED_OUT {
                // SAFETY: the node was queued by `park`; this takes it out unless it has fired (and lost).
                unsafe { TimerNode::cancel(self.timer.get()) };
            }
        }
        self.winner.load(Ordering::Relaxed)
    }

    /// # Safety
    /// As for `block`; the caller is a thread.
    #[cold]
    unsafe fn block_thread(&self, release: unsafe fn(*mut ()), arg: *mut ()) {
        let mut deadline = self.deadline();
        // SAFETY: the caller's promise.
        unsafe { release(arg) };
        if deadline == FOREVER {
            // It does nothing of its own from here on, until its waker has counted it out. Not before `release`,
            // which may wake others: that of a condition variable unlocks a mutex. So the waker may have
            // been faster; then the count was one too small for a moment, which hides a deadlock and feigns none,
            // and who was misled by that has asked for another look.
            account::thread_waits();
            account::look();
        }
        // Acquire pairs with the Release in `wake`.
        while self.done.load(Ordering::Acquire) == 0 {
            if deadline != FOREVER && now() >= deadline {
                if self
                    .winner
                    .compare_exchange(WAITING, TIMED_OUT, Ordering::Relaxed, Ordering::Relaxed)
                    .is_ok()
                {
                    return;
                }
                // A waker has won and is on its way: `wake` is certain to come.
                deadline = FOREVER;
            }
            futex_wait(&self.done, 0, deadline);
        }
    }

    /// Let a claimed wait go on. Nothing of it may be touched afterwards.
    ///
    /// # Safety
    /// The caller won `this` by [`Wait::claim`] and has not woken it yet; it holds no lock that the woken one
    /// would free.
    #[inline]
    pub(crate) unsafe fn wake(this: *const Wait, order: Order) {
        // SAFETY: a claimed wait lives until it is woken, which only the claimer may do.
        let goroutine = unsafe { (*this).goroutine };
        if goroutine.is_null() {
            // SAFETY: as above.
            unsafe { Self::wake_thread(this) };
        } else {
            // SAFETY: it parked on this wait, its registers are saved (step 2 above), and only we may ready it.
            unsafe { super::ready(goroutine, order) };
        }
    }

    /// # Safety
    /// As for `wake`; it is a thread's wait, or a callback's.
    #[cold]
    unsafe fn wake_thread(this: *const Wait) {
        // SAFETY: a claimed wait lives until `done` is set, or until it was called; the address alone is used after
        // that (see `futex_wake`). `CALLS` is set in the wait of a `Callback` alone, at whose beginning it stands.
        unsafe {
            if (*this).done.load(Ordering::Relaxed) == CALLS {
                return ((*this.cast::<Callback>()).call)(this);
            }
            if (*this).deadline() == FOREVER {
                // Before it can know of it: from here on it may act, though it has not run yet.
                account::thread_is_woken();
            }
            let done = &raw const (*this).done;
            (*done).store(1, Ordering::Release);
            futex_wake(done, 1);
        }
    }
}

/// A wait that nobody blocks in: whoever wakes it calls a function instead. Who made it keeps it in place until that
/// function was called, or a cancel has unlinked its nodes. It stands in several queues or in one.
///
/// To those who look for a deadlock it is nobody: as a thread that waits in gort for ever, it does nothing by itself.
/// Whoever completes it is seen running.
#[repr(C)]
pub(crate) struct Callback {
    wait: Wait,
    /// Called with the wait, once, with no lock held, by the one who claimed it: as [`Wait::wake`].
    call: unsafe fn(*const Wait),
}

impl Callback {
    pub(crate) fn new(call: unsafe fn(*const Wait)) -> Self {
        let wait = Wait {
            winner: AtomicU32::new(WAITING),
            done: AtomicU32::new(CALLS),
            contested: true,
            reason: WaitReason::Select,
            goroutine: null_mut(),
            timer: UnsafeCell::new(TimerNode::new()),
        };
        Callback { wait, call }
    }

    /// In a model: every access must have happened before this one.
    #[cfg(loom)]
    pub(crate) fn retire(&mut self) {
        self.wait.winner.with_mut(|_| ());
        self.wait.done.with_mut(|_| ());
    }
}

/// Of the wait of a [`Callback`].
impl Wait {
    /// Win it for nobody. True: no node of it will be served any more; the caller unlinks them. False: somebody else
    /// has won.
    pub(crate) fn cancel(&self) -> bool {
        #[cfg(loom)]
        if super::threads_only::cancels_blindly() {
            let won = self.winner.load(Ordering::Relaxed) == WAITING;
            self.winner.store(TIMED_OUT, Ordering::Relaxed);
            return won;
        }
        self.winner.compare_exchange(WAITING, TIMED_OUT, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Who won it: a node's `id`; [`TIMED_OUT`]: a cancel; 0: nobody yet.
    pub(crate) fn winner(&self) -> u32 {
        self.winner.load(Ordering::Relaxed)
    }
}

/// What [`crate::inspect::deadlock`] must know of a thread that waits.
#[cfg(not(loom))]
mod account {
    pub(super) use crate::inspect::deadlock::look;
    use crate::primitive::ACCOUNTED;

    pub(super) fn thread_waits() {
        ACCOUNTED.add();
    }

    pub(super) fn thread_is_woken() {
        ACCOUNTED.sub();
    }
}
#[cfg(loom)]
use super::threads_only as account;

/// The timer's half of the race; runs under the timer queue's lock.
///
/// # Safety
/// `node` is the `timer` of a live `Wait`.
unsafe fn timer_claim(node: *mut TimerNode) -> bool {
    // SAFETY: the timer queue holds only nodes of waits whose `block` has not returned.
    let wait = unsafe { &*wait_of(node) };
    wait.winner.compare_exchange(WAITING, TIMED_OUT, Ordering::Relaxed, Ordering::Relaxed).is_ok()
}

static TIMER: TimerKind = TimerKind { claim: timer_claim, fire: timer_wake, wakes: timer_wakes };

/// Whoever waits with a deadline goes on then at the latest.
unsafe fn timer_wakes(_node: *mut TimerNode) -> bool {
    true
}

/// # Safety
/// As for `timer_claim`, which returned true for it.
unsafe fn timer_wake(node: *mut TimerNode) {
    // SAFETY: won by `timer_claim`.
    unsafe { Wait::wake(wait_of(node), Order::Queue) };
}

fn wait_of(node: *mut TimerNode) -> *const Wait {
    node.cast::<u8>().wrapping_sub(std::mem::offset_of!(Wait, timer)).cast()
}

/// A place in one queue. Everything in it is guarded by that queue's lock while it is queued.
pub(crate) struct Node {
    next: *mut Node,
    /// `sync::queue` keeps a queue in one word: there the first node's `prev` is the last node.
    pub(crate) prev: *mut Node,
    queued: bool,
    /// Which of the wait's nodes this is: 1..=65536.
    pub(crate) id: u32,
    pub(crate) wait: *const Wait,
    /// Where the waker reads the value from or writes it to; null: nowhere.
    pub(crate) elem: *mut u8,
    /// What the waker has to say; its meaning belongs to the object waited on.
    pub(crate) status: i32,
}

impl Node {
    #[inline]
    pub(crate) fn new(wait: *const Wait, id: u32, elem: *mut u8) -> Self {
        Node { next: null_mut(), prev: null_mut(), queued: false, id, wait, elem, status: 0 }
    }
}

/// First come, first served; intrusive and doubly linked. Guarded by the lock of the object that owns it.
pub(crate) struct Queue {
    pub(crate) head: *mut Node,
    pub(crate) tail: *mut Node,
}

impl Queue {
    pub(crate) const fn new() -> Self {
        Queue { head: null_mut(), tail: null_mut() }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.head.is_null()
    }

    /// # Safety
    /// The lock is held; `node` is not queued anywhere and stays in place until it is.
    #[inline]
    pub(crate) unsafe fn push_back(&mut self, node: *mut Node) {
        // SAFETY: `node` and `tail` are live nodes of this queue, guarded by the lock.
        unsafe {
            (*node).queued = true;
            (*node).next = null_mut();
            (*node).prev = self.tail;
            if self.tail.is_null() {
                self.head = node;
            } else {
                (*self.tail).next = node;
            }
        }
        self.tail = node;
    }

    /// # Safety
    /// As for `push_back`.
    pub(crate) unsafe fn push_front(&mut self, node: *mut Node) {
        // SAFETY: `node` and `head` are live nodes of this queue, guarded by the lock.
        unsafe {
            (*node).queued = true;
            (*node).prev = null_mut();
            (*node).next = self.head;
            if self.head.is_null() {
                self.tail = node;
            } else {
                (*self.head).prev = node;
            }
        }
        self.head = node;
    }

    /// Take `node` out if it is still in; false: it was not.
    ///
    /// # Safety
    /// The lock is held; `node` is live and, if queued, queued here.
    pub(crate) unsafe fn unlink(&mut self, node: *mut Node) -> bool {
        // SAFETY: the neighbours of a queued node are live nodes of this queue, guarded by the lock.
        unsafe {
            if !(*node).queued {
                return false;
            }
            (*node).queued = false;
            let (next, prev) = ((*node).next, (*node).prev);
            if prev.is_null() {
                self.head = next;
            } else {
                (*prev).next = next;
            }
            if next.is_null() {
                self.tail = prev;
            } else {
                (*next).prev = prev;
            }
        }
        true
    }

    /// Take out the first waiter that can be claimed, or null. Those that somebody else has won are dropped on
    /// the way. The caller must hand over to it and wake it.
    ///
    /// # Safety
    /// The lock is held.
    #[inline]
    pub(crate) unsafe fn pop(&mut self) -> *mut Node {
        while !self.head.is_null() {
            let node = self.head;
            // SAFETY: queued nodes are live (their owner unlinks them under this lock before they die), and so
            // is the wait they belong to.
            unsafe {
                self.unlink(node);
                if (*(*node).wait).claim((*node).id) {
                    return node;
                }
            }
        }
        null_mut()
    }

    /// The first node, whether it can be claimed or not; null if there is none. Under the lock.
    #[cfg(test)]
    pub(crate) fn first(&self) -> *mut Node {
        self.head
    }

    /// The node behind `node`, or null. Under the lock.
    ///
    /// # Safety
    /// `node` is queued here.
    #[inline]
    pub(crate) unsafe fn after(&self, node: *mut Node) -> *mut Node {
        // SAFETY: the caller's promise.
        unsafe { (*node).next }
    }
}

/// Nodes that were popped together and are to be woken one after the other, once the lock is released. It uses
/// their links again: the node that won says "queued" when its call goes on, and must not be unlinked.
pub(crate) struct WakeList {
    queue: Queue,
}

impl WakeList {
    pub(crate) const fn new() -> Self {
        WakeList { queue: Queue::new() }
    }

    /// # Safety
    /// `node` was just popped: claimed by the caller, in no queue.
    pub(crate) unsafe fn push(&mut self, node: *mut Node) {
        // SAFETY: nobody else reaches a popped and claimed node.
        unsafe { self.queue.push_back(node) };
    }

    /// Wake all, in the order in which they were pushed.
    ///
    /// # Safety
    /// The caller holds no lock that a woken waiter could free.
    pub(crate) unsafe fn wake(self) {
        let mut node = self.queue.head;
        let order = if ptr::eq(node, self.queue.tail) { Order::Next } else { Order::Queue };
        while !node.is_null() {
            // SAFETY: each is claimed by us and not yet woken; its link is read before it is.
            unsafe {
                let next = (*node).next;
                Wait::wake((*node).wait, order);
                node = next;
            }
        }
    }
}
