//! The status codes that this branch needs; the whole list replaces this file.

/// Success.
pub const OK: i32 = 0;
/// Not ready, the call would have to wait.
pub const EAGAIN: i32 = -libc::EAGAIN;
/// Invalid argument.
pub const EINVAL: i32 = -libc::EINVAL;
/// Timed out.
pub const ETIMEDOUT: i32 = -libc::ETIMEDOUT;
