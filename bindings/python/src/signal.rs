//! Signals on channels: `signal_notify`, `signal_stop`.
//!
//! The one thing to know: for each signal that somebody wants there is one **relay**: a channel of C, to which the C
//! library sends the number, and a thread of ours that receives it there and, with the GIL, tries to send it to each
//! channel of Python that wants it. The list of those is changed and walked with the GIL held, so when `signal_stop`
//! returns, nothing more arrives. A relay whose last channel is stopped closes its channel of C, which ends its
//! thread; at the interpreter's exit all are stopped and their threads waited for.
//!
//! SIGINT is Python's own. While it is wanted by a channel it is not to raise `KeyboardInterrupt` as well (in Go too the
//! default action is off), so if it would, that is put out of action meanwhile. Handlers of the program's own are
//! called as before.

use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::Mutex;
use std::thread::{self, JoinHandle};

use crate::errors::checked;
use crate::gort::{self, FOREVER, OK, gort_chan_t};
use crate::raw::*;

/// Signals that may wait to be sent on, while the relay's thread waits for the GIL.
const ROOM: usize = 256;

struct Relay {
    signo: c_int,
    /// A reference.
    ch: Shared,
    /// What it is sent as: a `signal.Signals`, or an int for a number without a name.
    value: Owned,
    channels: Vec<Owned>,
    /// What Python's handler was, if it was put out of action.
    before: Option<libc::sigaction>,
    thread: Option<JoinHandle<()>>,
}

/// A handle that threads share.
#[derive(Clone, Copy)]
struct Shared(*mut gort_chan_t);
// SAFETY: a channel may be used by all threads.
unsafe impl Send for Shared {}

// SAFETY: used with the GIL held alone.
unsafe impl Send for Relay {}

/// All that there are. Locked with the GIL held, and never while Python code runs or anybody waits.
static RELAYS: Mutex<Vec<Relay>> = Mutex::new(Vec::new());

static FUNCTIONS: Table<PyMethodDef, 4> = table([
    function(
        c"signal_notify",
        notify,
        c"signal_notify(ch, /, *signals)\n--\n\nSend each of these signals to ch when the process gets it. Never waits: a full channel misses it.",
    ),
    method1(c"signal_stop", stop, c"signal_stop(ch, /)\n--\n\nSend no signals to ch any more; when it returns, no more arrive."),
    method0(c"_signal_stop_all", stop_all, c"_signal_stop_all()\n--\n\nAt exit."),
    method0(c"_signal_forget", forget, c"_signal_forget()\n--\n\nIn a forked child, which has none of the threads."),
]);

/// Put the functions into the module, and see to exit and fork.
///
/// # Safety
/// `module` is the module.
pub(crate) unsafe fn add_to(module: Object) -> Py<()> {
    // SAFETY: the caller's promise; live objects.
    unsafe {
        check(PyModule_AddFunctions(module, FUNCTIONS.as_ptr().cast()))?;
        let at_exit = Owned::new(PyImport_ImportModule(c"atexit".as_ptr()))?;
        let stop_all = Owned::new(PyObject_GetAttrString(module, c"_signal_stop_all".as_ptr()))?;
        let register = Owned::new(PyObject_GetAttrString(at_exit.as_ptr(), c"register".as_ptr()))?;
        Owned::new(PyObject_CallFunctionObjArgs(register.as_ptr(), stop_all.as_ptr(), ptr::null_mut::<PyObject>()))?;
        let os = Owned::new(PyImport_ImportModule(c"os".as_ptr()))?;
        let register = Owned::new(PyObject_GetAttrString(os.as_ptr(), c"register_at_fork".as_ptr()))?;
        let forget = Owned::new(PyObject_GetAttrString(module, c"_signal_forget".as_ptr()))?;
        let kwargs = Owned::new(PyDict_New())?;
        check(PyDict_SetItemString(kwargs.as_ptr(), c"after_in_child".as_ptr(), forget.as_ptr()))?;
        Owned::new(PyObject_Call(register.as_ptr(), tuple([])?.as_ptr(), kwargs.as_ptr()))?;
    }
    Ok(())
}

fn relays() -> std::sync::MutexGuard<'static, Vec<Relay>> {
    RELAYS.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

unsafe extern "C" fn notify(_module: Object, args: *const Object, nargs: Py_ssize_t, names: Object) -> Object {
    // SAFETY: called by Python with `nargs` objects.
    returned(|| unsafe {
        if !names.is_null() {
            return Err(type_error("signal_notify() takes no keyword arguments"));
        }
        if nargs < 2 {
            return Err(type_error("signal_notify() wants a channel and at least one signal"));
        }
        let ch = *args;
        if PyObject_HasAttrString(ch, c"try_send".as_ptr()) == 0 {
            return Err(type_error("signal_notify() wants a channel to send to"));
        }
        for index in 1..nargs as usize {
            let signo = to_int(*args.add(index))?;
            let Ok(signo) = c_int::try_from(signo) else { return Err(value_error("not a signal")) };
            subscribe(ch, signo)?;
        }
        Ok(none())
    })
}

unsafe fn subscribe(ch: Object, signo: c_int) -> Py<()> {
    // SAFETY: the GIL is held. `begin` runs Python code, so it is looked for again after it.
    unsafe {
        if !add_channel(ch, signo)? {
            let relay = begin(signo)?;
            let there = relays().iter().any(|relay| relay.signo == signo);
            if there {
                end(relay);
            } else {
                relays().push(relay);
            }
            add_channel(ch, signo)?;
        }
    }
    Ok(())
}

/// Add a channel to its relay, unless it is there. False: there is no such relay.
unsafe fn add_channel(ch: Object, signo: c_int) -> Py<bool> {
    // SAFETY: the GIL is held; comparing runs the channel's code alone, which is C.
    unsafe {
        let there = {
            let relays = relays();
            let Some(relay) = relays.iter().find(|relay| relay.signo == signo) else { return Ok(false) };
            relay.channels.iter().map(|other| Owned::borrow(other.as_ptr())).collect::<Vec<_>>()
        };
        if !contains(&there, ch)? {
            let ch = Owned::borrow(ch);
            if let Some(relay) = relays().iter_mut().find(|relay| relay.signo == signo) {
                relay.channels.push(ch);
            }
        }
    }
    Ok(true)
}

/// Two objects may stand for one channel: they are equal then.
unsafe fn contains(channels: &[Owned], ch: Object) -> Py<bool> {
    for other in channels {
        // SAFETY: live objects.
        if check(unsafe { PyObject_RichCompareBool(other.as_ptr(), ch, Py_EQ) })? != 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A new relay, which gets the signal from now on.
unsafe fn begin(signo: c_int) -> Py<Relay> {
    // SAFETY: the GIL is held.
    unsafe {
        let value = named(signo)?;
        let ch = gort::gort_chan_new(size_of::<c_int>(), ROOM);
        if ch.is_null() {
            return Err(no_memory());
        }
        let before = put_out_of_action(signo)?;
        let mut relay = Relay { signo, ch: Shared(ch), value, channels: Vec::new(), before, thread: None };
        let status = gort::gort_signal_notify(ch, signo);
        if status != OK {
            end(relay);
            return Err(match status {
                gort::EINVAL => value_error(&format!("signal {signo} cannot be sent to a channel")),
                status => crate::errors::raise_status(status),
            });
        }
        let shared = Shared(gort::gort_chan_retain(ch));
        let spawned = thread::Builder::new().name("gort-py-signal".into()).spawn(move || serve(shared, signo));
        match spawned {
            Ok(thread) => relay.thread = Some(thread),
            Err(error) => {
                gort::gort_chan_release(shared.0);
                end(relay);
                return Err(crate::errors::raise_status(-error.raw_os_error().unwrap_or(libc::EAGAIN)));
            }
        }
        Ok(relay)
    }
}

/// Give a relay up: the signal does again what it did before. Its thread ends soon.
unsafe fn end(relay: Relay) -> Option<JoinHandle<()>> {
    // SAFETY: the GIL is held; the relay is in no list any more.
    unsafe {
        gort::gort_signal_stop(relay.ch.0);
        if let Some(before) = relay.before {
            libc::sigaction(relay.signo, &before, ptr::null_mut());
        }
        gort::gort_chan_close(relay.ch.0);
        gort::gort_chan_release(relay.ch.0);
        relay.thread
    }
}

/// `signal.Signals(signo)`, or the number.
unsafe fn named(signo: c_int) -> Py<Owned> {
    // SAFETY: live objects.
    unsafe {
        let number = int(i64::from(signo))?;
        let module = Owned::new(PyImport_ImportModule(c"signal".as_ptr()))?;
        let class = Owned::new(PyObject_GetAttrString(module.as_ptr(), c"Signals".as_ptr()))?;
        let none: Object = ptr::null_mut();
        match Owned::new(PyObject_CallFunctionObjArgs(class.as_ptr(), number.as_ptr(), none)) {
            Ok(value) => Ok(value),
            Err(Raised) if PyErr_ExceptionMatches(PyExc_ValueError) != 0 => {
                PyErr_Clear();
                Ok(number)
            }
            Err(raised) => Err(raised),
        }
    }
}

/// If the signal would raise `KeyboardInterrupt`, let it do nothing: what to put back.
unsafe fn put_out_of_action(signo: c_int) -> Py<Option<libc::sigaction>> {
    if signo != libc::SIGINT {
        return Ok(None);
    }
    // SAFETY: live objects; sigaction reads and writes structs of ours.
    unsafe {
        let module = Owned::new(PyImport_ImportModule(c"signal".as_ptr()))?;
        let default = Owned::new(PyObject_GetAttrString(module.as_ptr(), c"default_int_handler".as_ptr()))?;
        let getsignal = string("getsignal")?;
        let number = int(i64::from(signo))?;
        let none: Object = ptr::null_mut();
        let now = Owned::new(PyObject_CallMethodObjArgs(module.as_ptr(), getsignal.as_ptr(), number.as_ptr(), none))?;
        if now.as_ptr() != default.as_ptr() {
            return Ok(None);
        }
        let mut ignore: libc::sigaction = std::mem::zeroed();
        ignore.sa_sigaction = libc::SIG_IGN;
        let mut before = MaybeUninit::uninit();
        if libc::sigaction(signo, &ignore, before.as_mut_ptr()) != 0 {
            return Ok(None);
        }
        Ok(Some(before.assume_init()))
    }
}

/// The thread of a relay.
fn serve(ch: Shared, signo: c_int) {
    let mut received: c_int = 0;
    // SAFETY: the reference that was made for this thread. At exit the relay is ended before the interpreter goes,
    // so the GIL is to be had.
    unsafe {
        while gort::gort_chan_recv_until(ch.0, (&raw mut received).cast::<c_void>(), FOREVER) == OK {
            let state = PyGILState_Ensure();
            forward(signo);
            PyGILState_Release(state);
        }
        gort::gort_chan_release(ch.0);
    }
}

/// Send a signal to all that want it.
unsafe fn forward(signo: c_int) {
    // SAFETY: the GIL is held.
    unsafe {
        let (value, channels) = {
            let relays = relays();
            let Some(relay) = relays.iter().find(|relay| relay.signo == signo) else { return };
            let channels: Vec<Owned> = relay.channels.iter().map(|ch| Owned::borrow(ch.as_ptr())).collect();
            (Owned::borrow(relay.value.as_ptr()), channels)
        };
        let Ok(name) = string("try_send") else { return PyErr_Clear() };
        for ch in channels {
            let none: Object = ptr::null_mut();
            let sent = PyObject_CallMethodObjArgs(ch.as_ptr(), name.as_ptr(), value.as_ptr(), none);
            if !sent.is_null() {
                Py_DECREF(sent);
            } else if PyErr_ExceptionMatches(crate::errors::ERROR.get()) != 0 {
                // Full, or closed.
                PyErr_Clear();
            } else {
                PyErr_WriteUnraisable(ch.as_ptr());
            }
        }
    }
}

unsafe extern "C" fn stop(_module: Object, ch: Object) -> Object {
    // SAFETY: called by Python with an object. What is dropped is dropped when the list is unlocked.
    returned(|| unsafe {
        let numbers: Vec<c_int> = relays().iter().map(|relay| relay.signo).collect();
        for signo in numbers {
            let channels: Vec<Owned> = match relays().iter().find(|relay| relay.signo == signo) {
                Some(relay) => relay.channels.iter().map(|other| Owned::borrow(other.as_ptr())).collect(),
                None => continue,
            };
            for other in &channels {
                if check(PyObject_RichCompareBool(other.as_ptr(), ch, Py_EQ))? != 0 {
                    let (gone, ended) = remove(signo, other.as_ptr());
                    drop(gone);
                    if let Some(relay) = ended {
                        drain(&relay, other);
                        end(relay);
                    }
                }
            }
        }
        Ok(none())
    })
}

/// Take a channel out of its relay, and the relay, if it was the last, out of the list.
fn remove(signo: c_int, ch: Object) -> (Option<Owned>, Option<Relay>) {
    let mut relays = relays();
    let Some(index) = relays.iter().position(|relay| relay.signo == signo) else { return (None, None) };
    let channels = &mut relays[index].channels;
    let gone = channels.iter().position(|other| other.as_ptr() == ch).map(|at| channels.swap_remove(at));
    let ended = channels.is_empty().then(|| relays.swap_remove(index));
    (gone, ended)
}

/// What the process had got before the stop is sent.
unsafe fn drain(relay: &Relay, ch: &Owned) {
    let mut received: c_int = 0;
    // SAFETY: the GIL is held.
    unsafe {
        gort::gort_signal_stop(relay.ch.0);
        let Ok(name) = string("try_send") else { return PyErr_Clear() };
        while gort::gort_chan_try_recv(relay.ch.0, (&raw mut received).cast()) == OK {
            let none: Object = ptr::null_mut();
            let sent = PyObject_CallMethodObjArgs(ch.as_ptr(), name.as_ptr(), relay.value.as_ptr(), none);
            if sent.is_null() { PyErr_Clear() } else { Py_DECREF(sent) }
        }
    }
}

unsafe extern "C" fn stop_all(_module: Object, _: Object) -> Object {
    returned(|| {
        let all = std::mem::take(&mut *relays());
        // SAFETY: the GIL is held; it is let go for the threads to end, which may want it once more.
        unsafe {
            let threads: Vec<_> = all.into_iter().filter_map(|relay| end(relay)).collect();
            let saved = PyEval_SaveThread();
            for thread in threads {
                let _ = thread.join();
            }
            PyEval_RestoreThread(saved);
        }
        Ok(none())
    })
}

unsafe extern "C" fn forget(_module: Object, _: Object) -> Object {
    returned(|| {
        // The C library has forgotten them too, and put back what it had found.
        for relay in std::mem::take(&mut *relays()) {
            if let Some(before) = &relay.before {
                // SAFETY: what sigaction has filled in.
                unsafe { libc::sigaction(relay.signo, before, ptr::null_mut()) };
            }
            // Its thread is not there to be let go of.
            std::mem::forget(relay);
        }
        Ok(none())
    })
}
