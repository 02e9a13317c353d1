//! The status codes: one `i32` per way a call can end.

/// Success (`GORT_OK`).
pub const OK: i32 = 0;
/// Not ready, the call would have to wait.
pub const EAGAIN: i32 = -libc::EAGAIN;
/// Invalid argument.
pub const EINVAL: i32 = -libc::EINVAL;
/// Out of memory.
pub const ENOMEM: i32 = -libc::ENOMEM;
/// Timed out.
pub const ETIMEDOUT: i32 = -libc::ETIMEDOUT;
/// The channel is closed.
pub const ECLOSED: i32 = -4001;
