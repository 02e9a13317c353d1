//! What a worker has that is a thread of a lane.
//!
//! The one thing to know: a thread that sleeps is sent a task, with a slot for it, or its end, in a mailbox of its own, by
//! whoever has taken it out of the lane's lists of those who sleep.

use super::record::Lane;
use crate::primitive::atomic::{AtomicBool, AtomicU32, Ordering};
use crate::sched::goroutine::{Fresh, Task};
use crate::sched::mail::Mailbox;
use crate::sched::worker::Worker;
use std::cell::Cell;
use std::ffi::{CStr, c_void};
use std::ptr::null_mut;

/// What a thread is sent.
pub(super) enum Mail {
    /// To be run first. The thread holds a slot.
    Run(Task),
    /// The lane is closed.
    End,
}

/// A thread of a lane, in the lane's book.
#[derive(Clone, Copy)]
pub(super) struct Seat(pub(super) &'static Worker);

impl PartialEq for Seat {
    fn eq(&self, other: &Seat) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

/// See the module comment.
pub(in crate::sched) struct Member {
    pub(super) lane: &'static Lane,
    pub(super) mail: Mailbox<Mail>,
    /// The goroutine that is about to leave keeps the thread this time.
    pub(super) keeps: Cell<bool>,
    /// The record of the goroutine that it has given a stack: to be given back when it next has the lock.
    pub(super) used: Cell<*mut Fresh>,
    /// How many goroutines it has resumed.
    turns: AtomicU32,
    /// It is in one.
    runs: AtomicBool,
    /// The monitor's.
    pub(super) seen: Cell<Seen>,
}

/// What the monitor saw of a thread when it last looked.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    pub(super) turns: u32,
    /// Since when it has not moved, as far as it was looked at. 0: it was not in a goroutine.
    pub(super) since: i64,
    /// What CPU time it had used then, ns.
    pub(super) cpu: i64,
}

impl Member {
    /// # Safety
    /// The lane lives as long as the worker: it counts it.
    pub(in crate::sched) unsafe fn new(lane: *const Lane, task: Task) -> Member {
        let mail = Mailbox::new();
        // SAFETY: nobody knows it yet.
        unsafe { mail.deliver(Mail::Run(task)) };
        Member {
            // SAFETY: the caller's promise.
            lane: unsafe { &*lane },
            mail,
            keeps: Cell::new(false),
            used: Cell::new(null_mut()),
            turns: AtomicU32::new(0),
            runs: AtomicBool::new(false),
            seen: Cell::new(Seen { turns: 0, since: 0, cpu: 0 }),
        }
    }

    /// What its thread is called.
    pub(in crate::sched) fn name(&self) -> &CStr {
        self.lane.name()
    }

    /// It resumes a goroutine.
    #[inline]
    pub(super) fn enter(&self) {
        // Plain stores: only this thread writes them. Who reads them does with them what is right whatever it reads.
        self.turns.store(self.turns.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        self.runs.store(true, Ordering::Relaxed);
    }

    /// The goroutine has left.
    #[inline]
    pub(super) fn exit(&self) {
        self.runs.store(false, Ordering::Relaxed);
    }

    pub(super) fn turns(&self) -> u32 {
        self.turns.load(Ordering::Relaxed)
    }

    pub(super) fn runs(&self) -> bool {
        self.runs.load(Ordering::Relaxed)
    }

    /// The calling goroutine, which was spawned with `arg`, is about to park or yield.
    pub(in crate::sched) fn ask(&self, arg: *mut c_void) {
        self.keeps.set(self.lane.hooks.keeps(arg));
    }
}

impl Worker {
    /// Of a lane's thread.
    #[inline]
    pub(super) fn seat(&self) -> &Member {
        match &self.member {
            Some(member) => member,
            None => unreachable!("the worker is no thread of a lane"),
        }
    }
}
