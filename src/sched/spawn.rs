//! The go statement.
//!
//! The one thing to know: spawning makes a record of one cache line and queues it; the stack comes when it
//! first runs.

use super::fresh::FreshList;
use super::goroutine::{AtEnd, BY_TIMER, Body, Extra, Fresh, Parent, Task};
use super::runtime::{Runtime, rt};
use super::{current, idle};
use crate::coroutine::Class;
use crate::primitive::atomic::Ordering;
use std::ffi::c_void;
use std::ops::Range;
use std::ptr::NonNull;

/// A goroutine to be.
pub(crate) struct Spawn {
    pub(crate) body: Body,
    pub(crate) arg: *mut c_void,
    /// `None`: the runtime's default.
    pub(crate) class: Option<Class>,
    pub(crate) flags: u8,
    pub(crate) extra: Option<Box<Extra>>,
    pub(crate) at_end: Option<AtEnd>,
}

/// There was no memory for the goroutine's record; nothing has changed.
pub(crate) struct NoMemory;

/// So many numbers a processor takes at once.
const IDS: u64 = 64;

/// Start a goroutine from a place that is not worth telling.
#[inline]
pub(crate) fn spawn(spawn: Spawn) -> Result<(), NoMemory> {
    spawn_at(spawn, 0)
}

/// Start a goroutine. `site`: where the call that asked for it returns to, 0 if unknown; or `BY_TIMER`.
#[inline]
pub(crate) fn spawn_at(spawn: Spawn, site: usize) -> Result<(), NoMemory> {
    let rt = rt();
    let w = current::worker();
    // SAFETY: null, or the calling thread's own worker.
    let proc = if w.is_null() { None } else { unsafe { (*w).proc.get() } };
    let Some(proc) = proc else {
        return spawn_outside(rt, spawn, site);
    };
    // SAFETY: this worker holds `proc`, and what it runs is the caller.
    let (local, parent) = unsafe {
        let g = (*w).goroutine.get();
        (proc.local(), if g.is_null() { 0 } else { (*g).id })
    };
    let task = write(rt, spawn, site, parent, &mut local.records, &mut local.ids)?;
    // Plain store: only the owner counts here. Release pairs with the Acquire in `num_goroutines`.
    proc.spawned.store(proc.spawned.load(Ordering::Relaxed) + 1, Ordering::Release);
    // SAFETY: as above.
    let queued = unsafe { proc.push_next(task) }.is_some();
    if rt.pool.load().wants_telling(queued) {
        idle::tell(rt, proc);
    }
    Ok(())
}

/// Start a goroutine with nothing special about it, for a timer.
pub(crate) fn go(body: Body, arg: *mut c_void) -> Result<(), NoMemory> {
    spawn_at(Spawn { body, arg, class: None, flags: 0, extra: None, at_end: None }, BY_TIMER)
}

#[cold]
fn spawn_outside(rt: &'static Runtime, spawn: Spawn, site: usize) -> Result<(), NoMemory> {
    // SAFETY: null, or the calling goroutine's own record: one of a lane.
    let parent = unsafe { super::current_goroutine().as_ref() }.map_or(0, |g| g.id);
    let task = {
        let mut outside = rt.outside.lock().unwrap_or_else(|e| e.into_inner());
        let outside = &mut *outside;
        write(rt, spawn, site, parent, &mut outside.records, &mut outside.ids)?
    };
    rt.outside_spawned.fetch_add(1, Ordering::Release);
    rt.inject(task);
    Ok(())
}

/// Make the record.
#[inline]
pub(super) fn write(
    rt: &Runtime,
    spawn: Spawn,
    site: usize,
    parent: u64,
    records: &mut FreshList,
    ids: &mut Range<u64>,
) -> Result<Task, NoMemory> {
    let record: NonNull<Fresh> = records.take().ok_or(NoMemory)?;
    let id = match ids.next() {
        Some(id) => id,
        None => {
            *ids = rt.take_ids(IDS);
            let first = ids.start;
            ids.start += 1;
            first
        }
    };
    // SAFETY: `take` gives raw memory for one record.
    unsafe {
        record.write(Fresh {
            body: spawn.body,
            arg: spawn.arg,
            id: 0,
            extra: spawn.extra,
            at_end: spawn.at_end,
            spawned_at: site,
            parent: Parent::new(parent),
            class: spawn.class.unwrap_or(rt.class),
            flags: spawn.flags,
        });
        Fresh::publish(record.as_ptr(), id);
    }
    Ok(Task::fresh(record))
}
