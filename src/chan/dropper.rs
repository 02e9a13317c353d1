//! Channels whose elements own something: a reference, memory, a descriptor.
//!
//! The one thing to know: an element leaves a channel in one of three ways. A receiver gets it, and owns what it
//! owned; its send fails, and the sender keeps it; or the [`Dropper`] gets it, once. The last happens to what lies in
//! the buffer when the channel is freed or cleared, and to what is received by somebody who does not want it. The dropper
//! is the host's code, so it is called with no lock held: what is received to be dropped is first received into a
//! [`Scratch`], by the same code as all else.

use super::channel::Chan;
use super::select::{Case, Selected, reserve, select, try_select};
use super::{Op, Outcome};
use std::ffi::c_void;
use std::mem::MaybeUninit;

/// The host's function for an element that nobody receives.
#[derive(Clone, Copy)]
pub(crate) struct Dropper {
    pub(crate) call: unsafe extern "C" fn(elem: *mut c_void, data: *mut c_void),
    pub(crate) data: *mut c_void,
}

impl Dropper {
    /// # Safety
    /// The element at `elem` is the caller's, who does not use it afterwards; the caller holds no lock.
    pub(super) unsafe fn drop(self, elem: *mut u8) {
        // SAFETY: the caller's promise, and the host's to the channel.
        unsafe { (self.call)(elem.cast(), self.data) };
    }
}

/// Where an element is received that is to be dropped: aligned as by `malloc`.
pub(super) struct Scratch {
    small: [MaybeUninit<u128>; 4],
    large: Vec<u128>,
}

impl Scratch {
    pub(super) fn new() -> Self {
        Scratch { small: [MaybeUninit::uninit(); 4], large: Vec::new() }
    }

    /// Room for `size` bytes, for as long as this stays in place; `None`: no memory.
    pub(super) fn room(&mut self, size: usize) -> Option<*mut u8> {
        if size <= size_of_val(&self.small) {
            return Some(self.small.as_mut_ptr().cast());
        }
        self.large = reserve(size.div_ceil(size_of::<u128>()))?;
        Some(self.large.as_mut_ptr().cast())
    }
}

impl Chan {
    /// Receive an element in order to drop it.
    ///
    /// # Safety
    /// `this` is live until the effect of `receive`, which receives from it into where it is told, can be seen; it
    /// has a dropper.
    #[cold]
    pub(super) unsafe fn recv_to_drop(this: *mut Chan, receive: impl FnOnce(*mut u8) -> Outcome) -> Outcome {
        // Asked first: once the element was received, the channel may be gone.
        // SAFETY: the caller's promise.
        let (dropper, size) = unsafe { (Self::dropper(this), Self::elem_size(this)) };
        let mut scratch = Scratch::new();
        let Some(elem) = scratch.room(size) else { return Outcome::NoMemory };
        let outcome = receive(elem);
        if outcome == Outcome::Done
            && let Some(dropper) = dropper
        {
            // SAFETY: we have received it.
            unsafe { dropper.drop(elem) };
        }
        outcome
    }
}

/// What becomes of the receives of a select that name no memory, on channels whose elements must be dropped. One of
/// them at most is chosen, so they share their memory.
pub(super) struct Discards {
    /// For each case; `None`: it is none of these.
    droppers: Vec<Option<Dropper>>,
    /// Where all of them receive.
    room: Vec<u128>,
}

impl Discards {
    /// `Ok(None)`: there are no such cases. `Err`: no memory.
    ///
    /// # Safety
    /// `first` points to `len` cases; each `chan` is null or live.
    pub(super) unsafe fn of(first: *const Case, len: usize) -> Result<Option<Discards>, ()> {
        // SAFETY: the caller's promise.
        let case = |index| unsafe { *first.add(index) };
        let dropper = |index: usize| {
            let Case { chan, elem, op, .. } = case(index);
            if op != Op::Recv || !elem.is_null() || chan.is_null() {
                return None;
            }
            // SAFETY: the caller's promise.
            unsafe { Chan::dropper(chan) }
        };
        let is_one = |&index: &usize| dropper(index).is_some();
        // SAFETY: it has a channel, which is live.
        let size = |index: usize| unsafe { Chan::elem_size(case(index).chan) };
        let Some(size) = (0..len).filter(is_one).map(size).max() else { return Ok(None) };
        let mut droppers = reserve(len).ok_or(())?;
        droppers.extend((0..len).map(dropper));
        let room = reserve(size.div_ceil(size_of::<u128>())).ok_or(())?;
        Ok(Some(Discards { droppers, room }))
    }

    fn elem(&self) -> *mut u8 {
        self.room.as_ptr().cast_mut().cast()
    }

    /// Where case `index` is to receive what it is to drop; `None`: it is not one of these.
    pub(super) fn elem_for(&self, index: usize) -> Option<*mut u8> {
        self.droppers[index].map(|_| self.elem())
    }

    /// Case `index` was carried out: drop what it has received, if it is one of these.
    pub(super) fn settle(&self, index: usize, outcome: Outcome) {
        if let Some(dropper) = self.droppers[index]
            && outcome == Outcome::Done
        {
            // SAFETY: received there by this case alone; the selecting call holds no lock any more.
            unsafe { dropper.drop(self.elem()) };
        }
    }
}

/// As [`select`], where some receive names no memory.
///
/// # Safety
/// As for [`select`].
#[cold]
pub(crate) unsafe fn select_dropping(first: *const Case, len: usize, deadline: i64) -> Selected {
    // SAFETY: the caller's promise.
    unsafe { dropping(first, len, |first| select(first, len, deadline)) }
}

/// As [`try_select`], likewise.
///
/// # Safety
/// As for [`select`].
#[cold]
pub(crate) unsafe fn try_select_dropping(first: *const Case, len: usize) -> Selected {
    // SAFETY: the caller's promise.
    unsafe { dropping(first, len, |first| try_select(first, len)) }
}

/// # Safety
/// As for [`select`], which `run` calls on cases that stand for these.
unsafe fn dropping(first: *const Case, len: usize, run: impl FnOnce(*const Case) -> Selected) -> Selected {
    // SAFETY: the caller's promise.
    let discards = match unsafe { Discards::of(first, len) } {
        Ok(None) => return run(first),
        Ok(Some(discards)) => discards,
        Err(()) => return Selected::NoMemory,
    };
    let Some(mut cases) = reserve::<Case>(len) else { return Selected::NoMemory };
    // SAFETY: `first` points to `len` cases.
    cases.extend((0..len).map(|index| unsafe { *first.add(index) }));
    for (index, case) in cases.iter_mut().enumerate() {
        if let Some(elem) = discards.elem_for(index) {
            case.elem = elem;
        }
    }
    let selected = run(cases.as_ptr());
    if let Selected::Case(index, outcome) = selected {
        discards.settle(index, outcome);
    }
    selected
}
