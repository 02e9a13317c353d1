//! The program and its shared libraries, as they lie in memory.
//!
//! The one thing to know: a library may be unloaded while we read its tables, so each is held by a reference of its
//! own (`dlopen` of what is loaded already) for as long as the list lives.

use crate::loaded;
use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_void};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;

/// One of them.
pub(super) struct Module {
    /// What is added to the addresses in its file.
    pub(super) base: usize,
    /// From its first to its last segment.
    pub(super) range: Range<usize>,
    /// Readable segments.
    segments: Vec<Range<usize>>,
    /// Where its index of unwind information lies.
    eh_frame_hdr: Option<Range<usize>>,
    /// Its file. The kernel's own has none.
    pub(super) path: PathBuf,
    held: Option<NonNull<c_void>>,
}

// SAFETY: a handle of `dlopen` may be closed by any thread; the rest are numbers and a path.
unsafe impl Send for Module {}
// SAFETY: nothing in it changes.
unsafe impl Sync for Module {}

/// What one can unwind with.
pub(super) struct UnwindTables {
    pub(super) eh_frame_hdr: &'static [u8],
    pub(super) eh_frame: &'static [u8],
}

impl Module {
    /// Its unwind information; empty if there is none. To be used no longer than the module is held.
    pub(super) fn unwind_tables(&self) -> Option<UnwindTables> {
        let header = self.slice(self.eh_frame_hdr.clone()?)?;
        // Version 1; the pointer to .eh_frame as 4 signed bytes relative to itself: what every linker writes.
        let (&[1, 0x1b, _, _], rest) = header.split_first_chunk::<4>()? else { return None };
        let offset = i32::from_ne_bytes(*rest.first_chunk::<4>()?);
        let start = header.as_ptr().addr().wrapping_add(4).wrapping_add_signed(offset as isize);
        // It ends somewhere before its segment does, with a zero length.
        let segment = self.segments.iter().find(|s| s.contains(&start))?;
        Some(UnwindTables { eh_frame_hdr: header, eh_frame: self.slice(start..segment.end)? })
    }

    fn slice(&self, range: Range<usize>) -> Option<&'static [u8]> {
        let segment = self.segments.iter().find(|s| s.contains(&range.start))?;
        let end = range.end.min(segment.end);
        // SAFETY: within a readable segment, which stays mapped while the module is held; unwind information is
        // not written once the module has been loaded.
        Some(unsafe { std::slice::from_raw_parts(range.start as *const u8, end - range.start) })
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        if let Some(held) = self.held {
            // SAFETY: our own reference.
            unsafe { libc::dlclose(held.as_ptr()) };
        }
    }
}

/// All of them, by address.
pub(super) struct Modules(pub(super) Vec<Module>);

impl Modules {
    pub(super) fn new() -> Modules {
        let mut modules: Vec<Module> = Vec::new();
        // SAFETY: `add` is called with `modules`, which nobody else uses, before the call returns.
        unsafe { loaded::for_each(add, (&raw mut modules).cast()) };
        // Not under the loader's lock.
        modules.retain_mut(Module::hold);
        modules.sort_by_key(|module| module.range.start);
        Modules(modules)
    }

    /// The one that `address` lies in.
    pub(super) fn find(&self, address: usize) -> Option<usize> {
        let after = self.0.partition_point(|module| module.range.start <= address);
        let index = after.checked_sub(1)?;
        self.0[index].range.contains(&address).then_some(index)
    }
}

impl Module {
    /// Keep it from being unloaded; false: it has been meanwhile.
    fn hold(&mut self) -> bool {
        if !self.path.as_os_str().as_bytes().contains(&b'/') {
            // The program itself, which has no name here, and the kernel's library stay anyway.
            if self.path.as_os_str().is_empty() {
                self.path = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("/proc/self/exe"));
            }
            return true;
        }
        let Ok(path) = CString::new(self.path.as_os_str().as_bytes()) else { return false };
        // SAFETY: a path; nothing is loaded.
        self.held = NonNull::new(unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_LAZY | libc::RTLD_NOLOAD) });
        self.held.is_some()
    }
}

/// # Safety
/// As [`libc::dl_iterate_phdr`] calls it, with a `Vec<Module>`.
unsafe extern "C" fn add(info: *mut libc::dl_phdr_info, _: usize, modules: *mut c_void) -> c_int {
    // SAFETY: the caller's promise; the program headers are those of a module that is loaded.
    let (info, modules, headers) = unsafe {
        let info = &*info;
        let headers: &[_] = if info.dlpi_phdr.is_null() {
            &[]
        } else {
            std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into())
        };
        (info, &mut *modules.cast::<Vec<Module>>(), headers)
    };
    let base = info.dlpi_addr as usize;
    let mut segments = Vec::new();
    let (mut lowest, mut highest) = (usize::MAX, 0);
    let mut eh_frame_hdr = None;
    for header in headers {
        let start = base.wrapping_add(header.p_vaddr as usize);
        let place = start..start.wrapping_add(header.p_memsz as usize);
        match header.p_type {
            libc::PT_LOAD => {
                (lowest, highest) = (lowest.min(place.start), highest.max(place.end));
                if header.p_flags & libc::PF_R != 0 {
                    segments.push(place);
                }
            }
            libc::PT_GNU_EH_FRAME => eh_frame_hdr = Some(place),
            _ => {}
        }
    }
    // SAFETY: a name, or null.
    let name = unsafe { text(info.dlpi_name) };
    let path = Path::new(OsStr::from_bytes(name)).to_owned();
    let range = lowest..highest.max(lowest);
    modules.push(Module { base, range, segments, eh_frame_hdr, path, held: None });
    0
}

/// # Safety
/// `text` is null or a text that stays for as long as the result is used.
unsafe fn text<'a>(text: *const c_char) -> &'a [u8] {
    // SAFETY: the caller's promise.
    if text.is_null() { b"" } else { unsafe { CStr::from_ptr(text) }.to_bytes() }
}
