//! Loom models of a lane's book and of sleeping, and of broken variants of them: every variant is a test that must panic.
//!
//! The one thing to know: the real [`Slots`] and [`Mailbox`], under a lock, with threads that follow `work::next` step by
//! step. A goroutine is a number and, perhaps, the thread that it keeps; loom watches a cell of each, so two that run one at
//! the same time are found, and one that nobody runs is a thread that sleeps for ever.

use super::slots::{Bug, Move, Ready, Slots};
use crate::primitive::FOREVER;
use crate::sched::mail::Mailbox;
use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread::{self, JoinHandle};

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
}

const GOROUTINES: usize = 3;
const THREADS: usize = 3;

struct World {
    slots: Mutex<Slots<usize, Task>>,
    mail: [Mailbox<Mail>; THREADS],
    goroutines: [UnsafeCell<u32>; GOROUTINES],
    then: [Then; GOROUTINES],
    /// Threads that hold a slot, as they know it.
    busy: AtomicUsize,
    limit: usize,
    /// A slot was taken away from somebody.
    retaken: AtomicUsize,
    ended: AtomicUsize,
    of: usize,
}

// SAFETY: loom checks who touches the cells.
unsafe impl Send for World {}
// SAFETY: as above.
unsafe impl Sync for World {}

/// `threads` of a lane sleep in it, and `of` goroutines are to end.
fn world(bug: Bug, limit: usize, threads: usize, of: usize, then: [Then; GOROUTINES]) -> Arc<World> {
    let mut slots = Slots::new(limit);
    slots.bug = bug;
    for w in 0..threads {
        // As after its first task.
        drop(slots.sleep(w, false));
    }
    Arc::new(World {
        slots: Mutex::new(slots),
        mail: std::array::from_fn(|_| Mailbox::new()),
        goroutines: std::array::from_fn(|_| UnsafeCell::new(0)),
        then,
        busy: AtomicUsize::new(0),
        limit,
        retaken: AtomicUsize::new(0),
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
            Move::Start(_) => panic!("no thread is to be had"),
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
                self.rest();
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
        let busy = self.busy.fetch_add(1, Ordering::SeqCst) + 1;
        assert!(busy <= self.limit + self.retaken.load(Ordering::SeqCst), "more run than may");
    }

    fn rest(&self) {
        self.busy.fetch_sub(1, Ordering::SeqCst);
    }

    fn close(&self) {
        let (tasks, sleepers) = self.slots.lock().unwrap().close();
        assert!(tasks.is_empty());
        for w in sleepers {
            // SAFETY: as in `perform`.
            unsafe { self.mail[w].deliver(Mail::End) };
        }
    }
}

fn run(world: &Arc<World>, what: impl FnOnce(&World) + 'static) -> JoinHandle<()> {
    let world = world.clone();
    thread::spawn(move || what(&world))
}

fn check(bug: Bug, limit: usize, of: usize, then: [Then; GOROUTINES], retake: bool) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(2));
    builder.check(move || {
        let world = world(bug, limit, 2, of, then);
        let threads = [run(&world, |world| world.work(0)), run(&world, |world| world.work(1))];
        if retake {
            world.ready(0);
            world.ready(1);
            // The monitor. (Before the slot is taken away, nobody who got it can begin.)
            world.retaken.fetch_add(1, Ordering::SeqCst);
            let what = world.slots.lock().unwrap().retake(0);
            world.perform(what);
            let what = world.slots.lock().unwrap().retake(1);
            world.perform(what);
        } else {
            for number in 0..of {
                world.ready(number);
            }
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

#[test]
fn model_lane_push_against_going_to_sleep() {
    check(Bug::None, 1, 2, PLAIN, false);
}

#[test]
#[should_panic]
fn model_lane_a_slot_that_is_not_passed_on_is_lost() {
    check(Bug::SlotNotPassedOn, 1, 2, PLAIN, false);
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
    check(Bug::None, 1, 2, PLAIN, true);
}

#[test]
fn model_lane_slot_that_is_taken_away_from_one_who_yields() {
    check(Bug::None, 1, 2, KEEPS, true);
}

#[test]
#[should_panic]
fn model_lane_a_slot_that_was_taken_away_is_given_up_again() {
    check(Bug::GivenUpTwice, 1, 2, KEEPS, true);
}

#[test]
#[should_panic]
fn model_lane_a_slot_that_is_taken_away_is_lost() {
    check(Bug::RetakenForNobody, 1, 2, PLAIN, true);
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
