//! What a loom model sees of memory that is reached through plain pointers.
//!
//! The one thing to know: loom checks atomics and its own cells only. A [`Witness`] stands beside memory that
//! some rule protects (a lock, a hand-over) and is told of each access; in a model two accesses that no
//! happens-before edge orders are an error, in earnest a witness is nothing.

#[cfg(not(loom))]
pub(super) struct Witness;

#[cfg(not(loom))]
impl Witness {
    pub(super) const fn new() -> Self {
        Witness
    }

    #[inline(always)]
    pub(super) fn read(&self) {}

    #[inline(always)]
    pub(super) fn write(&self) {}
}

#[cfg(loom)]
pub(super) struct Witness(loom::cell::UnsafeCell<()>);

#[cfg(loom)]
impl Witness {
    #[track_caller]
    pub(super) fn new() -> Self {
        Witness(loom::cell::UnsafeCell::new(()))
    }

    #[track_caller]
    pub(super) fn read(&self) {
        self.0.with(|_| ());
    }

    #[track_caller]
    pub(super) fn write(&self) {
        self.0.with_mut(|_| ());
    }
}
