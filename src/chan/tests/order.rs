//! First in, first out; first come, first served; nothing lost, nothing twice.

use super::support::*;
use crate::chan::{Op, Outcome};
use std::thread;

#[test]
fn one_producer_and_one_consumer_see_one_order_at_every_capacity() {
    within_a_minute(|| {
        for cap in (0..16).chain([31, 32, 33, 64, 100, 199, 200]) {
            let (ours, theirs) = (Ch::new(cap), 400);
            let ch = ours.clone();
            let producer = thread::spawn(move || {
                for i in 0..theirs {
                    assert_eq!(ch.send(i), Outcome::Done);
                }
            });
            for i in 0..theirs {
                assert!(ours.len() <= cap);
                assert_eq!(ours.recv(), (Outcome::Done, i), "capacity {cap}");
            }
            producer.join().unwrap();
            ours.assert_quiet();
        }
    });
}

#[test]
fn the_ring_keeps_order_over_many_turns_at_capacities_0_to_200() {
    for cap in 1..=200 {
        let ch = Ch::new(cap);
        let (mut sent, mut received) = (0, 0);
        for turn in 0..7 {
            for _ in 0..=(turn * 31) % cap {
                if ch.try_send(sent) == Outcome::Done {
                    sent += 1;
                }
            }
            while ch.len() > turn % cap {
                assert_eq!(ch.try_recv(), (Outcome::Done, received));
                received += 1;
            }
            assert_eq!(ch.len() as u64, sent - received);
        }
        while sent - received < cap as u64 {
            assert_eq!(ch.try_send(sent), Outcome::Done);
            sent += 1;
        }
        assert_eq!(ch.try_send(0), Outcome::NotReady);
        while received < sent {
            assert_eq!(ch.try_recv(), (Outcome::Done, received));
            received += 1;
        }
        assert_eq!(ch.try_recv(), (Outcome::NotReady, UNTOUCHED));
    }
    let ch = Ch::new(0);
    assert_eq!((ch.try_send(1), ch.try_recv()), (Outcome::NotReady, (Outcome::NotReady, UNTOUCHED)));
}

#[test]
fn four_producers_and_four_consumers_pass_on_every_value_once() {
    within_a_minute(|| {
        for cap in [0, 1, 3, 100] {
            let ch = Ch::new(cap);
            let each = 5_000;
            let producers: Vec<_> = (0..4)
                .map(|p| {
                    let ch = ch.clone();
                    thread::spawn(move || {
                        (0..each).for_each(|i| assert_eq!(ch.send(p * each + i), Outcome::Done))
                    })
                })
                .collect();
            let consumers: Vec<_> = (0..4)
                .map(|_| {
                    let ch = ch.clone();
                    thread::spawn(move || {
                        let mut got = Vec::new();
                        while let (Outcome::Done, value) = ch.recv() {
                            got.push(value);
                        }
                        got
                    })
                })
                .collect();
            producers.into_iter().for_each(|p| p.join().unwrap());
            assert_eq!(ch.close(), Outcome::Done);
            let mut all = Vec::new();
            for consumer in consumers {
                let got = consumer.join().unwrap();
                // What one consumer gets of one producer is in that producer's order.
                for p in 0..4 {
                    let of_p: Vec<_> = got.iter().filter(|&v| v / each == p).collect();
                    assert!(of_p.is_sorted());
                }
                all.extend(got);
            }
            all.sort_unstable();
            assert!(all.into_iter().eq(0..4 * each), "capacity {cap}");
            ch.assert_quiet();
        }
    });
}

#[test]
fn parked_receivers_are_served_in_the_order_they_came() {
    within_a_minute(|| {
        for cap in [0, 4] {
            let ch = Ch::new(cap);
            let receivers: Vec<_> = (0..8)
                .map(|i| {
                    let theirs = ch.clone();
                    let receiver = thread::spawn(move || theirs.recv());
                    ch.until_waiting(Op::Recv, i + 1);
                    receiver
                })
                .collect();
            for i in 0..8 {
                assert_eq!(ch.send(i), Outcome::Done);
                // It is the receiver's, whether that has run or not; and it never was in the buffer.
                assert_eq!((ch.try_recv().0, ch.len()), (Outcome::NotReady, 0));
            }
            for (i, receiver) in receivers.into_iter().enumerate() {
                assert_eq!(receiver.join().unwrap(), (Outcome::Done, i as u64));
            }
            ch.assert_quiet();
        }
    });
}

#[test]
fn a_full_buffer_with_parked_senders_keeps_the_order() {
    within_a_minute(|| {
        for cap in [0, 1, 2, 5] {
            let ch = Ch::new(cap as usize);
            for i in 0..cap {
                assert_eq!(ch.send(i), Outcome::Done);
            }
            let senders: Vec<_> = (0..8)
                .map(|i| {
                    let theirs = ch.clone();
                    let sender = thread::spawn(move || theirs.send(cap + i));
                    ch.until_waiting(Op::Send, i as usize + 1);
                    sender
                })
                .collect();
            for i in 0..cap + 8 {
                assert_eq!(ch.len() as u64, cap.min(cap + 8 - i));
                assert_eq!(ch.recv(), (Outcome::Done, i), "capacity {cap}");
            }
            senders.into_iter().for_each(|s| assert_eq!(s.join().unwrap(), Outcome::Done));
            ch.assert_quiet();
        }
    });
}
