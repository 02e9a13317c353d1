//! The threads that workers are: starting, ending, stopping at exit.
//!
//! The one thing to know: a worker's thread blocks all signals that are not the result of its own instructions,
//! so that a host's signals go to the host's threads, and has a stack of its own for the handler that reports
//! stack overflow.

use super::goroutine::{Goroutine, Task};
use super::idle;
use super::lane::{self, Lane, Member};
use super::runtime::{Runtime, rt, started};
use super::worker::{Parcel, Worker};
use super::{current, roster, run, sysmon};
use crate::coroutine::AltStack;
use crate::fatal::fatal;
use crate::primitive::atomic::Ordering;
use crate::primitive::{ACCOUNTED, futex_wait, now};
use std::ffi::c_void;
use std::ptr::null_mut;

/// What a thread's usual stack is: functions of the user's run there (`blocking.rs`). Only what is touched costs
/// memory.
const STACK: usize = 8 << 20;
/// How long the process's exit waits for goroutines that do not reach the scheduler, ns.
const EXIT_PATIENCE: i64 = 20_000_000;

/// Start a worker: with a processor in its mail; or locked to a goroutine and waiting for it; or idle.
#[cold]
pub(super) fn start(rt: &'static Runtime, parcel: Option<Parcel>, locked: Option<*mut Goroutine>) {
    let w: &'static Worker = Box::leak(Box::new(Worker::new(count(rt), None)));
    if let Some(parcel) = parcel {
        // SAFETY: the worker is new; nobody else knows it.
        unsafe { w.deliver(parcel) };
    }
    if let Some(g) = locked {
        w.locked.set(g);
        // SAFETY: the caller is alone with `g`, which has left its worker and is in no queue yet.
        unsafe { (*g).pin = std::ptr::from_ref(w).cast_mut() };
    }
    spawn_or_die(w);
    sysmon::ensure(rt);
}

/// Start a thread of a lane, with a task, and a slot for it.
///
/// # Safety
/// The lane counts the thread already.
#[cold]
pub(super) unsafe fn start_in_lane(rt: &'static Runtime, lane: *const Lane, task: Task) {
    // SAFETY: the caller's promise.
    let member = unsafe { Member::new(lane, task) };
    spawn_or_die(Box::leak(Box::new(Worker::new(count(rt), Some(member)))));
}

/// One worker more: its number.
fn count(rt: &Runtime) -> u32 {
    let number = rt.threads.fetch_add(1, Ordering::Relaxed) + 1;
    if number > rt.max_threads {
        fatal(format_args!(
            "thread exhaustion\n\nthe limit is {} threads (gort_options_t.max_threads)",
            rt.max_threads
        ));
    }
    number
}

fn spawn_or_die(w: &'static Worker) {
    if let Err(error) = spawn_thread(w) {
        fatal(format_args!("cannot start a worker thread: {}", std::io::Error::from_raw_os_error(error)));
    }
}

/// The calling thread's signal mask.
pub(super) fn signal_mask() -> libc::sigset_t {
    // SAFETY: a live set, which the call fills in; asking cannot fail.
    unsafe {
        let mut mask = std::mem::zeroed();
        libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), &mut mask);
        mask
    }
}

/// What workers block: all but what their own instructions cause, and SIGPROF, for profilers.
fn blocked() -> libc::sigset_t {
    // SAFETY: a live set, which the first call fills in; the signals exist.
    unsafe {
        let mut all = std::mem::zeroed();
        libc::sigfillset(&mut all);
        for signal in [
            libc::SIGSEGV,
            libc::SIGBUS,
            libc::SIGFPE,
            libc::SIGILL,
            libc::SIGTRAP,
            libc::SIGABRT,
            libc::SIGPROF,
        ] {
            libc::sigdelset(&mut all, signal);
        }
        all
    }
}

/// The signals of a set, as far as they can be blocked; real-time ones above 64 aside.
fn word(mut set: libc::sigset_t) -> u64 {
    const { assert!(size_of::<libc::sigset_t>() >= 4) };
    let mut word = 0;
    // SAFETY: a live set, without padding as far as it is read.
    unsafe {
        libc::sigdelset(&mut set, libc::SIGKILL);
        libc::sigdelset(&mut set, libc::SIGSTOP);
        let bytes = size_of::<libc::sigset_t>().min(8);
        (&raw mut word).cast::<u8>().copy_from_nonoverlapping((&raw const set).cast(), bytes);
    }
    word
}

/// While a worker runs a function as one of the host's threads, it has the signal mask of the thread that started the
/// runtime, so that programs which the function starts are not born with all signals blocked. Not if its
/// goroutine, which has the thread to itself, has set another mask than that of workers: that is what it wants.
pub(super) struct HostMask {
    before: libc::sigset_t,
    changed: bool,
}

impl HostMask {
    /// Have it, on the calling worker.
    pub(super) fn take(rt: &Runtime) -> HostMask {
        // SAFETY: live sets.
        unsafe {
            let mut before = std::mem::zeroed();
            libc::pthread_sigmask(libc::SIG_SETMASK, &rt.host_mask, &mut before);
            let changed = word(before) == word(blocked());
            let mask = HostMask { before, changed };
            if !changed {
                mask.set_back();
            }
            mask
        }
    }

    /// Whatever the function has made of it.
    pub(super) fn give_back(&self) {
        if self.changed {
            self.set_back();
        }
    }

    fn set_back(&self) {
        // SAFETY: a live set.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.before, null_mut()) };
    }
}

fn spawn_thread(w: &'static Worker) -> Result<(), i32> {
    // SAFETY: all structures are initialised before they are used and live until the end of the block; the
    // signal mask of the calling thread is put back.
    unsafe {
        let mut attr = std::mem::zeroed::<libc::pthread_attr_t>();
        if libc::pthread_attr_init(&mut attr) != 0 {
            return Err(libc::ENOMEM);
        }
        libc::pthread_attr_setstacksize(&mut attr, STACK);
        libc::pthread_attr_setdetachstate(&mut attr, libc::PTHREAD_CREATE_DETACHED);
        let mut old = std::mem::zeroed::<libc::sigset_t>();
        // Exactly these, whoever starts it: another thread of gort's blocks SIGSEGV too.
        libc::pthread_sigmask(libc::SIG_SETMASK, &blocked(), &mut old);
        let mut thread = std::mem::zeroed::<libc::pthread_t>();
        let mut error;
        let mut tries = 0;
        loop {
            error = libc::pthread_create(&mut thread, &attr, body, std::ptr::from_ref(w).cast_mut().cast());
            // The kernel may be short of what a thread needs for a moment (as Go does).
            if error != libc::EAGAIN || tries == 20 {
                break;
            }
            tries += 1;
            libc::usleep(1000 * tries);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, &old, null_mut());
        libc::pthread_attr_destroy(&mut attr);
        if error == 0 { Ok(()) } else { Err(error) }
    }
}

extern "C" fn body(w: *mut c_void) -> *mut c_void {
    // SAFETY: `start` leaked it for this thread.
    let w: &'static Worker = unsafe { &*w.cast::<Worker>() };
    ACCOUNTED.add();
    // SAFETY: a name, of which the kernel takes 15 bytes; a timer slack of 1 ns, since sleeping must be precise.
    unsafe {
        libc::prctl(libc::PR_SET_NAME, w.member.as_ref().map_or(c"gort-worker", Member::name).as_ptr());
        libc::prctl(libc::PR_SET_TIMERSLACK, 1usize);
    }
    let stack = AltStack::new();
    roster::enter(w, (&raw const stack).addr());
    match w.member {
        None => run::work(rt(), w),
        Some(_) => lane::work(rt(), w),
    }
    roster::leave(w);
    drop(stack);
    current::set_worker(null_mut());
    // SAFETY: it is in no list, no goroutine is pinned to it, and this thread was the last to know it.
    drop(unsafe { Box::from_raw(std::ptr::from_ref(w).cast_mut()) });
    null_mut()
}

/// The calling worker's thread is not to be used again: its loop returns after this. No goroutine is pinned to it, and
/// it is in no list.
pub(super) fn end(rt: &'static Runtime, w: &'static Worker) {
    // Before it looks for a deadlock: there is code of the user's to come, the destructors of thread-local data, which
    // may wake anybody.
    ACCOUNTED.sub();
    idle::hand_off(rt, w);
    w.ended.set(true);
    rt.threads.fetch_sub(1, Ordering::Relaxed);
}

/// At `exit`, before static destructors run: no goroutine is to run on. Those that compute without reaching
/// the scheduler are given a moment and then left alone.
pub(super) fn stop_at_exit() {
    // SAFETY: `stop_all` is a plain function for the whole life of the process.
    unsafe { libc::atexit(stop_all) };
}

extern "C" fn stop_all() {
    let Some(rt) = started() else { return };
    let mut lists = rt.lists();
    rt.exiting.store(true, Ordering::Relaxed);
    rt.limit.store(0, Ordering::SeqCst);
    let mut procs = 0;
    for proc in rt.procs().filter(|p| !p.retired.load(Ordering::Relaxed)) {
        procs += 1;
        // Their workers are to step back; surplus ones are waited for like the others. Release: after `exiting`.
        proc.surplus.store(true, Ordering::Release);
    }
    // Idle processors stay in the list with their workers asleep; nobody is given one again.
    lists.closed = true;
    drop(lists);
    let me = current::worker();
    // SAFETY: the calling thread's own worker.
    let mine = usize::from(!me.is_null() && unsafe { (*me).proc.get().is_some() });
    let give_up = now() + EXIT_PATIENCE;
    // A worker that was looking for work stops by going idle.
    while rt.stopped.load(Ordering::Acquire) as usize + rt.pool.load().idle() as usize + mine < procs
        && now() < give_up
    {
        futex_wait(&rt.stopped, rt.stopped.load(Ordering::Relaxed), now() + 1_000_000);
    }
    lane::stop_all(rt, give_up);
    // A goroutine that has called `exit` is a plain thread for the handlers that are still to run: if it
    // parked, it would never come back.
    current::set_worker(null_mut());
}

/// The process exits: this worker runs nothing more.
pub(super) fn stop_here(rt: &'static Runtime) -> ! {
    rt.stopped.fetch_add(1, Ordering::Release);
    crate::primitive::futex_wake(&rt.stopped, i32::MAX);
    loop {
        // SAFETY: waits for a signal that does nothing; the thread ends with the process.
        unsafe { libc::pause() };
    }
}
