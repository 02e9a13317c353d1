//! Who is idle, who searches, who keeps watch: one word, and the transitions of it.
//!
//! Every publisher of work reads this word once to learn whether anybody is to be told; every worker that runs
//! out of work announces itself here *before* it looks at all queues for the last time. That pair of steps,
//!
//! ```text
//!     publisher                        worker that goes idle
//!     publish the task    (SeqCst)     announce: idle += 1         (SeqCst)
//!     read this word      (SeqCst)     look at all queues          (SeqCst)
//! ```
//!
//! is what no wake-up can get lost between: of two threads that each write and then read what the other writes,
//! all sequentially consistent, at least one sees the other. The models are in `model/`.
//!
//! | field | meaning |
//! |---|---|
//! | `idle` | processors in the idle list: nobody runs on them, their run queues are empty |
//! | `searching` | workers that hold a processor and look for work elsewhere |
//! | `watch` | what the sentinel does: see [`Watch`] |
//!
//! A publisher of *spawned* work wakes a worker at once if a processor is idle and nobody searches: one
//! searcher is enough, since the last to stop looks once more and wakes the next if there is more. A publisher
//! of a *woken* goroutine only sees to it that the sentinel is armed: it will run here soon, warm, and is taken
//! elsewhere only if its queue does not move.

use crate::primitive::atomic::{AtomicU64, Ordering};

/// What the sentinel, the one idle worker that sleeps with a time-out, is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub(super) enum Watch {
    /// There is no sentinel.
    None = 0,
    /// It sleeps until the next timer, or for ever: when it last looked, after saying so, no queue held
    /// anything. Who publishes must arm it.
    Deep = 1,
    /// It looks at all queues every 50 to 400 us: nobody needs to tell it anything.
    Armed = 2,
    /// As `Deep`, but it sleeps for descriptors too: who begins to wait for one need not tell it.
    Poller = 3,
}

/// A value of the word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Snapshot(u64);

const IDLE: u64 = 1;
const IDLE_MASK: u64 = 0xffff;
const SEARCHING: u64 = 1 << 16;
const SEARCHING_MASK: u64 = 0xffff << 16;
const WATCH_SHIFT: u32 = 32;
const WATCH_MASK: u64 = 3 << WATCH_SHIFT;

impl Snapshot {
    #[inline]
    pub(super) fn idle(self) -> u32 {
        (self.0 & IDLE_MASK) as u32
    }

    #[inline]
    pub(super) fn searching(self) -> u32 {
        ((self.0 & SEARCHING_MASK) >> 16) as u32
    }

    #[inline]
    pub(super) fn watch(self) -> Watch {
        match (self.0 & WATCH_MASK) >> WATCH_SHIFT {
            0 => Watch::None,
            1 => Watch::Deep,
            2 => Watch::Armed,
            _ => Watch::Poller,
        }
    }

    /// Must a publisher of spawned work wake a worker?
    #[inline]
    pub(super) fn wants_worker(self) -> bool {
        self.idle() > 0 && self.searching() == 0
    }

    /// Must a publisher look closer? `queued`: it put something where others may take it.
    #[inline]
    pub(super) fn wants_telling(self, queued: bool) -> bool {
        self.idle() != 0 && (queued || self.watch() != Watch::Armed)
    }

    /// Must a publisher of a woken goroutine, or of a timer, arm the sentinel?
    #[inline]
    pub(super) fn wants_arming(self) -> bool {
        self.idle() > 0 && self.watch() != Watch::Armed
    }

    /// Must whoever begins to wait for a descriptor arm the sentinel?
    #[inline]
    pub(super) fn wants_poller(self) -> bool {
        self.idle() > 0 && matches!(self.watch(), Watch::None | Watch::Deep)
    }
}

/// The word. All transitions are sequentially consistent: each is one half of the pair above.
pub(super) struct Pool(AtomicU64);

impl Pool {
    pub(super) fn new() -> Self {
        Pool(AtomicU64::new(0))
    }

    #[inline]
    pub(super) fn load(&self) -> Snapshot {
        Snapshot(self.0.load(Ordering::SeqCst))
    }

    /// A processor enters the idle list. Under the list's lock.
    pub(super) fn add_idle(&self) {
        self.0.fetch_add(IDLE, Ordering::SeqCst);
    }

    /// A processor leaves the idle list. Under the list's lock.
    pub(super) fn sub_idle(&self) {
        self.0.fetch_sub(IDLE, Ordering::SeqCst);
    }

    /// Begin to search, unless half of the busy ones already do.
    pub(super) fn try_search(&self, procs: u32) -> bool {
        let now = self.load();
        if 2 * now.searching() >= procs.saturating_sub(now.idle()) {
            return false;
        }
        self.add_searching();
        true
    }

    pub(super) fn add_searching(&self) {
        self.0.fetch_add(SEARCHING, Ordering::SeqCst);
    }

    /// Stop searching; true: this was the last one, who must look at all queues once more.
    pub(super) fn stop_searching(&self) -> bool {
        Snapshot(self.0.fetch_sub(SEARCHING, Ordering::SeqCst)).searching() == 1
    }

    /// Become the one that wakes a worker: counts it as searching already. False: somebody else searches, or
    /// nobody is idle.
    pub(super) fn claim_wake(&self) -> bool {
        let mut now = self.load();
        while now.wants_worker() {
            match self.0.compare_exchange(now.0, now.0 + SEARCHING, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return true,
                Err(seen) => now = Snapshot(seen),
            }
        }
        false
    }

    /// Become the one that arms the sentinel; what it did before. `None`: it is armed already, or needs not be.
    pub(super) fn claim_arming(&self) -> Option<Watch> {
        let mut now = self.load();
        while now.wants_arming() {
            let armed = (now.0 & !WATCH_MASK) | ((Watch::Armed as u64) << WATCH_SHIFT);
            match self.0.compare_exchange(now.0, armed, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return Some(now.watch()),
                Err(seen) => now = Snapshot(seen),
            }
        }
        None
    }

    /// The sentinel (or who makes one, or who takes the role away, under the idle lists' lock) says what it does.
    pub(super) fn set_watch(&self, watch: Watch) {
        let mut now = self.0.load(Ordering::Relaxed);
        loop {
            let next = (now & !WATCH_MASK) | ((watch as u64) << WATCH_SHIFT);
            match self.0.compare_exchange(now, next, Ordering::SeqCst, Ordering::Relaxed) {
                Ok(_) => return,
                Err(seen) => now = seen,
            }
        }
    }
}
