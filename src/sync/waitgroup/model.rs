//! Loom models of the wait group, and weakened variants that they must find.
//!
//! Whoever waited reads what the others wrote before their `done`, in cells that loom checks for races, and
//! "frees" the memory at once by an exclusive access to the word.

use super::*;
use crate::sync::knobs::Knobs;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

/// A deadline that has passed by the time it is first looked at, which is when the wait is queued.
const SOON: i64 = 1;

struct Shared {
    group: WaitGroup,
    written: [UnsafeCell<u32>; 2],
}

// SAFETY: loom checks who touches `written`.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    fn write_and_done(&self, which: usize) {
        // SAFETY: loom checks that nobody else is here; the model's memory stays to its end.
        unsafe {
            self.written[which].with_mut(|value| *value = 1);
            self.group.done();
        }
    }

    fn read(&self, count: usize) {
        for cell in &self.written[..count] {
            // SAFETY: loom checks that nobody writes.
            assert_eq!(cell.with(|value| unsafe { *value }), 1);
        }
    }

    /// By one whose wait has returned, when all others' have.
    fn free(shared: &Arc<Shared>) {
        // SAFETY: loom checks that nobody else is at the word, later ones included.
        unsafe { &mut *(&raw const shared.group).cast_mut() }.state.assert_alone();
    }
}

/// A wait group that counts `dones`, and a thread for each.
fn model(bug: Bug, dones: usize, run: impl Fn(&Arc<Shared>) + Send + Sync + 'static) {
    knobs::builder(2).check(move || {
        knobs::set(Knobs { bug, ..Knobs::DEFAULT });
        let shared =
            Arc::new(Shared { group: WaitGroup::new(), written: [UnsafeCell::new(0), UnsafeCell::new(0)] });
        // SAFETY: the model's memory stays to its end.
        unsafe { shared.group.add(dones as i64) };
        let workers: Vec<_> =
            (0..dones).map(|which| spawn(&shared, move |shared| shared.write_and_done(which))).collect();
        run(&shared);
        for worker in workers {
            worker.join().unwrap();
        }
    });
}

fn spawn(shared: &Arc<Shared>, run: impl FnOnce(&Arc<Shared>) + 'static) -> thread::JoinHandle<()> {
    let shared = shared.clone();
    thread::spawn(move || run(&shared))
}

fn free_after_wait(bug: Bug) {
    model(bug, 1, move |shared| {
        shared.group.wait();
        shared.read(1);
        Shared::free(shared);
    });
}

#[test]
fn model_free_right_after_wait() {
    free_after_wait(Bug::None);
}

#[test]
#[should_panic(expected = "Concurrent atomic store and unsync mut accesses")]
fn model_waking_before_the_counter_is_zero_is_found() {
    free_after_wait(Bug::WakeThenZero);
}

/// Either `done` may be the last.
#[test]
fn model_two_dones() {
    model(Bug::None, 1, |shared| {
        // SAFETY: the model's memory stays to its end.
        unsafe { shared.group.add(1) };
        shared.write_and_done(1);
        shared.group.wait();
        shared.read(2);
        Shared::free(shared);
    });
}

/// One waits in the queue, one comes by and looks: what it sees at zero must be as good as what a woken one sees.
fn passer_by(bug: Bug) {
    model(bug, 1, |shared| {
        let passer_by = spawn(shared, |shared| {
            if shared.group.state.look().is_zero() {
                shared.read(1);
            }
        });
        shared.group.wait();
        shared.read(1);
        passer_by.join().unwrap();
        Shared::free(shared);
    });
}

#[test]
fn model_passer_by() {
    passer_by(Bug::None);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn model_zero_that_releases_nothing_is_found() {
    passer_by(Bug::ZeroRelaxed);
}

#[test]
fn model_deadline_against_done() {
    model(Bug::None, 1, |shared| {
        if !shared.group.wait_until(SOON) {
            shared.group.wait();
        }
        shared.read(1);
        assert!(shared.group.state.look().is_zero(), "nobody is left in the queue");
        Shared::free(shared);
    });
}

/// With a waiter in the queue (put there by hand: a third thread that spins is too much for loom), two threads
/// count: whichever makes it zero wakes the waiter, once, and not before.
#[test]
fn model_counts_against_the_last_done() {
    model(Bug::None, 1, |shared| {
        // SAFETY: the model's memory stays to its end.
        unsafe { shared.group.add(1) };
        let mut seen = shared.group.state.look();
        while !shared.group.state.enter_queue(&mut seen) {
            thread::yield_now();
        }
        let wait = Wait::new(WaitReason::WaitGroupWait, false);
        let mut node = Node::new(&wait, 1, null_mut());
        // SAFETY: we hold the lock; the node is in place until it is woken.
        unsafe { shared.group.queue.with(|queue| queue.push_back(&raw mut node)) };
        shared.group.state.leave_queue();
        let counter = spawn(shared, |shared| {
            // SAFETY: as above; one of the two is ours.
            unsafe {
                shared.group.add(1);
                shared.group.add(-1);
            }
            shared.write_and_done(1);
        });
        counter.join().unwrap();
        // SAFETY: the node was pushed, and is visible.
        unsafe { wait.block(|_| (), null_mut()) };
        shared.read(2);
        Shared::free(shared);
    });
}
