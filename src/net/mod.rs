//! The outside world: descriptors of the system's that a goroutine can wait for, sockets among them.
//!
//! The one thing to know: no call here ever blocks its thread in the kernel. Each tries the system call on a descriptor
//! that does not block, and if that says "not now", waits for the poller ([`crate::sched::poller`]) and tries again.
//!
//! | file | concept |
//! |---|---|
//! | `fd/` | a descriptor that was taken over: read, write, deadlines, close |
//! | `wait.rs` | waiting for a descriptor that somebody else owns |
//! | `network.rs`, `addr.rs` | names of networks; addresses from text and to text |
//! | `resolve.rs`, `names.rs` | from "host:port" to addresses; looking up names on helper threads |
//! | `socket.rs` | making sockets, asking them |
//! | `bound.rs` | the file of a Unix socket that listens |
//! | `listen.rs`, `accept.rs`, `dial.rs`, `datagram.rs` | what one does with them |
//! | `sys.rs`, `status.rs` | the system calls; their errors as statuses |

#[cfg(not(loom))]
mod accept;
#[cfg(not(loom))]
mod addr;
#[cfg(not(loom))]
mod bound;
#[cfg(not(loom))]
mod datagram;
#[cfg(not(loom))]
mod dial;
pub(crate) mod fd;
#[cfg(not(loom))]
mod listen;
#[cfg(not(loom))]
mod names;
#[cfg(not(loom))]
mod network;
#[cfg(not(loom))]
mod resolve;
#[cfg(not(loom))]
mod socket;
#[cfg(not(loom))]
mod status;
#[cfg(not(loom))]
pub(crate) mod sys;
#[cfg(not(loom))]
pub(crate) mod wait;

#[cfg(not(loom))]
pub(crate) use accept::accept;
#[cfg(not(loom))]
pub(crate) use addr::{TEXT_SIZE, Text};
#[cfg(not(loom))]
pub(crate) use datagram::{recv_from, send_to};
#[cfg(not(loom))]
pub(crate) use dial::dial;
#[cfg(not(loom))]
pub(crate) use listen::listen;
#[cfg(not(loom))]
pub(crate) use names::forget as forget_names;
#[cfg(not(loom))]
pub(crate) use network::Network;
#[cfg(not(loom))]
pub(crate) use socket::{local_addr, peer_addr};

#[cfg(not(loom))]
use crate::primitive::{errno, set_errno};

/// Call `f` and leave `errno` as it was, on whatever thread the caller is then.
#[cfg(not(loom))]
pub(crate) fn quietly<R>(f: impl FnOnce() -> R) -> R {
    let saved = errno();
    let result = f();
    set_errno(saved);
    result
}
