//! Seeing inside: dumps of all goroutines, backtraces, counts, deadlocks.
//!
//! | file | what lives there |
//! |---|---|
//! | `list.rs` | every goroutine |
//! | `dump.rs` | the text of a dump |
//! | `unwind.rs`, `modules.rs`, `memory.rs` | backtraces, and reading what others are using |
//! | `symbols.rs` | from addresses to functions and lines |
//! | `out.rs` | writing to a file descriptor |
//! | `caller.rs` | the thread that asks |
//! | `deadlock.rs` | nobody can go on any more: finding it, and saying so |
//! | `leaks/` | which goroutines can never wake |
//! | `quit.rs` | SIGQUIT under `gort_main` |
//!
//! The one thing to know: **nothing is stopped** (but by `leaks/`, for a moment)**, and nothing that is read is believed before it was checked**
//! (`sched/look.rs`). All of this allocates and takes the loader's lock, so none of it may be called in a signal
//! handler; and it wants more stack than a goroutine may have left, so it runs on a thread of its own when a
//! goroutine asks.

mod caller;
pub(crate) mod deadlock;
mod dump;
mod leaks;
pub(crate) mod list;
#[cfg(target_arch = "x86_64")]
mod memory;
mod modules;
mod out;
pub(crate) mod quit;
mod symbols;
mod unwind;

use crate::sched::{Me, current_goroutine, me};
use caller::{has_little_stack, uncancelled};
use dump::Caller;
use out::Out;

/// Every goroutine, to `fd`; those that can never wake are marked, for which all other threads are stopped for a
/// moment. `Err`: the errno of the first write that failed.
pub(crate) fn dump_marked(fd: i32) -> Result<(), i32> {
    // Where there is no telling, nobody is marked.
    dump(fd, &find_leaks().unwrap_or_default())
}

/// Some text, to `fd`. That nobody listens there is no error.
pub(crate) fn write_text(fd: i32, text: &str) {
    let mut out = Out::new(fd);
    let _ = std::fmt::Write::write_str(&mut out, text);
    let _ = out.finish();
}

/// As [`dump_marked`], without marks: for a process that is about to end, whose threads may be in any state.
pub(crate) fn dump_all(fd: i32) -> Result<(), i32> {
    dump(fd, &[])
}

fn dump(fd: i32, leaked: &[u64]) -> Result<(), i32> {
    let caller = me().map(|me| Caller { id: me.id, frames: unwind::own() });
    elsewhere(|| {
        let mut out = Out::new(fd);
        // An error is kept in `out`.
        let _ = dump::write(&mut out, caller.as_ref(), &dump::Leaked { ids: leaked, only: false });
        out.finish()
    })
}

/// The goroutines that can never wake, to `fd`, and how many they are. `Err`: an errno, of the search or of the
/// first write that failed.
pub(crate) fn report_leaks(fd: i32) -> Result<usize, i32> {
    let leaked = find_leaks().map_err(|error| match error {
        // What is opened for the search lies in /proc.
        libc::ENOENT | libc::ENOTDIR => libc::ENOTSUP,
        error => error,
    })?;
    if !leaked.is_empty() {
        elsewhere(|| {
            let mut out = Out::new(fd);
            // An error is kept in `out`.
            let _ = dump::write(&mut out, None, &dump::Leaked { ids: &leaked, only: true });
            out.finish()
        })?;
    }
    Ok(leaked.len())
}

/// The goroutines that can never wake, by number.
fn find_leaks() -> Result<Vec<u64>, i32> {
    // A goroutine's stack is always large enough.
    let little = current_goroutine().is_null() && has_little_stack();
    uncancelled(|| if little { on_a_thread(leaks::find) } else { leaks::find() })
}

/// What follows a fatal error: a blank line, who the caller is, and its backtrace.
pub(crate) fn write_caller(fd: i32) {
    write_running(fd, &unwind::own());
}

/// A blank line, who the caller is, and a backtrace: of `pcs`, the addresses that the frames return to, the innermost
/// first. Frames of gort's own before and behind the others are left out.
pub(crate) fn write_running(fd: i32, pcs: &[usize]) {
    let me = me();
    let title = match &me {
        Some(Me { id, name: Some(name), .. }) => format!("\ngoroutine {id} \"{name}\" [running]:\n"),
        Some(Me { id, .. }) => format!("\ngoroutine {id} [running]:\n"),
        // As Go numbers what is on a thread's own stack.
        None => "\ngoroutine 0 [thread]:\n".to_owned(),
    };
    let body = me.map(|me| me.body);
    elsewhere(|| {
        let mut out = Out::new(fd);
        // Nobody listens: there is nobody to tell.
        let _ = dump::write_backtrace(&mut out, &title, pcs, body);
        let _ = out.finish();
    });
}

/// Run `f` on a stack that is large enough: on the caller's thread or, if that is a goroutine or has little stack left,
/// on one that is started for it and waited for.
fn elsewhere<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    let enough = current_goroutine().is_null() && !has_little_stack();
    uncancelled(|| if enough { f() } else { on_a_thread(f) })
}

/// Run `f` on a thread that is started for it and waited for; if there can be none, on the caller's.
fn on_a_thread<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    let mut f = Some(f);
    let mut result = None;
    let mut run = || {
        result = f.take().map(|f| f());
        wipe();
    };
    let started = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("gort-dump".into()).stack_size(1 << 20);
        // Waited for at the end of the scope.
        thread.spawn_scoped(scope, &mut run).is_ok()
    });
    if !started {
        run();
    }
    match result {
        Some(result) => result,
        None => unreachable!("it was called, on one thread or the other"),
    }
}

/// Overwrite what lies below the caller's frame. What a report has read of goroutines' stacks would stay there, on a
/// stack that the C library keeps for its next thread, and pass for pointers to them in the next search for leaks.
#[inline(never)]
fn wipe() {
    let mut dirt = [0u8; 256 << 10];
    std::hint::black_box(&mut dirt);
}
