//! Statistics and dumps.

use crate::block::without_gil;
use crate::errors::checked;
use crate::gort;
use crate::lane;
use crate::raw::*;

static FUNCTIONS: Table<PyMethodDef, 3> = table([
    method0(
        c"in_goroutine",
        in_goroutine,
        c"in_goroutine()\n--\n\nWhether the caller is a goroutine of Python's.",
    ),
    method0(c"_stats", stats, c"_stats()\n--\n\nThe numbers of Stats."),
    method1(c"_dump", dump, c"_dump(fd, /)\n--\n\nWrite every goroutine to the descriptor."),
]);

/// Put the functions into the module.
///
/// # Safety
/// `module` is the module.
pub(crate) unsafe fn add_to(module: Object) -> Py<()> {
    // SAFETY: the caller's promise.
    check(unsafe { PyModule_AddFunctions(module, FUNCTIONS.as_ptr().cast()) }).map(drop)
}

unsafe extern "C" fn in_goroutine(_module: Object, _: Object) -> Object {
    returned(|| Ok(boolean(lane::in_goroutine())))
}

unsafe extern "C" fn stats(_module: Object, _: Object) -> Object {
    returned(|| {
        let mut stats = gort::gort_stats_t { size: size_of::<gort::gort_stats_t>(), ..Default::default() };
        // SAFETY: a struct of the size that it says.
        checked(unsafe { gort::gort_stats(&mut stats) })?;
        tuple([
            unsigned(stats.goroutines)?,
            unsigned(stats.spawned)?,
            unsigned(stats.workers)?,
            unsigned(stats.threads)?,
            unsigned(stats.parks)?,
            unsigned(stats.steals)?,
            unsigned(stats.wakeups)?,
            unsigned(stats.stack_bytes)?,
        ])
    })
}

unsafe extern "C" fn dump(_module: Object, fd: Object) -> Object {
    // SAFETY: called by Python; the call writes to a descriptor, which may wait.
    returned(|| unsafe {
        let fd = PyObject_AsFileDescriptor(fd);
        if fd < 0 {
            return Err(Raised);
        }
        checked(without_gil(|| gort::gort_dump(fd)))?;
        Ok(none())
    })
}
