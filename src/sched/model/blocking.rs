//! The end of a blocking call: its goroutine is lost to nobody, and its waiting is taken for no deadlock.
//!
//! `blocking::serve` from the end of the call on, over the small scheduler of `world.rs`, with the real `Accounted`; and
//! of the deadlock detector what looks at `Pending`, which is a word here. As in `deadlock.rs` the truth is kept beside
//! the model: whether the goroutine has parked for ever.

use super::world::{Bug as WorldBug, End, Lists, World, X, Y};
use crate::primitive::{Accounted, AccountedBug};
use crate::sched::pool::Watch;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use std::sync::atomic::{AtomicBool as Flag, Ordering::Relaxed};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bug {
    None,
    /// The goroutine is put into the global queue, and nobody is told.
    QueuedSilently,
    /// `Pending` is lowered before the goroutine has a processor or is in a queue.
    LowersFirst,
    /// ... is looked at after the queues.
    PendingLast,
    /// ... was never raised.
    NotRaised,
}

/// Worker 0 makes the call, for X; there is one processor.
struct Call {
    bug: Bug,
    world: Arc<World>,
    accounted: &'static Accounted,
    pending: AtomicUsize,
    /// X has parked for ever.
    parked: Flag,
    reported: Flag,
}

/// Both threads are gort's own.
const THREADS: u32 = 2;

impl Call {
    fn new(bug: Bug, idle: Lists) -> Arc<Call> {
        let accounted: &'static Accounted = Box::leak(Box::new(Accounted::new(AccountedBug::None)));
        // Worker 0 counts itself in when the call is over.
        (1..THREADS).for_each(|_| accounted.add());
        Arc::new(Call {
            bug,
            world: World::new(WorldBug::None, 1, THREADS as usize, idle, Watch::Deep),
            accounted,
            pending: AtomicUsize::new(usize::from(bug != Bug::NotRaised)),
            parked: Flag::new(false),
            reported: Flag::new(false),
        })
    }

    /// The call is over. True: worker 0 holds the processor, for X.
    fn comes_back(&self) -> bool {
        self.accounted.add();
        if self.bug == Bug::LowersFirst {
            self.lower();
        }
        let proc = {
            let mut lists = self.world.lists();
            self.world.take_proc(&mut lists)
        };
        if proc.is_none() {
            self.queue();
        } else if self.bug != Bug::LowersFirst {
            self.lower();
        }
        proc.is_some()
    }

    /// There was no idle processor.
    fn queue(&self) {
        if self.bug == Bug::QueuedSilently {
            self.world.injector.fetch_or(X, Ordering::Release);
        } else {
            self.world.inject(X);
        }
        if self.bug != Bug::LowersFirst {
            self.lower();
        }
    }

    fn lower(&self) {
        if self.bug != Bug::NotRaised {
            self.pending.fetch_sub(1, Ordering::SeqCst);
            // Then whoever lowers it looks, sequentially consistent: see the folder.
            self.world.sc();
        }
    }

    /// `w` has the processor, and X is there, or somebody else has run it.
    fn pick(&self, w: usize, searching: bool) {
        if self.world.injector.swap(0, Ordering::SeqCst) == X {
            self.run_x(w, searching);
        } else {
            self.world.go_idle(w, 0, searching);
            self.look();
        }
    }

    /// X runs on `w`, which is counted as searching or not, and parks.
    fn run_x(&self, w: usize, searching: bool) -> End {
        if searching {
            self.world.found();
        }
        self.parked.store(true, Relaxed);
        let end = self.world.go_idle(w, 0, false);
        self.look();
        end
    }

    /// `quiet::seems_quiet`, `deadlock::find` and `report`.
    fn look(&self) {
        let world = &self.world;
        world.sc();
        let none_pending = || self.pending.load(Ordering::SeqCst) == 0;
        let empty = || world.injector.load(Ordering::SeqCst) == 0 && !world.has_work(0);
        if world.pool.load().idle() < 1 || !none_pending() && self.bug != Bug::PendingLast || !empty() {
            return;
        }
        let lists = world.lists();
        if lists.procs.len() != 1 {
            return;
        }
        let certain = || match self.bug {
            Bug::PendingLast => empty() && none_pending(),
            _ => none_pending() && empty(),
        };
        if self.accounted.covers(|| Some(THREADS), certain) {
            assert!(self.parked.load(Relaxed), "wrongly reported: the goroutine can run");
            self.reported.store(true, Relaxed);
        }
    }

    /// All threads of the model are at their futex: whoever has mail runs X. Then the deadlock that there is has been
    /// found.
    fn over(&self) {
        for w in 0..THREADS as usize {
            // SAFETY: the worker's thread has ended; this one is it now.
            if let Some(parcel) = unsafe { self.world.mail[w].take() } {
                self.pick(w, parcel.searching);
            }
        }
        assert!(self.parked.load(Relaxed), "the goroutine is lost");
        assert!(self.reported.load(Relaxed), "a deadlock that nobody found");
    }
}

/// The call ends while the other worker goes idle: one of the two takes the processor for X.
fn end_against_going_idle(bug: Bug) {
    loom::model(move || {
        // Worker 1 has the processor.
        let call = Call::new(bug, Lists { procs: vec![], workers: vec![], sentinel: None });
        let other = {
            let call = call.clone();
            thread::spawn(move || {
                if let End::Holds { searching } = call.world.go_idle(1, 0, false) {
                    call.pick(1, searching);
                } else {
                    call.look();
                }
            })
        };
        if call.comes_back() {
            call.run_x(0, false);
        } else {
            // `idle::wait_for_proc`, which looks before it waits.
            call.look();
            call.world.wait_for_proc(0);
        }
        other.join().unwrap();
        call.over();
    });
}

#[test]
fn model_end_of_a_call_against_going_idle() {
    end_against_going_idle(Bug::None);
}

#[test]
#[should_panic(expected = "the goroutine is lost")]
fn model_end_of_a_call_that_tells_nobody_loses_its_goroutine() {
    end_against_going_idle(Bug::QueuedSilently);
}

#[test]
#[should_panic(expected = "wrongly reported")]
fn model_end_of_a_call_that_was_not_pending_is_a_deadlock() {
    end_against_going_idle(Bug::NotRaised);
}

/// Worker 0 has just found no processor idle, and the other goes idle and is counted as searching, so that nobody is
/// woken for X. All the while somebody looks.
fn queueing_against_a_look(bug: Bug) {
    loom::model(move || {
        let call = Call::new(bug, Lists { procs: vec![], workers: vec![], sentinel: None });
        call.world.pool.add_searching();
        call.accounted.add();
        let looker = {
            let call = call.clone();
            thread::spawn(move || call.look())
        };
        let other = {
            let call = call.clone();
            thread::spawn(move || {
                if let End::Holds { searching } = call.world.go_idle(1, 0, true) {
                    call.pick(1, searching);
                } else {
                    call.look();
                }
            })
        };
        let caller = {
            let call = call.clone();
            thread::spawn(move || {
                call.queue();
                call.look();
                call.world.wait_for_proc(0);
            })
        };
        for thread in [looker, other, caller] {
            thread.join().unwrap();
        }
        call.over();
    });
}

#[test]
fn model_end_of_a_call_that_queues_against_a_look() {
    queueing_against_a_look(Bug::None);
}

#[test]
#[should_panic(expected = "wrongly reported")]
fn model_end_of_a_call_with_pending_looked_at_last_is_a_deadlock() {
    queueing_against_a_look(Bug::PendingLast);
}

/// The processor is idle, and somebody looks all the while.
fn end_against_a_look(bug: Bug) {
    loom::model(move || {
        let call = Call::new(bug, Lists { procs: vec![0], workers: vec![1], sentinel: Some(1) });
        let looker = {
            let call = call.clone();
            thread::spawn(move || call.look())
        };
        assert!(call.comes_back());
        call.run_x(0, false);
        looker.join().unwrap();
        call.over();
    });
}

#[test]
fn model_end_of_a_call_against_a_look() {
    end_against_a_look(Bug::None);
}

#[test]
#[should_panic(expected = "wrongly reported")]
fn model_end_of_a_call_that_lowers_first_is_a_deadlock() {
    end_against_a_look(Bug::LowersFirst);
}

/// The processor is idle, and somebody injects Y: if worker 0 is faster, Y waits for X to leave, and is found then.
#[test]
fn model_end_of_a_call_against_inject() {
    loom::model(|| {
        let call = Call::new(Bug::None, Lists { procs: vec![0], workers: vec![1], sentinel: Some(1) });
        let outside = {
            let call = call.clone();
            thread::spawn(move || call.world.inject(Y))
        };
        let end =
            if call.comes_back() { call.world.go_idle(0, 0, false) } else { call.world.wait_for_proc(0) };
        outside.join().unwrap();
        call.world.check(&[(0, end)]);
    });
}
