//! Cancelling a context and all below it.
//!
//! The one thing to know: the walk goes down first, then on to the sibling, then back up, and holds the locks of
//! the path from the top to where it is; `mod.rs` says why that is enough.

use super::after::FuncList;
use super::canceller::Canceller;
use super::context::Ctx;
#[cfg(loom)]
use super::knobs::{self, Bug};
use crate::primitive::atomic::Ordering;
use crate::sched::removed;
use crate::sched::timer::TimerNode;
use crate::sched::wait::WakeList;

/// Whom to tell when all is unlocked.
pub(super) struct News {
    pub(super) woken: WakeList,
    pub(super) funcs: FuncList,
}

impl Ctx {
    /// Cancel `this` and all below it, unless it is done. One that has no cancel of its own is left alone.
    ///
    /// # Safety
    /// `this` is live until the effect can be seen.
    pub(crate) unsafe fn cancel(this: *mut Ctx, err: i32, cause: i32) {
        // SAFETY: the caller's promise.
        unsafe {
            let canceller = Self::as_canceller(this);
            if !canceller.is_null() {
                Canceller::cancel(canceller, err, cause);
            }
        }
    }
}

impl Canceller {
    /// # Safety
    /// `top` is live until the effect can be seen; the caller holds no lock.
    pub(super) unsafe fn cancel(top: *mut Canceller, err: i32, cause: i32) {
        let mut news = News { woken: WakeList::new(), funcs: FuncList::new() };
        // SAFETY: `top` stays until it is unlocked, since the last release waits for that; and what is linked
        // below a context whose lock we hold stays likewise.
        unsafe {
            Self::lock(top);
            if Self::finish(top, err, cause, &mut news) {
                Self::walk(top, err, cause, &mut news);
            }
            Self::unlock(top);
            news.tell();
        }
    }

    /// Cancel all below `top`.
    ///
    /// # Safety
    /// The caller holds the lock of `top`, and that alone, now and afterwards.
    unsafe fn walk(top: *mut Canceller, err: i32, cause: i32, news: &mut News) {
        // Where we are: its lock is held, and those of all from there up to `top`.
        let mut at = top;
        // SAFETY: see the module's comment.
        unsafe {
            #[cfg(loom)]
            if knobs::is(Bug::UnlockFirst) {
                return Self::walk_unlocked(top, err, cause, news);
            }
            let mut child = (*at).first_child;
            loop {
                if !child.is_null() {
                    Self::lock(child);
                    if Self::finish(child, err, cause, news) {
                        at = child;
                        child = (*at).first_child;
                    } else {
                        // Somebody has been through all that is below it, too.
                        let sibling = (*child).next;
                        Self::unlock(child);
                        child = sibling;
                    }
                } else if at == top {
                    return;
                } else {
                    // The lock of `up` guards `next`, and keeps `at` in place until we have it.
                    let (sibling, up) = ((*at).next, (*at).up);
                    Self::unlock(at);
                    child = sibling;
                    at = up;
                }
            }
        }
    }

    /// As `walk`, with one mistake and for one level.
    ///
    /// # Safety
    /// Not given: that is the point.
    #[cfg(loom)]
    unsafe fn walk_unlocked(top: *mut Canceller, err: i32, cause: i32, news: &mut News) {
        // SAFETY: a model keeps the memory.
        unsafe {
            let mut child = (*top).first_child;
            Self::unlock(top);
            while !child.is_null() {
                Self::lock(child);
                Self::finish(child, err, cause, news);
                let sibling = (*child).next;
                Self::unlock(child);
                child = sibling;
            }
            Self::lock(top);
        }
    }

    /// Make one context done. False: it was, and so is all below it.
    ///
    /// # Safety
    /// The caller holds its lock.
    unsafe fn finish(this: *mut Canceller, err: i32, cause: i32, news: &mut News) -> bool {
        // SAFETY: the caller's promise. Relaxed: written under the lock only.
        unsafe {
            if (*this).err.load(Ordering::Relaxed) != 0 {
                return false;
            }
            #[cfg(loom)]
            if knobs::is(Bug::DoneFirst) {
                Self::show_done(this, &mut news.woken);
            }
            (*this).cause.store(cause, Ordering::Relaxed);
            (*this).err.store(err, Ordering::Relaxed);
            // Inserted under this lock, if it was. If it is firing it will find that all is done.
            if (*this).timed && TimerNode::cancel((*this).timer.get()) {
                removed();
            }
            Self::show_done(this, &mut news.woken);
            news.funcs.take_all(&mut (*this).funcs);
        }
        true
    }
}

impl News {
    /// # Safety
    /// The caller holds no lock.
    unsafe fn tell(self) {
        // SAFETY: the caller's promise; those in it were claimed or taken by us alone.
        unsafe {
            self.woken.wake();
            self.funcs.start();
        }
    }
}
