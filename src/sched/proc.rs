//! A processor: the right to run goroutines, and what goes with it.
//!
//! The one thing to know: a worker (an OS thread) must hold a processor to run goroutines, and `max_procs` of them
//! are *active*. Run queues, timers, free stacks and counters belong to the processor and not to the thread, so
//! a worker that leaves (its goroutine locked the thread) hands all of it over in one pointer.
//!
//! | a processor is | held by a worker | `surplus` | `retired` |
//! |---|---|---|---|
//! | active | perhaps; else it is in the idle list | no | no |
//! | surplus: one too many, and its worker is to step back | yes, or on its way to one | yes | no |
//! | retired: in no list, its queue and its heap of timers empty | no | no | yes |
//!
//! All of that changes under the idle lists' lock only, and so does `Runtime::limit`, which is the number of the
//! active ones. No processor is different from the others: whatever a retired one leaves behind goes to the runtime.
//!
//! Its run queue has three parts, picked from in this order:
//!
//! | part | order | who takes |
//! |---|---|---|
//! | `next` | one slot, the newest | the owner; others only if the owner does not move |
//! | `woken` | first in, first out | the owner; others if the owner does not move, or 64 wait |
//! | `fresh` | last in, first out for the owner, first in, first out for thieves | anybody, at once |
//!
//! Woken goroutines go before fresh ones, and fresh ones last in first out, so that few stacks are in use at
//! once (a tree of goroutines runs depth first); a fairness tick every 61 picks looks at the global queue and
//! at the oldest fresh one first, and `next` gives way after 64 picks in a row.

use super::fresh::FreshList;
use super::goroutine::{Goroutine, Task};
use super::timer::TimerHeap;
use crate::coroutine::Stack;
use crate::primitive::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering, fence};
use crate::primitive::now;
use crossbeam_deque::{Steal, Stealer, Worker as Deque};
use std::cell::UnsafeCell;
use std::ptr::null_mut;

/// Every this many picks the global queue and the oldest fresh goroutine come first. A prime, as in Go, so
/// that it does not fall into step with a program's own period.
pub(super) const FAIRNESS: u32 = 61;
/// More processors than this are never made.
pub(super) const MAX_PROCS: usize = 1024;
/// So many picks in a row may come from `next`.
pub(super) const NEXT_STREAK: u32 = 64;
/// So many woken goroutines in one queue are worth another worker at once.
pub(super) const WOKEN_BACKLOG: usize = 64;

/// The unit of the coarse clock is 2 to this power nanoseconds, about 17 ms; it goes round in 2.3 years.
const CLOCK_SHIFT: u32 = 24;

/// `time` (of the monotonic clock, ns) on the coarse clock.
#[inline]
pub(super) fn coarse(time: i64) -> u32 {
    (time >> CLOCK_SHIFT) as u32
}

/// How long ago `since` was on the coarse clock, ns.
pub(crate) fn coarse_age(since: u32, time: i64) -> i64 {
    // A clock that was read a moment later on another processor: not 2.3 years.
    let age = coarse(time).wrapping_sub(since);
    if age > u32::MAX / 2 { 0 } else { i64::from(age) << CLOCK_SHIFT }
}

#[repr(C, align(128))]
pub(super) struct Proc {
    pub(super) id: u32,
    /// The goroutine that runs next (a raw [`Task`]) or null.
    next: AtomicPtr<u8>,
    /// How often the owner has picked a goroutine: whether, and how fast, the queue moves.
    ticks: AtomicU32,
    /// See the table above. Its worker asks before each pick, without the lock; what it does then, it does under it.
    pub(super) surplus: AtomicBool,
    /// The goroutine that runs here or, for a moment, one that has just left; null once the processor is idle. A
    /// hint: nobody follows it.
    pub(super) running: AtomicPtr<Goroutine>,
    pub(super) spawned: AtomicU64,
    pub(super) ended: AtomicU64,
    /// For `gort_stats`, as the two above: written by the owner alone ([`Proc::count`]).
    pub(super) parks: AtomicU64,
    /// How often its worker took goroutines from another processor's queue.
    pub(super) steals: AtomicU64,
    /// Goroutines that its worker has made ready.
    pub(super) wakeups: AtomicU64,
    woken: Deque<Task>,
    fresh: Deque<Task>,
    local: UnsafeCell<Local>,
    /// What thieves and lookers use, on cache lines that the owner does not write.
    others: Others,
    pub(super) timers: TimerHeap,
    /// See the table above. Guarded by the idle lists' lock.
    pub(super) retired: AtomicBool,
    /// In the idle list: nobody runs on it. A hint for those who look.
    pub(super) idle: AtomicBool,
}

#[repr(align(128))]
struct Others {
    woken: Stealer<Task>,
    fresh: Stealer<Task>,
}

/// What only the worker that holds the processor touches.
pub(super) struct Local {
    pub(super) tick: u32,
    pub(super) next_streak: u32,
    /// The goroutine that was left has yielded: let a fresh one go first, once.
    pub(super) prefer_fresh: bool,
    /// The time, in units of 2^24 ns, when its worker last asked: what a park writes down. It asks when
    /// it looks for due timers and for work elsewhere, and every [`FAIRNESS`] picks.
    pub(super) clock: u32,
    /// When the timers were last looked at, in ticks of the CPU's counter.
    pub(super) last_look: u64,
    pub(super) ids: std::ops::Range<u64>,
    pub(super) records: FreshList,
    /// Free stacks of the default class; the hottest is last.
    pub(super) stacks: Vec<Stack>,
}

// SAFETY: `woken`, `fresh` (the owners' ends) and `local` are touched only by the worker that holds the
// processor; holding is handed over through a lock or a mailbox with release and acquire. The rest is atomic.
unsafe impl Sync for Proc {}
// SAFETY: nothing in it belongs to a thread.
unsafe impl Send for Proc {}

impl Proc {
    pub(super) fn new(id: u32) -> Self {
        let woken = Deque::new_fifo();
        let fresh = Deque::new_lifo();
        let others = Others { woken: woken.stealer(), fresh: fresh.stealer() };
        Proc {
            id,
            next: AtomicPtr::new(null_mut()),
            ticks: AtomicU32::new(0),
            surplus: AtomicBool::new(false),
            running: AtomicPtr::new(null_mut()),
            spawned: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            parks: AtomicU64::new(0),
            steals: AtomicU64::new(0),
            wakeups: AtomicU64::new(0),
            woken,
            fresh,
            local: UnsafeCell::new(Local {
                tick: 0,
                next_streak: 0,
                prefer_fresh: false,
                clock: coarse(now()),
                last_look: 0,
                ids: 0..0,
                records: FreshList::new(),
                stacks: Vec::new(),
            }),
            others,
            timers: TimerHeap::new(),
            retired: AtomicBool::new(true),
            idle: AtomicBool::new(false),
        }
    }

    /// # Safety
    /// The caller's worker holds this processor, and no other reference from here is in use.
    #[inline]
    #[allow(clippy::mut_from_ref)] // the worker that holds the processor is alone with it
    pub(super) unsafe fn local(&self) -> &mut Local {
        // SAFETY: the caller's promise.
        unsafe { &mut *self.local.get() }
    }

    /// Make `task` the next to run; what stood there goes to the end of its queue, where others may take it,
    /// and is returned.
    ///
    /// # Safety
    /// The caller's worker holds this processor.
    #[inline]
    pub(super) unsafe fn push_next(&self, task: Task) -> Option<Task> {
        // SeqCst: publishes the task, before the caller reads the pool's word. See `pool`.
        let old = Task::from_raw(self.next.swap(task.into_raw(), Ordering::SeqCst))?;
        // SAFETY: the caller's promise.
        unsafe { self.push(old) };
        // Publishes the displaced one as well. Whoever misses it in the queue mostly sees `task` in `next`, but
        // not if a thief has just taken that.
        fence(Ordering::SeqCst);
        Some(old)
    }

    /// Put `task` at the end of its queue. The caller needs a SeqCst fence before it reads the pool's word.
    ///
    /// # Safety
    /// The caller's worker holds this processor.
    #[inline]
    pub(super) unsafe fn push(&self, task: Task) {
        if task.is_fresh() {
            self.fresh.push(task);
        } else {
            self.woken.push(task);
        }
    }

    /// One more. Plain store: only the owner writes its counters.
    #[inline]
    pub(super) fn count(counter: &AtomicU64) {
        counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// Neither surplus nor retired. Under the idle lists' lock.
    pub(super) fn is_active(&self) -> bool {
        !self.surplus.load(Ordering::Relaxed) && !self.retired.load(Ordering::Relaxed)
    }

    /// Count a pick. Plain store: only the owner writes it.
    #[inline]
    pub(super) fn count_tick(&self, tick: u32) {
        self.ticks.store(tick, Ordering::Relaxed);
    }

    pub(super) fn ticks(&self) -> u32 {
        self.ticks.load(Ordering::Relaxed)
    }

    /// # Safety
    /// The caller's worker holds this processor.
    #[inline]
    pub(super) unsafe fn pop_next(&self) -> Option<Task> {
        if self.next.load(Ordering::Relaxed).is_null() {
            return None;
        }
        self.take_next()
    }

    /// Take what is in `next`: the owner, or a thief who found that the owner does not move.
    pub(super) fn take_next(&self) -> Option<Task> {
        // AcqRel: a thief sees the goroutine as its waker left it; the owner's next push sees the slot empty.
        Task::from_raw(self.next.swap(null_mut(), Ordering::SeqCst))
    }

    /// # Safety
    /// The caller's worker holds this processor.
    #[inline]
    pub(super) unsafe fn pop_woken(&self) -> Option<Task> {
        self.woken.pop()
    }

    /// # Safety
    /// The caller's worker holds this processor.
    #[inline]
    pub(super) unsafe fn pop_fresh(&self) -> Option<Task> {
        self.fresh.pop()
    }

    /// The oldest fresh goroutine.
    pub(super) fn take_oldest_fresh(&self) -> Option<Task> {
        steal(|| self.others.fresh.steal())
    }

    /// Move up to half of `self`'s fresh goroutines to `thief` and take one of them.
    ///
    /// # Safety
    /// The caller's worker holds `thief`.
    pub(super) unsafe fn steal_fresh(&self, thief: &Proc) -> Option<Task> {
        if self.others.fresh.is_empty() {
            return None;
        }
        steal(|| self.others.fresh.steal_batch_and_pop(&thief.fresh))
    }

    /// If many woken goroutines wait: move up to half of them to `thief` and take one.
    ///
    /// # Safety
    /// The caller's worker holds `thief`.
    pub(super) unsafe fn steal_backlog(&self, thief: &Proc) -> Option<Task> {
        if self.others.woken.len() < WOKEN_BACKLOG {
            return None;
        }
        steal(|| self.others.woken.steal_batch_and_pop(&thief.woken))
    }

    /// Take the oldest woken goroutine; if none waits, the one in `next`.
    pub(super) fn steal_woken(&self) -> Option<Task> {
        steal(|| self.others.woken.steal()).or_else(|| self.take_next())
    }

    /// Anything in the run queue? SeqCst: the last look of a worker that has said it goes idle (see `pool`).
    /// `woken` comes last: a goroutine that yields is put there before another is taken from one of the others,
    /// so a queue that is never empty is never seen empty.
    pub(super) fn has_work(&self) -> bool {
        !self.next.load(Ordering::SeqCst).is_null() || self.has_fresh() || !self.others.woken.is_empty()
    }

    pub(super) fn has_fresh(&self) -> bool {
        !self.others.fresh.is_empty()
    }

    /// Is there anything that thieves do not take at once?
    pub(super) fn has_woken(&self) -> bool {
        !self.others.woken.is_empty()
    }

    pub(super) fn woken_len(&self) -> usize {
        self.woken.len()
    }
}

fn steal(mut attempt: impl FnMut() -> Steal<Task>) -> Option<Task> {
    loop {
        match attempt() {
            Steal::Success(task) => return Some(task),
            Steal::Empty => return None,
            Steal::Retry => crate::primitive::relax(),
        }
    }
}
