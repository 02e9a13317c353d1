//! Loom models of the semaphore, and weakened variants that they must find.
//!
//! Whoever has permits reads what was written before they were given, in a cell that loom checks for races; and
//! may "free" the memory by an exclusive access to the semaphore's word, if no other call is to come.

use super::*;
use crate::sync::knobs::Knobs;
use loom::cell::UnsafeCell;
use loom::thread;
// Not loom's: dropping that one while a failed model unwinds is a second panic.
use std::sync::Arc;

/// A deadline that has passed by the time it is first looked at, which is when the wait is queued.
const SOON: i64 = 1;

struct Shared {
    sem: Semaphore,
    written: UnsafeCell<u32>,
}

// SAFETY: loom checks who touches `written`.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    fn release(&self, n: i64) {
        // SAFETY: the model's memory stays to its end.
        unsafe { self.sem.release(n) };
    }

    fn write(&self) {
        // SAFETY: loom checks that nobody else is here.
        self.written.with_mut(|value| unsafe { *value += 1 });
    }

    fn free(shared: &Arc<Shared>) {
        // SAFETY: loom checks that nobody else is at the word, later ones included.
        unsafe { &mut *(&raw const shared.sem).cast_mut() }.state.assert_alone();
    }
}

fn model(bug: Bug, permits: i64, run: impl Fn(Arc<Shared>) + Send + Sync + 'static) {
    knobs::builder(2).check(move || {
        knobs::set(Knobs { bug, ..Knobs::DEFAULT });
        run(Arc::new(Shared { sem: Semaphore::new(permits), written: UnsafeCell::new(0) }));
    });
}

fn spawn(shared: &Arc<Shared>, run: impl FnOnce(&Arc<Shared>) + 'static) -> thread::JoinHandle<()> {
    let shared = shared.clone();
    thread::spawn(move || run(&shared))
}

/// Who got the permit may free the memory, though the release has not returned.
fn acquire_and_free(bug: Bug) {
    model(bug, 0, |shared| {
        let giver = spawn(&shared, |shared| {
            shared.write();
            shared.release(1);
        });
        shared.sem.acquire(1);
        shared.write();
        Shared::free(&shared);
        giver.join().unwrap();
    });
}

#[test]
fn model_free_right_after_acquire() {
    acquire_and_free(Bug::None);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn model_waking_before_the_last_touch_is_found() {
    acquire_and_free(Bug::WakeThenLeave);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn model_releasing_that_releases_nothing_is_found() {
    acquire_and_free(Bug::ReleaseNothing);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn model_acquiring_that_acquires_nothing_is_found() {
    acquire_and_free(Bug::AcquireNothing);
}

/// It sleeps for ever.
#[test]
#[should_panic(expected = "deadlock")]
fn model_queueing_unchecked_is_found() {
    acquire_and_free(Bug::QueueUnchecked);
}

/// As a mutex.
#[test]
fn model_one_permit_for_three() {
    model(Bug::None, 1, |shared| {
        let turn = |shared: &Arc<Shared>| {
            shared.sem.acquire(1);
            shared.write();
            shared.release(1);
        };
        let others = [spawn(&shared, turn), spawn(&shared, turn)];
        turn(&shared);
        for other in others {
            other.join().unwrap();
        }
        assert!(shared.sem.try_acquire(1) && !shared.sem.try_acquire(1));
    });
}

/// Two releases for one who needs both: it sees what was done before each.
#[test]
fn model_two_releases_for_one() {
    model(Bug::None, 0, |shared| {
        let giver = spawn(&shared, |shared| {
            shared.write();
            shared.release(1);
        });
        let taker = spawn(&shared, |shared| {
            shared.sem.acquire(2);
            shared.write();
        });
        shared.release(1);
        giver.join().unwrap();
        taker.join().unwrap();
        assert!(!shared.sem.try_acquire(1));
    });
}

/// One permit; one wants two and gives up; the other, perhaps behind it, wants one.
fn timed_head(bug: Bug) {
    model(bug, 1, |shared| {
        let greedy = spawn(&shared, |shared| assert!(!shared.sem.acquire_slow(2, SOON)));
        shared.sem.acquire(1);
        shared.write();
        greedy.join().unwrap();
        assert!(!shared.sem.try_acquire(1));
    });
}

#[test]
fn model_who_gives_up_lets_those_behind_it_go() {
    timed_head(Bug::None);
}

#[test]
#[should_panic(expected = "deadlock")]
fn model_leaving_silently_is_found() {
    timed_head(Bug::LeaveSilently);
}

#[test]
fn model_deadline_against_release() {
    model(Bug::None, 0, |shared| {
        let timed = spawn(&shared, |shared| {
            if shared.sem.acquire_slow(1, SOON) {
                shared.write();
                shared.release(1);
            }
        });
        let patient = spawn(&shared, |shared| {
            shared.sem.acquire(1);
            shared.write();
            shared.release(1);
        });
        shared.release(1);
        timed.join().unwrap();
        patient.join().unwrap();
        assert!(shared.sem.try_acquire(1) && !shared.sem.try_acquire(1), "no permit is lost or made");
    });
}
