//! Parking and being made ready: nobody resumes a goroutine whose registers are not saved, and of a waker and a
//! deadline exactly one wins.
//!
//! The real `Wait`, `Queue` and `TimerHeap`; the switch is that of `threads_only.rs`, and the object's lock is
//! loom's.

use crate::primitive::FOREVER;
use crate::sched::WaitReason;
use crate::sched::threads_only::{SwitchBug, become_goroutine};
use crate::sched::timer::TimerHeap;
use crate::sched::wait::{Node, Order, Queue, TIMED_OUT, Wait};
use loom::cell;
use loom::sync::{Arc, Mutex, MutexGuard};
use loom::thread;
use std::cell::UnsafeCell;

/// What a goroutine waits on: a value that the waker hands over.
struct Object {
    lock: Mutex<()>,
    queue: UnsafeCell<Queue>,
    heap: TimerHeap,
}

// SAFETY: the queue is guarded by the lock.
unsafe impl Send for Object {}
// SAFETY: as above.
unsafe impl Sync for Object {}

impl Object {
    fn new() -> Arc<Object> {
        Arc::new(Object {
            lock: Mutex::new(()),
            queue: UnsafeCell::new(Queue::new()),
            heap: TimerHeap::new(),
        })
    }

    /// Hand a value to the first waiter. `claims` false: the waker takes the node without winning it.
    fn wake(&self, claims: bool) -> bool {
        let guard = self.lock.lock().unwrap();
        // SAFETY: locked; a node that is queued is live, and one that was claimed stays so until it is woken.
        unsafe {
            let queue = &mut *self.queue.get();
            let node = if claims {
                queue.pop()
            } else {
                let node = queue.first();
                if !node.is_null() {
                    queue.unlink(node);
                }
                node
            };
            if node.is_null() {
                return false;
            }
            (*(*node).elem.cast::<cell::UnsafeCell<u32>>()).with_mut(|value| *value = 7);
            let wait = (*node).wait;
            drop(guard);
            Wait::wake(wait, Order::Next);
        }
        true
    }
}

/// The waiter's unlocking, once it can be resumed.
unsafe fn unlock(guard: *mut ()) {
    // SAFETY: it is the waiter's guard, in place until the waiter goes on.
    drop(unsafe { (*guard.cast::<Option<MutexGuard<'_, ()>>>()).take() });
}

/// Wait for a value; what came of it.
fn wait(object: &Object, guard: MutexGuard<'_, ()>, deadline: i64) -> u32 {
    let value = cell::UnsafeCell::new(0);
    let mut guard = Some(guard);
    let mut wait = Wait::new(WaitReason::None, false);
    wait.set_deadline(deadline);
    let mut node = Node::new(&wait, 1, (&raw const value).cast_mut().cast());
    // SAFETY: locked; node and wait stay in place until the node is in no queue.
    let winner = unsafe {
        (*object.queue.get()).push_back(&raw mut node);
        wait.block(unlock, (&raw mut guard).cast())
    };
    if winner == TIMED_OUT {
        let _guard = object.lock.lock().unwrap();
        // SAFETY: locked.
        unsafe { (*object.queue.get()).unlink(&raw mut node) };
    }
    // Now the waiter's memory is its own again.
    // SAFETY: nobody else reaches it; loom checks that.
    value.with_mut(|value| assert_eq!(unsafe { *value }, if winner == TIMED_OUT { 0 } else { 7 }));
    winner
}

/// A goroutine parks, a waker wakes it; with a deadline, the timer as well.
fn goroutine(bug: SwitchBug, deadline: Option<i64>, claims: bool) {
    loom::model(move || {
        let object = Object::new();
        let guard = object.lock.lock().unwrap();
        let waker = {
            let object = object.clone();
            thread::spawn(move || object.wake(claims))
        };
        let timer = deadline.map(|deadline| {
            let object = object.clone();
            // SAFETY: no lock is held.
            thread::spawn(move || unsafe { object.heap.run_expired(deadline) })
        });
        let winner =
            become_goroutine(bug, &object.heap, || wait(&object, guard, deadline.unwrap_or(FOREVER)));
        let woken = waker.join().unwrap();
        let fired = timer.map_or(0, |timer| timer.join().unwrap());
        assert_eq!(woken, winner == 1);
        assert_eq!(fired == 1, winner == TIMED_OUT);
        assert_eq!(object.heap.next(), i64::MAX, "the timer is in no heap any more");
    });
}

#[test]
fn model_park_and_ready() {
    goroutine(SwitchBug::None, None, true);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn model_releasing_before_the_registers_are_saved() {
    goroutine(SwitchBug::ReleaseFirst, None, true);
}

#[test]
fn model_park_with_a_deadline_and_ready() {
    goroutine(SwitchBug::None, Some(5), true);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn model_arming_before_the_registers_are_saved() {
    goroutine(SwitchBug::ArmFirst, Some(5), true);
}

#[test]
#[should_panic]
fn model_waking_what_was_not_claimed() {
    goroutine(SwitchBug::None, Some(5), false);
}

/// A plain thread whose deadline has passed, and a waker.
fn os_thread(claims: bool) {
    loom::model(move || {
        let object = Object::new();
        let guard = object.lock.lock().unwrap();
        let waker = {
            let object = object.clone();
            thread::spawn(move || object.wake(claims))
        };
        let winner = wait(&object, guard, 1);
        assert_eq!(waker.join().unwrap(), winner == 1);
    });
}

#[test]
fn model_thread_that_times_out_against_ready() {
    os_thread(true);
}

#[test]
#[should_panic]
fn model_waking_a_thread_that_was_not_claimed() {
    os_thread(false);
}
