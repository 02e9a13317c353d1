//! Handles and helpers for the tests.

use crate::chan::{Case, Chan, Op, Outcome, Selected, select, try_select};
use crate::primitive::FOREVER;
use std::mem::ManuallyDrop;
use std::ptr::null_mut;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// An owned reference to a channel.
pub(super) struct Ch(*mut Chan);

// SAFETY: channels are made to be shared.
unsafe impl Send for Ch {}
// SAFETY: as above.
unsafe impl Sync for Ch {}

impl Ch {
    /// A channel of `u64`.
    pub(super) fn new(cap: usize) -> Self {
        Ch::sized(8, cap)
    }

    pub(super) fn sized(elem_size: usize, cap: usize) -> Self {
        let chan = Chan::new(elem_size, cap);
        assert!(!chan.is_null());
        Ch(chan)
    }

    /// A channel that somebody else holds.
    pub(super) fn borrow(chan: *mut Chan) -> ManuallyDrop<Self> {
        ManuallyDrop::new(Ch(chan))
    }

    pub(super) fn ptr(&self) -> *mut Chan {
        self.0
    }

    pub(super) fn send(&self, value: u64) -> Outcome {
        // SAFETY: the reference is ours; elements are `u64`.
        unsafe { Chan::send(self.0, (&raw const value).cast()) }
    }

    pub(super) fn try_send(&self, value: u64) -> Outcome {
        // SAFETY: as for `send`.
        unsafe { Chan::try_send(self.0, (&raw const value).cast()) }
    }

    pub(super) fn send_until(&self, value: u64, deadline: i64) -> Outcome {
        // SAFETY: as for `send`.
        unsafe { Chan::send_until(self.0, (&raw const value).cast(), deadline) }
    }

    /// What was received, over a pattern that shows whether anything was written.
    pub(super) fn recv(&self) -> (Outcome, u64) {
        let mut value = UNTOUCHED;
        // SAFETY: as for `send`.
        let outcome = unsafe { Chan::recv(self.0, (&raw mut value).cast()) };
        (outcome, value)
    }

    pub(super) fn try_recv(&self) -> (Outcome, u64) {
        let mut value = UNTOUCHED;
        // SAFETY: as for `send`.
        let outcome = unsafe { Chan::try_recv(self.0, (&raw mut value).cast()) };
        (outcome, value)
    }

    pub(super) fn recv_until(&self, deadline: i64) -> (Outcome, u64) {
        let mut value = UNTOUCHED;
        // SAFETY: as for `send`.
        let outcome = unsafe { Chan::recv_until(self.0, (&raw mut value).cast(), deadline) };
        (outcome, value)
    }

    pub(super) fn close(&self) -> Outcome {
        // SAFETY: the reference is ours.
        unsafe { Chan::close(self.0) }
    }

    pub(super) fn len(&self) -> usize {
        // SAFETY: the reference is ours.
        unsafe { Chan::len(self.0) }
    }

    /// How many waiters are queued here, winners elsewhere included.
    pub(super) fn waiting(&self, op: Op) -> usize {
        // SAFETY: the queues are walked under the lock.
        unsafe {
            Chan::lock(self.0);
            let queue =
                if op == Op::Send { &raw const (*self.0).senders } else { &raw const (*self.0).receivers };
            let (mut node, mut n) = ((*queue).first(), 0);
            while !node.is_null() {
                node = (*queue).after(node);
                n += 1;
            }
            Chan::unlock(self.0);
            n
        }
    }

    /// Wait until `n` waiters are queued.
    pub(super) fn until_waiting(&self, op: Op, n: usize) {
        until(|| self.waiting(op) == n);
    }

    /// No call has left anything behind.
    pub(super) fn assert_quiet(&self) {
        assert_eq!((self.waiting(Op::Send), self.waiting(Op::Recv)), (0, 0));
        // SAFETY: read under the lock.
        unsafe {
            Chan::lock(self.0);
            let pins = Chan::pins(self.0);
            Chan::unlock(self.0);
            assert_eq!(pins, 0);
        }
    }

    pub(super) fn to_send(&self, value: &mut u64) -> Case {
        Case { chan: self.0, elem: (&raw mut *value).cast(), op: Op::Send, status: 77 }
    }

    pub(super) fn to_recv(&self, value: &mut u64) -> Case {
        Case { chan: self.0, elem: (&raw mut *value).cast(), op: Op::Recv, status: 77 }
    }
}

impl Clone for Ch {
    fn clone(&self) -> Self {
        // SAFETY: the reference is ours.
        unsafe { Chan::retain(self.0) };
        Ch(self.0)
    }
}

impl Drop for Ch {
    fn drop(&mut self) {
        // SAFETY: the reference is ours, and not used afterwards.
        unsafe { Chan::release(self.0) };
    }
}

pub(super) const UNTOUCHED: u64 = 0xa5a5_a5a5_a5a5_a5a5;

pub(super) fn nothing() -> Case {
    Case { chan: null_mut(), elem: null_mut(), op: Op::Recv, status: 77 }
}

pub(super) fn choose(cases: &[Case]) -> Selected {
    choose_until(cases, FOREVER)
}

pub(super) fn choose_until(cases: &[Case], deadline: i64) -> Selected {
    // SAFETY: the tests build cases of channels that they hold, with elements of their size.
    unsafe { select(cases.as_ptr(), cases.len(), deadline) }
}

pub(super) fn try_choose(cases: &[Case]) -> Selected {
    // SAFETY: as above.
    unsafe { try_select(cases.as_ptr(), cases.len()) }
}

/// Wait for a condition.
pub(super) fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        thread::sleep(Duration::from_micros(50));
    }
}

/// Wait for a condition that comes in nanoseconds, on one core too.
pub(super) fn until_soon(mut condition: impl FnMut() -> bool) {
    let mut looks = 0;
    while !condition() {
        looks += 1;
        if looks % 1000 == 0 {
            thread::yield_now();
        }
    }
}

/// Run a test that could hang if the code is wrong; fail if it does.
pub(super) fn within_a_minute(test: impl FnOnce() + Send + 'static) {
    let (done, finished) = mpsc::channel();
    let thread = thread::spawn(move || {
        test();
        done.send(()).unwrap();
    });
    match finished.recv_timeout(Duration::from_secs(60)) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it hangs"),
        // Finished, or panicked, which joining passes on.
        _ => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
    }
}

/// A generator for tests, seeded and repeatable.
pub(super) struct Rng(pub(super) u64);

impl Rng {
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}
