//! Waiting for a main goroutine while those who can be in a deadlock are watched: what `gort_main`, `gort_run` and the
//! hosts of other languages have in common.
//!
//! The one thing to know: one thread waits, and **while it waits it counts as one that cannot act**
//! ([`crate::primitive::ACCOUNTED`]): what it does there is all our own. It counts itself in, and is counted out by
//! whoever lets it go on before it is told, or by itself before it leaves. It may wait in slices: between them it is a
//! thread of the host's that may act, and nothing is a deadlock.
//!
//! Who finds a deadlock under `gort_main` ends the process. Else that is for the waiting thread to find: whoever finds
//! one has it look ([`look_now`]), and it believes only what it finds itself, at a time when it waits. So nobody who is
//! late can end a wait that has begun since.
//!
//! There is one at a time. A handle outlives its time: a goroutine that was left in a deadlock may be let go on later,
//! and may then say that it is done.

use crate::inspect::{deadlock, quit};
use crate::primitive::atomic::{AtomicI32, AtomicU32, Ordering};
use crate::primitive::{ACCOUNTED, futex_wait, futex_wake, now};
use std::cell::UnsafeCell;
use std::sync::{Mutex, MutexGuard};

/// A handle.
pub(crate) struct Detect {
    refs: AtomicU32,
    /// What `gort_main` is to return.
    pub(super) result: AtomicI32,
    /// The waiting thread's.
    looks: UnsafeCell<deadlock::Looks>,
}

/// The one that goes on now.
pub(super) struct State {
    /// A `*mut Detect`, or 0.
    current: usize,
    /// What it waits for has happened.
    done: bool,
    /// A thread waits.
    waiting: bool,
    /// It is counted in.
    counted: bool,
}

impl State {
    const NONE: State = State { current: 0, done: false, waiting: false, counted: false };
}

/// Nothing is done under it but what is said here and a futex woken.
static STATE: Mutex<State> = Mutex::new(State::NONE);

/// What the waiting thread sleeps on (a futex): `DONE` when what it waits for has happened, `LOOK` when it is to look for
/// a deadlock from time to time, `NOW` when at once, `quit::ASKED`. A static, as those who set a bit may come to it late.
static STATUS: AtomicU32 = AtomicU32::new(0);

const DONE: u32 = 1;
const LOOK: u32 = 2;
const NOW: u32 = 4;

/// Have the thread that waits see that something has changed.
pub(crate) fn ring() {
    set(LOOK);
}

/// Have it look for a deadlock, as there may be one.
pub(crate) fn look_now() {
    set(NOW);
}

fn set(bit: u32) {
    STATUS.fetch_or(bit, Ordering::Release);
    futex_wake(&STATUS, 1);
}

/// Held across a fork.
pub(super) fn lock() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(|e| e.into_inner())
}

/// In a forked child: nobody waits.
pub(super) fn forget(state: &mut State) {
    *state = State::NONE;
    deadlock::forget();
    quit::restore();
}

/// Why there is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CannotBegin {
    /// Another one goes on.
    Busy,
    NoMemory,
}

/// How a wait ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Waited {
    Done,
    /// There are so many goroutines, and none can ever run.
    Deadlock(usize),
    TimedOut,
    /// Another thread waits.
    Busy,
    /// It has ended.
    Ended,
}

/// Watch from now on. `ends`: a deadlock ends the process. The caller owns the one reference.
pub(crate) fn begin(ends: bool) -> Result<*mut Detect, CannotBegin> {
    let mut boxed = Vec::new();
    let mut state = lock();
    if state.current != 0 {
        return Err(CannotBegin::Busy);
    }
    boxed.try_reserve_exact(1).map_err(|_| CannotBegin::NoMemory)?;
    boxed.push(Detect {
        refs: AtomicU32::new(1),
        result: AtomicI32::new(0),
        looks: UnsafeCell::new(deadlock::Looks::new()),
    });
    let this: *mut Detect = Box::into_raw(boxed.into_boxed_slice()).cast();
    *state = State { current: this.addr(), ..State::NONE };
    STATUS.store(0, Ordering::Relaxed);
    deadlock::begin(ends);
    quit::install(&STATUS);
    Ok(this)
}

/// In each of these `this` is live.
impl Detect {
    /// Wait until [`Detect::done`] was called, at most until `deadline`. Not for goroutines.
    ///
    /// # Safety
    /// As said above.
    pub(crate) unsafe fn wait(this: *mut Detect, deadline: i64) -> Waited {
        {
            let mut state = lock();
            if state.current != this.addr() {
                return Waited::Ended;
            }
            if state.waiting {
                return Waited::Busy;
            }
            if state.done {
                return Waited::Done;
            }
            state.waiting = true;
            state.counted = true;
            ACCOUNTED.add();
        }
        // It may be the last one to come to rest.
        deadlock::look();
        // SAFETY: `waiting` makes it ours.
        let looks = unsafe { &mut *(*this).looks.get() };
        let waited = loop {
            // Cleared before the look that it asks for. Acquire pairs with the Release in `set`.
            let seen = STATUS.fetch_and(!(LOOK | NOW), Ordering::Acquire);
            if seen & DONE != 0 {
                break Waited::Done;
            }
            if seen & quit::ASKED != 0 {
                quit::quit();
            }
            let until = match looks.next(seen & NOW != 0) {
                Ok(until) => until,
                Err(goroutines) => break Waited::Deadlock(goroutines),
            };
            if deadline <= 0 || now() >= deadline {
                break Waited::TimedOut;
            }
            futex_wait(&STATUS, seen & !(LOOK | NOW), until.min(deadline));
        };
        let mut state = lock();
        state.waiting = false;
        if state.counted {
            state.counted = false;
            ACCOUNTED.sub();
        }
        if state.done { Waited::Done } else { waited }
    }

    /// What is waited for has happened. It does nothing if this has ended.
    ///
    /// # Safety
    /// As said above.
    pub(crate) unsafe fn done(this: *mut Detect) {
        let mut state = lock();
        if state.current != this.addr() {
            return;
        }
        state.done = true;
        if state.counted {
            // Before it can know of it.
            state.counted = false;
            ACCOUNTED.sub();
        }
        set(DONE);
    }

    /// Watch no more: another may begin. It does nothing if this has ended already. Not while a thread waits: false.
    ///
    /// # Safety
    /// As said above.
    pub(crate) unsafe fn end(this: *mut Detect) -> bool {
        let mut state = lock();
        if state.current == this.addr() {
            if state.waiting {
                return false;
            }
            deadlock::end();
            quit::restore();
            *state = State::NONE;
        }
        true
    }

    /// # Safety
    /// As said above.
    pub(crate) unsafe fn retain(this: *mut Detect) {
        // SAFETY: the caller's promise. Relaxed: who passes the new reference on, orders it.
        unsafe { (*this).refs.fetch_add(1, Ordering::Relaxed) };
    }

    /// Give up a reference; the last one ends it.
    ///
    /// # Safety
    /// The caller owns it.
    pub(crate) unsafe fn release(this: *mut Detect) {
        // SAFETY: the caller's promise; it was made as a slice of one, which is laid out as that one.
        unsafe {
            if (*this).refs.fetch_sub(1, Ordering::AcqRel) == 1 {
                Self::end(this);
                drop(Box::from_raw(this));
            }
        }
    }
}
