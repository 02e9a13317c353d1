//! Reading memory that others are using.
//!
//! The one thing to know: a parked goroutine's stack is always mapped, whatever becomes of the goroutine, so it is
//! read directly, within its bounds. Anything else may be unmapped at any time and is read through the kernel,
//! which answers with an error where we would crash.

use super::list::View;
use std::mem::MaybeUninit;

/// One word of the stack of `view`; `None`: the address is not there.
#[inline]
pub(super) fn stack_word(view: &View, address: usize) -> Option<usize> {
    let fits = address.is_multiple_of(align_of::<usize>())
        && view.stack.start <= address
        && address < view.stack.end;
    // SAFETY: between the guard and the record of a stack, which are always mapped; volatile, as the goroutine may be
    // running again. The record is aligned, so the whole word is below it.
    fits.then(|| unsafe { (address as *const usize).read_volatile() })
}

/// A value from anywhere in this process. `None`: it cannot be read.
///
/// # Safety
/// Any bytes are a `T`.
pub(super) unsafe fn copy<T: Copy>(address: usize) -> Option<T> {
    let mut value = MaybeUninit::<T>::uninit();
    let local = libc::iovec { iov_base: value.as_mut_ptr().cast(), iov_len: size_of::<T>() };
    let remote = libc::iovec { iov_base: address as *mut _, iov_len: size_of::<T>() };
    // SAFETY: `local` is ours; what `remote` is, the kernel checks.
    let n = unsafe { libc::process_vm_readv(libc::getpid(), &local, 1, &remote, 1, 0) };
    // SAFETY: all of it was written, and any bytes are a `T`.
    usize::try_from(n).ok().filter(|&n| n == size_of::<T>()).map(|_| unsafe { value.assume_init() })
}
