//! Running one goroutine for a while: the switch to it, and what is done for it when it has left.
//!
//! The one thing to know: everything that lets somebody else have the goroutine (its timer, the locks that make
//! its waiter reachable, the run queue) happens here, on the scheduler's stack, when its registers are saved.

use super::goroutine::{Extra, Fresh, Goroutine, Kind, PINNED, State, Task, lock_extras, unlock_extras};
use super::idle;
use super::proc::Proc;
use super::reason::WaitReason;
use super::runtime::Runtime;
use super::worker::{Left, Worker};
use super::{arm, blocking, current, pin};
use crate::coroutine::{self, Coroutine, Stack};
use crate::primitive::atomic::Ordering;
use std::ptr::{NonNull, null_mut};

/// Free stacks a processor keeps, and how many go to or come from the pool at once.
const STACKS_KEPT: usize = 64;
const STACKS_BATCH: usize = 16;

/// Run `task` until it parks, yields or ends.
#[inline]
pub(super) fn run(rt: &'static Runtime, w: &'static Worker, task: Task) {
    let proc = w.held();
    let g = match task.kind() {
        Kind::Bound(g) => g,
        Kind::Fresh(fresh) => match bind(rt, w, proc, fresh) {
            Some(g) => g,
            None => return,
        },
    };
    // SAFETY: whoever takes a task out of a run queue is alone with its goroutine until it leaves.
    unsafe {
        if !(*g).pin.is_null() && !std::ptr::eq((*g).pin, w) {
            pin::pass_on(rt, w, g);
            return;
        }
        (*g).set_state(State::Running, WaitReason::None);
        (*g).begin_turn();
        w.goroutine.set(g);
        proc.running.store(g, Ordering::Relaxed);
        Coroutine::resume(&raw mut (*g).coroutine);
        w.goroutine.set(null_mut());
    }
    match w.left.get() {
        Left::Parked { timer, release, arg } => {
            Proc::count(&proc.parks);
            // SAFETY: nobody else can reach `g` yet; this worker holds `proc`.
            unsafe {
                (*g).since = proc.local().clock;
                (*g).end_turn();
            }
            let mut added = arm::Added::nothing();
            if !timer.is_null() {
                // SAFETY: the node belongs to a goroutine that has just parked and that nobody else can reach
                // yet; it stays in place until it has been cancelled or has fired. This worker holds `proc`.
                added = unsafe { arm::add_to(proc, timer) };
            }
            // SAFETY: `park`'s caller promised that it may be called once, here. From here on somebody else
            // may run `g`.
            unsafe { release(arg) };
            // This park is done with: what is left of it points to nothing that matters (see `roster`).
            w.left.set(Left::Yielded);
            // Under the lock that was just released, others would wait while a thread is woken or started.
            added.tell();
        }
        Left::Yielded => {
            // SAFETY: as above: the goroutine has left and is ours to queue; this worker holds `proc`.
            unsafe {
                (*g).set_state(State::Runnable, WaitReason::None);
                (*g).end_turn();
                proc.push(Task::bound(NonNull::new_unchecked(g)));
                proc.local().prefer_fresh = true;
            }
        }
        Left::Ended => end(rt, w, proc, g),
        Left::Calls(call) => {
            Proc::count(&proc.parks);
            w.left.set(Left::Yielded);
            // SAFETY: it has left, nobody else can reach it, and this worker holds `proc`. The call is in its frame.
            unsafe {
                (*g).since = proc.local().clock;
                (*g).end_turn();
                blocking::serve(rt, w, g, call);
            }
        }
    }
}

/// Give a goroutine that is to run for the first time its stack. `None`: there is none; it waits for one.
#[inline]
fn bind(rt: &'static Runtime, w: &'static Worker, proc: &Proc, fresh: *mut Fresh) -> Option<*mut Goroutine> {
    // SAFETY: the record is ours, and this worker holds `proc`.
    let stack = unsafe { if (*fresh).class == rt.class { proc.local().stacks.pop() } else { None } };
    let (stack, fresh) = match stack {
        Some(stack) => {
            // There may be more where this one came from.
            rt.stackless.retry(rt, rt.class);
            (stack, fresh)
        }
        None => new_stack(rt, proc, fresh)?,
    };
    // SAFETY: the stack was just taken and is bound to nobody; the record is ours and goes back when moved.
    unsafe {
        let g = Goroutine::bind(fresh, stack, super::entry);
        proc.local().records.give(NonNull::new_unchecked(fresh));
        if (*g).flags & PINNED != 0 {
            (*g).pin = std::ptr::from_ref(w).cast_mut();
            w.pinned.set(w.pinned.get() + 1);
        }
        Some(g)
    }
}

#[cold]
fn new_stack(rt: &'static Runtime, proc: &Proc, fresh: *mut Fresh) -> Option<(Stack, *mut Fresh)> {
    // SAFETY: the record is ours, and this worker holds `proc`.
    let (class, stacks) = unsafe { ((*fresh).class, &mut proc.local().stacks) };
    if class == rt.class {
        if coroutine::acquire_batch(class, stacks, STACKS_BATCH).is_ok()
            && let Some(stack) = stacks.pop()
        {
            rt.stackless.retry(rt, class);
            return Some((stack, fresh));
        }
    } else if let Ok(stack) = coroutine::acquire(class) {
        rt.stackless.retry(rt, class);
        return Some((stack, fresh));
    }
    // SAFETY: as above.
    let task = unsafe { Task::fresh(NonNull::new_unchecked(fresh)) };
    rt.stackless.add(task, std::ptr::null());
    // Free what the idle processors keep, and look again: a stack may have come free before we were listed.
    rt.lists().release_stacks();
    match coroutine::acquire(class) {
        Ok(stack) => match rt.stackless.take_of(class) {
            Some(fresh) => Some((stack, fresh)),
            None => {
                coroutine::release(stack);
                // It may be one of a lane that waits for it.
                rt.stackless.retry(rt, class);
                None
            }
        },
        Err(_) => None,
    }
}

/// The goroutine has ended: free what it had.
#[inline]
fn end(rt: &'static Runtime, w: &'static Worker, proc: &'static Proc, g: *mut Goroutine) {
    // SAFETY: it has left its stack for good, and nobody else refers to it.
    let (stack, extra, bound) = unsafe {
        (*g).set_state(State::Dead, WaitReason::None);
        Goroutine::retract(g);
        let extra: Option<Box<Extra>> = (*g).extra.take();
        ((*g).stack, extra, !(*g).pin.is_null())
    };
    if let Some(extra) = extra {
        free_extra(extra);
    }
    // SAFETY: this worker holds `proc`.
    let stacks = unsafe { &mut proc.local().stacks };
    if stack.class() != rt.class {
        coroutine::release(stack);
    } else {
        if stacks.len() >= STACKS_KEPT {
            coroutine::release_batch(stacks, STACKS_KEPT - STACKS_BATCH);
        }
        stacks.push(stack);
    }
    if rt.stackless.any() {
        coroutine::release_batch(stacks, 0);
        rt.stackless.retry(rt, rt.class);
        if stack.class() != rt.class {
            rt.stackless.retry(rt, stack.class());
        }
    }
    // Release pairs with the Acquire in `num_goroutines`. Plain store: only the owner counts here.
    proc.ended.store(proc.ended.load(Ordering::Relaxed) + 1, Ordering::Release);
    if bound {
        pin::forget(rt, w, g);
    }
}

/// Somebody may be reading the name of a goroutine that ends. The number was taken back before the lock is
/// taken, so whoever takes it later does not find the record.
#[cold]
pub(super) fn free_extra(extra: Box<Extra>) {
    lock_extras();
    // SAFETY: locked above.
    unsafe { unlock_extras() };
    drop(extra);
}

/// The loop of a worker. Returns when the worker's thread is not to be used any more.
/// Not inlined: its frame is all below its caller's, which `roster` relies on.
#[inline(never)]
pub(super) fn work(rt: &'static Runtime, w: &'static Worker) {
    current::set_worker(std::ptr::from_ref(w).cast_mut());
    w.exceptions.look();
    if w.locked.get().is_null() && !w.take_mail() {
        idle::arrive(rt, w);
    }
    while let Some(task) = super::pick::next_task(rt, w) {
        run(rt, w, task);
    }
}
