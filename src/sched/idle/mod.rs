//! Workers without work: the idle lists, the sentinel, and being woken.
//!
//! The one thing to know: of the idle workers at most one, the **sentinel**, sleeps with a time-out; the others
//! sleep until they are handed a processor. The sentinel stands in for all timers of processors on which
//! nobody runs, and for goroutines that wait behind a long-running one:
//!
//! - *armed*, while some processor is busy: it looks every 50 us (growing to 400 us while it finds nothing to
//!   do). A woken goroutine is taken elsewhere if its processor's queue has hardly moved since the last look:
//!   at most one pick per 4 us, so that running it cold on another CPU costs less than waiting. A ping-pong
//!   pair moves its queue every 30 ns and is left alone.
//! - *deep*: it found every queue empty after it had said so (the pair of steps in `pool`), and sleeps until
//!   the next timer or until it is armed again. With nothing to run no thread of gort uses any CPU.
//!
//! Where anybody waits for a descriptor of the system's (`poller/`), a deep sentinel sleeps in the poller: descriptors
//! that become ready wake it. So does an armed one, unless busy workers ask the poller anyway: then each event would
//! wake it for nothing. The last worker to go idle takes the role from an armed one, which would come to it late.
//!
//! Invariants: (1) a processor in the idle list has an empty run queue. (2) If a processor is idle, and another
//! has queued work or any has a timer, there is a sentinel, and it is armed or sleeps no longer than the
//! earliest timer; whoever takes the role away re-establishes this ([`leave_sentinel`]). (3) If a processor is idle and
//! somebody waits for a descriptor, there is a sentinel, and it is armed or sleeps in the poller. The pair of steps behind
//! it: whoever begins to wait is counted, then reads the watch ([`poller::Waiting`]); whoever says None or Deep, or puts the
//! first processor into the list, reads the count after that.
//!
//! | file | concept |
//! |---|---|
//! | `mod.rs` | being woken, going idle, giving a processor up |
//! | `lists.rs` | the lists |
//! | `look.rs` | looking at all queues and timers |
//! | `watch.rs` | waiting in the list; the sentinel |
//!
//! Lock order: the lists' lock is the outermost; under it only an inbox's and, where stacks are given back, the
//! stack pool's.

mod lists;
mod look;
mod watch;

pub(super) use lists::Lists;
pub(super) use look::{Find, Look};

use super::poller;
use super::pool::Watch;
use super::proc::{MAX_PROCS, Proc, WOKEN_BACKLOG};
use super::runtime::Runtime;
use super::thread;
use super::worker::{Parcel, Worker};
use crate::coroutine;
use crate::inspect::deadlock;
use crate::primitive::FOREVER;
use crate::primitive::atomic::{Ordering, fence};
use std::sync::MutexGuard;
use watch::wait_in_list;

/// Wake a worker for new work, unless one searches already or no processor is idle.
#[cold]
pub(super) fn wake_worker(rt: &'static Runtime) {
    if !rt.pool.claim_wake() {
        return;
    }
    let mut lists = rt.lists();
    match lists.take_proc(rt) {
        None => {
            // All became busy meanwhile: they will find the work themselves before they go idle.
            rt.pool.stop_searching();
        }
        Some(proc) => give(rt, lists, Parcel { proc, task: None, searching: true }),
    }
}

/// Hand a processor to an idle worker, or to a new one.
pub(super) fn give(rt: &'static Runtime, mut lists: MutexGuard<'_, Lists>, parcel: Parcel) {
    let worker = lists.take_worker(rt);
    leave_sentinel(rt, lists);
    match worker {
        // SAFETY: just taken out of the idle list.
        Some(w) => unsafe { w.deliver(parcel) },
        None => thread::start(rt, Some(parcel), None),
    }
}

/// See to it that the sentinel is armed, because something was queued that nobody is woken for.
#[cold]
pub(super) fn arm(rt: &'static Runtime) {
    if rt.pool.claim_arming().is_some() {
        send_sentinel(rt, rt.lists());
    }
}

/// The watch is said to be armed: make it true. The role is given out here, under the lock, and not when the
/// worker looks: until then somebody else may have use for that worker, and nobody would keep the watch.
fn send_sentinel(rt: &'static Runtime, mut lists: MutexGuard<'_, Lists>) {
    if let Some(sentinel) = lists.sentinel {
        sentinel.poke();
    } else if lists.procs.is_empty() || lists.closed {
        rt.pool.set_watch(Watch::None);
    } else if let Some(&worker) = lists.workers.last() {
        lists.sentinel = Some(worker);
        rt.pool.set_watch(Watch::Armed);
        worker.poke();
    } else if lists.coming == 0 {
        // It takes the role when it comes. Until then there is no use in another: a thread may take long to
        // start on a busy machine.
        lists.coming += 1;
        drop(lists);
        thread::start(rt, None, None);
    }
}

/// The first steps of a worker that came without a processor: to keep the watch.
pub(super) fn arrive(rt: &'static Runtime, w: &'static Worker) {
    let mut lists = rt.lists();
    lists.coming -= 1;
    lists.put_worker(w);
    // At once: nobody is on the way any more to keep the watch that is said to be armed, and this worker may be handed a
    // processor before it looks.
    lists.take_vacant_role(rt, w);
    drop(lists);
    // This thread was not accounted for until it came.
    deadlock::look();
    wait_in_list(rt, w, rt.lists());
}

/// To be called after workers were taken out of the lists: if the role is vacant and needed, pass it on.
pub(super) fn leave_sentinel(rt: &'static Runtime, lists: MutexGuard<'_, Lists>) {
    if lists.sentinel.is_some() || lists.procs.is_empty() {
        return;
    }
    // `remove_worker` has said None (SeqCst) before these looks: a publisher whose work they miss reads None.
    if (needs_watch(rt, FOREVER) || poller::waiting()) && rt.pool.claim_arming().is_some() {
        send_sentinel(rt, lists);
    }
}

/// Is there anything that only a sentinel sees: queued work, or a timer due before `until`?
fn needs_watch(rt: &Runtime, until: i64) -> bool {
    // What was said before (idle, no sentinel) comes before these looks; a timer's deadline is read relaxed.
    fence(Ordering::SeqCst);
    rt.timers.next() < until || rt.procs().any(|p| p.has_work() || p.timers.next() < until)
}

/// Leave the processor, which has nothing to run, and sleep until there is one to hold again.
pub(super) fn go_idle(rt: &'static Runtime, w: &'static Worker) {
    let proc = w.held();
    let mut lists = rt.lists();
    if w.inbox_len.load(Ordering::Relaxed) != 0 {
        return;
    }
    w.proc.set(None);
    let freed = leave_proc(rt, &mut lists, proc);
    lists.put_worker(w);
    drop(lists);
    if freed {
        rt.stackless.retry(rt, rt.class);
    }
    if w.searching.replace(false) {
        // `has_open_work` comes next, whether this was the last or not.
        rt.pool.stop_searching();
    }
    // The last look: the second half of the pair in `pool`.
    if rt.has_open_work() && rt.pool.claim_wake() {
        let mut lists = rt.lists();
        let again = if w.in_idle_list.get() { lists.take_proc(rt) } else { None };
        if let Some(proc) = again {
            lists.remove_worker(rt, w);
            leave_sentinel(rt, lists);
            // SAFETY: just taken out of the list.
            unsafe { w.hold(proc) };
            w.searching.set(true);
            return;
        }
        // All are busy, or a processor is on its way to us. But somebody may have left his own work to us
        // while we counted as searching.
        drop(lists);
        stop_searching(rt);
    }
    look_after(rt);
    deadlock::look();
    let mut lists = rt.lists();
    if poller::waiting() {
        lists.take_role(rt, w);
    }
    wait_in_list(rt, w, lists);
}

/// Put a processor that its worker has just left into the list. True: stacks came free that somebody waits for,
/// who is to try again once the lists are unlocked.
fn leave_proc(rt: &'static Runtime, lists: &mut Lists, proc: &'static Proc) -> bool {
    // SAFETY: the caller's worker has held it up to here, and it is in no list yet.
    let kept = unsafe { !proc.local().stacks.is_empty() };
    lists.put_proc(rt, proc);
    // Whoever found no stack looked for those of idle processors before it was in the list. (If it retired, its
    // stacks are in the pool already.)
    let freed = rt.stackless.any() && (lists.release_stacks() || kept);
    if !freed && lists.procs.len() as u32 >= rt.limit.load(Ordering::Relaxed) {
        rt.stackless.check(rt);
    }
    freed
}

/// One worker less searches; the last one looks once more.
pub(super) fn stop_searching(rt: &'static Runtime) {
    if rt.pool.stop_searching() && rt.has_open_work() {
        wake_worker(rt);
    }
}

/// A processor was put into the idle list, the first one perhaps: see to what only a sentinel sees.
pub(super) fn look_after(rt: &'static Runtime) {
    // A deep sentinel wakes for the timers that it saw. `deep_until` is FOREVER while it looks.
    if needs_watch(rt, rt.deep_until.load(Ordering::SeqCst))
        || (poller::waiting() && rt.pool.load().wants_poller())
    {
        arm(rt);
    }
}

/// Give up the processor without waiting for another: this worker's goroutine keeps the thread, or it ends.
pub(super) fn hand_off(rt: &'static Runtime, w: &'static Worker) {
    let Some(proc) = w.proc.take() else { return };
    if w.searching.replace(false) {
        stop_searching(rt);
    }
    if proc.surplus.load(Ordering::Relaxed) {
        // SAFETY: this worker has held it up to here.
        unsafe { empty(rt, proc) };
    }
    let mut lists = rt.lists();
    // A surplus one with an empty queue retires; one that was marked just now is given on with its queue, and whoever
    // gets it steps back.
    let surplus = proc.surplus.load(Ordering::Relaxed);
    if proc.has_work() || !surplus && !rt.injector.is_empty() {
        give(rt, lists, Parcel { proc, task: None, searching: false });
        return;
    }
    let freed = leave_proc(rt, &mut lists, proc);
    drop(lists);
    if freed {
        rt.stackless.retry(rt, rt.class);
    }
    if rt.has_open_work() {
        wake_worker(rt);
    }
    look_after(rt);
    deadlock::look();
}

/// Move all that is queued on a surplus processor to the global queue, and what it keeps to the common stocks. The
/// caller then sees to it that somebody is woken.
///
/// # Safety
/// The calling worker holds `proc`, or has until now.
pub(super) unsafe fn empty(rt: &'static Runtime, proc: &Proc) {
    // SAFETY: the caller's promise.
    let freed = unsafe {
        while let Some(task) =
            proc.pop_next().or_else(|| proc.pop_woken()).or_else(|| proc.take_oldest_fresh())
        {
            rt.injector.push(task);
        }
        proc.local().records.flush(0);
        let stacks = &mut proc.local().stacks;
        let freed = !stacks.is_empty();
        coroutine::release_batch(stacks, 0);
        freed
    };
    if freed {
        rt.stackless.retry(rt, rt.class);
    }
    // The first half of the pair in `pool`, for what went to the global queue.
    fence(Ordering::SeqCst);
}

/// The calling worker holds no processor: wait until it does.
pub(super) fn wait_for_proc(rt: &'static Runtime, w: &'static Worker) {
    let mut lists = rt.lists();
    let injected = w.inbox_len.load(Ordering::Relaxed) != 0;
    if injected {
        // Ready goroutines that only this thread may run: to be found by a worker with a processor, who will
        // hand it to this one.
        rt.inject_inbox(w);
    }
    lists.put_worker(w);
    drop(lists);
    if injected {
        wake_worker(rt);
    }
    deadlock::look();
    wait_in_list(rt, w, rt.lists());
}

/// Told by the owner of `proc`, after it published a goroutine there while some processor is idle.
#[cold]
pub(super) fn tell(rt: &'static Runtime, proc: &Proc) {
    let state = rt.pool.load();
    if state.wants_worker() && (proc.has_fresh() || proc.woken_len() >= WOKEN_BACKLOG) {
        wake_worker(rt);
    }
    if state.wants_arming() {
        arm(rt);
    }
}

const _: () = assert!(MAX_PROCS < 0x8000, "the pool's fields are 16 bits");
