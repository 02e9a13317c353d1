//! C++ exceptions in flight, which the C++ runtime counts per thread, stay with their goroutine.
//!
//! The one thing to know: the runtime keeps a pair for each thread (`__cxa_get_globals`): the exceptions whose
//! catch blocks are being run, and how many are thrown and not caught yet. A goroutine that parks in a catch
//! block or in a destructor that an exception runs takes the pair with it: it is moved to the goroutine's stack,
//! the thread's is zeroed, and restored on the thread that it goes on on. So on the scheduler's stack, and at the
//! start of a goroutine, it is always zero; and if it is zero when a goroutine parks, as it nearly always is, two
//! loads and a compare are all that is done.
//!
//! Where the pair is, each worker must have learnt. It does when it starts, and when it is handed a processor
//! after having been idle, at most every 10 ms: a C++ runtime may be loaded late, with `dlopen`. Until then the
//! pair is left alone; docs/panics.md says what that means.

use super::current;
use crate::loaded;
use crate::primitive::atomic::{AtomicPtr, AtomicU64, Ordering};
use crate::primitive::now;
use std::cell::Cell;
use std::ffi::c_void;
use std::ptr::null_mut;

/// `__cxa_eh_globals`, of GNU's and LLVM's runtime.
#[repr(C)]
struct Globals {
    caught: *mut c_void,
    uncaught: u32,
}

/// What a worker knows of its thread's.
pub(super) struct Exceptions {
    globals: Cell<*mut Globals>,
    looked: Cell<i64>,
}

/// What a goroutine takes with it.
pub(super) struct InFlight {
    caught: *mut c_void,
    uncaught: u32,
}

impl Exceptions {
    pub(super) const fn new() -> Exceptions {
        Exceptions { globals: Cell::new(null_mut()), looked: Cell::new(i64::MIN) }
    }

    /// Are there any, of the goroutine that runs on this thread?
    #[inline]
    pub(super) fn any(&self) -> bool {
        let globals = self.globals.get();
        // SAFETY: null, or this thread's own, which live as long as the thread.
        !globals.is_null() && unsafe { !(*globals).caught.is_null() || (*globals).uncaught != 0 }
    }

    /// Take them off the thread.
    pub(super) fn take(&self) -> InFlight {
        let globals = self.globals.get();
        // SAFETY: as above; asked for after `any` was true.
        unsafe {
            let taken = InFlight { caught: (*globals).caught, uncaught: (*globals).uncaught };
            (*globals).caught = null_mut();
            (*globals).uncaught = 0;
            taken
        }
    }

    /// Learn where this thread's are, if that can be learnt and has not been.
    pub(super) fn look(&self) {
        if self.globals.get().is_null() {
            let time = now();
            if time.saturating_sub(self.looked.get()) >= INTERVAL {
                self.looked.set(time);
                self.globals.set(find());
            }
        }
    }
}

/// The least time between two looks of a worker, ns.
const INTERVAL: i64 = 10_000_000;

/// The goroutine goes on, on this thread.
pub(super) fn put_back(taken: InFlight) {
    // SAFETY: a goroutine runs on a worker.
    let mine = unsafe { &(*current::worker()).exceptions };
    if mine.globals.get().is_null() {
        mine.globals.set(find());
    }
    // SAFETY: they were found on another thread, so the runtime is there and gives each thread its own.
    unsafe {
        let globals = mine.globals.get();
        (*globals).caught = taken.caught;
        (*globals).uncaught = taken.uncaught;
    }
}

/// The goroutine has ended: what it has left (frames without unwind tables were skipped) is no one's.
#[inline]
pub(super) fn forget() {
    // SAFETY: called by a goroutine, as it ends.
    let mine = unsafe { &(*current::worker()).exceptions };
    if mine.any() {
        mine.take();
    }
}

type GetGlobals = unsafe extern "C" fn() -> *mut Globals;

/// The calling thread's; null: there is no C++ runtime. Looks for it only if something was loaded since the last
/// look.
#[inline(never)]
fn find() -> *mut Globals {
    static FUNCTION: AtomicPtr<c_void> = AtomicPtr::new(null_mut());
    static COUNT: AtomicU64 = AtomicU64::new(0);
    // Relaxed: each value stands for itself, and two threads that look at once find the same.
    let mut function = FUNCTION.load(Ordering::Relaxed);
    if function.is_null() {
        let count = loaded::count();
        if COUNT.load(Ordering::Relaxed) == count {
            return null_mut();
        }
        function = loaded::symbol(c"__cxa_get_globals");
        FUNCTION.store(function, Ordering::Relaxed);
        COUNT.store(count, Ordering::Relaxed);
        if function.is_null() {
            return null_mut();
        }
    }
    // SAFETY: the function of that name has that type, in every C++ runtime. (It stays: a C++ runtime has
    // destructors registered for its threads and is not unloaded.)
    unsafe { std::mem::transmute::<*mut c_void, GetGlobals>(function)() }
}
