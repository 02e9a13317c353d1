//! Handing over a goroutine that is pinned to worker 0, while that one goes idle.

use super::world::{Bug, End, Lists, World, X, Y, Z, run};
use crate::sched::pool::Watch;

/// See `wake.rs`.
fn spare() -> Lists {
    Lists { procs: vec![], workers: vec![1], sentinel: Some(1) }
}

/// Worker 2 has picked a goroutine that is pinned to worker 0, which goes idle.
fn pass_on_against_going_idle(bug: Bug) {
    loom::model(move || {
        let world = World::new(bug, 2, 3, spare(), Watch::Deep);
        let picker = run(&world, |world| world.pass_on(2, 1, Z));
        let end = world.go_idle(0, 0, false);
        world.check(&[(2, picker.join().unwrap()), (0, end)]);
    });
}

#[test]
fn model_pass_on_against_going_idle() {
    pass_on_against_going_idle(Bug::None);
}

#[test]
#[should_panic(expected = "sleeps on a pinned goroutine")]
fn model_an_inbox_filled_without_the_lock_is_not_seen() {
    pass_on_against_going_idle(Bug::InboxWithoutLock);
}

#[test]
#[should_panic(expected = "sleeps on a pinned goroutine")]
fn model_going_idle_without_a_look_into_the_inbox() {
    pass_on_against_going_idle(Bug::InboxNotSeen);
}

/// As above, and somebody injects: worker 0, about to go for the injected goroutine, gets the pinned one and runs
/// it for ever, so somebody else must go.
fn claim_against_pass_on(bug: Bug) {
    loom::model(move || {
        let world = World::new(bug, 2, 3, spare(), Watch::Deep);
        let outside = run(&world, |world| world.inject(X));
        let picker = run(&world, |world| world.pass_on(2, 1, Z));
        let end = world.go_idle(0, 0, false);
        outside.join().unwrap();
        let passed = picker.join().unwrap();
        world.check(&[(0, end), (2, passed)]);
    });
}

#[test]
fn model_claim_against_pass_on() {
    claim_against_pass_on(Bug::None);
}

#[test]
#[should_panic(expected = "nobody will look")]
fn model_a_claim_that_is_dropped_loses_work() {
    claim_against_pass_on(Bug::ClaimDropped);
}

#[test]
#[should_panic(expected = "deadlock")]
fn model_a_claim_passed_on_under_the_lock_deadlocks() {
    claim_against_pass_on(Bug::ClaimPassedOnLocked);
}

/// Worker 0 gives its processor away, with a goroutine pinned to somebody else, while one that is pinned to
/// worker 0 becomes ready. Processor 2 is idle: somebody must go for it.
fn inbox_of_one_who_gives_away(bug: Bug) {
    loom::model(move || {
        let idle = Lists { procs: vec![2], workers: vec![1], sentinel: Some(1) };
        let world = World::new(bug, 3, 3, idle, Watch::Deep);
        let picker = run(&world, |world| world.pass_on(2, 1, Y));
        // Processor 0 went with a hog to a worker that is of no interest here.
        let end = world.wait_for_proc(0);
        // What worker 2 goes on with, if it has put the goroutine into the inbox, is a hog.
        let passed = match picker.join().unwrap() {
            End::Holds { .. } => End::Hog,
            end => end,
        };
        world.check(&[(0, end), (2, passed)]);
    });
}

#[test]
fn model_inbox_of_a_worker_that_gives_its_processor_away() {
    inbox_of_one_who_gives_away(Bug::None);
}

#[test]
#[should_panic(expected = "nobody will look")]
fn model_an_inbox_injected_silently_is_lost() {
    inbox_of_one_who_gives_away(Bug::InboxInjectedSilently);
}
