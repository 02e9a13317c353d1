//! Timers on the running runtime, from plain threads. The races are modelled in `model.rs`; here they run with
//! the real heaps, wakers and channels.

use super::fire::next;
use super::timer::{Timer, after};
use crate::chan::{Chan, Outcome};
use crate::primitive::{FOREVER, now};
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicU64, Ordering};

const HOUR: i64 = 3_600_000_000_000;
/// Only to say that it did not hang.
const PATIENCE: i64 = 60_000_000_000;

struct T(*mut Timer);

// SAFETY: timers are made to be shared.
unsafe impl Send for T {}
// SAFETY: as above.
unsafe impl Sync for T {}

impl T {
    fn stop(&self) -> bool {
        // SAFETY: the handle is ours.
        unsafe { Timer::stop(self.0) }
    }

    fn reset(&self, ns: i64) -> bool {
        // SAFETY: the handle is ours.
        unsafe { Timer::reset(self.0, ns) }
    }

    fn chan(&self) -> *mut Chan {
        // SAFETY: the handle is ours.
        unsafe { Timer::chan(self.0) }
    }

    fn pending(&self) -> usize {
        // SAFETY: the handle keeps the channel.
        unsafe { Chan::buffered(self.chan()) }
    }

    fn until_pending(&self) {
        let give_up = now() + PATIENCE;
        while self.pending() == 0 {
            assert!(now() < give_up, "no tick");
            std::thread::sleep(std::time::Duration::from_micros(100));
        }
    }
}

impl Drop for T {
    fn drop(&mut self) {
        // SAFETY: the handle is ours.
        unsafe { Timer::release(self.0) };
    }
}

fn recv(chan: *mut Chan) -> i64 {
    let mut tick = 0i64;
    // SAFETY: the tests hold a reference to the channel; its elements are `i64`.
    let outcome = unsafe { Chan::recv_until(chan, (&raw mut tick).cast(), now() + PATIENCE) };
    assert_eq!(outcome, Outcome::Done, "no tick");
    tick
}

fn try_recv(chan: *mut Chan) -> Option<i64> {
    let mut tick = 0i64;
    // SAFETY: as for `recv`.
    (unsafe { Chan::try_recv(chan, (&raw mut tick).cast()) } == Outcome::Done).then_some(tick)
}

#[test]
fn the_next_tick_is_on_the_grid_and_not_past() {
    for (late, tick) in [(-5, 400), (0, 400), (1, 400), (299, 400), (300, 700), (301, 700), (12_345, 12_700)]
    {
        assert_eq!(next(100, 300, 100 + late), tick);
    }
    assert_eq!(next(100, i64::MAX, 101), FOREVER);
    assert_eq!(next(i64::MAX - 5, 10, i64::MAX - 5), FOREVER);
    assert_eq!(next(0, 1, i64::MAX - 1), FOREVER);
}

#[test]
fn after_yields_one_tick_and_not_early() {
    for ns in [i64::MIN, -1, 0, 1, 1_000, 2_000_000] {
        let earliest = now() + ns.max(0);
        let chan = after(ns);
        let tick = recv(chan);
        assert!(tick >= earliest && tick <= now());
        assert_eq!(try_recv(chan), None);
        // SAFETY: the one reference.
        unsafe { Chan::release(chan) };
    }
}

#[test]
fn stop_and_reset_say_whether_it_was_pending() {
    let t = T(Timer::once(HOUR));
    assert!(t.stop());
    assert!(!t.stop());
    assert!(!t.reset(HOUR));
    assert!(t.reset(FOREVER));
    assert!(t.reset(0));
    t.until_pending();
    assert!(t.reset(HOUR), "its tick had not been received");
    assert_eq!(try_recv(t.chan()), None);
    assert!(t.reset(0));
    t.until_pending();
    assert!(t.stop(), "its tick had not been received");
    assert_eq!(try_recv(t.chan()), None);
    assert!(!t.reset(0));
    recv(t.chan());
    assert!(!t.reset(HOUR));
    assert!(t.stop());
}

#[test]
fn a_ticker_keeps_one_tick_and_its_grid() {
    let period = 500_000;
    let t = T(Timer::ticker(period));
    let first = recv(t.chan());
    for _ in 0..5 {
        t.until_pending();
        let due = now();
        while now() < due + 5 * period {
            std::thread::yield_now();
        }
        assert_eq!(t.pending(), 1);
        assert_eq!((recv(t.chan()) - first) % period, 0);
    }
    assert!(t.stop());
    assert_eq!(try_recv(t.chan()), None);
    assert!(!t.reset(period / 2));
    let second = recv(t.chan());
    assert_eq!((recv(t.chan()) - second) % (period / 2), 0);
}

#[test]
fn a_channel_without_receivers_takes_its_timer_out_of_the_heap() {
    // A leak would show as a heap of a million nodes, whose memory nobody would free for an hour: the C tests
    // look at that. Here: the handle goes first, then the channel, and the other way round.
    for _ in 0..1000 {
        let t = T(Timer::ticker(HOUR));
        let chan = t.chan();
        // SAFETY: the handle keeps the channel; the new reference is given up once.
        unsafe {
            Chan::retain(chan);
            drop(t);
            assert_eq!(try_recv(chan), None);
            Chan::release(chan);
            Chan::release(after(HOUR));
        }
    }
}

#[test]
fn a_released_ticker_goes_on_for_who_holds_its_channel() {
    let t = T(Timer::ticker(1_000_000));
    let chan = t.chan();
    // SAFETY: as above.
    unsafe {
        Chan::retain(chan);
        drop(t);
        assert!(recv(chan) < recv(chan));
        Chan::release(chan);
    }
}

unsafe extern "C" fn count(counter: *mut c_void) {
    // SAFETY: the tests' counters outlive the calls.
    unsafe { (*counter.cast::<AtomicU64>()).fetch_add(1, Ordering::SeqCst) };
}

#[test]
fn a_function_is_called_unless_stop_says_that_it_will_not_be() {
    let calls: &'static AtomicU64 = Box::leak(Box::new(AtomicU64::new(0)));
    let arg = std::ptr::from_ref(calls).cast_mut().cast();
    let mut expected = 0;
    for i in 0..2000 {
        let t = T(Timer::func(i % 50 * 1000, count, arg));
        assert_eq!(t.chan(), null_mut());
        if i % 3 == 0 {
            for _ in 0..i % 7 * 1000 {
                std::hint::spin_loop();
            }
            expected += u64::from(!t.stop());
            // Fires at most once more: the first call, if there was one, is counted.
            expected += u64::from(i % 2 == 0 && !t.reset(0));
        } else {
            expected += 1;
        }
    }
    let give_up = now() + PATIENCE;
    while calls.load(Ordering::SeqCst) < expected {
        assert!(now() < give_up, "{} of {expected} calls", calls.load(Ordering::SeqCst));
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert_eq!(calls.load(Ordering::SeqCst), expected);
}

/// Four threads on one timer: what anybody receives was due, and when all have stopped there is nothing left.
#[test]
fn many_stop_reset_and_receive() {
    for _ in 0..20 {
        let t = T(Timer::once(0));
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let t = &t;
                scope.spawn(move || {
                    for i in 0..500 {
                        match (thread + i) % 4 {
                            0 => drop(t.stop()),
                            1 | 2 => drop(t.reset(i % 5 * 300)),
                            _ => {
                                if let Some(tick) = try_recv(t.chan()) {
                                    assert!(tick <= now());
                                }
                            }
                        }
                    }
                });
            }
        });
        t.stop();
        assert_eq!(try_recv(t.chan()), None);
        assert!(!t.stop());
    }
}
