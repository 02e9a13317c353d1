//! Closing.

use super::support::*;
use crate::chan::{Op, Outcome};
use std::sync::{Arc, Barrier};
use std::thread;

#[test]
fn a_closed_channel_is_drained_first_and_then_gives_zeroes() {
    let ch = Ch::new(3);
    (1..=3).for_each(|i| assert_eq!(ch.send(i), Outcome::Done));
    assert_eq!(ch.close(), Outcome::Done);
    assert_eq!(ch.close(), Outcome::Closed);
    assert_eq!(
        (ch.send(4), ch.try_send(4), ch.send_until(4, 0)),
        (Outcome::Closed, Outcome::Closed, Outcome::Closed)
    );
    assert_eq!(ch.recv(), (Outcome::Done, 1));
    assert_eq!(ch.try_recv(), (Outcome::Done, 2));
    assert_eq!(ch.recv_until(0), (Outcome::Done, 3));
    for _ in 0..3 {
        assert_eq!(ch.recv(), (Outcome::Closed, 0));
        assert_eq!(ch.try_recv(), (Outcome::Closed, 0));
        assert_eq!(ch.recv_until(0), (Outcome::Closed, 0));
    }
}

#[test]
fn close_wakes_all_receivers_with_zeroes() {
    within_a_minute(|| {
        for cap in [0, 2] {
            let ch = Ch::new(cap);
            let receivers: Vec<_> = (0..8)
                .map(|i| {
                    let theirs = ch.clone();
                    // With a deadline or without, it is all the same.
                    thread::spawn(
                        move || if i % 2 == 0 { theirs.recv() } else { theirs.recv_until(i64::MAX - 1) },
                    )
                })
                .collect();
            ch.until_waiting(Op::Recv, 8);
            assert_eq!(ch.close(), Outcome::Done);
            receivers.into_iter().for_each(|r| assert_eq!(r.join().unwrap(), (Outcome::Closed, 0)));
            ch.assert_quiet();
        }
    });
}

#[test]
fn close_wakes_all_senders_and_sends_nothing_of_theirs() {
    within_a_minute(|| {
        for cap in [0, 2] {
            let ch = Ch::new(cap);
            (0..cap).for_each(|i| assert_eq!(ch.send(i as u64), Outcome::Done));
            let senders: Vec<_> = (0..8)
                .map(|i| {
                    let theirs = ch.clone();
                    thread::spawn(move || {
                        if i % 2 == 0 { theirs.send(9) } else { theirs.send_until(9, i64::MAX - 1) }
                    })
                })
                .collect();
            ch.until_waiting(Op::Send, 8);
            assert_eq!(ch.close(), Outcome::Done);
            senders.into_iter().for_each(|s| assert_eq!(s.join().unwrap(), Outcome::Closed));
            ch.assert_quiet();
            for i in 0..cap {
                assert_eq!(ch.recv(), (Outcome::Done, i as u64));
            }
            assert_eq!(ch.recv(), (Outcome::Closed, 0));
        }
    });
}

/// The order of the two looks in `refuses_send`: before the close a receiver waits, after it the channel is
/// closed; at no moment would a send have to wait.
#[test]
fn try_send_is_not_refused_between_a_waiting_receiver_and_the_close() {
    within_a_minute(|| {
        for _ in 0..3000 {
            let ch = Ch::new(0);
            let receiver = thread::spawn({
                let ch = ch.clone();
                move || ch.recv().0
            });
            until_soon(|| ch.waiting(Op::Recv) == 1);
            let start = Arc::new(Barrier::new(2));
            let closer = thread::spawn({
                let (ch, start) = (ch.clone(), start.clone());
                move || {
                    start.wait();
                    ch.close()
                }
            });
            start.wait();
            let sent = ch.try_send(1);
            assert_ne!(sent, Outcome::NotReady);
            assert_eq!(receiver.join().unwrap(), sent);
            assert_eq!(closer.join().unwrap(), Outcome::Done);
        }
    });
}

/// The order of the two looks in `refuses_recv`.
#[test]
fn what_was_sent_before_the_close_is_not_missed_by_try_recv() {
    within_a_minute(|| {
        for _ in 0..3000 {
            let ch = Ch::new(1);
            let producer = thread::spawn({
                let ch = ch.clone();
                move || {
                    ch.send(5);
                    ch.close();
                }
            });
            let mut got = ch.try_recv();
            until_soon(|| {
                if got == (Outcome::NotReady, UNTOUCHED) {
                    got = ch.try_recv();
                }
                got.0 != Outcome::NotReady
            });
            assert_eq!(got, (Outcome::Done, 5));
            producer.join().unwrap();
        }
    });
}
