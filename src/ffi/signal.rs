//! Signals on channels.

use super::chan::gort_chan_t;
use super::status::{EINVAL, OK};
use crate::chan::Chan;
use crate::signal;
use std::ffi::c_int;

/// Send `signo` to `ch`, whose elements are ints, each time the process gets that signal: Go's `signal.Notify` for one
/// signal. May be called for several signals with one channel, and for several channels with one signal; a second
/// call with the same two changes nothing. The send never waits: a channel that is full, or that nobody receives from
/// if its capacity is 0, misses the signal, and so does one that is closed.
///
/// From the first channel on the signal's default action is not taken. A handler that the program had installed before
/// is called as before, with its flags and its mask, and the signal is sent too; one that it installs afterwards takes
/// the place of the library's, and then nothing is sent unless it passes on. The signal must reach a thread that
/// does not block it, and goroutines run on threads that block all: a signal for the process reaches its other
/// threads. If it comes several times before it is sent, it is sent as often as the kernel tells of it (standard
/// signals are merged while they are blocked). While a channel is registered, a wait in gort is no deadlock.
///
/// Does not block. Keeps a reference to `ch` until gort_signal_stop(). Not to be called in a signal handler.
/// GORT_OK; GORT_EINVAL: `ch` is NULL or its elements are not of the size of an int, or `signo` is no signal, cannot
/// be caught (SIGKILL, SIGSTOP), belongs to the C library, or is one that an instruction causes (SIGSEGV, SIGBUS,
/// SIGFPE, SIGILL, SIGTRAP, SIGSYS); GORT_EBUSY: for the eighth time handlers of the program have taken the place of
/// the library's for this signal; GORT_ENOMEM: no memory, or no thread can be started. Since 0.1.
///
/// # Safety
/// `ch` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_signal_notify(ch: *mut gort_chan_t, signo: c_int) -> c_int {
    let chan: *mut Chan = ch.cast();
    // SAFETY: the caller's promise.
    if chan.is_null() || unsafe { Chan::elem_size(chan) } != size_of::<c_int>() {
        return EINVAL;
    }
    // SAFETY: the caller's promise, and just checked.
    match unsafe { signal::notify(chan, signo) } {
        Ok(()) => OK,
        Err(errno) => -errno,
    }
}

/// Send no signals to `ch` any more: Go's `signal.Stop`. What a handler had been told of when this was called is sent
/// first; when it returns, no more arrive. With the last channel of a signal, what handled the signal before the first
/// is put back, the default action included, unless the program has installed a handler since. A channel that no
/// signals are sent to is left as it is.
///
/// Does not block. Gives up the library's reference to `ch`, of which the caller needs one of its own. Not to be
/// called in a signal handler.
/// GORT_OK; GORT_EINVAL: `ch` is NULL. Since 0.1.
///
/// # Safety
/// `ch` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_signal_stop(ch: *mut gort_chan_t) -> c_int {
    if ch.is_null() {
        return EINVAL;
    }
    signal::stop(ch.cast());
    OK
}
