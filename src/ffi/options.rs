//! Options structs that grow: each begins with its own size, as the caller's compiler knew it.

/// An options struct: `repr(C)`, begins with `size: usize`, and all its bytes zero is a value.
///
/// # Safety
/// As said.
pub(super) unsafe trait Options: Copy {}

/// The caller's struct in today's form. A caller that knew fewer fields gets zeros (the defaults) for the rest;
/// one that knows more must have zeros in those. `None`: bad size, or something set that is not known here.
///
/// # Safety
/// `from` is null (all defaults) or points to as many readable bytes as its first field says.
pub(super) unsafe fn read<T: Options>(from: *const T) -> Option<T> {
    // SAFETY: all bytes zero is a value of every `Options`.
    let mut options: T = unsafe { std::mem::zeroed() };
    if from.is_null() {
        return Some(options);
    }
    // SAFETY: the struct begins with its size.
    let size = unsafe { from.cast::<usize>().read_unaligned() };
    if size < size_of::<usize>() {
        return None;
    }
    let known = size.min(size_of::<T>());
    // SAFETY: `size` bytes are readable; `known` is no more than that, and fits into `options`.
    unsafe {
        std::ptr::copy_nonoverlapping(from.cast::<u8>(), (&raw mut options).cast::<u8>(), known);
        for i in known..size {
            if from.cast::<u8>().add(i).read() != 0 {
                return None;
            }
        }
    }
    Some(options)
}
