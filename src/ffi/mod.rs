//! The C ABI: one file per section of `gort.h`. Each call checks its arguments, calls the core and returns a
//! status; no logic lives here.

// The names of the ABI are C names.
#![allow(non_camel_case_types)]

// Not a section: it exports nothing.
pub mod status;

/// Channels
pub mod chan;

/// Select
pub mod select;
