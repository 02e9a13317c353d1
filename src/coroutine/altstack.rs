//! A second stack for the signal handlers of a thread.
//!
//! The one thing to know: when a stack overflows there is no room on it for the handler that is to say so.
//! The kernel then switches to the thread's alternate stack, and each thread must have been given its own.

use super::stack::page_size;
use std::marker::PhantomData;
use std::ptr::null_mut;

const SIZE: usize = 64 * 1024;

/// The alternate signal stack of the thread that made it, until it is dropped (by the same thread). A thread
/// that has one already, from its host, keeps that.
pub(crate) struct AltStack {
    /// What is mapped: a guard page, then the stack. Null: none of ours.
    base: *mut u8,
    /// sigaltstack is the calling thread's, so this must not go to another.
    _not_send: PhantomData<*mut ()>,
}

impl AltStack {
    /// Without memory for one, the thread does without: an overflow then ends in a bare SIGSEGV.
    pub(crate) fn new() -> AltStack {
        AltStack { base: if present() { null_mut() } else { install() }, _not_send: PhantomData }
    }
}

impl Drop for AltStack {
    fn drop(&mut self) {
        if self.base.is_null() {
            return;
        }
        let current = current();
        // SAFETY: the thread is not on its alternate stack here (then sigaltstack refuses), so nothing uses
        // the mapping any more. One that somebody else has put in its place is left alone.
        unsafe {
            if current.ss_sp == self.base.add(page_size()).cast() {
                let none = libc::stack_t { ss_sp: null_mut(), ss_flags: libc::SS_DISABLE, ss_size: SIZE };
                if libc::sigaltstack(&none, null_mut()) != 0 {
                    return;
                }
            }
            libc::munmap(self.base.cast(), page_size() + SIZE);
        }
    }
}

fn current() -> libc::stack_t {
    let mut current = libc::stack_t { ss_sp: null_mut(), ss_flags: libc::SS_DISABLE, ss_size: 0 };
    // SAFETY: a live struct to be filled in; a mere question cannot fail.
    unsafe { libc::sigaltstack(std::ptr::null(), &mut current) };
    current
}

fn present() -> bool {
    current().ss_flags & libc::SS_DISABLE == 0
}

/// Map a stack and make it the calling thread's; null if that cannot be.
fn install() -> *mut u8 {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK | libc::MAP_NORESERVE;
    // SAFETY: a new mapping, guarded at its low end and given to the kernel as this thread's, of which
    // `present` has found none.
    unsafe {
        let len = page_size() + SIZE;
        let base = libc::mmap(null_mut(), len, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
        if base == libc::MAP_FAILED {
            return null_mut();
        }
        let stack = libc::stack_t { ss_sp: base.byte_add(page_size()), ss_flags: 0, ss_size: SIZE };
        if libc::mprotect(base, page_size(), libc::PROT_NONE) != 0
            || libc::sigaltstack(&stack, null_mut()) != 0
        {
            libc::munmap(base, len);
            return null_mut();
        }
        base.cast()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A thread without an alternate stack: the standard library's threads may have one.
    fn bare_thread(f: impl FnOnce() + Send) {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let before = current();
                if present() {
                    let none = libc::stack_t { ss_sp: null_mut(), ss_flags: libc::SS_DISABLE, ss_size: SIZE };
                    // SAFETY: a live struct; the standard library's stack is put back below.
                    assert_eq!(unsafe { libc::sigaltstack(&none, null_mut()) }, 0);
                }
                f();
                // SAFETY: the stack that the standard library has made for this thread, or none.
                unsafe { libc::sigaltstack(&before, null_mut()) };
            });
        });
    }

    #[test]
    fn it_is_installed_and_removed() {
        bare_thread(|| {
            let stack = AltStack::new();
            assert!(present());
            assert_eq!(current().ss_size, SIZE);
            let second = AltStack::new();
            assert!(second.base.is_null());
            drop(second);
            assert!(present());
            drop(stack);
            assert!(!present());
        });
    }

    #[test]
    fn a_stack_of_the_host_is_kept() {
        bare_thread(|| {
            let mut memory = vec![0_u8; SIZE];
            let host = libc::stack_t { ss_sp: memory.as_mut_ptr().cast(), ss_flags: 0, ss_size: SIZE };
            // SAFETY: the memory outlives its use: `bare_thread` takes the stack away again.
            assert_eq!(unsafe { libc::sigaltstack(&host, null_mut()) }, 0);
            drop(AltStack::new());
            assert_eq!(current().ss_sp, host.ss_sp);
            let none = libc::stack_t { ss_sp: null_mut(), ss_flags: libc::SS_DISABLE, ss_size: SIZE };
            // SAFETY: a live struct.
            assert_eq!(unsafe { libc::sigaltstack(&none, null_mut()) }, 0);
        });
    }
}
