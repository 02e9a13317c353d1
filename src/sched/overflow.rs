//! The report of a stack overflow: whose stack, how large, and what to do.
//!
//! The one thing to know: all of this runs in a signal handler on the worker's alternate stack, while the
//! goroutine is stopped in the middle of an instruction. It reads the goroutine's record and writes to stderr.

use super::current;
use crate::coroutine::{self, GUARD};
use crate::fatal::end;

/// Install the handler for SIGSEGV and SIGBUS, once.
pub(super) fn install() {
    coroutine::install_overflow_handler(report);
}

/// Ends the process if `address` lies in the guard of the stack that the calling thread runs a goroutine on;
/// false if it does not.
fn report(address: usize) -> bool {
    let w = current::worker();
    // SAFETY: null, or the calling thread's own worker.
    let Some(w) = (unsafe { w.as_ref() }) else { return false };
    let g = w.goroutine.get();
    if g.is_null() {
        return false;
    }
    // SAFETY: the goroutine that this thread was running when it faulted.
    let g = unsafe { &*g };
    let base = g.stack.base().addr();
    if !(base..base + GUARD).contains(&address) {
        return false;
    }
    let size = g.stack.class().size();
    let name = g.name().map_or("", |n| n.to_str().unwrap_or("?"));
    end(format_args!(
        "fatal error: stack overflow\n\ngoroutine {} [running]{}{name}{}: its stack of {} KiB ({size} bytes, guard \
         included) is full; give it more with gort_spawn_with or gort_options_t.stack_size\n",
        g.id,
        if name.is_empty() { "" } else { " \"" },
        if name.is_empty() { "" } else { "\"" },
        size / 1024,
    ));
}
