//! Fewer processors: a surplus one steps back while others publish, go idle, or raise the limit again.
//!
//! `pick::step_back` over the small scheduler of `world.rs`; the processor's own part (`Local`, the owner's ends
//! of its queues) is a cell that loom watches.

use super::world::{Bug, End, FOREVER, Lists, World, X, Y, Z, run};
use crate::sched::pool::Watch;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::Ordering;

/// The processor that steps back has number 1, and two goroutines in its queue.
struct Shrink {
    world: Arc<World>,
    /// What only its holder may touch.
    local: UnsafeCell<usize>,
}

// SAFETY: whether `local` is touched by one at a time is what the models check.
unsafe impl Send for Shrink {}
// SAFETY: as above.
unsafe impl Sync for Shrink {}

impl Shrink {
    fn new(bug: Bug) -> Arc<Shrink> {
        // Worker 1 is the sentinel, in its deep sleep; worker 0 is the one that steps back.
        let idle = Lists { procs: vec![0], workers: vec![1], sentinel: Some(1) };
        let world = World::new(bug, 2, 2, idle, Watch::Deep);
        Self::of(world)
    }

    fn of(world: Arc<World>) -> Arc<Shrink> {
        world.procs[1].surplus.store(true, Ordering::Relaxed);
        Arc::new(Shrink { world, local: UnsafeCell::new(X | Y) })
    }

    fn drain(&self) {
        // SAFETY: the holder; loom checks that.
        let tasks = self.local.with_mut(|queue| unsafe { std::mem::take(&mut *queue) });
        self.world.injector.fetch_or(tasks, Ordering::Release);
    }

    /// `pick::step_back`, up to the worker's sleep.
    fn step_back(&self) -> End {
        let world = &self.world;
        if world.is(Bug::RetireBeforeDrain) {
            let lists = world.lists();
            world.retire(1);
            drop(lists);
            self.drain();
        } else {
            self.drain();
            let lists = world.lists();
            if !world.procs[1].surplus.load(Ordering::Relaxed) {
                drop(lists);
                return self.stay();
            }
            world.retire(1);
            drop(lists);
        }
        if !world.is(Bug::NobodyToldOfDrained) {
            self.tell();
        }
        world.wait_for_proc(0)
    }

    fn tell(&self) {
        self.world.sc();
        self.world.wake_worker();
        self.world.arm();
    }

    /// The limit was raised again: the worker picks one of the goroutines, which runs for ever.
    fn stay(&self) -> End {
        if !self.world.is(Bug::NobodyToldWhenRaised) {
            self.tell();
        }
        self.world.injector.fetch_and(!X, Ordering::AcqRel);
        End::Hog
    }

    /// `Runtime::max_procs` with a higher number.
    fn raise(&self) {
        let world = &self.world;
        let mut lists = world.lists();
        let proc = &world.procs[1];
        if !proc.surplus.swap(false, Ordering::Relaxed) && proc.retired.swap(false, Ordering::Relaxed) {
            world.put_proc(&mut lists, 1);
        }
        drop(lists);
        world.sc();
        if world.has_open_work() {
            world.wake_worker();
        }
        world.arm();
    }
}

/// It steps back; nobody else does anything.
fn step_back_alone(bug: Bug) {
    loom::model(move || {
        let shrink = Shrink::new(bug);
        let outside = run(&shrink.world, |world| world.inject(Z));
        let end = shrink.step_back();
        outside.join().unwrap();
        shrink.world.check(&[(0, end)]);
    });
}

#[test]
fn model_step_back_against_inject() {
    step_back_alone(Bug::None);
}

/// The last one that is busy goes idle while the other steps back.
fn step_back_against_going_idle(bug: Bug) {
    loom::model(move || {
        let idle = Lists { procs: vec![], workers: vec![1], sentinel: Some(1) };
        let world = World::new(bug, 2, 3, idle, Watch::Deep);
        let shrink = Shrink::of(world);
        let idler = run(&shrink.world, |world| world.go_idle(2, 0, false));
        let end = shrink.step_back();
        shrink.world.check(&[(0, end), (2, idler.join().unwrap())]);
    });
}

#[test]
fn model_step_back_against_going_idle() {
    step_back_against_going_idle(Bug::None);
}

#[test]
#[should_panic(expected = "nobody will look")]
fn model_step_back_that_tells_nobody_strands_its_goroutines() {
    step_back_against_going_idle(Bug::NobodyToldOfDrained);
}

/// The limit is raised again while the processor steps back.
fn step_back_against_raise(bug: Bug) {
    loom::model(move || {
        let shrink = Shrink::new(bug);
        let raiser = {
            let shrink = shrink.clone();
            loom::thread::spawn(move || {
                shrink.raise();
                let world = &shrink.world;
                // Worker 1: wakes if it was told something.
                let mut end = End::Sleeps { until: FOREVER };
                if world.mail[1].has_mail() {
                    // SAFETY: this thread is worker 1.
                    end = match unsafe { world.mail[1].take() } {
                        Some(parcel) => End::Holds { searching: parcel.searching },
                        None => world.wait_in_list(1),
                    };
                }
                // Whoever is given processor 1 touches what belongs to it.
                let given = shrink.world.lists().procs.contains(&1);
                if given {
                    // SAFETY: it is idle, so this thread could hold it; loom checks that.
                    shrink.local.with_mut(|_| ());
                }
                end
            })
        };
        let end = shrink.step_back();
        shrink.world.check(&[(0, end), (1, raiser.join().unwrap())]);
    });
}

#[test]
fn model_step_back_against_raise() {
    step_back_against_raise(Bug::None);
}

#[test]
#[should_panic(expected = "nobody will look")]
fn model_staying_on_without_telling_strands_the_drained() {
    step_back_against_raise(Bug::NobodyToldWhenRaised);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn model_retiring_before_draining_is_two_holders() {
    step_back_against_raise(Bug::RetireBeforeDrain);
}
