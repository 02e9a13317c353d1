//! Functions that are started when a context is done.
//!
//! The one thing to know: whoever takes a function out of its context's list has it: a cancel, which starts it, or
//! a stop, which does not. While it is in the list it holds a reference to the context, so it is started even if
//! all handles are released before a deadline or a parent ends the context.

use super::Call;
use super::canceller::Canceller;
use super::context::Ctx;
use crate::fatal::fatal;
use crate::primitive::atomic::Ordering;
use crate::sched::{NoMemory, go};
use std::alloc::{Layout, alloc, dealloc};
use std::collections::HashMap;
use std::ffi::c_void;
use std::hash::{BuildHasherDefault, Hasher};
use std::ptr::null_mut;
use std::sync::atomic::AtomicU64;

/// In an id: the context can never be done, so there is nothing to remember.
const NEVER: u64 = 1 << 63;

/// A function that waits for the end of its context.
pub(super) struct Func {
    next: *mut Func,
    prev: *mut Func,
    id: u64,
    call: Call,
    arg: *mut c_void,
    /// A reference.
    canceller: *mut Canceller,
}

/// In the order in which they came; doubly linked.
pub(super) struct FuncList {
    first: *mut Func,
    last: *mut Func,
}

/// The functions of one context, which are found by their ids. Guarded by its lock.
pub(super) struct Funcs {
    list: FuncList,
    index: HashMap<u64, *mut Func, BuildHasherDefault<Spread>>,
}

/// Ids are numbers in a row; a table wants them spread.
#[derive(Default)]
pub(super) struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, n: u64) {
        self.0 = (self.0 ^ n).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

/// No number comes twice in a process, whatever the context.
fn new_id() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    // Relaxed: only different from all others.
    LAST.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1
}

impl Ctx {
    /// Start `call(arg)` in a goroutine once `this` is done; at once if it is. Writes a number to stop it by to
    /// `out`, unless that is null, before the goroutine is started, which may look at it.
    ///
    /// # Safety
    /// The caller holds `this`; `out` is null or writable.
    pub(crate) unsafe fn after_func(
        this: *mut Ctx,
        call: Call,
        arg: *mut c_void,
        out: *mut u64,
    ) -> Result<(), NoMemory> {
        // SAFETY: the caller's promise keeps the canceller.
        unsafe {
            let canceller = Self::canceller(this);
            let id = if canceller.is_null() { new_id() | NEVER } else { new_id() };
            if !out.is_null() {
                out.write(id);
            }
            if canceller.is_null() {
                return Ok(());
            }
            if Self::outcome(this).is_none() {
                let func: *mut Func = alloc(Layout::new::<Func>()).cast();
                if func.is_null() {
                    return Err(NoMemory);
                }
                func.write(Func { next: null_mut(), prev: null_mut(), id, call, arg, canceller });
                Canceller::lock(canceller);
                let open = (*canceller).err.load(Ordering::Relaxed) == 0;
                let added = open && (*canceller).funcs.add(func);
                if added {
                    // Under the lock: who takes the function out gives it up.
                    Self::retain(canceller.cast());
                }
                Canceller::unlock(canceller);
                if added {
                    return Ok(());
                }
                dealloc(func.cast(), Layout::new::<Func>());
                if open {
                    return Err(NoMemory);
                }
            }
        }
        go(call, arg)
    }

    /// Do not start the function with this number. False: it was started or stopped, or is not of this context.
    ///
    /// # Safety
    /// The caller holds `this`.
    pub(crate) unsafe fn after_func_stop(this: *mut Ctx, id: u64) -> bool {
        // SAFETY: the caller's promise keeps the canceller. Whom we take out is ours.
        unsafe {
            let canceller = Self::canceller(this);
            if canceller.is_null() {
                return id & NEVER != 0;
            }
            Canceller::lock(canceller);
            let func = (*canceller).funcs.remove(id);
            Canceller::unlock(canceller);
            if func.is_null() {
                return false;
            }
            dealloc(func.cast(), Layout::new::<Func>());
            Self::release(canceller.cast());
        }
        true
    }
}

impl Funcs {
    pub(super) fn new() -> Self {
        Funcs { list: FuncList::new(), index: HashMap::default() }
    }

    /// False: no memory.
    ///
    /// # Safety
    /// The context's lock is held; `func` is in no list, and stays until it is taken out.
    unsafe fn add(&mut self, func: *mut Func) -> bool {
        if self.index.try_reserve(1).is_err() {
            return false;
        }
        // SAFETY: the caller's promise.
        unsafe {
            self.index.insert((*func).id, func);
            self.list.push(func);
        }
        true
    }

    /// Take out the function with that number; null: it is not there.
    ///
    /// # Safety
    /// The context's lock is held.
    unsafe fn remove(&mut self, id: u64) -> *mut Func {
        let Some(func) = self.index.remove(&id) else { return null_mut() };
        // SAFETY: what is in the index is in the list, under the same lock.
        unsafe { self.list.unlink(func) };
        if self.index.is_empty() && self.index.capacity() > 64 {
            self.index = HashMap::default();
        }
        func
    }
}

impl FuncList {
    pub(super) const fn new() -> Self {
        FuncList { first: null_mut(), last: null_mut() }
    }

    /// # Safety
    /// `func` is live and in no list; the list's functions are the caller's to change.
    unsafe fn push(&mut self, func: *mut Func) {
        // SAFETY: the caller's promise.
        unsafe {
            (*func).next = null_mut();
            (*func).prev = self.last;
            if self.last.is_null() {
                self.first = func;
            } else {
                (*self.last).next = func;
            }
        }
        self.last = func;
    }

    /// # Safety
    /// `func` is in this list; the list's functions are the caller's to change.
    unsafe fn unlink(&mut self, func: *mut Func) {
        // SAFETY: the caller's promise.
        unsafe {
            let (next, prev) = ((*func).next, (*func).prev);
            if prev.is_null() {
                self.first = next;
            } else {
                (*prev).next = next;
            }
            if next.is_null() {
                self.last = prev;
            } else {
                (*next).prev = prev;
            }
        }
    }

    /// Take over the functions of a context that is done.
    ///
    /// # Safety
    /// The context's lock is held.
    pub(super) unsafe fn take_all(&mut self, funcs: &mut Funcs) {
        if funcs.list.first.is_null() {
            return;
        }
        funcs.index = HashMap::default();
        let list = std::mem::replace(&mut funcs.list, FuncList::new());
        if self.last.is_null() {
            *self = list;
        } else {
            // SAFETY: both lists are not empty, and ours.
            unsafe {
                (*self.last).next = list.first;
                (*list.first).prev = self.last;
            }
            self.last = list.last;
        }
    }

    /// Start them all, each in a goroutine of its own, and give up what they hold.
    ///
    /// # Safety
    /// The caller holds no lock, and has taken them all out.
    pub(super) unsafe fn start(self) {
        let mut func = self.first;
        while !func.is_null() {
            // SAFETY: taken out, so ours alone.
            let Func { next, call, arg, canceller, .. } = unsafe { func.read() };
            // SAFETY: as above; `add`'s caller has made it.
            unsafe { dealloc(func.cast(), Layout::new::<Func>()) };
            if let Err(NoMemory) = go(call, arg) {
                fatal(format_args!("gort_ctx_after_func: out of memory for its goroutine"));
            }
            // SAFETY: the function's reference.
            unsafe { Ctx::release(canceller.cast()) };
            func = next;
        }
    }
}
