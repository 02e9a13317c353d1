//! The C ABI: one file per section of `gort.h`. Each call checks its arguments, calls the core and returns a
//! status; no logic lives here.
//!
//! The one thing to know: **this file is the table of contents of `gort.h`.** `build.rs` writes a section
//! for each `mod` below, in this order, under the heading that its doc comment gives; the declarations and
//! their comments are those of the module's `extern "C"` functions and `repr(C)` types. So doc comments here
//! are written for C programmers. A type without `repr(C)` is opaque in C.

// The names of the ABI are C names.
#![allow(non_camel_case_types)]

// Not sections: they export nothing.
pub mod status;
mod status_list;

/// Version, errors
pub mod version;
