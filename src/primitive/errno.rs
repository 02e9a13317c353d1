//! The calling thread's `errno`, which no call of gort changes: statuses are returned, never left there.
//!
//! The one thing to know: compilers take `__errno_location` for a function that always returns the same, and
//! so keep its result across a park, after which it is another thread's. Hence the detour.

/// Where this thread's errno is: valid on this thread only, so not to be kept across a park.
#[inline(never)]
fn location() -> *mut i32 {
    // SAFETY: an empty template; it keeps the calls of this function from being merged into one.
    unsafe { std::arch::asm!("") };
    // SAFETY: no preconditions.
    unsafe { libc::__errno_location() }
}

/// Its value.
pub(crate) fn errno() -> i32 {
    // SAFETY: the location is valid on the calling thread.
    unsafe { *location() }
}

/// Put a value back.
pub(crate) fn set_errno(value: i32) {
    // SAFETY: as above.
    unsafe { *location() = value };
}
