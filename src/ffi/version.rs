//! Version and errors: what the loaded library is, and what its codes mean.

use super::status;
use std::ffi::{CStr, c_char, c_int};

const MAJOR: u32 = number(env!("CARGO_PKG_VERSION_MAJOR"));
const MINOR: u32 = number(env!("CARGO_PKG_VERSION_MINOR"));
const PATCH: u32 = number(env!("CARGO_PKG_VERSION_PATCH"));

/// Cargo's version strings are decimal digits; read while compiling, since `str::parse` is not `const`.
const fn number(digits: &str) -> u32 {
    let digits = digits.as_bytes();
    let (mut value, mut i) = (0, 0);
    while i < digits.len() {
        value = value * 10 + (digits[i] - b'0') as u32;
        i += 1;
    }
    value
}

const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(version) => version,
    Err(_) => panic!("a NUL inside the version"),
};

/// The version of the loaded library, in the form of `GORT_VERSION_NUM`: major << 16 | minor << 8 | patch.
/// A program may compare the two to see whether it runs with the library it was compiled for.
///
/// Does not block and does not start the runtime. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn gort_version() -> u32 {
    MAJOR << 16 | MINOR << 8 | PATCH
}

/// The version of the loaded library as text, "0.1.0".
///
/// Does not block and does not start the runtime. The text is static: do not free it. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn gort_version_string() -> *const c_char {
    VERSION.as_ptr()
}

/// The name of a status code: "GORT_ECLOSED" for `GORT_ECLOSED`, "GORT_OK" for 0. For a number that is no
/// status code: "GORT_UNKNOWN"; never NULL.
///
/// Does not block and does not start the runtime. The text is static: do not free it. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn gort_err_name(code: c_int) -> *const c_char {
    status::name(code).unwrap_or(c"GORT_UNKNOWN").as_ptr()
}

/// What a status code means, in a few English words without a full stop: "channel is closed" for
/// `GORT_ECLOSED`, "success" for 0. For a number that is no status code: "unknown status code"; never NULL.
///
/// Does not block and does not start the runtime. The text is static: do not free it. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn gort_strerror(code: c_int) -> *const c_char {
    status::text(code).unwrap_or(c"unknown status code").as_ptr()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(p: *const c_char) -> &'static str {
        // SAFETY: the functions under test return static NUL-terminated texts.
        unsafe { CStr::from_ptr(p) }.to_str().unwrap()
    }

    #[test]
    fn number_and_string_are_the_same_version() {
        let v = gort_version();
        let parts = format!("{}.{}.{}", v >> 16, v >> 8 & 0xff, v & 0xff);
        assert_eq!(text(gort_version_string()), parts);
        assert_eq!(number("907"), 907);
    }

    #[test]
    fn every_code_has_a_name_and_a_text() {
        assert_eq!(text(gort_err_name(status::ECLOSED)), "GORT_ECLOSED");
        assert_eq!(text(gort_strerror(status::ECLOSED)), "channel is closed");
        assert_eq!(text(gort_err_name(-4000)), "GORT_UNKNOWN");
        for code in [i32::MIN, -4004, 1, 22, i32::MAX] {
            assert_eq!(text(gort_strerror(code)), "unknown status code");
        }
    }
}
