//! Waiting for the world: sockets, and addresses as text.
//!
//! The one thing to know: see the table.
//!
//! | file | concept |
//! |---|---|
//! | `network.rs`, `addr.rs` | names of networks; addresses from text and to text |
//! | `resolve.rs`, `names.rs` | from "host:port" to addresses; looking up names on helper threads |
//! | `status.rs` | what calls return |

mod addr;
mod names;
mod network;
mod resolve;
pub(crate) mod status;
