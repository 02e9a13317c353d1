//! A look at all queues and timers: is there anything to do, and does anybody see to it?
//!
//! The one thing to know: whoever looks remembers what it saw, so a look tells whether a queue has moved since the last.

use super::watch::LOOK_LONGEST;
use crate::primitive::FOREVER;
use crate::primitive::atomic::{Ordering, fence};
use crate::sched::proc::Proc;
use crate::sched::runtime::Runtime;

/// A queue that moves slower than one pick in this many ns is worth stealing woken goroutines from.
const COARSE: i64 = 4_000;
/// A timer of a processor that somebody runs on is left to that one for this long, ns.
const TIMER_GRACE: i64 = 30_000;

/// What a worker saw of the processors when it last looked.
pub(in crate::sched) struct Look {
    at: i64,
    seen: Vec<Seen>,
}

#[derive(Clone, Copy, Default)]
struct Seen {
    ticks: u32,
    had_work: bool,
}

/// What there is to do.
pub(in crate::sched) enum Find {
    /// Work that any worker may take, or timers that are due.
    Work,
    /// This processor's woken goroutines wait too long.
    Stalled(&'static Proc),
    /// Queues hold something, which is in good hands.
    Busy,
    /// Nothing is queued; the earliest timer is due then.
    Nothing,
}

impl Look {
    pub(in crate::sched) const fn new() -> Self {
        Look { at: 0, seen: Vec::new() }
    }

    /// Look at everything. Also the deadline of the earliest timer (with the grace for those in good hands).
    pub(in crate::sched) fn look(&mut self, rt: &Runtime, time: i64) -> (Find, i64) {
        let elapsed = time - self.at;
        // After a long pause the last look says nothing about speed: only a queue that stands still counts.
        let few = if elapsed > 2 * LOOK_LONGEST { 0 } else { (elapsed / COARSE).max(0) as u32 };
        self.at = time;
        // What was said before (deep, until when) comes before these looks; a timer's deadline is read relaxed.
        fence(Ordering::SeqCst);
        let mut find = if rt.injector.is_empty() { Find::Nothing } else { Find::Work };
        let mut earliest = FOREVER;
        let due = rt.timers.next();
        if due != FOREVER {
            // Whoever is busy looks at them.
            let busy = rt.pool.load().idle() < rt.limit.load(Ordering::Relaxed);
            earliest = due.saturating_add(if busy { TIMER_GRACE } else { 0 });
            if earliest <= time {
                find = Find::Work;
            }
        }
        for (i, proc) in rt.procs().enumerate() {
            if self.seen.len() <= i {
                self.seen.push(Seen::default());
            }
            let due = proc.timers.next();
            if due != FOREVER {
                let idle = proc.idle.load(Ordering::Relaxed);
                let due = due.saturating_add(if idle { 0 } else { TIMER_GRACE });
                earliest = earliest.min(due);
                if due <= time {
                    find = Find::Work;
                }
            }
            let before = self.seen[i];
            let seen = Seen { ticks: proc.ticks(), had_work: proc.has_work() };
            self.seen[i] = seen;
            if seen.had_work && !matches!(find, Find::Work | Find::Stalled(_)) {
                let slow = before.had_work && seen.ticks.wrapping_sub(before.ticks) <= few;
                find = if proc.has_fresh() {
                    Find::Work
                } else if slow {
                    Find::Stalled(proc)
                } else {
                    Find::Busy
                };
            }
        }
        (find, earliest)
    }
}
