//! The file that a listening Unix socket has made.
//!
//! The one thing to know: it goes when the listener is closed, as in Go; but a forked child that closes its copy leaves
//! it to the process that made it.

use super::sys;
use std::ffi::CString;

pub(super) struct Bound {
    path: CString,
    owner: u32,
}

impl Bound {
    /// By this process, just now.
    pub(super) fn new(path: CString) -> Bound {
        Bound { path, owner: std::process::id() }
    }

    /// Remove it, if it is ours. Called once.
    pub(super) fn remove(&self) {
        if self.owner == std::process::id() {
            sys::unlink(&self.path);
        }
    }
}
