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

    /// Whoever had some here has left for good: what is left of them is no one's.
    #[inline]
    pub(super) fn drop_any(&self) {
        if self.any() {
            self.take();
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
    unsafe { (*current::worker()).exceptions.drop_any() };
}

/// How many exceptions are thrown and not caught yet, on the calling goroutine or thread.
pub(crate) fn uncaught() -> u32 {
    let globals = find();
    // SAFETY: null, or this thread's own.
    if globals.is_null() { 0 } else { unsafe { (*globals).uncaught } }
}

/// The exceptions whose catch blocks a place on the stack is in: the newest of a list, and the rest behind it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Handlers(*mut c_void);

impl Handlers {
    pub(crate) const NONE: Handlers = Handlers(null_mut());
    /// Nobody has looked for the C++ runtime in time. No exception is there.
    const UNKNOWN: Handlers = Handlers(std::ptr::without_provenance_mut(usize::MAX));

    /// Those that the caller is in.
    #[inline]
    pub(crate) fn here() -> Handlers {
        let w = current::worker();
        // SAFETY: null, or the calling thread's own worker; its globals are null or the thread's.
        unsafe {
            let globals = if w.is_null() { known() } else { (*w).exceptions.globals.get() };
            if globals.is_null() { Handlers::UNKNOWN } else { Handlers((*globals).caught) }
        }
    }
}

/// What the caller raises is going to unwind to a place that is in `outer`: hide these on the way. A `catch (...)`
/// there calls `std::terminate` if it is to catch what is no C++ exception while there are any, though they are
/// none of its business: it is not in their catch blocks, but was called by them.
pub(crate) fn hide(outer: Handlers) {
    let globals = find();
    if globals.is_null() || outer == Handlers::NONE || outer == Handlers::UNKNOWN {
        return;
    }
    // SAFETY: this thread's own, and the list of exceptions that are being handled, so they are live. `next` knows
    // how each is laid out.
    unsafe {
        let mut at = &raw mut (*globals).caught;
        while !(*at).is_null() && *at != outer.0 {
            at = next(*at);
            if at.is_null() {
                return;
            }
        }
        *at = null_mut();
    }
}

/// Where it is, the caller is in these, and so many exceptions are thrown and not caught yet, whatever the runtime
/// has counted on the way.
pub(crate) fn settle(handlers: Handlers, uncaught: u32) {
    let globals = find();
    if !globals.is_null() {
        // SAFETY: this thread's own.
        unsafe {
            (*globals).uncaught = uncaught;
            if handlers != Handlers::UNKNOWN {
                (*globals).caught = handlers.0;
            }
        }
    }
}

/// Where `exception`, in the list of a thread's `Globals`, refers to the next; null: it is none of C++'s, and so the
/// last. GNU's and LLVM's runtime agree on what comes before the unwinder's part and how much it is, 80 bytes, but
/// the latter's has two more words in front.
///
/// # Safety
/// It is live.
unsafe fn next(exception: *mut c_void) -> *mut *mut c_void {
    const UNWINDERS: usize = 80;
    const NEXT: usize = 32;
    for (vendor, more) in [(b"\0GNUCC++", 0), (b"\0CLNGC++", 16)] {
        // SAFETY: the unwinder's part begins with the class, and has 32 bytes.
        unsafe {
            let class = exception.byte_add(UNWINDERS + more).cast::<u64>().read();
            // The last byte says whether it refers to another.
            if class >> 8 == u64::from_be_bytes(*vendor) {
                return exception.byte_add(NEXT + more).cast();
            }
        }
    }
    null_mut()
}

type GetGlobals = unsafe extern "C" fn() -> *mut Globals;

/// `__cxa_get_globals`; null: not found so far.
static FUNCTION: AtomicPtr<c_void> = AtomicPtr::new(null_mut());
/// How many objects were loaded at the last look; 0: nobody has looked.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// As `find`, but without a look if there has been one.
fn known() -> *mut Globals {
    // Acquire: as in `find`.
    if COUNT.load(Ordering::Acquire) != 0 && FUNCTION.load(Ordering::Relaxed).is_null() {
        return null_mut();
    }
    find()
}

/// The calling thread's; null: there is no C++ runtime. Looks for it only if something was loaded since the last
/// look.
#[inline(never)]
fn find() -> *mut Globals {
    // Relaxed: the address of a function; it stands for itself.
    let mut function = FUNCTION.load(Ordering::Relaxed);
    if function.is_null() {
        let count = loaded::count();
        // Acquire pairs with the Release below: what was found at that count is there.
        if COUNT.load(Ordering::Acquire) == count {
            function = FUNCTION.load(Ordering::Relaxed);
        } else {
            function = loaded::symbol(c"__cxa_get_globals");
            // Never back to null: another thread, which has looked later, may have found it.
            if !function.is_null() {
                FUNCTION.store(function, Ordering::Relaxed);
            }
            COUNT.store(count, Ordering::Release);
        }
        if function.is_null() {
            return null_mut();
        }
    }
    // SAFETY: the function of that name has that type, in every C++ runtime. (It stays: a C++ runtime has
    // destructors registered for its threads and is not unloaded.)
    unsafe { std::mem::transmute::<*mut c_void, GetGlobals>(function)() }
}
