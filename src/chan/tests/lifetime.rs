//! A peer may release the last reference as soon as it sees the effect of a call. (What would break here is a
//! use after free: the loom models prove the order, the address sanitizer watches these loops.)

use super::support::*;
use crate::chan::{Chan, Op, Outcome, Selected};
use std::mem::ManuallyDrop;
use std::thread;

/// A channel that is only borrowed: it neither retains nor releases.
#[derive(Clone, Copy)]
struct Borrowed(*mut Chan);

// SAFETY: channels are made to be shared.
unsafe impl Send for Borrowed {}

impl Borrowed {
    /// # Safety
    /// The channel lives until the effect of what is done with the handle can be seen.
    unsafe fn handle(self) -> ManuallyDrop<Ch> {
        Ch::borrow(self.0)
    }
}

#[test]
fn the_receiver_may_free_the_channel_of_a_send_that_has_not_returned() {
    within_a_minute(|| {
        for round in 0..3000 {
            let ch = Ch::new(round % 2);
            let borrowed = Borrowed(ch.ptr());
            // SAFETY: we release it only when we have the value.
            let sender = thread::spawn(move || unsafe { borrowed.handle() }.send(1));
            assert_eq!(ch.recv(), (Outcome::Done, 1));
            drop(ch);
            assert_eq!(sender.join().unwrap(), Outcome::Done);
        }
    });
}

#[test]
fn who_sees_a_channel_closed_may_free_it() {
    within_a_minute(|| {
        for round in 0..3000 {
            let ch = Ch::new(1);
            let borrowed = Borrowed(ch.ptr());
            // SAFETY: we release it only when we have seen it closed.
            let closer = thread::spawn(move || unsafe { borrowed.handle() }.close());
            // With the lock and without it.
            let mut outcome = if round % 2 == 0 { ch.recv().0 } else { ch.try_recv().0 };
            until_soon(|| {
                if outcome == Outcome::NotReady {
                    outcome = ch.try_recv().0;
                }
                outcome != Outcome::NotReady
            });
            assert_eq!(outcome, Outcome::Closed);
            drop(ch);
            assert_eq!(closer.join().unwrap(), Outcome::Done);
        }
    });
}

#[test]
fn who_serves_a_parked_select_may_free_all_its_channels() {
    within_a_minute(|| {
        for round in 0..3000u64 {
            let chans = [Ch::new(0), Ch::new(1), Ch::new(0)];
            let borrowed = [Borrowed(chans[0].ptr()), Borrowed(chans[1].ptr()), Borrowed(chans[2].ptr())];
            let select = thread::spawn(move || {
                // SAFETY: they are released only when one of them has been received from.
                let [a, b, c] = borrowed.map(|borrowed| unsafe { borrowed.handle() });
                let mut values = [UNTOUCHED; 4];
                let [v, w, x, y] = &mut values;
                (choose(&[a.to_recv(v), b.to_recv(w), c.to_recv(x), a.to_recv(y)]), values)
            });
            let winner = round as usize % 3;
            if round % 4 != 0 {
                // Else the select may come before or after the send.
                chans[winner].until_waiting(Op::Recv, if winner == 0 { 2 } else { 1 });
            }
            if winner == 1 && round % 4 == 0 {
                // A place in the buffer would not tell us that the select has it.
                chans[1].until_waiting(Op::Recv, 1);
            }
            assert_eq!(chans[winner].send(round), Outcome::Done);
            drop(chans);
            let (selected, values) = select.join().unwrap();
            let Selected::Case(index, Outcome::Done) = selected else { panic!("{selected:?}") };
            assert_eq!((index % 3, values[index]), (winner, round));
        }
    });
}

#[test]
fn a_pinned_channel_outlives_its_last_reference() {
    let ch = Ch::new(1);
    let chan = ch.ptr();
    // SAFETY: a pin keeps the channel; we take it out as a parked select does.
    unsafe {
        Chan::lock(chan);
        Chan::pin(chan);
        Chan::pin(chan);
        Chan::unlock(chan);
        drop(ch);
        Chan::lock(chan);
        assert_eq!(Chan::cap(chan), 1);
        Chan::unpin_and_unlock(chan);
        Chan::lock(chan);
        assert_eq!(Chan::pins(chan), 1);
        // Frees, which the leak checker of the sanitizer sees.
        Chan::unpin_and_unlock(chan);
    }
}
