//! The status codes: one `i32` per way a call can end, for the core and the ABI alike.
//!
//! The one thing to know: 0 and above is success (a count or an index), below 0 an error. Errors that have
//! an errno equal `-errno` of the platform; gort's own begin at -4001, below every errno.

use super::status_list::status_list;
use std::ffi::CStr;

macro_rules! define {
    (
        own { $($own:ident $value:literal $own_text:literal;)* }
        common { $($common:ident $common_text:literal;)* }
        system { $($system:ident $system_text:literal;)* }
        linux { $($linux:ident $linux_text:literal;)* }
    ) => {
        $(#[doc = $own_text] pub const $own: i32 = $value;)*
        $(#[doc = $common_text] pub const $common: i32 = -libc::$common;)*
        $(#[doc = $system_text] pub const $system: i32 = -libc::$system;)*
        $(#[doc = $linux_text] #[cfg(target_os = "linux")] pub const $linux: i32 = -libc::$linux;)*

        /// In the list's order, so that of two names with one number the first is found.
        static STATUSES: &[Status] = &[
            $(Status::new($own, concat!("GORT_", stringify!($own), "\0"), concat!($own_text, "\0")),)*
            $(Status::new($common, concat!("GORT_", stringify!($common), "\0"), concat!($common_text, "\0")),)*
            $(Status::new($system, concat!("GORT_", stringify!($system), "\0"), concat!($system_text, "\0")),)*
            $(
                #[cfg(target_os = "linux")]
                Status::new($linux, concat!("GORT_", stringify!($linux), "\0"), concat!($linux_text, "\0")),
            )*
        ];
    };
}
status_list!(define);

struct Status {
    code: i32,
    name: &'static CStr,
    text: &'static CStr,
}

impl Status {
    /// `name` and `text` end with the only NUL in them; checked while compiling, as this runs only then.
    const fn new(code: i32, name: &'static str, text: &'static str) -> Self {
        match (CStr::from_bytes_with_nul(name.as_bytes()), CStr::from_bytes_with_nul(text.as_bytes())) {
            (Ok(name), Ok(text)) => Status { code, name, text },
            _ => panic!("a NUL inside a status name or text"),
        }
    }
}

/// `"GORT_EINVAL"` for [`EINVAL`]; `None` for a code that is not in the list.
pub(crate) fn name(code: i32) -> Option<&'static CStr> {
    STATUSES.iter().find(|s| s.code == code).map(|s| s.name)
}

/// `"invalid argument"` for [`EINVAL`]; `None` for a code that is not in the list.
pub(crate) fn text(code: i32) -> Option<&'static CStr> {
    STATUSES.iter().find(|s| s.code == code).map(|s| s.text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_codes_are_below_every_errno_and_distinct() {
        for s in STATUSES {
            assert!(s.code == 0 || (-4095..0).contains(&s.code), "{:?} is {}", s.name, s.code);
        }
        assert_eq!([ECLOSED, EPANIC, ENONAME], [-4001, -4002, -4003]);
        let errnos = STATUSES.iter().filter(|s| ![ECLOSED, EPANIC, ENONAME].contains(&s.code));
        assert!(errnos.map(|s| s.code).min().unwrap() > -4000);
    }

    #[test]
    fn errno_codes_are_minus_errno() {
        assert_eq!(EINVAL, -libc::EINVAL);
        assert_eq!(ENOMEM, -libc::ENOMEM);
        assert_eq!(name(-libc::ETIMEDOUT), Some(c"GORT_ETIMEDOUT"));
    }

    /// The kernel may hand any of them to a caller of `gort_fd_read`; none may be nameless.
    #[test]
    fn every_errno_that_the_c_library_describes_has_a_name_and_a_text() {
        for errno in 1..=255 {
            // SAFETY: strerror gives a NUL-terminated text, valid until the next call in this thread or, in
            // older C libraries, in this process; no other test of this crate calls it.
            let theirs = unsafe { CStr::from_ptr(libc::strerror(errno)) }.to_str().unwrap();
            let known =
                !theirs.to_lowercase().contains("unknown") && !theirs.contains("No error information");
            if known {
                assert!(name(-errno).is_some(), "errno {errno} ({theirs}) has no name");
                assert!(text(-errno).is_some_and(|t| !t.is_empty()), "errno {errno} has no text");
            }
        }
    }

    #[test]
    fn of_two_names_for_one_number_the_first_is_shown() {
        assert_eq!(name(-libc::EWOULDBLOCK), Some(c"GORT_EAGAIN"));
        assert_eq!(name(ENOTSUP), Some(c"GORT_ENOTSUP"));
    }

    #[test]
    fn names_and_texts_of_gorts_own_codes() {
        assert_eq!((name(OK), text(OK)), (Some(c"GORT_OK"), Some(c"success")));
        assert_eq!((name(ECLOSED), text(ECLOSED)), (Some(c"GORT_ECLOSED"), Some(c"channel is closed")));
        assert_eq!((name(-4000), text(-4000)), (None, None));
        assert_eq!((name(i32::MIN), text(i32::MAX)), (None, None));
    }
}
