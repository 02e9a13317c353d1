//! Loom models: every interleaving (up to the bound on preemptions) of a few small programs.
//!
//! Each carries a [`Parcel`] beside its elements, memory that only the hand-over orders: were an edge missing, or
//! the channel freed while somebody is still inside ([`Chan::release`] retires it), loom would say so. The
//! `#[should_panic]` ones at the end break one rule each, to show that the models would notice.

mod pending;

use super::channel::Chan;
use super::ops::unlock_step;
use super::select::{Case, Selected, select};
use super::waiter::Waiter;
use super::witness::Witness;
use super::{Op, Outcome};
use crate::primitive::FOREVER;
use crate::primitive::atomic::Ordering;
use crate::sched::WaitReason;
use crate::sched::wait::{Order, Wait};
use loom::thread::{self, JoinHandle};
use std::ptr::null_mut;
use std::sync::Arc;

/// A channel of `u64`, borrowed: who releases it says so.
#[derive(Clone, Copy)]
struct Ch(*mut Chan);

// SAFETY: channels are made to be shared.
unsafe impl Send for Ch {}

impl Ch {
    fn new(cap: usize) -> Self {
        Ch(Chan::new(8, cap))
    }

    /// Two channels, locked by a select in this order. (Addresses vary from run to run; loom needs all runs of a
    /// model to be alike.)
    fn pair() -> (Self, Self) {
        let (a, b) = (Ch::new(0), Ch::new(0));
        if a.0 < b.0 { (a, b) } else { (b, a) }
    }

    fn send(self, value: u64) -> Outcome {
        // SAFETY: the models keep a channel until the effect of the call can be seen.
        unsafe { Chan::send(self.0, (&raw const value).cast()) }
    }

    fn try_send(self, value: u64) -> Outcome {
        // SAFETY: as above.
        unsafe { Chan::try_send(self.0, (&raw const value).cast()) }
    }

    fn recv(self) -> (Outcome, u64) {
        let mut value = 99;
        // SAFETY: as above.
        (unsafe { Chan::recv(self.0, (&raw mut value).cast()) }, value)
    }

    fn try_recv(self) -> (Outcome, u64) {
        let mut value = 99;
        // SAFETY: as above.
        (unsafe { Chan::try_recv(self.0, (&raw mut value).cast()) }, value)
    }

    fn recv_until(self, deadline: i64) -> (Outcome, u64) {
        let mut value = 99;
        // SAFETY: as above.
        (unsafe { Chan::recv_until(self.0, (&raw mut value).cast(), deadline) }, value)
    }

    fn close(self) -> Outcome {
        // SAFETY: as above.
        unsafe { Chan::close(self.0) }
    }

    /// Free it; nobody has left a waiter or a pin behind.
    fn release_quiet(self) {
        // SAFETY: the models call it once, at their end.
        unsafe {
            Chan::lock(self.0);
            assert!((*self.0).senders.is_empty() && (*self.0).receivers.is_empty());
            assert!(
                !(*self.0).sending.load(Ordering::Relaxed) && !(*self.0).receiving.load(Ordering::Relaxed)
            );
            assert_eq!(Chan::pins(self.0), 0);
            Chan::unlock(self.0);
            Chan::release(self.0);
        }
    }

    fn release(self) {
        // SAFETY: the models call it once.
        unsafe { Chan::release(self.0) };
    }

    fn until_receiving(self) {
        // SAFETY: as above.
        while unsafe { !(*self.0).receiving.load(Ordering::Acquire) } {
            thread::yield_now();
        }
    }

    fn to_send(self, value: &mut u64) -> Case {
        Case { chan: self.0, elem: (&raw mut *value).cast(), op: Op::Send, status: 0 }
    }

    fn to_recv(self, value: &mut u64) -> Case {
        Case { chan: self.0, elem: (&raw mut *value).cast(), op: Op::Recv, status: 0 }
    }
}

fn choose(cases: &[Case], deadline: i64) -> Selected {
    // SAFETY: as for the calls of `Ch`.
    unsafe { select(cases.as_ptr(), cases.len(), deadline) }
}

/// What goes with an element: written before it is sent, read after it is received.
#[derive(Clone)]
struct Parcel(Arc<Witness>);

// SAFETY: that it is used in order is what loom checks.
unsafe impl Send for Parcel {}

impl Parcel {
    fn new() -> Self {
        Parcel(Arc::new(Witness::new()))
    }
}

fn spawn<T: 'static>(f: impl FnOnce() -> T + 'static) -> JoinHandle<T> {
    thread::spawn(f)
}

#[test]
fn unbuffered_hand_over() {
    loom::model(|| {
        let (ch, parcel) = (Ch::new(0), Parcel::new());
        let sender = spawn({
            let parcel = parcel.clone();
            move || {
                parcel.0.write();
                assert_eq!(ch.send(7), Outcome::Done);
            }
        });
        assert_eq!(ch.recv(), (Outcome::Done, 7));
        parcel.0.read();
        // The sender may not have returned yet.
        ch.release();
        sender.join().unwrap();
    });
}

#[test]
fn unbuffered_receive_is_before_the_end_of_the_send() {
    loom::model(|| {
        let (ch, parcel) = (Ch::new(0), Parcel::new());
        let receiver = spawn({
            let parcel = parcel.clone();
            move || {
                parcel.0.write();
                assert_eq!(ch.recv(), (Outcome::Done, 7));
            }
        });
        assert_eq!(ch.send(7), Outcome::Done);
        parcel.0.read();
        ch.release();
        receiver.join().unwrap();
    });
}

#[test]
fn buffered_with_a_parked_sender_keeps_order() {
    loom::model(|| {
        let (ch, parcel) = (Ch::new(1), Parcel::new());
        let sender = spawn({
            let parcel = parcel.clone();
            move || {
                assert_eq!(ch.send(1), Outcome::Done);
                parcel.0.write();
                assert_eq!(ch.send(2), Outcome::Done);
            }
        });
        assert_eq!(ch.recv(), (Outcome::Done, 1));
        assert_eq!(ch.recv(), (Outcome::Done, 2));
        parcel.0.read();
        ch.release_quiet();
        sender.join().unwrap();
    });
}

#[test]
fn two_senders_and_a_receiver_exchange_each_value_once() {
    loom::model(|| {
        let ch = Ch::new(1);
        let senders = [1, 2].map(|value| spawn(move || assert_eq!(ch.send(value), Outcome::Done)));
        let (first, second) = (ch.recv(), ch.recv());
        assert_eq!((first.0, second.0, first.1 + second.1), (Outcome::Done, Outcome::Done, 3));
        senders.into_iter().for_each(|s| s.join().unwrap());
        ch.release_quiet();
    });
}

#[test]
fn close_against_receive() {
    loom::model(|| {
        let (ch, parcel) = (Ch::new(0), Parcel::new());
        let closer = spawn({
            let parcel = parcel.clone();
            move || {
                parcel.0.write();
                assert_eq!(ch.close(), Outcome::Done);
            }
        });
        assert_eq!(ch.recv(), (Outcome::Closed, 0));
        parcel.0.read();
        ch.release();
        closer.join().unwrap();
    });
}

#[test]
fn send_and_close_against_try_receive() {
    loom::model(|| {
        let (ch, parcel) = (Ch::new(1), Parcel::new());
        let closer = spawn({
            let parcel = parcel.clone();
            move || {
                assert_eq!(ch.send(3), Outcome::Done);
                parcel.0.write();
                assert_eq!(ch.close(), Outcome::Done);
            }
        });
        // One look while the other side is at work: nothing yet, or the value, never closed.
        let (mut outcome, mut value) = ch.try_recv();
        if outcome == Outcome::NotReady {
            assert_eq!(value, 99);
            (outcome, value) = ch.recv();
        }
        assert_eq!((outcome, value), (Outcome::Done, 3));
        loop {
            match ch.try_recv() {
                (Outcome::NotReady, 99) => thread::yield_now(),
                (Outcome::Closed, 0) => break,
                other => panic!("{other:?}"),
            }
        }
        parcel.0.read();
        // Seen without the lock, perhaps while the closer still holds it.
        ch.release();
        closer.join().unwrap();
    });
}

#[test]
fn two_crossing_selects() {
    loom::model(|| {
        let (a, b) = Ch::pair();
        let other = spawn(move || {
            let (mut to, mut from) = (99, 1);
            let selected = choose(&[a.to_recv(&mut to), b.to_send(&mut from)], FOREVER);
            (selected, to)
        });
        let (mut to, mut from) = (99, 2);
        let ours = choose(&[b.to_recv(&mut to), a.to_send(&mut from)], FOREVER);
        let (theirs, their_to) = other.join().unwrap();
        match ours {
            Selected::Case(0, Outcome::Done) => {
                assert_eq!((theirs, their_to, to), (Selected::Case(1, Outcome::Done), 99, 1));
            }
            Selected::Case(1, Outcome::Done) => {
                assert_eq!((theirs, their_to, to), (Selected::Case(0, Outcome::Done), 2, 99));
            }
            other => panic!("{other:?}"),
        }
        a.release_quiet();
        b.release_quiet();
    });
}

#[test]
fn a_select_is_won_once_by_two_senders() {
    loom::model(|| {
        let (a, b) = Ch::pair();
        let parcel = Parcel::new();
        let select = spawn({
            let parcel = parcel.clone();
            move || {
                let (mut x, mut y) = (99, 99);
                let selected = choose(&[a.to_recv(&mut x), b.to_recv(&mut y)], FOREVER);
                parcel.0.read();
                (selected, x, y)
            }
        });
        parcel.0.write();
        let other = spawn(move || b.try_send(2));
        let sent = (a.try_send(1), other.join().unwrap());
        if sent == (Outcome::NotReady, Outcome::NotReady) {
            assert_eq!(a.send(1), Outcome::Done);
        }
        let expected = match sent {
            (Outcome::NotReady, Outcome::Done) => (Selected::Case(1, Outcome::Done), 99, 2),
            (Outcome::Done | Outcome::NotReady, Outcome::NotReady) => {
                (Selected::Case(0, Outcome::Done), 1, 99)
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(select.join().unwrap(), expected);
        a.release_quiet();
        b.release_quiet();
    });
}

/// While the release step unlocks one channel the other may be at work already, whichever comes first.
fn who_serves_a_select_frees_its_channels(serve_the_first: bool) {
    loom::model(move || {
        let (mut a, mut b) = Ch::pair();
        if serve_the_first {
            (a, b) = (b, a);
        }
        let select = spawn(move || {
            let (mut x, mut y, mut z) = (99, 99, 99);
            let selected = choose(&[a.to_recv(&mut x), b.to_recv(&mut y), a.to_send(&mut z)], FOREVER);
            assert_eq!((selected, x, y), (Selected::Case(1, Outcome::Done), 99, 5));
        });
        assert_eq!(b.send(5), Outcome::Done);
        a.release();
        b.release();
        select.join().unwrap();
    });
}

#[test]
fn who_serves_the_first_channel_of_a_select_may_free_all() {
    who_serves_a_select_frees_its_channels(true);
}

#[test]
fn who_serves_the_last_channel_of_a_select_may_free_all() {
    who_serves_a_select_frees_its_channels(false);
}

/// The receiver's own clock says 1 when it asks whether to wait at all, and 2 (its deadline) when it first looks
/// up while waiting; so its time-out falls before, into or after the hand-over.
#[test]
fn a_time_out_against_a_send() {
    loom::model(|| {
        let ch = Ch::new(0);
        let sender = spawn(move || ch.try_send(4));
        let received = ch.recv_until(2);
        match sender.join().unwrap() {
            Outcome::Done => assert_eq!(received, (Outcome::Done, 4)),
            outcome => assert_eq!((outcome, received), (Outcome::NotReady, (Outcome::TimedOut, 99))),
        }
        ch.release_quiet();
    });
}

#[test]
fn a_time_out_of_a_select_against_a_send_and_a_close() {
    loom::model(|| {
        let (a, b) = Ch::pair();
        let sender = spawn(move || a.try_send(4));
        let closer = spawn(move || b.close());
        let (mut x, mut y) = (99, 99);
        let selected = choose(&[a.to_recv(&mut x), b.to_recv(&mut y)], 2);
        let sent = sender.join().unwrap();
        assert_eq!(closer.join().unwrap(), Outcome::Done);
        match sent {
            Outcome::Done => assert_eq!((selected, x, y), (Selected::Case(0, Outcome::Done), 4, 99)),
            _ => match selected {
                Selected::Case(1, Outcome::Closed) => assert_eq!((x, y), (99, 0)),
                other => assert_eq!((other, x, y), (Selected::TimedOut, 99, 99)),
            },
        }
        a.release_quiet();
        b.release_quiet();
    });
}

/// A receiver waits when somebody closes: a send that does not wait hands over or is told "closed".
fn try_send_against_close(try_send: fn(Ch) -> Outcome) {
    loom::model(move || {
        let ch = Ch::new(0);
        // The receiver's part before it blocks and after it was woken; who plays it does not matter.
        let mut value = 99u64;
        let wait = Wait::new(WaitReason::ChanReceive, false);
        let mut receiver = Waiter::new(&raw const wait, 1, Op::Recv, (&raw mut value).cast());
        let receiver = &raw mut receiver;
        // SAFETY: they live to the end of the model, by when the waiter was claimed.
        unsafe {
            Chan::lock(ch.0);
            Chan::enqueue(ch.0, receiver);
            Chan::unlock(ch.0);
        }
        let closer = spawn(move || ch.close());
        let sent = try_send(ch);
        assert_ne!(sent, Outcome::NotReady);
        assert_eq!(closer.join().unwrap(), Outcome::Done);
        // SAFETY: as above.
        assert_eq!(unsafe { Waiter::outcome(receiver) }, sent);
        ch.release_quiet();
    });
}

#[test]
fn try_send_is_not_refused_between_a_waiting_receiver_and_the_close() {
    try_send_against_close(|ch| ch.try_send(1));
}

/// The buffer holds a value, then the channel is closed, then drained: at no moment is there nothing to report.
#[test]
fn try_receive_is_not_refused_while_the_channel_is_closed_and_drained() {
    loom::model(|| {
        let ch = Ch::new(1);
        assert_eq!(ch.send(3), Outcome::Done);
        let other = spawn(move || {
            assert_eq!(ch.close(), Outcome::Done);
            // A receive by hand, which knows `len`: loom looks for races with the last access only, and a load
            // of our own before the store would hide the other side's.
            // SAFETY: the other side only looks.
            unsafe {
                Chan::lock(ch.0);
                Chan::read_head(ch.0, null_mut());
                (*ch.0).len.store(0, Ordering::Release);
                Chan::unlock(ch.0);
            }
        });
        // SAFETY: the channel is live.
        assert_ne!(unsafe { Chan::refuses_recv(ch.0) }, Outcome::NotReady);
        other.join().unwrap();
        assert_eq!(ch.try_recv(), (Outcome::Closed, 0));
        ch.release_quiet();
    });
}

// Broken on purpose.

#[test]
#[should_panic(expected = "NotReady")]
fn broken_refusal_that_looks_at_closed_first() {
    try_send_against_close(|ch| {
        // SAFETY: the channel is live.
        let refused =
            unsafe { !(*ch.0).closed.load(Ordering::Acquire) && !(*ch.0).receiving.load(Ordering::Acquire) };
        if refused { Outcome::NotReady } else { ch.try_send(1) }
    });
}

#[test]
#[should_panic(expected = "Causality violation")]
fn broken_sender_that_wakes_before_it_has_copied() {
    loom::model(|| {
        let ch = Ch::new(0);
        let receiver = spawn(move || ch.recv());
        ch.until_receiving();
        let value = 7u64;
        // SAFETY: none, that is the point; but no other thread runs between the wake and the write.
        unsafe {
            Chan::lock(ch.0);
            let waiter = Chan::claim_receiver(ch.0);
            Chan::unlock(ch.0);
            Wait::wake((*waiter).node.wait, Order::Next);
            Waiter::give(waiter, (&raw const value).cast(), 8);
        }
        receiver.join().unwrap();
    });
}

#[test]
#[should_panic(expected = "Causality violation")]
fn broken_sender_that_wakes_before_it_has_unlocked() {
    loom::model(|| {
        let ch = Ch::new(0);
        let receiver = spawn(move || {
            ch.recv();
            // SAFETY: none of the other side's calls may touch the channel any more.
            unsafe { free_without_lock(ch) };
        });
        ch.until_receiving();
        let value = 7u64;
        // SAFETY: none, that is the point.
        unsafe {
            Chan::lock(ch.0);
            let waiter = Chan::claim_receiver(ch.0);
            Waiter::give(waiter, (&raw const value).cast(), 8);
            Wait::wake((*waiter).node.wait, Order::Next);
            Chan::unlock(ch.0);
        }
        receiver.join().unwrap();
    });
}

#[test]
#[should_panic(expected = "Causality violation")]
fn broken_release_that_does_not_wait_for_who_is_inside() {
    loom::model(|| {
        let ch = Ch::new(0);
        let closer = spawn(move || ch.close());
        while ch.try_recv().0 != Outcome::Closed {
            thread::yield_now();
        }
        // SAFETY: none, that is the point.
        unsafe { free_without_lock(ch) };
        closer.join().unwrap();
    });
}

/// # Safety
/// Nobody else may touch the channel.
unsafe fn free_without_lock(ch: Ch) {
    // SAFETY: the caller's promise; loom holds it to that.
    unsafe { Chan::free(ch.0) };
}

/// A wait in two queues that claims without compare-exchange, as if it stood in one.
#[test]
#[should_panic(expected = "served twice")]
fn broken_select_that_is_claimed_without_comparing() {
    loom::model(|| {
        let (a, b) = Ch::pair();
        let select = spawn(move || {
            // The memory stays, whoever comes too late.
            let values = Box::leak(Box::new([99u64; 2])).as_mut_ptr();
            let wait: *const Wait = Box::leak(Box::new(Wait::new(WaitReason::Select, false)));
            let waiter = |id, elem| &raw mut *Box::leak(Box::new(Waiter::new(wait, id, Op::Recv, elem)));
            // SAFETY: locked in one order; all of it lives on.
            unsafe {
                let (x, y) = (waiter(1, values.cast()), waiter(2, values.add(1).cast()));
                Chan::lock(a.0);
                Chan::enqueue(a.0, x);
                Chan::lock(b.0);
                Chan::enqueue(b.0, y);
                Chan::unlock(a.0);
                (*wait).block(unlock_step, b.0.cast());
            }
        });
        b.until_receiving();
        let other = spawn(move || b.try_send(2));
        let sent = (a.try_send(1), other.join().unwrap());
        assert_ne!(sent, (Outcome::Done, Outcome::Done), "served twice");
        select.join().unwrap();
    });
}
