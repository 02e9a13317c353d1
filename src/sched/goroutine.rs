//! placeholder while the scheduler is being written
pub(crate) struct Goroutine {}
