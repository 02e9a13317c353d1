//! Goroutines that wait for a stack against those who free one: nobody waits while a stack is free.
//!
//! `Stackless`, `run::new_stack` and what a worker does with its stacks when it goes idle, step by step; the pool
//! of stacks is a count under loom's lock, as the real one is a list under a lock. "Nobody waits" means: whoever is
//! still in the waiting list at the end waits for a stack that somebody uses.

use loom::sync::atomic::{AtomicUsize, Ordering, fence};
use loom::sync::{Arc, Mutex};
use loom::thread;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bug {
    None,
    /// Who frees a stack asks whether anybody waits before it has given the stack to the pool.
    AskFirst,
    /// A waiter does not try the pool again when it is in the list.
    NoSecondTry,
    /// A worker that goes idle decides to keep its stacks before it is in the idle list, and does not look again.
    KeepsWithoutLook,
    /// Only the first in the list is let try, even if what was freed is of no use to it.
    FirstOnly,
}

/// Two sizes of stack; a goroutine needs one of its own size.
type Class = usize;

struct Stacks {
    bug: Bug,
    /// Free stacks by class.
    pool: Mutex<[usize; 2]>,
    waiting: Mutex<Vec<Class>>,
    count: AtomicUsize,
    /// What the one idle processor keeps, under the idle lists' lock; `None`: it is not idle.
    idle: Mutex<Option<usize>>,
    /// Goroutines that were queued to try again.
    injected: AtomicUsize,
}

impl Stacks {
    fn new(bug: Bug, free: [usize; 2]) -> Arc<Stacks> {
        Arc::new(Stacks {
            bug,
            pool: Mutex::new(free),
            waiting: Mutex::new(Vec::new()),
            count: AtomicUsize::new(0),
            idle: Mutex::new(None),
            injected: AtomicUsize::new(0),
        })
    }

    fn acquire(&self, class: Class) -> bool {
        let mut pool = self.pool.lock().unwrap();
        let found = pool[class] != 0;
        pool[class] -= usize::from(found);
        found
    }

    fn release(&self, class: Class, n: usize) {
        self.pool.lock().unwrap()[class] += n;
    }

    fn any(&self) -> bool {
        self.count.load(Ordering::SeqCst) != 0
    }

    /// `Stackless::add`.
    fn add(&self, class: Class) {
        let mut waiting = self.waiting.lock().unwrap();
        waiting.push(class);
        self.count.store(waiting.len(), Ordering::SeqCst);
        drop(waiting);
        fence(Ordering::SeqCst);
    }

    /// `Stackless::take_of`.
    fn take_of(&self, class: Class) -> bool {
        let mut waiting = self.waiting.lock().unwrap();
        let Some(i) = waiting.iter().position(|c| *c == class) else { return false };
        waiting.remove(i);
        self.count.store(waiting.len(), Ordering::SeqCst);
        true
    }

    /// `Stackless::retry`, for those who can use a stack of this class.
    fn retry(&self, class: Class) {
        if !self.any() {
            return;
        }
        if self.bug == Bug::FirstOnly {
            let mut waiting = self.waiting.lock().unwrap();
            if waiting.is_empty() {
                return;
            }
            let first = waiting.remove(0);
            self.count.store(waiting.len(), Ordering::SeqCst);
            drop(waiting);
            // It tries again, and if it finds nothing it waits again.
            if self.acquire(first) {
                self.injected.fetch_add(1, Ordering::Relaxed);
            } else {
                self.add(first);
            }
        } else if self.take_of(class) {
            self.injected.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// `run::new_stack`. True: a goroutine (not always the one it was called for) has a stack now.
    fn new_stack(&self, class: Class) -> bool {
        if self.acquire(class) {
            return true;
        }
        self.add(class);
        if self.bug == Bug::NoSecondTry {
            return false;
        }
        if let Some(kept) = &mut *self.idle.lock().unwrap() {
            let kept = std::mem::take(kept);
            self.release(0, kept);
        }
        if !self.acquire(class) {
            return false;
        }
        if self.take_of(class) {
            return true;
        }
        // The one that waited is queued to try again, and finds this one.
        self.release(class, 1);
        false
    }

    /// A goroutine has ended and its stack is free.
    fn free(&self, class: Class) {
        if self.bug == Bug::AskFirst {
            let any = self.any();
            self.release(class, 1);
            if any {
                self.retry(class);
            }
        } else {
            self.release(class, 1);
            self.retry(class);
        }
    }

    /// A worker goes idle with one stack, which it keeps if nobody waits for one.
    fn go_idle(&self) {
        if self.any() {
            self.release(0, 1);
            self.retry(0);
            *self.idle.lock().unwrap() = Some(0);
            return;
        }
        let mut idle = self.idle.lock().unwrap();
        *idle = Some(1);
        // Under the lock: a waiter has either seen our stacks or is seen here.
        if self.any() && self.bug != Bug::KeepsWithoutLook {
            *idle = Some(0);
            drop(idle);
            self.release(0, 1);
            self.retry(0);
        }
    }

    /// Whoever was queued to try again does so; then nobody may wait for what is free.
    fn check(&self) {
        for _ in 0..self.injected.load(Ordering::Relaxed) {
            if self.bug != Bug::FirstOnly {
                self.acquire(0);
            }
        }
        let free = *self.pool.lock().unwrap();
        let kept = self.idle.lock().unwrap().unwrap_or(0);
        for class in &*self.waiting.lock().unwrap() {
            let free = free[*class] + if *class == 0 { kept } else { 0 };
            assert_eq!(free, 0, "a goroutine waits while a stack is free");
        }
    }
}

fn spawn(stacks: &Arc<Stacks>, body: impl FnOnce(&Stacks) + 'static) -> thread::JoinHandle<()> {
    let stacks = stacks.clone();
    thread::spawn(move || body(&stacks))
}

fn waiter_against_freer(bug: Bug) {
    loom::model(move || {
        let stacks = Stacks::new(bug, [0, 0]);
        let freer = spawn(&stacks, |stacks| stacks.free(0));
        stacks.new_stack(0);
        freer.join().unwrap();
        stacks.check();
    });
}

#[test]
fn model_stack_freed_while_somebody_starts_to_wait() {
    waiter_against_freer(Bug::None);
}

#[test]
#[should_panic(expected = "waits while a stack is free")]
fn model_asking_before_freeing_forgets_a_waiter() {
    waiter_against_freer(Bug::AskFirst);
}

#[test]
#[should_panic(expected = "waits while a stack is free")]
fn model_waiting_without_a_second_try_waits_for_ever() {
    waiter_against_freer(Bug::NoSecondTry);
}

/// Two waiters and a freed stack. A waiter may have a stack in its hand when it finds that it was queued to try
/// again; it puts it back just after the other has looked.
#[test]
fn model_two_wait_for_one_stack() {
    loom::model(|| {
        let stacks = Stacks::new(Bug::None, [0, 0]);
        let freer = spawn(&stacks, |stacks| stacks.free(0));
        let other = spawn(&stacks, |stacks| {
            stacks.new_stack(0);
        });
        stacks.new_stack(0);
        freer.join().unwrap();
        other.join().unwrap();
        stacks.check();
    });
}

fn waiter_against_idler(bug: Bug) {
    loom::model(move || {
        let stacks = Stacks::new(bug, [0, 0]);
        let idler = spawn(&stacks, Stacks::go_idle);
        stacks.new_stack(0);
        idler.join().unwrap();
        stacks.check();
    });
}

#[test]
fn model_going_idle_with_a_stack_somebody_starts_to_wait_for() {
    waiter_against_idler(Bug::None);
}

#[test]
#[should_panic(expected = "waits while a stack is free")]
fn model_keeping_stacks_without_a_look_is_waited_for() {
    waiter_against_idler(Bug::KeepsWithoutLook);
}

/// One waits for a stack of the other class, and came first.
fn other_class_first(bug: Bug) {
    loom::model(move || {
        let stacks = Stacks::new(bug, [0, 0]);
        stacks.new_stack(1);
        let freer = spawn(&stacks, |stacks| stacks.free(0));
        stacks.new_stack(0);
        freer.join().unwrap();
        stacks.check();
    });
}

#[test]
fn model_a_stack_is_for_those_of_its_class() {
    other_class_first(Bug::None);
}

#[test]
#[should_panic(expected = "waits while a stack is free")]
fn model_letting_only_the_first_try_forgets_the_others() {
    other_class_first(Bug::FirstOnly);
}
