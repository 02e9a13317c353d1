//! All goroutines, for whoever reports on them.

pub(crate) use crate::sched::{Parked, View, for_each};
