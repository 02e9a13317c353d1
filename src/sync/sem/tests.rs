use super::*;
use crate::sync::testing::{Random, dies, intact, poison, within_a_minute};
use std::sync::atomic::{AtomicI64, AtomicPtr, AtomicU32, Ordering};
use std::thread;

const MS: i64 = 1_000_000;

fn give(sem: &Semaphore, n: i64) {
    // SAFETY: the tests' semaphores outlive the call.
    unsafe { sem.release(n) };
}

/// So many permits are free, and nobody waits.
fn has(sem: &Semaphore, permits: i64) -> bool {
    let seen = sem.state.look();
    seen.permits() == permits && !seen.has_waiters() && !seen.locked()
}

fn wait_for_waiters(sem: &Semaphore, n: u32) {
    loop {
        let mut seen = sem.state.look();
        if !seen.locked() && sem.state.lock(&mut seen) {
            let mut count = 0;
            // SAFETY: we hold the lock.
            unsafe {
                sem.queue.with(|queue| {
                    let mut node = queue.head;
                    while !node.is_null() {
                        count += 1;
                        node = queue.after(node);
                    }
                });
            }
            sem.state.leave_queue();
            if count == n {
                return;
            }
        }
        thread::yield_now();
    }
}

#[test]
fn no_more_are_taken_than_there_are() {
    within_a_minute(|| {
        const PERMITS: i64 = 5;
        let sem = &Semaphore::new(PERMITS);
        let taken = &AtomicI64::new(0);
        thread::scope(|scope| {
            for seed in 1..=8 {
                scope.spawn(move || {
                    let mut random = Random(seed);
                    for _ in 0..5_000 {
                        let n = 1 + random.below(PERMITS as u64) as i64;
                        let soon = now() + random.below(30_000) as i64;
                        let got = match random.below(3) {
                            0 => sem.try_acquire(n),
                            1 => sem.acquire_until(n, soon),
                            _ => {
                                sem.acquire(n);
                                true
                            }
                        };
                        if got {
                            assert!(taken.fetch_add(n, Ordering::Relaxed) + n <= PERMITS);
                            random.spin(50);
                            taken.fetch_sub(n, Ordering::Relaxed);
                            give(sem, n);
                        }
                    }
                });
            }
        });
        assert!(has(sem, PERMITS));
    });
}

#[test]
fn zero_bytes_are_a_semaphore_without_permits() {
    // SAFETY: documented to be valid.
    let sem: Semaphore = unsafe { std::mem::zeroed() };
    assert!(!sem.try_acquire(1));
    give(&sem, 3);
    assert!(!sem.try_acquire(4) && sem.try_acquire(2) && sem.try_acquire(1) && !sem.try_acquire(1));
}

#[test]
fn up_to_the_most_permits() {
    let sem = Semaphore::new(MOST);
    assert!(!sem.try_acquire(i64::MAX) && !sem.try_acquire(MOST + 1));
    assert!(sem.try_acquire(MOST) && has(&sem, 0));
    give(&sem, MOST - 1);
    give(&sem, 1);
    assert!(has(&sem, MOST));
}

#[test]
fn more_than_the_most_are_fatal() {
    dies(
        "sync::sem::tests::more_than_the_most_are_fatal",
        "fatal error: sync: too many permits in a semaphore\n",
        || {
            let sem = Semaphore::new(2);
            give(&sem, i64::MAX);
        },
    );
}

#[test]
fn a_deadline_passes_and_never_early() {
    within_a_minute(|| {
        let sem = Semaphore::new(1);
        for deadline in [i64::MIN, 0, now()] {
            assert!(!sem.acquire_until(2, deadline));
            assert!(sem.acquire_until(1, deadline));
            give(&sem, 1);
        }
        for wait in [1, 100_000, 3 * MS] {
            let deadline = now() + wait;
            assert!(!sem.acquire_until(2, deadline));
            assert!(now() >= deadline);
            assert!(has(&sem, 1));
        }
    });
}

/// Weights 3, 1, 2, 1 in this order; permits come one by one.
#[test]
fn first_come_first_served_whatever_the_weight() {
    within_a_minute(|| {
        let sem = &Semaphore::new(0);
        let got = &AtomicU32::new(0);
        let weights = [3, 1, 2, 1];
        thread::scope(|scope| {
            for (number, weight) in (0..).zip(weights) {
                scope.spawn(move || {
                    sem.acquire(weight);
                    assert_eq!(got.fetch_add(1, Ordering::Relaxed), number);
                });
                wait_for_waiters(sem, number + 1);
            }
            assert!(!sem.try_acquire(1));
            for (number, weight) in (0..).zip(weights) {
                for left in (0..weight).rev() {
                    assert_eq!(got.load(Ordering::Relaxed), number);
                    give(sem, 1);
                    assert!(!sem.try_acquire(1), "given, or kept for the first, who lacks {left}");
                }
                while got.load(Ordering::Relaxed) <= number {
                    thread::yield_now();
                }
            }
        });
        assert!(has(sem, 0));
    });
}

#[test]
fn try_fails_behind_waiters() {
    within_a_minute(|| {
        let sem = &Semaphore::new(2);
        thread::scope(|scope| {
            scope.spawn(|| sem.acquire(3));
            wait_for_waiters(sem, 1);
            assert!(!sem.try_acquire(1) && !sem.acquire_until(2, now() + MS));
            give(sem, 1);
        });
        assert!(has(sem, 0));
    });
}

#[test]
fn one_release_serves_as_many_as_it_can() {
    within_a_minute(|| {
        let sem = &Semaphore::new(0);
        let got = &AtomicU32::new(0);
        thread::scope(|scope| {
            for (queued, weight) in (1..).zip([1, 2, 1, 5]) {
                scope.spawn(move || {
                    sem.acquire(weight);
                    got.fetch_add(1, Ordering::Relaxed);
                });
                wait_for_waiters(sem, queued);
            }
            give(sem, 6);
            while got.load(Ordering::Relaxed) < 3 {
                thread::yield_now();
            }
            wait_for_waiters(sem, 1);
            give(sem, 3);
        });
        assert!(has(sem, 0));
    });
}

#[test]
fn who_gives_up_lets_those_behind_it_go_as_far_as_the_permits_do() {
    within_a_minute(|| {
        let sem = &Semaphore::new(3);
        let got = &AtomicU32::new(0);
        // Queueing may take longer than any deadline: then it held up nobody, and the end is the same.
        thread::scope(|scope| {
            scope.spawn(|| assert!(!sem.acquire_until(10, now() + 20 * MS)));
            for _ in 0..3 {
                scope.spawn(|| {
                    sem.acquire(1);
                    got.fetch_add(1, Ordering::Relaxed);
                });
            }
        });
        assert_eq!(got.load(Ordering::Relaxed), 3);
        assert!(has(sem, 0));
    });
}

/// Who got the permit overwrites the memory; the release may still be on its way out.
#[test]
fn the_memory_is_the_last_takers() {
    within_a_minute(|| {
        for round in 0..4000_u64 {
            let sem = AtomicPtr::new(Box::into_raw(Box::new(Semaphore::new(0))));
            thread::scope(|scope| {
                scope.spawn(|| {
                    Random(round + 1).spin(500);
                    // SAFETY: the memory stays to the round's end, its bytes until the permit is taken.
                    unsafe { (*sem.load(Ordering::Relaxed)).release(1) };
                });
                scope.spawn(|| {
                    Random(round + 7).spin(500);
                    // SAFETY: as above; nobody else has any business with it after the acquire.
                    unsafe {
                        (*sem.load(Ordering::Relaxed)).acquire(1);
                        poison(sem.load(Ordering::Relaxed));
                    }
                });
            });
            // SAFETY: poisoned, still allocated.
            unsafe {
                assert!(intact(*sem.as_ptr()), "round {round}");
                drop(Box::from_raw(sem.into_inner()));
            }
        }
    });
}
