//! The lanes' monitor: a goroutine that keeps a slot for long does not keep the others waiting.
//!
//! The one thing to know: **a slot is taken away, and never a thread from its goroutine**: that goes on as it is, without a
//! slot, and its thread needs one for the next. What the slot is given to runs on another thread. A lane that is strict is
//! left alone, and so is a thread that waits in a hook (`thread_busy`, say, for a lock of the owner's): another one would
//! wait there too.
//!
//! **Who is stuck**: a thread that holds a slot and has been in the same turn of a goroutine for 10 ms, while something waits
//! in its lane. All that are stuck lose their slots at once.
//!
//! **Chains.** 64 goroutines that block one after the other in a lane of one slot would hold up the rest for 64 times 10 ms.
//! So for 16 ms after a slot was taken away the monitor looks every half millisecond, and takes one for stuck after half a
//! millisecond more in which its thread used no CPU time: it is blocked, and does not compute. Each such replacement
//! prolongs that time; a goroutine that computes is taken for stuck after 10 ms, always.
//!
//! **When it sleeps**: while nothing waits in any lane that is not strict. It says so, and then looks at all lanes once more,
//! under their locks; who queues something that must wait, under its lane's lock, reads what it has said. Of the two who hold
//! that lock one after the other the second sees what the first has done.

use super::member::{Member, Seat, Seen};
use super::record::{Lane, Locked, act};
use super::slots::Move;
use crate::inspect::deadlock;
use crate::primitive::atomic::{AtomicBool, AtomicU32, Ordering};
use crate::primitive::{FOREVER, futex_wait, futex_wake, now, start_helper};
use crate::sched::runtime::Runtime;

/// Between two looks, ns; and for so long, at least, is one in a turn that is stuck.
const TICK: i64 = 10_000_000;
/// The same for a while after a replacement, of those that are blocked.
const HURRIED_TICK: i64 = 500_000;
const HURRY: i64 = 16_000_000;
/// A thread that uses less CPU time than this part of the time that has gone by is blocked.
const BLOCKED: i64 = 8;
/// Its thread's stack; it may have to report that there are too many threads.
const STACK: usize = 256 * 1024;

const AWAKE: u32 = 0;
const ASLEEP: u32 = 1;

pub(in crate::sched) struct Monitor {
    /// Futex.
    word: AtomicU32,
    started: AtomicBool,
}

impl Monitor {
    pub(super) fn new() -> Self {
        Monitor { word: AtomicU32::new(AWAKE), started: AtomicBool::new(false) }
    }

    /// How many threads it is.
    pub(in crate::sched) fn threads(&self) -> u64 {
        self.started.load(Ordering::Relaxed).into()
    }

    /// There is something to monitor from here on.
    pub(super) fn ensure(&self, rt: &'static Runtime) {
        if !self.started.load(Ordering::Relaxed) && !self.started.swap(true, Ordering::Relaxed) {
            let thread = start_helper("gort-lanes", STACK, move || run(rt));
            if thread.is_err() {
                // No memory, or no more threads: the next lane tries again.
                self.started.store(false, Ordering::Relaxed);
            }
        }
    }
}

impl Lane {
    /// To be called before the lock is given back by whoever has queued or picked something.
    #[inline]
    pub(super) fn monitor_if_waiting(&self, state: &Locked) {
        // Relaxed: ordered by the lock. See the module comment.
        let word = &self.rt.lanes.monitor.word;
        if !self.strict
            && state.slots.waits()
            && word.load(Ordering::Relaxed) == ASLEEP
            && word.swap(AWAKE, Ordering::Relaxed) == ASLEEP
        {
            futex_wake(word, 1);
        }
    }
}

fn run(rt: &'static Runtime) {
    // SAFETY: a timer slack of 1 ns: sleeping must be precise.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1usize) };
    // This thread was not accounted for until it came, and may have kept others from finding a deadlock.
    deadlock::look();
    let word = &rt.lanes.monitor.word;
    let mut hurry = 0;
    loop {
        let time = now();
        let waits = look(rt, time, &mut hurry);
        if waits {
            let pause = if time < hurry { HURRIED_TICK } else { TICK };
            futex_wait(word, AWAKE, time + pause);
            continue;
        }
        word.store(ASLEEP, Ordering::Relaxed);
        if anything_waits(rt) {
            word.store(AWAKE, Ordering::Relaxed);
            futex_wait(word, AWAKE, now() + TICK);
        }
        while word.load(Ordering::Relaxed) == ASLEEP {
            futex_wait(word, ASLEEP, FOREVER);
        }
    }
}

fn anything_waits(rt: &Runtime) -> bool {
    rt.lanes.list().iter().any(|lane| {
        // SAFETY: in the list, and the list is locked.
        unsafe { !(*lane.0).strict && (*lane.0).lock().slots.waits() }
    })
}

/// One tick: does anything wait?
fn look(rt: &Runtime, time: i64, hurry: &mut i64) -> bool {
    let mut any = false;
    for lane in rt.lanes.list().iter() {
        // SAFETY: in the list, and the list is locked.
        let lane = unsafe { &*lane.0 };
        if !lane.strict {
            any |= look_at(lane, time, hurry);
        }
    }
    any
}

fn look_at(lane: &Lane, time: i64, hurry: &mut i64) -> bool {
    let hurried = time < *hurry;
    // SAFETY: in the list, and the list is locked.
    let mut state = unsafe { lane.lock() };
    if !state.slots.waits() {
        return false;
    }
    let mut moves: Vec<Move<Seat, _>> = Vec::new();
    for i in 0..state.seats.len() {
        let Seat(w) = state.seats[i];
        let m = w.seat();
        if !state.slots.holds(Seat(w)) || !is_stuck(m, w.entry.tid(), time, hurried) {
            continue;
        }
        let what = state.slots.retake(Seat(w));
        if !matches!(what, Move::Nothing) {
            state.prepare(&what);
            moves.push(what);
            *hurry = time + HURRY;
        }
    }
    drop(state);
    for what in moves {
        act(lane, what);
    }
    true
}

/// Has the thread been in one turn for long? Remembers what it saw.
fn is_stuck(m: &Member, tid: i32, time: i64, hurried: bool) -> bool {
    let seen = m.seen.get();
    let turns = m.turns();
    if !m.runs() {
        m.seen.set(Seen { turns, since: 0, cpu: 0 });
        return false;
    }
    if seen.turns != turns || seen.since == 0 {
        m.seen.set(Seen { turns, since: time, cpu: cpu_time(tid) });
        return false;
    }
    let age = time - seen.since;
    if age >= TICK {
        return true;
    }
    hurried && age >= HURRIED_TICK && cpu_time(tid).saturating_sub(seen.cpu) < age / BLOCKED
}

/// The CPU time that a thread of this process has used, ns; a very long time if that is not known.
fn cpu_time(tid: i32) -> i64 {
    // As the C library does it: the complement of the number, "of a thread" (4), "as scheduled" (2).
    let clock = !tid << 3 | 4 | 2;
    let mut ts = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a place for the answer. A thread that is gone, or another's, gives an error.
    if unsafe { libc::clock_gettime(clock, &mut ts) } != 0 {
        return 0;
    }
    ts.tv_sec * 1_000_000_000 + ts.tv_nsec
}
