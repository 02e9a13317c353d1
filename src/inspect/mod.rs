//! Seeing inside: what a program is doing, for those who read its reports.
//!
//! | file | what lives there |
//! |---|---|
//! | `mod.rs` | backtraces as text |
//!
//! The one thing to know: an address in a backtrace is a *return address*, behind the call that is meant. It is
//! looked up one byte before.

use std::ffi::CStr;
use std::fmt::Write;
use std::mem::MaybeUninit;

/// Write a backtrace to `fd`: for each return address, innermost first, the function's name and how far into it
/// the call is, and on a second line the object file and the address in it (for `addr2line -fie`).
pub(crate) fn write_frames(fd: i32, pcs: &[usize]) {
    let mut line = String::new();
    for &pc in pcs {
        line.clear();
        // Writing to a `String` cannot fail.
        let _ = describe(&mut line, pc);
        let mut rest = line.as_bytes();
        while !rest.is_empty() {
            // SAFETY: `rest` is a live buffer of that length.
            let n = unsafe { libc::write(fd, rest.as_ptr().cast(), rest.len()) };
            match usize::try_from(n) {
                Ok(n) if n > 0 => rest = &rest[n..],
                _ => return,
            }
        }
    }
}

fn describe(line: &mut String, pc: usize) -> std::fmt::Result {
    let mut info = MaybeUninit::<libc::Dl_info>::uninit();
    // SAFETY: any address may be asked for; the struct is filled in if the result is not 0. The names it has
    // are those of loaded objects.
    unsafe {
        if libc::dladdr((pc - 1) as *const _, info.as_mut_ptr()) == 0 {
            return writeln!(line, "?\n\t{pc:#x}");
        }
        let info = info.assume_init();
        if info.dli_sname.is_null() {
            line.push_str("?\n\t");
        } else {
            let offset = pc - info.dli_saddr.addr();
            write!(line, "{}+{offset:#x}\n\t", CStr::from_ptr(info.dli_sname).to_string_lossy())?;
        }
        let object = CStr::from_ptr(info.dli_fname).to_string_lossy();
        writeln!(line, "{object}+{:#x} [{pc:#x}]", pc - info.dli_fbase.addr())
    }
}
