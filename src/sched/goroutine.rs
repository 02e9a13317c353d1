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
//!
//! **Who looks** at the goroutines of others (`inspect/`) holds nothing and stops nobody. The memory of both records is
//! always mapped, and two numbers tell whether what was read belongs together:
//!
//! * `id`, of both records: 0 while the record is nobody's. Numbers are never used twice, so whoever reads
//!   the same number before and after reading the rest has read of that goroutine. Pairs: the writer stores 0,
//!   fences (Release), then changes fields; the reader reads fields, fences (Acquire), reads `id` again. A
//!   reader that saw a later owner's field thus sees 0 or another number. And the writer of a new record stores
//!   `id` last (Release), which the reader's first look (Acquire) pairs with.
//! * `turns`, of a goroutine: odd while it is on a worker. The worker makes it odd and fences (Release) before it
//!   resumes the goroutine; when the goroutine has left, and before anybody else can have it, the worker makes it
//!   even (Release). So whoever reads the same even number before (Acquire) and after (Acquire fence, then read)
//!   has read registers, stack and reason as the goroutine left them, and nothing of a later turn.
//!
//! Such readers use volatile or relaxed reads of fields that others may be writing, and take what does not hold
//! together for not read. What `extra` points to is freed under a lock of its own ([`lock_extras`]).

use super::lane::Lane;
use super::reason::WaitReason;
use super::worker::Worker;
use crate::coroutine::{Class, Coroutine, Stack};
use crate::panic::Scopes;
use crate::primitive::SpinLock;
use crate::primitive::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering, fence};
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

/// `Goroutine::word`: nobody has left word.
pub(super) const UNMARKED: u8 = 0;
/// Its thread is not done with it yet.
pub(super) const LEAVING: u8 = 1;
/// And it was made ready meanwhile.
pub(super) const READIED: u8 = 2;

/// Held while what `Extra`s point to is read by somebody else, and to free one.
static EXTRAS: SpinLock = SpinLock::new();

/// Keep all extras of goroutines in place.
pub(crate) fn lock_extras() {
    EXTRAS.lock();
}

/// # Safety
/// [`lock_extras`] was called by this thread, or by the one it is the copy of.
pub(crate) unsafe fn unlock_extras() {
    // SAFETY: the caller's promise.
    unsafe { EXTRAS.unlock() };
}

/// `spawned_at` of a goroutine that a timer started.
pub(crate) const BY_TIMER: usize = 1;

/// The number of the goroutine that spawned another, 0 if none did. 48 bits will do: a million spawns a second
/// for nine years.
#[derive(Clone, Copy)]
pub(crate) struct Parent([u16; 3]);

impl Parent {
    #[inline]
    pub(super) fn new(id: u64) -> Parent {
        Parent([id as u16, (id >> 16) as u16, (id >> 32) as u16])
    }

    #[inline]
    pub(crate) fn id(self) -> u64 {
        u64::from(self.0[0]) | u64::from(self.0[1]) << 16 | u64::from(self.0[2]) << 32
    }
}

/// A goroutine that has not run yet. While the memory is free, its first two words are links.
#[repr(C, align(64))]
pub(crate) struct Fresh {
    pub(crate) body: Body,
    pub(crate) arg: *mut c_void,
    /// 0: nobody's. See the module comment; use [`Fresh::publish`] and [`Fresh::retract`].
    pub(crate) id: u64,
    pub(crate) extra: Option<Box<Extra>>,
    pub(crate) at_end: Option<AtEnd>,
    /// Where the call that spawned it returns to; 0: unknown; or [`BY_TIMER`].
    pub(crate) spawned_at: usize,
    pub(crate) parent: Parent,
    pub(crate) class: Class,
    pub(crate) flags: u8,
}

const _: () = assert!(size_of::<Fresh>() == 64);
const _: () = assert!(std::mem::offset_of!(Fresh, id) >= 16);
// `retract` clears both.
const _: () = assert!(std::mem::offset_of!(Fresh, extra) + 24 == std::mem::offset_of!(Fresh, spawned_at));
const _: () = assert!(std::mem::offset_of!(Fresh, extra) + 8 == std::mem::offset_of!(Fresh, at_end));

impl Fresh {
    /// The record is complete, apart from this.
    ///
    /// # Safety
    /// `this` is a record that the caller owns.
    #[inline]
    pub(super) unsafe fn publish(this: *mut Fresh, id: u64) {
        // SAFETY: the caller's promise; aligned, and others only read it, atomically.
        unsafe { AtomicU64::from_ptr(&raw mut (*this).id).store(id, Ordering::Release) };
    }

    /// The record is nobody's from here on.
    ///
    /// # Safety
    /// As for `publish`.
    #[inline]
    pub(super) unsafe fn retract(this: *mut Fresh) {
        // Release: after the record that it was moved to has been published (`bind`), so that who misses it here finds
        // it there.
        // SAFETY: as in `publish`.
        unsafe { AtomicU64::from_ptr(&raw mut (*this).id).store(0, Ordering::Release) };
        // Before whatever is written into it from now on: see the module comment.
        fence(Ordering::Release);
        // A free record points to nothing: the search for leaks takes what it finds there for a pointer.
        // SAFETY: as above; what the fields held was moved elsewhere.
        unsafe {
            (&raw mut (*this).arg).write(std::ptr::null_mut());
            (&raw mut (*this).extra).cast::<[usize; 3]>().write([0; 3]);
        }
    }
}

/// What a goroutine is doing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub(crate) enum State {
    Running = 1,
    Runnable = 2,
    Waiting = 3,
    Dead = 4,
}

/// A goroutine that has a stack. Lives on that stack's top page. What every turn touches comes first, in one
/// cache line.
#[repr(C, align(64))]
pub(crate) struct Goroutine {
    pub(super) coroutine: Coroutine,
    /// The only worker that may run it, or null. Written by the goroutine's own worker.
    pub(super) pin: *mut Worker,
    /// Its lane, which counts it and so lives; or null. Does not change.
    pub(super) lane: *const Lane,
    /// Odd while it is on a worker: see the module comment.
    pub(super) turns: AtomicU32,
    /// How often `gort_lock_thread` was called and not undone.
    pub(super) lock_depth: u32,
    /// When it parked, on the coarse clock of its processor (`Local::clock`).
    pub(super) since: u32,
    pub(super) flags: u8,
    pub(super) state: AtomicU8,
    pub(super) reason: AtomicU8,
    /// Of one of a lane, guarded by the lane's lock: [`UNMARKED`], [`LEAVING`], [`READIED`]. See `lane/mod.rs`.
    pub(super) word: u8,
    pub(super) stack: Stack,
    pub(super) body: Body,
    pub(super) arg: *mut c_void,
    pub(super) at_end: Option<AtEnd>,
    /// Deferred calls, `gort_try`s and panics that are under way.
    pub(super) scopes: Scopes,
    /// 0: the record is nobody's. See the module comment.
    pub(super) id: u64,
    pub(super) extra: Option<Box<Extra>>,
    /// As in [`Fresh`].
    pub(super) spawned_at: usize,
    pub(super) parent: Parent,
    /// How often `gort_pin_thread` was called and not undone; the largest number stands for any more, for good.
    pub(super) pin_depth: u16,
}

const _: () = assert!(size_of::<Goroutine>() <= 192);

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
            let record = fresh;
            let fresh = fresh.read();
            // The id is 0 all the while: it was, or nobody has ever had this stack.
            this.write(Goroutine {
                coroutine: Coroutine::empty(),
                pin: std::ptr::null_mut(),
                lane: std::ptr::null(),
                turns: AtomicU32::new(0),
                lock_depth: 0,
                since: 0,
                flags: fresh.flags,
                state: AtomicU8::new(State::Runnable as u8),
                reason: AtomicU8::new(WaitReason::None as u8),
                word: UNMARKED,
                stack,
                body: fresh.body,
                arg: fresh.arg,
                at_end: fresh.at_end,
                scopes: Scopes::new(),
                id: 0,
                extra: fresh.extra,
                spawned_at: fresh.spawned_at,
                parent: fresh.parent,
                pin_depth: 0,
            });
            Coroutine::prepare(&raw mut (*this).coroutine, &stack, this.cast(), entry, this.cast());
            // First the new record, then not the old one any more: who looks at the old ones first misses none.
            AtomicU64::from_ptr(&raw mut (*this).id).store(fresh.id, Ordering::Release);
            Fresh::retract(record);
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

    /// Its number.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// The stack that it has.
    pub(crate) fn stack(&self) -> Stack {
        self.stack
    }

    #[inline]
    pub(super) fn set_state(&self, state: State, reason: WaitReason) {
        self.state.store(state as u8, Ordering::Relaxed);
        self.reason.store(reason as u8, Ordering::Relaxed);
    }

    /// The worker is about to resume it. Plain store: only the worker that has it writes it.
    #[inline]
    pub(super) fn begin_turn(&self) {
        self.turns.store(self.turns.load(Ordering::Relaxed) | 1, Ordering::Relaxed);
        // Before anything that the goroutine does: see the module comment.
        fence(Ordering::Release);
    }

    /// It has left, and nobody else can have it yet.
    #[inline]
    pub(super) fn end_turn(&self) {
        // Release: after everything that the goroutine did.
        self.turns.store(self.turns.load(Ordering::Relaxed).wrapping_add(1), Ordering::Release);
    }

    /// The record is nobody's from here on.
    ///
    /// # Safety
    /// `this` has ended and is the caller's.
    #[inline]
    pub(super) unsafe fn retract(this: *mut Goroutine) {
        // SAFETY: the caller's promise; others only read it, atomically.
        unsafe { AtomicU64::from_ptr(&raw mut (*this).id).store(0, Ordering::Relaxed) };
        // Before whatever is written there from now on: see the module comment.
        fence(Ordering::Release);
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
