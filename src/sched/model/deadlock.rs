//! The deadlock detector: a report is never wrong, and whoever takes the last step into a deadlock makes one.
//!
//! The real `Accounted`, `Wait` and `Queue`; `deadlock::look` and `find` step by step; the kernel's count of threads is a
//! word that is read by a read-modify-write, as under a lock. What is true is kept beside the model, where loom does not
//! see it: how many threads of the host's could act, and how many goroutines could run. A report while either is
//! not 0 is wrong. Not to report while both are is wrong as well, unless somebody was asked to look again.

use super::world::{Bug as WorldBug, Lists, World, X};
use crate::primitive::{Accounted, AccountedBug, FOREVER};
use crate::sched::pool::Watch;
use crate::sched::threads_only::account_in;
use crate::sched::wait::{Node, Order, Queue, Wait};
use crate::sched::{WaitReason, poll};
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Mutex, MutexGuard};
use loom::thread;
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool as Flag, AtomicIsize as Count, Ordering::Relaxed};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bug {
    None,
    /// See [`AccountedBug`].
    Accounted(AccountedBug),
    /// A woken thread counts itself out, when it runs.
    CountsItselfOut,
    /// A thread that waits is counted in before it lets go of what it held.
    CountedInFirst,
    /// The queues are looked at before the threads are counted.
    QueuesFirst,
    /// The processors are not kept idle: whether they are is asked without the lists' lock.
    NotStill,
    /// A thread looks before it is counted in.
    LooksTooEarly,
}

/// A process.
struct Host {
    bug: Bug,
    world: Arc<World>,
    accounted: &'static Accounted,
    /// The kernel's count of threads.
    threads: AtomicUsize,
    /// What H waits for.
    lock: Mutex<()>,
    queue: UnsafeCell<Queue>,
    /// The truth.
    acting: Count,
    ready: Count,
    reported: Flag,
}

// SAFETY: the queue is guarded by the lock.
unsafe impl Send for Host {}
// SAFETY: as above.
unsafe impl Sync for Host {}

/// `gort` threads of gort's own, all of which wait, and `outside` of the host's, all of which act.
fn host(bug: Bug, idle: Lists, gort: u32, outside: u32) -> Arc<Host> {
    let broken = if let Bug::Accounted(bug) = bug { bug } else { AccountedBug::None };
    let accounted: &'static Accounted = Box::leak(Box::new(Accounted::new(broken)));
    (0..gort).for_each(|_| accounted.add());
    let by_hand = matches!(bug, Bug::CountsItselfOut | Bug::CountedInFirst);
    account_in(if by_hand { None } else { Some(accounted) });
    Arc::new(Host {
        bug,
        world: World::new(WorldBug::None, 1, 2, idle, Watch::Deep),
        accounted,
        threads: AtomicUsize::new((gort + outside) as usize),
        lock: Mutex::new(()),
        queue: UnsafeCell::new(Queue::new()),
        acting: Count::new(outside as isize),
        ready: Count::new(0),
        reported: Flag::new(false),
    })
}

fn run(host: &Arc<Host>, body: impl FnOnce(&Arc<Host>) + 'static) -> thread::JoinHandle<()> {
    let host = host.clone();
    thread::spawn(move || body(&host))
}

impl Host {
    /// `quiet::seems_quiet`, `deadlock::find` and `report`.
    fn look(&self) {
        self.world.sc();
        if self.world.pool.load().idle() < 1 || self.world.injector.load(Ordering::SeqCst) != 0 {
            return;
        }
        let threads = || Some(self.threads.fetch_add(0, Ordering::AcqRel) as u32);
        let empty = || self.world.injector.load(Ordering::SeqCst) == 0 && !self.world.has_work(0);
        let still = (self.bug != Bug::NotStill).then(|| self.world.lists());
        if still.as_ref().is_some_and(|lists| lists.procs.len() != 1) {
            return;
        }
        let covered = if self.bug == Bug::QueuesFirst {
            let empty = empty();
            self.accounted.covers(threads, || empty)
        } else {
            self.accounted.covers(threads, empty)
        };
        if covered {
            assert_eq!(self.acting.load(Relaxed), 0, "wrongly reported: a thread can act");
            assert_eq!(self.ready.load(Relaxed), 0, "wrongly reported: a goroutine can run");
            self.reported.store(true, Relaxed);
        }
    }

    /// A thread of the host's waits in gort for ever.
    fn wait_for_ever(&self) {
        self.acting.fetch_sub(1, Relaxed);
        if self.bug == Bug::LooksTooEarly {
            self.look();
            self.accounted.add();
        } else {
            self.accounted.add();
            self.look();
        }
    }

    /// A thread of the host's ends.
    fn end(&self) {
        self.acting.fetch_sub(1, Relaxed);
        self.threads.fetch_sub(1, Ordering::AcqRel);
    }

    fn inject(&self) {
        self.ready.fetch_add(1, Relaxed);
        self.world.inject(X);
    }

    /// Worker 1 gets the processor, runs X, which parks, and goes idle.
    fn run_x(&self) {
        // SAFETY: this is worker 1.
        while unsafe { self.world.mail[1].take() }.is_none() {
            self.world.mail[1].sleep(FOREVER);
        }
        assert_eq!(self.world.injector.swap(0, Ordering::SeqCst), X);
        self.world.found();
        self.ready.fetch_sub(1, Relaxed);
        self.world.go_idle(1, 0, false);
        self.look();
    }

    /// H waits for a waker, which can reach it from here on.
    fn wait(&self, guard: MutexGuard<'_, ()>) {
        let mut guard = Some(guard);
        let wait = Wait::new(WaitReason::None, false);
        let mut node = Node::new(&wait, 1, std::ptr::null_mut());
        self.acting.fetch_sub(1, Relaxed);
        if self.bug == Bug::CountsItselfOut {
            self.accounted.add();
        }
        // SAFETY: locked; node and wait stay in place until the wait is claimed and over.
        unsafe {
            (*self.queue.get()).push_back(&raw mut node);
            wait.block(unlock, (&raw mut guard).cast());
        }
        if self.bug == Bug::CountsItselfOut {
            self.accounted.sub();
        }
    }

    /// H waits for a waker and, in the last step before it sleeps, makes X ready, who is the waker: as where a condition
    /// variable gives up its mutex.
    fn wait_and_inject(&self) {
        let mut held = (self, Some(self.lock.lock().unwrap()));
        let wait = Wait::new(WaitReason::None, false);
        let mut node = Node::new(&wait, 1, std::ptr::null_mut());
        if self.bug == Bug::CountedInFirst {
            self.accounted.add();
        }
        // SAFETY: as in `wait`.
        unsafe {
            (*self.queue.get()).push_back(&raw mut node);
            wait.block(unlock_and_inject, (&raw mut held).cast());
        }
    }

    /// Worker 1 gets the processor, runs X, which wakes H and ends, and goes idle.
    fn run_x_that_wakes(&self) {
        // SAFETY: this is worker 1.
        while unsafe { self.world.mail[1].take() }.is_none() {
            self.world.mail[1].sleep(FOREVER);
        }
        assert_eq!(self.world.injector.swap(0, Ordering::SeqCst), X);
        self.world.found();
        self.wake();
        self.ready.fetch_sub(1, Relaxed);
        self.world.go_idle(1, 0, false);
        self.look();
    }

    /// Wake H.
    fn wake(&self) {
        let guard = self.lock.lock().unwrap();
        // SAFETY: locked; a node that was claimed stays in place until it is woken.
        unsafe {
            let node = (*self.queue.get()).pop();
            assert!(!node.is_null());
            let wait = (*node).wait;
            drop(guard);
            self.acting.fetch_add(1, Relaxed);
            if self.bug == Bug::CountedInFirst {
                self.accounted.sub();
            }
            Wait::wake(wait, Order::Next);
        }
    }

    /// All threads of the model have ended, and the process is in a deadlock. `found`: at once, by one of them; else
    /// when somebody looks again.
    fn over(&self, found: bool) {
        assert_eq!((self.acting.load(Relaxed), self.ready.load(Relaxed)), (0, 0));
        if !found {
            self.look();
        }
        assert!(self.reported.load(Relaxed), "a deadlock that nobody found");
    }
}

/// H's unlocking.
unsafe fn unlock(guard: *mut ()) {
    // SAFETY: it is H's guard, in place until H goes on.
    drop(unsafe { (*guard.cast::<Option<MutexGuard<'_, ()>>>()).take() });
}

/// The same, and X is ready; until then H acts.
unsafe fn unlock_and_inject(held: *mut ()) {
    // SAFETY: they are on H's stack, which is in the call.
    let (host, guard) = unsafe { &mut *held.cast::<(&Host, Option<MutexGuard<'_, ()>>)>() };
    drop(guard.take());
    host.inject();
    host.acting.fetch_sub(1, Relaxed);
}

/// Worker 0 holds the one processor and has nothing left to run. Worker 1 is the sentinel, and as good as not there.
fn busy() -> Lists {
    Lists { procs: vec![], workers: vec![], sentinel: None }
}

/// The processor is idle, and worker 1 asleep.
fn idle() -> Lists {
    Lists { procs: vec![0], workers: vec![1], sentinel: Some(1) }
}

/// The last worker goes idle while the only thread outside begins to wait: one of the two sees the deadlock.
fn both_come_to_rest(bug: Bug) {
    loom::model(move || {
        let host = host(bug, busy(), 1, 1);
        let f = run(&host, |host| host.wait_for_ever());
        host.world.go_idle(0, 0, false);
        host.look();
        f.join().unwrap();
        host.over(true);
    });
}

#[test]
fn model_deadlock_is_found_by_the_last_to_come_to_rest() {
    both_come_to_rest(Bug::None);
}

#[test]
#[should_panic(expected = "nobody found")]
fn model_deadlock_look_before_being_counted_in_finds_none() {
    both_come_to_rest(Bug::LooksTooEarly);
}

/// A thread outside makes a goroutine ready and then waits for ever, while the last worker goes idle, which is
/// counted as searching, so that nobody is woken. The thread in `gort_main` looks.
fn inject_then_wait(bug: Bug) {
    loom::model(move || {
        let host = host(bug, busy(), 1, 1);
        host.world.pool.add_searching();
        let f = run(&host, |host| {
            host.inject();
            host.wait_for_ever();
        });
        let looker = run(&host, |host| host.look());
        let end = host.world.go_idle(0, 0, true);
        f.join().unwrap();
        looker.join().unwrap();
        host.world.check(&[(0, end)]);
        assert!(!host.reported.load(Relaxed));
    });
}

#[test]
fn model_deadlock_of_a_thread_that_injects_and_waits_is_none() {
    inject_then_wait(Bug::None);
}

#[test]
#[should_panic(expected = "wrongly reported: a goroutine can run")]
fn model_deadlock_with_the_queues_looked_at_first_is_wrong() {
    inject_then_wait(Bug::QueuesFirst);
}

/// ... and a worker runs that goroutine, until it parks, while somebody looks.
fn inject_and_run(bug: Bug) {
    let mut builder = loom::model::Builder::new();
    // The looker is interrupted, then the worker; and once where it is not needed, as loom counts.
    builder.preemption_bound = builder.preemption_bound.map(|bound| bound.max(3));
    builder.check(move || {
        let host = host(bug, idle(), 1, 1);
        let f = run(&host, |host| {
            host.inject();
            host.wait_for_ever();
        });
        let looker = run(&host, |host| host.look());
        host.run_x();
        f.join().unwrap();
        looker.join().unwrap();
        host.over(true);
    });
}

#[test]
fn model_deadlock_is_found_when_the_goroutine_has_parked() {
    inject_and_run(Bug::None);
}

#[test]
#[should_panic(expected = "wrongly reported: a goroutine can run")]
fn model_deadlock_without_holding_the_processors_is_wrong() {
    inject_and_run(Bug::NotStill);
}

/// H lets X go on in its last step before it sleeps, X wakes H, and H ends. All the while somebody looks.
fn let_go_and_wait(bug: Bug) {
    loom::model(move || {
        let host = host(bug, idle(), 1, 1);
        let worker = run(&host, |host| host.run_x_that_wakes());
        let looker = run(&host, |host| host.look());
        host.wait_and_inject();
        host.end();
        worker.join().unwrap();
        looker.join().unwrap();
        host.over(false);
    });
}

#[test]
fn model_deadlock_of_a_thread_that_lets_go_and_waits_is_none() {
    let_go_and_wait(Bug::None);
}

#[test]
#[should_panic(expected = "wrongly reported")]
fn model_deadlock_with_threads_counted_in_before_they_let_go_is_wrong() {
    let_go_and_wait(Bug::CountedInFirst);
}

/// F wakes H and ends. H, once it runs, starts the thread E and waits for ever, as E does then. All the while
/// somebody looks.
fn relay(bug: Bug) {
    loom::model(move || {
        let host = host(bug, idle(), 1, 2);
        let guard = host.lock.lock().unwrap();
        let f = run(&host, |host| {
            host.wake();
            host.end();
        });
        let looker = run(&host, |host| host.look());
        host.wait(guard);
        host.threads.fetch_add(1, Ordering::AcqRel);
        host.acting.fetch_add(1, Relaxed);
        let e = run(&host, |host| host.wait_for_ever());
        host.wait_for_ever();
        for thread in [f, looker, e] {
            thread.join().unwrap();
        }
        // F may have ended last.
        host.over(false);
    });
}

#[test]
fn model_deadlock_while_threads_wake_and_start_threads_is_none() {
    relay(Bug::None);
}

#[test]
#[should_panic(expected = "wrongly reported: a thread can act")]
fn model_deadlock_with_woken_threads_that_count_themselves_out_is_wrong() {
    relay(Bug::CountsItselfOut);
}

#[test]
#[should_panic(expected = "wrongly reported: a thread can act")]
fn model_deadlock_with_the_threads_counted_first_is_wrong() {
    relay(Bug::Accounted(AccountedBug::ThreadsFirst));
}

#[test]
#[should_panic(expected = "wrongly reported: a thread can act")]
fn model_deadlock_without_a_second_look_is_wrong() {
    relay(Bug::Accounted(AccountedBug::NoSecondLook));
}

#[test]
#[should_panic(expected = "wrongly reported: a thread can act")]
fn model_deadlock_with_numbers_compared_only_is_wrong() {
    relay(Bug::Accounted(AccountedBug::NumbersOnly));
}

/// Somebody asks for another look while the one who looks stops looking.
fn asking(stop: fn(&poll::Poll) -> bool) {
    loom::model(move || {
        let poll = Arc::new(poll::Poll::new());
        assert!(poll.ask());
        poll.take();
        let asker = {
            let poll = poll.clone();
            thread::spawn(move || poll.ask())
        };
        let stopped = !poll.take() && stop(&poll);
        let rings = asker.join().unwrap();
        assert!(!stopped || rings || poll.is_on(), "the request is lost");
        assert!(poll.is_on(), "the request is lost");
    });
}

#[test]
fn model_poll_request_is_not_lost() {
    asking(poll::Poll::stop);
}

#[test]
#[should_panic(expected = "the request is lost")]
fn model_poll_request_to_one_that_stops_blindly_is_lost() {
    asking(poll::Poll::stop_blindly);
}
