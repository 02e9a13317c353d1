//! What stands in for goroutines in the loom models: a thread may say that it is one ([`become_goroutine`]).
//!
//! The one thing to know: its saved registers are a cell that loom watches, written by the switch away and read
//! by whoever resumes it. A thread that says nothing is a plain thread to everything that blocks.

use super::WaitReason;
use super::timer::{TimerHeap, TimerNode};
use super::wait::Order;
use crate::primitive::Accounted;
use crate::primitive::atomic::{AtomicU32, Ordering};
use loom::cell::UnsafeCell;
use loom::sync::{Arc, Notify};
use std::cell::Cell;
use std::ptr::null_mut;

/// What a model breaks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum SwitchBug {
    None,
    /// `release` is called before the registers are saved.
    ReleaseFirst,
    /// The timer is armed before the registers are saved.
    ArmFirst,
}

pub(crate) struct Goroutine {
    bug: SwitchBug,
    registers: UnsafeCell<u32>,
    /// 1: some worker runs it again.
    resumed: AtomicU32,
    /// How the model sleeps on `resumed`.
    wakes: Arc<Notify>,
    heap: *const TimerHeap,
}

loom::thread_local! {
    static CURRENT: Cell<*mut Goroutine> = Cell::new(null_mut());
    static HEAP: Cell<*const TimerHeap> = Cell::new(std::ptr::null());
}

/// The timers that the calling thread adds go to `heap`, which outlives the model's threads.
#[cfg(test)]
pub(crate) fn use_heap(heap: &TimerHeap) {
    HEAP.with(|current| current.set(heap));
}

/// See `arm.rs`. Nobody sleeps until a deadline in a model.
#[must_use]
pub(crate) struct Added;

impl Added {
    pub(crate) const fn nothing() -> Self {
        Added
    }

    pub(crate) fn tell(self) {}
}

/// # Safety
/// As in `arm.rs`, and the calling thread has said [`use_heap`].
pub(crate) unsafe fn add_timer(node: *mut TimerNode) -> Added {
    // SAFETY: the caller's promise.
    unsafe { (*HEAP.with(Cell::get)).insert(node) };
    Added
}

/// See `arm.rs`.
pub(crate) fn removed() {}

/// See `spawn.rs`.
pub(crate) struct NoMemory;

/// A goroutine that runs at once, on the calling thread.
pub(crate) fn go(
    body: unsafe extern "C" fn(*mut std::ffi::c_void),
    arg: *mut std::ffi::c_void,
) -> Result<(), NoMemory> {
    // SAFETY: the models' functions take what they are given.
    unsafe { body(arg) };
    Ok(())
}

/// The calling thread is a goroutine while it runs `body`. Its timers go to `heap`.
pub(crate) fn become_goroutine<T>(bug: SwitchBug, heap: &TimerHeap, body: impl FnOnce() -> T) -> T {
    let mut g = Goroutine {
        bug,
        registers: UnsafeCell::new(0),
        resumed: AtomicU32::new(0),
        wakes: Arc::new(Notify::new()),
        heap,
    };
    CURRENT.with(|current| current.set(&raw mut g));
    let result = body();
    CURRENT.with(|current| current.set(null_mut()));
    result
}

pub(crate) fn current_goroutine() -> *mut Goroutine {
    CURRENT.with(Cell::get)
}

/// # Safety
/// As in `switch.rs`.
pub(crate) unsafe fn park(timer: *mut TimerNode, _: WaitReason, release: unsafe fn(*mut ()), arg: *mut ()) {
    // SAFETY: the caller is a goroutine: `become_goroutine` keeps its record in place.
    let g = unsafe { &*current_goroutine() };
    // SAFETY: the heap outlives the goroutine; `timer` is its caller's.
    let arm = || unsafe {
        if (*timer).when() != i64::MAX {
            (*g.heap).insert(timer);
        }
    };
    // SAFETY: whether others touch it at the same time is what the models check.
    let save = || g.registers.with_mut(|registers| unsafe { *registers += 1 });
    // SAFETY: the caller's promise.
    let release = || unsafe { release(arg) };
    match g.bug {
        SwitchBug::None => {
            save();
            arm();
            release();
        }
        SwitchBug::ReleaseFirst => {
            arm();
            release();
            save();
        }
        SwitchBug::ArmFirst => {
            arm();
            save();
            release();
        }
    }
    // Acquire pairs with the Release in `ready`.
    while g.resumed.load(Ordering::Acquire) == 0 {
        g.wakes.wait();
    }
    g.resumed.store(0, Ordering::Relaxed);
}

/// # Safety
/// As in `switch.rs`.
pub(crate) unsafe fn ready(g: *mut Goroutine, _: Order) {
    // SAFETY: it is parked, so its record is in place. The worker that runs it next loads its registers.
    unsafe {
        (*g).registers.with_mut(|registers| *registers += 1);
        let wakes = (*g).wakes.clone();
        assert_eq!((*g).resumed.swap(1, Ordering::Release), 0, "resumed twice");
        wakes.notify();
    }
}

// All of a model's threads run in one thread of the process.
std::thread_local! {
    static ACCOUNTED: Cell<Option<&'static Accounted>> = const { Cell::new(None) };
}

/// The threads that wait are counted in `accounted`, which stays in place while the model's threads run; `None`: in
/// nothing, which keeps the models small that are not about it.
#[cfg(test)]
pub(crate) fn account_in(accounted: Option<&'static Accounted>) {
    ACCOUNTED.set(accounted);
}

// A model's mistake: `Wait::cancel` looks, and then stores.
std::thread_local! {
    static CANCELS_BLINDLY: Cell<bool> = const { Cell::new(false) };
}

#[cfg(test)]
pub(crate) fn cancel_blindly(blindly: bool) {
    CANCELS_BLINDLY.set(blindly);
}

pub(crate) fn cancels_blindly() -> bool {
    CANCELS_BLINDLY.get()
}

/// See `wait.rs`.
pub(crate) fn thread_waits() {
    if let Some(accounted) = ACCOUNTED.get() {
        accounted.add();
    }
}

/// See `wait.rs`.
pub(crate) fn thread_is_woken() {
    if let Some(accounted) = ACCOUNTED.get() {
        accounted.sub();
    }
}

/// The models look by themselves.
pub(crate) fn look() {}

// The bells of `poller/bell.rs`, by their numbers.
std::thread_local! {
    static BELLS: std::cell::RefCell<Vec<&'static AtomicU32>> = const { std::cell::RefCell::new(Vec::new()) };
}

/// A bell of this model. Models that ring begin with this, so that none is left of the last one.
#[cfg(test)]
pub(crate) fn the_bell() -> i32 {
    BELLS.with_borrow_mut(|bells| {
        *bells = vec![Box::leak(Box::new(AtomicU32::new(0)))];
        0
    })
}

fn bell(number: i32) -> &'static AtomicU32 {
    BELLS.with_borrow(|bells| bells[number as usize])
}

/// See `bell.rs`.
pub(crate) fn ring(number: i32) {
    let bell = bell(number);
    // As the kernel, which counts under a lock, it must come after all that was heard before: loom lets a plain store come
    // before a swap that did not see it.
    bell.swap(1, Ordering::AcqRel);
    crate::primitive::futex_wake(bell, 1);
}

/// Sleep until it is rung, and hear it.
#[cfg(test)]
pub(crate) fn sleep_by(number: i32) {
    let bell = bell(number);
    while bell.swap(0, Ordering::Acquire) == 0 {
        crate::primitive::futex_wait(bell, 0, crate::primitive::FOREVER);
    }
}
