//! Copying elements: any size, any alignment.

use std::ptr;

/// Copy `size` bytes. The common sizes become one load and one store; the rest is `memmove`, which at the
/// price of `memcpy` also stands a program whose sender and receiver name the same memory.
///
/// # Safety
/// `from` is readable and `to` writable for `size` bytes; for size 0 both may be anything.
#[inline(always)]
pub(super) unsafe fn copy(to: *mut u8, from: *const u8, size: usize) {
    /// # Safety
    /// As for `copy`, for the size of `T`.
    #[inline(always)]
    unsafe fn word<T: Copy>(to: *mut u8, from: *const u8) {
        // SAFETY: the caller's promise; no alignment is assumed, and every bit pattern is a valid integer.
        unsafe { to.cast::<T>().write_unaligned(from.cast::<T>().read_unaligned()) };
    }
    // SAFETY: the caller's promise, in every arm for the very size that is passed on.
    unsafe {
        match size {
            8 => word::<u64>(to, from),
            4 => word::<u32>(to, from),
            16 => word::<u128>(to, from),
            1 => word::<u8>(to, from),
            2 => word::<u16>(to, from),
            0 => {}
            _ => ptr::copy(from, to, size),
        }
    }
}

/// What a receiver gets from a closed and drained channel. `to` may be null: nothing is wanted.
///
/// # Safety
/// `to` is null or writable for `size` bytes; for size 0 it may be anything.
pub(super) unsafe fn zero(to: *mut u8, size: usize) {
    if !to.is_null() && size != 0 {
        // SAFETY: the caller's promise.
        unsafe { ptr::write_bytes(to, 0, size) };
    }
}
