//! The outside world: descriptors of the system's that a goroutine can wait for.
//!
//! The one thing to know: no call here ever blocks its thread in the kernel. Each tries the system call on a descriptor
//! that does not block, and if that says "not now", waits for the poller ([`crate::sched::poller`]) and tries again.
//!
//! | file | concept |
//! |---|---|
//! | `fd/` | a descriptor that was taken over: read, write, deadlines, close |
//! | `wait.rs` | waiting for a descriptor that somebody else owns |
//! | `sys.rs` | the system calls |

pub(crate) mod fd;
#[cfg(not(loom))]
pub(crate) mod sys;
#[cfg(not(loom))]
pub(crate) mod wait;
