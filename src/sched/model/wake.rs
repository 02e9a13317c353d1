//! Publishers of work against workers that go idle: no goroutine is left with everybody asleep.
//!
//! The pair of steps in `pool.rs`, with the count of those who search, the last look and the claim to wake. A
//! publisher from outside relies on it alone; a goroutine on a processor whose owner never comes back to the
//! scheduler (a *hog*) must be seen by a worker that is awake, or by an armed sentinel.

use super::world::{Bug, End, Lists, World, X, Y, run};
use crate::sched::pool::Watch;

/// Worker 1 is a spare one: the sentinel since before all processors became busy, in its deep sleep. (Without it
/// the worker that goes idle would become the sentinel itself, and look once more as such.)
fn spare() -> Lists {
    Lists { procs: vec![], workers: vec![1], sentinel: Some(1) }
}

/// Worker 0 searches, finds nothing and goes idle; a thread outside injects.
fn inject_against_going_idle(bug: Bug) {
    loom::model(move || {
        let world = World::new(bug, 1, 2, spare(), Watch::Deep);
        world.pool.add_searching();
        let outside = run(&world, |world| world.inject(X));
        let end = world.go_idle(0, 0, true);
        outside.join().unwrap();
        world.check(&[(0, end)]);
    });
}

#[test]
fn model_inject_against_going_idle() {
    inject_against_going_idle(Bug::None);
}

#[test]
#[should_panic(expected = "nobody will look")]
fn model_inject_without_a_fence_is_lost() {
    inject_against_going_idle(Bug::NoFenceBehindPush);
}

#[test]
#[should_panic(expected = "nobody will look")]
fn model_going_idle_without_a_fence_loses_work() {
    inject_against_going_idle(Bug::NoFenceBehindAnnouncement);
}

#[test]
#[should_panic(expected = "nobody will look")]
fn model_going_idle_without_a_last_look_loses_work() {
    inject_against_going_idle(Bug::NoLastLook);
}

/// Processor 0 is idle, and worker 1 asleep. Worker 0 searches and finds something that it runs for ever; so the
/// thread outside, which does not wake anybody while somebody searches, must be stood in for.
fn inject_against_finding(bug: Bug) {
    loom::model(move || {
        let idle = Lists { procs: vec![0], workers: vec![1], sentinel: Some(1) };
        let world = World::new(bug, 2, 2, idle, Watch::Deep);
        world.pool.add_searching();
        let outside = run(&world, |world| world.inject(X));
        let end = world.found();
        outside.join().unwrap();
        world.check(&[(0, end)]);
    });
}

#[test]
fn model_inject_against_the_last_searcher() {
    inject_against_finding(Bug::None);
}

#[test]
#[should_panic(expected = "nobody will look")]
fn model_a_last_searcher_that_does_not_look_loses_work() {
    inject_against_finding(Bug::FinderDoesNotLook);
}

/// Two searchers: one finds, one goes idle; the last of them looks.
#[test]
fn model_inject_against_two_searchers() {
    loom::model(|| {
        let idle = Lists { procs: vec![0], workers: vec![1], sentinel: Some(1) };
        let world = World::new(Bug::None, 3, 3, idle, Watch::Deep);
        world.pool.add_searching();
        world.pool.add_searching();
        let outside = run(&world, |world| world.inject(X));
        let finder = run(&world, World::found);
        let end = world.go_idle(0, 1, true);
        outside.join().unwrap();
        world.check(&[(0, end), (2, finder.join().unwrap())]);
    });
}

/// A hog on processor 1 publishes; worker 0 leaves processor 0.
fn hog_against_going_idle(bug: Bug, publish: fn(&World)) {
    loom::model(move || {
        let world = World::new(bug, 2, 2, spare(), Watch::Deep);
        let hog = run(&world, publish);
        let end = world.go_idle(0, 0, false);
        hog.join().unwrap();
        world.check(&[(0, end)]);
    });
}

fn spawn_two(world: &World) {
    world.spawn(1, X);
    world.spawn(1, Y);
}

#[test]
fn model_spawn_against_going_idle() {
    hog_against_going_idle(Bug::None, spawn_two);
}

/// Whoever misses the goroutine that was kicked out of `next` sees the one that kicked it.
#[test]
fn model_spawn_against_going_idle_needs_no_fence_behind_the_kick() {
    hog_against_going_idle(Bug::NoFenceBehindKick, spawn_two);
}

#[test]
#[should_panic(expected = "nobody will look")]
fn model_spawn_with_a_weaker_swap_is_lost() {
    hog_against_going_idle(Bug::NoFenceBehindSwap, |world| world.spawn(1, X));
}

#[test]
fn model_ready_against_going_idle() {
    hog_against_going_idle(Bug::None, |world| world.ready(1, X));
}

#[test]
#[should_panic(expected = "nobody will look")]
fn model_ready_without_a_fence_is_lost() {
    hog_against_going_idle(Bug::NoFenceBehindPush, |world| world.ready(1, X));
}

#[test]
#[should_panic(expected = "nobody will look")]
fn model_going_idle_without_telling_the_sentinel_loses_woken_ones() {
    hog_against_going_idle(Bug::NoLookAfter, |world| world.ready(1, X));
}

#[test]
fn model_timer_against_going_idle() {
    hog_against_going_idle(Bug::None, |world| world.arm_timer(1, 5));
}

#[test]
#[should_panic(expected = "nobody watches")]
fn model_timer_without_a_fence_is_lost() {
    hog_against_going_idle(Bug::NoFenceBehindPush, |world| world.arm_timer(1, 5));
}

#[test]
#[should_panic(expected = "nobody watches")]
fn model_going_idle_with_an_eye_on_own_timers_only_loses_a_hogs_timer() {
    hog_against_going_idle(Bug::OwnTimersOnly, |world| world.arm_timer(1, 5));
}

/// As `hog_against_going_idle`, and a thief with processor 2 takes what is in `next` and runs it for ever: what
/// was kicked out of `next` is then alone.
fn kick_against_going_idle_and_thief(bug: Bug) {
    loom::model(move || {
        let world = World::new(bug, 3, 3, spare(), Watch::Deep);
        world.spawn(1, X);
        let hog = run(&world, |world| world.spawn(1, Y));
        let thief = run(&world, |world| world.take_next(1));
        let end = world.go_idle(0, 0, false);
        hog.join().unwrap();
        thief.join().unwrap();
        world.check(&[(0, end), (2, End::Hog)]);
    });
}

#[test]
fn model_kick_against_going_idle_and_a_thief_of_next() {
    kick_against_going_idle_and_thief(Bug::None);
}

#[test]
#[should_panic(expected = "nobody will look")]
fn model_kick_without_a_fence_is_lost_to_a_thief_of_next() {
    kick_against_going_idle_and_thief(Bug::NoFenceBehindKick);
}
