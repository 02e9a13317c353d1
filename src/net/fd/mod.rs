//! A descriptor that was taken over: what `gort_fd_t` is.
//!
//! The one thing to know: **the number is closed when the last running call has left it**, so no call ever meets a file
//! that it was not meant for. `close` marks the descriptor closed, has all who wait in it look, and whoever leaves last
//! closes the number. Its one word (`Turns`) says who is in it: at most one reads and one writes at a time, the others
//! wait for their turn, first come, first served.
//!
//! | file | concept |
//! |---|---|
//! | `handle.rs` | taking over, closing, deadlines |
//! | `turns.rs` | the word: closed, who reads, who writes, how many are in it |
//! | `io.rs` | trying a system call until it says something else than "not now" |
//! | `pipe.rs` | writing to what is no socket without a SIGPIPE |

#[cfg(not(loom))]
mod handle;
#[cfg(not(loom))]
mod io;
#[cfg(all(test, loom))]
mod model;
#[cfg(not(loom))]
mod pipe;
mod turns;

#[cfg(not(loom))]
pub(crate) use handle::Fd;
