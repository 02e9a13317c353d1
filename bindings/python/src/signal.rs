//! Signals on channels: `signal_notify`, `signal_stop`.
//!
//! The one thing to know: for each signal that somebody wants there is one **relay**: a channel of C, to which the C
//! library sends the number, and a thread of ours that receives it there and, with the GIL, tries to send it to each
//! channel of Python that wants it. The list of those is changed and walked with the GIL held, so when `signal_stop`
//! returns, nothing more arrives. With the last channel a relay is closed: the C library sends what it has counted, the
//! thread sends that on and ends, and only then is the channel let go of. So nothing is lost that came before.
//!
//! SIGINT is Python's own. While it is wanted by a channel it is not to raise `KeyboardInterrupt` as well (in Go too the
//! default action is off), so if it would, that is put out of action meanwhile. Handlers of the program's own are
//! called as before.

use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::block::may_block_until;
use crate::chan::target;
use crate::gort::{self, ECLOSED, FOREVER, OK, gort_chan_t};
use crate::raw::*;

/// Signals that may wait to be sent on, while the relay's thread waits for the GIL.
const ROOM: usize = 256;

struct Relay {
    id: u64,
    signo: c_int,
    /// Where the C library sends it; a reference.
    ch: Shared,
    /// Closed when the thread has ended; a reference.
    ended: Shared,
    /// It is being closed: whoever wants the signal now begins another.
    closing: bool,
    /// What it is sent as: a `signal.Signals`, or an int for a number without a name.
    value: Owned,
    channels: Vec<Owned>,
    /// What Python's handler was, if it was put out of action.
    before: Option<libc::sigaction>,
}

/// A handle that threads share.
#[derive(Clone, Copy)]
struct Shared(*mut gort_chan_t);
// SAFETY: a channel may be used by all threads.
unsafe impl Send for Shared {}

// SAFETY: its objects are used with the GIL held alone.
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
        Owned::new(PyObject_CallFunctionObjArgs(
            register.as_ptr(),
            stop_all.as_ptr(),
            ptr::null_mut::<PyObject>(),
        ))?;
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

unsafe extern "C" fn notify(
    _module: Object,
    args: *const Object,
    nargs: Py_ssize_t,
    names: Object,
) -> Object {
    // SAFETY: called by Python with `nargs` objects.
    returned(|| unsafe {
        if !names.is_null() {
            return Err(type_error("signal_notify() takes no keyword arguments"));
        }
        if nargs < 2 {
            return Err(type_error("signal_notify() wants a channel and at least one signal"));
        }
        let ch = *args;
        if same_as(ch).is_null() || PyObject_HasAttrString(ch, c"try_send".as_ptr()) == 0 {
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
    // SAFETY: the GIL is held. `begin` runs Python code, in which others may have been faster.
    unsafe {
        while !add_channel(ch, signo) {
            let relay = begin(signo)?;
            let mut relays = relays();
            let faster = relays.iter().any(|other| other.signo == signo && !other.closing);
            if !faster {
                relays.push(relay);
                continue;
            }
            drop(relays);
            shut(&relay);
        }
    }
    Ok(())
}

/// Add a channel to its relay, unless it is there. False: there is no such relay.
unsafe fn add_channel(ch: Object, signo: c_int) -> bool {
    let Some((id, channels)) = listeners(|relay| relay.signo == signo && !relay.closing) else {
        return false;
    };
    // SAFETY: the GIL is held.
    unsafe {
        if !channels.iter().any(|other| same_as(other.as_ptr()) == same_as(ch)) {
            let ch = Owned::borrow(ch);
            if let Some(relay) = relays().iter_mut().find(|relay| relay.id == id) {
                relay.channels.push(ch);
            }
        }
    }
    true
}

/// The channels of a relay, and its number.
fn listeners(which: impl Fn(&Relay) -> bool) -> Option<(u64, Vec<Owned>)> {
    let relays = relays();
    let relay = relays.iter().find(|relay| which(relay))?;
    // SAFETY: live objects, with the GIL held.
    Some((relay.id, relay.channels.iter().map(|ch| unsafe { Owned::borrow(ch.as_ptr()) }).collect()))
}

/// A channel and its views stand for the same; null: no channel at all.
unsafe fn same_as(ch: Object) -> *mut gort_chan_t {
    // SAFETY: a live object.
    unsafe { target(ch) }.map_or(ptr::null_mut(), |chan| chan.ch)
}

/// A new relay, which gets the signal from now on.
unsafe fn begin(signo: c_int) -> Py<Relay> {
    static LAST: AtomicU64 = AtomicU64::new(0);
    // SAFETY: the GIL is held.
    unsafe {
        let value = named(signo)?;
        let before = put_out_of_action(signo)?;
        let (ch, ended) = (gort::gort_chan_new(size_of::<c_int>(), ROOM), gort::gort_chan_new(0, 0));
        // Relaxed: a number that nobody else has.
        let id = LAST.fetch_add(1, Ordering::Relaxed);
        let (ch, ended) = (Shared(ch), Shared(ended));
        let relay = Relay { id, signo, ch, ended, closing: false, value, channels: Vec::new(), before };
        if ch.0.is_null() || ended.0.is_null() {
            shut(&relay);
            return Err(no_memory());
        }
        let status = gort::gort_signal_notify(ch.0, signo);
        if status != OK {
            shut(&relay);
            return Err(match status {
                gort::EINVAL => value_error(&format!("signal {signo} cannot be sent to a channel")),
                status => crate::errors::raise_status(status),
            });
        }
        let theirs = (Shared(gort::gort_chan_retain(ch.0)), Shared(gort::gort_chan_retain(ended.0)));
        let spawned = thread::Builder::new().name("gort-py-signal".into()).spawn(move || serve(theirs, id));
        if let Err(error) = spawned {
            gort::gort_chan_release(ch.0);
            gort::gort_chan_release(ended.0);
            shut(&relay);
            return Err(crate::errors::raise_status(-error.raw_os_error().unwrap_or(libc::EAGAIN)));
        }
        Ok(relay)
    }
}

/// Let the signal do again what it did before. The thread sends on what there is, and ends.
unsafe fn shut(relay: &Relay) {
    // SAFETY: the GIL is held. NULL is refused.
    unsafe {
        gort::gort_signal_stop(relay.ch.0);
        if let Some(before) = relay.before {
            libc::sigaction(relay.signo, &before, ptr::null_mut());
        }
        if !relay.ch.0.is_null() {
            gort::gort_chan_close(relay.ch.0);
        }
    }
}

/// Wait until the thread of a relay that was shut has ended.
unsafe fn wait(ended: Shared) -> Py<()> {
    // SAFETY: the GIL is held; the caller has a reference.
    unsafe {
        let wait = |until| match gort::gort_chan_recv_until(ended.0, ptr::null_mut(), until) {
            ECLOSED => OK,
            status => status,
        };
        may_block_until(FOREVER, wait).map(drop)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // SAFETY: its references.
        unsafe {
            gort::gort_chan_release(self.ch.0);
            gort::gort_chan_release(self.ended.0);
        }
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
        let now = Owned::new(PyObject_CallMethodObjArgs(
            module.as_ptr(),
            getsignal.as_ptr(),
            number.as_ptr(),
            none,
        ))?;
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
fn serve((ch, ended): (Shared, Shared), id: u64) {
    let mut received: c_int = 0;
    // SAFETY: references that were made for this thread. At exit the relay is shut before the interpreter goes, and
    // waited for, so the GIL is to be had.
    unsafe {
        while gort::gort_chan_recv_until(ch.0, (&raw mut received).cast::<c_void>(), FOREVER) == OK {
            let state = PyGILState_Ensure();
            forward(id);
            PyGILState_Release(state);
        }
        gort::gort_chan_close(ended.0);
        gort::gort_chan_release(ended.0);
        gort::gort_chan_release(ch.0);
    }
}

/// Send a signal to all that want it.
unsafe fn forward(id: u64) {
    // SAFETY: the GIL is held.
    unsafe {
        let Some((_, channels)) = listeners(|relay| relay.id == id) else { return };
        let value =
            relays().iter().find(|relay| relay.id == id).map(|relay| Owned::borrow(relay.value.as_ptr()));
        let Some(value) = value else { return };
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
    // SAFETY: called by Python with an object.
    returned(|| unsafe {
        if same_as(ch).is_null() {
            return Err(type_error("signal_stop() wants a channel"));
        }
        let ids: Vec<u64> = relays().iter().map(|relay| relay.id).collect();
        for id in ids {
            let Some((_, channels)) = listeners(|relay| relay.id == id) else { continue };
            for other in &channels {
                if same_as(other.as_ptr()) == same_as(ch) {
                    remove(id, other.as_ptr())?;
                }
            }
        }
        Ok(none())
    })
}

/// Take a channel out of its relay, and the relay, if it was the last, out of the list when it has sent what it had.
unsafe fn remove(id: u64, ch: Object) -> Py<()> {
    let mut gone = None;
    let mut last = None;
    if let Some(relay) = relays().iter_mut().find(|relay| relay.id == id) {
        if relay.channels.len() > 1 {
            gone = relay
                .channels
                .iter()
                .position(|other| other.as_ptr() == ch)
                .map(|at| relay.channels.swap_remove(at));
        } else if !relay.closing {
            relay.closing = true;
            last = Some(relay.ended);
            // SAFETY: the GIL is held.
            unsafe { shut(relay) };
        }
    }
    drop(gone);
    // SAFETY: the relay, which stays in the list, keeps it. Only whoever shuts it takes it out.
    let waited = if let Some(ended) = last { unsafe { wait(ended) } } else { return Ok(()) };
    let mut relays = relays();
    let ended = relays.iter().position(|relay| relay.id == id).map(|at| relays.swap_remove(at));
    drop(relays);
    drop(ended);
    waited
}

unsafe extern "C" fn stop_all(_module: Object, _: Object) -> Object {
    // SAFETY: called by Python, at exit.
    returned(|| unsafe {
        let all = std::mem::take(&mut *relays());
        for relay in &all {
            shut(relay);
        }
        for relay in &all {
            wait(relay.ended)?;
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
