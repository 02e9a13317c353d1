//! The monitor lies down while a processor is taken into use: it does not sleep on.

use crate::sched::nap::Nap;
use loom::sync::{Arc, Mutex};
use loom::thread;

/// How the monitor finds that nothing runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bug {
    None,
    /// It lies down when it has let go of the lists' lock.
    LiesDownLate,
    /// Whoever takes a processor does not wake it.
    NoRouse,
}

/// The lists' lock guards the number of processors in use.
fn lie_down_against_take(bug: Bug) {
    loom::model(move || {
        let shared = Arc::new((Mutex::new(0usize), Nap::new()));
        let taker = {
            let shared = shared.clone();
            thread::spawn(move || {
                let (in_use, nap) = &*shared;
                let mut in_use = in_use.lock().unwrap();
                *in_use += 1;
                if bug != Bug::NoRouse {
                    nap.rouse();
                }
            })
        };
        let (in_use, nap) = &*shared;
        // The monitor, until it has seen that a processor is in use.
        loop {
            let guard = in_use.lock().unwrap();
            if *guard != 0 {
                break;
            }
            if bug == Bug::LiesDownLate {
                drop(guard);
                nap.lie_down();
            } else {
                nap.lie_down();
                drop(guard);
            }
            nap.sleep();
        }
        taker.join().unwrap();
    });
}

#[test]
fn model_nap_against_a_processor_that_is_taken() {
    lie_down_against_take(Bug::None);
}

#[test]
#[should_panic]
fn model_nap_begun_without_the_lock_has_no_end() {
    lie_down_against_take(Bug::LiesDownLate);
}

#[test]
#[should_panic]
fn model_nap_that_nobody_ends_has_no_end() {
    lie_down_against_take(Bug::NoRouse);
}
