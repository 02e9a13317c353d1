//! Mutex and wait group.
