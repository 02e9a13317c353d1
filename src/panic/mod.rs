//! Panic, defer, recover, try, exit: how a goroutine's function ends when it does not simply return.
//!
//! | file | concept |
//! |---|---|
//! | `scope.rs` | scopes: what has deferred calls of its own, and how it ends; try, defer, recover |
//! | `deferred.rs` | the list of a scope's deferred calls |
//! | `record.rs` | one panic or exit that is under way, and the chain of those it replaced |
//! | `unwind.rs` | from where it was raised to where it lands: forced unwinding, backtraces |
//! | `landing_x86_64.rs`, `landing_setjmp.rs` | calling a function so that one can land behind the call |
//! | `report.rs` | the end of a process that nobody saved |
//! | `exception.rs` | C++ exceptions that leave a function that gort called |
//!
//! The one thing to know: **first the frames are unwound, then the deferred calls are run.** A panic runs up the
//! stack to the innermost *landing* (that of a `gort_try`, of a deferred call, or the end of the stack), and the
//! cleanups of the C and C++ frames on the way are run, exactly as when those functions return. Then the
//! deferred calls of the scope that it has landed in are run, as ordinary calls, each in a scope of its own;
//! one of them may recover. If none does, the unwinding goes on to the next landing.
//!
//! Two more things follow. What is thrown is no Rust panic and no C++ exception: Rust frames on the way (of this
//! library: `gort_try`, `gort_once_do`, `gort_main`'s first function, the wait group's calls) are simply left,
//! so **none of them may hold anything with a destructor across a call of a user's function**; each edge says
//! so. (They have no landing pads, since the library is built with `panic = "abort"`. Cargo builds unit tests without
//! that, and their `extern "C"` functions abort when they are unwound, so all of this is tested in `ctests`.) And a cleanup or a deferred call may park and go on on another thread in the middle of all this:
//! everything that is under way lies in the goroutine's own memory (its record, its stack, the heap), and so
//! does the state of the unwinder, which is in frames of its own on this stack.

#[cfg(not(loom))]
mod deferred;
#[cfg(all(not(loom), target_arch = "x86_64", not(feature = "corosensei-switch")))]
mod exception;
#[cfg(all(not(loom), target_arch = "x86_64", not(feature = "corosensei-switch")))]
#[path = "landing_x86_64.rs"]
mod landing;
#[cfg(all(not(loom), not(all(target_arch = "x86_64", not(feature = "corosensei-switch")))))]
#[path = "landing_setjmp.rs"]
mod landing;
#[cfg(not(loom))]
mod record;
#[cfg(not(loom))]
mod report;
#[cfg(not(loom))]
mod scope;
#[cfg(loom)]
mod threads_only;
#[cfg(not(loom))]
mod unwind;

#[cfg(all(not(loom), target_arch = "x86_64", not(feature = "corosensei-switch")))]
pub(crate) use exception::edge_personality;
#[cfg(all(not(loom), not(all(target_arch = "x86_64", not(feature = "corosensei-switch")))))]
pub(crate) use scope::call_root;
#[cfg(not(loom))]
pub(crate) use scope::{
    End, NotHere, Raised, Recovered, Scopes, adopt, call_and_then, catch, defer, end_forked, end_root, exit,
    panic, raise_again, raise_again_from, raise_text, recover, report_raised, try_call,
};
#[cfg(loom)]
pub(crate) use threads_only::{call_and_then, panic};
