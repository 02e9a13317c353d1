//! Loom models of the once, and weakened variants that they must find.
//!
//! The function writes a cell that loom checks for races; every caller reads it when its call has returned. One
//! who waited "frees" the memory then, by an exclusive access to the once's word.

use super::*;
use crate::sync::knobs::Knobs;
use loom::cell::UnsafeCell;
use loom::thread;
// Not loom's: dropping that one while a failed model unwinds is a second panic.
use std::sync::Arc;

struct Shared {
    once: Once,
    written: UnsafeCell<u32>,
}

// SAFETY: loom checks who touches `written`.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// True: it was our function that ran.
    fn run(&self) -> bool {
        let mut ours = false;
        // SAFETY: the model's memory stays to its end; loom checks who is at the cell.
        unsafe {
            self.once.run(|| {
                self.written.with_mut(|value| *value += 1);
                ours = true;
            });
            assert_eq!(self.written.with(|value| *value), 1, "run once, and ended");
        }
        ours
    }

    fn free(shared: &Arc<Shared>) {
        // SAFETY: loom checks that nobody else is at the word, later ones included.
        unsafe { &mut *(&raw const shared.once).cast_mut() }.state.assert_alone();
    }
}

/// `preemptions`: how often at most a thread is interrupted although it could go on. Three threads that wait for
/// each other by yielding are too much for loom with more than two.
fn model(preemptions: usize, bug: Bug, run: impl Fn(Arc<Shared>) + Send + Sync + 'static) {
    knobs::builder(preemptions).check(move || {
        knobs::set(Knobs { bug, ..Knobs::DEFAULT });
        run(Arc::new(Shared { once: Once::new(), written: UnsafeCell::new(0) }));
    });
}

fn spawn(shared: &Arc<Shared>) -> thread::JoinHandle<bool> {
    let shared = shared.clone();
    thread::spawn(move || shared.run())
}

fn two(bug: Bug) {
    model(3, bug, |shared| {
        let other = spawn(&shared);
        let ours = shared.run();
        if !ours {
            Shared::free(&shared);
        }
        assert_ne!(other.join().unwrap(), ours);
    });
}

#[test]
fn model_two_callers() {
    two(Bug::None);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn model_done_before_the_function_has_ended_is_found() {
    two(Bug::DoneEarly);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn model_done_that_releases_nothing_is_found() {
    two(Bug::DoneRelaxed);
}

#[test]
#[should_panic(expected = "Concurrent atomic store and unsync mut accesses")]
fn model_waking_before_the_last_touch_is_found() {
    two(Bug::WakeThenLeave);
}

/// It sleeps for ever.
#[test]
#[should_panic(expected = "deadlock")]
fn model_queueing_unchecked_is_found() {
    two(Bug::QueueUnchecked);
}

#[test]
fn model_three_callers() {
    model(2, Bug::None, |shared| {
        let others = [spawn(&shared), spawn(&shared)];
        let mut ran = u32::from(shared.run());
        for other in others {
            ran += u32::from(other.join().unwrap());
        }
        assert_eq!(ran, 1);
    });
}
