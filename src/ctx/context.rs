//! What all contexts have: references, the chain of parents, values.
//!
//! The one thing to know: there are three kinds below the background, and each begins with a [`Ctx`]. One that
//! can be cancelled is a [`Canceller`]; one with a value is a [`Pair`], or an [`OwnedPair`], which begins with one; one that shields those below it from the
//! cancels above has nothing but the `Ctx`. What is asked often is found without a walk: a context knows the
//! nearest canceller and the nearest value at or above it.

use super::canceller::Canceller;
use crate::fatal::fatal;
use crate::primitive::FOREVER;
use crate::primitive::atomic::{AtomicU32, Ordering};
#[cfg(not(loom))]
use std::alloc::dealloc;
use std::alloc::{Layout, alloc};
use std::ffi::c_void;
use std::ptr::{null, null_mut};

/// Reached through raw pointers only: it may be freed by another as soon as a call's effect is seen.
#[repr(C)]
pub(crate) struct Ctx {
    refs: AtomicU32,
    /// Fixed, as all below.
    kind: Kind,
    /// Owned: one reference. Null: above is the background.
    parent: *mut Ctx,
    /// What its end comes from: itself, or the nearest above; null: it never ends. The chain of parents keeps it
    /// in place.
    canceller: *mut Canceller,
    /// The nearest value at or above it, or null. Kept in place likewise.
    values: *const Pair,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    #[cfg(not(loom))]
    Background,
    Canceller,
    Pair,
    OwnedPair,
    Shield,
}

/// A context with a value.
#[repr(C)]
struct Pair {
    ctx: Ctx,
    key: *const c_void,
    value: *mut c_void,
}

/// A context with a value that is the context's own.
#[repr(C)]
struct OwnedPair {
    pair: Pair,
    destroy: Destroy,
}

/// The host's function for the value of a context that is freed.
pub(crate) type Destroy = unsafe extern "C" fn(value: *mut c_void);

// SAFETY: the background is shared by all; it is never changed.
unsafe impl Sync for Ctx {}

/// The root of all trees. It has no references.
#[cfg(not(loom))]
static BACKGROUND: Ctx = Ctx {
    refs: AtomicU32::new(1),
    kind: Kind::Background,
    parent: null_mut(),
    canceller: null_mut(),
    values: null(),
};

/// The context that is never cancelled, has no deadline and no values.
#[cfg(not(loom))]
pub(crate) fn background() -> *mut Ctx {
    (&raw const BACKGROUND).cast_mut()
}

/// Memory for a context, or null.
pub(super) fn allocate<T>() -> *mut T {
    // SAFETY: no kind of context has size 0.
    unsafe { alloc(Layout::new::<T>()) }.cast()
}

/// In each of these `this` is live, and stays so until the call's effect can be seen.
impl Ctx {
    /// A child of `parent` with that value; null if there is no memory.
    ///
    /// # Safety
    /// `parent` is live, or null for the background.
    pub(crate) unsafe fn with_value(parent: *mut Ctx, key: *const c_void, value: *mut c_void) -> *mut Ctx {
        let this: *mut Pair = allocate();
        if !this.is_null() {
            // SAFETY: fresh memory; the caller's promise.
            unsafe {
                let canceller = Self::canceller(parent);
                this.write(Pair { ctx: Self::child_of(parent, Kind::Pair, canceller, this), key, value });
            }
        }
        this.cast()
    }

    /// As `with_value`, for a value that is given to `destroy` when the context is freed; not if this is null.
    ///
    /// # Safety
    /// As for `with_value`; `destroy` may be called with `value`.
    pub(crate) unsafe fn with_value_owned(
        parent: *mut Ctx,
        key: *const c_void,
        value: *mut c_void,
        destroy: Destroy,
    ) -> *mut Ctx {
        let this: *mut OwnedPair = allocate();
        if !this.is_null() {
            // SAFETY: fresh memory; the caller's promise. It begins with the `Pair`.
            unsafe {
                let ctx = Self::child_of(parent, Kind::OwnedPair, Self::canceller(parent), this.cast());
                this.write(OwnedPair { pair: Pair { ctx, key, value }, destroy });
            }
        }
        this.cast()
    }

    /// A child of `parent` that keeps its values and nothing else; null if there is no memory.
    ///
    /// # Safety
    /// As for `with_value`.
    pub(crate) unsafe fn without_cancel(parent: *mut Ctx) -> *mut Ctx {
        let this: *mut Ctx = allocate();
        if !this.is_null() {
            // SAFETY: fresh memory; the caller's promise.
            unsafe { this.write(Self::child_of(parent, Kind::Shield, null_mut(), Self::values(parent))) };
        }
        this
    }

    /// The beginning of a canceller at `this`, which holds its parent.
    ///
    /// # Safety
    /// As for `with_value`.
    pub(super) unsafe fn of_canceller(parent: *mut Ctx, this: *mut Canceller) -> Ctx {
        // SAFETY: the caller's promise.
        unsafe { Self::child_of(parent, Kind::Canceller, this, Self::values(parent)) }
    }

    /// # Safety
    /// As for `with_value`.
    unsafe fn child_of(parent: *mut Ctx, kind: Kind, canceller: *mut Canceller, values: *const Pair) -> Ctx {
        // SAFETY: the caller's promise.
        let parent = unsafe {
            if parent.is_null() || Self::is_background(parent) {
                null_mut()
            } else {
                Self::retain(parent);
                parent
            }
        };
        Ctx { refs: AtomicU32::new(1), kind, parent, canceller, values }
    }

    /// The value of `key` that is nearest, at `this` or above; null if there is none.
    ///
    /// # Safety
    /// As said above.
    pub(crate) unsafe fn value(this: *mut Ctx, key: *const c_void) -> *mut c_void {
        // SAFETY: the chain of parents keeps the values in place, and they never change.
        unsafe {
            let mut pair = Self::values(this);
            while !pair.is_null() {
                if std::ptr::eq((*pair).key, key) {
                    return (*pair).value;
                }
                pair = Self::values((*pair).ctx.parent);
            }
        }
        null_mut()
    }

    /// The earliest deadline at `this` or above, up to the next shield; `FOREVER` if there is none.
    ///
    /// # Safety
    /// As said above.
    pub(crate) unsafe fn deadline(this: *mut Ctx) -> i64 {
        // SAFETY: the chain of parents keeps the canceller in place; its deadline never changes.
        unsafe {
            let canceller = Self::canceller(this);
            if canceller.is_null() { FOREVER } else { (*canceller).deadline }
        }
    }

    /// What its end comes from, or null.
    ///
    /// # Safety
    /// `this` is live, or null.
    pub(super) unsafe fn canceller(this: *mut Ctx) -> *mut Canceller {
        // SAFETY: the caller's promise.
        if this.is_null() { null_mut() } else { unsafe { (*this).canceller } }
    }

    /// `this`, if it can be cancelled itself; else null.
    ///
    /// # Safety
    /// `this` is live.
    pub(super) unsafe fn as_canceller(this: *mut Ctx) -> *mut Canceller {
        // SAFETY: the caller's promise.
        if unsafe { (*this).kind } == Kind::Canceller { this.cast() } else { null_mut() }
    }

    /// # Safety
    /// As for `canceller`.
    unsafe fn values(this: *mut Ctx) -> *const Pair {
        // SAFETY: the caller's promise.
        if this.is_null() { null() } else { unsafe { (*this).values } }
    }

    #[cfg(not(loom))]
    unsafe fn is_background(this: *mut Ctx) -> bool {
        // SAFETY: the caller's promise.
        unsafe { (*this).kind == Kind::Background }
    }

    /// A model's background is null.
    #[cfg(loom)]
    unsafe fn is_background(_: *mut Ctx) -> bool {
        false
    }

    /// # Safety
    /// As said above.
    pub(crate) unsafe fn retain(this: *mut Ctx) {
        // SAFETY: the caller's promise. Relaxed: who passes the new reference on, orders it.
        unsafe {
            if Self::is_background(this) {
                return;
            }
            let before = (*this).refs.fetch_add(1, Ordering::Relaxed);
            if before > i32::MAX as u32 {
                fatal(format_args!("gort_ctx_retain: more than 2^31 references to one context"));
            }
        }
    }

    /// Take a reference although the caller has none, unless the last one is gone.
    ///
    /// # Safety
    /// Something other than a reference keeps the memory in place for the call.
    pub(super) unsafe fn try_retain(this: *mut Ctx) -> bool {
        // SAFETY: the caller's promise. Relaxed: nothing is read on account of the count; what keeps the memory
        // has ordered the rest.
        unsafe {
            let refs = &(*this).refs;
            let mut n = refs.load(Ordering::Relaxed);
            while n != 0 {
                match refs.compare_exchange_weak(n, n + 1, Ordering::Relaxed, Ordering::Relaxed) {
                    Ok(_) => return true,
                    Err(now) => n = now,
                }
            }
        }
        false
    }

    /// Give up a reference. The last one frees the context, and gives up its parent, and so on: a loop, since a
    /// chain may be long.
    ///
    /// # Safety
    /// The caller owns the reference, and holds no context's lock.
    pub(crate) unsafe fn release(mut this: *mut Ctx) {
        // SAFETY: the caller's promise, and then a context's reference to its parent.
        unsafe {
            if Self::is_background(this) {
                return;
            }
            while !this.is_null() && Self::drop_ref(this) {
                let parent = (*this).parent;
                match (*this).kind {
                    Kind::Canceller => Canceller::free(this.cast()),
                    Kind::Pair => Self::free::<Pair>(this),
                    Kind::OwnedPair => {
                        let OwnedPair { pair: Pair { value, .. }, destroy } = this.cast::<OwnedPair>().read();
                        Self::free::<OwnedPair>(this);
                        destroy(value);
                    }
                    _ => Self::free::<Ctx>(this),
                }
                this = parent;
            }
        }
    }

    /// True: it was the last, and the context is the caller's.
    ///
    /// # Safety
    /// As for `release`.
    unsafe fn drop_ref(this: *mut Ctx) -> bool {
        // SAFETY: the caller's promise.
        unsafe {
            let refs = &(*this).refs;
            if (*this).kind == Kind::Canceller {
                loop {
                    // Acquire: with one left, what was done under the others is over and seen.
                    let n = refs.load(Ordering::Acquire);
                    if n == 1 {
                        // Nobody but a timer can raise it now (`try_retain`), and that gives it up by this call.
                        if Canceller::pass_to_chan(this.cast()) {
                            return false;
                        }
                        break;
                    }
                    if refs.compare_exchange_weak(n, n - 1, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                        return false;
                    }
                }
            }
            // AcqRel: as above.
            refs.fetch_sub(1, Ordering::AcqRel) == 1
        }
    }

    /// # Safety
    /// `this` begins a `T`, which nobody else knows any more and in which nothing is left to drop.
    pub(super) unsafe fn free<T>(this: *mut Ctx) {
        // A model keeps the memory: what comes too late must meet a retired context, not garbage.
        #[cfg(loom)]
        // SAFETY: the caller's promise.
        unsafe {
            (*this).refs.with_mut(|_| ());
        }
        // SAFETY: as above; `allocate` made it.
        #[cfg(not(loom))]
        unsafe {
            dealloc(this.cast(), Layout::new::<T>());
        }
    }
}
