//! A select that calls a function: completion against cancel, and against those who free everything.

use super::super::pending::{Async, Done, Progress, select_async};
use super::*;
use crate::sched::cancel_blindly;
use loom::sync::atomic::AtomicU32;
use std::ffi::c_void;

/// A select on two channels, and all that it uses.
struct Op {
    values: [u64; 2],
    cases: [Case; 2],
    calls: AtomicU32,
    /// Written by the function, read by whoever finds that it was called.
    told: Witness,
    /// What the function releases.
    frees: Option<(Ch, Ch)>,
}

/// For the other threads.
#[derive(Clone, Copy)]
struct Handle(*mut Async);

// SAFETY: made to be shared.
unsafe impl Send for Handle {}

impl Op {
    /// Never freed: who comes too late must meet what loom knows of.
    fn receive(a: Ch, b: Ch, frees: Option<(Ch, Ch)>) -> *mut Op {
        let case = |ch: Ch| Case { chan: ch.0, elem: null_mut(), op: Op::RECV, status: 77 };
        let op = Box::into_raw(Box::new(Op {
            values: [99; 2],
            cases: [case(a), case(b)],
            calls: AtomicU32::new(0),
            told: Witness::new(),
            frees,
        }));
        // SAFETY: nobody else has it yet.
        unsafe {
            (*op).cases[0].elem = (&raw mut (*op).values[0]).cast();
            (*op).cases[1].elem = (&raw mut (*op).values[1]).cast();
        }
        op
    }

    const RECV: super::Op = super::Op::Recv;

    /// # Safety
    /// `op` was made by `receive`, and is started once.
    unsafe fn start(op: *mut Op) -> Handle {
        // SAFETY: it stays for ever.
        unsafe {
            let done = Done { call: called, arg: op.cast() };
            match select_async((&raw mut (*op).cases).cast(), 2, done) {
                Some(handle) => Handle(handle),
                None => panic!("no memory"),
            }
        }
    }

    /// Was the function called, and with what result?
    ///
    /// # Safety
    /// As for `start`; the handle is live.
    unsafe fn chosen(op: *mut Op, handle: Handle) -> Option<(usize, i32, [u64; 2])> {
        // SAFETY: the caller's promise.
        unsafe {
            let Progress::Chosen(index) = Async::progress(handle.0) else { return None };
            while (*op).calls.load(Ordering::Acquire) == 0 {
                thread::yield_now();
            }
            (*op).told.read();
            assert_eq!((*op).calls.load(Ordering::Acquire), 1);
            Some((index, (*op).cases[index].status, (*op).values))
        }
    }
}

extern "C" fn called(arg: *mut c_void) {
    let op = arg.cast::<Op>();
    // SAFETY: it stays for ever; what the function releases is its own.
    unsafe {
        (*op).told.write();
        if let Some((a, b)) = (*op).frees {
            a.release();
            b.release();
        }
        (*op).calls.fetch_add(1, Ordering::AcqRel);
    }
}

fn cancel(handle: Handle) -> bool {
    // SAFETY: the caller holds a reference.
    unsafe { Async::cancel(handle.0) }
}

fn release(handle: Handle) {
    // SAFETY: as above.
    unsafe { Async::release(handle.0) };
}

fn cancel_against_a_send(blindly: bool) {
    loom::model(move || {
        cancel_blindly(blindly);
        let (a, b) = Ch::pair();
        let op = Op::receive(a, b, None);
        // SAFETY: started once.
        let handle = unsafe { Op::start(op) };
        let sender = spawn(move || b.try_send(5));
        let gone = cancel(handle);
        let sent = sender.join().unwrap();
        assert_eq!(sent == Outcome::Done, !gone, "a value was lost");
        // SAFETY: the handle is ours.
        let chosen = unsafe { Op::chosen(op, handle) };
        assert_eq!(chosen, (!gone).then_some((1, 0, [99, 5])));
        release(handle);
        a.release_quiet();
        b.release_quiet();
    });
}

#[test]
fn model_cancel_against_a_send() {
    cancel_against_a_send(false);
}

#[test]
#[should_panic(expected = "a value was lost")]
fn model_broken_cancel_that_does_not_compare() {
    cancel_against_a_send(true);
}

#[test]
fn model_a_pending_select_is_won_once_by_two_senders() {
    loom::model(|| {
        cancel_blindly(false);
        let (a, b) = Ch::pair();
        let op = Op::receive(a, b, None);
        let senders = [spawn(move || a.try_send(1)), spawn(move || b.try_send(2))];
        // SAFETY: started once.
        let handle = unsafe { Op::start(op) };
        let [to_a, to_b] = senders.map(|sender| sender.join().unwrap() == Outcome::Done);
        // SAFETY: the handle is ours.
        let chosen = unsafe { Op::chosen(op, handle) };
        match (to_a, to_b) {
            (true, false) => assert_eq!(chosen, Some((0, 0, [1, 99]))),
            (false, true) => assert_eq!(chosen, Some((1, 0, [99, 2]))),
            (false, false) => {
                assert_eq!(chosen, None);
                assert!(cancel(handle));
            }
            (true, true) => panic!("served twice"),
        }
        release(handle);
        a.release_quiet();
        b.release_quiet();
    });
}

/// The function runs while the one who started the select may still be unlocking.
fn the_function_frees_all(serve_the_first: bool) {
    loom::model(move || {
        cancel_blindly(false);
        let (a, b) = Ch::pair();
        let op = Op::receive(a, b, Some((a, b)));
        let served = if serve_the_first { a } else { b };
        // SAFETY: the sender's own reference, which it gives up.
        unsafe { Chan::retain(served.0) };
        let sender = spawn(move || {
            assert_eq!(served.send(4), Outcome::Done);
            served.release();
        });
        // SAFETY: started once.
        let handle = unsafe { Op::start(op) };
        release(handle);
        sender.join().unwrap();
        // SAFETY: it stays for ever.
        assert_eq!(unsafe { (*op).calls.load(Ordering::Acquire) }, 1);
    });
}

#[test]
fn model_the_function_may_free_all_when_the_first_channel_is_served() {
    the_function_frees_all(true);
}

#[test]
fn model_the_function_may_free_all_when_the_last_channel_is_served() {
    the_function_frees_all(false);
}

#[test]
fn model_two_who_cancel_and_a_close_agree() {
    loom::model(|| {
        cancel_blindly(false);
        let (a, b) = Ch::pair();
        let op = Op::receive(a, b, None);
        // SAFETY: started once.
        let handle = unsafe { Op::start(op) };
        let other = spawn(move || cancel(handle));
        let closer = spawn(move || a.close());
        let gone = cancel(handle);
        assert_eq!(other.join().unwrap(), gone);
        assert_eq!(closer.join().unwrap(), Outcome::Done);
        // SAFETY: the handle is ours.
        let chosen = unsafe { Op::chosen(op, handle) };
        assert_eq!(chosen, (!gone).then_some((0, -4001, [0, 99])));
        release(handle);
        a.release_quiet();
        b.release_quiet();
    });
}
