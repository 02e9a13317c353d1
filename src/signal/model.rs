//! Loom models of handlers against the thread that sends, against stop and against notify, and of broken variants.
//!
//! The real [`Slot`] and [`Bell`]; registry and kernel are a lock and a word. A thread stands for each handler: a handler
//! that interrupts a thread does nothing that one on another thread cannot do at that moment.

use super::slot::{Bell, Posted, Slot};
use loom::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;
use std::sync::atomic::{AtomicBool as Flag, AtomicU32 as Count, Ordering::Relaxed};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bug {
    None,
    /// The bell is rung before the signal is counted.
    RingFirst,
    /// What is counted is read, then cleared.
    TakeBlindly,
    CloseBlindly,
    /// The thread takes what is counted, then the lock.
    TakeBeforeLock,
    /// What was counted when the slot is closed is dropped.
    DropAtStop,
    /// Having installed the default action, the handler does not look whether the signal is wanted by now.
    NoSecondLook,
    /// It looks, and puts back what it has replaced.
    PutBackWhatWas,
}

/// What the kernel does with the signal.
const OURS: u32 = 1;
const THEIRS: u32 = 2;

struct Process {
    bug: Bug,
    slot: Slot,
    bell: Bell,
    action: AtomicU32,
    /// The registry: is the channel in it?
    registry: Mutex<bool>,
    end: AtomicBool,
    /// The truth, which loom does not see.
    sent: Count,
    done_by_theirs: Count,
    stopped: Flag,
}

fn process(bug: Bug) -> Arc<Process> {
    let process = Process {
        bug,
        slot: Slot::new(),
        bell: Bell::new(),
        action: AtomicU32::new(OURS),
        registry: Mutex::new(true),
        end: AtomicBool::new(false),
        sent: Count::new(0),
        done_by_theirs: Count::new(0),
        stopped: Flag::new(false),
    };
    process.slot.open(0);
    Arc::new(process)
}

fn run(process: &Arc<Process>, body: impl FnOnce(&Process) + 'static) -> thread::JoinHandle<()> {
    let process = process.clone();
    thread::spawn(move || body(&process))
}

impl Process {
    /// As the kernel does: under a lock, so the latest.
    fn action(&self) -> u32 {
        self.action.fetch_or(0, Ordering::AcqRel)
    }

    /// A signal comes.
    fn signal(&self) {
        if self.action() == THEIRS || self.handle() == Posted::Closed {
            self.done_by_theirs.fetch_add(1, Relaxed);
        }
    }

    fn handle(&self) -> Posted {
        if self.bug == Bug::RingFirst {
            self.bell.ring();
        }
        let posted = self.slot.post(0);
        if posted == Posted::Counted && self.bug != Bug::RingFirst {
            self.bell.ring();
        }
        posted
    }

    fn take(&self) -> u32 {
        if self.bug == Bug::TakeBlindly { self.slot.take_blindly() } else { self.slot.take() }
    }

    /// Under the registry's lock.
    fn send(&self, count: u32, registered: bool) {
        if count != 0 {
            assert!(registered, "lost");
            assert!(!self.stopped.load(Relaxed), "sent after stop");
            self.sent.fetch_add(count, Relaxed);
        }
    }

    /// A turn of the thread that sends, behind `Bell::wait`.
    fn send_all(&self) {
        if self.bug == Bug::TakeBeforeLock {
            let count = self.take();
            self.send(count, *self.registry.lock().unwrap());
        } else {
            let registered = self.registry.lock().unwrap();
            self.send(self.take(), *registered);
        }
    }

    fn stop(&self) {
        let mut registered = self.registry.lock().unwrap();
        self.action.swap(THEIRS, Ordering::AcqRel);
        let count = if self.bug == Bug::CloseBlindly { self.slot.close_blindly() } else { self.slot.close() };
        if self.bug != Bug::DropAtStop {
            self.send(count, *registered);
        }
        *registered = false;
        drop(registered);
        self.stopped.store(true, Relaxed);
    }
}

/// Two signals come while the thread that sends looks twice. If anything is left, the bell is.
fn arrival(bug: Bug) {
    loom::model(move || {
        let process = process(bug);
        let handlers = [run(&process, Process::signal), run(&process, Process::signal)];
        for _ in 0..2 {
            if process.bell.clear() {
                process.send_all();
            }
        }
        for handler in handlers {
            handler.join().unwrap();
        }
        let left = process.slot.take();
        assert!(left == 0 || process.bell.clear(), "nobody looks");
        assert_eq!(process.sent.load(Relaxed) + left, 2, "lost");
    });
}

#[test]
fn model_signals_arrive() {
    arrival(Bug::None);
}

#[test]
#[should_panic(expected = "nobody looks")]
fn model_signal_rung_for_before_it_is_counted_never_arrives() {
    arrival(Bug::RingFirst);
}

#[test]
#[should_panic(expected = "lost")]
fn model_signal_counted_while_the_count_is_cleared_blindly_is_lost() {
    arrival(Bug::TakeBlindly);
}

/// Two signals come while the channel is stopped.
fn stopping(bug: Bug) {
    loom::model(move || {
        let process = process(bug);
        let handler = run(&process, |process| {
            process.signal();
            process.signal();
        });
        let sender = run(&process, |process| {
            loop {
                process.bell.wait();
                process.send_all();
                if process.end.load(Ordering::Acquire) {
                    break;
                }
            }
        });
        process.stop();
        handler.join().unwrap();
        process.end.store(true, Ordering::Release);
        process.bell.ring();
        sender.join().unwrap();
        let all = process.sent.load(Relaxed) + process.done_by_theirs.load(Relaxed);
        assert_eq!(all, 2, "lost");
    });
}

#[test]
fn model_signals_against_stop() {
    stopping(Bug::None);
}

#[test]
#[should_panic(expected = "lost")]
fn model_signal_counted_while_the_slot_is_closed_blindly_is_lost() {
    stopping(Bug::CloseBlindly);
}

#[test]
#[should_panic(expected = "lost")]
fn model_signal_counted_before_stop_and_dropped_is_lost() {
    stopping(Bug::DropAtStop);
}

#[test]
#[should_panic(expected = "lost")]
fn model_signal_taken_without_the_lock_is_lost() {
    stopping(Bug::TakeBeforeLock);
}

/// A handler is called while nobody wants its signal, and the default action ends the process; at the same time the
/// signal is wanted again. `was`: what is installed, ours (put back by somebody) or the default action (the handler is
/// late).
fn wanted_again(bug: Bug, was: u32) {
    loom::model(move || {
        let process = process(bug);
        process.slot.close();
        process.action.store(was, Ordering::Release);
        let wanted = std::sync::Arc::new(Flag::new(false));
        let ended = std::sync::Arc::new(Flag::new(false));
        let handler = {
            let (wanted, ended) = (wanted.clone(), ended.clone());
            run(&process, move |process| {
                if process.handle() != Posted::Closed {
                    return;
                }
                let late = wanted.load(Relaxed);
                let was = process.action.swap(THEIRS, Ordering::AcqRel);
                if process.bug != Bug::NoSecondLook && process.slot.counts_at().is_some() {
                    let put = if process.bug == Bug::PutBackWhatWas { was } else { OURS };
                    process.action.swap(put, Ordering::AcqRel);
                    assert_eq!(process.handle(), Posted::Counted);
                    return;
                }
                // Sent again.
                if process.action() == THEIRS {
                    assert!(!late, "it ends the process though it is wanted");
                    ended.store(true, Relaxed);
                } else {
                    assert_eq!(process.handle(), Posted::Counted);
                }
            })
        };
        // As `Actions::install`.
        process.slot.open(0);
        process.action.swap(OURS, Ordering::AcqRel);
        wanted.store(true, Relaxed);
        handler.join().unwrap();
        if !ended.load(Relaxed) {
            assert_eq!(process.slot.take(), 1, "lost");
            assert_eq!(process.action(), OURS, "wanted, and our handler is gone");
        }
    });
}

#[test]
fn model_late_handler_against_notify() {
    wanted_again(Bug::None, THEIRS);
    wanted_again(Bug::None, OURS);
}

#[test]
#[should_panic(expected = "though it is wanted")]
fn model_late_handler_that_does_not_look_again_ends_the_process() {
    wanted_again(Bug::NoSecondLook, THEIRS);
}

#[test]
#[should_panic(expected = "our handler is gone")]
fn model_late_handler_that_puts_back_what_was_takes_ours_away() {
    wanted_again(Bug::PutBackWhatWas, THEIRS);
}
