//! What is loaded into the process: finding a symbol by its name.
//!
//! The one thing to know: unlike `dlsym` this may be called at any time and on any thread. `dlsym` waits while
//! another thread is in `dlopen`, whose constructors may in turn wait for a goroutine. It also finds what was
//! loaded for others only (`RTLD_LOCAL`), as a Python extension's C++ runtime is. It does not find what an
//! executable has linked in statically and does not export.

use std::ffi::{CStr, c_int, c_void};
use std::ptr::null_mut;
use std::sync::{Mutex, MutexGuard};

/// Held while a thread of ours is in the loader's list, and across a fork: the C library's own lock of that list would
/// stay locked in the child for good, for want of the thread that had it.
static LISTING: Mutex<()> = Mutex::new(());

/// Keep all threads of ours out of the loader's list: for a fork.
pub(crate) fn lock() -> MutexGuard<'static, ()> {
    LISTING.lock().unwrap_or_else(|e| e.into_inner())
}

type Each = unsafe extern "C" fn(*mut libc::dl_phdr_info, usize, *mut c_void) -> c_int;

/// `dl_iterate_phdr`.
///
/// # Safety
/// As for that; `each` does not call this.
pub(crate) unsafe fn for_each(each: Each, data: *mut c_void) {
    let _lock = lock();
    // SAFETY: the caller's promise.
    unsafe { libc::dl_iterate_phdr(Some(each), data) };
}

/// How many objects have been loaded so far, for telling whether another look may find more.
pub(crate) fn count() -> u64 {
    unsafe extern "C" fn first(info: *mut libc::dl_phdr_info, _: usize, count: *mut c_void) -> c_int {
        // SAFETY: the loader's structure, and the caller's number.
        unsafe { *count.cast::<u64>() = (*info).dlpi_adds };
        1
    }
    let mut count = 0;
    // SAFETY: the callback gets the number, which is live during the call.
    unsafe { for_each(first, (&raw mut count).cast()) };
    count
}

struct Search<'a> {
    name: &'a CStr,
    hash: u32,
    found: *mut c_void,
}

/// The first definition of `name` among the dynamic symbols of all loaded objects; null: there is none.
pub(crate) fn symbol(name: &CStr) -> *mut c_void {
    // The hash of DT_GNU_HASH.
    let hash = name.to_bytes().iter().fold(5381_u32, |h, &c| h.wrapping_mul(33).wrapping_add(u32::from(c)));
    let mut search = Search { name, hash, found: null_mut() };
    // SAFETY: the callback gets the search, which is live during the call.
    unsafe { for_each(look, (&raw mut search).cast()) };
    search.found
}

/// # Safety
/// Called by `dl_iterate_phdr` in `symbol` only; the object stays loaded during the call.
unsafe extern "C" fn look(info: *mut libc::dl_phdr_info, _: usize, search: *mut c_void) -> c_int {
    // SAFETY: as above.
    unsafe {
        let search = &mut *search.cast::<Search<'_>>();
        if let Some(tables) = Tables::of(&*info) {
            search.found = tables.find(search.name, search.hash);
        }
        c_int::from(!search.found.is_null())
    }
}

/// The tables of one object that its symbols are found by.
struct Tables {
    base: usize,
    symbols: *const libc::Elf64_Sym,
    names: *const i8,
    hash: *const u32,
}

#[repr(C)]
struct Dynamic {
    tag: i64,
    value: usize,
}

const DT_STRTAB: i64 = 5;
const DT_SYMTAB: i64 = 6;
const DT_GNU_HASH: i64 = 0x6fff_fef5;

impl Tables {
    /// # Safety
    /// `info` describes a loaded object.
    unsafe fn of(info: &libc::dl_phdr_info) -> Option<Tables> {
        let base = info.dlpi_addr as usize;
        // SAFETY: the program headers and the dynamic section of a loaded object are mapped; the latter ends with
        // a tag of 0.
        unsafe {
            let headers = std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into());
            let dynamic = headers.iter().find(|header| header.p_type == libc::PT_DYNAMIC)?;
            let mut entry = (base + dynamic.p_vaddr as usize) as *const Dynamic;
            let (mut symbols, mut names, mut hash) = (0, 0, 0);
            while (*entry).tag != 0 {
                // Loaders write addresses in place of offsets, most of them for most objects.
                let value = (*entry).value;
                let address = if value < base { base + value } else { value };
                match (*entry).tag {
                    DT_STRTAB => names = address,
                    DT_SYMTAB => symbols = address,
                    DT_GNU_HASH => hash = address,
                    _ => {}
                }
                entry = entry.add(1);
            }
            let complete = symbols != 0 && names != 0 && hash != 0;
            complete.then_some(Tables {
                base,
                symbols: symbols as *const _,
                names: names as *const _,
                hash: hash as *const _,
            })
        }
    }

    /// # Safety
    /// The tables are those of an object that stays loaded.
    unsafe fn find(&self, name: &CStr, hash: u32) -> *mut c_void {
        // SAFETY: the layout of DT_GNU_HASH: four words; a Bloom filter; for each bucket the index of its first
        // symbol, or 0; for each symbol from the first hashed one its hash, the last of a bucket with an odd one.
        unsafe {
            let [buckets, first, bloom, _] = self.hash.cast::<[u32; 4]>().read();
            if buckets == 0 {
                return null_mut();
            }
            let table = self.hash.add(4).cast::<usize>().add(bloom as usize).cast::<u32>();
            let chains = table.add(buckets as usize);
            let mut index = *table.add((hash % buckets) as usize);
            while index >= first && index != 0 {
                let chain = *chains.add((index - first) as usize);
                if chain | 1 == hash | 1 {
                    let symbol = &*self.symbols.add(index as usize);
                    let its_name = CStr::from_ptr(self.names.add(symbol.st_name as usize).cast());
                    // A section of 0: wanted, not defined.
                    if symbol.st_shndx != 0 && its_name == name {
                        return (self.base + symbol.st_value as usize) as *mut c_void;
                    }
                }
                if chain & 1 == 1 {
                    break;
                }
                index += 1;
            }
        }
        null_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_loader_knows_is_found() {
        for name in [c"malloc", c"getpid", c"qsort", c"_Unwind_Backtrace"] {
            // SAFETY: a name.
            let expected = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
            assert!(!expected.is_null());
            assert_eq!(symbol(name), expected, "{name:?}");
        }
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        assert!(symbol(c"gort_there_is_no_such_name").is_null());
        assert!(symbol(c"").is_null());
    }

    #[test]
    fn loads_are_counted() {
        assert_ne!(count(), 0);
        assert_eq!(count(), count());
    }
}
