use super::*;
use crate::sync::testing::{Random, dies, intact, poison, within_a_minute};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};
use std::thread;

const MS: i64 = 1_000_000;

fn unlock(mutex: &RwMutex) {
    // SAFETY: the tests' mutexes outlive the call.
    unsafe { mutex.unlock() };
}

fn runlock(mutex: &RwMutex) {
    // SAFETY: as above.
    unsafe { mutex.runlock() };
}

fn is_pristine(mutex: &RwMutex) -> bool {
    mutex.state.take_free() && mutex.state.free_lone()
}

/// How many readers and writers are in the queue.
fn queue_of(mutex: &RwMutex) -> (u32, u32) {
    let mut seen = mutex.state.look();
    while seen.has_waiters() {
        if seen.queue_locked() || !mutex.state.lock_queue(&mut seen) {
            thread::yield_now();
            seen = mutex.state.look();
            continue;
        }
        let mut counts = [0, 0];
        // SAFETY: we hold the lock.
        unsafe {
            mutex.queue.with(|queue| {
                let mut node = queue.head;
                while !node.is_null() {
                    counts[usize::from(is_writer(node))] += 1;
                    node = queue.after(node);
                }
            });
        }
        mutex.state.leave_queue();
        assert_eq!(seen.holders().queued_readers, counts[0]);
        return counts.into();
    }
    (0, 0)
}

fn wait_for_queue(mutex: &RwMutex, readers: u32, writers: u32) {
    while queue_of(mutex) != (readers, writers) {
        thread::yield_now();
    }
}

/// Writers count, readers look: two counters that agree whenever nobody writes.
#[test]
fn writers_exclude_all_others_and_readers_only_writers() {
    within_a_minute(|| {
        const THREADS: u64 = 8;
        const ROUNDS: u64 = 10_000;
        struct Counters {
            mutex: RwMutex,
            values: UnsafeCell<[u64; 2]>,
        }
        // SAFETY: `values` is touched under `mutex` only; that this helps is what is tested.
        unsafe impl Sync for Counters {}
        let counters = Counters { mutex: RwMutex::new(), values: UnsafeCell::new([0, 0]) };
        let writes = AtomicU32::new(0);
        thread::scope(|scope| {
            for seed in 1..=THREADS {
                let (counters, writes) = (&counters, &writes);
                scope.spawn(move || {
                    let mut random = Random(seed);
                    for _ in 0..ROUNDS {
                        let soon = now() + random.below(30_000) as i64;
                        let mutex = &counters.mutex;
                        let values = counters.values.get().cast::<u64>();
                        let how = random.below(6);
                        // SAFETY: the mutex is held, for writing where they are written.
                        unsafe {
                            let locked = match how {
                                0 => mutex.try_lock(),
                                1 => mutex.lock_until(soon),
                                2 => {
                                    mutex.lock();
                                    true
                                }
                                3 => mutex.try_rlock(),
                                4 => mutex.rlock_until(soon),
                                _ => {
                                    mutex.rlock();
                                    true
                                }
                            };
                            if !locked {
                                continue;
                            }
                            let first = values.read_volatile();
                            if how <= 2 {
                                values.write_volatile(first + 1);
                                random.spin(30);
                                values.add(1).write_volatile(first + 1);
                                writes.fetch_add(1, Ordering::Relaxed);
                                unlock(mutex);
                            } else {
                                random.spin(30);
                                assert_eq!(values.add(1).read_volatile(), first);
                                runlock(mutex);
                            }
                        }
                    }
                });
            }
        });
        assert_eq!(counters.values.into_inner(), [u64::from(writes.into_inner()); 2]);
        assert!(is_pristine(&counters.mutex));
    });
}

#[test]
fn try_says_who_may_join_whom() {
    let mutex = RwMutex::new();
    assert!(mutex.try_rlock() && mutex.try_rlock());
    assert!(!mutex.try_lock());
    runlock(&mutex);
    assert!(!mutex.try_lock());
    runlock(&mutex);
    assert!(mutex.try_lock());
    assert!(!mutex.try_lock() && !mutex.try_rlock());
    unlock(&mutex);
    assert!(is_pristine(&mutex));
}

#[test]
fn a_past_deadline_still_tries() {
    let mutex = RwMutex::new();
    for deadline in [i64::MIN, -1, 0, 1, now()] {
        assert!(mutex.lock_until(deadline));
        assert!(!mutex.lock_until(deadline) && !mutex.rlock_until(deadline));
        unlock(&mutex);
        assert!(mutex.rlock_until(deadline) && mutex.rlock_until(deadline));
        assert!(!mutex.lock_until(deadline));
        runlock(&mutex);
        runlock(&mutex);
    }
    assert!(is_pristine(&mutex));
}

#[test]
fn a_deadline_passes_and_never_early() {
    within_a_minute(|| {
        let mutex = RwMutex::new();
        for wait in [1, 100_000, 3 * MS] {
            mutex.lock();
            for try_it in [RwMutex::lock_until, RwMutex::rlock_until] {
                let deadline = now() + wait;
                assert!(!try_it(&mutex, deadline));
                assert!(now() >= deadline);
            }
            unlock(&mutex);
            mutex.rlock();
            let deadline = now() + wait;
            assert!(!mutex.lock_until(deadline));
            assert!(now() >= deadline);
            runlock(&mutex);
        }
        assert!(is_pristine(&mutex));
    });
}

#[test]
fn a_waiting_writer_holds_off_new_readers() {
    within_a_minute(|| {
        let mutex = RwMutex::new();
        let written = AtomicBool::new(false);
        mutex.rlock();
        thread::scope(|scope| {
            scope.spawn(|| {
                mutex.lock();
                written.store(true, Ordering::Relaxed);
                unlock(&mutex);
            });
            wait_for_queue(&mutex, 0, 1);
            scope.spawn(|| {
                mutex.rlock();
                assert!(written.load(Ordering::Relaxed), "the writer was first");
                runlock(&mutex);
            });
            wait_for_queue(&mutex, 1, 1);
            assert!(!mutex.try_rlock() && !mutex.rlock_until(now() + MS));
            assert!(!written.load(Ordering::Relaxed));
            runlock(&mutex);
        });
        assert!(is_pristine(&mutex));
    });
}

/// Three readers, queued between and behind two writers, get in at one unlock, before either writer.
#[test]
fn unlock_lets_all_queued_readers_in_before_the_next_writer() {
    within_a_minute(|| {
        let mutex = RwMutex::new();
        let (inside, let_go, wrote) = (AtomicU32::new(0), AtomicBool::new(false), AtomicU32::new(0));
        mutex.lock();
        thread::scope(|scope| {
            let mut queued = [0, 0];
            for writer in [true, false, true, false, false] {
                let (mutex, inside, let_go, wrote) = (&mutex, &inside, &let_go, &wrote);
                scope.spawn(move || {
                    if writer {
                        mutex.lock();
                        assert!(let_go.load(Ordering::Relaxed), "a writer before the readers");
                        wrote.fetch_add(1, Ordering::Relaxed);
                        return unlock(mutex);
                    }
                    mutex.rlock();
                    inside.fetch_add(1, Ordering::Relaxed);
                    while !let_go.load(Ordering::Relaxed) {
                        thread::yield_now();
                    }
                    runlock(mutex);
                });
                queued[usize::from(writer)] += 1;
                wait_for_queue(mutex, queued[0], queued[1]);
            }
            unlock(&mutex);
            while inside.load(Ordering::Relaxed) < 3 {
                thread::yield_now();
            }
            assert_eq!(wrote.load(Ordering::Relaxed), 0);
            assert!(!mutex.try_rlock(), "two writers wait");
            let_go.store(true, Ordering::Relaxed);
        });
        assert_eq!(wrote.into_inner(), 2);
        assert!(is_pristine(&mutex));
    });
}

#[test]
fn a_writer_whose_deadline_passes_lets_in_the_readers_it_held_off() {
    within_a_minute(|| {
        let mutex = RwMutex::new();
        mutex.rlock();
        thread::scope(|scope| {
            // The readers' queueing may take longer than any deadline: then they were not held off, and got in.
            scope.spawn(|| assert!(!mutex.lock_until(now() + 20 * MS)));
            for _ in 0..3 {
                scope.spawn(|| {
                    mutex.rlock();
                    runlock(&mutex);
                });
            }
        });
        runlock(&mutex);
        assert!(is_pristine(&mutex));
    });
}

/// Of W1 R1 W2 R2, when W1 gives up, R1 gets in and R2 does not.
#[test]
fn readers_behind_the_next_writer_stay_held_off() {
    within_a_minute(|| {
        let mutex = &RwMutex::new();
        // If the deadline passes before all have queued, we begin again with a later one.
        let mut wait = 10 * MS;
        let mut seen = false;
        while !seen {
            wait *= 2;
            mutex.rlock();
            let inside = [AtomicBool::new(false), AtomicBool::new(false)];
            let read = |inside: &AtomicBool| {
                mutex.rlock();
                inside.store(true, Ordering::Relaxed);
                runlock(mutex);
            };
            thread::scope(|scope| {
                let first = scope.spawn(|| assert!(!mutex.lock_until(now() + wait)));
                let queued = |readers, writers| loop {
                    if first.is_finished() {
                        return false;
                    }
                    if queue_of(mutex) == (readers, writers) {
                        return true;
                    }
                    thread::yield_now();
                };
                let mut all = queued(0, 1);
                scope.spawn(|| read(&inside[0]));
                all = all && queued(1, 1);
                scope.spawn(|| {
                    mutex.lock();
                    unlock(mutex);
                });
                all = all && queued(1, 2);
                scope.spawn(|| read(&inside[1]));
                all = all && queued(2, 2);
                if all {
                    while !inside[0].load(Ordering::Relaxed) {
                        thread::yield_now();
                    }
                    wait_for_queue(mutex, 1, 1);
                    assert!(!inside[1].load(Ordering::Relaxed));
                    seen = true;
                }
                runlock(mutex);
            });
        }
        assert!(is_pristine(mutex));
    });
}

#[test]
fn unlock_of_an_unlocked_one_is_fatal() {
    dies(
        "sync::rwmutex::tests::unlock_of_an_unlocked_one_is_fatal",
        "fatal error: sync: Unlock of unlocked RWMutex\n",
        || unlock(&RwMutex::new()),
    );
}

#[test]
fn unlock_of_one_locked_for_reading_is_fatal() {
    dies(
        "sync::rwmutex::tests::unlock_of_one_locked_for_reading_is_fatal",
        "fatal error: sync: Unlock of unlocked RWMutex\n",
        || {
            let mutex = RwMutex::new();
            mutex.rlock();
            unlock(&mutex);
        },
    );
}

#[test]
fn runlock_of_an_unlocked_one_is_fatal() {
    dies(
        "sync::rwmutex::tests::runlock_of_an_unlocked_one_is_fatal",
        "fatal error: sync: RUnlock of unlocked RWMutex\n",
        || runlock(&RwMutex::new()),
    );
}

#[test]
fn runlock_of_one_locked_for_writing_is_fatal() {
    dies(
        "sync::rwmutex::tests::runlock_of_one_locked_for_writing_is_fatal",
        "fatal error: sync: RUnlock of unlocked RWMutex\n",
        || {
            let mutex = RwMutex::new();
            mutex.lock();
            runlock(&mutex);
        },
    );
}

#[test]
fn too_many_readers_are_fatal() {
    dies(
        "sync::rwmutex::tests::too_many_readers_are_fatal",
        "fatal error: sync: too many readers of an RWMutex\n",
        || {
            let mutex = RwMutex::new();
            mutex.state.fill_with_readers();
            mutex.rlock();
        },
    );
}

/// The last to hold it overwrites it; the calls of those before may still be on their way out.
#[test]
fn the_memory_is_the_last_holders() {
    within_a_minute(|| {
        for round in 0..4000_u64 {
            let mutex = AtomicPtr::new(Box::into_raw(Box::new(RwMutex::new())));
            let left = AtomicU32::new(3);
            thread::scope(|scope| {
                for number in 0..3 {
                    let (mutex, left) = (&mutex, &left);
                    scope.spawn(move || {
                        // SAFETY: it is freed by the last holder at the earliest, and its bytes only after all.
                        let it = unsafe { &*mutex.load(Ordering::Relaxed) };
                        if (round + number) % 3 == 0 {
                            it.rlock();
                            runlock(it);
                        }
                        it.lock();
                        if left.fetch_sub(1, Ordering::Relaxed) == 1 {
                            // SAFETY: the others have held it for the last time.
                            unsafe { poison(mutex.load(Ordering::Relaxed)) };
                        } else {
                            unlock(it);
                        }
                    });
                }
            });
            // SAFETY: poisoned, still allocated.
            unsafe {
                assert!(intact(*mutex.as_ptr()), "round {round}");
                drop(Box::from_raw(mutex.into_inner()));
            }
        }
    });
}
