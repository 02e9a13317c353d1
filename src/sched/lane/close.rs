//! The end of a lane: closing it, and the process's exit.
//!
//! The one thing to know: closing only says, under the lock, that nothing starts or goes on any more, and sends all that
//! sleep their end. Threads that run a goroutine, or make a call for one, see it when they next look; the last to end wakes
//! whoever waits for that.

use super::member::{Mail, Seat};
use super::record::{Lane, Locked};
use crate::primitive::atomic::Ordering;
use crate::primitive::{futex_wait, now};
use crate::sched::current;
use crate::sched::runtime::Runtime;
use crate::sched::wait::{Node, TIMED_OUT, Wait, WakeList};
use crate::sched::WaitReason;
use std::ptr::null_mut;

/// How a call to close a lane ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closed {
    /// All its threads have ended.
    Done,
    /// Not all of them, by the deadline.
    TimedOut,
    /// The caller is on one of them.
    Inside,
}

impl Lane {
    /// Close it, and wait for the end of its threads until `deadline`.
    ///
    /// # Safety
    /// The caller has a handle, and keeps it meanwhile.
    pub(crate) unsafe fn close(&self, deadline: i64) -> Closed {
        // SAFETY: null, or the calling thread's own worker.
        let mine = unsafe { current::worker().as_ref() }.and_then(|w| w.member.as_ref());
        if mine.is_some_and(|m| std::ptr::eq(m.lane, self)) {
            return Closed::Inside;
        }
        if !self.is_ours() {
            // Its threads were the parent's.
            return Closed::Done;
        }
        // SAFETY: the caller's promise.
        let mut state = unsafe { self.lock() };
        if !state.slots.is_closed() {
            let sleepers = state.close();
            drop(state);
            for Seat(w) in sleepers {
                // SAFETY: just taken out of the lists of those who sleep.
                unsafe { w.seat().mail.deliver(Mail::End) };
            }
            // SAFETY: as above.
            state = unsafe { self.lock() };
        }
        if state.threads == 0 {
            return Closed::Done;
        }
        if deadline <= now() {
            return Closed::TimedOut;
        }
        // Not a reason that needs somebody: the threads may be in the kernel.
        let mut wait = Wait::new(WaitReason::BlockingCall, false);
        wait.set_deadline(deadline);
        let mut node = Node::new(&wait, 1, null_mut());
        let node = &raw mut node;
        // Whoever waits for threads that run is in no deadlock, but a thread that waits in gort counts as asleep.
        // SAFETY: the node stays in place until it was popped, or is taken out below, under the lock again. `unlock` gives
        // the lock back that we have.
        unsafe {
            state.closers.push_back(node);
            let lane = std::ptr::from_ref(self).cast_mut();
            std::mem::forget(state);
            if wait.block(unlock, lane.cast()) == TIMED_OUT {
                self.lock().closers.unlink(node);
                return Closed::TimedOut;
            }
        }
        Closed::Done
    }
}

/// # Safety
/// `lane` is a lane that the caller, or the goroutine that has just left, has locked.
unsafe fn unlock(lane: *mut ()) {
    // SAFETY: the caller's promise.
    unsafe { Locked::take_over(lane.cast::<Lane>()) };
}

/// A thread was counted out: if it was the last, tell those who wait for that.
pub(super) fn thread_ended(mut state: Locked) {
    let mut woken = WakeList::new();
    if state.threads == 0 && state.slots.is_closed() {
        // SAFETY: the queue's lock is held; a popped node is claimed, so it lives until it is woken.
        unsafe {
            loop {
                let node = state.closers.pop();
                if node.is_null() {
                    break;
                }
                woken.push(node);
            }
        }
    }
    state.leave();
    // SAFETY: they hold their own handles; no lock is held.
    unsafe { woken.wake() };
}

/// The process exits: nothing of a lane starts or goes on, and what runs is waited for until `give_up`. As for ordinary
/// goroutines, those that do not reach the scheduler are left alone. Threads stay, so no hook runs but `thread_idle`.
pub(in crate::sched) fn stop_all(rt: &'static Runtime, give_up: i64) {
    // SAFETY: null, or the calling thread's own worker.
    let me = unsafe { current::worker().as_ref() }.map(Seat);
    loop {
        let mut running = false;
        for lane in rt.lanes.list().iter() {
            // SAFETY: in the list, and the list is locked.
            let mut state = unsafe { (*lane.0).lock() };
            state.slots.stop();
            running |= state.seats.iter().any(|seat| Some(*seat) != me && seat.0.seat().runs());
        }
        if !running || now() >= give_up {
            return;
        }
        futex_wait(&rt.stopped, rt.stopped.load(Ordering::Relaxed), now() + 1_000_000);
    }
}

/// The process exits: this thread runs nothing more.
pub(super) fn stop_here() -> ! {
    loop {
        // SAFETY: waits for a signal that does nothing; the thread ends with the process.
        unsafe { libc::pause() };
    }
}
