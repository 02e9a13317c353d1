//! Channels of Python: `Chan`, its views `SendChan` and `RecvChan`.
//!
//! | file | what |
//! |---|---|
//! | `elem` | what travels: Python objects, or plain bytes for C code |
//! | `object` | the type `Chan`: its making, its end, what the garbage collector asks of it |
//! | `ops` | send, receive, close, and what else the three types can do |
//! | `view` | the types `SendChan` and `RecvChan` |
//!
//! The one thing to know: **whoever changes the buffer of a channel of objects holds the GIL, or has said so.** The
//! garbage collector looks into buffers twice in one collection (while it holds the GIL all the time), and must see
//! the same references both times, or it takes an object that somebody has just received for garbage. A goroutine
//! of the lane acts with the GIL held; while it is parked others act for it. Two kinds of others do not hold it:
//! plain threads that wait in a call (they are counted as the channel's `guests`) and C code that has the handle
//! (then the channel is `shared`). While there are guests, and for ever once it is shared, the collector is not
//! let in: it then takes what is in the buffer for referenced from outside, and keeps it.

mod elem;
mod object;
mod ops;
mod view;

pub(crate) use elem::{Format, Parcel};
pub(crate) use object::{CHAN, Chan, wrap};
pub(crate) use ops::{Guest, aside};
pub(crate) use view::{SEND_CHAN, target};

use crate::raw::*;

/// Make the types and put them into the module.
///
/// # Safety
/// `module` is the module.
pub(crate) unsafe fn add_to(module: Object) -> Py<()> {
    // SAFETY: the caller's promise.
    unsafe {
        object::add_to(module)?;
        view::add_to(module)
    }
}
