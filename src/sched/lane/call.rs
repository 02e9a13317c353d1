//! `gort_blocking` from a goroutine of a lane: its thread makes the call, without a slot.
//!
//! The one thing to know: this is a park that keeps the thread, with the call in place of the sleep. The thread counts as
//! running all the while, so nobody takes the goroutine's waiting for a deadlock.

use super::member::{Member, Seat};
use super::turn::After;
use crate::primitive::ACCOUNTED;
use crate::sched::blocking::{self, Call};
use crate::sched::goroutine::{Goroutine, State};
use crate::sched::reason::WaitReason;
use crate::sched::runtime::Runtime;
use crate::sched::worker::Worker;
use std::ptr::NonNull;

/// The goroutine `g` has just left for `call`: make it.
///
/// # Safety
/// On the thread `w`, which holds a slot (if it was not taken away) and is busy. `g` has ended its turn, and nobody else can
/// reach it; `call` is in its frame.
#[cold]
#[inline(never)]
pub(super) unsafe fn make(
    rt: &'static Runtime,
    w: &'static Worker,
    m: &Member,
    g: *mut Goroutine,
    call: *mut Call,
) -> After {
    let hooks = &m.lane.hooks;
    hooks.thread(hooks.thread_idle);
    // SAFETY: the thread is counted by the lane. The rest is the caller's promise, and `g` is parked until it is queued.
    unsafe {
        let mut state = m.lane.lock();
        let what = state.slots.go(Seat(w));
        state.perform(what);
        if rt.exiting.load(crate::primitive::atomic::Ordering::Relaxed) {
            super::close::stop_here();
        }
        // From here on this thread may do anything, as far as gort knows.
        ACCOUNTED.sub();
        blocking::make_away(rt, w, call);
        // `blocking` has raised it. This thread has been counted there all the while.
        rt.pending.lower();
        (*g).pin = std::ptr::from_ref(w).cast_mut();
        (*g).set_state(State::Runnable, WaitReason::None);
        After::Called(NonNull::new_unchecked(g))
    }
}

