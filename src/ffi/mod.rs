//! The C ABI: one file per section of `gort.h`. Each call checks its arguments, calls the core and returns a
//! status; no logic lives here.
//!
//! The one thing to know: **this file is the table of contents of `gort.h`.** `build.rs` writes a section
//! for each `mod` below that declares something, in this order, under the first line of the doc comment above
//! the `mod`. The declarations and their comments are those of the module's `extern "C"` functions, constants
//! and `repr(C)` types, named as in C. So their doc comments are written for C programmers; a `# Safety`
//! section is for Rust and stays out of the header. A struct without `repr(C)` is opaque in C; one that begins
//! with `size: usize` gets its `GORT_..._INIT`.

// The names of the ABI are C names.
#![allow(non_camel_case_types)]

// Not sections: they export nothing.
mod options;
mod site;
pub mod status;
mod status_list;

/// Version, errors
pub mod version;

/// Runtime
pub mod runtime;

/// Goroutines
pub mod goroutine;

/// Deadlocks that are survived
pub mod detect;

/// Lanes
pub mod lane;

/// Channels
pub mod chan;

/// Channels whose elements own something
pub mod chan_own;

/// Select
pub mod select;

/// Select that calls a function
pub mod select_async;

/// Mutexes, wait groups
pub mod sync;

/// Read-write mutexes
pub mod rwmutex;

/// Condition variables
pub mod cond;

/// Once
pub mod once;

/// Semaphores
pub mod sem;

/// Timers, tickers
pub mod time;

/// Contexts
pub mod ctx;

/// Groups
pub mod group;

/// Blocking calls
pub mod blocking;

/// Panic, defer, recover
pub mod panic;

/// Waiting for the world
pub mod fd;
/// Signals
pub mod signal;

/// Sockets
pub mod sockets;

/// Seeing inside
pub mod inspect;
