//! Loom models of the tree: cancel against release, against birth, against the timer, against the done channel; and
//! weakened variants that they must find.
//!
//! A context that is freed stays in memory and is retired ([`Canceller::free`]): loom holds whoever comes too late
//! against that. One heap stands for all processors, a thread that runs what has expired for a worker.

use super::context::Ctx;
use super::done::Outcome;
use super::knobs::{self, Bug};
use super::{CANCELED, TIMED_OUT};
use crate::chan::{self, Chan};
use crate::sched::timer::TimerHeap;
use crate::sched::use_heap;
use loom::sync::Arc;
use loom::thread::{self, JoinHandle};
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicU32, Ordering};

/// All clocks of a model are far behind this.
const SOON: i64 = 1_000;

/// One reference to a context, or to a channel.
#[derive(Clone, Copy)]
struct C(*mut Ctx);
#[derive(Clone, Copy)]
struct Ch(*mut Chan);

// SAFETY: contexts are made to be shared.
unsafe impl Send for C {}
// SAFETY: channels are made to be shared.
unsafe impl Send for Ch {}

// In all of these the models own what they pass.
impl C {
    fn root() -> C {
        // SAFETY: null stands for the background.
        C(unsafe { Ctx::with_cancel(null_mut()) })
    }

    fn child(self) -> C {
        // SAFETY: see above.
        C(unsafe { Ctx::with_cancel(self.0) })
    }

    fn timed(self) -> C {
        // SAFETY: see above.
        C(unsafe { Ctx::with_deadline(self.0, SOON) })
    }

    fn retain(self) -> C {
        // SAFETY: see above.
        unsafe { Ctx::retain(self.0) };
        self
    }

    fn cancel(self, cause: i32) {
        // SAFETY: see above.
        unsafe { Ctx::cancel(self.0, CANCELED, cause) };
    }

    fn release(self) {
        // SAFETY: see above.
        unsafe { Ctx::release(self.0) };
    }

    fn done(self) -> Ch {
        // SAFETY: see above.
        Ch(unsafe { Ctx::done(self.0) })
    }

    fn outcome(self) -> Option<Outcome> {
        // SAFETY: see above.
        unsafe { Ctx::outcome(self.0) }
    }

    /// It is done, with that cause.
    #[track_caller]
    fn is_done(self, cause: i32) {
        let err = if cause == TIMED_OUT { TIMED_OUT } else { CANCELED };
        assert_eq!(self.outcome(), Some(Outcome { err, cause }), "not done as it should be");
    }
}

impl Ch {
    fn retain(self) -> Ch {
        // SAFETY: see above.
        unsafe { Chan::retain(self.0) };
        self
    }

    fn release(self) {
        // SAFETY: see above.
        unsafe { Chan::release(self.0) };
    }

    fn is_closed(self) -> bool {
        // SAFETY: see above.
        unsafe { Chan::is_closed(self.0) }
    }

    fn wait(self) {
        // SAFETY: see above.
        assert_eq!(unsafe { Chan::recv(self.0, null_mut()) }, chan::Outcome::Closed);
    }
}

fn model(bug: Bug, body: impl Fn(&Arc<TimerHeap>) + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(move || {
        knobs::set(bug);
        let heap = Arc::new(TimerHeap::new());
        use_heap(&heap);
        body(&heap);
        assert_eq!(heap.next(), i64::MAX, "a timer was left behind");
    });
}

/// A worker, for which the deadlines have come.
fn worker(heap: &Arc<TimerHeap>) -> JoinHandle<()> {
    let heap = heap.clone();
    thread::spawn(move || {
        use_heap(&heap);
        // SAFETY: no lock is held.
        unsafe { heap.run_expired(SOON) };
    })
}

/// Two children, of which one is released while the parent is cancelled, and one is there to see that.
fn cancel_against_release(bug: Bug) {
    model(bug, |_| {
        let root = C::root();
        let (leaving, staying) = (root.child(), root.child());
        let other = thread::spawn(move || leaving.release());
        root.cancel(7);
        staying.is_done(7);
        other.join().unwrap();
        staying.release();
        root.release();
    });
}

#[test]
fn model_cancel_against_release_of_a_child() {
    cancel_against_release(Bug::None);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn model_of_a_child_freed_while_linked_fails() {
    cancel_against_release(Bug::FreeLinked);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn model_of_a_walk_that_lets_go_of_the_parent_fails() {
    cancel_against_release(Bug::UnlockFirst);
}

/// Two neighbours leave at the same time, a third comes: the list is whole afterwards.
#[test]
fn model_two_releases_and_a_birth() {
    model(Bug::None, |_| {
        let root = C::root();
        let (one, two) = (root.child(), root.child());
        let other = thread::spawn(move || one.release());
        let third = thread::spawn(move || root.child());
        two.release();
        other.join().unwrap();
        let third = third.join().unwrap();
        root.cancel(7);
        third.is_done(7);
        third.release();
        root.release();
    });
}

/// Whoever sees that it is done may give up the last reference, though the cancel has not returned.
fn release_by_the_observer(bug: Bug) {
    model(bug, |_| {
        let root = C::root();
        let observer = thread::spawn(move || {
            if root.outcome().is_some() {
                root.release();
                return true;
            }
            false
        });
        root.cancel(7);
        if !observer.join().unwrap() {
            root.release();
        }
    });
}

#[test]
fn model_release_by_whoever_sees_it_done() {
    release_by_the_observer(Bug::None);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn model_of_a_release_that_does_not_wait_for_the_cancel_fails() {
    release_by_the_observer(Bug::FreeLocked);
}

/// ... or in whose channel it is closed.
#[test]
fn model_release_by_whoever_waited_for_it() {
    model(Bug::None, |_| {
        let root = C::root();
        let observer = thread::spawn(move || {
            root.done().wait();
            root.is_done(7);
            root.release();
        });
        root.cancel(7);
        observer.join().unwrap();
    });
}

/// A child that is made while the parent is cancelled is done either way.
fn birth_against_cancel(bug: Bug) {
    model(bug, |_| {
        let root = C::root();
        let birth = thread::spawn(move || root.child());
        root.cancel(7);
        let child = birth.join().unwrap();
        child.is_done(7);
        child.release();
        root.release();
    });
}

#[test]
fn model_birth_against_cancel() {
    birth_against_cancel(Bug::None);
}

#[test]
#[should_panic(expected = "not done as it should be")]
fn model_of_a_child_that_looks_without_the_lock_fails() {
    birth_against_cancel(Bug::LinkUnchecked);
}

/// A parent and its child are cancelled at the same time: whichever call returns, the grandchild is done, and
/// all below are done for one reason each.
#[test]
fn model_cancel_of_parent_against_cancel_of_child() {
    model(Bug::None, |_| {
        let root = C::root();
        let child = root.child();
        let grandchild = child.child();
        let other = thread::spawn(move || {
            child.cancel(8);
            assert!(grandchild.outcome().is_some(), "not done");
        });
        root.cancel(7);
        root.is_done(7);
        let cause = grandchild.outcome().expect("not done").cause;
        child.is_done(cause);
        assert!(cause == 7 || cause == 8);
        other.join().unwrap();
        for ctx in [root, grandchild, child] {
            ctx.release();
        }
    });
}

/// Who sees that it is done sees why, with a channel and without.
fn err_is_set_when_done(bug: Bug, channel: bool) {
    model(bug, move |_| {
        let root = C::root();
        if channel {
            root.done();
        }
        let observer = thread::spawn(move || {
            if root.outcome().is_some() {
                root.is_done(7);
            }
        });
        root.cancel(7);
        root.is_done(7);
        observer.join().unwrap();
        root.release();
    });
}

#[test]
fn model_err_is_set_when_done() {
    err_is_set_when_done(Bug::None, false);
}

#[test]
fn model_err_is_set_when_the_channel_is_closed() {
    err_is_set_when_done(Bug::None, true);
}

#[test]
#[should_panic(expected = "not done as it should be")]
fn model_of_done_before_err_fails() {
    err_is_set_when_done(Bug::DoneFirst, false);
}

#[test]
#[should_panic(expected = "not done as it should be")]
fn model_of_a_channel_closed_before_err_fails() {
    err_is_set_when_done(Bug::DoneFirst, true);
}

/// The channel is made by two at once, and the context cancelled: there is one, and it is closed.
#[test]
fn model_two_ask_for_the_channel_while_it_is_cancelled() {
    model(Bug::None, |_| {
        let root = C::root();
        let other = thread::spawn(move || root.done().wait());
        let canceller = thread::spawn(move || root.cancel(7));
        root.done().wait();
        root.is_done(7);
        other.join().unwrap();
        canceller.join().unwrap();
        root.release();
    });
}

/// The deadline passes while the context is released.
fn timer_against_release(bug: Bug) {
    model(bug, |heap| {
        let timed = C(null_mut()).timed();
        let worker = worker(heap);
        timed.release();
        worker.join().unwrap();
    });
}

#[test]
fn model_deadline_against_release() {
    timer_against_release(Bug::None);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn model_of_a_timer_that_fires_for_the_dead_fails() {
    timer_against_release(Bug::ClaimDead);
}

/// ... or its parent is cancelled: one of the two is first.
#[test]
fn model_deadline_against_cancel() {
    model(Bug::None, |heap| {
        let root = C::root();
        let timed = root.timed();
        let worker = worker(heap);
        root.cancel(7);
        let outcome = timed.outcome().expect("not done");
        timed.release();
        worker.join().unwrap();
        assert!(outcome.cause == 7 || outcome.cause == TIMED_OUT);
        root.release();
    });
}

/// Who holds the done channel alone is told of the deadline although the context was released.
fn channel_outlives_the_handle(bug: Bug) {
    model(bug, |heap| {
        let timed = C(null_mut()).timed();
        let done = timed.done().retain();
        let other = thread::spawn(move || timed.release());
        let worker = worker(heap);
        other.join().unwrap();
        worker.join().unwrap();
        // Not by waiting: a broken variant would hang.
        assert!(done.is_closed(), "nobody closed it");
        done.release();
    });
}

#[test]
fn model_channel_outlives_the_handle() {
    channel_outlives_the_handle(Bug::None);
}

#[test]
#[should_panic(expected = "nobody closed it")]
fn model_of_a_context_freed_before_its_channel_fails() {
    channel_outlives_the_handle(Bug::FreeWithChan);
}

/// Handle and channel are given up by two at once, while the parent is cancelled.
#[test]
fn model_channel_and_handle_against_cancel() {
    model(Bug::None, |_| {
        let root = C::root();
        let child = root.child();
        let done = child.done().retain();
        let handle = thread::spawn(move || child.release());
        let channel = thread::spawn(move || done.release());
        root.cancel(7);
        handle.join().unwrap();
        channel.join().unwrap();
        root.release();
    });
}

/// The channel, which outlived the handle, is given up while the deadline passes.
fn channel_against_deadline(bug: Bug) {
    model(bug, |heap| {
        let timed = C(null_mut()).timed();
        let done = timed.done().retain();
        timed.release();
        let worker = worker(heap);
        done.release();
        worker.join().unwrap();
    });
}

#[test]
fn model_channel_against_deadline() {
    channel_against_deadline(Bug::None);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn model_of_a_channel_freed_without_the_lock_of_its_context_fails() {
    channel_against_deadline(Bug::GoneUnlocked);
}

/// Counts its calls. Not loom's: the number is looked at when all is over.
unsafe extern "C" fn count(counter: *mut c_void) {
    // SAFETY: the models give it a counter that outlives them.
    unsafe { (*counter.cast::<AtomicU32>()).fetch_add(1, Ordering::Relaxed) };
}

/// A function is started once, or stop says that it will not be; the handle may be gone by then.
#[test]
fn model_after_func_against_stop_and_cancel() {
    model(Bug::None, |_| {
        let calls = AtomicU32::new(0);
        let counter: *mut c_void = (&raw const calls).cast_mut().cast();
        let root = C::root();
        let child = root.child();
        let mut id = 0;
        // SAFETY: the models own what they pass; a model's goroutine runs at once.
        assert!(unsafe { Ctx::after_func(child.0, count, counter, &raw mut id) }.is_ok());
        let other = thread::spawn(move || {
            // SAFETY: as above.
            let stopped = unsafe { Ctx::after_func_stop(child.0, id) };
            child.release();
            stopped
        });
        root.cancel(7);
        let stopped = other.join().unwrap();
        assert_eq!(calls.load(Ordering::Relaxed), u32::from(!stopped));
        root.release();
    });
}

/// A function is added while the context is cancelled: it is started all the same, once.
#[test]
fn model_after_func_added_against_cancel() {
    model(Bug::None, |_| {
        let calls = AtomicU32::new(0);
        let counter = (&raw const calls).expose_provenance();
        let root = C::root().retain();
        let other = thread::spawn(move || {
            let counter = std::ptr::with_exposed_provenance_mut(counter);
            // SAFETY: as above.
            assert!(unsafe { Ctx::after_func(root.0, count, counter, null_mut()) }.is_ok());
            root.release();
        });
        root.cancel(7);
        other.join().unwrap();
        assert_eq!(calls.load(Ordering::Relaxed), 1);
        root.release();
    });
}
