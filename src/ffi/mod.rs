//! The C ABI.

// The names of the ABI are C names.
#![allow(non_camel_case_types)]

pub mod status;

/// Mutexes, wait groups
pub mod sync;
