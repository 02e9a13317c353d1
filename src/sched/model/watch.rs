//! The sentinel: going deep against publishers that arm it, and against being taken out of its role.
//!
//! The invariant behind every model here: while a processor is idle, what is queued on a hog's processor and not
//! meant to wake anybody at once (a woken goroutine, a timer) has somebody who watches; and "armed" is not said
//! when nobody does.

use super::world::{Bug, End, FOREVER, Lists, Parcel, World, X, Z, run};
use crate::sched::pool::Watch;
use loom::sync::atomic::Ordering;

/// Processor 0 is idle and worker 0 the sentinel, or on its way to its futex as such.
fn sentinel() -> Lists {
    Lists { procs: vec![0], workers: vec![0], sentinel: Some(0) }
}

/// The sentinel goes deep while a hog readies a goroutine.
fn going_deep(bug: Bug) {
    loom::model(move || {
        let world = World::new(bug, 2, 1, sentinel(), Watch::Armed);
        let hog = run(&world, |world| world.ready(1, X));
        let end = world.watch(0);
        hog.join().unwrap();
        world.check(&[(0, end)]);
    });
}

#[test]
fn model_going_deep_against_ready() {
    going_deep(Bug::None);
}

#[test]
#[should_panic(expected = "nobody will look")]
fn model_going_deep_without_a_second_look_loses_woken_ones() {
    going_deep(Bug::DeepWithoutLook);
}

#[test]
#[should_panic(expected = "nobody will look")]
fn model_ready_that_does_not_arm_is_lost() {
    going_deep(Bug::NoArming);
}

#[test]
#[should_panic(expected = "nobody will look")]
fn model_ready_without_a_fence_misses_deep() {
    going_deep(Bug::NoFenceBehindPush);
}

/// As `going_deep`, and the sentinel is handed another processor with a hog in its queue.
fn role_taken_away(bug: Bug) {
    loom::model(move || {
        let world = World::new(bug, 3, 1, sentinel(), Watch::Armed);
        let hog = run(&world, |world| world.ready(1, X));
        let giver = run(&world, |world| {
            world.give(world.lists(), Parcel { proc: 2, task: Z, searching: false });
        });
        let end = world.watch(0);
        hog.join().unwrap();
        giver.join().unwrap();
        world.check(&[(0, end)]);
    });
}

#[test]
fn model_role_taken_away_while_going_deep() {
    role_taken_away(Bug::None);
}

#[test]
#[should_panic(expected = "nobody will look")]
fn model_a_role_that_is_not_passed_on_loses_woken_ones() {
    role_taken_away(Bug::RoleNotPassedOn);
}

/// Worker 0 has seen work while it was deep, and is about to say Armed: the goroutine it saw has meanwhile been
/// run by its owner, the hog readies another, and the role is taken away.
fn late_armed(bug: Bug) {
    loom::model(move || {
        let world = World::new(bug, 3, 1, sentinel(), Watch::Deep);
        let hog = run(&world, |world| world.ready(1, X));
        let giver = run(&world, |world| {
            world.give(world.lists(), Parcel { proc: 2, task: Z, searching: false });
        });
        let end = if world.say(0, Watch::Armed) { End::Watches } else { End::Sleeps { until: FOREVER } };
        hog.join().unwrap();
        giver.join().unwrap();
        world.check(&[(0, end)]);
    });
}

#[test]
fn model_late_armed() {
    late_armed(Bug::None);
}

#[test]
#[should_panic(expected = "nobody")]
fn model_saying_armed_without_the_lock_after_the_role_is_gone() {
    late_armed(Bug::WatchWithoutLock);
}

/// Worker 0 has looked as the sentinel, lost the role to worker 1 (and was handed a hog), and is about to say
/// Deep. Worker 1 keeps watch; the hog on processor 1 relies on that.
fn late_deep(bug: Bug) {
    loom::model(move || {
        let idle = Lists { procs: vec![0], workers: vec![1], sentinel: Some(1) };
        let world = World::new(bug, 3, 2, idle, Watch::Armed);
        // SAFETY: nobody else sends to worker 0, which has no other mail.
        unsafe { world.mail[0].deliver(Parcel { proc: 2, task: Z, searching: false }) };
        let hog = run(&world, |world| world.ready(1, X));
        let late = run(&world, |world| {
            world.say(0, Watch::Deep);
        });
        let end = world.watch(1);
        hog.join().unwrap();
        late.join().unwrap();
        world.check(&[(1, end)]);
    });
}

#[test]
fn model_late_deep() {
    late_deep(Bug::None);
}

#[test]
#[should_panic(expected = "nobody will look")]
fn model_saying_deep_without_the_lock_after_the_role_is_gone() {
    late_deep(Bug::WatchWithoutLock);
}

/// Takes an idle processor for a hog, which goes to an idle worker or to a new one.
fn take_for_hog(world: &World) {
    let mut lists = world.lists();
    if let Some(proc) = world.take_proc(&mut lists) {
        world.give(lists, Parcel { proc, task: Z, searching: false });
    }
}

/// Nobody has the role. A hog on processor 2 arms, while one of two idle processors is handed out: to the worker
/// that the hog has counted on, perhaps.
fn armed_and_worker_taken(bug: Bug) {
    loom::model(move || {
        let idle = Lists { procs: vec![0, 1], workers: vec![0, 1], sentinel: None };
        let world = World::new(bug, 3, 2, idle, Watch::None);
        let hog = run(&world, |world| world.ready(2, X));
        take_for_hog(&world);
        hog.join().unwrap();
        world.check(&[]);
    });
}

#[test]
fn model_arming_while_a_worker_is_taken() {
    armed_and_worker_taken(Bug::None);
}

#[test]
#[should_panic(expected = "nobody will look")]
fn model_a_role_that_is_promised_and_not_given() {
    armed_and_worker_taken(Bug::RolePromised);
}

/// Nobody is idle to take the role: a thread is started for it. Before it comes, the one idle processor is handed
/// out with a hog; when it has come and found nothing to watch over, a worker that keeps its thread leaves
/// processor 1.
fn armed_and_nobody_idle(bug: Bug) {
    loom::model(move || {
        let idle = Lists { procs: vec![0], workers: vec![], sentinel: None };
        let world = World::new(bug, 3, 1, idle, Watch::None);
        let hog = run(&world, |world| world.ready(2, X));
        let others = run(&world, |world| {
            take_for_hog(world);
            world.hand_off(1);
        });
        // The thread that was started, if it was by now; else `check` counts it.
        let mut end = End::Sleeps { until: FOREVER };
        if world.started_idle.load(Ordering::Acquire) != 0 {
            end = world.arrive(0);
        }
        hog.join().unwrap();
        others.join().unwrap();
        world.check(&[(0, end)]);
    });
}

#[test]
fn model_arming_when_the_last_idle_processor_goes() {
    armed_and_nobody_idle(Bug::None);
}

#[test]
#[should_panic(expected = "nobody")]
fn model_an_armed_watch_that_nobody_keeps() {
    armed_and_nobody_idle(Bug::ArmedByNobody);
}

/// A hog on processor 2 has armed while nobody was idle. The thread that was started for it comes, and is handed one of
/// the two idle processors, with another hog, as soon as it is in the list.
fn armed_and_arriving(bug: Bug) {
    loom::model(move || {
        let idle = Lists { procs: vec![0, 1], workers: vec![], sentinel: None };
        let world = World::new(bug, 3, 1, idle, Watch::None);
        world.ready(2, X);
        assert_eq!(world.started_idle.load(Ordering::Relaxed), 1);
        let giver = run(&world, take_for_hog);
        let end = world.arrive(0);
        giver.join().unwrap();
        world.check(&[(0, end)]);
    });
}

#[test]
fn model_taken_when_it_has_just_come() {
    armed_and_arriving(Bug::None);
}

#[test]
#[should_panic(expected = "nobody will look")]
fn model_a_role_taken_late_is_lost_with_the_worker() {
    armed_and_arriving(Bug::RoleTakenLate);
}

/// The sentinel sleeps until the timer of processor 1, at 5; it is handed the one idle processor, with a hog. Then
/// a worker that keeps its thread leaves processor 2, while processor 1 has a hog as well.
fn late_deep_until(bug: Bug) {
    loom::model(move || {
        let world = World::new(bug, 3, 1, sentinel(), Watch::Deep);
        world.arm_timer(1, 5);
        // SAFETY: worker 0 is this thread until it runs `watch`; it forgets that it was poked.
        unsafe { world.mail[0].take() };
        world.pool.set_watch(Watch::Deep);
        let others = run(&world, |world| {
            let mut lists = world.lists();
            if let Some(proc) = world.take_proc(&mut lists) {
                world.give(lists, Parcel { proc, task: Z, searching: false });
            }
            world.hand_off(2);
        });
        let end = world.watch(0);
        others.join().unwrap();
        world.check(&[(0, end)]);
    });
}

#[test]
fn model_deep_sleep_against_the_end_of_the_role() {
    late_deep_until(Bug::None);
}

#[test]
#[should_panic(expected = "nobody watches")]
fn model_a_deep_sleep_that_outlives_the_role_loses_a_timer() {
    late_deep_until(Bug::StaleDeepUntil);
}
