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
//! Lock order: the lists' lock is the outermost; under it only an inbox's and, where stacks are given back, the
//! stack pool's.

use super::poller::{self, Harvest};
use super::pool::Watch;
use super::proc::{MAX_PROCS, Proc, WOKEN_BACKLOG};
use super::runtime::Runtime;
use super::thread;
use super::worker::{Parcel, Worker};
use crate::coroutine;
use crate::inspect::deadlock;
use crate::primitive::atomic::{Ordering, fence};
use crate::primitive::{FOREVER, now};
use std::ptr::null_mut;
use std::sync::MutexGuard;

/// First and longest interval between two looks of an armed sentinel, ns.
const LOOK_FIRST: i64 = 50_000;
const LOOK_LONGEST: i64 = 400_000;
/// A queue that moves slower than one pick in this many ns is worth stealing woken goroutines from.
const COARSE: i64 = 4_000;
/// So many looks in a row at empty queues, and the sentinel goes deep.
const EMPTY_LOOKS: u32 = 4;
/// An idle worker for whom there is no idle processor ends when that has been so for so long, ns.
const SPARE: i64 = 2_000_000_000;
/// A timer of a processor that somebody runs on is left to that one for this long, ns.
const TIMER_GRACE: i64 = 30_000;

/// Processors and workers with nothing to do. Guarded by the runtime's `idle` lock.
pub(super) struct Lists {
    pub(super) procs: Vec<&'static Proc>,
    pub(super) workers: Vec<&'static Worker>,
    pub(super) sentinel: Option<&'static Worker>,
    /// Threads that were started to keep the watch and have not come yet.
    coming: u32,
    /// The process exits: no processor is given out any more.
    pub(super) closed: bool,
}

impl Lists {
    pub(super) const fn new() -> Self {
        Lists { procs: Vec::new(), workers: Vec::new(), sentinel: None, coming: 0, closed: false }
    }

    fn is_sentinel(&self, w: &Worker) -> bool {
        self.sentinel.is_some_and(|s| std::ptr::eq(s, w))
    }

    /// Put a processor with an empty run queue into the list; one that is surplus retires.
    pub(super) fn put_proc(&mut self, rt: &Runtime, proc: &'static Proc) {
        if proc.surplus.load(Ordering::Relaxed) && !self.closed {
            rt.retire(self, proc);
            return;
        }
        proc.idle.store(true, Ordering::Relaxed);
        proc.running.store(null_mut(), Ordering::Relaxed);
        self.procs.push(proc);
        if self.sentinel.is_none() && self.coming == 0 {
            // Whoever armed the watch while there was nobody idle to keep it, has to do so again.
            rt.pool.set_watch(Watch::None);
        }
        rt.pool.add_idle();
    }

    /// Take a processor out of the list.
    pub(super) fn take_proc(&mut self, rt: &Runtime) -> Option<&'static Proc> {
        if self.closed {
            return None;
        }
        let proc = self.procs.pop()?;
        proc.idle.store(false, Ordering::Relaxed);
        rt.pool.sub_idle();
        rt.monitor.nap.rouse();
        Some(proc)
    }

    /// Take the one with the highest number out of the list, to retire.
    pub(super) fn drop_proc(&mut self, rt: &Runtime) -> Option<&'static Proc> {
        let last = (0..self.procs.len()).max_by_key(|&i| self.procs[i].id)?;
        let proc = self.procs.remove(last);
        proc.idle.store(false, Ordering::Relaxed);
        rt.pool.sub_idle();
        Some(proc)
    }

    fn put_worker(&mut self, w: &'static Worker) {
        w.in_idle_list.set(true);
        w.dozes.set(false);
        self.workers.push(w);
    }

    /// Take this worker out of the list; its role, if it was the sentinel, is vacant then.
    pub(super) fn remove_worker(&mut self, rt: &Runtime, w: &'static Worker) {
        w.in_idle_list.set(false);
        self.workers.retain(|x| !std::ptr::eq(*x, w));
        if self.is_sentinel(w) {
            self.vacate(rt);
        }
    }

    /// Give the stacks that idle processors keep to the pool; false: there were none.
    pub(super) fn release_stacks(&self) -> bool {
        let mut any = false;
        for idle in &self.procs {
            // SAFETY: nobody holds a processor that is in the list, and the list is locked.
            let stacks = unsafe { &mut idle.local().stacks };
            any |= !stacks.is_empty();
            coroutine::release_batch(stacks, 0);
        }
        any
    }

    /// Are there more idle workers than idle processors could need, and may it be `w` that is too many? They are those
    /// that stood in for others, whose goroutine kept its worker for long.
    fn is_spare(&self, w: &Worker) -> bool {
        self.workers.len() > self.procs.len()
            && w.in_idle_list.get()
            && !self.is_sentinel(w)
            && w.pinned.get() == 0
            && !self.closed
    }

    /// Processors were taken out of the list for good: let those who have become spare see it.
    pub(super) fn tell_spare(&self) {
        self.workers.iter().for_each(|w| w.poke());
    }

    /// Nobody is the sentinel.
    fn vacate(&mut self, rt: &Runtime) {
        self.sentinel = None;
        // What the last one slept to binds nobody any more.
        rt.deep_until.store(FOREVER, Ordering::SeqCst);
        rt.pool.set_watch(Watch::None);
    }

    /// There is something to watch over and nobody who does: become the sentinel.
    fn take_vacant_role(&mut self, rt: &Runtime, w: &'static Worker) {
        let vacant = self.sentinel.is_none() && !self.procs.is_empty() && !self.closed;
        if vacant && w.in_idle_list.get() {
            self.sentinel = Some(w);
            rt.pool.set_watch(Watch::Armed);
        }
    }

    /// Descriptors are waited for, nobody is busy any more, and the sentinel sleeps for a while without seeing them:
    /// become it, in its place. When it wakes it finds that it is not.
    fn take_role(&mut self, rt: &Runtime, w: &'static Worker) {
        let all_idle = self.procs.len() as u32 >= rt.limit.load(Ordering::Relaxed);
        if all_idle && w.in_idle_list.get() && rt.pool.load().watch() != Watch::Poller && !self.closed {
            self.sentinel = Some(w);
            rt.deep_until.store(FOREVER, Ordering::SeqCst);
            rt.pool.set_watch(Watch::Armed);
        }
    }

    /// The role is vacant: give it to an idle worker that is about to look round anyway, if there is one. It need not be
    /// woken for it, which would cost more than many an event takes to serve.
    fn give_role_to_a_dozer(&mut self, rt: &Runtime) -> bool {
        let dozer = self.workers.iter().copied().find(|w| w.dozes.get());
        if dozer.is_none() || self.sentinel.is_some() || self.procs.is_empty() {
            return false;
        }
        self.sentinel = dozer;
        rt.pool.set_watch(Watch::Armed);
        true
    }

    /// Take a worker out of the list, the sentinel only if there is no other.
    fn take_worker(&mut self, rt: &Runtime) -> Option<&'static Worker> {
        let w = self.workers.iter().rev().find(|w| !self.is_sentinel(w)).or(self.workers.last())?;
        let w = *w;
        self.remove_worker(rt, w);
        Some(w)
    }
}

/// What a worker saw of the processors when it last looked.
pub(super) struct Look {
    at: i64,
    seen: Vec<Seen>,
}

#[derive(Clone, Copy, Default)]
struct Seen {
    ticks: u32,
    had_work: bool,
}

/// What there is to do.
pub(super) enum Find {
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
    pub(super) const fn new() -> Self {
        Look { at: 0, seen: Vec::new() }
    }

    /// Look at everything. Also the deadline of the earliest timer (with the grace for those in good hands).
    pub(super) fn look(&mut self, rt: &Runtime, time: i64) -> (Find, i64) {
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

/// Until there is a processor, or the worker is to end.
fn wait_in_list(rt: &'static Runtime, w: &'static Worker, mut lists: MutexGuard<'_, Lists>) {
    let mut give_up = FOREVER;
    // A sentinel that lost its role to one who had come to it by a descriptor (`take_role`) is likely to get it back soon:
    // it dozes on as long as the poller is asked meanwhile.
    let mut asked = poller::last_poll();
    let mut doze = false;
    loop {
        lists.take_vacant_role(rt, w);
        let sentinel = lists.is_sentinel(w);
        let spare = lists.is_spare(w);
        if spare && give_up != FOREVER && now() >= give_up {
            // Out of the list, so nobody sends it anything any more, and with nothing in its mail: whoever sends takes
            // it out first.
            lists.remove_worker(rt, w);
            drop(lists);
            thread::end(rt, w);
            return;
        }
        let last = poller::last_poll();
        doze &= last != asked && w.in_idle_list.get() && !lists.procs.is_empty();
        asked = last;
        w.dozes.set(doze && !sentinel);
        drop(lists);
        give_up = match spare {
            false => FOREVER,
            true if give_up == FOREVER => now() + SPARE,
            true => give_up,
        };
        if sentinel {
            if watch(rt, w) {
                return;
            }
            doze = true;
        } else {
            let until = if doze { now() + LOOK_LONGEST } else { FOREVER };
            w.sleep(give_up.min(until));
        }
        if w.take_mail() {
            return;
        }
        lists = rt.lists();
    }
}

/// Keep watch; true: the worker holds a processor. False: there is mail, or the role is gone.
fn watch(rt: &'static Runtime, w: &'static Worker) -> bool {
    // SAFETY: `look` belongs to this thread, and nothing called below touches it.
    let look = unsafe { &mut *w.look.get() };
    let (mut interval, mut empty) = (LOOK_FIRST, 0);
    // Whether somebody else asks the poller: to begin with, those who are busy will.
    let (mut asked, mut polled) = (poller::last_poll(), true);
    loop {
        // Before the look: who puts a processor with a timer into the list meanwhile must arm us.
        if !say(rt, w, || {
            rt.deep_until.store(FOREVER, Ordering::SeqCst);
            w.dozes.set(true);
        }) {
            return false;
        }
        let time = now();
        let (find, earliest) = look.look(rt, time);
        let state = rt.pool.load();
        if state.idle() == 0 {
            // Everybody is busy and looks after itself: no use for a sentinel.
            let mut lists = rt.lists();
            if lists.procs.is_empty() && lists.is_sentinel(w) {
                lists.vacate(rt);
            }
            return false;
        }
        match find {
            Find::Work => return take_up(rt, w, None),
            Find::Stalled(proc) => return take_up(rt, w, Some(proc)),
            Find::Busy => empty = 0,
            Find::Nothing => empty += 1,
        }
        let all_idle = state.idle() >= rt.limit.load(Ordering::Relaxed);
        // After the fence in `look`, as all that is looked at.
        let waiting = poller::waiting();
        let elsewhere = waiting && polled && !all_idle;
        let mut deadline = earliest;
        if state.watch() == Watch::Armed {
            if (empty >= EMPTY_LOOKS && !elsewhere) || (all_idle && empty > 0) {
                // Say it, then look again: the loop's next turn. What is published after that look finds Deep.
                let deep = if waiting { Watch::Poller } else { Watch::Deep };
                if !say(rt, w, || rt.pool.set_watch(deep)) {
                    return false;
                }
                continue;
            }
            deadline = deadline.min(time + interval);
            interval = (2 * interval).min(LOOK_LONGEST);
        } else if waiting && state.watch() != Watch::Poller {
            // Somebody has begun to wait since the watch was read, or is about to arm us.
            if !say(rt, w, || rt.pool.set_watch(Watch::Poller)) {
                return false;
            }
            continue;
        } else if empty == 0 || elsewhere {
            if !say(rt, w, || rt.pool.set_watch(Watch::Armed)) {
                return false;
            }
            continue;
        } else if !say(rt, w, || {
            rt.deep_until.store(earliest, Ordering::SeqCst);
            w.dozes.set(false);
        }) {
            return false;
        }
        // Who begins to wait now reads Poller, if that is what was said, and relies on it.
        let in_poller = state.watch() == Watch::Poller || (waiting && !elsewhere);
        if in_poller {
            poller::sleep(w, deadline);
        } else {
            w.sleep(deadline);
        }
        let last = poller::last_poll();
        polled = last != asked;
        if in_poller {
            let harvest = Harvest::take();
            if !harvest.is_empty() {
                // First a processor, then who is ready for it.
                let taken = take_proc_for(rt, w, true);
                harvest.wake();
                if taken {
                    return true;
                }
            }
        }
        asked = poller::last_poll();
        if w.has_mail() {
            return false;
        }
    }
}

/// The sentinel says something of itself, if it still is the sentinel. Under the lists' lock: who has lost the
/// role must not speak for whoever has it now.
fn say(rt: &Runtime, w: &Worker, what: impl FnOnce()) -> bool {
    let lists = rt.lists();
    let mine = lists.is_sentinel(w);
    if mine {
        what();
    }
    mine
}

/// The sentinel has found something to do: take a processor and go.
fn take_up(rt: &'static Runtime, w: &'static Worker, victim: Option<&'static Proc>) -> bool {
    let taken = take_proc_for(rt, w, false);
    if taken {
        w.victim.set(victim);
    }
    taken
}

/// Take a processor for the sentinel, which leaves the role; it counts as searching. False: a processor is on its way
/// to it already, or all are busy. `briefly`: it is taken for descriptors that are ready, and likely to be back soon.
fn take_proc_for(rt: &'static Runtime, w: &'static Worker, briefly: bool) -> bool {
    let mut lists = rt.lists();
    if !w.in_idle_list.get() {
        return false;
    }
    let Some(proc) = lists.take_proc(rt) else {
        // All are busy now: no use for a sentinel. Whoever goes idle next takes the role.
        if lists.is_sentinel(w) {
            lists.vacate(rt);
        }
        return false;
    };
    lists.remove_worker(rt, w);
    if briefly && lists.give_role_to_a_dozer(rt) {
        drop(lists);
    } else {
        leave_sentinel(rt, lists);
    }
    // SAFETY: just taken out of the list.
    unsafe { w.hold(proc) };
    w.searching.set(true);
    rt.pool.add_searching();
    true
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
