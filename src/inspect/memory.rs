//! Reading the stacks of goroutines, which may be running again.
//!
//! The one thing to know: a parked goroutine's stack is always mapped, whatever becomes of the goroutine, so it is
//! read directly, within its bounds.

use super::list::View;

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
