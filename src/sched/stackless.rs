//! Goroutines that are to run for the first time while no stack can be had.
//!
//! The one thing to know: they wait here until a stack comes free, so spawning never fails for want of one.
//! Whoever frees a stack while somebody waits gives it to the pool at once and queues one that waits:
//!
//! ```text
//!     waiter                              who frees a stack
//!     count += 1           (SeqCst)       give the stack to the pool   (its lock)
//!     try the pool again   (its lock)     read count                   (SeqCst)
//! ```

use super::goroutine::{Fresh, Kind, Task};
use super::lane::{self, Lane};
use super::runtime::Runtime;
use crate::coroutine::Class;
use crate::fatal::fatal;
use crate::primitive::atomic::{AtomicUsize, Ordering, fence};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};

pub(super) struct Stackless {
    waiting: Mutex<VecDeque<Waiting>>,
    count: AtomicUsize,
}

/// A goroutine, and its lane, or null.
struct Waiting {
    task: Task,
    lane: *const Lane,
}

// SAFETY: a lane is made to be shared, and counts its goroutine, so it lives.
unsafe impl Send for Waiting {}

impl Waiting {
    fn class(&self) -> Option<Class> {
        match self.task.kind() {
            // SAFETY: a task that waits here is nobody else's, and its record is live.
            Kind::Fresh(fresh) => Some(unsafe { (*fresh).class }),
            Kind::Bound(_) => None,
        }
    }
}

impl Stackless {
    pub(super) const fn new() -> Self {
        Stackless { waiting: Mutex::new(VecDeque::new()), count: AtomicUsize::new(0) }
    }

    /// `task`, of `lane` or (null) of none, found no stack. The caller then tries the pool once more.
    pub(super) fn add(&self, task: Task, lane: *const Lane) {
        let mut waiting = self.waiting();
        waiting.push_back(Waiting { task, lane });
        self.count.store(waiting.len(), Ordering::SeqCst);
        drop(waiting);
        fence(Ordering::SeqCst);
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        self.waiting.lock().unwrap_or_else(|e| e.into_inner())
    }

    pub(super) fn len(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Does anybody wait? To be asked after a stack was given to the pool.
    #[inline]
    pub(super) fn any(&self) -> bool {
        self.len() != 0
    }

    /// All processors are idle: does anybody run whose end could free a stack? Goroutines that are parked count
    /// as such, since a thread that is not ours may wake them.
    pub(super) fn check(&self, rt: &Runtime) {
        let waiting = self.len();
        if waiting != 0 && waiting >= rt.num_goroutines() {
            fatal(format_args!(
                "out of goroutine stacks\n\n{waiting} goroutines wait for a stack and no other goroutine is left; \
                 lower stack_size, or raise vm.max_map_count or the limit of the address space"
            ));
        }
    }

    /// The one that waits longest for a stack of `class`, of those that any worker may run.
    pub(super) fn take_of(&self, class: Class) -> Option<*mut Fresh> {
        let mut fresh = None;
        let of_class = |waiting: &Waiting| waiting.lane.is_null() && waiting.class() == Some(class);
        self.take_to(of_class, |waiting| {
            if let Kind::Fresh(record) = waiting.task.kind() {
                fresh = Some(record);
            }
        });
        fresh
    }

    /// Pass the first that is `wanted` to `put`, before it is counted out: it is always to be found in one place or the
    /// other. True: there was one.
    fn take_to(&self, wanted: impl Fn(&Waiting) -> bool, put: impl FnOnce(Waiting)) -> bool {
        let mut waiting = self.waiting();
        let Some(one) = waiting.iter().position(wanted).and_then(|i| waiting.remove(i)) else {
            return false;
        };
        put(one);
        self.count.store(waiting.len(), Ordering::SeqCst);
        true
    }

    /// Stacks of `class` were given to the pool: queue the goroutine that has waited longest for one. When it
    /// has found a stack, it lets the next one try.
    #[inline]
    pub(super) fn retry(&self, rt: &'static Runtime, class: Class) {
        if self.any() {
            self.queue_one(rt, class);
        }
    }

    #[cold]
    fn queue_one(&self, rt: &'static Runtime, class: Class) {
        let mut injected = false;
        self.take_to(
            |waiting| waiting.class() == Some(class),
            |Waiting { task, lane }| {
                if lane.is_null() {
                    rt.injector.push(task);
                    injected = true;
                } else {
                    // SAFETY: it is the lane's, and ours.
                    unsafe { lane::requeue(lane, task) };
                }
            },
        );
        if injected {
            rt.tell_injected();
        }
    }
}
