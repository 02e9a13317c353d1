//! Where an exported function was called from: what a dump shows as the place where a goroutine was created.
//!
//! The one thing to know: only the first instruction of an exported function still has its return address at a
//! known place, on top of the stack. So on x86-64 a function that wants it is naked: it loads that word into the
//! register of one argument more and jumps to the function proper, which then returns to the caller itself.
//! Elsewhere the extra argument is 0, "unknown".

/// The body of an exported function whose own arguments are passed on, with the address it returns to as one
/// more; `$register` is that of the additional argument. On x86-64 the function is `naked`.
macro_rules! with_site {
    ($register:ident, $inner:ident($($arg:ident),*)) => {{
        #[cfg(target_arch = "x86_64")]
        std::arch::naked_asm!(
            concat!("mov ", stringify!($register), ", [rsp]"),
            "jmp {inner}",
            inner = sym $inner,
        );
        #[cfg(not(target_arch = "x86_64"))]
        // SAFETY: the caller's promise to the exported function.
        unsafe { $inner($($arg,)* 0) }
    }};
}

pub(super) use with_site;
