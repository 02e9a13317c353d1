//! What a lane's owner wants called.
//!
//! The one thing to know: hooks run on a thread of the lane's, on the thread's own stack and with no goroutine current,
//! but for `keeps_thread`; and no lock of the scheduler's is held, but in `keeps_thread` perhaps one of what the goroutine
//! is about to wait for.

use std::ffi::c_void;

/// Of a thread.
pub(crate) type ThreadHook = Option<unsafe extern "C" fn(data: *mut c_void)>;
/// Of a goroutine.
pub(crate) type GoroutineHook = Option<unsafe extern "C" fn(data: *mut c_void, arg: *mut c_void)>;
/// Asks.
pub(crate) type KeepsHook = Option<unsafe extern "C" fn(data: *mut c_void, arg: *mut c_void) -> bool>;

/// As `gort_lane_hooks_t`, which says when each is called.
#[derive(Clone, Copy)]
pub(crate) struct Hooks {
    pub(crate) data: *mut c_void,
    pub(crate) thread_start: ThreadHook,
    pub(crate) thread_busy: ThreadHook,
    pub(crate) thread_idle: ThreadHook,
    pub(crate) thread_end: ThreadHook,
    pub(crate) goroutine_start: GoroutineHook,
    pub(crate) goroutine_resume: GoroutineHook,
    pub(crate) goroutine_leave: GoroutineHook,
    pub(crate) goroutine_end: GoroutineHook,
    pub(crate) keeps_thread: KeepsHook,
}

impl Hooks {
    /// Call one of a thread's. On that thread.
    #[inline]
    pub(super) fn thread(&self, hook: ThreadHook) {
        if let Some(hook) = hook {
            // SAFETY: whoever made the lane promised that its hooks may be called so, with its data.
            unsafe { hook(self.data) };
        }
    }

    /// Call one of a goroutine's, which was spawned with `arg`. On its thread.
    #[inline]
    pub(super) fn goroutine(&self, hook: GoroutineHook, arg: *mut c_void) {
        if let Some(hook) = hook {
            // SAFETY: as above.
            unsafe { hook(self.data, arg) };
        }
    }

    /// Does the calling goroutine, which was spawned with `arg` and is about to leave, keep its thread?
    pub(super) fn keeps(&self, arg: *mut c_void) -> bool {
        // SAFETY: as above.
        self.keeps_thread.is_some_and(|hook| unsafe { hook(self.data, arg) })
    }
}
