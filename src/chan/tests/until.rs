//! Deadlines.

use super::support::*;
use crate::chan::{Op, Outcome, Selected};
use crate::primitive::now;
use std::thread;

const MS: i64 = 1_000_000;

#[test]
fn a_wait_never_ends_before_its_deadline() {
    let (empty, full) = (Ch::new(0), Ch::new(1));
    assert_eq!(full.send(1), Outcome::Done);
    let (mut a, mut b) = (UNTOUCHED, 2);
    for wait in [1, 1000, MS, 7 * MS, 30 * MS] {
        let deadline = now() + wait;
        assert_eq!(empty.recv_until(deadline), (Outcome::TimedOut, UNTOUCHED));
        assert!(now() >= deadline);
        let deadline = now() + wait;
        assert_eq!(empty.send_until(1, deadline), Outcome::TimedOut);
        assert_eq!(full.send_until(1, deadline), Outcome::TimedOut);
        assert!(now() >= deadline);
        let deadline = now() + wait;
        let cases = [empty.to_recv(&mut a), full.to_send(&mut b)];
        assert_eq!(choose_until(&cases, deadline), Selected::TimedOut);
        assert!(now() >= deadline);
    }
    assert_eq!(a, UNTOUCHED);
    empty.assert_quiet();
    full.assert_quiet();
}

#[test]
fn with_a_deadline_in_the_past_it_tries_and_does_not_wait() {
    let ch = Ch::new(1);
    let mut value = UNTOUCHED;
    for past in [i64::MIN, -1, 0, 1, now()] {
        assert_eq!(ch.recv_until(past), (Outcome::TimedOut, UNTOUCHED));
        assert_eq!(choose_until(&[ch.to_recv(&mut value), nothing()], past), Selected::TimedOut);
        assert_eq!(choose_until(&[ch.to_recv(&mut value)], past), Selected::TimedOut);
        assert_eq!(choose_until(&[nothing()], past), Selected::TimedOut);
        assert_eq!(choose_until(&[], past), Selected::TimedOut);
        assert_eq!(ch.send_until(6, past), Outcome::Done);
        assert_eq!(ch.send_until(7, past), Outcome::TimedOut);
        assert_eq!(ch.recv_until(past), (Outcome::Done, 6));
    }
}

#[test]
fn a_waiter_that_timed_out_is_passed_over() {
    within_a_minute(|| {
        let ch = Ch::new(0);
        let first = thread::spawn({
            let ch = ch.clone();
            move || ch.recv_until(now() + 20 * MS)
        });
        ch.until_waiting(Op::Recv, 1);
        let second = thread::spawn({
            let ch = ch.clone();
            move || ch.recv()
        });
        assert_eq!(first.join().unwrap().0, Outcome::TimedOut);
        ch.until_waiting(Op::Recv, 1);
        assert_eq!(ch.send(8), Outcome::Done);
        assert_eq!(second.join().unwrap(), (Outcome::Done, 8));
        ch.assert_quiet();
    });
}

/// Both sides give up after a while that is about as long as a hand-over takes. Whatever one side counts as
/// done the other must count too.
#[test]
fn a_time_out_that_races_with_the_wake_up_loses_nothing_and_doubles_nothing() {
    within_a_minute(|| {
        for cap in [0, 1] {
            let ch = Ch::new(cap);
            let rounds = 15_000u64;
            let sender = thread::spawn({
                let ch = ch.clone();
                move || {
                    let mut rng = Rng(1);
                    let (mut count, mut sum) = (0u64, 0u64);
                    for i in 0..rounds {
                        match ch.send_until(i, now() + rng.below(4000) as i64) {
                            Outcome::Done => (count, sum) = (count + 1, sum + i),
                            outcome => assert_eq!(outcome, Outcome::TimedOut),
                        }
                    }
                    ch.close();
                    (count, sum)
                }
            });
            let mut rng = Rng(2);
            let (mut count, mut sum, mut last, mut timed_out) = (0u64, 0u64, None, 0u64);
            loop {
                match ch.recv_until(now() + rng.below(4000) as i64) {
                    (Outcome::Done, value) => {
                        assert!(last < Some(value));
                        last = Some(value);
                        (count, sum) = (count + 1, sum + value);
                    }
                    (Outcome::TimedOut, value) => {
                        assert_eq!(value, UNTOUCHED);
                        timed_out += 1;
                    }
                    (outcome, value) => {
                        assert_eq!((outcome, value), (Outcome::Closed, 0));
                        break;
                    }
                }
            }
            assert_eq!(sender.join().unwrap(), (count, sum));
            assert!(count > 0 && timed_out > 0, "no race: {count} done, {timed_out} timed out");
            ch.assert_quiet();
        }
    });
}
