//! The calling thread's `errno`, which no call of gort changes: statuses are returned, never left there.

/// Its value. The place is asked for anew each time: a goroutine may have changed threads.
pub(crate) fn errno() -> i32 {
    // SAFETY: the location is valid on the calling thread.
    unsafe { *libc::__errno_location() }
}

/// Put a value back.
pub(crate) fn set_errno(value: i32) {
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = value };
}
