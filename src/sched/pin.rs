//! Goroutines that may run on one thread only: `gort_lock_thread`, `gort_pin_thread` and `GORT_SPAWN_PINNED`.
//!
//! The one thing to know: such a goroutine stands in the ordinary run queues, and whoever picks it hands it to
//! its worker ([`pass_on`]), with its own processor if that worker has none. A *locked* goroutine has its
//! thread to itself: when it leaves, the worker gives its processor away and waits for nobody else. *Pinned*
//! goroutines share their thread with others: if their worker is busy they go into its inbox.
//!
//! | a goroutine is | `pin` | its worker's `locked` | its worker's `pinned` |
//! |---|---|---|---|
//! | free | null | | |
//! | pinned: spawned so, or between `pin_thread` and `unpin_thread` | its worker | not this one | counts it |
//! | locked: between `lock_thread` and `unlock_thread`, if it was free before | its worker | this one | does not count it |
//!
//! In a lane a goroutine that is pinned or locked keeps its thread to itself whenever it is away (see `lane/`): only `pin`
//! is used there, and the two are the same.
//!
//! So no worker has a locked goroutine and pinned ones: [`lock_thread`] leaves such a worker, and pinned ones come
//! to be on the worker that runs them, which a locked one keeps for itself. Who locks while it is pinned stays
//! pinned, and that until both are undone: it must keep its thread, and others may have no other.

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
    if w.first.get().is_some() {
        // It is to go on at once: it comes from a blocking call.
        return;
    }
    idle::hand_off(rt, w);
    while !w.take_mail() {
        w.sleep(FOREVER);
    }
}

/// `gort_lock_thread`: the calling goroutine keeps its thread, alone, or with those it shares it with already. On a
/// plain thread: nothing to do.
pub(crate) fn lock_thread() {
    let g = super::current_goroutine();
    if g.is_null() {
        return;
    }
    // SAFETY: the calling goroutine's own record and its own worker.
    unsafe {
        (*g).lock_depth += 1;
        if !(*g).pin.is_null() {
            return;
        }
        let w = &*current::worker();
        if w.member.is_some() {
            (*g).pin = std::ptr::from_ref(w).cast_mut();
            return;
        }
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
    // SAFETY: null, or the calling goroutine's own record.
    unsafe {
        if g.is_null() || (*g).lock_depth == 0 {
            return;
        }
        (*g).lock_depth -= 1;
        if (*g).lock_depth != 0 {
            return;
        }
        let w = &*current::worker();
        if !std::ptr::eq(w.locked.get(), g) {
            unpin_if_free(g, w);
        } else if (*g).pin_depth == 0 {
            w.locked.set(null_mut());
            (*g).pin = null_mut();
        } else {
            // It keeps the thread, and shares it from now on.
            w.locked.set(null_mut());
            w.pinned.set(w.pinned.get() + 1);
        }
    }
}

/// Does the calling goroutine keep its thread? Then it may have changed what belongs to that: its signal mask, say.
pub(crate) fn keeps_thread() -> bool {
    let g = super::current_goroutine();
    // SAFETY: null, or the calling goroutine's own record.
    !g.is_null() && unsafe { !(*g).pin.is_null() }
}

/// `gort_pin_thread`: the calling goroutine keeps its thread, with others. On a plain thread: nothing to do.
pub(crate) fn pin_thread() {
    let g = super::current_goroutine();
    if g.is_null() {
        return;
    }
    // SAFETY: the calling goroutine's own record and its own worker.
    unsafe {
        (*g).pin_depth = (*g).pin_depth.saturating_add(1);
        if (*g).pin.is_null() {
            let w = &*current::worker();
            (*g).pin = std::ptr::from_ref(w).cast_mut();
            if w.member.is_none() {
                w.pinned.set(w.pinned.get() + 1);
            }
        }
    }
}

/// `gort_unpin_thread`: undo one `pin_thread`; too many are ignored.
pub(crate) fn unpin_thread() {
    let g = super::current_goroutine();
    // SAFETY: null, or the calling goroutine's own record, and its own worker.
    unsafe {
        if g.is_null() || (*g).pin_depth == 0 || (*g).pin_depth == u16::MAX {
            return;
        }
        (*g).pin_depth -= 1;
        let w = &*current::worker();
        if !std::ptr::eq(w.locked.get(), g) {
            unpin_if_free(g, w);
        }
    }
}

/// It has undone something: if it is pinned for no other reason, it may go anywhere.
///
/// # Safety
/// `g` is the calling goroutine, which is pinned to `w`, its worker.
unsafe fn unpin_if_free(g: *mut Goroutine, w: &Worker) {
    // SAFETY: the caller's promise.
    unsafe {
        if (*g).pin_depth == 0 && (*g).lock_depth == 0 && (*g).flags & PINNED == 0 {
            (*g).pin = null_mut();
            if w.member.is_none() {
                w.pinned.set(w.pinned.get() - 1);
            }
        }
    }
}

/// `g`, which may run on `w` only, has ended there.
#[cold]
pub(super) fn forget(rt: &'static Runtime, w: &'static Worker, g: *mut Goroutine) {
    if std::ptr::eq(w.locked.get(), g) {
        // As Go: who ends while it has the thread to itself may have left it in any state, so it goes too.
        w.locked.set(null_mut());
        thread::end(rt, w);
    } else {
        w.pinned.set(w.pinned.get() - 1);
    }
}
