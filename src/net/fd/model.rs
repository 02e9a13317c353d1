//! Turns: one at a time, nobody is left behind, and the number is closed once, when the last has left.
//!
//! The real [`Turns`]. The memory that goes with the descriptor is a cell that loom watches: who has the turn changes it,
//! and so does whoever closes the number.

use super::turns::{Bug, Refused, Turns};
use crate::primitive::FOREVER;
use crate::primitive::atomic::AtomicI64;
use crate::sched::poller::Direction;
use loom::cell::UnsafeCell;
use loom::thread::{self, JoinHandle};

struct File {
    turns: Turns,
    deadline: AtomicI64,
    /// What somebody with the turn does.
    data: UnsafeCell<u32>,
    /// Whether the number is closed.
    closed: UnsafeCell<bool>,
}

// SAFETY: whether the cells are touched by one at a time is what the models check.
unsafe impl Send for File {}
// SAFETY: as above.
unsafe impl Sync for File {}

impl File {
    /// Leaked: a model that deadlocks must not meet the loom again while it unwinds.
    fn new(bug: Bug) -> &'static File {
        let mut turns = Turns::new();
        turns.bug = bug;
        Box::leak(Box::new(File {
            turns,
            deadline: AtomicI64::new(FOREVER),
            data: UnsafeCell::new(0),
            closed: UnsafeCell::new(false),
        }))
    }

    fn end(&self) {
        // SAFETY: as above.
        self.closed.with_mut(|closed| unsafe {
            assert!(!*closed, "closed twice");
            *closed = true;
        });
    }

    /// A call that reads.
    fn read(&self) -> Result<(), Refused> {
        let taken = self.turns.take(Direction::Read, &self.deadline);
        if let Err((why, last)) = taken {
            if last {
                self.end();
            }
            return Err(why);
        }
        // SAFETY: as above.
        self.data.with_mut(|data| unsafe { *data += 1 });
        // SAFETY: as above.
        self.closed.with(|closed| unsafe { assert!(!*closed, "closed under a call") });
        if self.turns.give_up(Direction::Read) {
            self.end();
        }
        Ok(())
    }

    fn close(&self, stir: bool) {
        if self.turns.close() == Some(true) {
            self.end();
        } else if stir {
            self.turns.stir(Direction::Read);
        }
    }

    fn is_closed(&self) -> bool {
        // SAFETY: as above.
        self.closed.with(|closed| unsafe { *closed })
    }
}

fn reader(file: &'static File) -> JoinHandle<Result<(), Refused>> {
    thread::spawn(move || file.read())
}

fn readers(bug: Bug, others: usize) {
    loom::model(move || {
        let file = File::new(bug);
        let others: Vec<_> = (0..others).map(|_| reader(file)).collect();
        assert_eq!(file.read(), Ok(()));
        for other in others {
            assert_eq!(other.join().unwrap(), Ok(()));
        }
        file.close(true);
        assert!(file.is_closed());
    });
}

#[test]
fn model_turns_are_one_after_the_other() {
    readers(Bug::None, 1);
}

#[test]
fn model_three_turns() {
    readers(Bug::None, 2);
}

#[test]
#[should_panic(expected = "deadlock")]
fn model_a_turn_queued_for_unchecked_is_waited_for_in_vain() {
    readers(Bug::QueueUnchecked, 1);
}

#[test]
#[should_panic(expected = "deadlock")]
fn model_a_turn_given_up_blindly_is_waited_for_in_vain() {
    readers(Bug::GiveUpBlindly, 1);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn model_a_turn_given_up_relaxed_shows_nothing() {
    readers(Bug::RelaxedGiveUp, 1);
}

/// The descriptor is closed while one reads and another may wait for the turn.
#[test]
fn model_close_against_turns() {
    loom::model(|| {
        let file = File::new(Bug::None);
        let others = [reader(file), reader(file)];
        file.close(true);
        for other in others {
            assert!(matches!(other.join().unwrap(), Ok(()) | Err(Refused::Closed)));
        }
        assert!(file.is_closed());
        assert_eq!(file.read(), Err(Refused::Closed));
    });
}

/// One waits for the turn of another, which does not give it up: it is told of the end.
fn close_against_a_waiter(stir: bool) {
    loom::model(move || {
        let file = File::new(Bug::None);
        assert!(file.turns.take(Direction::Read, &file.deadline).is_ok());
        let other = reader(file);
        file.close(stir);
        assert_eq!(other.join().unwrap(), Err(Refused::Closed));
        assert!(!file.is_closed());
        if file.turns.give_up(Direction::Read) {
            file.end();
        }
        assert!(file.is_closed());
    });
}

#[test]
fn model_close_against_a_waiter() {
    close_against_a_waiter(true);
}

#[test]
#[should_panic(expected = "deadlock")]
fn model_a_close_that_tells_nobody() {
    close_against_a_waiter(false);
}

/// A deadline against the turn: whoever waits has the turn, or does not, and the next one gets it.
#[test]
fn model_a_deadline_against_the_turn() {
    for deadline in 2..5 {
        loom::model(move || {
            let file = File::new(Bug::None);
            assert!(file.turns.take(Direction::Read, &file.deadline).is_ok());
            file.deadline.store(deadline, std::sync::atomic::Ordering::Relaxed);
            let other = reader(file);
            assert!(!file.turns.give_up(Direction::Read));
            assert!(matches!(other.join().unwrap(), Ok(()) | Err(Refused::TimedOut)));
            assert_eq!(file.read(), Ok(()));
            file.close(true);
            assert!(file.is_closed());
        });
    }
}
