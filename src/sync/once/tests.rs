//! How a function ends otherwise than by returning is tested in `ctests`: see `panic/mod.rs`.

use super::*;
use crate::sync::testing::{Random, intact, poison, within_a_minute};
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use std::thread;

fn run(once: &Once, function: impl FnOnce()) {
    // SAFETY: the tests' objects outlive the call.
    unsafe { once.run(function) };
}

#[test]
fn only_the_first_function_runs() {
    let once = Once::new();
    let ran = AtomicU32::new(0);
    run(&once, || ran.store(1, Ordering::Relaxed));
    run(&once, || ran.store(2, Ordering::Relaxed));
    assert_eq!(ran.into_inner(), 1);
    assert!(once.state.is_done());
}

#[test]
fn others_wait_for_the_end_of_the_first() {
    within_a_minute(|| {
        for round in 0..2000 {
            let once = Once::new();
            let (begun, ended) = (AtomicU32::new(0), AtomicU32::new(0));
            thread::scope(|scope| {
                for seed in 1..=4 {
                    let (once, begun, ended) = (&once, &begun, &ended);
                    scope.spawn(move || {
                        Random(seed + round).spin(200);
                        run(once, || {
                            assert_eq!(begun.fetch_add(1, Ordering::Relaxed), 0);
                            Random(round + 1).spin(500);
                            if round % 8 == 0 {
                                thread::yield_now();
                            }
                            ended.store(1, Ordering::Relaxed);
                        });
                        assert_eq!(ended.load(Ordering::Relaxed), 1);
                    });
                }
            });
            assert!(once.state.is_done());
        }
    });
}

/// One who waited overwrites the memory; the first call may still be on its way out.
#[test]
fn the_memory_is_the_waiters() {
    within_a_minute(|| {
        for round in 0..4000_u64 {
            let once = AtomicPtr::new(Box::into_raw(Box::new(Once::new())));
            let mine = AtomicU32::new(0);
            thread::scope(|scope| {
                for number in 0..2 {
                    let (once, mine) = (&once, &mine);
                    scope.spawn(move || {
                        let mut ours = false;
                        // SAFETY: the memory stays to the round's end, its bytes until both have come.
                        unsafe {
                            (*once.load(Ordering::Relaxed)).run(|| {
                                ours = true;
                                Random(round + 1).spin(2000);
                            });
                            if !ours {
                                poison(once.load(Ordering::Relaxed));
                                mine.fetch_add(number + 1, Ordering::Relaxed);
                            }
                        }
                    });
                }
            });
            assert_ne!(mine.into_inner(), 0);
            // SAFETY: poisoned, still allocated.
            unsafe {
                assert!(intact(*once.as_ptr()), "round {round}");
                drop(Box::from_raw(once.into_inner()));
            }
        }
    });
}
