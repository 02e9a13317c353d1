//! Faults: which are overflows of our stacks, and what becomes of the others.
//!
//! The one thing to know: the host's faults stay the host's. What is not ours goes to whatever handled the
//! signal before us, as the kernel would have called it; where that was nothing, the process dies by that very
//! signal, at that very instruction, and leaves the core file it would have left.
//!
//! Everything that runs in the handler is async-signal-safe: it takes no lock and allocates nothing.
//!
//! Two things differ for a host's handler that was installed before ours: it runs on the alternate stack even
//! if it did not ask for that, and its own `sa_mask` is added a few instructions late. One that is installed
//! after ours takes our place, and an overflow is then its to report.

use std::cell::UnsafeCell;
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr::{null, null_mut};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

/// Told of the address of each fault of this process, in the signal handler of the thread that faulted. If the
/// address is in the guard of the stack that runs there, it says so on stderr and ends the process; if it
/// returns true the process ends all the same. False: the fault is somebody else's.
pub(crate) type Report = fn(address: usize) -> bool;

const SIGNALS: [c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];

/// What a handler must know. Written once, before the first of our handlers is installed.
struct Faults {
    report: Report,
    previous: [libc::sigaction; 2],
}

struct Slot(UnsafeCell<MaybeUninit<Faults>>);

// SAFETY: written once by `install`, before anybody reads.
unsafe impl Sync for Slot {}

static FAULTS: Slot = Slot(UnsafeCell::new(MaybeUninit::uninit()));

/// The previous handler had SA_RESETHAND and has been called: it is the default action from then on.
static USED_UP: [AtomicBool; 2] = [const { AtomicBool::new(false) }; 2];

/// Handle SIGSEGV and SIGBUS from now on. Only the first call does anything. The calling thread and every
/// other that runs coroutines needs an [`AltStack`](super::AltStack).
pub(crate) fn install(report: Report) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the structs are live and valid when zeroed. The previous actions are asked for and written
        // first, so that they are there for the first fault, and nobody reads them before that.
        unsafe {
            let mut previous: [libc::sigaction; 2] = std::mem::zeroed();
            for (signal, previous) in SIGNALS.into_iter().zip(&mut previous) {
                libc::sigaction(signal, null(), previous);
            }
            (*FAULTS.0.get()).write(Faults { report, previous });
            let mut ours: libc::sigaction = std::mem::zeroed();
            let handler: unsafe extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) = on_fault;
            ours.sa_sigaction = handler as usize;
            ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            libc::sigemptyset(&mut ours.sa_mask);
            for signal in SIGNALS {
                libc::sigaction(signal, &ours, null_mut());
            }
        }
    });
}

/// # Safety
/// Called by the kernel alone, after `install` has written `FAULTS`.
unsafe extern "C" fn on_fault(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: see above; the kernel's `info` is valid while the handler runs.
    let (faults, fault) = unsafe { ((*FAULTS.0.get()).assume_init_ref(), Fault::new(&*info)) };
    if let Fault::At(address) = fault {
        // SAFETY: the thread's own errno; the interrupted code may be about to look at it.
        let errno = unsafe { *libc::__errno_location() };
        if (faults.report)(address) {
            crate::fatal::end(format_args!(""));
        }
        // SAFETY: as above.
        unsafe { *libc::__errno_location() = errno };
    }
    let which = usize::from(signal != SIGNALS[0]);
    // SAFETY: the kernel's arguments, passed on.
    unsafe { pass_on(&faults.previous[which], &USED_UP[which], fault, signal, info, context) };
}

/// Where a signal comes from.
#[derive(Clone, Copy)]
enum Fault {
    /// The instruction that was interrupted; on return it is tried again.
    At(usize),
    /// Somebody sent it (kill, raise, an asynchronous memory error): on return, life goes on.
    Sent,
}

impl Fault {
    fn new(info: &libc::siginfo_t) -> Fault {
        /// `BUS_MCEERR_AO`: a memory error that nobody has stumbled upon yet.
        const MEMORY_ERROR_ELSEWHERE: c_int = 5;
        let elsewhere = info.si_signo == libc::SIGBUS && info.si_code == MEMORY_ERROR_ELSEWHERE;
        if info.si_code > 0 && !elsewhere {
            // SAFETY: the kernel made this signal for a fault, so it has filled in the address.
            Fault::At(unsafe { info.si_addr() }.addr())
        } else {
            Fault::Sent
        }
    }
}

/// Do what the kernel would have done, had we not been there.
///
/// # Safety
/// `signal`, `info` and `context` are what the kernel gave to the handler that calls this, last of all.
unsafe fn pass_on(
    previous: &libc::sigaction,
    used_up: &AtomicBool,
    fault: Fault,
    signal: c_int,
    info: *mut libc::siginfo_t,
    context: *mut c_void,
) {
    let flags = previous.sa_flags;
    let handler = match previous.sa_sigaction {
        // Relaxed: a flag on its own.
        libc::SIG_DFL => None,
        _ if used_up.load(Ordering::Relaxed) => None,
        // Nobody can ignore a fault, only a signal that was sent.
        libc::SIG_IGN if matches!(fault, Fault::Sent) => return,
        libc::SIG_IGN => None,
        handler => Some(handler),
    };
    let Some(handler) = handler else {
        // SAFETY: a zeroed struct is the default action without flags. The fault happens again on return; a
        // signal that was sent is sent once more, and stays pending until then.
        unsafe {
            let default: libc::sigaction = std::mem::zeroed();
            libc::sigaction(signal, &default, null_mut());
            if matches!(fault, Fault::Sent) {
                libc::raise(signal);
            }
        }
        return;
    };
    if flags & libc::SA_RESETHAND != 0 {
        used_up.store(true, Ordering::Relaxed);
    }
    // SAFETY: the previous handler is a function of the one type or the other, as its flags say. The mask is
    // the thread's own; on return from our handler the kernel puts the interrupted one back.
    unsafe {
        libc::pthread_sigmask(libc::SIG_BLOCK, &previous.sa_mask, null_mut());
        if flags & libc::SA_NODEFER != 0 && libc::sigismember(&previous.sa_mask, signal) == 0 {
            let mut this: libc::sigset_t = std::mem::zeroed();
            libc::sigaddset(&mut this, signal);
            libc::pthread_sigmask(libc::SIG_UNBLOCK, &this, null_mut());
        }
        if flags & libc::SA_SIGINFO != 0 {
            type WithInfo = unsafe extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);
            std::mem::transmute::<usize, WithInfo>(handler)(signal, info, context);
        } else {
            std::mem::transmute::<usize, unsafe extern "C" fn(c_int)>(handler)(signal);
        }
    }
}

#[cfg(test)]
mod tests;
