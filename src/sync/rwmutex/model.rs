//! Loom models of the read-write mutex, and weakened variants that they must find.
//!
//! Writers change a cell that loom checks for races, readers read it. At the end the memory is "freed" by an
//! exclusive access to the mutex's word: by the last to hold it, without waiting for the others' calls to return.

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
    mutex: RwMutex,
    guarded: UnsafeCell<u32>,
    /// How many have held it and will not again.
    held: AtomicU32,
}

// SAFETY: loom checks who touches `guarded`.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// Hold it, after it was locked in this way, and unlock it. True: the last of two that exclude each other.
    fn hold(&self, how: How) -> bool {
        // SAFETY: loom checks that nobody writes meanwhile, nor reads what is written. The memory stays to the
        // model's end.
        unsafe {
            match how {
                How::Read => assert!(self.guarded.with(|value| *value) < 9),
                How::Write => self.guarded.with_mut(|value| *value += 1),
            }
            let last = self.held.fetch_add(1, Ordering::Relaxed) == 1;
            match how {
                How::Read => self.mutex.runlock(),
                How::Write => self.mutex.unlock(),
            }
            last
        }
    }

    fn lock_and_hold(&self, how: How) -> bool {
        match how {
            How::Read => self.mutex.rlock(),
            How::Write => self.mutex.lock(),
        }
        self.hold(how)
    }

    /// By one whose unlock was the last.
    fn free(shared: &Arc<Shared>) {
        // SAFETY: loom checks that nobody else is at the word, later ones included.
        unsafe { &mut *(&raw const shared.mutex).cast_mut() }.state.assert_alone();
    }
}

/// `preemptions`: how often at most a thread is interrupted although it could go on.
fn model(preemptions: usize, bug: Bug, run: impl Fn(Arc<Shared>) + Send + Sync + 'static) {
    knobs::builder(preemptions).check(move || {
        knobs::set(Knobs { bug, ..Knobs::DEFAULT });
        let guarded = UnsafeCell::new(0);
        run(Arc::new(Shared { mutex: RwMutex::new(), guarded, held: AtomicU32::new(0) }));
    });
}

fn spawn(shared: &Arc<Shared>, run: impl FnOnce(&Arc<Shared>) + 'static) -> thread::JoinHandle<()> {
    let shared = shared.clone();
    thread::spawn(move || run(&shared))
}

/// Two threads that exclude each other; the second to get it frees it.
fn two(bug: Bug, ours: How, theirs: How) {
    model(3, bug, move |shared| {
        let run = |how| {
            move |shared: &Arc<Shared>| {
                if shared.lock_and_hold(how) {
                    Shared::free(shared);
                }
            }
        };
        let other = spawn(&shared, run(theirs));
        run(ours)(&shared);
        other.join().unwrap();
    });
}

#[test]
fn model_two_writers() {
    two(Bug::None, How::Write, How::Write);
}

#[test]
fn model_reader_and_writer() {
    two(Bug::None, How::Read, How::Write);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn model_waking_before_the_last_touch_is_found() {
    two(Bug::WakeThenLeave, How::Read, How::Write);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn model_unlocking_that_releases_nothing_is_found() {
    two(Bug::ReleaseNothing, How::Read, How::Write);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn model_locking_that_acquires_nothing_is_found() {
    two(Bug::AcquireNothing, How::Read, How::Write);
}

/// It sleeps for ever.
#[test]
#[should_panic(expected = "deadlock")]
fn model_queueing_unchecked_is_found() {
    two(Bug::QueueUnchecked, How::Write, How::Write);
}

fn three(ways: [How; 3]) {
    model(2, Bug::None, move |shared| {
        let others = [ways[1], ways[2]].map(|how| {
            spawn(&shared, move |shared| {
                shared.lock_and_hold(how);
            })
        });
        shared.lock_and_hold(ways[0]);
        for other in others {
            other.join().unwrap();
        }
        assert!(shared.mutex.state.take_free(), "nobody holds it or waits");
    });
}

#[test]
fn model_a_writer_and_two_readers() {
    three([How::Write, How::Read, How::Read]);
}

#[test]
fn model_a_reader_and_two_writers() {
    three([How::Read, How::Write, How::Write]);
}

/// We hold it for reading until another reader has held it too; a writer comes, and goes when its time is up.
fn timed_writer(bug: Bug) {
    model(2, bug, |shared| {
        shared.mutex.rlock();
        let writer = spawn(&shared, |shared| {
            if shared.mutex.lock_slow(How::Write, SOON) {
                shared.hold(How::Write);
            }
        });
        let reader = spawn(&shared, |shared| {
            shared.lock_and_hold(How::Read);
        });
        reader.join().unwrap();
        shared.hold(How::Read);
        writer.join().unwrap();
        assert!(shared.mutex.state.take_free(), "nobody holds it or waits");
    });
}

#[test]
fn model_a_writers_deadline_lets_readers_in() {
    timed_writer(Bug::None);
}

#[test]
#[should_panic(expected = "deadlock")]
fn model_leaving_silently_is_found() {
    timed_writer(Bug::LeaveSilently);
}

/// One with a deadline, one without, against one who holds it.
fn timed(held: How, timed: How, patient: How) {
    model(2, Bug::None, move |shared| {
        match held {
            How::Read => shared.mutex.rlock(),
            How::Write => shared.mutex.lock(),
        }
        let timed = spawn(&shared, move |shared| {
            if shared.mutex.lock_slow(timed, SOON) {
                shared.hold(timed);
            }
        });
        let patient = spawn(&shared, move |shared| {
            shared.lock_and_hold(patient);
        });
        shared.hold(held);
        timed.join().unwrap();
        patient.join().unwrap();
        assert!(shared.mutex.state.take_free(), "nobody holds it or waits");
    });
}

#[test]
fn model_deadlines_against_unlock() {
    timed(How::Write, How::Read, How::Write);
    timed(How::Write, How::Write, How::Read);
}

#[test]
fn model_deadlines_against_runlock() {
    timed(How::Read, How::Write, How::Write);
}
