//! Goroutines that may run on one thread only: `gort_lock_thread` and `GORT_SPAWN_PINNED`.
//!
//! The one thing to know: such a goroutine stands in the ordinary run queues, and whoever picks it hands it to
//! its worker ([`pass_on`]), with its own processor if that worker has none. A *locked* goroutine has its
//! thread to itself: when it leaves, the worker gives its processor away and waits for nobody else. *Pinned*
//! goroutines share their thread with others: if their worker is busy they go into its inbox.

use super::goroutine::{Goroutine, PINNED, Task};
use super::idle;
use super::runtime::Runtime;
use super::worker::{Parcel, Worker};
use super::{current, thread};
use crate::primitive::FOREVER;
use crate::primitive::atomic::Ordering;
use std::ptr::{NonNull, null_mut};

/// `g`, just picked by `w`, may run on another worker only: hand it over.
#[cold]
pub(super) fn pass_on(rt: &'static Runtime, w: &'static Worker, g: *mut Goroutine) {
    // SAFETY: `w` is alone with the goroutine it picked, and a worker lives as long as one is pinned to it.
    let (target, task) = unsafe { (&*(*g).pin, Task::bound(NonNull::new_unchecked(g))) };
    let mut lists = rt.lists();
    let locked = std::ptr::eq(target.locked.get(), g);
    if !locked && !target.in_idle_list.get() {
        // Busy with another: it looks into its inbox at every pick, and before it goes idle.
        let mut inbox = target.inbox.lock().unwrap_or_else(|e| e.into_inner());
        inbox.push_back(task);
        target.inbox_len.store(inbox.len() as u32, Ordering::Release);
        rt.inboxed.fetch_add(1, Ordering::SeqCst);
        return;
    }
    if !locked {
        lists.remove_worker(rt, target);
    }
    idle::leave_sentinel(rt, lists);
    let proc = w.held();
    w.proc.set(None);
    // SAFETY: taken out of the idle list, or locked and waiting for this very goroutine.
    unsafe { target.deliver(Parcel { proc, task: Some(task), searching: false }) };
    idle::wait_for_proc(rt, w);
}

/// A goroutine that is pinned to this worker and ready.
pub(super) fn take_inbox(rt: &Runtime, w: &Worker) -> Option<Task> {
    let mut inbox = w.inbox.lock().unwrap_or_else(|e| e.into_inner());
    let task = inbox.pop_front();
    w.inbox_len.store(inbox.len() as u32, Ordering::Relaxed);
    if task.is_some() {
        rt.inboxed.fetch_sub(1, Ordering::SeqCst);
    }
    task
}

/// The goroutine that has this thread for itself has left: let others have the processor until it is ready.
pub(super) fn wait_for_locked(rt: &'static Runtime, w: &'static Worker) {
    idle::hand_off(rt, w);
    while !w.take_mail() {
        w.sleep(FOREVER);
    }
}

/// `gort_lock_thread`: the calling goroutine keeps its thread, alone. On a plain thread: nothing to do.
pub(crate) fn lock_thread() {
    let g = super::current_goroutine();
    if g.is_null() {
        return;
    }
    // SAFETY: the calling goroutine's own record and its own worker.
    unsafe {
        (*g).lock_depth += 1;
        if (*g).lock_depth > 1 || (*g).flags & PINNED != 0 {
            return;
        }
        let w = &*current::worker();
        if w.pinned.get() == 0 {
            w.locked.set(g);
            (*g).pin = std::ptr::from_ref(w).cast_mut();
        } else {
            // Others may run on this thread only: take a new one.
            super::park(null_mut(), super::WaitReason::None, move_to_new_thread, g.cast());
        }
    }
}

/// # Safety
/// `g` is a goroutine that has just left its worker, and nobody else can reach it.
unsafe fn move_to_new_thread(g: *mut ()) {
    let g = g.cast::<Goroutine>();
    thread::start(super::runtime::rt(), None, Some(g));
    // SAFETY: it is parked, in no queue, and ours.
    unsafe { super::ready(g, super::wait::Order::Queue) };
}

/// `gort_unlock_thread`: undo one `lock_thread`; too many are ignored, as in Go.
pub(crate) fn unlock_thread() {
    let g = super::current_goroutine();
    if g.is_null() {
        return;
    }
    // SAFETY: as in `lock_thread`.
    unsafe {
        if (*g).lock_depth == 0 {
            return;
        }
        (*g).lock_depth -= 1;
        if (*g).lock_depth == 0 && (*g).flags & PINNED == 0 {
            (*current::worker()).locked.set(null_mut());
            (*g).pin = null_mut();
        }
    }
}
