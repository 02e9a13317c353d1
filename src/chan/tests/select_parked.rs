//! Select that has to wait.

use super::support::*;
use crate::chan::{Op, Outcome, Selected};
use crate::primitive::now;
use std::thread;

/// Park a select with `receive` cases, one each on `chans`, in a thread of its own; the result and the values.
fn parked(chans: &[&Ch]) -> thread::JoinHandle<(Selected, Vec<u64>)> {
    let before: Vec<_> = chans.iter().map(|ch| ch.waiting(Op::Recv)).collect();
    let ours: Vec<Ch> = chans.iter().map(|&ch| ch.clone()).collect();
    let thread = thread::spawn(move || {
        let mut values = vec![UNTOUCHED; ours.len()];
        let cases: Vec<_> = ours.iter().zip(&mut values).map(|(ch, value)| ch.to_recv(value)).collect();
        let selected = choose(&cases);
        (selected, values)
    });
    until(|| chans.iter().zip(&before).all(|(ch, &before)| ch.waiting(Op::Recv) > before));
    thread
}

#[test]
fn one_value_wakes_one_case_and_all_waiters_are_taken_out() {
    within_a_minute(|| {
        for n in [2, 3, 8, 9, 30] {
            for winner in [0, n / 2, n - 1] {
                let chans: Vec<_> = (0..n).map(|i| Ch::new(i % 3)).collect();
                let select = parked(&chans.iter().collect::<Vec<_>>());
                assert_eq!(chans[winner].send(6), Outcome::Done);
                let (selected, values) = select.join().unwrap();
                assert_eq!(selected, Selected::Case(winner, Outcome::Done));
                for (i, &value) in values.iter().enumerate() {
                    assert_eq!(value, if i == winner { 6 } else { UNTOUCHED });
                }
                chans.iter().for_each(Ch::assert_quiet);
                // Nobody is left who would take a value.
                assert!(chans.iter().all(|ch| ch.len() == 0));
            }
        }
    });
}

#[test]
fn a_parked_select_stands_in_line_with_the_others() {
    within_a_minute(|| {
        let (a, b) = (Ch::new(0), Ch::new(0));
        let first = parked(&[&a, &b]);
        let second = parked(&[&b, &a]);
        let third = parked(&[&a, &a, &b]);
        assert_eq!(a.send(1), Outcome::Done);
        assert_eq!(b.send(2), Outcome::Done);
        assert_eq!(a.send(3), Outcome::Done);
        assert_eq!(first.join().unwrap(), (Selected::Case(0, Outcome::Done), vec![1, UNTOUCHED]));
        assert_eq!(second.join().unwrap(), (Selected::Case(0, Outcome::Done), vec![2, UNTOUCHED]));
        let (selected, values) = third.join().unwrap();
        let Selected::Case(index @ (0 | 1), Outcome::Done) = selected else { panic!("{selected:?}") };
        assert_eq!((values[index], values[1 - index], values[2]), (3, UNTOUCHED, UNTOUCHED));
        a.assert_quiet();
        b.assert_quiet();
    });
}

#[test]
fn one_channel_in_many_cases_is_served_once() {
    within_a_minute(|| {
        for cap in [0, 1] {
            let ch = Ch::new(cap);
            let select = parked(&[&ch, &ch, &ch]);
            assert_eq!(ch.waiting(Op::Recv), 3);
            assert_eq!(ch.send(1), Outcome::Done);
            // The winner's siblings are gone at once, even before it runs.
            ch.assert_quiet();
            assert_eq!(ch.try_send(2), if cap == 0 { Outcome::NotReady } else { Outcome::Done });
            let (selected, values) = select.join().unwrap();
            assert!(matches!(selected, Selected::Case(_, Outcome::Done)));
            assert_eq!(values.iter().filter(|&&value| value == 1).count(), 1);
            assert_eq!(values.iter().filter(|&&value| value == UNTOUCHED).count(), 2);
        }
    });
}

#[test]
fn close_wakes_a_parked_select_in_the_case_of_that_channel() {
    within_a_minute(|| {
        let (a, b, full) = (Ch::new(0), Ch::new(0), Ch::new(1));
        let select = parked(&[&a, &b]);
        b.close();
        assert_eq!(select.join().unwrap(), (Selected::Case(1, Outcome::Closed), vec![UNTOUCHED, 0]));
        // A case that sends, with and without another case on the same channel.
        assert_eq!(full.send(1), Outcome::Done);
        let select = thread::spawn({
            let (a, full) = (a.clone(), full.clone());
            move || {
                let (mut to, mut from) = (UNTOUCHED, 2);
                (choose(&[a.to_recv(&mut to), full.to_send(&mut from), full.to_send(&mut from)]), to)
            }
        });
        full.until_waiting(Op::Send, 2);
        full.close();
        let (selected, to) = select.join().unwrap();
        assert!(matches!(selected, Selected::Case(1 | 2, Outcome::Closed)), "{selected:?}");
        assert_eq!(to, UNTOUCHED);
        assert_eq!((full.recv(), full.recv()), ((Outcome::Done, 1), (Outcome::Closed, 0)));
        for ch in [&a, &b, &full] {
            ch.assert_quiet();
        }
    });
}

#[test]
fn a_parked_select_that_sends_fills_the_buffer_in_order() {
    within_a_minute(|| {
        let (full, other) = (Ch::new(2), Ch::new(0));
        (0..2).for_each(|i| assert_eq!(full.send(i), Outcome::Done));
        let select = thread::spawn({
            let (full, other) = (full.clone(), other.clone());
            move || {
                let (mut to, mut from) = (UNTOUCHED, 2);
                choose(&[other.to_recv(&mut to), full.to_send(&mut from)])
            }
        });
        full.until_waiting(Op::Send, 1);
        (0..3).for_each(|i| assert_eq!(full.recv(), (Outcome::Done, i)));
        assert_eq!(select.join().unwrap(), Selected::Case(1, Outcome::Done));
        other.assert_quiet();
    });
}

/// Each offers both directions on one channel; they can only meet each other.
#[test]
fn two_selects_with_both_directions_on_one_channel_meet() {
    within_a_minute(|| {
        let ch = Ch::new(0);
        let side = |mine: u64| {
            let ch = ch.clone();
            move || {
                let mut sent = 0u64;
                for _ in 0..3000 {
                    let (mut to, mut from) = (UNTOUCHED, mine);
                    match choose(&[ch.to_send(&mut from), ch.to_recv(&mut to)]) {
                        Selected::Case(0, Outcome::Done) => sent += 1,
                        Selected::Case(1, Outcome::Done) => assert_eq!(to, 1 - mine, "it met itself"),
                        other => panic!("{other:?}"),
                    }
                }
                sent
            }
        };
        let other = thread::spawn(side(1));
        let sent = side(0)();
        // What one sends the other receives.
        assert_eq!(sent + other.join().unwrap(), 3000);
        ch.assert_quiet();
    });
}

#[test]
fn many_selects_leave_nothing_on_a_quiet_channel() {
    within_a_minute(|| {
        let (quiet, busy) = (Ch::new(0), Ch::new(0));
        let rounds = 20_000;
        let feeder = thread::spawn({
            let busy = busy.clone();
            move || (0..rounds).for_each(|i| assert_eq!(busy.send(i), Outcome::Done))
        });
        for i in 0..rounds {
            let (mut a, mut b) = (UNTOUCHED, UNTOUCHED);
            let selected = choose(&[quiet.to_recv(&mut a), busy.to_recv(&mut b)]);
            assert_eq!((selected, a, b), (Selected::Case(1, Outcome::Done), UNTOUCHED, i));
            assert_eq!(quiet.waiting(Op::Recv), 0);
        }
        feeder.join().unwrap();
        let mut value = UNTOUCHED;
        for _ in 0..200 {
            let cases = [quiet.to_recv(&mut value), quiet.to_recv(&mut value), nothing()];
            assert_eq!(choose_until(&cases, now() + 1000), Selected::TimedOut);
        }
        quiet.assert_quiet();
    });
}
