//! What a signal did before us: putting our handler in its place, calling it, putting it back.
//!
//! The one thing to know: **a handler that has been installed once can be called at any time afterwards.** A thread
//! may have been on its way into it when it was replaced; a handler of the host's that was installed over it may have
//! kept it, to pass signals on to or to put back (`system` does that with SIGINT). So what it stands for stays known
//! for ever, and a handler that is called while nobody wants its signal does what that would have done.
//!
//! Hence the entries. If the host has put a handler of its own in the place of ours, and ours is to be installed again, it must
//! come on top of that one, which may call the one that it found there: us. Were it the same function, the two would
//! call each other for ever. So it is the next entry, another copy of the function, with its own idea of what there
//! was before; the copy below it counts nothing any more and only passes on. Eight have to do; there are that many
//! for each signal, and only such a change of places uses one up.
//!
//! Whoever finds a handler in our place leaves it there. All that is asked and changed in two steps (look what is
//! there, then replace it) is looked at again afterwards, for the sake of a host that has changed it in between.

use super::handler::{HANDLERS, installed, replace};
use super::slot::{ENTRIES, Slot};
use crate::inspect::quit;
use crate::primitive::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::ffi::c_int;
use std::mem::zeroed;
use std::ptr::null_mut;

/// The highest number.
pub(super) const LAST: c_int = 64;

/// One signal.
pub(super) struct Signal {
    pub(super) slot: Slot,
    /// What each entry stands for, once it has been installed. Points to what is never freed.
    before: [AtomicPtr<libc::sigaction>; ENTRIES],
    /// The host's handler had `SA_RESETHAND` and has been called: it is the default action from then on.
    used_up: AtomicBool,
}

/// By number.
pub(super) static SIGNALS: [Signal; LAST as usize + 1] = [const { Signal::new() }; LAST as usize + 1];

/// What an entry stands for.
#[derive(Clone, Copy)]
pub(super) enum Before {
    Default,
    /// It was ignored.
    Nothing,
    Function(&'static libc::sigaction),
}

/// What is kept for it, under the registry's lock.
pub(super) struct Actions {
    /// All that was ever found before us, each once: hosts have few handlers.
    found: Vec<&'static libc::sigaction>,
    /// Signals of which our handler was replaced by another, which may have kept it. A bit each.
    replaced: u64,
    /// The highest entry of each that has come into use.
    highest: [u8; LAST as usize + 1],
}

pub(super) fn bit(signo: c_int) -> u64 {
    1 << (signo - 1)
}

/// Can it be sent on at all? Not what cannot be caught, and not what an instruction causes: that happens again when
/// the handler returns.
pub(super) fn can_be_wanted(signo: c_int) -> bool {
    use libc::{SIGBUS, SIGFPE, SIGILL, SIGKILL, SIGSEGV, SIGSTOP, SIGSYS, SIGTRAP};
    (1..=LAST).contains(&signo)
        && !matches!(signo, SIGKILL | SIGSTOP | SIGSEGV | SIGBUS | SIGFPE | SIGILL | SIGTRAP | SIGSYS)
}

impl Signal {
    const fn new() -> Self {
        Signal {
            slot: Slot::new(),
            before: [const { AtomicPtr::new(null_mut()) }; ENTRIES],
            used_up: AtomicBool::new(false),
        }
    }

    fn known(&self, at: usize) -> Option<&'static libc::sigaction> {
        // SAFETY: null, or set once to what is never freed (`Actions::keep`); Acquire pairs with its Release.
        unsafe { self.before.get(at)?.load(Ordering::Acquire).as_ref() }
    }

    /// What the handler that is entered at `at` stands for; a function is to be called then. Async-signal-safe.
    pub(super) fn before(&self, at: usize) -> Before {
        let Some(action) = self.known(at) else { return Before::Default };
        match action.sa_sigaction {
            libc::SIG_DFL => Before::Default,
            libc::SIG_IGN => Before::Nothing,
            // Relaxed: a flag on its own.
            _ if action.sa_flags & libc::SA_RESETHAND != 0 && self.used_up.swap(true, Ordering::Relaxed) => {
                Before::Default
            }
            _ => Before::Function(action),
        }
    }
}

/// Which of our entries it is.
fn entry_of(action: &libc::sigaction) -> Option<usize> {
    HANDLERS.iter().position(|&handler| handler as *const () as usize == action.sa_sigaction)
}

/// A function of the host's.
pub(super) fn is_hosts(action: &libc::sigaction) -> bool {
    is_function(action) && entry_of(action).is_none()
}

pub(super) fn is_function(action: &libc::sigaction) -> bool {
    action.sa_sigaction != libc::SIG_DFL && action.sa_sigaction != libc::SIG_IGN
}

fn same(a: &libc::sigaction, b: &libc::sigaction) -> bool {
    // SAFETY: live sets.
    let blocks = |action: &libc::sigaction, n| unsafe { libc::sigismember(&action.sa_mask, n) };
    a.sa_sigaction == b.sa_sigaction
        && a.sa_flags == b.sa_flags
        && (1..=LAST).all(|n| blocks(a, n) == blocks(b, n))
}

impl Actions {
    pub(super) const fn new() -> Self {
        Actions { found: Vec::new(), replaced: 0, highest: [0; LAST as usize + 1] }
    }

    /// The one of `found` that is like `action`.
    fn keep(&mut self, action: &libc::sigaction) -> Result<&'static libc::sigaction, i32> {
        if let Some(known) = self.found.iter().find(|known| same(known, action)) {
            return Ok(known);
        }
        self.found.try_reserve(1).map_err(|_| libc::ENOMEM)?;
        let kept: &'static libc::sigaction = Box::leak(Box::new(*action));
        self.found.push(kept);
        Ok(kept)
    }

    /// Have `signo` counted from now on. `Err`: an errno; nothing has changed.
    pub(super) fn install(&mut self, signo: c_int) -> Result<(), i32> {
        let signal = &SIGNALS[signo as usize];
        let now = installed(signo)?;
        let at = match entry_of(&now) {
            // Nobody wanted it, and somebody has put ours back.
            Some(at) => at,
            None => {
                let highest = usize::from(self.highest[signo as usize]);
                let next = is_function(&now) && self.replaced & bit(signo) != 0;
                let at = highest + usize::from(next);
                if at == ENTRIES {
                    return Err(libc::EBUSY);
                }
                self.stand_for(signal, at, &now)?;
                if next {
                    self.highest[signo as usize] = at as u8;
                    // Nobody has kept this one yet.
                    self.replaced &= !bit(signo);
                }
                at
            }
        };
        signal.slot.open(at);
        match replace(signo, &handler_for(signal, at)) {
            Ok(was) => {
                if entry_of(&was).is_none() && !same(&was, &now) {
                    // Somebody has been faster. Without memory the other one is forgotten.
                    let _ = self.stand_for(signal, at, &was);
                }
                Ok(())
            }
            Err(error) => {
                signal.slot.close();
                Err(error)
            }
        }
    }

    fn stand_for(&mut self, signal: &Signal, at: usize, found: &libc::sigaction) -> Result<(), i32> {
        let mut found = *found;
        if quit::is_handler(found.sa_sigaction) {
            // gort's own dump is what the signal does by default: whoever wants the signal wants no dump.
            // SAFETY: a zeroed structure is the default action.
            found = unsafe { zeroed() };
        }
        let kept = self.keep(&found)?;
        signal.used_up.store(false, Ordering::Relaxed);
        signal.before[at].store(std::ptr::from_ref(kept).cast_mut(), Ordering::Release);
        Ok(())
    }

    /// Put back what there was, unless somebody else is in our place; then stop counting. How many had been
    /// counted.
    pub(super) fn restore(&mut self, signo: c_int) -> u32 {
        let signal = &SIGNALS[signo as usize];
        match installed(signo).map(|now| entry_of(&now)) {
            Ok(Some(at)) => {
                if let Ok(was) = replace(signo, &to_put_back(signal, signo, at))
                    && entry_of(&was).is_none()
                {
                    // Somebody has been faster.
                    let _ = replace(signo, &was);
                    self.replaced |= bit(signo);
                }
                if signo == libc::SIGQUIT {
                    // `gort_main` may have returned since we asked.
                    quit::withdraw_if_unwanted();
                }
            }
            _ => self.replaced |= bit(signo),
        }
        signal.slot.close()
    }
}

/// Our handler, so that it is called as what it stands for would be. Async-signal-safe.
pub(super) fn handler_for(signal: &Signal, at: usize) -> libc::sigaction {
    // SAFETY: a zeroed structure is valid.
    let mut ours: libc::sigaction = unsafe { zeroed() };
    match signal.known(at) {
        Some(before) if is_function(before) => ours = *before,
        before => {
            // System calls go on, as they did when the signal was ignored or had no effect.
            ours.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
            let of_children = libc::SA_NOCLDSTOP | libc::SA_NOCLDWAIT;
            ours.sa_flags |= before.map_or(0, |before| before.sa_flags) & of_children;
            // Who ignores SIGCHLD has no children to wait for.
            if before.is_some_and(|before| before.sa_sigaction == libc::SIG_IGN) {
                ours.sa_flags |= libc::SA_NOCLDWAIT;
            }
        }
    }
    ours.sa_flags = (ours.sa_flags | libc::SA_SIGINFO) & !libc::SA_RESETHAND;
    ours.sa_sigaction = HANDLERS[at] as *const () as usize;
    ours
}

/// What is to be there when nobody wants the signal any more.
fn to_put_back(signal: &Signal, signo: c_int, at: usize) -> libc::sigaction {
    // SAFETY: a zeroed structure is the default action.
    let mut action = signal.known(at).map_or_else(|| unsafe { zeroed() }, |before| *before);
    if action.sa_flags & libc::SA_RESETHAND != 0 && signal.used_up.load(Ordering::Relaxed) {
        action.sa_sigaction = libc::SIG_DFL;
    }
    if signo == libc::SIGQUIT && action.sa_sigaction == libc::SIG_DFL && quit::is_wanted() {
        return quit::action();
    }
    action
}
