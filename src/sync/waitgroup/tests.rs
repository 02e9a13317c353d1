use super::*;
use crate::sync::testing::{Random, dies, intact, poison, within_a_minute};
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use std::thread;

const MS: i64 = 1_000_000;

fn add(group: &WaitGroup, delta: i64) {
    // SAFETY: the tests' wait groups outlive the call.
    unsafe { group.add(delta) };
}

fn done(group: &WaitGroup) {
    add(group, -1);
}

#[test]
fn zero_does_not_wait() {
    let group = WaitGroup::new();
    group.wait();
    assert!(group.wait_until(0));
    add(&group, 0);
    add(&group, 3);
    add(&group, -3);
    group.wait();
    assert!(group.wait_until(i64::MIN));
    assert!(group.state.look().is_zero());
}

#[test]
fn a_deadline_passes_and_never_early() {
    within_a_minute(|| {
        let group = WaitGroup::new();
        add(&group, 1);
        for deadline in [i64::MIN, 0, now()] {
            assert!(!group.wait_until(deadline));
        }
        for wait in [1, 100_000, 3 * MS] {
            let deadline = now() + wait;
            assert!(!group.wait_until(deadline));
            assert!(now() >= deadline);
        }
        done(&group);
        assert!(group.wait_until(0));
        assert!(group.state.look().is_zero());
    });
}

#[test]
fn the_counter_goes_up_to_the_greatest_i32() {
    let group = WaitGroup::new();
    add(&group, i64::from(i32::MAX));
    add(&group, -1);
    add(&group, 1);
    add(&group, -i64::from(i32::MAX));
    assert!(group.state.look().is_zero());
}

#[test]
fn a_negative_counter_is_a_panic() {
    dies(
        "sync::waitgroup::tests::a_negative_counter_is_a_panic",
        "panic: sync: negative WaitGroup counter\n\ngoroutine 0 [thread]:\n",
        || done(&WaitGroup::new()),
    );
}

#[test]
fn a_hugely_negative_counter_is_a_panic() {
    dies(
        "sync::waitgroup::tests::a_hugely_negative_counter_is_a_panic",
        "panic: sync: negative WaitGroup counter\n\ngoroutine 0 [thread]:\n",
        || add(&WaitGroup::new(), i64::MIN),
    );
}

#[test]
fn too_great_a_counter_is_a_panic() {
    dies(
        "sync::waitgroup::tests::too_great_a_counter_is_a_panic",
        "panic: sync: WaitGroup counter overflow\n\ngoroutine 0 [thread]:\n",
        || {
            let group = WaitGroup::new();
            add(&group, 1);
            add(&group, i64::MAX);
        },
    );
}

/// Eight threads that add one each and are done, one that waits for all: it sees what each did.
#[test]
fn eight_threads_and_one_that_waits() {
    within_a_minute(|| {
        for round in 0..2000 {
            let group = WaitGroup::new();
            let sum = AtomicU32::new(0);
            add(&group, 1);
            thread::scope(|scope| {
                for _ in 0..8 {
                    add(&group, 1);
                    scope.spawn(|| {
                        sum.fetch_add(1, Ordering::Relaxed);
                        done(&group);
                    });
                }
                done(&group);
                group.wait();
                assert_eq!(sum.load(Ordering::Relaxed), 8, "round {round}");
            });
        }
    });
}

/// Two wait groups, used again wave after wave: all workers and the leader wait for the end of the wave, then
/// the leader waits for the workers' waits to have returned.
#[test]
fn waves() {
    within_a_minute(|| {
        const WAVES: u32 = 3000;
        const WORKERS: u32 = 4;
        let (finish, leave) = (WaitGroup::new(), WaitGroup::new());
        let (wave, finished) = (AtomicU32::new(0), AtomicU32::new(0));
        thread::scope(|scope| {
            for seed in 1..=WORKERS {
                let (finish, leave, wave, finished) = (&finish, &leave, &wave, &finished);
                scope.spawn(move || {
                    let mut random = Random(seed.into());
                    for number in 1..=WAVES {
                        while wave.load(Ordering::Acquire) != number {
                            thread::yield_now();
                        }
                        random.spin(300);
                        finished.fetch_add(1, Ordering::Relaxed);
                        done(finish);
                        finish.wait();
                        assert_eq!(finished.load(Ordering::Relaxed), number * WORKERS);
                        done(leave);
                    }
                });
            }
            for number in 1..=WAVES {
                add(&finish, WORKERS.into());
                add(&leave, WORKERS.into());
                wave.store(number, Ordering::Release);
                finish.wait();
                assert_eq!(finished.load(Ordering::Relaxed), number * WORKERS);
                leave.wait();
            }
        });
        assert!(finish.state.look().is_zero() && leave.state.look().is_zero());
    });
}

/// Deadlines that pass at just about the time of the last `done`: some waits time out, some do not, none hangs,
/// and the wait group ends up empty.
#[test]
fn deadlines_race_the_last_done() {
    within_a_minute(|| {
        const ROUNDS: u32 = 5000;
        const WAITERS: u32 = 4;
        let (group, round) = (WaitGroup::new(), AtomicU32::new(0));
        let (ready, left) = (AtomicU32::new(0), AtomicU32::new(0));
        let (zero, timed_out) = (AtomicU32::new(0), AtomicU32::new(0));
        thread::scope(|scope| {
            for seed in 1..=WAITERS {
                let (group, round, ready, left) = (&group, &round, &ready, &left);
                let (zero, timed_out) = (&zero, &timed_out);
                scope.spawn(move || {
                    let mut random = Random(seed.into());
                    for number in 1..=ROUNDS {
                        while round.load(Ordering::Acquire) != number {
                            thread::yield_now();
                        }
                        ready.fetch_add(1, Ordering::Relaxed);
                        // One of them is patient.
                        let deadline = if seed == 1 { FOREVER } else { now() + random.below(100_000) as i64 };
                        if group.wait_until(deadline) {
                            zero.fetch_add(1, Ordering::Relaxed);
                        } else {
                            assert!(now() >= deadline);
                            timed_out.fetch_add(1, Ordering::Relaxed);
                        }
                        left.fetch_add(1, Ordering::Release);
                    }
                });
            }
            let mut random = Random(99);
            for number in 1..=ROUNDS {
                add(&group, 2);
                round.store(number, Ordering::Release);
                while ready.load(Ordering::Relaxed) == (number - 1) * WAITERS {
                    thread::yield_now();
                }
                random.spin(3000);
                done(&group);
                random.spin(100);
                done(&group);
                while left.load(Ordering::Acquire) != number * WAITERS {
                    thread::yield_now();
                }
                assert!(group.state.look().is_zero());
            }
        });
        let (zero, timed_out) = (zero.into_inner(), timed_out.into_inner());
        assert_eq!(zero + timed_out, ROUNDS * WAITERS);
        assert!(zero >= ROUNDS && timed_out > 0);
    });
}

/// Counts that go up and down without ever reaching zero disturb nobody who waits.
#[test]
fn adds_and_dones_while_others_wait() {
    within_a_minute(|| {
        let group = WaitGroup::new();
        let over = AtomicU32::new(0);
        add(&group, 1);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    group.wait();
                    assert_eq!(over.load(Ordering::Relaxed), 1, "woken before the counter was zero");
                });
            }
            thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        for n in 1..20_000 {
                            add(&group, n);
                            assert!(!group.wait_until(0));
                            add(&group, -n);
                        }
                    });
                }
                for _ in 0..200 {
                    assert!(!group.wait_until(now() + 10_000));
                }
            });
            over.store(1, Ordering::Relaxed);
            done(&group);
        });
        assert!(group.state.look().is_zero());
    });
}

/// The "Lifetime" rule: a wait group may be freed as soon as the wait has returned, though the last `done` has
/// not. A late write by it would show in the poison (and a late read, under valgrind).
#[test]
fn it_may_be_freed_when_the_wait_returns() {
    within_a_minute(|| {
        const ROUNDS: u32 = 5000;
        const WORKERS: u32 = 2;
        let current = AtomicPtr::<WaitGroup>::new(null_mut());
        let (round, returned) = (AtomicU32::new(0), AtomicU32::new(0));
        thread::scope(|scope| {
            for seed in 1..=WORKERS {
                let (current, round, returned) = (&current, &round, &returned);
                scope.spawn(move || {
                    let mut random = Random(seed.into());
                    for number in 1..=ROUNDS {
                        while round.load(Ordering::Acquire) != number {
                            thread::yield_now();
                        }
                        let group = current.load(Ordering::Relaxed);
                        random.spin(300);
                        // SAFETY: counted, so live until this `done` has taken its effect.
                        unsafe { (*group).done() };
                        returned.fetch_add(1, Ordering::Release);
                    }
                });
            }
            let mut random = Random(5);
            for number in 1..=ROUNDS {
                let group = Box::into_raw(Box::new(WaitGroup::new()));
                // SAFETY: live until freed here; nobody uses it when the counter is zero.
                unsafe {
                    (*group).add(WORKERS.into());
                    current.store(group, Ordering::Relaxed);
                    round.store(number, Ordering::Release);
                    match number % 3 {
                        0 => (*group).wait(),
                        // Without queueing: the fast path must not see zero too early either.
                        1 => {
                            while !(*group).wait_until(0) {
                                thread::yield_now();
                            }
                        }
                        _ => while !(*group).wait_until(now() + random.below(20_000) as i64) {},
                    }
                    poison(group);
                    while returned.load(Ordering::Acquire) != number * WORKERS {
                        thread::yield_now();
                    }
                    assert!(intact(group), "touched after the wait had returned");
                    drop(Box::from_raw(group));
                }
            }
        });
    });
}
