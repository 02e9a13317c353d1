//! The channel itself: one allocation, a header and behind it the ring of elements.
//!
//! The one thing to know: a channel is only ever reached through `*mut Chan`, never through a reference to the
//! whole, because it may be freed by a peer the moment its lock is released, while the call that released it
//! is still on its way out.

use super::dropper::Dropper;
use super::element;
use super::owner::Owner;
use super::witness::Witness;
use crate::fatal::fatal;
use crate::primitive::SpinLock;
use crate::primitive::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicUsize, Ordering};
use crate::sched::wait::Queue;
#[cfg(not(loom))]
use std::alloc::dealloc;
use std::alloc::{Layout, alloc};
use std::ptr::null_mut;

/// The last reference is gone; whoever takes out the last pin frees.
const ORPHANED: u8 = 1;
/// Behind the buffer stands an [`Owner`]. Fixed.
const OWNED: u8 = 2;
/// Behind the buffer stands a [`Dropper`]. Fixed. Not together with `OWNED`.
const DROPS: u8 = 4;

/// The header. What has no comment on who may touch it is guarded by `lock`; the atomics are written under it
/// as well, and read under it or without.
#[repr(C)]
pub(crate) struct Chan {
    lock: SpinLock,
    pub(super) closed: AtomicBool,
    /// `receivers` is not empty.
    pub(super) receiving: AtomicBool,
    /// `senders` is not empty.
    pub(super) sending: AtomicBool,
    /// `ORPHANED`, `OWNED`, `DROPS`. Changed under the lock only.
    bits: AtomicU8,
    /// Handles held by users. Not under the lock.
    refs: AtomicU32,
    /// Calls that will come back to unlink their waiters, whatever becomes of the references.
    pins: u32,
    /// Elements in the buffer.
    pub(super) len: AtomicUsize,
    /// Fixed, as the next.
    pub(super) cap: usize,
    pub(super) elem_size: usize,
    /// Size of the buffer: `cap * elem_size`. Fixed.
    bytes: usize,
    /// Offset in the buffer of the first element, and of the first free place.
    head: usize,
    tail: usize,
    pub(super) receivers: Queue,
    pub(super) senders: Queue,
    /// Stands for all of the above that is not atomic, and for the buffer.
    pub(super) guarded: Witness,
}

#[cfg(all(not(loom), target_pointer_width = "64"))]
const _: () = assert!(size_of::<Chan>() == 96);

impl Chan {
    /// A channel with one reference, or null: the sizes overflow, or no memory.
    pub(crate) fn new(elem_size: usize, cap: usize) -> *mut Chan {
        Self::allocate(elem_size, cap, 0)
    }

    /// As `new`, for a channel that tells `owner` when it is freed.
    pub(crate) fn new_owned(elem_size: usize, cap: usize, owner: Owner) -> *mut Chan {
        let this = Self::allocate(elem_size, cap, OWNED);
        if !this.is_null() {
            // SAFETY: just allocated with a place for it behind the buffer.
            unsafe { Self::owner(this).write_unaligned(owner) };
        }
        this
    }

    /// As `new`, for a channel whose elements are given to `dropper` when nobody receives them.
    pub(crate) fn new_dropping(elem_size: usize, cap: usize, dropper: Dropper) -> *mut Chan {
        let this = Self::allocate(elem_size, cap, DROPS);
        if !this.is_null() {
            // SAFETY: just allocated with a place for it behind the buffer.
            unsafe { Self::trailer::<Dropper>(this).write_unaligned(dropper) };
        }
        this
    }

    fn allocate(elem_size: usize, cap: usize, bits: u8) -> *mut Chan {
        let Some(bytes) = elem_size.checked_mul(cap) else { return null_mut() };
        let Some(layout) = Self::layout(bytes, bits) else { return null_mut() };
        // SAFETY: the size is not zero, the header is part of it.
        let this: *mut Chan = unsafe { alloc(layout) }.cast();
        if this.is_null() {
            return null_mut();
        }
        let header = Chan {
            lock: SpinLock::new(),
            closed: AtomicBool::new(false),
            receiving: AtomicBool::new(false),
            sending: AtomicBool::new(false),
            bits: AtomicU8::new(bits),
            refs: AtomicU32::new(1),
            pins: 0,
            len: AtomicUsize::new(0),
            cap,
            elem_size,
            bytes,
            head: 0,
            tail: 0,
            receivers: Queue::new(),
            senders: Queue::new(),
            guarded: Witness::new(),
        };
        // SAFETY: fresh memory of that layout.
        unsafe { this.write(header) };
        this
    }

    /// No over-alignment: elements are copied byte for byte wherever they lie, and `posix_memalign` costs
    /// several times a `malloc`.
    fn layout(bytes: usize, bits: u8) -> Option<Layout> {
        let trailer = match bits & (OWNED | DROPS) {
            0 => 0,
            OWNED => size_of::<Owner>(),
            _ => size_of::<Dropper>(),
        };
        let size = size_of::<Chan>().checked_add(bytes)?.checked_add(trailer)?;
        Layout::from_size_align(size, align_of::<Chan>()).ok()
    }

    /// Where the owner of a channel stands that has one.
    ///
    /// # Safety
    /// `this` is live.
    pub(super) unsafe fn owner(this: *mut Chan) -> *mut Owner {
        // SAFETY: the caller's promise.
        unsafe { Self::trailer(this) }
    }

    /// What stands behind the buffer, unaligned.
    ///
    /// # Safety
    /// `this` is live.
    unsafe fn trailer<T>(this: *mut Chan) -> *mut T {
        // SAFETY: the caller's promise.
        Self::buffer(this).wrapping_add(unsafe { (*this).bytes }).cast()
    }

    /// Whom an element goes to that nobody receives; `None`: nobody.
    ///
    /// # Safety
    /// `this` is live.
    #[inline(always)]
    pub(super) unsafe fn dropper(this: *mut Chan) -> Option<Dropper> {
        // SAFETY: the caller's promise; where the bit is set, `new_dropping` has written it. It never changes.
        unsafe { Self::drops(this).then(|| Self::trailer::<Dropper>(this).read_unaligned()) }
    }

    /// # Safety
    /// `this` is live, and stays so for the call.
    pub(crate) unsafe fn retain(this: *mut Chan) {
        // SAFETY: the caller's promise. Relaxed: who passes the new handle on, orders it.
        let before = unsafe { (*this).refs.fetch_add(1, Ordering::Relaxed) };
        if before > i32::MAX as u32 {
            fatal(format_args!("gort_chan_retain: more than 2^31 references to one channel"));
        }
    }

    /// Give up one reference; the last one frees.
    ///
    /// # Safety
    /// The caller owns a reference, and no call on the channel depends on it any more.
    pub(crate) unsafe fn release(this: *mut Chan) {
        // SAFETY: the channel is live until our reference is gone, and the block after the test runs only if
        // it was the last.
        unsafe {
            if Self::drop_ref(this) {
                Self::free(this);
            }
        }
    }

    /// As `release`, by the owner: if that was the last reference, the channel is freed, the owner is not told, and
    /// this says true.
    ///
    /// # Safety
    /// As for `release`; the channel has an owner, which does not use it any more after a true. It calls under the
    /// lock that being told takes, unless nobody else knows the channel.
    pub(crate) unsafe fn give_up(this: *mut Chan) -> bool {
        // SAFETY: the caller's promise. Nobody but the owner, who is here, reaches the channel after the last
        // reference.
        unsafe {
            let last = Self::drop_ref(this);
            if last {
                Self::unlock(this);
                Self::free_untold(this);
            }
            last
        }
    }

    /// True: it was the last reference, nothing pins the channel, and the caller holds the lock now.
    ///
    /// # Safety
    /// As for `release`.
    unsafe fn drop_ref(this: *mut Chan) -> bool {
        // SAFETY: as in `release`.
        unsafe {
            // Acquire pairs with the Release of each earlier release: what was done under other references is
            // over. With one reference left nobody else may add one, so the subtraction can be left out.
            if (*this).refs.load(Ordering::Acquire) != 1 && (*this).refs.fetch_sub(1, Ordering::AcqRel) != 1 {
                return false;
            }
            // Whoever made us see that the channel is done with may still be on its way to the unlock.
            Self::lock(this);
            if (*this).pins != 0 {
                (*this).bits.fetch_or(ORPHANED, Ordering::Relaxed);
                Self::unlock(this);
                return false;
            }
        }
        true
    }

    /// # Safety
    /// The caller holds the lock, and nobody else reaches the channel any more but its owner.
    pub(super) unsafe fn free(this: *mut Chan) {
        // SAFETY: the caller's promise; the layout is the one `allocate` used, which did not fail. (A model
        // keeps the memory: what comes too late must meet a retired channel, not garbage.)
        unsafe {
            if (*this).bits.load(Ordering::Relaxed) & (OWNED | DROPS) != 0 {
                // Nothing of others' is called under the lock. An owner may be on its way into the channel; when it
                // was told, it is out.
                Self::unlock(this);
                if let Some(dropper) = Self::dropper(this) {
                    (*this).guarded.write();
                    Self::each(this, |elem| {
                        dropper.drop(elem);
                        0
                    });
                } else {
                    let owner = Self::owner(this).read_unaligned();
                    (owner.gone)(owner.arg);
                }
            }
            Self::free_untold(this);
        }
    }

    /// # Safety
    /// Nobody reaches the channel any more, its owner included.
    unsafe fn free_untold(this: *mut Chan) {
        // SAFETY: as in `free`.
        unsafe {
            #[cfg(loom)]
            (*this).retire();
            #[cfg(not(loom))]
            {
                let bits = (*this).bits.load(Ordering::Relaxed);
                let layout = Self::layout((*this).bytes, bits).unwrap_unchecked();
                dealloc(this.cast(), layout);
            }
        }
    }

    /// In a model: every access to the header must have happened before this one.
    #[cfg(loom)]
    fn retire(&mut self) {
        self.guarded.write();
        self.lock.retire();
        for flag in [&self.closed, &self.receiving, &self.sending] {
            // SAFETY: as exclusive as `&mut self` is; loom checks the stores.
            unsafe { flag.unsync_load() };
        }
        self.refs.with_mut(|_| ());
        self.bits.with_mut(|_| ());
        self.len.with_mut(|_| ());
    }

    /// # Safety
    /// `this` is live until the lock is held.
    #[inline(always)]
    pub(super) unsafe fn lock(this: *mut Chan) {
        // SAFETY: the caller's promise.
        unsafe {
            (*this).lock.lock();
            (*this).guarded.write();
        }
    }

    /// # Safety
    /// The caller holds the lock. The channel may be gone when this returns.
    #[inline(always)]
    pub(super) unsafe fn unlock(this: *mut Chan) {
        // SAFETY: the caller's promise.
        unsafe {
            (*this).guarded.write();
            (*this).lock.unlock();
        }
    }

    /// Keep the channel beyond its last reference, until [`Chan::unpin`].
    ///
    /// # Safety
    /// The caller holds the lock.
    pub(super) unsafe fn pin(this: *mut Chan) {
        // SAFETY: the caller's promise.
        unsafe { (*this).pins += 1 };
    }

    /// # Safety
    /// The caller holds the lock, and a reference or another pin; one pin was set and is not used any more.
    pub(super) unsafe fn unpin(this: *mut Chan) {
        // SAFETY: the caller's promise.
        unsafe { (*this).pins -= 1 };
    }

    /// Take out a pin and unlock; frees the channel if that was all that kept it.
    ///
    /// # Safety
    /// The caller holds the lock and one pin, and does not use the channel afterwards on account of it.
    pub(super) unsafe fn unpin_and_unlock(this: *mut Chan) {
        // SAFETY: the caller's promise. Orphaned and not pinned: no handle is left to reach it by, and the
        // one who set `ORPHANED` has unlocked since.
        unsafe {
            Self::unpin(this);
            if (*this).bits.load(Ordering::Relaxed) & ORPHANED != 0 && (*this).pins == 0 {
                Self::free(this);
            } else {
                Self::unlock(this);
            }
        }
    }

    /// # Safety
    /// The caller holds the lock.
    #[cfg(test)]
    pub(super) unsafe fn pins(this: *mut Chan) -> u32 {
        // SAFETY: the caller's promise.
        unsafe { (*this).pins }
    }

    /// Does it have an [`Owner`]? Relaxed: that never changes.
    ///
    /// # Safety
    /// `this` is live.
    #[inline(always)]
    pub(super) unsafe fn is_owned(this: *const Chan) -> bool {
        // SAFETY: the caller's promise.
        unsafe { (*this).bits.load(Ordering::Relaxed) & OWNED != 0 }
    }

    /// Does it have a [`Dropper`]? As for `is_owned`.
    ///
    /// # Safety
    /// `this` is live.
    #[inline(always)]
    pub(super) unsafe fn drops(this: *const Chan) -> bool {
        // SAFETY: the caller's promise.
        unsafe { (*this).bits.load(Ordering::Relaxed) & DROPS != 0 }
    }

    /// Handles just now.
    ///
    /// # Safety
    /// `this` is live.
    pub(crate) unsafe fn refs(this: *const Chan) -> usize {
        // SAFETY: the caller's promise.
        unsafe { (*this).refs.load(Ordering::Relaxed) as usize }
    }

    /// Elements in the buffer just now, as its users are told: the place in an owned channel is its owner's, who
    /// may take back what lies there.
    ///
    /// # Safety
    /// `this` is live.
    pub(crate) unsafe fn len(this: *const Chan) -> usize {
        // SAFETY: the caller's promise.
        if unsafe { Self::is_owned(this) } { 0 } else { unsafe { Self::buffered(this) } }
    }

    /// Closed for all who look.
    ///
    /// # Safety
    /// `this` is live.
    pub(crate) unsafe fn is_closed(this: *const Chan) -> bool {
        // SAFETY: the caller's promise. Acquire pairs with the Release of `close`.
        unsafe { (*this).closed.load(Ordering::Acquire) }
    }

    /// As `len`.
    ///
    /// # Safety
    /// `this` is live.
    pub(crate) unsafe fn cap(this: *const Chan) -> usize {
        // SAFETY: the caller's promise; it never changes.
        unsafe { if Self::is_owned(this) { 0 } else { (*this).cap } }
    }

    /// What is in the buffer just now, whoever owns the channel.
    ///
    /// # Safety
    /// `this` is live.
    pub(crate) unsafe fn buffered(this: *const Chan) -> usize {
        // SAFETY: the caller's promise.
        unsafe { (*this).len.load(Ordering::Relaxed) }
    }

    /// # Safety
    /// `this` is live.
    pub(crate) unsafe fn elem_size(this: *const Chan) -> usize {
        // SAFETY: the caller's promise; it never changes.
        unsafe { (*this).elem_size }
    }

    /// Copy an element behind the last one, which leaves `len` to the caller.
    ///
    /// # Safety
    /// The caller holds the lock; a place is free; `elem` is readable for an element.
    #[inline(always)]
    pub(super) unsafe fn write_tail(this: *mut Chan, elem: *const u8) {
        // SAFETY: `tail` is the offset of a free place within the buffer.
        unsafe {
            let (size, tail) = ((*this).elem_size, (*this).tail);
            element::copy(Self::buffer(this).add(tail), elem, size);
            (*this).tail = Self::step(this, tail + size);
        }
    }

    /// Copy the first element out (or, `elem` null, drop it), which leaves `len` to the caller.
    ///
    /// # Safety
    /// The caller holds the lock; the buffer is not empty; `elem` is null or writable for an element.
    #[inline(always)]
    pub(super) unsafe fn read_head(this: *mut Chan, elem: *mut u8) {
        // SAFETY: `head` is the offset of an element within the buffer.
        unsafe {
            let (size, head) = ((*this).elem_size, (*this).head);
            if !elem.is_null() {
                element::copy(elem, Self::buffer(this).add(head), size);
            }
            (*this).head = Self::step(this, head + size);
        }
    }

    /// Visit what is in the buffer, the first in line first, until `visit` says other than 0; that is returned.
    ///
    /// # Safety
    /// The caller holds the lock, or nobody else reaches the channel any more.
    pub(super) unsafe fn each(this: *mut Chan, mut visit: impl FnMut(*mut u8) -> i32) -> i32 {
        // SAFETY: the caller's promise; from `head` on there are `len` elements in the ring.
        unsafe {
            let (size, mut at) = ((*this).elem_size, (*this).head);
            for _ in 0..(*this).len.load(Ordering::Relaxed) {
                let stop = visit(Self::buffer(this).add(at));
                if stop != 0 {
                    return stop;
                }
                at = Self::step(this, at + size);
            }
        }
        0
    }

    #[inline(always)]
    fn buffer(this: *mut Chan) -> *mut u8 {
        this.cast::<u8>().wrapping_add(size_of::<Chan>())
    }

    /// The ring closes where the buffer ends. With elements of size 0 every offset is 0.
    ///
    /// # Safety
    /// `this` is live.
    #[inline(always)]
    unsafe fn step(this: *mut Chan, offset: usize) -> usize {
        // SAFETY: the caller's promise.
        if offset == unsafe { (*this).bytes } { 0 } else { offset }
    }
}
