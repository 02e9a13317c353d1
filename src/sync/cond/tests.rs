use super::*;
use crate::sync::testing::{Random, dies, intact, poison, within_a_minute};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

const MS: i64 = 1_000_000;

/// A number under a mutex, and a condition variable to wait for its changes.
struct Shared {
    mutex: Mutex,
    cond: Cond,
    value: UnsafeCell<u64>,
}

// SAFETY: `value` is touched under `mutex` only.
unsafe impl Sync for Shared {}

impl Shared {
    fn new() -> Self {
        Shared { mutex: Mutex::new(), cond: Cond::new(), value: UnsafeCell::new(0) }
    }

    fn locked<R>(&self, work: impl FnOnce(&mut dyn FnMut(i64) -> u64) -> R) -> R {
        self.mutex.lock();
        // SAFETY: the mutex is held whenever `change` is called.
        let mut change = |by: i64| unsafe {
            let value = self.value.get().read_volatile().checked_add_signed(by).unwrap();
            self.value.get().write_volatile(value);
            value
        };
        let result = work(&mut change);
        // SAFETY: the tests' objects outlive the call.
        unsafe { self.mutex.unlock() };
        result
    }

    /// Under the mutex.
    fn wait(&self, deadline: i64) -> bool {
        // SAFETY: the mutex is held, and the tests' objects outlive the call.
        unsafe { self.cond.wait_until(&self.mutex, deadline) }
    }

    fn signal(&self) -> bool {
        // SAFETY: as above.
        unsafe { self.cond.signal() }
    }

    fn broadcast(&self) {
        // SAFETY: as above.
        unsafe { self.cond.broadcast() };
    }

    /// How many are in the queue.
    fn waiters(&self) -> u32 {
        let mut seen = self.cond.state.look();
        while seen.locked() || !self.cond.state.lock(&mut seen) {
            thread::yield_now();
            seen = self.cond.state.look();
        }
        let mut count = 0;
        // SAFETY: we hold the lock.
        unsafe {
            self.cond.queue.with(|queue| {
                let mut node = queue.head;
                while !node.is_null() {
                    count += 1;
                    node = queue.after(node);
                }
            });
        }
        self.cond.state.unlock(count == 0);
        count
    }

    fn wait_for_waiters(&self, n: u32) {
        while self.waiters() != n {
            thread::yield_now();
        }
    }
}

#[test]
fn nobody_waits_so_nothing_is_stored() {
    within_a_minute(|| {
        let shared = Shared::new();
        assert!(!shared.signal());
        shared.broadcast();
        shared.locked(|_| assert!(!shared.wait(now() + MS)));
    });
}

#[test]
fn a_deadline_passes_never_early_and_leaves_the_mutex_locked() {
    within_a_minute(|| {
        let shared = Shared::new();
        for wait in [i64::MIN, 0, 1, 100_000, 3 * MS] {
            let deadline = now().saturating_add(wait);
            shared.locked(|_| {
                assert!(!shared.wait(deadline));
                assert!(!shared.mutex.try_lock());
            });
            assert!(now() >= deadline);
            assert_eq!(shared.waiters(), 0);
        }
    });
}

/// Signals wake in the order of the waits, one each.
#[test]
fn first_come_first_served_and_nobody_else() {
    within_a_minute(|| {
        let shared = &Shared::new();
        let woken = AtomicU32::new(0);
        thread::scope(|scope| {
            for number in 0..10 {
                let woken = &woken;
                scope.spawn(move || {
                    shared.locked(|_| {
                        assert!(shared.wait(FOREVER));
                        assert_eq!(woken.fetch_add(1, Ordering::Relaxed), number);
                    });
                });
                shared.wait_for_waiters(number + 1);
            }
            for number in 0..10 {
                assert_eq!(shared.waiters(), 10 - number);
                assert!(shared.signal());
                while woken.load(Ordering::Relaxed) <= number {
                    thread::yield_now();
                }
            }
            assert!(!shared.signal());
        });
    });
}

#[test]
fn a_broadcast_wakes_all_that_queued_before_it() {
    within_a_minute(|| {
        let shared = &Shared::new();
        for _ in 0..100 {
            thread::scope(|scope| {
                for number in 0..8 {
                    let deadline = if number % 2 == 0 { FOREVER } else { now() + 3_600_000 * MS };
                    scope.spawn(move || shared.locked(|_| assert!(shared.wait(deadline))));
                }
                shared.wait_for_waiters(8);
                shared.broadcast();
            });
            assert_eq!(shared.waiters(), 0);
        }
    });
}

/// A bounded buffer of one, signals with and without the mutex, some waits with deadlines.
#[test]
fn no_signal_is_lost() {
    within_a_minute(|| {
        const ROUNDS: u64 = 5_000;
        let (items, room) = (&Shared::new(), &Cond::new());
        let wait = |cond: &Cond, random: &mut Random| {
            let soon = if random.below(2) == 0 { FOREVER } else { now() + random.below(20_000) as i64 };
            // SAFETY: the mutex is held by the callers below; the objects outlive the call.
            unsafe { cond.wait_until(&items.mutex, soon) };
        };
        thread::scope(|scope| {
            for seed in 1..=4 {
                scope.spawn(move || {
                    let mut random = Random(seed);
                    for _ in 0..ROUNDS {
                        let outside = random.below(2) == 0;
                        let (full, free) = (&items.cond, room);
                        let produce = seed % 2 == 0;
                        let (mine, theirs) = if produce { (free, full) } else { (full, free) };
                        items.locked(|change| {
                            while change(0) == u64::from(produce) {
                                wait(mine, &mut random);
                            }
                            change(if produce { 1 } else { -1 });
                            if !outside {
                                // SAFETY: the objects outlive the call.
                                unsafe { theirs.signal() };
                            }
                        });
                        if outside {
                            // SAFETY: as above.
                            unsafe { theirs.signal() };
                        }
                    }
                });
            }
        });
        items.locked(|change| assert_eq!(change(0), 0));
    });
}

/// Whoever says that it was signalled has consumed one signal, and every consumed signal has one who says so.
#[test]
fn deadlines_that_race_signals() {
    within_a_minute(|| {
        let shared = &Shared::new();
        let (stop, sent, got) = (AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0));
        thread::scope(|scope| {
            let waiters: Vec<_> = (1..=3)
                .map(|seed| {
                    let got = &got;
                    scope.spawn(move || {
                        let mut random = Random(seed);
                        for _ in 0..2_000 {
                            let soon = now() + random.below(30_000) as i64;
                            let signalled = shared.locked(|_| shared.wait(soon));
                            got.fetch_add(signalled.into(), Ordering::Relaxed);
                            assert!(signalled || now() >= soon);
                        }
                    })
                })
                .collect();
            scope.spawn(|| {
                let mut random = Random(9);
                while stop.load(Ordering::Relaxed) == 0 {
                    sent.fetch_add(shared.signal().into(), Ordering::Relaxed);
                    random.spin(1000);
                }
            });
            for waiter in waiters {
                waiter.join().unwrap();
            }
            stop.store(1, Ordering::Relaxed);
        });
        assert_eq!(sent.into_inner(), got.into_inner());
        assert_eq!(shared.waiters(), 0);
    });
}

#[test]
fn waiting_with_an_unlocked_mutex_is_fatal() {
    dies(
        "sync::cond::tests::waiting_with_an_unlocked_mutex_is_fatal",
        "fatal error: sync: unlock of unlocked mutex\n",
        || {
            Shared::new().wait(FOREVER);
        },
    );
}

/// Two waiters; the last to return overwrites the memory, while the broadcast may still be on its way out.
#[test]
fn the_memory_is_the_last_waiters() {
    within_a_minute(|| {
        let mutex = &Mutex::new();
        for round in 0..3000 {
            let cond = Box::into_raw(Box::new(Cond::new()));
            let address = cond as usize;
            let (queued, returned) = (&AtomicU32::new(0), &AtomicU32::new(0));
            thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(move || {
                        let cond = address as *mut Cond;
                        mutex.lock();
                        queued.fetch_add(1, Ordering::Relaxed);
                        // SAFETY: the mutex is held; the memory stays until both have returned, and its bytes
                        // longer.
                        unsafe {
                            (*cond).wait(mutex);
                            if returned.fetch_add(1, Ordering::Relaxed) == 1 {
                                poison(cond);
                            }
                            mutex.unlock();
                        }
                    });
                }
                loop {
                    mutex.lock();
                    let both = queued.load(Ordering::Relaxed) == 2;
                    // SAFETY: ours.
                    unsafe { mutex.unlock() };
                    if both {
                        break;
                    }
                    thread::yield_now();
                }
                // SAFETY: both wait.
                unsafe { (*cond).broadcast() };
            });
            // SAFETY: poisoned, still allocated.
            unsafe {
                assert!(intact(cond), "round {round}");
                drop(Box::from_raw(cond));
            }
        }
    });
}
