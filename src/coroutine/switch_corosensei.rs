//! Switching stacks through corosensei: every architecture that has no switch of its own here.
//!
//! The interface is that of `switch_x86_64.rs`, which says what each call does. Two things differ inside. A
//! coroutine's body ends by suspending for the last time, with a mark, and is then forgotten: corosensei's own
//! ways to end one are to return from its first function, which cannot be done from any depth, and to unwind
//! it. And the saved stack pointer is not corosensei's, which is private, but an address in the frame that
//! suspends.

use super::stack::Stack;
use corosensei::stack::{Stack as Range, StackPointer};
use std::mem::MaybeUninit;
use std::ptr::null_mut;

type Inner = corosensei::Coroutine<(), (), (), Below>;
type Yielder = corosensei::Yielder<(), ()>;

pub(crate) struct Coroutine {
    inner: MaybeUninit<Inner>,
    /// Lives on the coroutine's stack.
    yielder: *const Yielder,
    sp: *mut u8,
    finished: bool,
}

/// The part of a stack below the goroutine's record.
struct Below {
    top: StackPointer,
    limit: StackPointer,
}

// SAFETY: `prepare`'s caller promises that the range is a stack's, which has a guard and at least a page of
// usable memory, and that it stays the coroutine's own. Both ends are aligned to 16.
unsafe impl Range for Below {
    fn base(&self) -> StackPointer {
        self.top
    }

    fn limit(&self) -> StackPointer {
        self.limit
    }
}

impl Coroutine {
    pub(crate) const fn empty() -> Self {
        Coroutine { inner: MaybeUninit::uninit(), yielder: std::ptr::null(), sp: null_mut(), finished: false }
    }

    /// Make the first [`Coroutine::resume`] call `entry(arg)` on `stack`, right below `top`.
    ///
    /// # Safety
    /// `this` is live and stays so, at its place, until the coroutine has finished. `top` is aligned to 16,
    /// within `stack`; the memory of the stack below it belongs to the coroutine until then.
    pub(crate) unsafe fn prepare(
        this: *mut Coroutine,
        stack: &Stack,
        top: *mut u8,
        entry: unsafe extern "C" fn(*mut ()) -> !,
        arg: *mut (),
    ) {
        debug_assert!(top.addr().is_multiple_of(16) && top > stack.limit() && top <= stack.end());
        let (Some(top), Some(limit)) =
            (StackPointer::new(top.addr()), StackPointer::new(stack.base().addr()))
        else {
            unreachable!("a stack does not begin or end at address 0")
        };
        let inner = Inner::with_stack(Below { top, limit }, move |yielder, ()| {
            // SAFETY: `this` is live until the coroutine has finished; `entry` and `arg` are the caller's.
            unsafe {
                (*this).yielder = yielder;
                entry(arg)
            }
        });
        // SAFETY: `this` is live. An `inner` that is there already belongs to a coroutine that has finished.
        unsafe {
            (*this).inner.write(inner);
            (*this).sp = top.get() as *mut u8;
            (*this).finished = false;
        }
    }

    /// Run the coroutine until it suspends or finishes.
    ///
    /// # Safety
    /// `this` is prepared or suspended, and nobody else resumes it. The caller is not on its stack. The caller
    /// keeps no address of a thread-local across this call if it may go on on another thread.
    #[inline(always)]
    pub(crate) unsafe fn resume(this: *mut Coroutine) {
        // SAFETY: prepared, so `inner` is there; the coroutine itself touches only the other fields.
        unsafe {
            let inner = (&raw mut (*this).inner).cast::<Inner>();
            (*inner).resume(());
            if (*this).finished {
                // Without this, dropping it would unwind its frames. What is on them needs no drop: `finish`
                // abandons them.
                (*inner).force_reset();
                inner.drop_in_place();
            }
        }
    }

    /// Go back to whoever resumed this coroutine; returns when it is resumed again, perhaps on another thread.
    ///
    /// # Safety
    /// The caller is on the stack of `this`, and keeps no address of a thread-local across this call.
    #[inline(always)]
    pub(crate) unsafe fn suspend(this: *mut Coroutine) {
        let mut here = 0_u8;
        // SAFETY: the coroutine runs, so its yielder is there.
        unsafe {
            (*this).sp = &raw mut here;
            (*(*this).yielder).suspend(());
        }
    }

    /// Go back to whoever resumed this coroutine, for good. The frames on its stack are abandoned: nothing on
    /// them is dropped or unwound. The stack may be used anew as soon as `resume` has returned.
    ///
    /// # Safety
    /// The caller is on the stack of `this`, at any depth; nobody resumes it again before it is prepared anew.
    pub(crate) unsafe fn finish(this: *mut Coroutine) -> ! {
        // SAFETY: as in `suspend`.
        unsafe {
            (*this).finished = true;
            (*(*this).yielder).suspend(());
        }
        unreachable!("a finished coroutine was resumed")
    }

    /// Where the stack of a suspended coroutine ends, for dumps: all its frames but the last are above.
    ///
    /// # Safety
    /// `this` is readable. If it is not suspended all the while, the answer means nothing.
    pub(crate) unsafe fn saved_sp(this: *const Coroutine) -> *mut u8 {
        // SAFETY: the caller's promise; volatile, as the coroutine may be running meanwhile.
        unsafe { (&raw const (*this).sp).read_volatile() }
    }

    /// Where corosensei keeps the registers is its own affair.
    pub(crate) const KEEPS_REGISTERS: bool = false;
}
