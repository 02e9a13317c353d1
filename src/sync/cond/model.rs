//! Loom models of the condition variable, and weakened variants that they must find.
//!
//! What the mutex guards is a cell that loom checks for races. At the end the memory is "freed" by an exclusive
//! access to the condition variable's word, by a waiter that has returned and knows that no other waits.

use super::*;
use crate::sync::knobs::Knobs;
use loom::cell::UnsafeCell;
use loom::thread;
// Not loom's: dropping that one while a failed model unwinds is a second panic.
use std::sync::Arc;

/// A deadline that has passed by the time it is first looked at, which is when the wait is queued.
const SOON: i64 = 1;

struct Shared {
    mutex: Mutex,
    cond: Cond,
    tokens: UnsafeCell<u32>,
}

// SAFETY: loom checks who touches `tokens`.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// Under the mutex.
    fn change(&self, by: i32) -> u32 {
        // SAFETY: loom checks that nobody else is here.
        self.tokens.with_mut(|tokens| unsafe {
            *tokens = tokens.read().checked_add_signed(by).unwrap();
            *tokens
        })
    }

    fn unlock(&self) {
        // SAFETY: the model's memory stays to its end.
        unsafe { self.mutex.unlock() };
    }

    fn give(&self) {
        self.mutex.lock();
        self.change(1);
        self.unlock();
    }

    fn signal(&self) -> bool {
        // SAFETY: the model's memory stays to its end.
        unsafe { self.cond.signal() }
    }

    /// Under the mutex.
    fn wait(&self, deadline: i64) -> bool {
        // SAFETY: as above.
        unsafe { self.cond.wait_until(&self.mutex, deadline) }
    }

    fn take(&self) {
        self.mutex.lock();
        while self.change(0) == 0 {
            assert!(self.wait(FOREVER));
        }
        self.change(-1);
        self.unlock();
    }

    fn free(shared: &Arc<Shared>) {
        // SAFETY: loom checks that nobody else is at the word, later ones included.
        unsafe { &mut *(&raw const shared.cond).cast_mut() }.state.assert_alone();
    }
}

fn model(bug: Bug, run: impl Fn(Arc<Shared>) + Send + Sync + 'static) {
    knobs::builder(2).check(move || {
        knobs::set(Knobs { bug, ..Knobs::DEFAULT });
        run(Arc::new(Shared { mutex: Mutex::new(), cond: Cond::new(), tokens: UnsafeCell::new(0) }));
    });
}

fn spawn<T: 'static>(
    shared: &Arc<Shared>,
    run: impl FnOnce(&Arc<Shared>) -> T + 'static,
) -> thread::JoinHandle<T> {
    let shared = shared.clone();
    thread::spawn(move || run(&shared))
}

/// The signaller gets the mutex only when we wait; when we are back, the memory is ours.
fn wait_and_free(bug: Bug) {
    model(bug, |shared| {
        shared.mutex.lock();
        let signaller = spawn(&shared, |shared| {
            shared.give();
            shared.signal();
        });
        shared.wait(FOREVER);
        assert_eq!(shared.change(0), 1);
        Shared::free(&shared);
        shared.unlock();
        signaller.join().unwrap();
    });
}

#[test]
fn model_free_right_after_wait() {
    wait_and_free(Bug::None);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn model_waking_before_the_last_touch_is_found() {
    wait_and_free(Bug::WakeThenLeave);
}

/// The signal finds nobody, and we sleep for ever.
#[test]
#[should_panic(expected = "deadlock")]
fn model_unlocking_before_queueing_is_found() {
    wait_and_free(Bug::UnlockThenQueue);
}

/// Who looks for a token under the mutex cannot miss one that is given later.
#[test]
fn model_take_and_give() {
    model(Bug::None, |shared| {
        let taker = spawn(&shared, |shared| shared.take());
        shared.give();
        shared.signal();
        taker.join().unwrap();
    });
}

fn broadcast_to_two(bug: Bug) {
    model(bug, |shared| {
        shared.mutex.lock();
        let waiter = spawn(&shared, |shared| shared.take());
        let giver = spawn(&shared, |shared| {
            shared.mutex.lock();
            shared.change(2);
            shared.unlock();
            // SAFETY: the model's memory stays to its end.
            unsafe { shared.cond.broadcast() };
        });
        shared.wait(FOREVER);
        assert!(shared.change(-1) <= 1);
        shared.unlock();
        waiter.join().unwrap();
        giver.join().unwrap();
    });
}

#[test]
fn model_broadcast_wakes_both() {
    broadcast_to_two(Bug::None);
}

#[test]
#[should_panic(expected = "deadlock")]
fn model_a_broadcast_that_wakes_one_is_found() {
    broadcast_to_two(Bug::WakeOne);
}

/// Then having locked the mutex after the waiter does not make the signal see that somebody waits.
#[test]
#[should_panic(expected = "deadlock")]
fn model_steps_that_release_nothing_are_found() {
    wait_and_free(Bug::ReleaseNothing);
}

/// One waits with a deadline: exactly if the signal finds it does it say that it was signalled.
fn signal_against_deadline(bug: Bug) {
    model(bug, |shared| {
        shared.mutex.lock();
        let signaller = spawn(&shared, |shared| {
            shared.give();
            shared.signal()
        });
        let signalled = shared.wait(SOON);
        shared.change(0);
        shared.unlock();
        assert_eq!(signaller.join().unwrap(), signalled, "the signal is not lost");
        assert!(!shared.cond.state.look().has_waiters());
    });
}

#[test]
fn model_signal_against_deadline() {
    signal_against_deadline(Bug::None);
}

#[test]
#[should_panic(expected = "the signal is not lost")]
fn model_forgetting_a_signal_is_found() {
    signal_against_deadline(Bug::ForgetSignal);
}

/// Two tokens and two signals for one with a deadline and one without.
#[test]
fn model_a_deadline_leaves_the_signal_to_the_next() {
    model(Bug::None, |shared| {
        let timed = spawn(&shared, |shared| {
            shared.mutex.lock();
            if shared.change(0) == 0 {
                shared.wait(SOON);
            }
            if shared.change(0) > 0 {
                shared.change(-1);
            }
            shared.unlock();
        });
        let patient = spawn(&shared, |shared| shared.take());
        for _ in 0..2 {
            shared.give();
            shared.signal();
        }
        timed.join().unwrap();
        patient.join().unwrap();
    });
}
