//! For the loom models, which know threads but no goroutines.

use super::WaitReason;
use super::timer::TimerNode;
use super::wait::Order;

pub(crate) enum Goroutine {}

pub(crate) fn current_goroutine() -> *mut Goroutine {
    std::ptr::null_mut()
}

/// # Safety
/// Never called: there is no goroutine.
pub(crate) unsafe fn park(_: *mut TimerNode, _: WaitReason, _: unsafe fn(*mut ()), _: *mut ()) {
    unreachable!("no goroutines in a model")
}

/// # Safety
/// Never called: there is no goroutine.
pub(crate) unsafe fn ready(_: *mut Goroutine, _: Order) {
    unreachable!("no goroutines in a model")
}
