//! The timer: its state, its references, and what its holder does with it.

use super::Call;
use super::fire;
use crate::chan::{Chan, Owner};
use crate::primitive::atomic::{AtomicU32, Ordering};
use crate::primitive::{FOREVER, SpinLock, now};
use crate::sched::timer::TimerNode;
use crate::sched::{Added, add_timer, removed};
#[cfg(not(loom))]
use std::alloc::dealloc;
use std::alloc::{Layout, alloc};
use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::ptr::null_mut;

/// Reached through raw pointers only: it may be freed by another as soon as its lock is released.
pub(crate) struct Timer {
    /// Touched under the lock, or by the heap that it is in.
    pub(super) node: UnsafeCell<TimerNode>,
    lock: SpinLock,
    refs: AtomicU32,
    /// Fixed.
    pub(super) what: What,
    /// Guarded by `lock`.
    state: UnsafeCell<State>,
    /// What a model breaks.
    #[cfg(loom)]
    pub(super) bug: Bug,
    /// In a model: stands for the memory.
    #[cfg(loom)]
    memory: loom::cell::UnsafeCell<()>,
}

/// What a timer does when it is due.
#[derive(Clone, Copy)]
pub(super) enum What {
    /// Send the deadline.
    Tick(*mut Chan),
    /// Start a goroutine.
    Call(Call, *mut c_void),
}

pub(super) struct State {
    /// When it is due, if `active`.
    pub(super) when: i64,
    /// Of a ticker; else 0.
    pub(super) period: i64,
    pub(super) active: bool,
    /// The node was inserted, and neither cancelled nor its `fire` called: a reference to the timer.
    pub(super) queued: bool,
}

#[cfg(loom)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Bug {
    None,
    /// The tick is sent after the lock was released.
    SendUnlocked,
    /// `fire` does not look whether it is still wanted.
    FireStopped,
    /// `fire` does not look whether the deadline has moved.
    FireMoved,
    /// Stop and reset leave the buffer alone.
    NoDrain,
    /// The channel's end does not wait for the timer's lock.
    GoneUnlocked,
    /// A prompted tick is sent, and the timer stays as it was.
    PromptOnly,
}

/// How long from now is when?
fn deadline(ns: i64) -> i64 {
    if ns == FOREVER { FOREVER } else { now().saturating_add(ns.max(0)) }
}

/// A channel that yields one tick after `ns`, with one reference; null if there is no memory.
pub(crate) fn after(ns: i64) -> *mut Chan {
    let timer = Timer::once(ns);
    // SAFETY: just made; its handle is the reference to its channel, which is passed on.
    if timer.is_null() { null_mut() } else { unsafe { Timer::chan(timer) } }
}

impl Timer {
    /// A timer that ticks once; null if there is no memory.
    pub(crate) fn once(ns: i64) -> *mut Timer {
        Self::with_chan(deadline(ns), 0)
    }

    /// A timer that ticks every `period` ns (more than 0); null if there is no memory.
    pub(crate) fn ticker(period: i64) -> *mut Timer {
        Self::with_chan(deadline(period), period)
    }

    /// A timer that calls `call(arg)` in a goroutine; null if there is no memory.
    pub(crate) fn func(ns: i64, call: Call, arg: *mut c_void) -> *mut Timer {
        let when = deadline(ns);
        let this = Self::allocate();
        if !this.is_null() {
            // SAFETY: fresh memory.
            unsafe { Self::begin(this, What::Call(call, arg), when, 0) };
        }
        this
    }

    fn with_chan(when: i64, period: i64) -> *mut Timer {
        let this = Self::allocate();
        if this.is_null() {
            return null_mut();
        }
        let chan =
            Chan::new_owned(size_of::<i64>(), 1, Owner { prompt: fire::prompt, gone, arg: this.cast() });
        // SAFETY: fresh memory, and it goes back unused if there is none for the channel.
        unsafe {
            if chan.is_null() {
                #[cfg(not(loom))]
                dealloc(this.cast(), Layout::new::<Timer>());
                return null_mut();
            }
            Self::begin(this, What::Tick(chan), when, period);
        }
        this
    }

    fn allocate() -> *mut Timer {
        // SAFETY: the size is not zero.
        unsafe { alloc(Layout::new::<Timer>()) }.cast()
    }

    /// # Safety
    /// `this` is memory for a timer.
    unsafe fn begin(this: *mut Timer, what: What, when: i64, period: i64) {
        // SAFETY: the caller's promise; nobody else knows the timer before `arm`, and the lock is held until
        // all is written.
        unsafe {
            this.write(Timer {
                node: UnsafeCell::new(TimerNode::new()),
                lock: SpinLock::new(),
                refs: AtomicU32::new(1),
                what,
                state: UnsafeCell::new(State { when, period, active: true, queued: false }),
                #[cfg(loom)]
                bug: Bug::None,
                #[cfg(loom)]
                memory: loom::cell::UnsafeCell::new(()),
            });
            Self::lock(this);
            let added = Self::arm(this);
            if (*Self::state(this)).queued {
                Self::retain(this);
            }
            Self::unlock(this);
            added.tell();
        }
    }

    /// The channel of its ticks; null if it has none.
    ///
    /// # Safety
    /// `this` is live.
    pub(crate) unsafe fn chan(this: *mut Timer) -> *mut Chan {
        // SAFETY: the caller's promise; it never changes.
        match unsafe { (*this).what } {
            What::Tick(chan) => chan,
            What::Call(..) => null_mut(),
        }
    }

    /// Is it a ticker?
    ///
    /// # Safety
    /// `this` is live.
    pub(crate) unsafe fn is_ticker(this: *mut Timer) -> bool {
        // SAFETY: the caller's promise. Whether the period is 0 never changes, but a reset may write it.
        unsafe {
            Self::lock(this);
            let ticker = (*Self::state(this)).period != 0;
            Self::unlock(this);
            ticker
        }
    }

    /// Fire no more. True: it was active, or its tick had not been received (and will not be).
    ///
    /// # Safety
    /// The caller holds a handle.
    pub(crate) unsafe fn stop(this: *mut Timer) -> bool {
        // SAFETY: the caller's promise.
        unsafe {
            Self::lock(this);
            let pending = Self::halt(this) | Self::take_back(this);
            Self::unlock(this);
            pending
        }
    }

    /// Be due in `ns`; a ticker, every `ns` from then on (more than 0). True as for [`Timer::stop`].
    ///
    /// # Safety
    /// The caller holds a handle.
    pub(crate) unsafe fn reset(this: *mut Timer, ns: i64) -> bool {
        let when = deadline(ns);
        // SAFETY: the caller's promise.
        unsafe {
            Self::lock(this);
            let pending = Self::halt(this) | Self::take_back(this);
            let state = &mut *Self::state(this);
            state.active = true;
            state.when = when;
            if state.period != 0 {
                state.period = ns;
            }
            let mut added = Added::nothing();
            // If the node is still queued, `fire` is on its way and will see that the deadline has moved.
            if !state.queued {
                added = Self::arm(this);
                if (*Self::state(this)).queued {
                    Self::retain(this);
                }
            }
            // The last touch: the tick may be received, and the timer be gone, before we return.
            Self::unlock(this);
            added.tell();
            pending
        }
    }

    /// Give up the handle.
    ///
    /// # Safety
    /// The caller owns it.
    pub(crate) unsafe fn release(this: *mut Timer) {
        // SAFETY: the caller's promise; see the module's comment for what a handle is.
        unsafe {
            match (*this).what {
                What::Tick(chan) => Chan::release(chan),
                What::Call(..) => Self::drop_ref(this),
            }
        }
    }

    /// Not active any more; was it? Takes the node out of its heap if it is still in one. The reference that
    /// goes with that is not the last.
    ///
    /// # Safety
    /// The caller holds the lock, and a reference.
    unsafe fn halt(this: *mut Timer) -> bool {
        // SAFETY: the caller's promise.
        unsafe {
            Self::unqueue(this);
            std::mem::replace(&mut (*Self::state(this)).active, false)
        }
    }

    /// Take the node out of its heap if it is still in one, and with it the reference that it is. Afterwards it
    /// is queued only if it was claimed: then its `fire` is on its way.
    ///
    /// # Safety
    /// As for `halt`.
    pub(super) unsafe fn unqueue(this: *mut Timer) {
        // SAFETY: the caller's promise; the node is inserted under the lock only.
        unsafe {
            let state = &mut *Self::state(this);
            if state.queued && TimerNode::cancel((*this).node.get()) {
                state.queued = false;
                removed();
                // Relaxed: the caller's own reference is given up after this.
                (*this).refs.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// Take back a tick that nobody has received; was there one?
    ///
    /// # Safety
    /// The caller holds the lock, and a handle.
    unsafe fn take_back(this: *mut Timer) -> bool {
        // SAFETY: the caller's handle keeps the channel.
        unsafe {
            #[cfg(loom)]
            if (*this).bug == Bug::NoDrain {
                return false;
            }
            match (*this).what {
                // A tick is sent under our lock, so what the call sees without the channel's is exact.
                What::Tick(chan) => Chan::take_back(chan),
                What::Call(..) => false,
            }
        }
    }

    /// Put the node into a heap, unless it will never be due.
    ///
    /// # Safety
    /// The caller holds the lock; `queued` is false. If it is true afterwards there must be a reference for it
    /// before the unlock.
    pub(super) unsafe fn arm(this: *mut Timer) -> Added {
        // SAFETY: the node is in no heap, and no `fire` of it is to come, since it is not queued; it stays in
        // place as long as there is a reference for being queued. Heaps outlive it.
        unsafe {
            let state = &mut *Self::state(this);
            if state.when == FOREVER {
                return Added::nothing();
            }
            state.queued = true;
            let kind = match (*this).what {
                What::Tick(_) => &fire::TICK,
                What::Call(..) => &fire::CALL,
            };
            (*(*this).node.get()).set(state.when, kind);
            add_timer((*this).node.get())
        }
    }

    /// # Safety
    /// `this` is live; the result is used under the lock.
    pub(super) unsafe fn state(this: *mut Timer) -> *mut State {
        // SAFETY: the caller's promise.
        unsafe { (*this).state.get() }
    }

    /// # Safety
    /// `this` is live until the lock is held.
    pub(super) unsafe fn lock(this: *mut Timer) {
        // SAFETY: the caller's promise.
        unsafe {
            (*this).lock.lock();
            #[cfg(loom)]
            (*this).memory.with_mut(|_| ());
        }
    }

    /// # Safety
    /// The caller holds the lock. Without a reference of its own, the timer may be gone when this returns.
    pub(super) unsafe fn unlock(this: *mut Timer) {
        // SAFETY: the caller's promise.
        unsafe {
            #[cfg(loom)]
            (*this).memory.with_mut(|_| ());
            (*this).lock.unlock();
        }
    }

    /// # Safety
    /// The caller holds the lock of a live timer.
    pub(super) unsafe fn retain(this: *mut Timer) {
        // SAFETY: the caller's promise. Relaxed: whoever gives it up takes the lock first.
        unsafe { (*this).refs.fetch_add(1, Ordering::Relaxed) };
    }

    /// # Safety
    /// The caller owns a reference, and does not hold the lock.
    pub(super) unsafe fn drop_ref(this: *mut Timer) {
        // SAFETY: the caller's promise. AcqRel: what was done under other references is over, and seen.
        unsafe {
            if (*this).refs.fetch_sub(1, Ordering::AcqRel) == 1 {
                // A model keeps the memory: what comes too late must meet a retired timer, not garbage.
                #[cfg(loom)]
                {
                    (*this).memory.with_mut(|_| ());
                    (*this).lock.retire();
                    (*this).refs.with_mut(|_| ());
                }
                // Nothing in it has a destructor.
                #[cfg(not(loom))]
                dealloc(this.cast(), Layout::new::<Timer>());
            }
        }
    }
}

/// The channel is about to be freed: nobody can receive a tick any more.
///
/// # Safety
/// `this` is the timer of that channel.
unsafe fn gone(this: *mut ()) {
    let this: *mut Timer = this.cast();
    // SAFETY: the channel's reference is ours to give up. Whoever fires holds the lock while it is in the
    // channel, and finds the timer not active after this.
    unsafe {
        #[cfg(loom)]
        let locked = (*this).bug != Bug::GoneUnlocked;
        #[cfg(not(loom))]
        let locked = true;
        if locked {
            Timer::lock(this);
            Timer::halt(this);
            Timer::unlock(this);
        }
        Timer::drop_ref(this);
    }
}
