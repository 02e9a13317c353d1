//! Errors of the system's, as statuses.

use crate::ffi::status::EINVAL;

pub(super) fn of(error: &std::io::Error) -> i32 {
    // Those without a number are about arguments that never got as far as the system.
    error.raw_os_error().map_or(EINVAL, |errno| -errno)
}
