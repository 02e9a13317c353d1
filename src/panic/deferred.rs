//! The deferred calls of one scope: a stack, in chunks.
//!
//! The one thing to know: the first chunk of a `gort_try` is in its own frame, so that deferring a call there
//! costs three stores; further chunks, and all of a goroutine's root, are allocated when they are needed.

use crate::sched::Body;
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr::null_mut;

/// One call to be made.
#[derive(Clone, Copy)]
pub(super) struct Deferred {
    pub(super) call: Body,
    pub(super) arg: *mut c_void,
}

/// There was no memory for one more; nothing has changed.
pub(super) struct NoMemory;

/// How many fit into the chunk of a scope, and into one that is allocated.
const OWN: usize = 3;
const ALLOCATED: usize = 15;

#[repr(C)]
pub(super) struct Chunk<const N: usize> {
    /// Older ones, or null.
    below: *mut Chunk<0>,
    len: u32,
    room: u32,
    items: [MaybeUninit<Deferred>; N],
}

/// The chunk that a scope has in its own frame.
pub(super) type OwnChunk = MaybeUninit<Chunk<OWN>>;

/// Last in, first out.
pub(super) struct List {
    /// The one with the newest calls; null: nothing was ever deferred, and there is no chunk of one's own.
    newest: *mut Chunk<0>,
}

impl List {
    pub(super) const fn new() -> List {
        List { newest: null_mut() }
    }

    /// An empty list that begins in `own`.
    ///
    /// # Safety
    /// `own` stays in place as long as the list is used, and is used by nothing else.
    #[inline]
    pub(super) unsafe fn within(own: *mut OwnChunk) -> List {
        let chunk = own.cast::<Chunk<0>>();
        // SAFETY: the caller's promise; the header of a chunk does not depend on its size.
        unsafe {
            (*chunk).below = null_mut();
            (*chunk).len = 0;
            (*chunk).room = OWN as u32;
        }
        List { newest: chunk }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        // SAFETY: the chunks of a list are live.
        self.newest.is_null() || unsafe { (*self.newest).len == 0 && (*self.newest).below.is_null() }
    }

    #[inline]
    pub(super) fn push(&mut self, deferred: Deferred) -> Result<(), NoMemory> {
        // SAFETY: as above.
        if self.newest.is_null() || unsafe { (*self.newest).len == (*self.newest).room } {
            self.grow()?;
        }
        // SAFETY: there is room for one more.
        unsafe {
            let len = (*self.newest).len as usize;
            item(self.newest, len).write(deferred);
            (*self.newest).len += 1;
        }
        Ok(())
    }

    #[cold]
    fn grow(&mut self) -> Result<(), NoMemory> {
        // SAFETY: a fresh allocation of that size, aligned for any type, is made a chunk.
        unsafe {
            let chunk = libc::malloc(size_of::<Chunk<ALLOCATED>>()).cast::<Chunk<0>>();
            if chunk.is_null() {
                return Err(NoMemory);
            }
            (*chunk).below = self.newest;
            (*chunk).len = 0;
            (*chunk).room = ALLOCATED as u32;
            self.newest = chunk;
        }
        Ok(())
    }

    pub(super) fn pop(&mut self) -> Option<Deferred> {
        // SAFETY: the chunks of a list are live, and their first `len` items written. One that becomes empty is
        // freed if it was allocated; one that was not is the oldest.
        unsafe {
            while !self.newest.is_null() {
                let chunk = self.newest;
                if (*chunk).len != 0 {
                    (*chunk).len -= 1;
                    return Some(item(chunk, (*chunk).len as usize).read());
                }
                if (*chunk).room == OWN as u32 {
                    return None;
                }
                self.newest = (*chunk).below;
                libc::free(chunk.cast());
            }
        }
        None
    }
}

/// # Safety
/// `chunk` is live and has room for more than `index`.
#[inline]
unsafe fn item(chunk: *mut Chunk<0>, index: usize) -> *mut Deferred {
    // SAFETY: the caller's promise: the items begin at the same place whatever their number.
    unsafe { (&raw mut (*chunk).items).cast::<Deferred>().add(index) }
}

#[cfg(test)]
mod tests {
    use super::*;

    unsafe extern "C" fn nothing(_: *mut c_void) {}

    fn number(n: usize) -> Deferred {
        Deferred { call: nothing, arg: std::ptr::without_provenance_mut(n) }
    }

    fn fill_and_empty(list: &mut List, n: usize) {
        assert!(list.is_empty());
        for i in 1..=n {
            assert!(list.push(number(i)).is_ok());
            assert!(!list.is_empty());
        }
        for i in (1..=n).rev() {
            assert_eq!(list.pop().map(|d| d.arg.addr()), Some(i));
        }
        assert!(list.pop().is_none());
        assert!(list.is_empty());
    }

    #[test]
    fn the_last_in_is_the_first_out() {
        for n in [1, OWN, OWN + 1, OWN + ALLOCATED, OWN + ALLOCATED + 1, 1000] {
            let mut own = OwnChunk::uninit();
            // SAFETY: the chunk outlives the list.
            let mut list = unsafe { List::within(&raw mut own) };
            fill_and_empty(&mut list, n);
            fill_and_empty(&mut list, n);
            fill_and_empty(&mut List::new(), n);
        }
    }

    #[test]
    fn what_is_deferred_meanwhile_comes_next() {
        let mut list = List::new();
        for i in 1..=20 {
            assert!(list.push(number(i)).is_ok());
        }
        for i in (1..=20).rev() {
            assert_eq!(list.pop().map(|d| d.arg.addr()), Some(i));
            assert!(list.push(number(100 + i)).is_ok());
            assert_eq!(list.pop().map(|d| d.arg.addr()), Some(100 + i));
        }
        assert!(list.pop().is_none());
    }
}
