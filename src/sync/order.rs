//! The two orderings that everything in this folder stands on, by name, so that a model can take each away and must
//! then find a race.
//!
//! The one thing to know: the step that lets others go on releases what was done before it; the step with which one
//! goes on acquires it.

#[cfg(loom)]
use super::knobs::{self, Bug};
use crate::primitive::atomic::Ordering;

#[inline(always)]
pub(super) fn acquire() -> Ordering {
    #[cfg(loom)]
    if knobs::is(Bug::AcquireNothing) {
        return Ordering::Relaxed;
    }
    Ordering::Acquire
}

#[inline(always)]
pub(super) fn release() -> Ordering {
    #[cfg(loom)]
    if knobs::is(Bug::ReleaseNothing) {
        return Ordering::Relaxed;
    }
    Ordering::Release
}
