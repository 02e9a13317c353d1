//! Loom models of the mutex, and weakened variants that they must find.
//!
//! Each thread that holds the mutex touches a cell that loom checks for races. At the end, when each has
//! returned, the memory is "freed" by an exclusive access to the mutex's word: by the last to hold it, without
//! waiting for the others' unlocks to return.

use super::*;
use crate::primitive::atomic::{AtomicU32, Ordering};
use crate::sync::knobs::Knobs;
use loom::cell::UnsafeCell;
use loom::thread;
// Not loom's: dropping that one while a failed model unwinds is a second panic.
use std::sync::Arc;

/// A deadline that has passed by the time it is first looked at, which is when the wait is queued.
const SOON: i64 = 1;

struct Shared {
    mutex: Mutex,
    guarded: UnsafeCell<u32>,
    /// How many have locked and will not lock again.
    locked: AtomicU32,
}

// SAFETY: loom checks who touches `guarded`.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    fn hold(&self) {
        // SAFETY: loom checks that nobody else is here.
        self.guarded.with_mut(|value| unsafe { *value += 1 });
    }

    fn unlock(&self) {
        // SAFETY: the model's memory stays to its end.
        unsafe { self.mutex.unlock() };
    }

    fn lock_and_unlock(&self) {
        self.mutex.lock();
        self.hold();
        self.unlock();
    }

    /// By one whose unlock was the last.
    fn free(shared: &Arc<Shared>) {
        // SAFETY: loom checks that nobody else is at the word, later ones included.
        unsafe { &mut *(&raw const shared.mutex).cast_mut() }.state.assert_alone();
    }
}

/// `preemptions`: how often at most a thread is interrupted although it could go on. Three threads that wait for
/// each other by yielding are too much for loom with more than two.
fn model(preemptions: usize, knobs: Knobs, run: impl Fn(Arc<Shared>) + Send + Sync + 'static) {
    knobs::builder(preemptions).check(move || {
        knobs::set(knobs);
        run(Arc::new(Shared { mutex: Mutex::new(), guarded: UnsafeCell::new(0), locked: AtomicU32::new(0) }));
    });
}

fn spawn(shared: &Arc<Shared>, run: impl FnOnce(&Arc<Shared>) + 'static) -> thread::JoinHandle<()> {
    let shared = shared.clone();
    thread::spawn(move || run(&shared))
}

/// Two threads; the second to get it frees it.
fn two_threads(knobs: Knobs, rounds: u32) {
    model(4, knobs, move |shared| {
        let run = move |shared: &Arc<Shared>| {
            for round in 1..=rounds {
                shared.mutex.lock();
                shared.hold();
                let last = round == rounds && shared.locked.fetch_add(1, Ordering::Relaxed) == 1;
                shared.unlock();
                if last {
                    Shared::free(shared);
                }
            }
        };
        let other = spawn(&shared, run);
        run(&shared);
        other.join().unwrap();
        // SAFETY: the other has ended.
        assert_eq!(shared.guarded.with(|value| unsafe { *value }), 2 * rounds);
    });
}

#[test]
fn model_two_threads() {
    two_threads(Knobs::DEFAULT, 1);
}

#[test]
fn model_two_threads_that_spin() {
    two_threads(Knobs { spin: true, ..Knobs::DEFAULT }, 1);
}

#[test]
fn model_two_threads_and_starvation() {
    two_threads(Knobs { starving_after: 0, ..Knobs::DEFAULT }, 2);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn model_freeing_in_two_steps_is_found() {
    two_threads(Knobs { bug: Bug::FreeInTwoSteps, ..Knobs::DEFAULT }, 1);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn model_unlocking_that_releases_nothing_is_found() {
    two_threads(Knobs { bug: Bug::ReleaseNothing, ..Knobs::DEFAULT }, 1);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn model_locking_that_acquires_nothing_is_found() {
    two_threads(Knobs { bug: Bug::AcquireNothing, ..Knobs::DEFAULT }, 1);
}

/// It sleeps for ever.
#[test]
#[should_panic(expected = "deadlock")]
fn model_queueing_unchecked_is_found() {
    two_threads(Knobs { bug: Bug::QueueUnchecked, ..Knobs::DEFAULT }, 1);
}

#[test]
fn model_three_threads() {
    model(2, Knobs::DEFAULT, |shared| {
        let others = [(); 2].map(|()| spawn(&shared, |shared| shared.lock_and_unlock()));
        shared.lock_and_unlock();
        for other in others {
            other.join().unwrap();
        }
        assert!(shared.mutex.state.take_free());
    });
}

/// One with a deadline, one without, and one who locks twice.
fn timed(knobs: Knobs) {
    model(2, knobs, |shared| {
        shared.mutex.lock();
        let timed = spawn(&shared, |shared| {
            if shared.mutex.state.take_free() || shared.mutex.lock_slow(SOON) {
                shared.hold();
                shared.unlock();
            }
        });
        let patient = spawn(&shared, |shared| shared.lock_and_unlock());
        shared.hold();
        shared.unlock();
        shared.lock_and_unlock();
        timed.join().unwrap();
        patient.join().unwrap();
        assert!(shared.mutex.state.take_free(), "nobody holds it or waits");
    });
}

#[test]
fn model_deadline_against_unlock() {
    timed(Knobs::DEFAULT);
}

#[test]
fn model_deadline_against_hand_over() {
    timed(Knobs { starving_after: 0, ..Knobs::DEFAULT });
}

#[test]
#[should_panic(expected = "nobody holds it or waits")]
fn model_leaving_with_the_wakeup_is_found() {
    timed(Knobs { bug: Bug::KeepWoken, ..Knobs::DEFAULT });
}
