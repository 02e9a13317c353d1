//! Reading the records of goroutines that are somebody else's: `turns`, `id`, and the move from one record to the other.
//!
//! The steps of `goroutine.rs` and `look.rs`, on records of two fields; what is read there as volatile is atomic and
//! relaxed here.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use loom::thread;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bug {
    None,
    /// No fence behind the store that takes the record from those who look.
    NoWriterFence,
    /// The number is published by a store that orders nothing.
    GivenRelaxed,
    /// No fence before the second look.
    NoReaderFence,
    /// No second look.
    LooksOnce,
    /// The old record is taken back by a store that orders nothing.
    TakenRelaxed,
    /// The second look at the number in the old record orders nothing.
    LooksRelaxed,
}

struct Record {
    bug: Bug,
    id: AtomicU64,
    turns: AtomicU32,
    fields: [AtomicU64; 2],
}

impl Record {
    /// Of the goroutine with this number; 0: of none.
    fn new(bug: Bug, id: u64) -> Record {
        let fields = [AtomicU64::new(id), AtomicU64::new(id)];
        Record { bug, id: AtomicU64::new(id), turns: AtomicU32::new(0), fields }
    }

    fn unless(&self, bug: Bug, ordering: Ordering) -> Ordering {
        if self.bug == bug { Ordering::Relaxed } else { ordering }
    }

    fn fence_unless(&self, bug: Bug, ordering: Ordering) {
        if self.bug != bug {
            fence(ordering);
        }
    }

    fn write(&self, value: u64) {
        self.fields.iter().for_each(|field| field.store(value, Ordering::Relaxed));
    }

    fn read(&self) -> [u64; 2] {
        [0, 1].map(|i| self.fields[i].load(Ordering::Relaxed))
    }

    /// `begin_turn`, the goroutine, `end_turn`.
    fn turn(&self, value: u64) {
        self.turns.store(self.turns.load(Ordering::Relaxed) | 1, Ordering::Relaxed);
        self.fence_unless(Bug::NoWriterFence, Ordering::Release);
        self.write(value);
        let turns = self.turns.load(Ordering::Relaxed).wrapping_add(1);
        self.turns.store(turns, Ordering::Release);
    }

    /// `Fresh::publish`, and the end of `Goroutine::bind`.
    fn publish(&self, id: u64) {
        self.id.store(id, self.unless(Bug::GivenRelaxed, Ordering::Release));
    }

    /// `Fresh::retract`; `Goroutine::retract` if [`Bug::TakenRelaxed`].
    fn retract(&self) {
        self.id.store(0, self.unless(Bug::TakenRelaxed, Ordering::Release));
        self.fence_unless(Bug::NoWriterFence, Ordering::Release);
    }

    /// As `bound_view` reads what a goroutine left when it left its worker.
    fn view_of_turn(&self) -> Option<(u32, [u64; 2])> {
        let turns = self.turns.load(Ordering::Acquire);
        let read = self.read();
        self.fence_unless(Bug::NoReaderFence, Ordering::Acquire);
        let holds = self.bug == Bug::LooksOnce || self.turns.load(Ordering::Relaxed) == turns;
        (turns.is_multiple_of(2) && holds).then_some((turns, read))
    }

    /// As `fresh_view` and `bound_view` read what belongs to a goroutine for good. They differ in the second look.
    fn view(&self, second: Ordering) -> Option<(u64, [u64; 2])> {
        let id = self.id.load(Ordering::Acquire);
        let read = self.read();
        self.fence_unless(Bug::NoReaderFence, Ordering::Acquire);
        let holds = self.bug == Bug::LooksOnce || self.id.load(second) == id;
        (id != 0 && holds).then_some((id, read))
    }
}

/// A goroutine has two turns while somebody looks at what it leaves behind.
fn turns(bug: Bug) {
    loom::model(move || {
        let record = Arc::new(Record::new(bug, 0));
        let worker = {
            let record = record.clone();
            thread::spawn(move || (1..=2).for_each(|value| record.turn(value)))
        };
        if let Some((turns, read)) = record.view_of_turn() {
            assert_eq!(read, [u64::from(turns / 2); 2], "read of two turns");
        }
        worker.join().unwrap();
        assert_eq!(record.view_of_turn(), Some((4, [2; 2])));
    });
}

#[test]
fn model_look_at_a_goroutine_that_comes_and_goes() {
    turns(Bug::None);
}

#[test]
#[should_panic(expected = "read of two turns")]
fn model_look_without_a_fence_behind_the_begin_of_a_turn() {
    turns(Bug::NoWriterFence);
}

#[test]
#[should_panic(expected = "read of two turns")]
fn model_look_without_a_fence_before_the_second_look() {
    turns(Bug::NoReaderFence);
}

#[test]
#[should_panic(expected = "read of two turns")]
fn model_look_once_only() {
    turns(Bug::LooksOnce);
}

/// A record goes from one goroutine to another while somebody looks.
fn owners(bug: Bug) {
    loom::model(move || {
        let record = Arc::new(Record::new(bug, 1));
        let owner = {
            let record = record.clone();
            thread::spawn(move || {
                record.retract();
                record.write(2);
                record.publish(2);
            })
        };
        if let Some((id, read)) = record.view(Ordering::Relaxed) {
            assert_eq!(read, [id; 2], "read of two goroutines");
        }
        owner.join().unwrap();
        assert_eq!(record.view(Ordering::Relaxed), Some((2, [2; 2])));
    });
}

#[test]
fn model_look_at_a_record_that_changes_hands() {
    owners(Bug::None);
    // As `Goroutine::retract`: nobody looks for it elsewhere.
    owners(Bug::TakenRelaxed);
}

#[test]
#[should_panic(expected = "read of two goroutines")]
fn model_look_without_a_fence_behind_the_retreat() {
    owners(Bug::NoWriterFence);
}

#[test]
#[should_panic(expected = "read of two goroutines")]
fn model_look_at_a_number_that_is_published_relaxed() {
    owners(Bug::GivenRelaxed);
}

#[test]
#[should_panic(expected = "read of two goroutines")]
fn model_look_at_a_number_without_a_fence() {
    owners(Bug::NoReaderFence);
}

#[test]
#[should_panic(expected = "read of two goroutines")]
fn model_look_at_a_number_once_only() {
    owners(Bug::LooksOnce);
}

/// A goroutine is bound to a stack while somebody looks at the records of those that are not, then at the others.
fn bind(bug: Bug) {
    loom::model(move || {
        let (fresh, bound) = (Arc::new(Record::new(bug, 1)), Arc::new(Record::new(bug, 0)));
        let worker = {
            let (fresh, bound) = (fresh.clone(), bound.clone());
            thread::spawn(move || {
                bound.write(1);
                bound.publish(1);
                fresh.retract();
                fresh.write(0);
            })
        };
        let second = fresh.unless(Bug::LooksRelaxed, Ordering::Acquire);
        let met = fresh.view(second).or_else(|| bound.view(Ordering::Relaxed));
        assert_eq!(met, Some((1, [1; 2])), "a goroutine is missed");
        worker.join().unwrap();
    });
}

#[test]
fn model_look_at_a_goroutine_that_gets_a_stack() {
    bind(Bug::None);
}

#[test]
#[should_panic(expected = "a goroutine is missed")]
fn model_look_at_a_record_that_is_taken_back_relaxed() {
    bind(Bug::TakenRelaxed);
}

#[test]
#[should_panic(expected = "a goroutine is missed")]
fn model_look_at_an_old_record_the_second_time_relaxed() {
    bind(Bug::LooksRelaxed);
}
