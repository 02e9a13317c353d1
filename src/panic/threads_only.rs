//! What stands in for panics in the loom models, in which every function returns.

/// See `scope.rs`.
///
/// # Safety
/// `finish(arg)` may be called once, when `function` has ended.
pub(crate) unsafe fn call_and_then(function: impl FnOnce(), finish: unsafe fn(*mut ()), arg: *mut ()) {
    function();
    // SAFETY: the caller's promise.
    unsafe { finish(arg) };
}

/// See `scope.rs`.
pub(crate) fn panic(what: std::fmt::Arguments<'_>) -> ! {
    crate::fatal::end(format_args!("panic: {what}\n\n"))
}
