//! What others do to a lane: make its goroutines ready, spawn into it, ask which one they are in.

use super::member::Seat;
use super::record::Lane;
use super::slots::Ready;
use crate::primitive::atomic::Ordering;
use crate::sched::goroutine::{Goroutine, Kind, LEAVING, READIED, Task};
use crate::sched::spawn::{Spawn, write};
use crate::sched::{NoMemory, current_goroutine};
use std::ptr::NonNull;

impl Ready<Seat> for Task {
    fn keeper(&self) -> Option<Seat> {
        match self.kind() {
            Kind::Fresh(_) => None,
            // SAFETY: in a lane's queue, so parked, and nobody writes `pin`; a worker lives as long as a goroutine that is
            // to go on keeps it.
            Kind::Bound(g) => unsafe { (*g).pin.as_ref() }.map(Seat),
        }
    }
}

/// Why nothing was spawned.
pub(crate) enum Refused {
    NoMemory,
    Closed,
}

impl From<NoMemory> for Refused {
    fn from(_: NoMemory) -> Refused {
        Refused::NoMemory
    }
}

/// Queue a parked goroutine of a lane.
///
/// # Safety
/// As for [`crate::sched::ready`]; `g` is a lane's.
#[cold]
#[inline(never)]
pub(in crate::sched) unsafe fn ready(g: *mut Goroutine) {
    // SAFETY: the goroutine is parked, and counted by its lane, which therefore lives.
    unsafe {
        let lane = &*(*g).lane;
        if !lane.is_ours() {
            // A goroutine of the process that forked.
            return;
        }
        lane.rt.outside_wakeups.fetch_add(1, Ordering::Relaxed);
        let mut state = lane.lock();
        if (*g).word == LEAVING {
            // Its thread is not done with it, and will find this.
            (*g).word = READIED;
            return;
        }
        let what = state.slots.push(Task::bound(NonNull::new_unchecked(g)));
        state.perform(what);
    }
}

/// A goroutine that has not run and found no stack: there may be one now.
///
/// # Safety
/// `task` is a living goroutine of the lane, and nobody else's.
pub(in crate::sched) unsafe fn requeue(lane: *const Lane, task: Task) {
    // SAFETY: the goroutine is counted by the lane, which therefore lives.
    unsafe {
        let mut state = (*lane).lock();
        let what = state.slots.push(task);
        state.perform(what);
    }
}

/// Start a goroutine in a lane. `site`: as for [`crate::sched::spawn_at`].
///
/// # Safety
/// The caller has a handle of the lane.
pub(crate) unsafe fn spawn(lane: *const Lane, spawn: Spawn, site: usize) -> Result<(), Refused> {
    // SAFETY: the caller's promise; null, or the calling goroutine's own record.
    unsafe {
        let lane = &*lane;
        if !lane.is_ours() {
            return Err(Refused::Closed);
        }
        let parent = current_goroutine().as_ref().map_or(0, |g| g.id);
        let class = Some(spawn.class.unwrap_or(lane.class));
        let mut state = lane.lock();
        if state.slots.is_closed() {
            return Err(Refused::Closed);
        }
        let inner = &mut *state;
        let task =
            write(lane.rt, Spawn { class, ..spawn }, site, parent, &mut inner.records, &mut inner.ids)?;
        state.living += 1;
        lane.rt.outside_spawned.fetch_add(1, Ordering::Release);
        let what = state.slots.push(task);
        state.perform(what);
        Ok(())
    }
}

/// The lane of the calling goroutine, or null.
pub(crate) fn current() -> *const Lane {
    // SAFETY: null, or the calling goroutine's own record.
    unsafe { current_goroutine().as_ref() }.map_or(std::ptr::null(), |g| g.lane)
}
