//! The Python lane: the worker threads on which goroutines of Python run.

/// Whether the caller is a goroutine of the Python lane.
#[inline(always)]
pub(crate) fn in_goroutine() -> bool {
    false
}
