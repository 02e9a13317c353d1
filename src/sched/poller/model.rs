//! An event against somebody who looks and then waits: none is lost, whoever else waits for the same number.
//!
//! The real [`Entry`]. The kernel's readiness is an atomic, which is set before the event is counted.

use super::entry::{Direction, Entry};
use crate::primitive::FOREVER;
use crate::sched::threads_only::{SwitchBug, become_goroutine};
use crate::sched::timer::TimerHeap;
use crate::sched::wait::WakeList;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

const CLOSED: i32 = -1;

/// What a model breaks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bug {
    None,
    /// The count is read after the attempt.
    SeenLate,
    /// The event is counted before the descriptor is ready.
    EventFirst,
    /// What is looked at is changed after the stir.
    StirFirst,
    /// It is changed, and nobody is told.
    NoStir,
    /// An event wakes one of those who wait.
    FlagCleared,
}

struct Number {
    bug: Bug,
    entry: Entry,
    ready: AtomicBool,
    closed: AtomicBool,
    /// For `FlagCleared`: "there was an event", in the count's place.
    flag: AtomicBool,
}

impl Number {
    /// Leaked: a model that deadlocks must not meet the loom again while it unwinds.
    fn new(bug: Bug) -> &'static Number {
        Box::leak(Box::new(Number {
            bug,
            entry: Entry::new(),
            ready: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            flag: AtomicBool::new(false),
        }))
    }

    /// The kernel, and whoever polls.
    fn becomes_ready(&self) {
        let tell = || {
            let mut woken = WakeList::new();
            self.flag.store(true, Ordering::Release);
            self.entry.happened(true, false, false, &mut woken);
            // SAFETY: no lock is held.
            unsafe { woken.wake() };
        };
        if self.bug == Bug::EventFirst {
            tell();
        }
        self.ready.store(true, Ordering::Release);
        if self.bug != Bug::EventFirst {
            tell();
        }
    }

    /// Wait until it is ready; an error if it was closed.
    fn read(&self) -> Result<(), i32> {
        loop {
            let seen = self.entry.seen(Direction::Read);
            if self.bug == Bug::FlagCleared {
                self.flag.store(false, Ordering::Relaxed);
            }
            if self.ready.load(Ordering::Acquire) {
                return Ok(());
            }
            let seen = match self.bug {
                Bug::SeenLate => self.entry.seen(Direction::Read),
                // The count says nothing: only the flag does, which another may have cleared.
                Bug::FlagCleared if !self.flag.load(Ordering::Acquire) => self.entry.seen(Direction::Read),
                _ => seen,
            };
            let closed = || if self.closed.load(Ordering::Relaxed) { Err(CLOSED) } else { Ok(FOREVER) };
            self.entry.wait([Some(seen), None], closed)?;
        }
    }

    fn close(&self) {
        if self.bug == Bug::StirFirst {
            self.entry.stir(Direction::Read);
        }
        self.closed.store(true, Ordering::Relaxed);
        if self.bug != Bug::StirFirst && self.bug != Bug::NoStir {
            self.entry.stir(Direction::Read);
        }
    }
}

fn event_against_readers(bug: Bug, readers: usize) {
    loom::model(move || {
        let number = Number::new(bug);
        let others: Vec<_> =
            (0..readers).map(|_| thread::spawn(move || assert_eq!(number.read(), Ok(())))).collect();
        number.becomes_ready();
        for other in others {
            other.join().unwrap();
        }
    });
}

#[test]
fn model_event_against_a_reader() {
    event_against_readers(Bug::None, 1);
}

#[test]
fn model_event_against_two_who_wait() {
    event_against_readers(Bug::None, 2);
}

#[test]
#[should_panic(expected = "deadlock")]
fn model_a_count_that_is_read_late_loses_the_event() {
    event_against_readers(Bug::SeenLate, 1);
}

#[test]
#[should_panic(expected = "deadlock")]
fn model_an_event_that_comes_before_its_cause_is_lost() {
    event_against_readers(Bug::EventFirst, 1);
}

#[test]
#[should_panic(expected = "deadlock")]
fn model_a_flag_that_two_clear_loses_the_event() {
    event_against_readers(Bug::FlagCleared, 2);
}

fn close_against_a_reader(bug: Bug) {
    loom::model(move || {
        let number = Number::new(bug);
        let other = { thread::spawn(move || assert_eq!(number.read(), Err(CLOSED))) };
        number.close();
        other.join().unwrap();
    });
}

#[test]
fn model_close_against_a_reader() {
    close_against_a_reader(Bug::None);
}

#[test]
#[should_panic(expected = "deadlock")]
fn model_a_stir_before_the_change_is_in_vain() {
    close_against_a_reader(Bug::StirFirst);
}

#[test]
#[should_panic(expected = "deadlock")]
fn model_a_change_without_a_stir_is_not_seen() {
    close_against_a_reader(Bug::NoStir);
}

/// A goroutine that waits for both directions, with a deadline: an event of both, and the timer. It goes on once, and leaves
/// nothing behind in the queues.
#[test]
fn model_both_directions_and_a_deadline() {
    loom::model(|| {
        let number = Number::new(Bug::None);
        let heap = Arc::new(TimerHeap::new());
        let seen = [Direction::Read, Direction::Write].map(|direction| Some(number.entry.seen(direction)));
        let poller = {
            thread::spawn(move || {
                let mut woken = WakeList::new();
                number.entry.happened(true, true, false, &mut woken);
                // SAFETY: no lock is held.
                unsafe { woken.wake() };
            })
        };
        let timer = {
            let heap = heap.clone();
            // SAFETY: no lock is held.
            thread::spawn(move || unsafe { heap.run_expired(100) })
        };
        become_goroutine(SwitchBug::None, &heap, || {
            // With time to spare: it is the timer's thread that says it has passed.
            let _ = number.entry.wait(seen, || Ok(100));
        });
        poller.join().unwrap();
        timer.join().unwrap();
        assert!(number.entry.nobody_waits(), "somebody is queued still");
    });
}
