//! Elements of any size and alignment are copied exactly, and nothing beside them is touched.

use super::support::*;
use crate::chan::{Chan, Op, Outcome};
use std::ptr::null_mut;
use std::thread;

const SIZES: [usize; 14] = [0, 1, 2, 3, 4, 7, 8, 15, 16, 17, 24, 4097, 65535, 200_000];
const GUARD: usize = 32;
const FILL: u8 = 0xc3;

/// Memory for an element at an odd address, between guard bytes.
struct Guarded {
    bytes: Vec<u8>,
    size: usize,
}

impl Guarded {
    fn new(size: usize) -> Self {
        Guarded { bytes: vec![FILL; size + 2 * GUARD + 1], size }
    }

    fn with_pattern(size: usize, seed: usize) -> Self {
        let mut guarded = Guarded::new(size);
        let elem = guarded.offset();
        for i in 0..size {
            guarded.bytes[elem + i] = pattern(seed, i);
        }
        guarded
    }

    fn offset(&self) -> usize {
        GUARD + 1 - self.bytes.as_ptr().addr() % 2
    }

    fn elem(&mut self) -> *mut u8 {
        let offset = self.offset();
        self.bytes[offset..].as_mut_ptr()
    }

    fn check(&self, seed: usize) {
        let elem = self.offset();
        for (at, &byte) in self.bytes.iter().enumerate() {
            let expected =
                if (elem..elem + self.size).contains(&at) { pattern(seed, at - elem) } else { FILL };
            assert_eq!(byte, expected, "size {}, element {seed}, byte {at}", self.size);
        }
    }
}

fn pattern(seed: usize, at: usize) -> u8 {
    (seed * 131 + at * 7 + at / 256) as u8
}

#[test]
fn through_the_buffer() {
    for size in SIZES {
        let ch = Ch::sized(size, 3);
        for turn in 0..4 {
            for i in 0..3 {
                let mut from = Guarded::with_pattern(size, turn * 3 + i);
                // SAFETY: an element of the channel's size.
                assert_eq!(unsafe { Chan::try_send(ch.ptr(), from.elem()) }, Outcome::Done);
                from.check(turn * 3 + i);
            }
            for i in 0..3 {
                let mut to = Guarded::new(size);
                // SAFETY: as above.
                assert_eq!(unsafe { Chan::try_recv(ch.ptr(), to.elem()) }, Outcome::Done);
                to.check(turn * 3 + i);
            }
        }
    }
}

#[test]
fn from_hand_to_hand() {
    within_a_minute(|| {
        for size in SIZES {
            let ch = Ch::sized(size, 0);
            // The receiver waits.
            let receiver = thread::spawn({
                let ch = ch.clone();
                move || {
                    let mut to = Guarded::new(size);
                    // SAFETY: an element of the channel's size.
                    assert_eq!(unsafe { Chan::recv(ch.ptr(), to.elem()) }, Outcome::Done);
                    to.check(1);
                }
            });
            ch.until_waiting(Op::Recv, 1);
            let mut from = Guarded::with_pattern(size, 1);
            // SAFETY: as above.
            assert_eq!(unsafe { Chan::send(ch.ptr(), from.elem()) }, Outcome::Done);
            receiver.join().unwrap();
            // The sender waits.
            let sender = thread::spawn({
                let ch = ch.clone();
                move || {
                    let mut from = Guarded::with_pattern(size, 2);
                    // SAFETY: as above.
                    assert_eq!(unsafe { Chan::send(ch.ptr(), from.elem()) }, Outcome::Done);
                    from.check(2);
                }
            });
            ch.until_waiting(Op::Send, 1);
            let mut to = Guarded::new(size);
            // SAFETY: as above.
            assert_eq!(unsafe { Chan::recv(ch.ptr(), to.elem()) }, Outcome::Done);
            to.check(2);
            sender.join().unwrap();
        }
    });
}

#[test]
fn from_a_parked_sender_into_the_buffer() {
    within_a_minute(|| {
        for size in SIZES {
            let ch = Ch::sized(size, 2);
            for i in 0..2 {
                // SAFETY: an element of the channel's size.
                let sent = unsafe { Chan::send(ch.ptr(), Guarded::with_pattern(size, i).elem()) };
                assert_eq!(sent, Outcome::Done);
            }
            let sender = thread::spawn({
                let ch = ch.clone();
                // SAFETY: as above.
                move || unsafe { Chan::send(ch.ptr(), Guarded::with_pattern(size, 2).elem()) }
            });
            ch.until_waiting(Op::Send, 1);
            for i in 0..3 {
                let mut to = Guarded::new(size);
                // SAFETY: as above.
                assert_eq!(unsafe { Chan::recv(ch.ptr(), to.elem()) }, Outcome::Done);
                to.check(i);
            }
            assert_eq!(sender.join().unwrap(), Outcome::Done);
        }
    });
}

#[test]
fn a_closed_channel_zeroes_exactly_one_element() {
    within_a_minute(|| {
        for size in SIZES {
            let ch = Ch::sized(size, 1);
            let zeroed = |to: &Guarded| {
                let elem = to.offset();
                assert!(to.bytes[..elem].iter().chain(&to.bytes[elem + size..]).all(|&b| b == FILL));
                assert!(to.bytes[elem..elem + size].iter().all(|&b| b == 0));
            };
            let parked = thread::spawn({
                let ch = ch.clone();
                move || {
                    let mut to = Guarded::new(size);
                    // SAFETY: an element of the channel's size.
                    (unsafe { Chan::recv(ch.ptr(), to.elem()) }, to)
                }
            });
            ch.until_waiting(Op::Recv, 1);
            ch.close();
            let (outcome, to) = parked.join().unwrap();
            assert_eq!(outcome, Outcome::Closed);
            zeroed(&to);
            let (mut first, mut second) = (Guarded::new(size), Guarded::new(size));
            // SAFETY: as above.
            let outcomes =
                unsafe { (Chan::recv(ch.ptr(), first.elem()), Chan::try_recv(ch.ptr(), second.elem())) };
            assert_eq!(outcomes, (Outcome::Closed, Outcome::Closed));
            zeroed(&first);
            zeroed(&second);
        }
    });
}

#[test]
fn null_discards() {
    within_a_minute(|| {
        let ch = Ch::new(2);
        (1..=2).for_each(|i| assert_eq!(ch.send(i), Outcome::Done));
        // SAFETY: a receiver may pass null.
        unsafe {
            assert_eq!(Chan::recv(ch.ptr(), null_mut()), Outcome::Done);
            assert_eq!(ch.recv(), (Outcome::Done, 2));
            // Handed over by a parked sender, and to a parked receiver.
            let ch = Ch::new(0);
            let sender = thread::spawn({
                let ch = ch.clone();
                move || ch.send(3)
            });
            ch.until_waiting(Op::Send, 1);
            assert_eq!(Chan::recv(ch.ptr(), null_mut()), Outcome::Done);
            assert_eq!(sender.join().unwrap(), Outcome::Done);
            let receiver = thread::spawn({
                let ch = ch.clone();
                move || Chan::recv(ch.ptr(), null_mut())
            });
            ch.until_waiting(Op::Recv, 1);
            assert_eq!(ch.send(4), Outcome::Done);
            assert_eq!(receiver.join().unwrap(), Outcome::Done);
            ch.close();
            assert_eq!(Chan::recv(ch.ptr(), null_mut()), Outcome::Closed);
            assert_eq!(Chan::try_recv(ch.ptr(), null_mut()), Outcome::Closed);
        }
    });
}

#[test]
fn elements_without_bytes_are_counted_and_need_no_memory() {
    let ch = Ch::sized(0, usize::MAX);
    // SAFETY: elements of size 0 are nowhere.
    unsafe {
        for _ in 0..1000 {
            assert_eq!(Chan::send(ch.ptr(), null_mut()), Outcome::Done);
        }
        assert_eq!(ch.len(), 1000);
        for _ in 0..1000 {
            assert_eq!(Chan::try_recv(ch.ptr(), null_mut()), Outcome::Done);
        }
        assert_eq!(Chan::try_recv(ch.ptr(), null_mut()), Outcome::NotReady);
    }
}
