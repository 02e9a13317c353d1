//! A timer is due: the two functions of its heap node.

use super::Call;
#[cfg(loom)]
use super::timer::Bug;
use super::timer::{Timer, What};
use crate::chan::{Chan, Handed};
use crate::fatal::fatal;
use crate::primitive::now;
use crate::sched::timer::{TimerKind, TimerNode};
use crate::sched::{Added, NoMemory, go};
use std::ffi::c_void;

/// The node of a timer with a channel.
pub(super) static TICK: TimerKind = TimerKind { claim, fire, wakes: tick_wakes };
/// The node of a timer that calls a function.
pub(super) static CALL: TimerKind = TimerKind { claim, fire, wakes: claim };

/// Always: whether it is still wanted is for `fire` to see, under the timer's lock, which may not be taken
/// here. Until then the node's reference keeps the timer.
///
/// # Safety
/// As [`TimerNode::set`] says.
unsafe fn claim(_node: *mut TimerNode) -> bool {
    true
}

/// A tick that nobody waits for lies in the buffer and wakes nobody.
///
/// # Safety
/// The heap that `node` is in is locked: whoever frees the channel takes the node out of the heap before.
unsafe fn tick_wakes(node: *mut TimerNode) -> bool {
    // SAFETY: the caller's promise; what the timer does is fixed.
    unsafe {
        match (*timer_of(node)).what {
            What::Tick(chan) => Chan::has_receiver(chan),
            What::Call(..) => true,
        }
    }
}

fn timer_of(node: *mut TimerNode) -> *mut Timer {
    node.cast::<u8>().wrapping_sub(std::mem::offset_of!(Timer, node)).cast()
}

/// # Safety
/// As [`TimerNode::set`] says; `node` is that of a timer.
unsafe fn fire(node: *mut TimerNode) {
    let this = timer_of(node);
    let mut added = Added::nothing();
    let mut due = Due { receiver: Handed::nobody(), call: None };
    // SAFETY: the queued node's reference is ours now. It is given back to the node by `arm`, and then the
    // timer may be gone once it is unlocked.
    unsafe {
        Timer::lock(this);
        let state = &mut *Timer::state(this);
        state.queued = false;
        let wanted = state.active;
        let moved = state.when > (*node).when();
        #[cfg(loom)]
        let (wanted, moved) =
            (wanted || (*this).bug == Bug::FireStopped, moved && (*this).bug != Bug::FireMoved);
        // Else it was stopped after the claim; or reset, and is due later.
        if wanted && !moved {
            due = send(this);
        }
        let state = &mut *Timer::state(this);
        if state.active {
            added = Timer::arm(this);
        }
        let queued = (*Timer::state(this)).queued;
        Timer::unlock(this);
        due.finish();
        added.tell();
        if !queued {
            Timer::drop_ref(this);
        }
    }
}

/// Somebody looks for a tick, does not wait, and found none: if one is due, send it, whether a worker has come to
/// it or not. As Go does, for which a timer whose time has come is ready.
///
/// # Safety
/// `this` is the timer of a channel that the caller holds a reference to. No lock is held.
pub(super) unsafe fn prompt(this: *mut ()) {
    let this: *mut Timer = this.cast();
    // SAFETY: the channel, which the caller's reference keeps, keeps the timer. If the node was claimed already,
    // its `fire` will find the timer not active, or due later.
    unsafe {
        Timer::lock(this);
        let state = &mut *Timer::state(this);
        if !state.active || state.when > now() {
            return Timer::unlock(this);
        }
        #[cfg(loom)]
        if (*this).bug == Bug::PromptOnly {
            let due = deliver(this, state.when);
            Timer::unlock(this);
            return due.finish();
        }
        Timer::unqueue(this);
        let due = send(this);
        let state = &mut *Timer::state(this);
        let mut added = Added::nothing();
        if state.active && !state.queued {
            added = Timer::arm(this);
            if (*Timer::state(this)).queued {
                Timer::retain(this);
            }
        }
        Timer::unlock(this);
        due.finish();
        added.tell();
    }
}

/// The timer is due: go on to its next tick, if there is one, and deliver this.
///
/// # Safety
/// As for `deliver`.
unsafe fn send(this: *mut Timer) -> Due {
    // SAFETY: the caller's promise.
    unsafe {
        let state = &mut *Timer::state(this);
        let when = state.when;
        if state.period == 0 {
            state.active = false;
        } else {
            state.when = next(when, state.period, now());
        }
        deliver(this, when)
    }
}

/// The first tick after `time` on the grid of a ticker that was due at `when`.
pub(super) fn next(when: i64, period: i64, time: i64) -> i64 {
    let late = (time - when).max(0);
    when.saturating_add(period.saturating_mul(late / period + 1))
}

/// What is left to do when the timer is unlocked.
struct Due {
    receiver: Handed,
    call: Option<(Call, *mut c_void)>,
}

/// Send the tick, if nobody has to be waited for: of a slow receiver's ticks the oldest stays.
///
/// # Safety
/// The caller holds the lock of `this`, and it is active: its channel is in place.
unsafe fn deliver(this: *mut Timer, when: i64) -> Due {
    // SAFETY: the caller's promise.
    unsafe {
        match (*this).what {
            #[cfg(loom)]
            What::Tick(chan) if (*this).bug == Bug::SendUnlocked => {
                Timer::unlock(this);
                let receiver = Chan::offer(chan, (&raw const when).cast());
                Timer::lock(this);
                Due { receiver, call: None }
            }
            What::Tick(chan) => Due { receiver: Chan::offer(chan, (&raw const when).cast()), call: None },
            What::Call(call, arg) => Due { receiver: Handed::nobody(), call: Some((call, arg)) },
        }
    }
}

impl Due {
    /// # Safety
    /// Called once, with no lock held.
    unsafe fn finish(self) {
        // SAFETY: the caller's promise.
        unsafe { self.receiver.wake() };
        if let Some((call, arg)) = self.call
            && let Err(NoMemory) = go(call, arg)
        {
            fatal(format_args!("gort_timer_func: out of memory for its goroutine"));
        }
    }
}
