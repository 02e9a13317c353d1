//! Select among cases that are ready, or none of which is.

use super::support::*;
use crate::chan::{Case, MAX_CASES, Op, Outcome, Selected};
use crate::primitive::now;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// 6 standard deviations of a fair choice among `n`.
fn assert_fair(counts: &[u64], n: u64) {
    let total: u64 = counts.iter().sum();
    let expected = total as f64 / n as f64;
    let bound = 6.0 * (expected * (1.0 - 1.0 / n as f64)).sqrt();
    for &count in counts.iter().filter(|&&count| count != 0) {
        assert!((count as f64 - expected).abs() < bound, "{counts:?}");
    }
    assert_eq!(counts.iter().filter(|&&count| count != 0).count() as u64, n, "{counts:?}");
}

#[test]
fn ready_cases_are_chosen_with_equal_odds() {
    // Which of the cases are ready; the others have an empty channel or none.
    for ready in [
        &[true, true][..],
        &[true, true, true],
        &[true, true, true, false],
        &[true, false, false, true, true, false],
        &[true; 8],
        &[true; 20],
        &[false, true, true, false, false, false, false, false, false, true, false, true],
    ] {
        let ready_ones = ready.iter().filter(|&&r| r).count() as u64;
        let chans: Vec<_> = ready.iter().map(|_| Ch::new(1)).collect();
        let mut values = vec![0; ready.len()];
        let cases: Vec<_> = chans.iter().zip(&mut values).map(|(ch, value)| ch.to_recv(value)).collect();
        for (ch, _) in chans.iter().zip(ready).filter(|(_, ready)| **ready) {
            assert_eq!(ch.send(1), Outcome::Done);
        }
        for form in 0..3 {
            let mut counts = vec![0; ready.len()];
            for _ in 0..2000 * ready_ones {
                let selected = match form {
                    0 => choose(&cases),
                    1 => try_choose(&cases),
                    _ => choose_until(&cases, 0),
                };
                let Selected::Case(index, Outcome::Done) = selected else { panic!("{selected:?}") };
                counts[index] += 1;
                assert_eq!(chans[index].send(1), Outcome::Done);
            }
            assert_fair(&counts, ready_ones);
        }
    }
}

#[test]
fn exactly_one_case_commits_and_the_others_stay_untouched() {
    let (full, empty, closed, room) = (Ch::new(1), Ch::new(1), Ch::new(1), Ch::new(1));
    assert_eq!(full.send(10), Outcome::Done);
    closed.close();
    for _ in 0..200 {
        let mut values = [UNTOUCHED, UNTOUCHED, UNTOUCHED, 11];
        let [a, b, c, d] = &mut values;
        let cases = [full.to_recv(a), empty.to_recv(b), closed.to_recv(c), room.to_send(d), nothing()];
        let selected = choose(&cases);
        assert!(cases.iter().all(|case| case.status == 77));
        let expected = match selected {
            Selected::Case(0, Outcome::Done) => [10, UNTOUCHED, UNTOUCHED, 11],
            Selected::Case(2, Outcome::Closed) => [UNTOUCHED, UNTOUCHED, 0, 11],
            Selected::Case(3, Outcome::Done) => [UNTOUCHED, UNTOUCHED, UNTOUCHED, 11],
            other => panic!("{other:?}"),
        };
        assert_eq!(values, expected);
        let lens = [full.len(), empty.len(), closed.len(), room.len()];
        match selected {
            Selected::Case(0, _) => {
                assert_eq!(lens, [0, 0, 0, 0]);
                assert_eq!(full.send(10), Outcome::Done);
            }
            Selected::Case(3, _) => {
                assert_eq!(lens, [1, 0, 0, 1]);
                assert_eq!(room.recv(), (Outcome::Done, 11));
            }
            _ => assert_eq!(lens, [1, 0, 0, 0]),
        }
    }
}

#[test]
fn a_closed_channel_is_a_ready_case_for_both_operations() {
    let ch = Ch::new(1);
    ch.close();
    let (mut value, mut from) = (UNTOUCHED, 3);
    for form in [choose, try_choose] {
        assert_eq!(form(&[ch.to_recv(&mut value), nothing()]), Selected::Case(0, Outcome::Closed));
        assert_eq!(value, 0);
        assert_eq!(form(&[nothing(), ch.to_send(&mut from)]), Selected::Case(1, Outcome::Closed));
        assert_eq!(form(&[ch.to_send(&mut from)]), Selected::Case(0, Outcome::Closed));
    }
}

#[test]
fn a_case_without_a_channel_is_never_ready() {
    let ch = Ch::new(1);
    let mut value = UNTOUCHED;
    let send_nowhere = Case { op: Op::Send, ..nothing() };
    for cases in [&[][..], &[nothing()], &[nothing(), send_nowhere], &[nothing(); 20]] {
        assert_eq!(try_choose(cases), Selected::NotReady);
        let deadline = now() + 2_000_000;
        assert_eq!(choose_until(cases, deadline), Selected::TimedOut);
        assert!(now() >= deadline);
    }
    for _ in 0..100 {
        assert_eq!(ch.send(1), Outcome::Done);
        let cases = [nothing(), ch.to_recv(&mut value), send_nowhere];
        assert_eq!(choose(&cases), Selected::Case(1, Outcome::Done));
    }
}

#[test]
fn a_select_does_not_meet_itself() {
    for (cap, cases) in [(0, 2), (0, 3), (0, 20)] {
        let ch = Ch::new(cap);
        let (mut to, mut from) = (UNTOUCHED, 4);
        let cases: Vec<_> = (0..cases)
            .map(|i| if i % 2 == 0 { ch.to_send(&mut from) } else { ch.to_recv(&mut to) })
            .collect();
        for _ in 0..50 {
            assert_eq!(try_choose(&cases), Selected::NotReady);
        }
        assert_eq!(choose_until(&cases, now() + 2_000_000), Selected::TimedOut);
        assert_eq!(to, UNTOUCHED);
        ch.assert_quiet();
    }
    // With a buffer one of the two can always be done, on its own.
    let ch = Ch::new(1);
    let (mut to, mut from) = (UNTOUCHED, 4);
    let cases = [ch.to_send(&mut from), ch.to_recv(&mut to)];
    for turn in 0..50 {
        assert_eq!(choose(&cases), Selected::Case(turn % 2, Outcome::Done));
    }
}

#[test]
fn as_many_cases_as_the_abi_allows() {
    within_a_minute(|| {
        let chans: Vec<_> = (0..MAX_CASES).map(|_| Ch::new(1)).collect();
        let mut values = vec![UNTOUCHED; MAX_CASES];
        let cases: Vec<_> = chans.iter().zip(&mut values).map(|(ch, value)| ch.to_recv(value)).collect();
        assert_eq!(try_choose(&cases), Selected::NotReady);
        assert_eq!(choose_until(&cases, now() + 1_000_000), Selected::TimedOut);
        for index in [0, 1, 40_000, MAX_CASES - 1] {
            assert_eq!(chans[index].send(index as u64), Outcome::Done);
            assert_eq!(choose(&cases), Selected::Case(index, Outcome::Done));
            assert_eq!(values[index], index as u64);
            // Parked, then served.
            thread::scope(|scope| {
                scope.spawn(|| {
                    chans[index].until_waiting(Op::Recv, 1);
                    assert_eq!(chans[index].send(9), Outcome::Done);
                });
                assert_eq!(choose(&cases), Selected::Case(index, Outcome::Done));
            });
            assert_eq!(values[index], 9);
        }
        chans.iter().for_each(Ch::assert_quiet);
        // All cases on one channel.
        let mut value = UNTOUCHED;
        let cases = vec![chans[0].to_recv(&mut value); MAX_CASES];
        assert_eq!(choose_until(&cases, now() + 1_000_000), Selected::TimedOut);
        assert_eq!(chans[0].send(1), Outcome::Done);
        assert!(matches!(choose(&cases), Selected::Case(_, Outcome::Done)));
        chans[0].assert_quiet();
    });
}

/// A token is always in one of two channels while somebody looks for it: the mover adds one before it takes one
/// away. A select that judged its cases one after the other would miss it.
#[test]
fn try_select_never_misses_a_value_that_moves_between_its_channels() {
    within_a_minute(|| {
        let (a, b) = (Ch::new(4), Ch::new(4));
        let stop = AtomicBool::new(false);
        assert_eq!(a.send(1), Outcome::Done);
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut turn = 0u64;
                while !stop.load(Ordering::Relaxed) {
                    let (from, to) = if turn.is_multiple_of(2) { (&a, &b) } else { (&b, &a) };
                    turn += 1;
                    assert_eq!(to.send(1), Outcome::Done);
                    while from.try_recv().0 != Outcome::Done && to.try_recv().0 != Outcome::Done {}
                }
            });
            let mut value = UNTOUCHED;
            let cases = [a.to_recv(&mut value), b.to_recv(&mut value)];
            let looks = (0..400_000).take_while(|_| {
                let selected = try_choose(&cases);
                matches!(selected, Selected::Case(_, Outcome::Done)) && a.send(1) == Outcome::Done
            });
            let looks = looks.count();
            stop.store(true, Ordering::Relaxed);
            assert_eq!(looks, 400_000);
        });
    });
}

#[test]
fn a_single_case_is_a_plain_call() {
    let ch = Ch::new(1);
    let (mut to, mut from) = (UNTOUCHED, 5);
    assert_eq!(try_choose(&[ch.to_recv(&mut to)]), Selected::NotReady);
    assert_eq!(choose(&[ch.to_send(&mut from)]), Selected::Case(0, Outcome::Done));
    assert_eq!(try_choose(&[ch.to_send(&mut from)]), Selected::NotReady);
    let discard = Case { elem: null_mut(), ..ch.to_recv(&mut to) };
    assert_eq!(choose(&[discard]), Selected::Case(0, Outcome::Done));
    assert_eq!(to, UNTOUCHED);
}
