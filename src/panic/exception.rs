//! C++ exceptions that leave a function that gort called: said what they are, and the end of the process.
//!
//! The one thing to know: the frames at our edges (the first of a goroutine, and that of each landing) have a
//! *personality routine*, which the C++ runtime asks in its search for a handler, before it unwinds anything. An
//! exception that comes so far has no handler within, so it is reported there and then, and the backtrace
//! still shows where it was thrown.
//!
//! The library is not linked with a C++ runtime. What it needs of one it finds in the process by name, which is
//! there, since somebody has thrown; and it knows the layout of a thrown exception, which is part of the common
//! C++ ABI ("Itanium") and the same in GNU's and LLVM's runtime.

use super::report;
use super::unwind::{CLASS, Exception};
use crate::loaded;
use crate::primitive::backtrace::{Backtrace, Context, enclosing_function};
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::fmt::{self, Write};
use std::ptr::null_mut;

/// `_UA_SEARCH_PHASE`.
const SEARCH_PHASE: c_int = 1;
/// `_URC_CONTINUE_UNWIND`.
const CONTINUE_UNWIND: c_int = 8;

/// # Safety
/// Called by the unwinder alone, at a frame whose unwind information names it.
pub(crate) unsafe extern "C" fn edge_personality(
    _version: c_int,
    actions: c_int,
    class: u64,
    exception: *mut Exception,
    _context: *mut Context,
) -> c_int {
    // Forced unwinding (ours, or that of a thread that is cancelled) has no search phase and passes.
    if actions & SEARCH_PHASE != 0 && class != CLASS {
        // SAFETY: the unwinder's exception, of that class.
        unsafe { escaped(class, exception) }
    }
    CONTINUE_UNWIND
}

/// # Safety
/// `exception` is being thrown and of the class `class`.
#[cold]
unsafe fn escaped(class: u64, exception: *mut Exception) -> ! {
    let here = 0_u8;
    let trace = Backtrace::of_caller((&raw const here).addr());
    // SAFETY: the caller's promise.
    let what = |out: &mut dyn Write| unsafe { describe(class, exception, out) };
    report::end(what, above_the_throw(trace.addresses()))
}

/// Without the innermost frames, which are those of the C++ runtime.
fn above_the_throw(addresses: &[usize]) -> &[usize] {
    const NAMES: [&CStr; 5] = [
        c"_Unwind_RaiseException",
        c"_Unwind_Resume_or_Rethrow",
        c"__cxa_throw",
        c"__cxa_rethrow",
        // std::rethrow_exception(std::exception_ptr)
        c"_ZSt17rethrow_exceptionNSt15__exception_ptr13exception_ptrE",
    ];
    let throwing = NAMES.map(|name| loaded::symbol(name).addr());
    let is_throwing = |&address: &usize| {
        let function = enclosing_function(address);
        function != 0 && throwing.contains(&function)
    };
    let first = addresses.iter().take(5).rposition(is_throwing).map_or(0, |last| last + 1);
    &addresses[first..]
}

/// The language half of `class`: "C++" and whether it is the thrown object itself or one that refers to it.
fn language(class: u64) -> [u8; 4] {
    let [_, _, _, _, rest @ ..] = class.to_be_bytes();
    rest
}

/// # Safety
/// As for `escaped`.
unsafe fn describe(class: u64, exception: *mut Exception, out: &mut dyn Write) -> fmt::Result {
    // SAFETY: exceptions of C++ are laid out like this; a dependent one (of std::rethrow_exception) begins with
    // a pointer to the object that was thrown first.
    unsafe {
        let header = exception.cast::<*mut u8>().sub(TYPE_BEFORE / size_of::<*mut u8>());
        let (mut object, type_info) = match &language(class) {
            b"C++\0" => (exception.add(1).cast::<u8>(), header.read()),
            b"C++\x01" => {
                let object = header.read();
                (object, object.sub(size_of::<Exception>() + TYPE_BEFORE).cast::<*mut u8>().read())
            }
            _ => {
                return writeln!(
                    out,
                    "panic: an exception that is not of C++ left its goroutine: {class:#018x}"
                );
            }
        };
        out.write_str("panic: C++ exception ")?;
        name(type_info.cast(), out)?;
        if is_std_exception(type_info, &mut object) {
            let vtable = object.cast::<*const [What; 3]>().read();
            // The two before it are the destructors.
            let what = (*vtable)[2](object);
            if !what.is_null() {
                write!(out, ": {}", CStr::from_ptr(what).to_string_lossy().replace('\n', "\n\t"))?;
            }
        }
        out.write_str("\n")
    }
}

/// From the unwinder's part of an exception back to the pointer to its type: the ten words before the former.
const TYPE_BEFORE: usize = 10 * 8;

/// `std::exception::what`, and the functions before it in its table, which are not called as such.
type What = unsafe extern "C" fn(*mut u8) -> *const c_char;

/// `std::type_info`, as the C++ ABI has it.
#[repr(C)]
struct TypeInfo {
    vtable: *const [Catches; 5],
    name: *const c_char,
}

/// "Does a handler for this type catch an exception of that one, and where is the part of the object that it
/// sees?": the fifth function in the table of a type (after two destructors and two others), in both runtimes.
type Catches = unsafe extern "C" fn(*const TypeInfo, *const TypeInfo, *mut *mut u8, c_uint) -> bool;

/// # Safety
/// `type_info` is that of a thrown exception.
unsafe fn name(type_info: *const TypeInfo, out: &mut dyn Write) -> fmt::Result {
    type Demangle = unsafe extern "C" fn(*const c_char, *mut c_char, *mut usize, *mut c_int) -> *mut c_char;
    // SAFETY: the runtime's own structures and its function of that type.
    unsafe {
        // An asterisk marks a name that is not unique.
        let mut name = (*type_info).name;
        name = name.add(usize::from(*name as u8 == b'*'));
        let demangle = loaded::symbol(c"__cxa_demangle");
        if !demangle.is_null() {
            let demangle = std::mem::transmute::<*mut c_void, Demangle>(demangle);
            let plain = demangle(name, null_mut(), null_mut(), null_mut());
            name = if plain.is_null() { name } else { plain };
        }
        out.write_str(&CStr::from_ptr(name).to_string_lossy())
    }
}

/// Is the object a `std::exception`? Then `object` is that part of it.
///
/// # Safety
/// `object` is a thrown object of the type `type_info`.
unsafe fn is_std_exception(type_info: *const u8, object: &mut *mut u8) -> bool {
    let std_exception = loaded::symbol(c"_ZTISt9exception").cast::<TypeInfo>();
    // SAFETY: the runtime's own structures.
    unsafe {
        !std_exception.is_null() && (*(*std_exception).vtable)[4](std_exception, type_info.cast(), object, 1)
    }
}
