use super::*;
use crate::sched;
use crate::sync::Semaphore;
use crate::sync::testing::{Random, dies, intact, poison, within_a_minute};
use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

const MS: i64 = 1_000_000;

/// A counter that only the holder of the mutex touches.
struct Counter {
    mutex: Mutex,
    value: UnsafeCell<u64>,
}

// SAFETY: `value` is touched under `mutex` only; that this helps is what is tested.
unsafe impl Sync for Counter {}

impl Counter {
    fn new() -> Self {
        Counter { mutex: Mutex::new(), value: UnsafeCell::new(0) }
    }

    /// The caller holds the mutex; a second holder would make us lose counts.
    fn bump(&self) {
        // SAFETY: the caller holds the mutex.
        unsafe { self.value.get().write_volatile(self.value.get().read_volatile() + 1) };
    }
}

fn unlock(mutex: &Mutex) {
    // SAFETY: the tests' mutexes outlive the call.
    unsafe { mutex.unlock() };
}

fn until(condition: impl Fn() -> bool) {
    while !condition() {
        thread::yield_now();
    }
}

fn is_pristine(mutex: &Mutex) -> bool {
    mutex.state.take_free() && mutex.state.free_lone()
}

#[test]
fn only_one_holds_it() {
    within_a_minute(|| {
        const THREADS: u64 = 8;
        const ROUNDS: u64 = 20_000;
        let counter = Counter::new();
        thread::scope(|scope| {
            for seed in 0..THREADS {
                let counter = &counter;
                scope.spawn(move || {
                    let mut random = Random(seed + 1);
                    for _ in 0..ROUNDS {
                        counter.mutex.lock();
                        counter.bump();
                        random.spin(20);
                        unlock(&counter.mutex);
                        random.spin(20);
                    }
                });
            }
        });
        assert_eq!(counter.value.into_inner(), THREADS * ROUNDS);
        assert!(is_pristine(&counter.mutex));
    });
}

#[test]
fn try_lock_never_waits() {
    let mutex = Mutex::new();
    assert!(mutex.try_lock());
    assert!(!mutex.try_lock());
    unlock(&mutex);
    assert!(mutex.try_lock());
    unlock(&mutex);
    assert!(is_pristine(&mutex));
}

#[test]
fn a_past_deadline_still_tries() {
    let mutex = Mutex::new();
    for deadline in [i64::MIN, -1, 0, 1, now()] {
        assert!(mutex.lock_until(deadline));
        assert!(!mutex.lock_until(deadline));
        unlock(&mutex);
    }
    assert!(is_pristine(&mutex));
}

#[test]
fn a_deadline_passes_and_never_early() {
    within_a_minute(|| {
        let mutex = Mutex::new();
        mutex.lock();
        for wait in [1, 100_000, 3 * MS] {
            let deadline = now() + wait;
            assert!(!mutex.lock_until(deadline));
            assert!(now() >= deadline);
        }
        unlock(&mutex);
        assert!(is_pristine(&mutex));
    });
}

#[test]
fn another_thread_may_unlock() {
    within_a_minute(|| {
        let mutex = Mutex::new();
        mutex.lock();
        thread::scope(|scope| {
            scope.spawn(|| unlock(&mutex));
            assert!(mutex.lock_until(FOREVER));
        });
        unlock(&mutex);
        assert!(is_pristine(&mutex));
    });
}

#[test]
fn unlock_of_an_unlocked_mutex_is_fatal() {
    dies(
        "sync::mutex::tests::unlock_of_an_unlocked_mutex_is_fatal",
        "fatal error: sync: unlock of unlocked mutex\n",
        || unlock(&Mutex::new()),
    );
}

/// Starvation mode, step by step: a waiter that has waited for 1 ms and loses against one who came later gets
/// the mutex from the next unlock directly: nobody can come in between.
#[test]
fn a_starving_waiter_is_handed_the_mutex() {
    within_a_minute(|| {
        let mutex = Mutex::new();
        let (got_it, let_go) = (AtomicBool::new(false), AtomicBool::new(false));
        // The waiter may win when it is woken; then it was not starved, and we begin again.
        loop {
            mutex.lock();
            got_it.store(false, Ordering::Relaxed);
            let_go.store(false, Ordering::Relaxed);
            let handed_over = thread::scope(|scope| {
                scope.spawn(|| {
                    mutex.lock();
                    got_it.store(true, Ordering::Release);
                    while !let_go.load(Ordering::Acquire) {
                        thread::yield_now();
                    }
                    unlock(&mutex);
                });
                while !mutex.state.look().wants_waking() {
                    thread::yield_now();
                }
                thread::sleep(Duration::from_millis(2));
                unlock(&mutex);
                let barged = mutex.try_lock();
                if barged {
                    while !mutex.state.look().starving() {
                        thread::yield_now();
                    }
                    unlock(&mutex);
                    assert!(!mutex.try_lock(), "unlock freed the mutex under a starving waiter");
                    while !got_it.load(Ordering::Acquire) {
                        thread::yield_now();
                    }
                    assert!(!mutex.state.look().starving(), "the last waiter ends starvation mode");
                }
                let_go.store(true, Ordering::Release);
                barged
            });
            assert!(is_pristine(&mutex));
            if handed_over {
                break;
            }
        }
    });
}

/// Starvation mode is left while others still wait, by the first that is handed the mutex before it has waited for
/// 1 ms itself. On a busy machine it may take some turns until one is that quick.
#[test]
fn a_waiter_that_was_not_kept_waiting_ends_starvation_mode() {
    /// Locks, says so, unlocks when it is told to.
    fn take_turn(mutex: &Mutex, turn: &AtomicU32, mine: u32) {
        mutex.lock();
        turn.store(2 * mine, Ordering::Release);
        while turn.load(Ordering::Acquire) != 2 * mine + 1 {
            std::hint::spin_loop();
        }
        unlock(mutex);
    }
    fn queued(mutex: &Mutex) -> u32 {
        let mut seen = mutex.state.look();
        while seen.queue_locked() || !mutex.state.lock_queue(&mut seen) {
            thread::yield_now();
            seen = mutex.state.look();
        }
        let mut count = 0;
        // SAFETY: we hold the queue's lock.
        let empty = unsafe {
            mutex.queue.with(|queue| {
                let mut node = queue.head;
                while !node.is_null() {
                    count += 1;
                    node = queue.after(node);
                }
                queue.is_empty()
            })
        };
        mutex.state.unlock_queue(empty);
        count
    }
    within_a_minute(|| {
        let mutex = Mutex::new();
        loop {
            let turn = AtomicU32::new(0);
            mutex.lock();
            let left = thread::scope(|scope| {
                let (mutex, turn) = (&mutex, &turn);
                scope.spawn(|| take_turn(mutex, turn, 1));
                until(|| queued(mutex) == 1);
                thread::sleep(Duration::from_millis(2));
                unlock(mutex);
                let barged = mutex.try_lock();
                if barged {
                    until(|| mutex.state.look().starving());
                } else {
                    until(|| turn.load(Ordering::Acquire) == 2);
                }
                scope.spawn(|| take_turn(mutex, turn, 2));
                scope.spawn(|| take_turn(mutex, turn, 2));
                until(|| queued(mutex) == 2 + u32::from(barged));
                if barged {
                    unlock(mutex); // handed to the first
                    until(|| turn.load(Ordering::Acquire) == 2);
                    assert!(mutex.state.look().starving(), "who has waited long leaves the mode as it is");
                }
                turn.store(3, Ordering::Release);
                // The others' turns come one after the other. Only during the first does somebody still wait.
                until(|| turn.load(Ordering::Acquire) == 4);
                let left = barged && queued(mutex) == 1 && !mutex.state.look().starving();
                turn.store(5, Ordering::Release);
                until(|| turn.load(Ordering::Acquire) == 4);
                turn.store(5, Ordering::Release);
                left
            });
            assert!(is_pristine(&mutex));
            if left {
                break;
            }
        }
    });
}

struct Scene {
    mutex: Mutex,
    gate: Semaphore,
    step: AtomicU32,
}

unsafe extern "C" fn hold_running_then_parked(scene: *mut c_void) {
    // SAFETY: the test's scene stays until the last step.
    let scene = unsafe { &*scene.cast::<Scene>() };
    scene.mutex.lock();
    scene.step.store(1, Ordering::Release);
    while scene.step.load(Ordering::Acquire) == 1 {
        std::hint::spin_loop();
    }
    scene.gate.acquire(1);
    unlock(&scene.mutex);
    scene.step.store(3, Ordering::Release);
}

/// Who wants the mutex spins only while the holder runs: a parked one will not unlock it soon, and of a thread it
/// is not known.
#[test]
fn only_a_holder_that_runs_is_spun_for() {
    within_a_minute(|| {
        let scene = Scene { mutex: Mutex::new(), gate: Semaphore::new(0), step: AtomicU32::new(0) };
        assert!(!scene.mutex.state.holder_on_processor());
        scene.mutex.lock();
        assert!(!scene.mutex.state.holder_on_processor(), "a thread is on no processor");
        unlock(&scene.mutex);
        let arg = (&raw const scene).cast_mut().cast();
        assert!(sched::go(hold_running_then_parked, arg).is_ok());
        until(|| scene.step.load(Ordering::Acquire) == 1);
        for _ in 0..1000 {
            assert!(scene.mutex.state.holder_on_processor(), "it runs");
        }
        scene.step.store(2, Ordering::Release);
        // It parks; then its processor is idle or runs others.
        until(|| !scene.mutex.state.holder_on_processor());
        // SAFETY: the goroutine's last touch of the scene is step 3.
        unsafe { scene.gate.release(1) };
        until(|| scene.step.load(Ordering::Acquire) == 3);
    });
}

/// A thread that locks again as soon as it has unlocked does not keep others out.
#[test]
fn a_hog_lets_others_in() {
    within_a_minute(|| {
        let counter = Counter::new();
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let hogs: Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(|| {
                        let mut random = Random(7);
                        while !stop.load(Ordering::Relaxed) {
                            counter.mutex.lock();
                            counter.bump();
                            random.spin(2000);
                            unlock(&counter.mutex);
                        }
                    })
                })
                .collect();
            for _ in 0..50 {
                counter.mutex.lock();
                counter.bump();
                unlock(&counter.mutex);
            }
            stop.store(true, Ordering::Relaxed);
            for hog in hogs {
                hog.join().unwrap();
            }
        });
        assert!(is_pristine(&counter.mutex));
    });
}

/// Deadlines of the length of the critical sections: every kind of race between a deadline and an unlock comes
/// up. A lost wake-up would leave the patient threads asleep; a lost hand-over, the mutex locked.
#[test]
fn deadlines_race_unlocks_without_losing_a_wakeup() {
    within_a_minute(|| {
        const ROUNDS: u64 = 20_000;
        let counter = Counter::new();
        let (locked, timed_out) = (AtomicU32::new(0), AtomicU32::new(0));
        thread::scope(|scope| {
            for seed in 0..6 {
                let (counter, locked, timed_out) = (&counter, &locked, &timed_out);
                scope.spawn(move || {
                    let mut random = Random(seed + 11);
                    let patient = seed < 2;
                    for _ in 0..if patient { ROUNDS / 4 } else { ROUNDS } {
                        let deadline = if patient { FOREVER } else { now() + random.below(20_000) as i64 };
                        if counter.mutex.lock_until(deadline) {
                            counter.bump();
                            random.spin(200);
                            // Now and then let all deadlines pass, so that it is not free by the time one who
                            // was woken comes for it, and starvation mode is entered.
                            if random.below(2000) == 0 {
                                thread::sleep(Duration::from_millis(1));
                            }
                            unlock(&counter.mutex);
                            locked.fetch_add(1, Ordering::Relaxed);
                        } else {
                            assert!(now() >= deadline);
                            timed_out.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        let (locked, timed_out) = (locked.into_inner(), timed_out.into_inner());
        assert_eq!(u64::from(locked), counter.value.into_inner());
        assert_eq!(u64::from(locked + timed_out), 4 * ROUNDS + 2 * (ROUNDS / 4));
        assert!(timed_out > 0 && is_pristine(&counter.mutex));
    });
}

/// The "Lifetime" rule: whoever locks it last may free it, though the unlock that let it in has not returned.
/// A late write by that unlock would show in the poison (and a late read, under valgrind).
#[test]
fn the_last_to_lock_may_free_it() {
    within_a_minute(|| {
        const ROUNDS: u32 = 5000;
        let handed = AtomicPtr::<Mutex>::new(null_mut());
        let done = AtomicU32::new(0);
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut random = Random(3);
                for round in 1..=ROUNDS {
                    let mutex = Box::into_raw(Box::new(Mutex::new()));
                    // SAFETY: the other thread frees it only after it could lock it.
                    unsafe {
                        (*mutex).lock();
                        handed.store(mutex, Ordering::Release);
                        random.spin(300);
                        (*mutex).unlock();
                    }
                    done.store(round, Ordering::Release);
                    while !handed.load(Ordering::Acquire).is_null() {
                        thread::yield_now();
                    }
                }
            });
            for round in 1..=ROUNDS {
                let mut mutex: *mut Mutex = null_mut();
                while mutex.is_null() {
                    thread::yield_now();
                    mutex = handed.load(Ordering::Acquire);
                }
                // SAFETY: it is live until freed here; the other thread has let go of it when we hold it.
                unsafe {
                    if round % 2 == 0 {
                        (*mutex).lock();
                    } else {
                        while !(*mutex).lock_until(now() + 1000) {}
                    }
                    (*mutex).unlock();
                    poison(mutex);
                    while done.load(Ordering::Acquire) < round {
                        thread::yield_now();
                    }
                    assert!(intact(mutex), "touched after another had locked it");
                    drop(Box::from_raw(mutex));
                }
                handed.store(null_mut(), Ordering::Release);
            }
        });
    });
}
