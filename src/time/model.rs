//! Loom models of a timer that is due while its holder stops, resets or releases it.
//!
//! One heap stands for all processors; a thread that runs what has expired stands for a worker. Timers and
//! channels are kept in memory when they are freed, and retired ([`Timer::drop_ref`], `Chan::free`): loom holds
//! whoever comes too late against that. The `#[should_panic]` ones break one rule each.

use super::timer::{Bug, Timer};
use crate::chan::{Chan, Outcome};
use crate::sched::timer::TimerHeap;
use crate::sched::use_heap;
use loom::sync::Arc;
use loom::thread::{self, JoinHandle};
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicU32, Ordering};

/// All clocks of a model are far behind this, and far before `LATE`.
const SOON: i64 = 1_000;
const LATE: i64 = 1_000_000;

#[derive(Clone, Copy)]
struct T(*mut Timer);

// SAFETY: timers are made to be shared.
unsafe impl Send for T {}

impl T {
    fn once(bug: Bug) -> T {
        T::with(Timer::once(SOON - 500), bug)
    }

    fn ticker(bug: Bug) -> T {
        T::with(Timer::ticker(SOON - 500), bug)
    }

    fn with(timer: *mut Timer, bug: Bug) -> T {
        // SAFETY: nobody else knows it yet, and the heap does not run.
        unsafe { (*timer).bug = bug };
        T(timer)
    }

    fn stop(self) -> bool {
        // SAFETY: the models hold the handle until they release it.
        unsafe { Timer::stop(self.0) }
    }

    fn reset(self, ns: i64) -> bool {
        // SAFETY: as above.
        unsafe { Timer::reset(self.0, ns) }
    }

    fn release(self) {
        // SAFETY: the models call it once.
        unsafe { Timer::release(self.0) };
    }

    fn chan(self) -> Ch {
        // SAFETY: as above.
        Ch(unsafe { Timer::chan(self.0) })
    }
}

#[derive(Clone, Copy)]
struct Ch(*mut Chan);

// SAFETY: channels are made to be shared.
unsafe impl Send for Ch {}

impl Ch {
    fn try_recv(self) -> Option<i64> {
        let mut tick = 0i64;
        // SAFETY: the models hold a reference; ticks are `i64`.
        (unsafe { Chan::try_recv(self.0, (&raw mut tick).cast()) } == Outcome::Done).then_some(tick)
    }

    fn recv(self) -> i64 {
        let mut tick = 0i64;
        // SAFETY: as above.
        assert_eq!(unsafe { Chan::recv(self.0, (&raw mut tick).cast()) }, Outcome::Done);
        tick
    }

    fn retain(self) -> Ch {
        // SAFETY: as above.
        unsafe { Chan::retain(self.0) };
        self
    }

    fn release(self) {
        // SAFETY: the models call it once for each reference.
        unsafe { Chan::release(self.0) };
    }
}

fn model(body: impl Fn(Arc<TimerHeap>) + Sync + Send + 'static) {
    loom::model(move || {
        let heap = Arc::new(TimerHeap::new());
        use_heap(&heap);
        body(heap.clone());
        assert_eq!(heap.next(), i64::MAX, "a timer was left behind");
    });
}

/// A worker: what is due at `time` is fired.
fn worker(heap: &Arc<TimerHeap>, time: i64) -> JoinHandle<()> {
    let heap = heap.clone();
    thread::spawn(move || {
        use_heap(&heap);
        run(&heap, time);
    })
}

fn run(heap: &TimerHeap, time: i64) {
    // SAFETY: no lock is held.
    unsafe { heap.run_expired(time) };
}

/// Nobody receives, so stop says true; and no tick comes after it.
fn stop_against_fire(make: fn(Bug) -> T, bug: Bug) {
    model(move |heap| {
        let t = make(bug);
        let worker = worker(&heap, SOON);
        // What a broken variant says is not the point, but what it sends.
        assert!(t.stop() || bug != Bug::None);
        assert_eq!(t.chan().try_recv(), None, "stale tick");
        worker.join().unwrap();
        assert_eq!(t.chan().try_recv(), None, "stale tick");
        assert!(!t.stop());
        t.release();
    });
}

/// After reset the one tick is the new one.
fn reset_against_fire(make: fn(Bug) -> T, bug: Bug) {
    model(move |heap| {
        let t = make(bug);
        let worker = worker(&heap, SOON);
        assert!(t.reset(LATE) || bug != Bug::None);
        assert_eq!(t.chan().try_recv(), None, "stale tick");
        worker.join().unwrap();
        assert_eq!(t.chan().try_recv(), None, "stale tick");
        run(&heap, 2 * LATE);
        assert!(t.chan().try_recv().is_some_and(|tick| tick >= LATE), "no tick");
        assert_eq!(t.chan().try_recv(), None, "two ticks");
        t.release();
    });
}

#[test]
fn model_stop_against_fire() {
    stop_against_fire(T::once, Bug::None);
}

#[test]
fn model_stop_of_a_ticker_against_fire() {
    stop_against_fire(T::ticker, Bug::None);
}

#[test]
fn model_reset_against_fire() {
    reset_against_fire(T::once, Bug::None);
}

#[test]
fn model_reset_of_a_ticker_against_fire() {
    reset_against_fire(T::ticker, Bug::None);
}

#[test]
fn model_stop_and_reset_against_fire() {
    model(|heap| {
        let t = T::once(Bug::None);
        let worker = worker(&heap, SOON);
        assert!(t.stop());
        assert!(!t.reset(LATE));
        worker.join().unwrap();
        assert_eq!(t.chan().try_recv(), None, "stale tick");
        assert!(t.reset(i64::MAX));
        run(&heap, 2 * LATE);
        assert_eq!(t.chan().try_recv(), None, "stale tick");
        assert!(t.stop());
        t.release();
    });
}

/// Either the receiver has the tick or stop took it back.
#[test]
fn model_one_tick_for_receiver_or_stop() {
    model(|heap| {
        let t = T::once(Bug::None);
        let worker = worker(&heap, SOON);
        let receiver = thread::spawn(move || t.chan().try_recv().is_some());
        let stopped = t.stop();
        let received = receiver.join().unwrap();
        assert!(stopped != received);
        worker.join().unwrap();
        t.release();
    });
}

/// A timer that is due but has not been fired: who looks gets the one tick, a worker sends no other, and either
/// it was received or stop takes it back.
fn look_against_fire(bug: Bug) {
    model(move |heap| {
        let t = T::with(Timer::once(0), bug);
        // Its time comes.
        while crate::primitive::now() < 3 {}
        let worker = worker(&heap, SOON);
        assert!(t.chan().try_recv().is_some(), "due, and not there");
        worker.join().unwrap();
        assert_eq!(t.chan().try_recv(), None, "two ticks");
        run(&heap, SOON);
        assert_eq!(t.chan().try_recv(), None, "two ticks");
        assert!(!t.stop());
        t.release();
    });
}

#[test]
fn model_look_against_fire() {
    look_against_fire(Bug::None);
}

#[test]
#[should_panic(expected = "two ticks")]
fn model_of_a_look_that_leaves_the_timer_as_it_was_fails() {
    look_against_fire(Bug::PromptOnly);
}

/// A ticker goes on after the look, and is in a heap once.
#[test]
fn model_look_at_a_ticker_against_fire() {
    model(|heap| {
        let t = T::with(Timer::ticker(1), Bug::None);
        while crate::primitive::now() < 3 {}
        let worker = worker(&heap, SOON);
        let first = t.chan().try_recv().expect("due, and not there");
        worker.join().unwrap();
        run(&heap, SOON);
        assert!(t.chan().try_recv().is_some_and(|tick| tick > first), "no further tick");
        t.stop();
        assert_eq!(t.chan().try_recv(), None, "stale tick");
        t.release();
    });
}

/// Two look, one stops: the tick goes to one of the three.
#[test]
fn model_looks_against_stop() {
    model(|heap| {
        let t = T::with(Timer::once(0), Bug::None);
        let other = {
            let heap = heap.clone();
            thread::spawn(move || {
                use_heap(&heap);
                t.chan().try_recv().is_some()
            })
        };
        let received = t.chan().try_recv().is_some();
        let stopped = t.stop();
        let other = other.join().unwrap();
        assert!(u32::from(received) + u32::from(stopped) + u32::from(other) == 1);
        t.release();
    });
}

/// The receiver gives up the last reference as soon as it has the tick.
#[test]
fn model_release_behind_the_tick() {
    model(|heap| {
        let t = T::once(Bug::None);
        let receiver = thread::spawn(move || {
            assert!(t.chan().recv() >= SOON - 500);
            t.release();
        });
        run(&heap, SOON);
        receiver.join().unwrap();
    });
}

/// ... though the reset that set it off has not returned.
#[test]
fn model_release_behind_a_reset() {
    model(|heap| {
        let t = T::with(Timer::once(i64::MAX), Bug::None);
        let receiver = {
            let heap = heap.clone();
            thread::spawn(move || {
                use_heap(&heap);
                run(&heap, SOON);
                if t.chan().try_recv().is_some() {
                    t.release();
                    return true;
                }
                false
            })
        };
        t.reset(0);
        if !receiver.join().unwrap() {
            t.release();
        }
    });
}

fn release_against_fire(make: fn(Bug) -> T, bug: Bug) {
    model(move |heap| {
        let t = make(bug);
        let worker = worker(&heap, SOON);
        t.release();
        worker.join().unwrap();
    });
}

#[test]
fn model_release_against_fire() {
    release_against_fire(T::once, Bug::None);
}

#[test]
fn model_release_of_a_ticker_against_fire() {
    release_against_fire(T::ticker, Bug::None);
}

/// Who holds the channel gets the tick of a timer that was released; the last of two references stops it.
#[test]
fn model_release_of_the_channel_last() {
    model(|heap| {
        let t = T::once(Bug::None);
        let ch = t.chan().retain();
        let other = thread::spawn(move || t.release());
        run(&heap, SOON);
        assert!(ch.try_recv().is_some());
        ch.release();
        other.join().unwrap();
    });
}

/// Counts its calls. Not loom's: the numbers are looked at when all is over.
unsafe extern "C" fn count(counter: *mut c_void) {
    // SAFETY: the models give it a counter that outlives them.
    unsafe { (*counter.cast::<AtomicU32>()).fetch_add(1, Ordering::Relaxed) };
}

/// A function is called once, or not at all if stop says so, and released timers still fire.
#[test]
fn model_function_against_stop_and_release() {
    model(|heap| {
        let calls = AtomicU32::new(0);
        let t = T(Timer::func(SOON - 500, count, (&raw const calls).cast_mut().cast()));
        let released = T(Timer::func(SOON - 500, count, (&raw const calls).cast_mut().cast()));
        let worker = worker(&heap, SOON);
        released.release();
        let stopped = t.stop();
        worker.join().unwrap();
        assert_eq!(calls.load(Ordering::Relaxed), 1 + u32::from(!stopped));
        t.release();
    });
}

#[test]
fn model_two_resets_and_fire() {
    model(|heap| {
        let calls = AtomicU32::new(0);
        let t = T(Timer::func(SOON - 500, count, (&raw const calls).cast_mut().cast()));
        let worker = worker(&heap, SOON);
        let other = {
            let heap = heap.clone();
            thread::spawn(move || {
                use_heap(&heap);
                t.reset(LATE)
            })
        };
        let (mine, other) = (t.reset(LATE), other.join().unwrap());
        worker.join().unwrap();
        assert!(mine || other);
        run(&heap, 2 * LATE);
        assert_eq!(calls.load(Ordering::Relaxed), 1 + u32::from(!(mine && other)));
        t.release();
    });
}

#[test]
fn model_a_timer_that_is_never_due_is_in_no_heap() {
    model(|_| {
        let t = T(Timer::func(i64::MAX, count, null_mut()));
        assert!(t.reset(LATE));
        assert!(t.reset(i64::MAX));
        assert!(t.stop());
        t.release();
        T::with(Timer::once(i64::MAX), Bug::None).release();
    });
}

#[test]
#[should_panic(expected = "stale tick")]
fn model_of_a_tick_sent_without_the_lock_fails() {
    stop_against_fire(T::once, Bug::SendUnlocked);
}

#[test]
#[should_panic(expected = "stale tick")]
fn model_of_a_tick_sent_though_stopped_fails() {
    stop_against_fire(T::once, Bug::FireStopped);
}

#[test]
#[should_panic(expected = "stale tick")]
fn model_of_a_tick_sent_though_reset_fails() {
    reset_against_fire(T::once, Bug::FireMoved);
}

#[test]
#[should_panic(expected = "stale tick")]
fn model_of_a_stop_that_leaves_the_buffer_fails() {
    stop_against_fire(T::once, Bug::NoDrain);
}

#[test]
#[should_panic(expected = "stale tick")]
fn model_of_a_reset_that_leaves_the_buffer_of_a_ticker_fails() {
    reset_against_fire(T::ticker, Bug::NoDrain);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn model_of_a_channel_freed_without_telling_its_timer_fails() {
    release_against_fire(T::once, Bug::GoneUnlocked);
}
