//! gort: Go's concurrency as a library for everyone who does not write Go.
//!
//! The map of the crate; dependencies point down only:
//!
//! | module | what lives there |
//! |---|---|
//! | [`ffi`] | the C ABI, one file per section of `gort.h`: check arguments, call the core, return a status |
//! | [`mod@panic`] | panic, defer, recover, try, exit; the scheduler asks it what a goroutine's end leaves to do |
//! | [`ctx`] | contexts and groups |
//! | [`chan`] | channels and select |
//! | [`net`] | descriptors that a goroutine can wait for, sockets, names |
//! | [`sync`] | mutexes, condition variable, once, semaphore, wait group |
//! | [`inspect`] | dumps and statistics of goroutines, deadlocks |
//! | [`time`] | timers and tickers |
//! | [`sched`] | goroutines, processors, workers, run queues, parking, waking, timers |
//! | [`coroutine`] | stacks and switching between them; knows no scheduler |
//! | [`cpu`] | how many CPUs there are for us |
//! | [`loaded`] | finding symbols in what is loaded |
//! | [`fatal`] | errors that end the process |
//! | [`preload`] | telling `libgort_preload.so` of us |
//! | [`primitive`] | atomics, spin lock, futex: `std` in earnest, loom in the models |

// A model uses some of the crate only.
#![cfg_attr(loom, allow(dead_code, unused_imports))]

// The scheduler, the stacks and the C ABI stand on statics and assembly, which loom cannot follow; the
// protocols it models compile in both worlds.
pub(crate) mod chan;
#[cfg(not(loom))]
pub(crate) mod coroutine;
#[cfg(not(loom))]
pub(crate) mod cpu;
pub(crate) mod ctx;
pub(crate) mod fatal;
#[cfg(not(loom))]
pub mod ffi;
#[cfg(not(loom))]
pub(crate) mod inspect;
#[cfg(not(loom))]
pub(crate) mod loaded;
#[cfg(not(loom))]
pub(crate) mod net;
/// What the models use of [`net`].
#[cfg(loom)]
#[path = "net/fd/mod.rs"]
pub(crate) mod net_fd;
pub(crate) mod panic;
#[cfg(not(loom))]
pub(crate) mod preload;
pub(crate) mod primitive;
pub(crate) mod sched;
pub(crate) mod sync;
pub(crate) mod time;
