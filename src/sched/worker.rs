//! A worker: an OS thread that runs goroutines while it holds a processor.
//!
//! The one thing to know: a worker's loop is pick, switch to the goroutine, and when the goroutine has left
//! (parked, yielded or ended), finish *for* it what it could not do itself while its registers were in use:
//! arm its timer, release the locks that make its waiter reachable, put it back in the queue, free its stack.
//!
//! | a worker is | holds a processor | in the idle list | left by |
//! |---|---|---|---|
//! | running or picking | yes | no | finding nothing |
//! | searching | yes | no | finding work, or giving up |
//! | idle (one of them: the sentinel) | no | yes | a processor in its mail, or its own find |
//! | locked, waiting for its goroutine | no | no | a processor and the goroutine in its mail |
//! | in a blocking call of its goroutine's | no | no | the end of the call |
//! | a lane's thread: see `lane/` | no | no | |
//!
//! Mail: whoever hands a processor to a worker has first taken the worker out of the idle list (or found it
//! locked), so there is one sender at a time; see [`Mailbox`].

use super::blocking::Call;
use super::exceptions::Exceptions;
use super::goroutine::{Goroutine, Task};
use super::idle::Look;
use super::lane::Member;
use super::mail::Mailbox;
use super::poller::Bell;
use super::proc::{Proc, coarse};
use super::roster::Entry;
use super::timer::TimerNode;
use crate::primitive::atomic::AtomicU32;
use crate::primitive::now;
use std::cell::{Cell, OnceCell, UnsafeCell};
use std::collections::VecDeque;
use std::ptr::null_mut;
use std::sync::Mutex;

/// How a goroutine left its worker.
#[derive(Clone, Copy)]
pub(super) enum Left {
    Parked {
        timer: *mut TimerNode,
        release: unsafe fn(*mut ()),
        arg: *mut (),
    },
    Yielded,
    Ended,
    /// For a call that this worker is to make for it.
    Calls(*mut Call),
}

/// What comes with a processor.
pub(super) struct Parcel {
    pub(super) proc: &'static Proc,
    /// To be run first.
    pub(super) task: Option<Task>,
    /// The worker counts as searching already.
    pub(super) searching: bool,
}

/// Cells are touched by the worker's own thread alone; the rest is atomic or locked.
pub(super) struct Worker {
    pub(super) proc: Cell<Option<&'static Proc>>,
    /// The goroutine it runs; null on the scheduler's stack.
    pub(super) goroutine: Cell<*mut Goroutine>,
    pub(super) left: Cell<Left>,
    /// To be run before anything else is picked.
    pub(super) first: Cell<Option<Task>>,
    /// Counted in the pool's `searching`.
    pub(super) searching: Cell<bool>,
    /// The goroutine that has the thread for itself, or null. Others read it to learn whether the worker
    /// waits for that goroutine; they do so when they hold that goroutine, after its worker has left it.
    pub(super) locked: Cell<*mut Goroutine>,
    /// Living goroutines that may run here only.
    pub(super) pinned: Cell<u32>,
    pub(super) exceptions: Exceptions,
    /// Its thread is to end.
    pub(super) ended: Cell<bool>,
    pub(super) rng: Cell<u32>,
    /// What it saw of the other processors when it last looked.
    pub(super) look: UnsafeCell<Look>,
    /// A processor whose queue was found not to move: to be stolen from.
    pub(super) victim: Cell<Option<&'static Proc>>,
    /// Guarded by the idle lists' lock (so is being put into `inbox`).
    pub(super) in_idle_list: Cell<bool>,
    /// It will look soon, by itself, whether it is the sentinel. Guarded as `in_idle_list`.
    pub(super) dozes: Cell<bool>,
    /// Pinned goroutines that became ready while this worker held a processor.
    pub(super) inbox: Mutex<VecDeque<Task>>,
    /// The length of `inbox`, to be read without the lock.
    pub(super) inbox_len: AtomicU32,
    mail: Mailbox<Parcel>,
    pub(super) entry: Entry,
    /// What wakes it where it sleeps for descriptors. Made when it first does.
    bell: OnceCell<Bell>,
    /// What a lane's thread has. Such a worker never holds a processor, and is in none of the runtime's lists.
    pub(super) member: Option<Member>,
}

// SAFETY: see the fields: cells belong to the worker's thread or are guarded as said; the rest is made to be
// shared.
unsafe impl Sync for Worker {}

impl Worker {
    pub(super) fn new(seed: u32, member: Option<Member>) -> Self {
        Worker {
            proc: Cell::new(None),
            goroutine: Cell::new(null_mut()),
            left: Cell::new(Left::Yielded),
            first: Cell::new(None),
            searching: Cell::new(false),
            locked: Cell::new(null_mut()),
            pinned: Cell::new(0),
            exceptions: Exceptions::new(),
            ended: Cell::new(false),
            rng: Cell::new(seed.wrapping_mul(0x9e37_79b9) | 1),
            look: UnsafeCell::new(Look::new()),
            victim: Cell::new(None),
            in_idle_list: Cell::new(false),
            dozes: Cell::new(false),
            inbox: Mutex::new(VecDeque::new()),
            inbox_len: AtomicU32::new(0),
            mail: Mailbox::new(),
            entry: Entry::new(),
            bell: OnceCell::new(),
            member,
        }
    }

    /// The processor this worker holds.
    #[inline]
    pub(super) fn held(&self) -> &'static Proc {
        match self.proc.get() {
            Some(proc) => proc,
            None => unreachable!("the worker runs without a processor"),
        }
    }

    /// Take hold of a processor that may have been idle for long.
    ///
    /// # Safety
    /// On the worker's own thread; nobody else holds `proc`.
    pub(super) unsafe fn hold(&self, proc: &'static Proc) {
        // SAFETY: the caller's promise.
        unsafe { proc.local().clock = coarse(now()) };
        self.proc.set(Some(proc));
    }

    /// Hand a processor to this worker, which sleeps or is about to.
    ///
    /// # Safety
    /// The caller has taken it out of the idle list, or it is new, or it waits for its locked goroutine.
    pub(super) unsafe fn deliver(&self, parcel: Parcel) {
        // SAFETY: the caller's promise: the worker waits or is about to, and there is one sender at a time.
        unsafe { self.mail.deliver(parcel) };
    }

    /// Make a sleeping worker look again. Under the idle lists' lock, for a worker that is in the list.
    pub(super) fn poke(&self) {
        self.mail.poke();
    }

    /// Empty the mailbox; true: a processor came, and is held now. On the worker's own thread.
    pub(super) fn take_mail(&self) -> bool {
        // SAFETY: this is the worker's own thread.
        let Some(parcel) = (unsafe { self.mail.take() }) else { return false };
        // SAFETY: it has just become this worker's.
        unsafe { self.hold(parcel.proc) };
        self.searching.set(parcel.searching);
        self.first.set(parcel.task);
        self.exceptions.look();
        true
    }

    pub(super) fn has_mail(&self) -> bool {
        self.mail.has_mail()
    }

    /// Sleep until there is mail, or until `deadline`; may return early.
    pub(super) fn sleep(&self, deadline: i64) {
        self.entry.asleep.set(true);
        self.mail.sleep(deadline);
        self.entry.asleep.set(false);
    }

    /// Its bell; `None`: there is no descriptor to be had for one.
    pub(super) fn bell(&self) -> Option<&Bell> {
        if self.bell.get().is_none() {
            let _ = self.bell.set(Bell::new()?);
        }
        self.bell.get()
    }

    /// Call `sleep`, which returns when `bell` is rung, unless there is mail. True: there is mail by now.
    pub(super) fn sleep_with(&self, bell: i32, sleep: impl FnOnce()) -> bool {
        if !self.mail.listen(bell) {
            return true;
        }
        self.entry.asleep.set(true);
        sleep();
        self.entry.asleep.set(false);
        self.mail.stop_listening()
    }

    /// A cheap random number (xorshift32, Marsaglia 2003).
    pub(super) fn random(&self) -> u32 {
        let mut x = self.rng.get();
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        self.rng.set(x);
        x
    }
}
