//! What a loom model may turn before it runs: which weakened variant to run, which must then fail; and what in
//! earnest depends on the machine and the clock. Not in ordinary builds.
//!
//! Thread-local: loom runs all threads of a model on the thread that started it, and each test has its own.

use std::cell::Cell;

/// A way to get it wrong that a model must find.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    None,
    /// Unlock frees the mutex in one step and lets go of the queue in the next.
    FreeInTwoSteps,
    /// A waiter that unlock has chosen, but whose deadline has passed, leaves without handing on the wake-up.
    KeepWoken,
    /// A waiter queues although what it waits for happened after it looked.
    QueueUnchecked,
    /// The last done wakes the waiters before its own last touch of the wait group.
    WakeThenZero,
    /// The store that makes the counter zero releases nothing.
    ZeroRelaxed,
    /// Those whom a call lets go on are woken before that call's own last touch of the object.
    WakeThenLeave,
    /// A waiter whose deadline has passed leaves the queue without letting those in whom it held up.
    LeaveSilently,
    /// A wait gives up the mutex before it queues.
    UnlockThenQueue,
    /// A waiter that was signalled says that its deadline passed.
    ForgetSignal,
    /// A once says that its function has ended when it begins.
    DoneEarly,
    /// The step to "the function has ended" releases nothing.
    DoneRelaxed,
    /// No step releases anything.
    ReleaseNothing,
    /// No step acquires anything.
    AcquireNothing,
    /// A broadcast wakes the first alone.
    WakeOne,
}

#[derive(Clone, Copy)]
pub(crate) struct Knobs {
    pub(crate) bug: Bug,
    pub(crate) spin: bool,
    /// How long a waiter waits before the mutex is handed to it. 0: always; `i64::MAX`: never.
    pub(crate) starving_after: i64,
}

impl Knobs {
    pub(crate) const DEFAULT: Knobs = Knobs { bug: Bug::None, spin: false, starving_after: i64::MAX };
}

thread_local! {
    static KNOBS: Cell<Knobs> = const { Cell::new(Knobs::DEFAULT) };
}

/// For a model in which a thread is interrupted, although it could go on, `preemptions` times at the most; or more, if
/// `LOOM_MAX_PREEMPTIONS` asks for more. But 2 stays 2: that is for models of three threads, of which two that yield
/// to each other while the third holds what they wait for have no end for loom.
#[cfg(test)]
pub(crate) fn builder(preemptions: usize) -> loom::model::Builder {
    let mut builder = loom::model::Builder::new();
    if preemptions > 2 {
        builder.preemption_bound = builder.preemption_bound.max(Some(preemptions));
    } else {
        builder.preemption_bound = Some(preemptions);
    }
    builder
}

pub(crate) fn get() -> Knobs {
    KNOBS.get()
}

pub(crate) fn is(bug: Bug) -> bool {
    KNOBS.get().bug == bug
}

pub(crate) fn set(knobs: Knobs) {
    KNOBS.set(knobs);
}
