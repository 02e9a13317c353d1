//! Which channels want which signals; and the thread that sends.
//!
//! The one thing to know: whoever sends to the channels, starts or stops, holds the registry's lock. So when stop
//! has returned, nobody is about to send to that channel. Sending never waits, and a registered channel has a
//! reference. Whoever receives is woken when the lock is free: to wake may be to call the host's function
//! ([`crate::sched::wait::Callback`]).

use super::action::{Actions, LAST, SIGNALS, bit, can_be_wanted};
use super::handler::{BELL, OWNER};
use crate::chan::{Chan, Outcome};
use crate::primitive::ACCOUNTED;
use crate::primitive::atomic::Ordering;
use crate::sched::wait::WakeList;
use crate::sched::{removed, rt};
use std::ffi::c_int;
use std::mem::zeroed;
use std::ptr::null_mut;
use std::sync::{Mutex, MutexGuard};

/// A channel, and a bit for each signal that is sent to it.
struct Wish {
    chan: *mut Chan,
    signals: u64,
}

/// All that is wanted.
pub(crate) struct Registry {
    /// Each channel once, in the order in which they came. Each holds a reference, and has the runtime's count of
    /// what is pending raised: it may let a goroutine go on.
    wishes: Vec<Wish>,
    actions: Actions,
    /// The thread has been started.
    sends: bool,
}

// SAFETY: channels are made to be shared.
unsafe impl Send for Registry {}

static REGISTRY: Mutex<Registry> =
    Mutex::new(Registry { wishes: Vec::new(), actions: Actions::new(), sends: false });

/// Lock it: before any other lock of gort's. Held across a fork.
pub(crate) fn lock() -> MutexGuard<'static, Registry> {
    REGISTRY.lock().unwrap_or_else(|e| e.into_inner())
}

/// Is there a thread?
pub(crate) fn sends() -> bool {
    lock().sends
}

/// Send `signo` to `chan` from now on. `Err`: an errno.
///
/// # Safety
/// `chan` is live, and its elements are `c_int`s.
pub(crate) unsafe fn notify(chan: *mut Chan, signo: c_int) -> Result<(), i32> {
    if !can_be_wanted(signo) {
        return Err(libc::EINVAL);
    }
    // Before the lock: it starts the runtime.
    let rt = rt();
    let mut registry = lock();
    let registry = &mut *registry;
    registry.start()?;
    let known = registry.wishes.iter().position(|wish| wish.chan == chan);
    if known.is_some_and(|i| registry.wishes[i].signals & bit(signo) != 0) {
        return Ok(());
    }
    if known.is_none() {
        registry.wishes.try_reserve(1).map_err(|_| libc::ENOMEM)?;
    }
    if registry.wanted() & bit(signo) == 0 {
        registry.actions.install(signo)?;
    }
    // What is counted meanwhile waits for the lock.
    match known {
        Some(i) => registry.wishes[i].signals |= bit(signo),
        None => {
            // The caller holds a processor, or is a thread outside: it need not be raised earlier.
            rt.pending.raise();
            // SAFETY: the caller's promise.
            unsafe { Chan::retain(chan) };
            registry.wishes.push(Wish { chan, signals: bit(signo) });
        }
    }
    Ok(())
}

/// Send nothing to `chan` any more. What has been counted until now is sent first.
pub(crate) fn stop(chan: *mut Chan) {
    let mut registry = lock();
    let Some(i) = registry.wishes.iter().position(|wish| wish.chan == chan) else { return };
    let signals = registry.wishes[i].signals;
    let mut woken = WakeList::new();
    for signo in (1..=LAST).filter(|&signo| signals & bit(signo) != 0) {
        let wanted = registry.wishes.iter().filter(|wish| wish.signals & bit(signo) != 0).count();
        let count =
            if wanted == 1 { registry.actions.restore(signo) } else { SIGNALS[signo as usize].slot.take() };
        registry.send(signo, count, &mut woken);
    }
    registry.wishes.remove(i);
    drop(registry);
    // SAFETY: claimed by us, and no lock is held.
    unsafe { woken.wake() };
    // After the last goroutine that it let go on.
    rt().pending.lower();
    // SAFETY: the registry's reference.
    unsafe { Chan::release(chan) };
    removed();
}

/// In a forked child: nobody wants anything, and there is no thread. The channels stay as they are: others may have
/// been using them.
pub(crate) fn after_fork(registry: &mut Registry) {
    let wanted = registry.wanted();
    for signo in (1..=LAST).filter(|&signo| wanted & bit(signo) != 0) {
        // What was counted was for the parent.
        registry.actions.restore(signo);
    }
    registry.wishes.clear();
    registry.sends = false;
}

impl Registry {
    fn wanted(&self) -> u64 {
        self.wishes.iter().fold(0, |all, wish| all | wish.signals)
    }

    fn send(&self, signo: c_int, count: u32, woken: &mut WakeList) {
        for wish in self.wishes.iter().filter(|wish| wish.signals & bit(signo) != 0) {
            for _ in 0..count {
                // SAFETY: the registry's reference keeps it; its elements are `c_int`s.
                let sent = unsafe { Chan::try_send_into(wish.chan, (&raw const signo).cast(), woken) };
                if sent != Outcome::Done {
                    break;
                }
            }
        }
    }

    /// Those who receive are claimed into what is returned.
    fn send_all(&self) -> WakeList {
        let mut woken = WakeList::new();
        for signo in 1..=LAST {
            let count = SIGNALS[signo as usize].slot.take();
            if count != 0 {
                self.send(signo, count, &mut woken);
            }
        }
        woken
    }

    /// Start the thread if there is none, with all signals blocked: they are for the host's threads.
    fn start(&mut self) -> Result<(), i32> {
        if self.sends {
            return Ok(());
        }
        // SAFETY: getpid has no preconditions; both sets are live; the mask is put back as it was.
        unsafe {
            OWNER.store(libc::getpid(), Ordering::Release);
            let mut all = zeroed();
            let mut before = zeroed();
            libc::sigfillset(&mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
            let thread = std::thread::Builder::new().name("gort-signal".into()).stack_size(STACK).spawn(run);
            libc::pthread_sigmask(libc::SIG_SETMASK, &before, null_mut());
            thread.map_err(|_| libc::ENOMEM)?;
        }
        self.sends = true;
        Ok(())
    }
}

/// For sending, which may start a worker.
const STACK: usize = 128 * 1024;

fn run() {
    ACCOUNTED.add();
    loop {
        BELL.wait();
        // Of our own, as a stop may lower the channel's before we have woken who was claimed. It is raised while
        // that is still up, or nobody is claimed.
        let registry = lock();
        rt().pending.raise();
        let woken = registry.send_all();
        drop(registry);
        // SAFETY: claimed by us, and no lock is held.
        unsafe { woken.wake() };
        rt().pending.lower();
        // A look in between found that there was something to come.
        removed();
    }
}
