//! Selects against selects, time-outs against wake-ups: what is sent is received, once.

use super::support::*;
use crate::chan::{Op, Outcome, Selected};
use crate::primitive::now;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// One offers `send a` and `receive b`, the other the reverse, in the same order of channels and in the other.
#[test]
fn two_crossing_selects_agree_on_one_exchange() {
    within_a_minute(|| {
        for same_order in [true, false] {
            for cap in [0, 1] {
                let (a, b) = (Ch::new(cap), Ch::new(cap));
                let rounds = 8_000u64;
                let other = thread::spawn({
                    let (a, b) = (a.clone(), b.clone());
                    move || {
                        let (mut sent, mut received) = (0, 0);
                        for _ in 0..rounds {
                            let (mut to, mut from) = (UNTOUCHED, 1);
                            let selected = if same_order {
                                choose(&[a.to_recv(&mut to), b.to_send(&mut from)])
                            } else {
                                choose(&[b.to_send(&mut from), a.to_recv(&mut to)])
                            };
                            match (selected, same_order) {
                                (Selected::Case(0, Outcome::Done), true)
                                | (Selected::Case(1, Outcome::Done), false) => {
                                    assert_eq!(to, 2);
                                    received += 1;
                                }
                                (Selected::Case(_, Outcome::Done), _) => sent += 1,
                                other => panic!("{other:?}"),
                            }
                        }
                        (sent, received)
                    }
                });
                let (mut sent, mut received) = (0, 0);
                for _ in 0..rounds {
                    let (mut to, mut from) = (UNTOUCHED, 2);
                    match choose(&[a.to_send(&mut from), b.to_recv(&mut to)]) {
                        Selected::Case(0, Outcome::Done) => sent += 1,
                        Selected::Case(1, Outcome::Done) => {
                            assert_eq!(to, 1);
                            received += 1;
                        }
                        other => panic!("{other:?}"),
                    }
                }
                let (their_sent, their_received) = other.join().unwrap();
                assert_eq!(sent, their_received + a.len() as u64);
                assert_eq!(their_sent, received + b.len() as u64);
                a.assert_quiet();
                b.assert_quiet();
            }
        }
    });
}

/// Ten threads, four channels of capacities 0 to 3, 30,000 operations each: random selects over both directions
/// with random time-outs. Every value sent is received once or still in a buffer.
#[test]
fn ten_threads_over_four_channels_conserve_the_total() {
    within_a_minute(|| {
        let chans: Vec<_> = (0..4).map(Ch::new).collect();
        let (sent, received) = (AtomicU64::new(0), AtomicU64::new(0));
        let exchanges = AtomicU64::new(0);
        thread::scope(|scope| {
            for id in 0..10u64 {
                let (chans, sent, received, exchanges) = (&chans, &sent, &received, &exchanges);
                scope.spawn(move || {
                    let mut rng = Rng(id + 1);
                    for op in 0..30_000 {
                        let n = 1 + rng.below(6) as usize;
                        let mut elems: Vec<u64> = (0..n).map(|_| id * 30_000 + op).collect();
                        let cases: Vec<_> = elems
                            .iter_mut()
                            .map(|elem| {
                                let ch = &chans[rng.below(4) as usize];
                                if rng.below(2) == 0 { ch.to_send(elem) } else { ch.to_recv(elem) }
                            })
                            .collect();
                        let selected = match rng.below(4) {
                            0 => try_choose(&cases),
                            _ => choose_until(&cases, now() + rng.below(50_000) as i64),
                        };
                        match selected {
                            Selected::Case(index, Outcome::Done) => {
                                let total = if cases[index].op == Op::Send { sent } else { received };
                                total.fetch_add(elems[index], Ordering::Relaxed);
                                exchanges.fetch_add(1, Ordering::Relaxed);
                            }
                            Selected::NotReady | Selected::TimedOut => {}
                            other => panic!("{other:?}"),
                        }
                    }
                });
            }
        });
        for ch in &chans {
            ch.assert_quiet();
            while let (Outcome::Done, value) = ch.try_recv() {
                received.fetch_add(value, Ordering::Relaxed);
            }
        }
        assert_eq!(sent.into_inner(), received.into_inner());
        assert!(exchanges.into_inner() > 10_000);
    });
}

/// A time-out of a select against a hand-over, as close as threads come.
#[test]
fn a_select_that_times_out_while_it_is_served_does_one_of_the_two() {
    within_a_minute(|| {
        let (a, b) = (Ch::new(0), Ch::new(0));
        let rounds = 15_000u64;
        let sender = thread::spawn({
            let (a, b) = (a.clone(), b.clone());
            move || {
                let mut rng = Rng(3);
                let mut done = 0u64;
                for i in 0..rounds {
                    let ch = if i % 2 == 0 { &a } else { &b };
                    done += u64::from(ch.send_until(i, now() + rng.below(3000) as i64) == Outcome::Done);
                }
                a.close();
                done
            }
        });
        let mut rng = Rng(4);
        let (mut done, mut timed_out) = (0u64, 0u64);
        loop {
            let (mut x, mut y) = (UNTOUCHED, UNTOUCHED);
            match choose_until(&[a.to_recv(&mut x), b.to_recv(&mut y)], now() + rng.below(3000) as i64) {
                Selected::Case(0, Outcome::Closed) => break,
                Selected::Case(index, Outcome::Done) => {
                    assert_eq!([x, y][1 - index], UNTOUCHED);
                    assert!([x, y][index] < rounds);
                    done += 1;
                }
                Selected::TimedOut => {
                    assert_eq!((x, y), (UNTOUCHED, UNTOUCHED));
                    timed_out += 1;
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(sender.join().unwrap(), done);
        assert!(done > 0 && timed_out > 0, "no race: {done} done, {timed_out} timed out");
        a.assert_quiet();
        b.assert_quiet();
    });
}
