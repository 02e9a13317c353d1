//! The monitor replaces a processor whose goroutine keeps it, while that goroutine leaves it.
//!
//! `sysmon::Looks::replace` and `relieve`, `pick::next_task` and `step_back`, over the small scheduler of `world.rs`.
//! Processor 0 is the hog's, and worker 0 its worker; processor 1 is the one that takes its place. What only the holder of
//! processor 0 may touch is a cell that loom watches. At most one processor is to be active in the end.

use super::world::{Bug, End, Lists, World, X, run};
use crate::sched::pool::Watch;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::Ordering;

struct Hog {
    world: Arc<World>,
    local: UnsafeCell<()>,
}

// SAFETY: whether `local` is touched by one at a time is what the models check.
unsafe impl Send for Hog {}
// SAFETY: as above.
unsafe impl Sync for Hog {}

impl Hog {
    /// One processor may be active. The hog has readied X. `surplus`: it was replaced already, and worker 1 holds the
    /// other processor.
    fn new(bug: Bug, surplus: bool) -> Arc<Hog> {
        let workers = if surplus { vec![] } else { vec![1] };
        let world = World::new(bug, 2, 2, Lists { procs: vec![], workers, sentinel: None }, Watch::None);
        world.procs[0].surplus.store(surplus, Ordering::Relaxed);
        world.procs[1].retired.store(!surplus, Ordering::Relaxed);
        world.ready(0, X);
        Arc::new(Hog { world, local: UnsafeCell::new(()) })
    }

    /// `sysmon`: processor 0 has not moved, and something waits.
    fn replace(&self) {
        let world = &self.world;
        let early = world.is(Bug::MarkedWithoutLock);
        let busy =
            |lists: &Lists| !lists.procs.contains(&0) && !world.procs[0].retired.load(Ordering::Relaxed);
        if early {
            // As good as known.
            if !busy(&world.lists()) {
                return;
            }
            world.procs[0].surplus.store(true, Ordering::Relaxed);
        }
        let mut lists = world.lists();
        if !early {
            if !busy(&lists) {
                return;
            }
            world.procs[0].surplus.store(true, Ordering::Relaxed);
        }
        world.procs[1].retired.store(false, Ordering::Relaxed);
        world.put_proc(&mut lists, 1);
        drop(lists);
        if !world.is(Bug::ReplacedSilently) {
            self.tell();
        }
    }

    /// `sysmon::relieve`: processor 0 is surplus and does not move.
    fn relieve(&self) {
        let world = &self.world;
        let locked = (!world.is(Bug::MovedWithoutLock)).then(|| world.lists());
        let moved = world.take_woken(0);
        if moved != 0 {
            world.injector.fetch_or(moved, Ordering::Release);
        }
        world.sc();
        drop(locked);
        self.tell();
    }

    fn tell(&self) {
        self.world.wake_worker();
        self.world.look_after(1);
    }

    /// The hog parks. X ends at once if it runs here; then worker 0 has nothing left to do.
    fn leave(&self) -> End {
        let world = &self.world;
        for _ in 0..2 {
            // SAFETY: the holder; loom checks that.
            self.local.with_mut(|_| ());
            if world.procs[0].surplus.load(Ordering::Relaxed) {
                return self.step_back();
            }
            if world.take_woken(0) == 0 {
                break;
            }
        }
        // SAFETY: as above.
        self.local.with_mut(|_| ());
        world.go_idle(0, 0, false)
    }

    fn step_back(&self) -> End {
        let world = &self.world;
        let queued = world.take_woken(0);
        world.injector.fetch_or(queued, Ordering::Release);
        world.sc();
        // SAFETY: as above.
        self.local.with_mut(|_| ());
        let lists = world.lists();
        assert!(world.procs[0].surplus.load(Ordering::Relaxed), "nobody takes the mark away here");
        world.retire(0);
        drop(lists);
        world.wake_worker();
        world.arm();
        world.wait_for_proc(0)
    }

    fn active(&self) -> usize {
        let of =
            |p: &super::world::Proc| !p.surplus.load(Ordering::Relaxed) && !p.retired.load(Ordering::Relaxed);
        self.world.procs.iter().filter(|p| of(p)).count()
    }
}

fn go(hog: &Arc<Hog>, body: impl FnOnce(&Hog) + 'static) -> loom::thread::JoinHandle<()> {
    let hog = hog.clone();
    loom::thread::spawn(move || body(&hog))
}

/// The monitor replaces the processor while the hog leaves it.
fn replace_against_leaving(bug: Bug) {
    loom::model(move || {
        let hog = Hog::new(bug, false);
        let monitor = go(&hog, Hog::replace);
        let end = hog.leave();
        monitor.join().unwrap();
        hog.world.check(&[(0, end)]);
        assert_eq!(hog.active(), 1, "not as many processors are active as are to be: {end:?}");
    });
}

#[test]
fn model_replace_against_leaving() {
    replace_against_leaving(Bug::None);
}

#[test]
#[should_panic(expected = "idle and not active")]
fn model_replace_of_a_processor_that_is_marked_without_the_lock() {
    replace_against_leaving(Bug::MarkedWithoutLock);
}

#[test]
#[should_panic(expected = "idle and not active")]
fn model_replace_and_the_surplus_one_goes_idle() {
    replace_against_leaving(Bug::SurplusGoesIdle);
}

/// The hog goes on for ever.
fn replace_alone(bug: Bug) {
    loom::model(move || {
        let hog = Hog::new(bug, false);
        let monitor = go(&hog, Hog::replace);
        monitor.join().unwrap();
        hog.world.check(&[(0, End::Hog)]);
        assert_eq!(hog.active(), 1);
    });
}

#[test]
fn model_replace_wakes_somebody() {
    replace_alone(Bug::None);
}

#[test]
#[should_panic(expected = "nobody will look")]
fn model_replace_that_tells_nobody_strands_what_is_queued() {
    replace_alone(Bug::ReplacedSilently);
}

/// The hog has been replaced, and stays; the monitor moves what it has queued since, while the other worker, which looked
/// only at what any worker is woken for, goes idle.
fn relieve_against_going_idle() {
    loom::model(move || {
        let hog = Hog::new(Bug::None, true);
        let idler = run(&hog.world, |world| world.go_idle(1, 1, false));
        hog.relieve();
        let end = idler.join().unwrap();
        hog.world.check(&[(0, End::Hog), (1, end)]);
        assert_eq!(hog.active(), 1);
    });
}

#[test]
fn model_relieve_against_going_idle() {
    relieve_against_going_idle();
}

/// ... while the hog leaves, the other processor is idle, and somebody looks for a deadlock (`quiet.rs`): X is ready all
/// the while, so there is none.
fn relieve_against_the_detector(bug: Bug) {
    loom::model(move || {
        let hog = Hog::new(bug, true);
        // Worker 1 is the sentinel, on its way to its next look.
        let mut lists = hog.world.lists();
        hog.world.put_proc(&mut lists, 1);
        lists.workers.push(1);
        lists.sentinel = Some(1);
        drop(lists);
        hog.world.pool.set_watch(Watch::Armed);
        let monitor = go(&hog, Hog::relieve);
        let detector = go(&hog, |hog| {
            let world = &hog.world;
            let lists = world.lists();
            let in_use = world.procs.iter().filter(|p| !p.retired.load(Ordering::Relaxed)).count();
            if lists.procs.len() == in_use {
                let queued =
                    world.injector.load(Ordering::SeqCst) != 0 || world.has_work(0) || world.has_work(1);
                assert!(queued, "wrongly reported: a goroutine can run");
            }
        });
        let leaver = go(&hog, |hog| {
            hog.step_back();
        });
        monitor.join().unwrap();
        leaver.join().unwrap();
        detector.join().unwrap();
    });
}

#[test]
fn model_relieve_against_the_detector() {
    relieve_against_the_detector(Bug::None);
}

#[test]
#[should_panic(expected = "wrongly reported")]
fn model_relieve_without_the_lock_is_taken_for_a_deadlock() {
    relieve_against_the_detector(Bug::MovedWithoutLock);
}
