//! The monitor: a goroutine that keeps its worker for long does not keep the others waiting.
//!
//! The one thing to know: **a processor is never taken away from the goroutine that hogs it.** That goroutine goes on
//! using its processor's local state (it spawns, readies, arms timers) with no synchronisation, as ever, so its fast
//! paths pay nothing. Instead its processor is marked *surplus*, and another one becomes active in its place (one that
//! had retired, or a new one). Everything that waits on the hog's processor can be had by others anyway: all parts of its
//! queue can be stolen from, and anybody may fire its timers. When the hog comes back to the scheduler, its worker sees
//! the mark and steps back (`pick::step_back`), as it does when `gort_max_procs` shrinks. So `max_procs` bounds the
//! workers that pick up new work, and not the code that runs. `GORT_STRICT_PROCS`: there is no monitor.
//!
//! **Who is stuck**: a processor that runs a goroutine and whose count of picks has not moved for 10 ms. If one is, no
//! processor is idle, and something waits, then all that are stuck are replaced at once. While a processor is idle
//! nothing needs to be done here: the sentinel, or a worker that was woken, looks after what waits.
//!
//! One that goes on spawning while nobody waits but those that it has spawned is not stuck as long as other workers steal
//! from it, and otherwise for 100 ms: whoever spawns a million goroutines in a row does nothing but feed the workers, and
//! one more than there are to be would only get in their way.
//!
//! **Chains.** Eight goroutines that block one after the other at `max_procs` 1 would hold up the rest for 8 times 10 ms.
//! So for 16 ms after a replacement the monitor looks every half millisecond, and takes one for stuck after one
//! millisecond. Replacements in that time do not prolong it: goroutines that compute for 2 to 5 ms each do not get a
//! thread each.
//!
//! **What a hog adds later.** Its processor has been replaced, and nobody needs to come by: the active workers may
//! all find work in their own queues for ever. So the monitor moves what is queued on a surplus processor that does not
//! move, some at a time, to the global queue, at which every worker looks at its fairness ticks; and its timers, when one
//! is due, to the runtime's heap, at which every worker looks.
//!
//! **What the deadlock detector sees** (`quiet.rs`): whatever the monitor takes out of one place to put it into another,
//! it moves under the idle lists' lock, which the detector holds while it looks. It fires no timers itself: a timer
//! that fires is in no place for a moment. It lets a worker do so, who holds a processor meanwhile.
//!
//! It sleeps while no processor is in use (`nap.rs`), so a process at rest has nobody who ticks.

use super::idle;
use super::nap::Nap;
use super::poller;
use super::proc::Proc;
use super::runtime::Runtime;
use crate::inspect::deadlock;
use crate::primitive::atomic::{AtomicBool, Ordering};
use crate::primitive::{ACCOUNTED, now};
use std::ptr::null_mut;

/// Between two looks, ns; and for so long, at least, has one not moved that is stuck.
const TICK: i64 = 10_000_000;
/// The same for a while after a replacement, which is this long.
const HURRIED_TICK: i64 = 500_000;
const HURRIED_PATIENCE: i64 = 1_000_000;
const HURRY: i64 = 16_000_000;
/// For so long one may go on spawning from which nobody steals.
const FEEDING: i64 = 100_000_000;
/// So many goroutines are moved from one surplus processor at a tick.
const MOVED: usize = 64;
/// Its thread's stack; it may have to report that there are too many threads.
const STACK: usize = 256 * 1024;

pub(super) struct Monitor {
    pub(super) nap: Nap,
    started: AtomicBool,
}

/// What was seen of a processor.
#[derive(Clone, Copy, Default)]
struct Seen {
    ticks: u32,
    spawned: u64,
    /// When it was last seen to have picked.
    picked: i64,
    /// Since when it has not moved, as far as we have looked.
    since: i64,
}

struct Looks {
    seen: Vec<Seen>,
    /// How often anybody had stolen from anybody.
    steals: u64,
    /// Until then we are in a hurry.
    hurry: i64,
}

impl Monitor {
    pub(super) fn new() -> Self {
        Monitor { nap: Nap::new(), started: AtomicBool::new(false) }
    }

    /// How many threads it is.
    pub(super) fn threads(&self) -> u64 {
        self.started.load(Ordering::Relaxed).into()
    }
}

/// A worker's thread was started: from here on there may be something to monitor.
pub(super) fn ensure(rt: &'static Runtime) {
    let started = &rt.monitor.started;
    if rt.strict || started.load(Ordering::Relaxed) || started.swap(true, Ordering::Relaxed) {
        return;
    }
    // SAFETY: both sets are live; the mask is put back as it was. Signals are for the host's threads.
    let thread = unsafe {
        let mut all = std::mem::zeroed();
        let mut before = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
        let thread =
            std::thread::Builder::new().name("gort-sysmon".into()).stack_size(STACK).spawn(move || run(rt));
        libc::pthread_sigmask(libc::SIG_SETMASK, &before, null_mut());
        thread
    };
    if thread.is_err() {
        // No memory, or no more threads: the next worker that is started tries again.
        started.store(false, Ordering::Relaxed);
    }
}

fn run(rt: &'static Runtime) {
    ACCOUNTED.add();
    // SAFETY: a timer slack of 1 ns: sleeping must be precise.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1usize) };
    // This thread was not accounted for until it came, and may have kept others from finding a deadlock.
    deadlock::look();
    let mut looks = Looks { seen: Vec::new(), steals: 0, hurry: 0 };
    loop {
        let time = now();
        looks.look(rt, time);
        if nothing_runs(rt) {
            rt.monitor.nap.sleep();
        } else {
            rt.monitor.nap.pause(time + if time < looks.hurry { HURRIED_TICK } else { TICK });
        }
    }
}

/// Is no processor in use? Then we have said that we lie down. (A surplus one may be, which needs nobody's help while
/// others are idle.)
fn nothing_runs(rt: &Runtime) -> bool {
    let all_idle = |idle: usize| idle >= rt.limit.load(Ordering::Relaxed) as usize;
    if !all_idle(rt.pool.load().idle() as usize) {
        return false;
    }
    let lists = rt.lists();
    let rest = lists.closed || all_idle(lists.procs.len());
    if rest {
        rt.monitor.nap.lie_down();
    }
    rest
}

impl Looks {
    /// One tick.
    fn look(&mut self, rt: &'static Runtime, time: i64) {
        let patience = if time < self.hurry { HURRIED_PATIENCE } else { TICK };
        let steals = rt.procs().fold(0, |sum, p| p.steals.load(Ordering::Relaxed).wrapping_add(sum));
        let stolen = std::mem::replace(&mut self.steals, steals) != steals;
        let (mut stands, mut stuck) = (false, false);
        for (i, proc) in rt.procs().enumerate() {
            if self.seen.len() <= i {
                self.seen.push(Seen::default());
            }
            let seen = &mut self.seen[i];
            let (ticks, spawned) = (proc.ticks(), proc.spawned.load(Ordering::Relaxed));
            if ticks != seen.ticks || !runs(proc) {
                *seen = Seen { ticks, spawned, picked: time, since: time };
            } else if spawned != seen.spawned
                && (stolen || time - seen.picked < FEEDING)
                && !others_wait(rt, proc, time)
            {
                seen.since = time;
            }
            seen.spawned = spawned;
            stands |= time - seen.picked >= patience;
            stuck |= time - seen.since >= patience;
        }
        if !stands || rt.pool.load().idle() != 0 {
            return;
        }
        // Nobody else may have asked: those that wait for descriptors that are ready are queued by this. (Also where one
        // only spawns: whether others wait is not known before.)
        poller::poll_if_stale(rt);
        if stuck && waits(rt, time) {
            self.replace(rt, time, patience);
        }
    }

    /// Has it not moved when it was looked at, nor since?
    fn is_stuck(&self, proc: &Proc, time: i64, patience: i64) -> bool {
        let seen = self.seen.get(proc.id as usize);
        seen.is_some_and(|s| s.ticks == proc.ticks() && runs(proc) && time - s.since >= patience)
    }

    /// Something waits, no processor is idle and some are stuck: have others in their place. Cold and by itself, so that
    /// no frame that sleeps has an address of a goroutine left in it, which the search for leaks would find.
    #[inline(never)]
    fn replace(&mut self, rt: &'static Runtime, time: i64, patience: i64) {
        let mut lists = rt.lists();
        if lists.closed {
            return;
        }
        let (mut replaced, mut moved) = (0, 0);
        for proc in rt.procs() {
            if !self.is_stuck(proc, time, patience) {
                continue;
            }
            // If its goroutine leaves just now, nothing is wrong: its worker steps back, or its processor
            // retires instead of going idle.
            if proc.surplus.load(Ordering::Relaxed) {
                // SAFETY: the lists are locked.
                moved += unsafe { relieve(rt, proc, time) };
            } else if !proc.retired.load(Ordering::Relaxed) && rt.add_proc(&mut lists) {
                // (If no more can be made, those that wait go on waiting.)
                rt.set_surplus(&mut lists, proc, true);
                replaced += 1;
            }
        }
        drop(lists);
        if replaced != 0 && time >= self.hurry {
            self.hurry = time + HURRY;
        }
        if replaced != 0 || moved != 0 {
            // One worker searches, and wakes the next if there is more. What is nobody's to be woken for, and
            // timers, are the sentinel's, once a processor is idle again: as after any other that becomes idle.
            idle::wake_worker(rt);
            idle::look_after(rt);
        }
    }
}

/// Does a goroutine run there, for all we know? (Null: the processor is idle, or has just been.)
fn runs(proc: &Proc) -> bool {
    !proc.running.load(Ordering::Relaxed).is_null()
}

/// Does anything wait besides what was spawned on `proc`, as far as that can be seen from there?
fn others_wait(rt: &Runtime, proc: &Proc, time: i64) -> bool {
    proc.has_woken() || proc.timers.next() <= time || rt.timers.next() <= time || !rt.injector.is_empty()
}

/// Is there anything that somebody could do who had a processor?
fn waits(rt: &Runtime, time: i64) -> bool {
    !rt.injector.is_empty()
        || rt.timers.next() <= time
        || rt.procs().any(|p| p.has_work() || p.timers.next() <= time)
}

/// A surplus processor does not move: let everybody have what is queued there, and its timers if one is due. How much
/// was moved. The caller then tells those that are idle.
///
/// # Safety
/// The idle lists are locked.
unsafe fn relieve(rt: &Runtime, proc: &Proc, time: i64) -> usize {
    let mut moved = 0;
    // These are a thief's operations: they may meet the owner's at any time.
    while moved < MOVED
        && let Some(task) = proc.steal_woken().or_else(|| proc.take_oldest_fresh())
    {
        rt.injector.push(task);
        moved += 1;
    }
    if proc.timers.next() <= time {
        // The owner may be inserting: the heaps have locks of their own.
        // SAFETY: two heaps, which are never freed.
        moved += unsafe { proc.timers.drain_into(&rt.timers) };
    }
    // Published, and then the caller reads who is idle, and who keeps watch: see `pool`.
    crate::primitive::atomic::fence(Ordering::SeqCst);
    moved
}
