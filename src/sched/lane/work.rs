//! The loop of a lane's thread: run what was picked, pick the next, sleep where there is none.
//!
//! The one thing to know: `thread_busy` was called, and `thread_idle` was not yet, exactly while the thread may run
//! goroutines. `thread_idle` is called *before* the slot is given up, so that no more threads are busy than there are slots
//! (if none was taken away); hence the queue is looked at again when it returns.

use super::close;
use super::member::{Mail, Member, Seat};
use super::turn::{self, After, Picked};
use crate::coroutine::{self, Coroutine};
use crate::inspect::deadlock;
use crate::primitive::atomic::Ordering;
use crate::primitive::{ACCOUNTED, FOREVER, now};
use crate::sched::current;
use crate::sched::goroutine::Kind;
use crate::sched::runtime::Runtime;
use crate::sched::worker::Worker;
use std::ptr::from_ref;

/// For so long a thread sleeps that is one too many, ns.
const SPARE: i64 = 2_000_000_000;

/// What a lane's thread does. Returns when it is not to be used any more.
/// Not inlined: its frame is all below its caller's, which `roster` relies on.
#[inline(never)]
pub(in crate::sched) fn work(rt: &'static Runtime, w: &'static Worker) {
    current::set_worker(from_ref(w).cast_mut());
    w.exceptions.look();
    let m = w.seat();
    let hooks = &m.lane.hooks;
    hooks.thread(hooks.thread_start);
    // SAFETY: the thread is counted by the lane.
    unsafe {
        let mut state = m.lane.lock();
        state.slots.arrive(Seat(w));
        state.seats.push(Seat(w));
    }
    let mut next = sleep(rt, w, m, true);
    while let Some(picked) = next {
        let after = if m.lane.closed.load(Ordering::Relaxed) || rt.exiting.load(Ordering::Relaxed) {
            give_up(m, picked)
        } else if let Some(g) = turn::begin(rt, w, m, picked) {
            // SAFETY: `begin` has made it this thread's.
            unsafe { Coroutine::resume(&raw mut (*g).coroutine) };
            turn::leave(rt, w, m, g)
        } else {
            After::Nothing
        };
        next = self::next(rt, w, m, after);
    }
    end(rt, w, m);
}

/// What to run next: `after` what has just left. Sleeps while there is none. `None`: the thread is to end.
fn next(rt: &'static Runtime, w: &'static Worker, m: &Member, after: After) -> Option<Picked> {
    let lane = m.lane;
    let hooks = &lane.hooks;
    let kept = after.keeps();
    let over = matches!(after, After::Over | After::Ended { takes_thread: true, .. });
    let mut busy = !matches!(after, After::Called(_));
    // SAFETY: here and below: the thread is counted by the lane.
    let mut state = unsafe { lane.lock() };
    let stack = turn::settle(rt, &mut state, m, &after);
    if let After::Ended { .. } = after
        && (stack.is_some() || state.living == 0 && state.handles == 0)
    {
        // The last goroutine of a lane that nobody has a handle of; this thread keeps it.
        state.leave();
        if let Some(stack) = stack {
            coroutine::release(stack);
            rt.stackless.retry(rt, stack.class());
        }
        // SAFETY: as above.
        state = unsafe { lane.lock() };
    }
    loop {
        if !over && let Some(task) = state.slots.pick(Seat(w), kept) {
            let stack = match task.kind() {
                Kind::Fresh(fresh) if class_of(fresh) == lane.class => state.take_stack(),
                _ => None,
            };
            let what = state.slots.dispatch();
            state.perform(what);
            if !busy {
                hooks.thread(hooks.thread_busy);
            }
            return Some(Picked { task, stack });
        }
        if busy {
            drop(state);
            hooks.thread(hooks.thread_idle);
            busy = false;
            // SAFETY: as above.
            state = unsafe { lane.lock() };
            continue;
        }
        let ends = over || state.slots.is_closed();
        let what = if ends { state.slots.go(Seat(w)) } else { state.slots.sleep(Seat(w), kept) };
        let at_rest = state.slots.used() == 0;
        let freed = at_rest && state.release_stacks(rt.stackless.any());
        state.perform(what);
        if at_rest && rt.stackless.any() {
            if freed {
                rt.stackless.retry(rt, lane.class);
            }
            rt.stackless.check(rt);
        }
        rt.pending.lower();
        if rt.exiting.load(Ordering::Relaxed) {
            close::stop_here();
        }
        if ends {
            return None;
        }
        deadlock::look();
        return sleep(rt, w, m, kept);
    }
}

fn class_of(fresh: *mut crate::sched::goroutine::Fresh) -> coroutine::Class {
    // SAFETY: the record was just taken out of the queue: it is the caller's.
    unsafe { (*fresh).class }
}

/// Sleep until there is something to run, and be busy then. The thread is in one of the lists of those who sleep, or about
/// to be sent its first task. `kept`: it sleeps for one goroutine, or its first. `None`: it is to end.
fn sleep(rt: &'static Runtime, w: &'static Worker, m: &Member, kept: bool) -> Option<Picked> {
    let lane = m.lane;
    let mut until = if kept { FOREVER } else { now() + SPARE };
    loop {
        // SAFETY: this is the owner's thread.
        match unsafe { m.mail.take() } {
            Some(Mail::Run(task)) => {
                w.exceptions.look();
                lane.hooks.thread(lane.hooks.thread_busy);
                return Some(Picked { task, stack: None });
            }
            Some(Mail::End) => return None,
            None => {}
        }
        if until != FOREVER && now() >= until {
            // SAFETY: the thread is counted by the lane.
            let mut state = unsafe { lane.lock() };
            if state.threads > lane.limit && state.slots.retire(Seat(w)) {
                return None;
            }
            until = FOREVER;
            continue;
        }
        if rt.exiting.load(Ordering::Relaxed) && !m.mail.has_mail() {
            close::stop_here();
        }
        w.entry.asleep.set(true);
        m.mail.sleep(until);
        w.entry.asleep.set(false);
    }
}

/// The lane was closed while a task was on its way here.
#[cold]
fn give_up(m: &Member, Picked { task, stack }: Picked) -> After {
    if let Some(stack) = stack {
        coroutine::release(stack);
    }
    // SAFETY: the thread is counted by the lane.
    turn::discard(&mut unsafe { m.lane.lock() }, task);
    After::Over
}

/// The thread's last steps: it holds no slot and is in no list of those who sleep.
fn end(rt: &'static Runtime, w: &'static Worker, m: &Member) {
    // There is code of the user's to come, the hook and the destructors of thread-local data, which may wake anybody.
    ACCOUNTED.sub();
    m.lane.hooks.thread(m.lane.hooks.thread_end);
    rt.threads.fetch_sub(1, Ordering::Relaxed);
    // SAFETY: the thread is counted by the lane, up to here.
    unsafe {
        let mut state = m.lane.lock();
        turn::settle(rt, &mut state, m, &After::Nothing);
        state.seats.retain(|seat| *seat != Seat(w));
        state.threads -= 1;
        close::thread_ended(state);
    }
    // Nobody else may look when this thread is gone.
    deadlock::look();
    deadlock::ask();
}
