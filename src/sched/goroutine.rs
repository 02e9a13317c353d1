//! The records of a goroutine: [`Fresh`] until it first runs, [`Goroutine`] from then on.
//!
//! The one thing to know: a goroutine that has not run has no stack, only a `Fresh` of one cache line. When a
//! worker first runs it, the `Fresh` is moved into a `Goroutine` record on the top page of its stack, so that
//! a parked goroutine costs that one page and nothing else. Nobody but a run queue refers to a `Fresh`.
//!
//! | state | meaning | moved there by |
//! |---|---|---|
//! | `Running` | on a worker | the worker that resumes it |
//! | `Runnable` | in a run queue | `ready`, `yield` |
//! | `Waiting` | parked; `reason` says for what | the worker, after the switch, before `release` |
//! | `Dead` | ended; the stack is free | the worker, after the last switch |
//!
//! The state is for those who look (dumps); what may be done to a goroutine is decided by who holds its
//! pointer: a run queue, one worker, or the one who claimed its `Wait`.

use super::reason::WaitReason;
use super::worker::Worker;
use crate::coroutine::{Class, Coroutine, Stack};
use crate::panic::Scopes;
use crate::primitive::atomic::{AtomicU8, Ordering};
use std::ffi::{CStr, CString, c_void};
use std::ptr::NonNull;

/// The C function of a goroutine.
pub(crate) type Body = unsafe extern "C" fn(*mut c_void);

/// Something to be done when a goroutine ends in any way, on its own stack, after its body.
#[derive(Clone, Copy)]
pub(crate) struct AtEnd {
    pub(crate) call: unsafe fn(*mut c_void),
    pub(crate) arg: *mut c_void,
}

/// What few goroutines have.
pub(crate) struct Extra {
    pub(crate) name: Option<CString>,
    /// The arguments that were copied for `gort_spawn_copy`, in 16-byte units so that they are aligned.
    pub(crate) _args: Vec<u128>,
}

/// Never changes OS thread once started.
pub(crate) const PINNED: u8 = 1;
/// The main goroutine of `gort_main`.
pub(crate) const MAIN: u8 = 2;
/// It ended by `gort_exit`.
pub(crate) const BY_EXIT: u8 = 4;

/// A goroutine that has not run yet.
#[repr(C, align(64))]
pub(crate) struct Fresh {
    pub(crate) body: Body,
    pub(crate) arg: *mut c_void,
    pub(crate) id: u64,
    pub(crate) extra: Option<Box<Extra>>,
    pub(crate) at_end: Option<AtEnd>,
    pub(crate) class: Class,
    pub(crate) flags: u8,
}

const _: () = assert!(size_of::<Fresh>() == 64);

/// What a goroutine is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum State {
    Running = 1,
    Runnable = 2,
    Waiting = 3,
    Dead = 4,
}

/// A goroutine that has a stack. Lives on that stack's top page.
#[repr(C, align(64))]
pub(crate) struct Goroutine {
    pub(super) coroutine: Coroutine,
    /// The only worker that may run it, or null. Written by the goroutine's own worker.
    pub(super) pin: *mut Worker,
    pub(super) body: Body,
    pub(super) arg: *mut c_void,
    pub(super) at_end: Option<AtEnd>,
    pub(super) scopes: Scopes,
    pub(super) id: u64,
    pub(super) extra: Option<Box<Extra>>,
    pub(super) stack: Stack,
    /// How often `gort_lock_thread` was called and not undone.
    pub(super) lock_depth: u32,
    pub(super) flags: u8,
    state: AtomicU8,
    reason: AtomicU8,
}

const _: () = assert!(size_of::<Goroutine>() == 128);

impl Goroutine {
    /// Turn `fresh` into a goroutine on `stack`.
    ///
    /// # Safety
    /// `fresh` is a live record that the caller owns and that is raw memory afterwards; `stack` is the
    /// caller's and bound to nobody.
    pub(super) unsafe fn bind(
        fresh: *mut Fresh,
        stack: Stack,
        entry: unsafe extern "C" fn(*mut ()) -> !,
    ) -> *mut Goroutine {
        let this = stack.place::<Goroutine>();
        // SAFETY: `place` gives an aligned place on the stack's top page; `fresh` is the caller's, and read
        // as a whole once. The coroutine starts right below the record.
        unsafe {
            let fresh = fresh.read();
            this.write(Goroutine {
                coroutine: Coroutine::empty(),
                pin: std::ptr::null_mut(),
                body: fresh.body,
                arg: fresh.arg,
                at_end: fresh.at_end,
                scopes: Scopes::new(),
                id: fresh.id,
                extra: fresh.extra,
                stack,
                lock_depth: 0,
                flags: fresh.flags,
                state: AtomicU8::new(State::Runnable as u8),
                reason: AtomicU8::new(WaitReason::None as u8),
            });
            Coroutine::prepare(&raw mut (*this).coroutine, &stack, this.cast(), entry, this.cast());
        }
        this
    }

    /// # Safety
    /// `this` is live.
    #[inline]
    pub(crate) unsafe fn scopes(this: *mut Goroutine) -> *mut Scopes {
        // SAFETY: the caller's promise.
        unsafe { &raw mut (*this).scopes }
    }

    #[inline]
    pub(super) fn set_state(&self, state: State, reason: WaitReason) {
        self.state.store(state as u8, Ordering::Relaxed);
        self.reason.store(reason as u8, Ordering::Relaxed);
    }

    /// The name given at spawn, or null.
    pub(super) fn name(&self) -> Option<&CStr> {
        self.extra.as_ref()?.name.as_deref()
    }
}

/// What a run queue holds: a fresh or a bound goroutine, told apart by the lowest bit.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Task(NonNull<u8>);

// SAFETY: a task is the right to run its goroutine, and moves between threads with it.
unsafe impl Send for Task {}

/// A [`Task`], taken apart.
pub(super) enum Kind {
    Fresh(*mut Fresh),
    Bound(*mut Goroutine),
}

impl Task {
    #[inline]
    pub(super) fn fresh(fresh: NonNull<Fresh>) -> Task {
        Task(fresh.cast::<u8>().map_addr(|a| a | 1))
    }

    #[inline]
    pub(super) fn bound(goroutine: NonNull<Goroutine>) -> Task {
        Task(goroutine.cast())
    }

    #[inline]
    pub(super) fn is_fresh(self) -> bool {
        self.0.addr().get() & 1 == 1
    }

    #[inline]
    pub(super) fn kind(self) -> Kind {
        if self.is_fresh() {
            Kind::Fresh(self.0.as_ptr().map_addr(|a| a & !1).cast())
        } else {
            Kind::Bound(self.0.as_ptr().cast())
        }
    }

    #[inline]
    pub(super) fn into_raw(self) -> *mut u8 {
        self.0.as_ptr()
    }

    #[inline]
    pub(super) fn from_raw(raw: *mut u8) -> Option<Task> {
        NonNull::new(raw).map(Task)
    }
}
