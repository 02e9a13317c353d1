//! `gort_blocking`: a function that may block runs on the worker's own stack, without a processor.
//!
//! The one thing to know: **the goroutine parks, and its worker makes the call for it**, right where it would
//! otherwise look for the next goroutine: on the thread's stack, with no goroutine current, no processor held, and the
//! host's signal mask. So the function is on a plain thread for all that it can tell, a locked or pinned goroutine's
//! function runs on that goroutine's thread, and the rest of gort has only to know that a worker may be away.
//!
//! 1. The goroutine raises `Pending`, so that nobody takes its waiting for a deadlock, and leaves ([`blocking`]).
//! 2. The worker hands its processor off (to another worker, if there is anything to run), is counted out of gort's
//!    own threads, for it may do anything now, and calls ([`serve`]).
//! 3. When the function has ended, in whichever way, the worker takes an idle processor and goes on with the
//!    goroutine. If there is none, the goroutine queues for one in the global queue, and the worker is idle. Nobody
//!    is missed: the looks are those of any other thread that makes a goroutine ready (`Runtime::inject`), and of any
//!    other worker that becomes idle (`idle::wait_for_proc`).
//! 4. What the function has raised, the goroutine raises again on its own stack.
//!
//! Goroutines that are pinned to the worker wait in its inbox meanwhile: they share the thread, and it is in use.

use super::goroutine::{Goroutine, State, Task};
use super::reason::WaitReason;
use super::runtime::{Runtime, rt};
use super::thread::HostMask;
use super::wait::Order;
use super::worker::{Left, Worker};
use super::{current, fork, idle, switch, thread};
use crate::panic::{self, Raised};
use crate::primitive::ACCOUNTED;
use crate::primitive::atomic::Ordering;
use std::ffi::c_void;
use std::ptr::{NonNull, null_mut};

pub(crate) type Function = unsafe extern "C" fn(*mut c_void) -> *mut c_void;

/// A call, in the frame of whoever wants it made.
pub(super) struct Call {
    function: Function,
    arg: *mut c_void,
    result: *mut c_void,
    raised: Option<Raised>,
}

impl Call {
    /// Make the call, as on a plain thread.
    ///
    /// # Safety
    /// `this` is live and nobody else's meanwhile; its function may be called. The callers' frames hold nothing that
    /// must be dropped, up to the one that the user called.
    unsafe fn make(this: *mut Call) {
        unsafe extern "C" fn run(this: *mut c_void) {
            let this = this.cast::<Call>();
            // SAFETY: `make`'s, by its own promise. This frame holds nothing that must be dropped.
            unsafe { (*this).result = ((*this).function)((*this).arg) };
        }
        // SAFETY: the caller's promise.
        unsafe { (*this).raised = panic::catch(run, this.cast()) };
    }
}

/// Call `function(arg)` where it may block: from a goroutine, on its worker's own stack; from a plain thread, here.
/// `below`: an address in the frame that the user called.
///
/// # Safety
/// The function may be called, on another stack. The callers' frames hold nothing that must be dropped, up to the one
/// that the user called.
pub(crate) unsafe fn blocking(function: Function, arg: *mut c_void, below: usize) -> *mut c_void {
    let mut call = Call { function, arg, result: null_mut(), raised: None };
    let in_goroutine = !switch::current_goroutine().is_null();
    // SAFETY: the call is in this frame, which stays until it has been made; the rest is the caller's promise. The
    // worker makes the goroutine ready afterwards.
    unsafe {
        if in_goroutine {
            // Before the processor can be idle: see `Pending`. `serve` lowers it.
            rt().pending.raise();
            switch::leave(Left::Calls(&raw mut call), State::Waiting, WaitReason::BlockingCall);
        } else {
            Call::make(&raw mut call);
        }
    }
    if let Some(raised) = call.raised {
        // SAFETY: raised here the first time since; the rest is the caller's promise.
        unsafe {
            match in_goroutine {
                true => panic::raise_again_from(raised, below),
                false => panic::raise_again(raised),
            }
        }
    }
    call.result
}

/// The goroutine `g` has just left for `call`: make it, and see to it that the goroutine goes on.
///
/// # Safety
/// `w` is the calling worker and holds a processor. `g` has ended its turn, and nobody else can reach it; `call` is in
/// its frame.
#[cold]
#[inline(never)]
pub(super) unsafe fn serve(rt: &'static Runtime, w: &'static Worker, g: *mut Goroutine, call: *mut Call) {
    if rt.exiting.load(Ordering::Relaxed) {
        // The goroutine has reached the scheduler, and that is all.
        thread::stop_here(rt);
    }
    // From here on this thread may do anything, as far as gort knows.
    ACCOUNTED.sub();
    idle::hand_off(rt, w);
    // SAFETY: the caller's promise; counted out above.
    unsafe { make_away(rt, w, call) };
    let proc = rt.lists().take_proc(rt);
    if let Some(proc) = proc {
        // SAFETY: just taken out of the list, so it is this worker's alone; `g` is ours.
        unsafe {
            w.hold(proc);
            if w.inbox_len.load(Ordering::Relaxed) == 0 {
                let local = proc.local();
                // It has reached the scheduler, and who looks whether anybody moves here shall see it.
                local.tick = local.tick.wrapping_add(1);
                proc.count_tick(local.tick);
                (*g).set_state(State::Runnable, WaitReason::None);
                w.first.set(Some(Task::bound(NonNull::new_unchecked(g))));
            } else {
                // Others that may run here only have waited for the end of the call, and come before the next one.
                switch::ready(g, Order::Queue);
            }
        }
        rt.pending.lower();
        return;
    }
    // SAFETY: it is parked, and only we may make it ready. This worker holds no processor, so the goroutine goes to
    // the global queue.
    unsafe { switch::ready(g, Order::Queue) };
    // Whoever looks for a deadlock and finds 0 finds it there: see `Pending`.
    rt.pending.lower();
    // A locked goroutine's worker waits for that goroutine alone (`pin::wait_for_locked`).
    if w.locked.get().is_null() {
        idle::wait_for_proc(rt, w);
    }
}

/// Make `call`, on a worker that is counted out of gort's threads and holds nothing; it is counted in again after that.
///
/// # Safety
/// `w` is the calling worker. `call` is in the frame of a goroutine that stays parked meanwhile.
pub(super) unsafe fn make_away(rt: &'static Runtime, w: &'static Worker, call: *mut Call) {
    w.entry.calls_from((&raw const call).addr());
    let mask = HostMask::take(rt);
    // SAFETY: the goroutine is parked until we make it ready. Nothing in the scheduler's frames needs to be dropped.
    unsafe { Call::make(call) };
    if current::worker().is_null() {
        // The function has forked, and this is the child.
        // SAFETY: as above.
        end_forked(unsafe { (*call).raised });
    }
    mask.give_back();
    w.entry.calls_no_more();
    // It may have loaded a C++ runtime, and left exceptions behind, as a goroutine may that ends.
    w.exceptions.look();
    w.exceptions.drop_any();
    ACCOUNTED.add();
}

/// The child of a function that forked: the goroutine is the parent's, and so is the rest of this thread's stack.
#[cold]
fn end_forked(raised: Option<Raised>) -> ! {
    if let Some(raised) = raised {
        // SAFETY: nobody else has it.
        unsafe { panic::report_raised(raised) };
    }
    fork::end_child(0)
}
