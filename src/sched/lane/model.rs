//! Loom models of a lane's book and of sleeping, and of broken variants of them: every variant is a test that must panic.
//!
//! The one thing to know: the real [`Slots`] and [`Mailbox`], under a lock, with threads that follow `work::next` step by
//! step. A goroutine is a number and, perhaps, the thread that it keeps; loom watches a cell of each, so two that run one at
//! the same time are found, and one that nobody runs is a thread that sleeps for ever.

use super::slots::{Bug, Move, Ready, Slots};
use crate::primitive::FOREVER;
use crate::sched::mail::Mailbox;
use loom::cell::UnsafeCell;
use loom::sync::Mutex;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::thread::{self, JoinHandle};
// Not loom's: dropping that one while a failed model unwinds is a second panic.
use std::sync::Arc;

/// A goroutine that is ready.
#[derive(Clone, Copy)]
struct Task {
    number: usize,
    keeper: Option<usize>,
}

impl Ready<usize> for Task {
    fn keeper(&self) -> Option<usize> {
        self.keeper
    }
}

enum Mail {
    Run(Task),
    End,
}

/// What a goroutine does when it has run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    End,
    /// Once: it yields, and keeps its thread.
    YieldsAndKeeps,
    /// Once: it yields.
    Yields,
    /// It keeps its thread, which sleeps, until another goroutine has ended.
    Sticks,
    /// It ends, and lets the one go on that sticks.
    Frees,
}

const GOROUTINES: usize = 3;
/// The last of them is started when one is wanted that is not asleep.
const THREADS: usize = 3;

struct World {
    slots: Mutex<Slots<usize, Task>>,
    mail: [Mailbox<Mail>; THREADS],
    /// What the goroutine that sticks sleeps on.
    stuck: Mailbox<()>,
    goroutines: [UnsafeCell<u32>; GOROUTINES],
    then: [Then; GOROUTINES],
    /// Threads that are busy, and those of them whose slot was taken away.
    counts: Mutex<(usize, Vec<usize>)>,
    limit: usize,
    started: AtomicBool,
    ended: AtomicUsize,
    of: usize,
}

// SAFETY: loom checks who touches the cells.
unsafe impl Send for World {}
// SAFETY: as above.
unsafe impl Sync for World {}

/// All threads of a lane but one sleep in it, and `of` goroutines are to end.
fn world(bug: Bug, limit: usize, of: usize, then: [Then; GOROUTINES]) -> Arc<World> {
    let mut slots = Slots::new(limit);
    slots.bug = bug;
    for w in 0..THREADS - 1 {
        // As after its first task.
        drop(slots.sleep(w, false));
    }
    Arc::new(World {
        slots: Mutex::new(slots),
        mail: std::array::from_fn(|_| Mailbox::new()),
        stuck: Mailbox::new(),
        goroutines: std::array::from_fn(|_| UnsafeCell::new(0)),
        then,
        counts: Mutex::new((0, Vec::new())),
        limit,
        started: AtomicBool::new(false),
        ended: AtomicUsize::new(0),
        of,
    })
}

impl World {
    fn perform(&self, what: Move<usize, Task>) {
        match what {
            Move::Nothing => {}
            // SAFETY: taken out of the lists of those who sleep, unless the model is broken.
            Move::Wake(w, task) => unsafe { self.mail[w].deliver(Mail::Run(task)) },
            Move::Start(task) => {
                assert!(!self.started.swap(true, Ordering::SeqCst), "one more than there are");
                // SAFETY: nobody else knows it yet.
                unsafe { self.mail[THREADS - 1].deliver(Mail::Run(task)) };
            }
        }
    }

    /// Whoever makes a goroutine ready.
    fn ready(&self, number: usize) {
        let what = self.slots.lock().unwrap().push(Task { number, keeper: None });
        self.perform(what);
    }

    /// The thread `w`, from where it sleeps.
    fn work(&self, w: usize) {
        let mut next = self.sleep(w);
        if w == THREADS - 1 && next.is_some() {
            self.slots.lock().unwrap().arrive(w);
        }
        while let Some(task) = next {
            let left = self.turn(w, task);
            next = self.next(w, left);
        }
    }

    /// `turn.rs`: what it leaves to be queued, and whether that keeps the thread.
    fn turn(&self, w: usize, task: Task) -> Option<Task> {
        assert!(task.keeper.is_none_or(|keeper| keeper == w), "a kept goroutine has moved");
        let number = task.number;
        // SAFETY: loom checks that nobody else runs it.
        let turns = self.goroutines[number].with_mut(|turns| unsafe {
            *turns += 1;
            *turns
        });
        let first = turns == 1;
        match self.then[number] {
            Then::Sticks => {
                // SAFETY: this goroutine alone takes from it.
                while unsafe { self.stuck.take() }.is_none() {
                    self.stuck.sleep(FOREVER);
                }
            }
            // SAFETY: only this goroutine sends, once.
            Then::Frees => unsafe { self.stuck.deliver(()) },
            _ => {}
        }
        match self.then[number] {
            Then::YieldsAndKeeps if first => Some(Task { number, keeper: Some(w) }),
            Then::Yields if first => Some(Task { number, keeper: None }),
            _ => {
                if self.ended.fetch_add(1, Ordering::SeqCst) + 1 == self.of {
                    self.close();
                }
                None
            }
        }
    }

    /// `work::next`.
    fn next(&self, w: usize, left: Option<Task>) -> Option<Task> {
        let kept = left.is_some_and(|task| task.keeper.is_some());
        let mut busy = true;
        let mut slots = self.slots.lock().unwrap();
        if let Some(task) = left {
            slots.append(task);
        }
        loop {
            if let Some(task) = slots.pick(w, kept) {
                let what = slots.dispatch();
                drop(slots);
                self.perform(what);
                if !busy {
                    self.begin();
                }
                return Some(task);
            }
            if busy {
                drop(slots);
                self.rest(w);
                busy = false;
                slots = self.slots.lock().unwrap();
                continue;
            }
            let ends = slots.is_closed();
            let what = if ends { slots.go(w) } else { slots.sleep(w, kept) };
            drop(slots);
            self.perform(what);
            return if ends { None } else { self.sleep(w) };
        }
    }

    fn sleep(&self, w: usize) -> Option<Task> {
        loop {
            // SAFETY: this is the owner's thread.
            match unsafe { self.mail[w].take() } {
                Some(Mail::Run(task)) => {
                    self.begin();
                    return Some(task);
                }
                Some(Mail::End) => return None,
                None => self.mail[w].sleep(FOREVER),
            }
        }
    }

    /// `thread_busy`: no more than the limit, and those that lost their slot.
    fn begin(&self) {
        let mut counts = self.counts.lock().unwrap();
        counts.0 += 1;
        assert!(counts.0 <= self.limit + counts.1.len(), "more run than may");
    }

    fn rest(&self, w: usize) {
        let mut counts = self.counts.lock().unwrap();
        counts.0 -= 1;
        counts.1.retain(|&loose| loose != w);
    }

    fn close(&self) {
        let (tasks, sleepers) = self.slots.lock().unwrap().close();
        assert!(tasks.is_empty());
        for w in sleepers {
            // SAFETY: as in `perform`.
            unsafe { self.mail[w].deliver(Mail::End) };
        }
        // All that was to be started has been: what it was for has ended.
        if !self.started.swap(true, Ordering::SeqCst) {
            // SAFETY: as in `perform`.
            unsafe { self.mail[THREADS - 1].deliver(Mail::End) };
        }
    }
}

fn run(world: &Arc<World>, what: impl FnOnce(&World) + 'static) -> JoinHandle<()> {
    let world = world.clone();
    thread::spawn(move || what(&world))
}

/// Two threads sleep in a lane, which may start one more, and `of` goroutines become ready. `retake`: the monitor takes the slot away from the first
/// thread that it finds with one while something waits.
fn check(bug: Bug, limit: usize, of: usize, then: [Then; GOROUTINES], retake: bool) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(2));
    builder.check(move || {
        let world = world(bug, limit, of, then);
        let threads = [0, 1, 2].map(|w| run(&world, move |world| world.work(w)));
        for number in 0..of {
            world.ready(number);
        }
        if retake {
            let mut slots = world.slots.lock().unwrap();
            let stuck = [0, 1].into_iter().find(|&w| slots.waits() && slots.holds(w));
            if let Some(w) = stuck {
                // Nobody who gets its slot can begin before this.
                world.counts.lock().unwrap().1.push(w);
            }
            let what = stuck.map_or(Move::Nothing, |w| slots.retake(w));
            drop(slots);
            world.perform(what);
        }
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(world.ended.load(Ordering::SeqCst), of);
        assert_eq!(world.slots.lock().unwrap().used(), 0);
    });
}

const PLAIN: [Then; GOROUTINES] = [Then::End; GOROUTINES];
const KEEPS: [Then; GOROUTINES] = [Then::YieldsAndKeeps, Then::Yields, Then::End];
const STICKS: [Then; GOROUTINES] = [Then::Sticks, Then::Frees, Then::End];

#[test]
fn model_lane_push_against_going_to_sleep() {
    check(Bug::None, 1, 2, PLAIN, false);
}

#[test]
#[should_panic]
fn model_lane_a_slot_that_is_not_passed_on_is_lost() {
    check(Bug::SlotNotPassedOn, 1, 2, KEEPS, false);
}

#[test]
fn model_lane_two_slots() {
    check(Bug::None, 2, 3, PLAIN, false);
}

#[test]
#[should_panic]
fn model_lane_a_thread_that_stays_listed_is_sent_twice() {
    check(Bug::StaysListed, 2, 3, PLAIN, false);
}

#[test]
fn model_lane_goroutine_that_keeps_its_thread() {
    check(Bug::None, 1, 2, KEEPS, false);
}

#[test]
fn model_lane_goroutine_that_keeps_its_thread_of_two() {
    check(Bug::None, 2, 3, KEEPS, false);
}

#[test]
#[should_panic]
fn model_lane_a_kept_goroutine_runs_elsewhere() {
    check(Bug::KeeperIgnored, 1, 2, KEEPS, false);
}

#[test]
#[should_panic]
fn model_lane_a_thread_that_is_awake_is_sent_its_goroutine() {
    check(Bug::AwakeIsSent, 2, 3, KEEPS, false);
}

#[test]
fn model_lane_slot_that_is_taken_away() {
    check(Bug::None, 1, 2, STICKS, true);
}

#[test]
fn model_lane_slot_that_is_taken_away_from_one_who_yields() {
    check(Bug::None, 1, 2, KEEPS, true);
}

#[test]
#[should_panic]
fn model_lane_a_slot_that_was_taken_away_is_given_up_again() {
    check(Bug::GivenUpTwice, 1, 3, STICKS, true);
}

#[test]
#[should_panic]
fn model_lane_a_slot_that_is_taken_away_is_lost() {
    check(Bug::RetakenForNobody, 1, 2, STICKS, true);
}

/// The mark on a goroutine that is leaving (`turn.rs`, `enter::ready`): whoever readies it before its thread is done with
/// it leaves word, and it runs once, after that.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LeaveBug {
    None,
    /// It is queued though its thread is not done with it.
    NoMark,
    /// The thread does not look for word.
    WordNotRead,
    /// The mark is set when the goroutine can be reached already.
    MarkedLate,
}

struct Leaving {
    /// What a waker takes to make it ready; the release step.
    reachable: Mutex<bool>,
    /// The lane's lock: the word and whether it is queued.
    lane: Mutex<(u32, bool)>,
    hook: UnsafeCell<u32>,
}

// SAFETY: loom checks who touches the cell.
unsafe impl Send for Leaving {}
// SAFETY: as above.
unsafe impl Sync for Leaving {}

fn leave_against_ready(bug: LeaveBug) {
    const LEAVING: u32 = 1;
    const READIED: u32 = 2;
    loom::model(move || {
        let shared = Arc::new(Leaving {
            reachable: Mutex::new(false),
            lane: Mutex::new((0, false)),
            hook: UnsafeCell::new(0),
        });
        let waker = {
            let shared = shared.clone();
            thread::spawn(move || {
                if !*shared.reachable.lock().unwrap() {
                    return false;
                }
                let mut lane = shared.lane.lock().unwrap();
                if lane.0 == LEAVING {
                    lane.0 = READIED;
                } else {
                    lane.1 = true;
                    // Another thread runs it at once: its `goroutine_resume`.
                    drop(lane);
                    // SAFETY: loom checks that the other hook has returned.
                    shared.hook.with_mut(|n| unsafe { *n += 1 });
                }
                true
            })
        };
        // Its thread.
        if bug != LeaveBug::NoMark && bug != LeaveBug::MarkedLate {
            shared.lane.lock().unwrap().0 = LEAVING;
        }
        *shared.reachable.lock().unwrap() = true;
        if bug == LeaveBug::MarkedLate {
            shared.lane.lock().unwrap().0 = LEAVING;
        }
        // SAFETY: `goroutine_leave`; loom checks that it does not meet the other.
        shared.hook.with_mut(|n| unsafe { *n += 1 });
        {
            let mut lane = shared.lane.lock().unwrap();
            let word = std::mem::replace(&mut lane.0, 0);
            if word == READIED && bug != LeaveBug::WordNotRead {
                lane.1 = true;
            }
        }
        let readied = waker.join().unwrap();
        assert_eq!(shared.lane.lock().unwrap().1, readied, "whoever was made ready is queued");
    });
}

#[test]
fn model_lane_leave_against_ready() {
    leave_against_ready(LeaveBug::None);
}

#[test]
#[should_panic]
fn model_lane_a_goroutine_that_is_not_marked_meets_its_own_hook() {
    leave_against_ready(LeaveBug::NoMark);
}

#[test]
#[should_panic]
fn model_lane_a_word_that_is_not_read_is_lost() {
    leave_against_ready(LeaveBug::WordNotRead);
}

#[test]
#[should_panic]
fn model_lane_a_mark_that_comes_late() {
    leave_against_ready(LeaveBug::MarkedLate);
}
