//! Which weakened variant a loom model runs, and must fail with. Not in ordinary builds.
//!
//! Thread-local: loom runs all threads of a model on the thread that started it, and each test has its own.

use std::cell::Cell;

/// A way to get it wrong that a model must find.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Bug {
    None,
    /// A context is freed without unlinking itself under its parent's lock.
    FreeLinked,
    /// The last release does not wait for whoever is still inside.
    FreeLocked,
    /// The walk lets go of a context before it goes to those below it.
    UnlockFirst,
    /// A child looks whether its parent is done before it takes the parent's lock.
    LinkUnchecked,
    /// It is done before it is written why.
    DoneFirst,
    /// The timer fires though the last reference is gone.
    ClaimDead,
    /// The end of a done channel does not wait for the context's lock.
    GoneUnlocked,
    /// The last release frees the context although its done channel is held by another.
    FreeWithChan,
}

thread_local! {
    static BUG: Cell<Bug> = const { Cell::new(Bug::None) };
}

pub(super) fn is(bug: Bug) -> bool {
    BUG.get() == bug
}

pub(super) fn set(bug: Bug) {
    BUG.set(bug);
}
