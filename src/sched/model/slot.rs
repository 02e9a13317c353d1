//! The `next` slot of a processor: its owner pushes and pops, a thief takes. Each goroutine is run once, by one
//! who sees it as its waker left it.
//!
//! The slot and its three operations are those of `proc.rs`; the goroutine's record is a cell that loom watches.

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bug {
    None,
    /// The owner, who is alone in pushing, pops with a load and a store.
    PopIsNoSwap,
    /// The swaps do not carry the goroutine's record along.
    Relaxed,
}

struct Slot {
    bug: Bug,
    next: AtomicUsize,
    /// The record of goroutine 1 and of goroutine 2: how often it was run.
    records: [UnsafeCell<u32>; 2],
}

// SAFETY: whether the records are touched by one at a time is what the models check.
unsafe impl Sync for Slot {}

impl Slot {
    /// `Proc::push_next`: what was there, for the end of the queue.
    fn push(&self, goroutine: usize) -> usize {
        let order = if self.bug == Bug::Relaxed { Ordering::Relaxed } else { Ordering::SeqCst };
        self.next.swap(goroutine, order)
    }

    /// `Proc::pop_next`.
    fn pop(&self) -> usize {
        let seen = self.next.load(Ordering::Relaxed);
        if seen == 0 {
            return 0;
        }
        if self.bug == Bug::PopIsNoSwap {
            self.next.store(0, Ordering::SeqCst);
            return seen;
        }
        self.take()
    }

    /// `Proc::take_next`.
    fn take(&self) -> usize {
        let order = if self.bug == Bug::Relaxed { Ordering::Relaxed } else { Ordering::SeqCst };
        self.next.swap(0, order)
    }

    fn run(&self, goroutine: usize) {
        if goroutine != 0 {
            // SAFETY: who has taken it is alone with it; loom checks that.
            self.records[goroutine - 1].with_mut(|runs| unsafe { *runs += 1 });
        }
    }
}

fn owner_and_thief(bug: Bug) {
    loom::model(move || {
        let slot = Arc::new(Slot {
            bug,
            next: AtomicUsize::new(0),
            records: [UnsafeCell::new(0), UnsafeCell::new(0)],
        });
        let thief = {
            let slot = slot.clone();
            thread::spawn(move || {
                for _ in 0..2 {
                    slot.run(slot.take());
                }
            })
        };
        for goroutine in [1, 2] {
            // The waker leaves its mark on it.
            // SAFETY: it is in no queue yet.
            slot.records[goroutine - 1].with_mut(|runs| unsafe { *runs = 0 });
            let kicked = slot.push(goroutine);
            slot.run(kicked);
        }
        slot.run(slot.pop());
        thief.join().unwrap();
        slot.run(slot.take());
        for record in &slot.records {
            // SAFETY: the thief has ended.
            assert_eq!(record.with(|runs| unsafe { *runs }), 1, "each goroutine runs once");
        }
    });
}

#[test]
fn model_next_is_taken_once() {
    owner_and_thief(Bug::None);
}

#[test]
#[should_panic]
fn model_next_popped_without_a_swap_is_run_twice() {
    owner_and_thief(Bug::PopIsNoSwap);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn model_next_taken_with_relaxed_swaps_is_seen_half_done() {
    owner_and_thief(Bug::Relaxed);
}
