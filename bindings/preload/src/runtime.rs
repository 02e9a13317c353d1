//! gort, as it was told to us.
//!
//! The one thing to know: we do not look for gort, gort looks for us. When its runtime starts it finds
//! [`gort_preload_attach`] among what is loaded, and calls it. So a program without gort pays a compare and a jump
//! for each call; a gort that is loaded late, or for a Python extension alone, is noticed; and there is no `dlsym` in
//! functions that signal handlers call.
//!
//! **gort's own calls must get past us**: it writes dumps with locks held, reads files, polls. They are told by where
//! they come from: `entry.rs` compares the return address with the code that [`gort_preload_attach`] found the
//! table's functions in. That is exact and costs two instructions; a mark "in gort" on the thread would have to move
//! with goroutines. (Where gort is linked statically into a program, the program's own code is in the same place and
//! gets past us too; only libraries are served.)
//!
//! | | [`BEGIN`] | [`LENGTH`] | a call with return address `r` goes |
//! |---|---|---|---|
//! | not loaded fully yet | 0 | 0 | by [`is_inside`], which finds libc's functions first |
//! | no gort | 0 | max | to libc |
//! | gort's code is `b..b + n` | `b` | `n` | to libc if it comes from there, else by [`is_inside`] |
//!
//! The two words are written one after the other, `BEGIN` first; in between, `r - b` is below the maximum, as
//! every number is: to libc. A thread that sees the second without the first finds `r >= n`, and [`is_inside`]
//! decides. Both are right for a plain thread, and goroutines come into being after both.

use crate::calls::{Attach, Calls};
use crate::real;
use core::ffi::{c_int, c_void};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicI32, AtomicPtr, AtomicUsize, Ordering};

/// Code in `BEGIN .. BEGIN + LENGTH` gets past us.
pub(crate) static BEGIN: AtomicUsize = AtomicUsize::new(0);
/// See [`BEGIN`].
pub(crate) static LENGTH: AtomicUsize = AtomicUsize::new(0);

static CALLS: AtomicPtr<Calls> = AtomicPtr::new(null_mut());
/// The process whose runtime has started.
static PROCESS: AtomicI32 = AtomicI32::new(0);

/// libc's functions have been found: all calls may go there, until gort comes.
pub(crate) fn open() {
    if CALLS.load(Ordering::Relaxed).is_null() {
        LENGTH.store(usize::MAX, Ordering::Relaxed);
    }
}

/// Called by gort when its runtime starts, and again in a forked child when it starts there.
///
/// # Safety
/// `calls` is a table that stays. No goroutine runs yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_preload_attach(calls: *const c_void) {
    let calls = calls.cast::<Calls>();
    // SAFETY: every version of the table begins with its size.
    if unsafe { (*calls).size } != size_of::<Calls>() {
        return;
    }
    // SAFETY: the caller's promise; no preconditions.
    let (anchor, process) = unsafe { ((*calls).in_goroutine as usize, libc::getpid()) };
    let mut code = Code { anchor, begin: 0, length: 0 };
    // SAFETY: the callback gets `code`, which is live during the call.
    unsafe { libc::dl_iterate_phdr(Some(look), (&raw mut code).cast()) };
    if code.length == 0 {
        return;
    }
    PROCESS.store(process, Ordering::Relaxed);
    real::make_sure();
    // Release pairs with the Acquire in `is_inside`.
    CALLS.store(calls.cast_mut(), Ordering::Release);
    // In this order: see above.
    BEGIN.store(code.begin, Ordering::Release);
    LENGTH.store(code.length, Ordering::Release);
}

const _: Attach = gort_preload_attach;

struct Code {
    anchor: usize,
    begin: usize,
    length: usize,
}

/// The loaded segment that `anchor` is in.
///
/// # Safety
/// Called by `dl_iterate_phdr` in [`gort_preload_attach`] only.
unsafe extern "C" fn look(info: *mut libc::dl_phdr_info, _: usize, code: *mut c_void) -> c_int {
    // SAFETY: as above; the program headers of a loaded object are mapped.
    unsafe {
        let code = &mut *code.cast::<Code>();
        let headers = core::slice::from_raw_parts((*info).dlpi_phdr, (*info).dlpi_phnum.into());
        for header in headers.iter().filter(|header| header.p_type == libc::PT_LOAD) {
            let begin = ((*info).dlpi_addr as usize).wrapping_add(header.p_vaddr as usize);
            if code.anchor.wrapping_sub(begin) < header.p_memsz as usize {
                (code.begin, code.length) = (begin, header.p_memsz as usize);
                return 1;
            }
        }
    }
    0
}

/// Is the caller a goroutine? Not in a function that runs under `gort_blocking`, on plain threads, in a process
/// that was forked by a goroutine, in exit handlers: gort says so of each. Whoever asks can call libc's functions
/// afterwards.
pub(crate) extern "C" fn is_inside() -> bool {
    // Acquire pairs with the Release in `gort_preload_attach`.
    // SAFETY: null, or a table that stays.
    match unsafe { CALLS.load(Ordering::Acquire).as_ref() } {
        Some(calls) => (calls.in_goroutine)(),
        None => {
            real::make_sure();
            false
        }
    }
}

/// gort's functions, for a caller who is inside.
#[inline]
pub(crate) fn calls() -> &'static Calls {
    // SAFETY: the entry has found it set, and it stays set.
    unsafe { &*CALLS.load(Ordering::Acquire) }
}

/// May the caller, who is inside, park? Not in a child of vfork, which runs in the parent's memory for a while: for
/// gort it is the goroutine that made it. Nor in a signal handler on its own stack, as those for crashes are (workers
/// block other signals).
pub(crate) fn may_park() -> bool {
    // SAFETY: all 0 is such a structure; the place is one.
    unsafe {
        let mut stack: libc::stack_t = core::mem::zeroed();
        libc::getpid() == PROCESS.load(Ordering::Relaxed)
            && libc::sigaltstack(core::ptr::null(), &mut stack) == 0
            && stack.ss_flags & libc::SS_ONSTACK == 0
    }
}
