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

mod accept;
mod addr;
mod bound;
mod datagram;
mod dial;
pub(crate) mod fd;
mod listen;
mod names;
mod network;
mod resolve;
mod socket;
mod status;
pub(crate) mod sys;
pub(crate) mod wait;

pub(crate) use accept::accept;
pub(crate) use addr::{TEXT_SIZE, Text};
pub(crate) use datagram::{recv_from, send_to};
pub(crate) use dial::dial;
pub(crate) use listen::listen;
pub(crate) use names::forget as forget_names;
pub(crate) use network::Network;
pub(crate) use socket::{local_addr, peer_addr};

use crate::primitive::{errno, set_errno};

/// Call `f` and leave `errno` as it was, on whatever thread the caller is then.
pub(crate) fn quietly<R>(f: impl FnOnce() -> R) -> R {
    let saved = errno();
    let result = f();
    set_errno(saved);
    result
}
