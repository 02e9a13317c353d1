//! What runs next: the scheduler's central decision.
//!
//! The one thing to know: [`next_task`] is the only place where a worker gets a goroutine from, and it returns
//! without one only if the worker's thread is to end. In order: what came with the processor; a fairness tick; the own run queue; the global
//! queue; other processors' fresh goroutines; sleep.

use super::goroutine::Task;
use super::idle;
use super::proc::{FAIRNESS, NEXT_STREAK, Proc, coarse};
use super::runtime::Runtime;
use super::timer::TimerHeap;
use super::worker::Worker;
use super::{pin, poller, thread};
use crate::coroutine;
use crate::primitive::atomic::{Ordering, fence};
use crate::primitive::{FOREVER, now, relax};

/// How many times a searching worker looks round, and how long it waits in between, in spins: about 15 us in
/// all, a few times what being woken costs.
const ROUNDS: u32 = 12;
const SPINS: u32 = 50;
/// Timers are looked at when so many ticks of the CPU's counter (about 10 us) have gone by.
pub(super) const TIMER_TICKS: u64 = 25_000;
/// So many hot stacks a processor keeps while it is idle.
const IDLE_STACKS: usize = 8;

/// The next goroutine for `w` to run. Sleeps while there is none. `None`: the worker's thread is to end.
pub(super) fn next_task(rt: &'static Runtime, w: &'static Worker) -> Option<Task> {
    while !w.ended.get() {
        if !w.locked.get().is_null() {
            pin::wait_for_locked(rt, w);
        }
        if let Some(task) = w.first.take() {
            stop_searching(rt, w);
            return Some(task);
        }
        let proc = w.held();
        if proc.surplus.load(Ordering::Relaxed) {
            step_back(rt, w, proc);
            continue;
        }
        if let Some(task) = pick(rt, w, proc) {
            stop_searching(rt, w);
            return Some(task);
        }
        if let Some(task) = search(rt, w, proc) {
            stop_searching(rt, w);
            return Some(task);
        }
        // SAFETY: this worker holds `proc`.
        let local = unsafe { proc.local() };
        let keep = if rt.stackless.any() { 0 } else { IDLE_STACKS };
        if local.stacks.len() > keep {
            coroutine::release_batch(&mut local.stacks, keep);
            rt.stackless.retry(rt, rt.class);
        }
        idle::go_idle(rt, w);
    }
    None
}

/// From what belongs to the processor, and at fairness ticks from the global queue.
#[inline]
fn pick(rt: &'static Runtime, w: &'static Worker, proc: &'static Proc) -> Option<Task> {
    if (proc.timers.next() != FOREVER || rt.timers.next() != FOREVER || poller::in_use()) && timers_wait(proc)
    {
        let time = now();
        // SAFETY: this worker holds `proc`.
        unsafe { proc.local().clock = coarse(time) };
        run_timers(&proc.timers, time);
        run_timers(&rt.timers, time);
        poller::poll_if_stale(rt);
    }
    // SAFETY: this worker holds `proc`, and nothing below runs code that takes `local` as well.
    let local = unsafe { proc.local() };
    local.tick = local.tick.wrapping_add(1);
    proc.count_tick(local.tick);
    if w.inbox_len.load(Ordering::Relaxed) != 0
        && let Some(task) = inbox(rt, w, proc)
    {
        return Some(task);
    }
    if local.tick.is_multiple_of(FAIRNESS) {
        local.clock = coarse(now());
        // In turn, so that neither starves behind the other.
        let old = if (local.tick / FAIRNESS).is_multiple_of(2) {
            inject_one(rt).or_else(|| proc.take_oldest_fresh())
        } else {
            proc.take_oldest_fresh().or_else(|| inject_one(rt))
        };
        if old.is_some() {
            leave_behind(rt, proc);
            return old;
        }
        if rt.stackless.any() && !local.stacks.is_empty() {
            // Somebody waits for what lies here.
            coroutine::release_batch(&mut local.stacks, 0);
            rt.stackless.retry(rt, rt.class);
        }
    }
    // SAFETY: this worker holds `proc`.
    unsafe {
        if local.prefer_fresh {
            local.prefer_fresh = false;
            if let Some(task) = proc.pop_fresh() {
                return Some(task);
            }
        }
        if let Some(task) = proc.pop_next() {
            if local.next_streak < NEXT_STREAK {
                local.next_streak += 1;
                return Some(task);
            }
            // Two that wake each other have had their share.
            proc.push(task);
        }
        local.next_streak = 0;
        proc.pop_woken().or_else(|| proc.pop_fresh())
    }
    .or_else(|| inject_one(rt))
}

/// A goroutine that may run on this thread only.
#[cold]
fn inbox(rt: &'static Runtime, w: &Worker, proc: &Proc) -> Option<Task> {
    let task = pin::take_inbox(rt, w)?;
    leave_behind(rt, proc);
    Some(task)
}

/// Something goes before what is queued here, and whoever queued that counted on its turn: a goroutine that
/// yields tells nobody.
fn leave_behind(rt: &'static Runtime, proc: &Proc) {
    fence(Ordering::SeqCst);
    if rt.pool.load().wants_telling(true) && proc.has_work() {
        idle::tell(rt, proc);
    }
}

/// Have the timers not been looked at for about 10 us?
#[inline]
fn timers_wait(proc: &Proc) -> bool {
    // SAFETY: this worker holds `proc`.
    let last = unsafe { &mut proc.local().last_look };
    let cycles = cycles();
    let wait = cycles.wrapping_sub(*last) > TIMER_TICKS;
    if wait {
        *last = cycles;
    }
    wait
}

fn inject_one(rt: &Runtime) -> Option<Task> {
    if rt.injector.is_empty() {
        return None;
    }
    loop {
        match rt.injector.steal() {
            crossbeam_deque::Steal::Success(task) => return Some(task),
            crossbeam_deque::Steal::Empty => return None,
            crossbeam_deque::Steal::Retry => relax(),
        }
    }
}

/// Fire what is due in a heap; what it wakes or starts goes to the calling worker's processor, whose
/// `local` the caller must not hold: to start a goroutine takes it.
fn run_timers(timers: &TimerHeap, time: i64) -> bool {
    // SAFETY: called on the scheduler's stack with no lock and no `local` held, as firing demands.
    timers.next() <= time && unsafe { timers.run_expired(time) } > 0
}

/// Look for work elsewhere for some microseconds.
fn search(rt: &'static Runtime, w: &'static Worker, proc: &'static Proc) -> Option<Task> {
    let made = rt.top();
    if let Some(victim) = w.victim.take()
        && let Some(task) = victim.steal_woken()
    {
        Proc::count(&proc.steals);
        return Some(task);
    }
    if let Some(task) = poll_fds(rt, proc) {
        return Some(task);
    }
    if !w.searching.get() {
        if !rt.pool.try_search(rt.limit.load(Ordering::Relaxed)) {
            return None;
        }
        w.searching.set(true);
    }
    // SAFETY: `look` belongs to this thread, and nothing called below touches it.
    let look = unsafe { &mut *w.look.get() };
    let rounds = if made == 1 { 1 } else { ROUNDS };
    let time = now();
    // SAFETY: this worker holds `proc`.
    unsafe { proc.local().clock = coarse(time) };
    look.look(rt, time);
    for round in 0..rounds {
        if let Some(task) = inject_one(rt) {
            return Some(task);
        }
        let start = w.random() as usize % made;
        let mut due = rt.timers.next() != FOREVER;
        for i in 0..made {
            let other = rt.proc((start + i) % made);
            due |= other.timers.next() != FOREVER;
            if std::ptr::eq(other, proc) {
                continue;
            }
            // SAFETY: this worker holds `proc`.
            if let Some(task) = unsafe { other.steal_fresh(proc).or_else(|| other.steal_backlog(proc)) } {
                Proc::count(&proc.steals);
                return Some(task);
            }
        }
        if due {
            let time = now();
            let mut fired = run_timers(&rt.timers, time);
            for other in rt.procs() {
                fired |= run_timers(&other.timers, time);
            }
            if fired {
                // Woken goroutines, and fresh ones: a timer may start some.
                let task = pop_any(proc);
                if task.is_some() {
                    return task;
                }
            }
        }
        if round > 0
            && let Some(task) = poll_fds(rt, proc)
        {
            return Some(task);
        }
        if round + 1 < rounds {
            for _ in 0..SPINS {
                relax();
            }
        }
        if w.inbox_len.load(Ordering::Relaxed) != 0 {
            return inbox(rt, w, proc);
        }
    }
    match look.look(rt, now()).0 {
        idle::Find::Stalled(victim) => victim.steal_woken().inspect(|_| Proc::count(&proc.steals)),
        _ => None,
    }
}

/// What the calling worker, which holds `proc`, has just queued there itself.
fn pop_any(proc: &Proc) -> Option<Task> {
    // SAFETY: the caller's worker holds it.
    unsafe { proc.pop_next().or_else(|| proc.pop_woken()).or_else(|| proc.pop_fresh()) }
}

/// Ask for descriptors that are ready, if anybody waits for one; the calling worker holds `proc`.
fn poll_fds(rt: &'static Runtime, proc: &Proc) -> Option<Task> {
    if poller::waiting() && poller::poll(rt) { pop_any(proc) } else { None }
}

/// The worker has found something: it counts as searching no more, and if it was the last to search, it looks
/// for more and wakes the next.
#[inline]
fn stop_searching(rt: &'static Runtime, w: &'static Worker) {
    if w.searching.get() {
        w.searching.set(false);
        idle::stop_searching(rt);
    }
}

/// The processor is surplus: leave its goroutines to the others, and find another processor.
#[cold]
fn step_back(rt: &'static Runtime, w: &'static Worker, proc: &'static Proc) {
    // Acquire pairs with the Release in `stop_all`: who sees its mark sees `exiting`.
    proc.surplus.load(Ordering::Acquire);
    if rt.exiting.load(Ordering::Relaxed) {
        thread::stop_here(rt);
    }
    // SAFETY: this worker holds `proc`.
    unsafe { idle::empty(rt, proc) };
    let mut lists = rt.lists();
    if lists.closed {
        drop(lists);
        thread::stop_here(rt);
    }
    if !proc.surplus.load(Ordering::Relaxed) {
        // The limit was raised again meanwhile.
        drop(lists);
        idle::wake_worker(rt);
        return;
    }
    w.proc.set(None);
    rt.retire(&mut lists, proc);
    drop(lists);
    if w.searching.replace(false) {
        idle::stop_searching(rt);
    }
    idle::wake_worker(rt);
    idle::arm(rt);
    idle::wait_for_proc(rt, w);
}

/// The CPU's own counter: monotonic enough to tell whether about 10 us have gone by.
#[inline]
pub(super) fn cycles() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 CPU has the instruction, and Linux lets user space run it.
    unsafe {
        std::arch::x86_64::_rdtsc()
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        // Nanoseconds, scaled to what TIMER_TICKS expects.
        (now() as u64).wrapping_mul(5) / 2
    }
}
