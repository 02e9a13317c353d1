//! Are there frames of other libraries on a goroutine's stack, between Python and Python?
//!
//! The one thing to know: **C code that has called back into Python may belong to its OS thread** (locks that it holds,
//! thread-local data), and must not be left on one thread and gone on with on another, nor be interleaved with other
//! goroutines on the same thread; a goroutine that has such a frame keeps its thread while it waits. Frames are found by
//! the return addresses on the stack: every word of it that points into the code of a library other than Python,
//! libc, gort and this module counts. An old value that lies there only costs a thread.
//!
//! Most goroutines need no search: their function is written in Python, and what waits was called from it with
//! nothing in between, which the depth of the stack tells (`Flat`).

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicUsize, Ordering};

/// How deep a goroutine is, in bytes, in which a function of Python calls a function of this module; 0: not known yet.
static FLAT: AtomicUsize = AtomicUsize::new(0);

/// What functions of this module take more than the one that was measured. Less than it takes to call one from C code
/// that was called from Python: a frame of it, and two of Python's own.
const SLACK: usize = 160;

/// A function of this module, called by a function of Python that is a goroutine's, has a local variable at `here`;
/// the stack ends at `high`.
pub(crate) fn measured(here: usize, high: usize) {
    // Relaxed: a number. Guarded by the GIL besides.
    FLAT.store(high - here, Ordering::Relaxed);
}

/// Is it certain that nothing foreign is between `here` and `high`?
#[inline]
pub(crate) fn is_flat(here: usize, high: usize) -> bool {
    let flat = FLAT.load(Ordering::Relaxed);
    flat != 0 && high - here <= flat + SLACK
}

/// The code of other libraries: sorted, apart; and what the loader had loaded and unloaded when it was listed.
struct Code {
    ranges: Vec<(usize, usize)>,
    adds: u64,
    subs: u64,
}

static mut CODE: Code = Code { ranges: Vec::new(), adds: u64::MAX, subs: 0 };

/// Does a word between `from` and `to` point into foreign code?
///
/// # Safety
/// The GIL is held; the words are a part of the caller's stack.
pub(crate) unsafe fn on_stack(from: usize, to: usize) -> bool {
    // SAFETY: guarded by the GIL; the callback gets it for the duration of the call.
    let code = unsafe { &mut *(&raw mut CODE) };
    // SAFETY: as above.
    unsafe { libc::dl_iterate_phdr(Some(look), (&raw mut *code).cast()) };
    let (Some(first), Some(last)) = (code.ranges.first(), code.ranges.last()) else { return false };
    let (low, span) = (first.0, last.1 - first.0);
    let mut at = from & !7;
    while at + 8 <= to {
        // SAFETY: a word of the caller's own stack, aligned; whatever it holds.
        let word = unsafe { (at as *const usize).read_volatile() };
        if word.wrapping_sub(low) < span {
            let next = code.ranges.partition_point(|range| range.0 <= word);
            if next > 0 && word < code.ranges[next - 1].1 {
                return true;
            }
        }
        at += 8;
    }
    false
}

/// For each loaded library: list its code, if the list is not the newest.
unsafe extern "C" fn look(info: *mut libc::dl_phdr_info, size: libc::size_t, code: *mut c_void) -> c_int {
    let _ = size;
    // SAFETY: the loader's record, and the list that `on_stack` passes on.
    let (info, code) = unsafe { (&*info, &mut *code.cast::<Code>()) };
    if code.adds == info.dlpi_adds && code.subs == info.dlpi_subs {
        return 1;
    }
    list(code);
    (code.adds, code.subs) = (info.dlpi_adds, info.dlpi_subs);
    1
}

#[cold]
fn list(code: &mut Code) {
    code.ranges.clear();
    // SAFETY: the callback gets the list for the duration of the call. The loader's lock may be taken again by the thread
    // that has it.
    unsafe { libc::dl_iterate_phdr(Some(add), (&raw mut *code).cast()) };
    code.ranges.sort_unstable();
}

unsafe extern "C" fn add(info: *mut libc::dl_phdr_info, _size: libc::size_t, code: *mut c_void) -> c_int {
    // SAFETY: the loader's record and its program headers; the list that `list` passes on.
    unsafe {
        let (info, code) = (&*info, &mut *code.cast::<Code>());
        let headers = std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into());
        let executable = |header: &&libc::Elf64_Phdr| {
            header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_X != 0
        };
        let range = |header: &libc::Elf64_Phdr| {
            let start = info.dlpi_addr as usize + header.p_vaddr as usize;
            (start, start + header.p_memsz as usize)
        };
        // One address of each library that may be on any stack.
        let known: [usize; 5] = [
            crate::raw::PyObject_Call as *const () as usize,
            crate::gort::gort_version as *const () as usize,
            add as *const () as usize,
            libc::abort as *const () as usize,
            // Before glibc 2.34 a library of its own.
            libc::pthread_create as *const () as usize,
        ];
        let is_known = |&(start, end): &(usize, usize)| known.iter().any(|&at| start <= at && at < end);
        // The loader itself is called through the first call of each function.
        let name = if info.dlpi_name.is_null() { c"" } else { std::ffi::CStr::from_ptr(info.dlpi_name) };
        let name = name.to_bytes();
        let is_system = name.windows(4).any(|part| part == b"/ld-") || name.windows(4).any(|part| part == b"vdso");
        // The program itself, which is Python.
        let is_program = name.is_empty();
        let ranges: Vec<_> = headers.iter().filter(executable).map(range).collect();
        if !is_system && !is_program && !ranges.iter().any(is_known) {
            code.ranges.extend(ranges);
        }
    }
    0
}
