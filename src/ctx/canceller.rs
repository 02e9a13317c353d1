//! A context that can be cancelled: its place in the tree, its birth and its end.
//!
//! The one thing to know: the tree of cancellers skips what lies between (values). A canceller is linked into the
//! nearest one above it, `up`, from its birth to its end, done or not; only one that is born done is not linked.

use super::after::Funcs;
use super::context::{Ctx, allocate};
use super::done::Done;
#[cfg(loom)]
use super::knobs::{self, Bug};
use super::{TIMED_OUT, deadline};
use crate::primitive::atomic::{AtomicI32, Ordering};
use crate::primitive::{FOREVER, SpinLock};
use crate::sched::removed;
use crate::sched::timer::TimerNode;
use std::cell::UnsafeCell;
use std::ptr::null_mut;

#[repr(C)]
pub(crate) struct Canceller {
    pub(super) ctx: Ctx,
    lock: SpinLock,
    /// Fixed after its birth.
    linked: bool,
    /// It has a timer of its own. Fixed.
    pub(super) timed: bool,
    /// Why it is done; 0: it is not. Written once, under `lock`; read under it, or when `done` says that it is.
    pub(super) err: AtomicI32,
    pub(super) cause: AtomicI32,
    pub(super) done: Done,
    /// The nearest canceller above, or null. Fixed. The chain of parents keeps it in place.
    pub(super) up: *mut Canceller,
    /// Its neighbours among the children of `up`. Guarded by the lock of `up`.
    pub(super) next: *mut Canceller,
    prev: *mut Canceller,
    /// Guarded by `lock`.
    pub(super) first_child: *mut Canceller,
    /// Guarded by `lock`.
    pub(super) funcs: Funcs,
    /// The earliest of its own and those above. Fixed.
    pub(super) deadline: i64,
    /// Inserted under `lock`, once, if it is `timed`.
    pub(super) timer: UnsafeCell<TimerNode>,
    /// In a model: stands for the memory.
    #[cfg(loom)]
    memory: loom::cell::UnsafeCell<()>,
}

impl Canceller {
    /// A child of `parent` with that deadline (`FOREVER`: none of its own); null if there is no memory. Of a parent
    /// that is done it is done at once, for the same reason.
    ///
    /// # Safety
    /// `parent` is live, or null for the background.
    pub(crate) unsafe fn create(parent: *mut Ctx, deadline: i64) -> *mut Ctx {
        let this: *mut Canceller = allocate();
        if this.is_null() {
            return null_mut();
        }
        // SAFETY: fresh memory; the caller's promise. Until it is linked nobody else knows it, and while the
        // caller has its handle it stays.
        unsafe {
            let up = Ctx::canceller(parent);
            let above = if up.is_null() { FOREVER } else { (*up).deadline };
            this.write(Canceller {
                ctx: Ctx::of_canceller(parent, this),
                lock: SpinLock::new(),
                linked: false,
                timed: deadline < above,
                err: AtomicI32::new(0),
                cause: AtomicI32::new(0),
                done: Done::new(),
                up,
                next: null_mut(),
                prev: null_mut(),
                first_child: null_mut(),
                funcs: Funcs::new(),
                deadline: deadline.min(above),
                timer: UnsafeCell::new(TimerNode::new()),
                #[cfg(loom)]
                memory: loom::cell::UnsafeCell::new(()),
            });
            if !up.is_null() {
                Self::join(this, up);
            }
            if (*this).timed {
                if deadline::passed(deadline) {
                    Self::cancel(this, TIMED_OUT, TIMED_OUT);
                } else {
                    Self::arm(this);
                }
            }
        }
        this.cast()
    }

    /// Become a child of `up`, or done as it is.
    ///
    /// # Safety
    /// Nobody else knows `this`; `up` is live.
    unsafe fn join(this: *mut Canceller, up: *mut Canceller) {
        // SAFETY: the caller's promise.
        unsafe {
            #[cfg(loom)]
            let looked = (*up).err.load(Ordering::Relaxed);
            Self::lock(up);
            let err = (*up).err.load(Ordering::Relaxed);
            #[cfg(loom)]
            let err = if knobs::is(Bug::LinkUnchecked) { looked } else { err };
            if err == 0 {
                let first = (*up).first_child;
                (*this).linked = true;
                (*this).next = first;
                if !first.is_null() {
                    (*first).prev = this;
                }
                (*up).first_child = this;
            } else {
                (*this).err.store(err, Ordering::Relaxed);
                (*this).cause.store((*up).cause.load(Ordering::Relaxed), Ordering::Relaxed);
                (*this).done.become_done();
            }
            Self::unlock(up);
        }
    }

    /// Its last reference is gone: leave the tree, then the memory.
    ///
    /// # Safety
    /// As said. The parent is still held.
    pub(super) unsafe fn free(this: *mut Canceller) {
        // SAFETY: the caller's promise, and the comments below.
        unsafe {
            #[cfg(loom)]
            let unlink = !knobs::is(Bug::FreeLinked);
            #[cfg(not(loom))]
            let unlink = true;
            if (*this).linked && unlink {
                // A walk that is here, or below, holds this lock; after it none comes here any more.
                let up = (*this).up;
                Self::lock(up);
                let (next, prev) = ((*this).next, (*this).prev);
                if prev.is_null() {
                    (*up).first_child = next;
                } else {
                    (*prev).next = next;
                }
                if !next.is_null() {
                    (*next).prev = prev;
                }
                Self::unlock(up);
            }
            // A cancel of this very context may have shown its effect and not yet unlocked.
            #[cfg(loom)]
            let wait = !knobs::is(Bug::FreeLocked);
            #[cfg(not(loom))]
            let wait = true;
            if wait {
                Self::lock(this);
                Self::unlock(this);
            }
            // From now on no heap knows the node: its claim would be refused, so no `fire` is to come.
            if (*this).timed && TimerNode::cancel((*this).timer.get()) {
                removed();
            }
            debug_assert!((*this).first_child.is_null());
            #[cfg(loom)]
            {
                (*this).memory.with_mut(|_| ());
                (*this).lock.retire();
                (*this).err.with_mut(|_| ());
                (*this).done.retire();
            }
            // No function is left in it (each would hold a reference), but perhaps their index's memory.
            std::ptr::drop_in_place(&raw mut (*this).funcs);
            Ctx::free::<Canceller>(this.cast());
        }
    }

    /// # Safety
    /// `this` is live until the lock is held.
    pub(super) unsafe fn lock(this: *mut Canceller) {
        // SAFETY: the caller's promise.
        unsafe {
            (*this).lock.lock();
            #[cfg(loom)]
            (*this).memory.with_mut(|_| ());
        }
    }

    /// # Safety
    /// The caller holds the lock. Without a reference of its own, the context may be gone when this returns.
    pub(super) unsafe fn unlock(this: *mut Canceller) {
        // SAFETY: the caller's promise.
        unsafe {
            #[cfg(loom)]
            (*this).memory.with_mut(|_| ());
            (*this).lock.unlock();
        }
    }
}
