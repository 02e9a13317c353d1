//! `libgort_preload.so`: named in `LD_PRELOAD`, it makes the blocking calls of C libraries that know nothing of
//! gort park the calling goroutine instead of its thread. `docs/preload.md` is for those who use it.
//!
//! The one thing to know: **nothing is remembered about any fd.** A call first tries without waiting, in a way that
//! changes nothing for others (`MSG_DONTWAIT`, `RWF_NOWAIT`), so most calls cost what they cost without us. Only if it
//! would have to wait it asks the kernel what the fd is (blocking? with a time-out?), waits as a goroutine waits,
//! and tries again. So whatever the program does to its fds, with dup, fcntl, close or fork, is respected.
//!
//! | file | concept |
//! |---|---|
//! | `entry.rs` | the names that take the place of libc's, and who gets past them |
//! | `real.rs` | libc's own functions |
//! | `runtime.rs` | gort, as it was told to us; is the caller a goroutine? |
//! | `call.rs` | one call that may wait: pinned, bounded, its fd kept open |
//! | `hold.rs` | fds of ours, for the time of a call, and forks meanwhile |
//! | `turn.rs` | one at a time, where readiness and taking cannot be one step |
//! | `socket.rs`, `message.rs`, `connect.rs` | recv and send; recvmsg and sendmsg; connect and accept |
//! | `file.rs` | read and write on whatever is no socket |
//! | `poll.rs`, `select.rs`, `set.rs` | waiting for several fds |
//! | `sleep.rs` | sleeping |
//! | `checked.rs` | what `_FORTIFY_SOURCE` makes of these calls |
//! | `errno.rs` | results of system calls |
//!
//! Not linked to Rust's `std`: it calls `read` and `write` itself, which here would be ours.

// There are no tests in here; but clippy looks at every target.
#![cfg_attr(not(test), no_std)]
#![cfg(target_os = "linux")]

mod call;
mod checked;
mod connect;
pub mod entry;
mod errno;
mod file;
mod hold;
mod message;
mod poll;
mod real;
pub mod runtime;
mod select;
mod set;
mod sleep;
mod socket;
mod turn;

/// The interface, which gort includes too.
#[path = "../../../src/preload/calls.rs"]
mod calls;

/// A defect of ours: no index is out of bounds, and nothing overflows.
#[cfg(not(test))]
#[panic_handler]
fn panicked(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: no preconditions.
    unsafe { libc::abort() }
}

// `core`, as it comes compiled, names the function that Rust's unwinding would call. Panics do not unwind here.
core::arch::global_asm!(
    ".weak rust_eh_personality",
    ".hidden rust_eh_personality",
    "rust_eh_personality:",
    ".byte 0"
);
