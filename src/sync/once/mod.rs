//! `gort_once_t`: Go's once, on the word of `state.rs` (whose tables say who does what) and a queue.
//!
//! The one thing to know: **done means that the function has ended, not that it has begun.** So a second caller
//! waits for the first, and whoever returns sees what the function did. Ended counts however it ended: so what
//! is left to do is done behind a landing ([`call_and_then`]); a panic or a `gort_exit` then goes on to the caller.
//!
//! The first caller's last touch is the step to `DONE`. It claims those who wait before, and wakes them after.

#[cfg(all(test, loom))]
mod model;
mod state;
#[cfg(all(test, not(loom)))]
mod tests;

#[cfg(loom)]
use super::knobs::{self, Bug};
use super::queue::WaitQueue;
use crate::primitive::Backoff;
use crate::sched::wait::{Node, Wait, WakeList};
use crate::panic::call_and_then;
use crate::sched::WaitReason;
use state::State;
use std::ptr::{self, null_mut};

/// All zero bytes: not run yet.
#[repr(C)]
pub(crate) struct Once {
    state: State,
    queue: WaitQueue,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Once>() <= 16 && align_of::<Once>() <= 8);

// SAFETY: the word is atomic, and the queue guarded by a bit of it.
unsafe impl Send for Once {}
// SAFETY: as above.
unsafe impl Sync for Once {}

impl Once {
    #[cfg(test)]
    pub(crate) fn new() -> Self {
        Once { state: State::new(), queue: WaitQueue::new() }
    }

    /// Run `function` if this is the first call; else wait until the first call's has ended.
    ///
    /// # Safety
    /// When the function has ended, the memory may be gone. (`&self` need not stay valid: the type is all
    /// interior mutability.)
    #[inline]
    pub(crate) unsafe fn run(&self, function: impl FnOnce()) {
        if !self.state.is_done() {
            // SAFETY: the caller's promise.
            unsafe { self.run_slow(function) };
        }
    }

    /// # Safety
    /// As for `run`.
    #[cold]
    unsafe fn run_slow(&self, function: impl FnOnce()) {
        if !self.state.begin() {
            return self.wait();
        }
        let this = ptr::from_ref(self).cast_mut().cast();
        #[cfg(loom)]
        if knobs::is(Bug::DoneEarly) {
            // SAFETY: as below.
            unsafe { finish(this) };
            return function();
        }
        // SAFETY: `finish` is called once, when the function has ended. Nothing here must be dropped, nor in
        // `gort_once_do`.
        unsafe { call_and_then(function, finish, this) };
    }

    /// Wait until the function has ended.
    fn wait(&self) {
        let mut backoff = Backoff::new();
        let mut seen = self.state.look();
        loop {
            if seen.done() {
                return;
            }
            if seen.locked() {
                backoff.snooze();
                seen = self.state.look();
            } else if self.state.enter_queue(&mut seen) {
                break;
            }
        }
        let wait = Wait::new(WaitReason::OnceDo, false);
        let mut node = Node::new(&wait, 1, null_mut());
        let node = &raw mut node;
        // SAFETY: `enter_queue` took the lock. The node stays in place until it was popped, which claims it.
        // `release` undoes `enter_queue` and touches nothing else. Afterwards the memory may be gone.
        unsafe {
            self.queue.with(|queue| queue.push_back(node));
            wait.block(release, ptr::from_ref(self).cast_mut().cast());
        }
    }
}

/// The function has ended: let all who wait go on.
///
/// # Safety
/// `once` is a [`Once`] that is running, by the caller, who calls this once. Its memory may be gone afterwards.
unsafe fn finish(once: *mut ()) {
    let once = once.cast::<Once>().cast_const();
    // SAFETY: the memory stays until the steps to `DONE`, each the last touch. A popped node is claimed, so it
    // and its wait live until we wake it.
    unsafe {
        if (*once).state.finish_lone() {
            return;
        }
        let mut backoff = Backoff::new();
        let mut seen = (*once).state.look();
        while seen.locked() || !(*once).state.lock(&mut seen) {
            backoff.snooze();
            seen = (*once).state.look();
        }
        let mut woken = WakeList::new();
        (*once).queue.with(|queue| {
            loop {
                let node = queue.pop();
                if node.is_null() {
                    break;
                }
                woken.push(node);
            }
        });
        #[cfg(loom)]
        if knobs::is(Bug::WakeThenLeave) {
            woken.wake();
            return (*once).state.finish();
        }
        (*once).state.finish();
        woken.wake();
    }
}

/// The step that lets others see a queued node: see [`Wait::block`].
///
/// # Safety
/// `once` is a [`Once`] whose `enter_queue` succeeded.
unsafe fn release(once: *mut ()) {
    // SAFETY: while the queue is locked the function's end is not seen; so the memory is there up to this step.
    unsafe { (*once.cast::<Once>()).state.leave_queue() };
}
