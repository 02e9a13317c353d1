//! The statuses that this module returns: below 0, `-errno` where there is one. `ffi/net.rs` holds them against
//! those of the ABI.

pub(crate) const EADDRNOTAVAIL: i32 = -libc::EADDRNOTAVAIL;
pub(crate) const EAFNOSUPPORT: i32 = -libc::EAFNOSUPPORT;
pub(crate) const EINVAL: i32 = -libc::EINVAL;
pub(crate) const ENODEV: i32 = -libc::ENODEV;
pub(crate) const ENOMEM: i32 = -libc::ENOMEM;
pub(crate) const ENOTSUP: i32 = -libc::ENOTSUP;
pub(crate) const ETIMEDOUT: i32 = -libc::ETIMEDOUT;
/// A name that does not resolve.
pub(crate) const ENONAME: i32 = -4003;

/// Of an error of the system's.
pub(super) fn of(error: &std::io::Error) -> i32 {
    // Those without a number are about arguments that never got as far as the system.
    error.raw_os_error().map_or(EINVAL, |errno| -errno)
}
