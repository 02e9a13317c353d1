//! The native module `gort._gort`: a thin layer between Python and `gort.h`.
//!
//! The one thing to know: a function that may park is a raw function of Python's C API (`raw`), and whatever it
//! waits for, it waits for in `block::may_block`. Files:
//!
//! | file | what |
//! |---|---|
//! | `gort` | the declarations of `gort.h` |
//! | `raw` | helpers over Python's C API: references, arguments, types |
//! | `errors` | the exceptions, and statuses as exceptions |
//! | `block` | waiting, with and without the GIL; signals |
//! | `lane`, `shim.c` | the worker threads of Python's goroutines, and their thread states |
//! | `proxy` | calls that the main thread cannot make in slices |
//! | `sync` | mutexes, condition variable, once, semaphore, wait group |
//! | `ctx`, `after` | contexts |
//! | `signal` | signals on channels |
//! | `net` | descriptors, for connections |
//! | `inspect` | statistics, dumps |
//! | `attach` | the GIL, for what the C library calls |
//! | `chan/`, `select` | channels |
//! | `time` | timers, tickers |
//! | `aio` | channels for event loops of asyncio |
//! | `foreign` | are there frames of other libraries on a goroutine's stack |
//! | `run` | a main goroutine, and the deadlock detector |
//! | `go` | `go`, and what becomes of an exception that leaves a goroutine |

mod after;
mod aio;
mod attach;
mod block;
mod chan;
mod ctx;
mod errors;
mod foreign;
mod go;
mod gort;
mod inspect;
mod lane;
mod net;
mod proxy;
mod raw;
mod run;
mod select;
mod signal;
mod sync;
mod time;

use std::ffi::{CStr, c_int, c_void};
use std::ptr;

use raw::*;

const DOC: &CStr = c"Goroutines, channels and select: the native part of gort.";

static FUNCTIONS: Table<PyMethodDef, 1> = table([method0(
    c"version",
    version,
    c"version()\n--\n\nThe version of the native library, as \"0.1.0\".",
)]);

static SLOTS: Slots<{ 2 + cfg!(Py_3_12) as usize }> = Slots([
    PyModuleDef_Slot { slot: Py_mod_exec, value: exec as *mut c_void },
    #[cfg(Py_3_12)]
    PyModuleDef_Slot { slot: Py_mod_multiple_interpreters, value: Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED },
    PyModuleDef_Slot { slot: 0, value: ptr::null_mut() },
]);

struct Slots<const N: usize>([PyModuleDef_Slot; N]);
// SAFETY: Python only reads it.
unsafe impl<const N: usize> Sync for Slots<N> {}

static mut MODULE: PyModuleDef = PyModuleDef {
    m_base: PyModuleDef_HEAD_INIT,
    m_name: c"_gort".as_ptr(),
    m_doc: DOC.as_ptr(),
    m_size: 0,
    m_methods: FUNCTIONS.as_ptr().cast(),
    m_slots: SLOTS.0.as_ptr().cast_mut(),
    m_traverse: None,
    m_clear: None,
    m_free: None,
};

/// What Python calls to import the module.
///
/// # Safety
/// Python calls it, with the GIL held.
#[unsafe(no_mangle)]
#[allow(non_snake_case, reason = "the name that Python looks for")]
pub unsafe extern "C" fn PyInit__gort() -> *mut PyObject {
    // SAFETY: the definition is written to by Python alone, with the GIL held.
    unsafe { PyModuleDef_Init(&raw mut MODULE) }
}

unsafe extern "C" fn exec(module: Object) -> c_int {
    // SAFETY: called by Python with the new module.
    status(|| unsafe { fill(module) })
}

/// Put everything into the module: one line for each part of it.
///
/// # Safety
/// `module` is the new module.
unsafe fn fill(module: Object) -> Py<()> {
    // SAFETY: Python calls this once for each interpreter, with the GIL held.
    unsafe {
        main_interpreter_only()?;
        set_main_thread()?;
        errors::add_to(module)?;
        chan::add_to(module)?;
        select::add_to(module)?;
        time::add_to(module)?;
        aio::add_to(module)?;
        go::add_to(module)?;
        sync::add_to(module)?;
        ctx::add_to(module)?;
        inspect::add_to(module)?;
        signal::add_to(module)?;
        net::add_to(module)?;
        run::add_to(module)?;
    }
    Ok(())
}

/// Types and thread states are those of one interpreter: refuse the others. (3.12 and later refuse by themselves,
/// for interpreters with a GIL of their own.)
unsafe fn main_interpreter_only() -> Py<()> {
    // SAFETY: the GIL is held, so there is a current interpreter.
    unsafe {
        if PyInterpreterState_GetID(PyInterpreterState_Get()) == 0 {
            return Ok(());
        }
        Err(raise(PyExc_ImportError, "gort cannot be used in a subinterpreter: import it in the main interpreter"))
    }
}

unsafe fn set_main_thread() -> Py<()> {
    // SAFETY: the GIL is held.
    unsafe {
        let threading = Owned::new(PyImport_ImportModule(c"threading".as_ptr()))?;
        let main = Owned::new(PyObject_CallMethodNoArgs(threading.as_ptr(), string("main_thread")?.as_ptr()))?;
        let ident = Owned::new(PyObject_GetAttrString(main.as_ptr(), c"ident".as_ptr()))?;
        block::set_main_thread(PyLong_AsUnsignedLongLongMask(ident.as_ptr()));
    }
    Ok(())
}

unsafe extern "C" fn version(_module: Object, _unused: Object) -> Object {
    // SAFETY: a static text.
    returned(|| string(unsafe { CStr::from_ptr(gort::gort_version_string()) }.to_str().unwrap_or_default()))
}
