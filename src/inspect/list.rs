//! All goroutines, for whoever reports on them.

pub(crate) use crate::sched::{View, for_each};
