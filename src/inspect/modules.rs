//! The program and its shared libraries, as they lie in memory.
//!
//! The one thing to know: a library may be unloaded while we read its tables, so each is held by a reference of its
//! own (`dlopen` of what is loaded already) for as long as the list lives. And **its file may be another by now**: an
//! upgrade replaces programs and libraries while they run. What is loaded is then told by the kernel to be deleted.

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
    #[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "for backtraces"))]
    segments: Vec<Range<usize>>,
    /// Where its index of unwind information lies.
    #[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "for backtraces"))]
    eh_frame_hdr: Option<Range<usize>>,
    /// The path that it was loaded from. The kernel's own has none.
    pub(super) path: PathBuf,
    /// Where its file can be read now, if anywhere.
    pub(super) file: Option<PathBuf>,
    is_program: bool,
    held: Option<NonNull<c_void>>,
}

/// What the kernel adds to the name of a file that is there no more.
const DELETED: &[u8] = b" (deleted)";

// SAFETY: a handle of `dlopen` may be closed by any thread; the rest are numbers and a path.
unsafe impl Send for Module {}
// SAFETY: nothing in it changes.
unsafe impl Sync for Module {}

/// What one can unwind with.
#[cfg(target_arch = "x86_64")]
pub(super) struct UnwindTables {
    pub(super) eh_frame_hdr: &'static [u8],
    pub(super) eh_frame: &'static [u8],
}

#[cfg(target_arch = "x86_64")]
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
pub(super) struct Modules {
    pub(super) all: Vec<Module>,
    /// How many were loaded and unloaded since the process began: as long as it is the same, so are they.
    pub(super) changes: (u64, u64),
}

impl Modules {
    pub(super) fn new() -> Modules {
        let mut modules = Modules { all: Vec::new(), changes: (0, 0) };
        // SAFETY: `add` is called with `modules`, which nobody else uses, before the call returns.
        unsafe { loaded::for_each(add, (&raw mut modules).cast()) };
        // Not under the loader's lock.
        modules.all.retain_mut(Module::hold);
        modules.all.sort_by_key(|module| module.range.start);
        modules.find_files();
        modules
    }

    /// The one that `address` lies in.
    pub(super) fn find(&self, address: usize) -> Option<usize> {
        let after = self.all.partition_point(|module| module.range.start <= address);
        let index = after.checked_sub(1)?;
        self.all[index].range.contains(&address).then_some(index)
    }

    /// Tell those whose file has been deleted or replaced.
    fn find_files(&mut self) {
        for module in &mut self.all {
            let named = module.path.as_os_str().as_bytes().contains(&b'/');
            module.file = named.then(|| module.path.clone());
        }
        let maps = std::fs::read("/proc/thread-self/maps").unwrap_or_default();
        for line in maps.split(|&b| b == b'\n').filter(|line| line.ends_with(DELETED)) {
            let start = line.split(|&b| b == b'-').next().and_then(|digits| std::str::from_utf8(digits).ok());
            if let Some(start) = start.and_then(|digits| usize::from_str_radix(digits, 16).ok())
                && let Some(index) = self.find(start)
            {
                let module = &mut self.all[index];
                module.file = module.is_program.then(|| PathBuf::from("/proc/thread-self/exe"));
            }
        }
    }
}

impl Module {
    /// Keep it from being unloaded; false: it has been meanwhile.
    fn hold(&mut self) -> bool {
        if !self.path.as_os_str().as_bytes().contains(&b'/') {
            // The program itself, which has no name here, and the kernel's library stay anyway.
            if self.path.as_os_str().is_empty() {
                // Not `self`: that is the first thread's, and nothing once that has ended.
                let path = std::fs::read_link("/proc/thread-self/exe").unwrap_or_default().into_os_string();
                let bytes = path.as_bytes();
                self.path = OsStr::from_bytes(bytes.strip_suffix(DELETED).unwrap_or(bytes)).into();
                self.is_program = true;
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
/// As [`crate::loaded::for_each`] calls it, with a `Modules`.
unsafe extern "C" fn add(info: *mut libc::dl_phdr_info, _: usize, modules: *mut c_void) -> c_int {
    // SAFETY: the caller's promise; the program headers are those of a module that is loaded.
    let (info, modules, headers) = unsafe {
        let info = &*info;
        let headers: &[_] = if info.dlpi_phdr.is_null() {
            &[]
        } else {
            std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into())
        };
        (info, &mut *modules.cast::<Modules>(), headers)
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
    modules.changes = (info.dlpi_adds, info.dlpi_subs);
    let module =
        Module { base, range, segments, eh_frame_hdr, path, file: None, is_program: false, held: None };
    modules.all.push(module);
    0
}

/// # Safety
/// `text` is null or a text that stays for as long as the result is used.
unsafe fn text<'a>(text: *const c_char) -> &'a [u8] {
    // SAFETY: the caller's promise.
    if text.is_null() { b"" } else { unsafe { CStr::from_ptr(text) }.to_bytes() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A copy of a library, loaded.
    struct Copy {
        file: CString,
        handle: *mut c_void,
    }

    impl Copy {
        fn new(name: &str) -> Copy {
            let loaded = Modules::new();
            let library = loaded.all.iter().find(|module| module.held.is_some()).expect("a library");
            let file = std::env::temp_dir().join(format!("{name}-{}.so", std::process::id()));
            std::fs::copy(&library.path, &file).unwrap();
            let file = CString::new(file.into_os_string().into_encoded_bytes()).unwrap();
            let mut copy = Copy { file, handle: std::ptr::null_mut() };
            copy.load();
            copy
        }

        fn load(&mut self) {
            // SAFETY: a library whose initialisation does nothing twice that matters.
            self.handle = unsafe { libc::dlopen(self.file.as_ptr(), libc::RTLD_LAZY | libc::RTLD_LOCAL) };
            assert!(!self.handle.is_null());
        }

        fn unload(&self) {
            // SAFETY: loaded by `load`.
            unsafe { libc::dlclose(self.handle) };
        }

        fn path(&self) -> &Path {
            Path::new(OsStr::from_bytes(self.file.as_bytes()))
        }
    }

    #[test]
    fn a_library_that_was_loaded_again_is_another() {
        let mut copy = Copy::new("gort-again");
        let before = Modules::new().changes;
        copy.unload();
        copy.load();
        let after = Modules::new().changes;
        assert!(after.0 > before.0 && after.1 > before.1, "{before:?} {after:?}");
        copy.unload();
        std::fs::remove_file(copy.path()).unwrap();
    }

    #[test]
    fn a_file_that_was_replaced_is_not_read() {
        let copy = Copy::new("gort-replaced");
        let file = || {
            let modules = Modules::new();
            modules.all.iter().find(|module| module.path == copy.path()).expect("it is loaded").file.clone()
        };
        assert_eq!(file().as_deref(), Some(copy.path()));
        std::fs::remove_file(copy.path()).unwrap();
        std::fs::write(copy.path(), "another").unwrap();
        assert_eq!(file(), None);
        copy.unload();
        std::fs::remove_file(copy.path()).unwrap();
    }
}
