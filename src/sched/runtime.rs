//! The runtime: the processors, what they share, and how it all starts.
//!
//! The one thing to know: there is one runtime in a process, made at the first use and never freed while
//! goroutines may run; everything refers to it as `&'static`. Starting it makes the processors (a few hundred
//! bytes each); threads are started when there is something to run.

use super::fresh::FreshList;
use super::goroutine::Task;
use super::idle::{self, Lists};
use super::lane::Registry;
use super::pool::Pool;
use super::proc::{MAX_PROCS, Proc};
use super::quiet::Pending;
use super::stackless::Stackless;
use super::sysmon::Monitor;
use super::timer::TimerHeap;
use super::worker::Worker;
use super::{arm, fork, overflow, thread};
use crate::coroutine::{self, Class};
use crate::primitive::FOREVER;
use crate::primitive::atomic::{
    AtomicBool, AtomicI64, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
};
use crossbeam_deque::Injector;
use std::ptr::null_mut;
use std::sync::{Mutex, MutexGuard};

/// What `gort_init` may set; 0 is the default of each.
#[derive(Clone, Copy, Default)]
pub(crate) struct Options {
    pub(crate) max_procs: u32,
    pub(crate) max_threads: u32,
    pub(crate) stack_size: usize,
    /// `GORT_STRICT_PROCS`.
    pub(crate) strict: bool,
}

/// The default number of OS threads, Go's `debug.SetMaxThreads`.
const MAX_THREADS: u32 = 10_000;
/// The default size of a goroutine's stack, bytes.
const STACK_SIZE: usize = 256 * 1024;

/// What `gort_stats` tells; see there.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) goroutines: u64,
    pub(crate) spawned: u64,
    pub(crate) workers: u64,
    pub(crate) threads: u64,
    pub(crate) parks: u64,
    pub(crate) steals: u64,
    pub(crate) wakeups: u64,
    pub(crate) stack_bytes: u64,
}

pub(crate) struct Runtime {
    pub(super) pool: Pool,
    /// How many processors are active (see `proc.rs`); 0 once the process exits. Changed under the idle lists' lock.
    pub(super) limit: AtomicU32,
    /// How many are surplus. Changed under the idle lists' lock.
    pub(super) surplus: AtomicU32,
    /// How many were ever made.
    made: AtomicU32,
    /// All with this number or a higher one have retired: whoever looks at them all need not look at those.
    top: AtomicU32,
    procs: [AtomicPtr<Proc>; MAX_PROCS],
    /// The global queue: goroutines made ready by threads that hold no processor, or left by a processor.
    pub(super) injector: Injector<Task>,
    /// Deadlines that belong to no processor: of plain threads, and what processors that have retired left.
    pub(super) timers: Timers,
    idle: Mutex<Lists>,
    pub(super) stackless: Stackless,
    /// Until when a deep sentinel sleeps; FOREVER while it looks, or if there is none. See `idle::look_after`.
    pub(super) deep_until: AtomicI64,
    /// The signal mask of the thread that started the runtime.
    pub(super) host_mask: libc::sigset_t,
    /// What threads that hold no processor spawn with.
    pub(super) outside: Mutex<Outside>,
    pub(super) outside_spawned: AtomicU64,
    pub(super) outside_wakeups: AtomicU64,
    /// What threads of lanes count.
    pub(super) outside_parks: AtomicU64,
    pub(super) outside_ended: AtomicU64,
    next_id: AtomicU64,
    pub(super) class: Class,
    pub(super) threads: AtomicU32,
    pub(super) max_threads: u32,
    /// A processor is never replaced because its goroutine keeps it for long.
    pub(super) strict: bool,
    pub(super) monitor: Monitor,
    pub(super) exiting: AtomicBool,
    /// Workers that have stopped because the process exits. Futex.
    pub(super) stopped: AtomicU32,
    /// Goroutines in the inboxes of workers. Written under the idle lists' lock, or with a processor.
    pub(super) inboxed: AtomicUsize,
    pub(crate) pending: Pending,
    pub(super) lanes: Registry,
}

/// On cache lines of its own, since every pick reads it.
#[repr(align(128))]
pub(super) struct Timers(TimerHeap);

impl std::ops::Deref for Timers {
    type Target = TimerHeap;

    #[inline]
    fn deref(&self) -> &TimerHeap {
        &self.0
    }
}

pub(super) struct Outside {
    pub(super) records: FreshList,
    pub(super) ids: std::ops::Range<u64>,
}

// SAFETY: the list of records holds memory that belongs to nobody's thread.
unsafe impl Send for Outside {}
// SAFETY: tasks in the injector and workers in the lists are made to be shared; see `Task` and `Worker`.
unsafe impl Sync for Runtime {}

static RUNTIME: AtomicPtr<Runtime> = AtomicPtr::new(null_mut());
static STARTING: Mutex<()> = Mutex::new(());

/// The runtime, started with the defaults if it was not yet.
#[inline]
pub(crate) fn rt() -> &'static Runtime {
    // Acquire pairs with the Release in `start`.
    let runtime = RUNTIME.load(Ordering::Acquire);
    if runtime.is_null() {
        // Losing to another starter is fine: it has started.
        return start(Options::default()).unwrap_or_else(|started| started);
    }
    // SAFETY: once set, it is never freed.
    unsafe { &*runtime }
}

/// Start the runtime; `Err`: it had been started before, and is unchanged.
#[cold]
pub(crate) fn start(options: Options) -> Result<&'static Runtime, &'static Runtime> {
    let _one = STARTING.lock().unwrap_or_else(|e| e.into_inner());
    let runtime = RUNTIME.load(Ordering::Acquire);
    if !runtime.is_null() {
        // SAFETY: once set, it is never freed.
        return Err(unsafe { &*runtime });
    }
    let procs = if options.max_procs == 0 { crate::cpu::default_procs() } else { options.max_procs };
    let size = if options.stack_size == 0 { STACK_SIZE } else { options.stack_size };
    let Some(class) = Class::for_size(size) else {
        unreachable!("stack sizes are checked before they get here")
    };
    let runtime: &'static Runtime = Box::leak(Box::new(Runtime {
        pool: Pool::new(),
        limit: AtomicU32::new(0),
        surplus: AtomicU32::new(0),
        made: AtomicU32::new(0),
        top: AtomicU32::new(0),
        procs: [const { AtomicPtr::new(null_mut()) }; MAX_PROCS],
        injector: Injector::new(),
        timers: Timers(TimerHeap::new()),
        idle: Mutex::new(Lists::new()),
        stackless: Stackless::new(),
        deep_until: AtomicI64::new(FOREVER),
        host_mask: thread::signal_mask(),
        outside: Mutex::new(Outside { records: FreshList::new(), ids: 0..0 }),
        outside_spawned: AtomicU64::new(0),
        outside_wakeups: AtomicU64::new(0),
        outside_parks: AtomicU64::new(0),
        outside_ended: AtomicU64::new(0),
        next_id: AtomicU64::new(FIRST_ID.load(Ordering::Relaxed)),
        class,
        threads: AtomicU32::new(0),
        max_threads: if options.max_threads == 0 { MAX_THREADS } else { options.max_threads },
        strict: options.strict,
        monitor: Monitor::new(),
        exiting: AtomicBool::new(false),
        stopped: AtomicU32::new(0),
        inboxed: AtomicUsize::new(0),
        pending: Pending::new(),
        lanes: Registry::new(),
    }));
    overflow::install();
    fork::install();
    thread::stop_at_exit();
    crate::preload::attach();
    runtime.set_procs(procs);
    // The queues' own memory management sets itself up when somebody first steals. Now, while no fork can fall
    // into the middle of it.
    runtime.proc(0).take_oldest_fresh();
    RUNTIME.store(std::ptr::from_ref(runtime).cast_mut(), Ordering::Release);
    Ok(runtime)
}

/// Keep the runtime from being started: for a fork.
pub(super) fn lock_starting() -> MutexGuard<'static, ()> {
    STARTING.lock().unwrap_or_else(|e| e.into_inner())
}

/// The number of this process's first goroutine. In a forked child there lie records of the parent's
/// goroutines about, with lower numbers.
static FIRST_ID: AtomicU64 = AtomicU64::new(1);

/// Goroutines with a lower number are those of a process that forked.
pub(super) fn first_id() -> u64 {
    FIRST_ID.load(Ordering::Relaxed)
}

/// In a forked child: there is no runtime. The parent's stays in memory, unused.
pub(super) fn forget() {
    if let Some(rt) = started() {
        FIRST_ID.store(rt.next_id.load(Ordering::Relaxed), Ordering::Relaxed);
    }
    RUNTIME.store(null_mut(), Ordering::Release);
}

/// The runtime if it has been started.
pub(super) fn started() -> Option<&'static Runtime> {
    // SAFETY: null, or set once and never freed.
    unsafe { RUNTIME.load(Ordering::Acquire).as_ref() }
}

/// For `gort_stats`: all 0 if there is no runtime yet.
pub(crate) fn counts() -> Counts {
    started().map_or_else(Counts::default, Runtime::counts)
}

impl Runtime {
    /// Lock the idle lists: the outermost lock of the scheduler.
    pub(super) fn lists(&self) -> MutexGuard<'_, Lists> {
        self.idle.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// All processors on which there may be anything to see: active, surplus, and perhaps some that have retired.
    pub(super) fn procs(&self) -> impl Iterator<Item = &'static Proc> {
        (0..self.top()).map(|i| self.proc(i))
    }

    /// All that were ever made: for their counters.
    fn all_procs(&self) -> impl Iterator<Item = &'static Proc> {
        (0..self.made.load(Ordering::Acquire) as usize).map(|i| self.proc(i))
    }

    #[inline]
    pub(super) fn proc(&self, i: usize) -> &'static Proc {
        // SAFETY: `made` of them have been set (Release in `make_proc`), and they are never freed.
        unsafe { &*self.procs[i].load(Ordering::Relaxed) }
    }

    /// Processors with a lower number are those that [`Runtime::procs`] meets.
    #[inline]
    pub(super) fn top(&self) -> usize {
        // It is raised before a processor becomes active (Release), so before anything is published there; and lowered
        // when the one at the top has retired with nothing in its queue or heap. So who looks after a publisher's
        // fence sees the processor that it published on.
        self.top.load(Ordering::Acquire) as usize
    }

    /// Under the idle lists' lock.
    fn set_top(&self) {
        let made = self.made.load(Ordering::Relaxed);
        let top = (0..made).rev().find(|&i| !self.proc(i as usize).retired.load(Ordering::Relaxed));
        self.top.store(top.map_or(0, |i| i + 1), Ordering::Release);
    }

    /// Anything that an idle worker is to be woken for at once? (Woken goroutines are the sentinel's affair.)
    pub(super) fn has_open_work(&self) -> bool {
        !self.injector.is_empty() || self.procs().any(Proc::has_fresh)
    }

    /// Queue `task` for whoever comes first. For threads that hold no processor.
    pub(super) fn inject(&'static self, task: Task) {
        self.injector.push(task);
        self.tell_injected();
    }

    /// Something was put into the global queue.
    pub(super) fn tell_injected(&'static self) {
        // The first half of the pair in `pool`: published, then read who is idle.
        fence(Ordering::SeqCst);
        if self.pool.load().wants_worker() {
            idle::wake_worker(self);
        }
    }

    /// Move what is ready for `w` only to the global queue. Under the idle lists' lock.
    pub(super) fn inject_inbox(&self, w: &Worker) {
        let mut inbox = w.inbox.lock().unwrap_or_else(|e| e.into_inner());
        let n = inbox.len();
        for task in inbox.drain(..) {
            self.injector.push(task);
        }
        w.inbox_len.store(0, Ordering::Relaxed);
        self.inboxed.fetch_sub(n, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// Numbers for `n` goroutines.
    pub(super) fn take_ids(&self, n: u64) -> std::ops::Range<u64> {
        let first = self.next_id.fetch_add(n, Ordering::Relaxed);
        first..first + n
    }

    /// Living goroutines, those that have not run yet included.
    pub(crate) fn num_goroutines(&self) -> usize {
        // All the ended ones first: whoever is counted there is counted as spawned below, so that no sum is
        // ever too small.
        let ended: u64 = self.all_procs().map(|p| p.ended.load(Ordering::Acquire)).fold(0, u64::wrapping_add);
        let ended = ended.wrapping_add(self.outside_ended.load(Ordering::Acquire));
        let spawned = self.all_procs().map(|p| p.spawned.load(Ordering::Acquire)).fold(0, u64::wrapping_add);
        let outside = self.outside_spawned.load(Ordering::Acquire);
        spawned.wrapping_add(outside).wrapping_sub(ended) as usize
    }

    /// Each number is read by itself, while the others go on changing.
    fn counts(&self) -> Counts {
        let sum = |of: fn(&Proc) -> &AtomicU64| -> u64 {
            self.all_procs().map(|p| of(p).load(Ordering::Relaxed)).fold(0, u64::wrapping_add)
        };
        let workers = self.threads.load(Ordering::Relaxed).into();
        Counts {
            goroutines: self.num_goroutines() as u64,
            spawned: sum(|p| &p.spawned) + self.outside_spawned.load(Ordering::Relaxed),
            workers,
            threads: workers + self.monitor.threads() + self.lanes.monitor.threads() + u64::from(coroutine::trims()),
            parks: sum(|p| &p.parks) + self.outside_parks.load(Ordering::Relaxed),
            steals: sum(|p| &p.steals),
            wakeups: sum(|p| &p.wakeups) + self.outside_wakeups.load(Ordering::Relaxed),
            stack_bytes: coroutine::reserved_bytes() as u64,
        }
    }

    /// Let `n` processors run from now on, and return how many could before; `n < 1` only reads. Surplus
    /// workers step back when their goroutine next reaches the scheduler.
    pub(crate) fn max_procs(&'static self, n: i32) -> u32 {
        if n < 1 {
            return self.limit.load(Ordering::Relaxed);
        }
        let (before, freed) = self.set_procs(n.unsigned_abs());
        if freed {
            self.stackless.retry(self, self.class);
        }
        // More may run: let those that wait be found. Each that finds more than one wakes the next.
        if self.has_open_work() {
            idle::wake_worker(self);
        }
        idle::arm(self);
        arm::removed();
        before
    }

    /// The limit before; and whether stacks came free that somebody waits for.
    fn set_procs(&self, n: u32) -> (u32, bool) {
        let n = n.clamp(1, MAX_PROCS as u32);
        let mut lists = self.lists();
        if self.exiting.load(Ordering::Relaxed) {
            return (n, false);
        }
        let freed = self.stackless.any() && lists.release_stacks();
        let before = self.limit.load(Ordering::Relaxed);
        self.limit.store(n, Ordering::SeqCst);
        for _ in before..n {
            if !self.take_back(&mut lists) {
                let more = self.add_proc(&mut lists);
                // Fewer than `n` are active and none is surplus; all others have retired or are not made yet.
                debug_assert!(more);
            }
        }
        for _ in n..before {
            self.drop_proc(&mut lists);
        }
        if n < before {
            lists.tell_spare();
        }
        (before, freed)
    }

    /// A surplus processor becomes active again. False: there is none.
    fn take_back(&self, lists: &mut Lists) -> bool {
        let Some(proc) = self.procs().find(|p| p.surplus.load(Ordering::Relaxed)) else { return false };
        self.set_surplus(lists, proc, false);
        // It is in use, and was in nobody's care.
        self.monitor.nap.rouse();
        true
    }

    /// One more processor becomes active and idle. False: so many were made that no more can be.
    pub(super) fn add_proc(&self, lists: &mut Lists) -> bool {
        let retired = self.all_procs().find(|p| p.retired.load(Ordering::Relaxed));
        let Some(proc) = retired.or_else(|| self.make_proc()) else { return false };
        proc.retired.store(false, Ordering::Relaxed);
        self.set_top();
        lists.put_proc(self, proc);
        true
    }

    /// A new processor, as one that has retired.
    fn make_proc(&self) -> Option<&'static Proc> {
        let i = self.made.load(Ordering::Relaxed);
        let place = self.procs.get(i as usize)?;
        let proc: &'static Proc = Box::leak(Box::new(Proc::new(i)));
        place.store(std::ptr::from_ref(proc).cast_mut(), Ordering::Relaxed);
        // Release pairs with the Acquire in `all_procs`.
        self.made.store(i + 1, Ordering::Release);
        Some(proc)
    }

    /// One active processor less: an idle one retires here, a busy one when its worker next picks.
    fn drop_proc(&self, lists: &mut Lists) {
        if let Some(proc) = lists.drop_proc(self) {
            self.retire(lists, proc);
        } else if let Some(proc) = self.procs().filter(|p| p.is_active()).last() {
            self.set_surplus(lists, proc, true);
        }
    }

    /// Mark a processor that is not idle and has not retired, or take the mark away. `_`: the lists are locked.
    pub(super) fn set_surplus(&self, _: &mut Lists, proc: &Proc, surplus: bool) {
        // Relaxed: whoever acts on it asks again under the lock.
        if proc.surplus.swap(surplus, Ordering::Relaxed) != surplus {
            if surplus {
                self.surplus.fetch_add(1, Ordering::SeqCst);
            } else {
                self.surplus.fetch_sub(1, Ordering::SeqCst);
            }
        }
    }

    /// `proc` runs no more. Its queues are empty; its stacks go to the pool, its timers to the runtime. Under the
    /// idle lists' lock.
    pub(super) fn retire(&self, lists: &mut Lists, proc: &Proc) {
        proc.retired.store(true, Ordering::Relaxed);
        self.set_surplus(lists, proc, false);
        proc.running.store(null_mut(), Ordering::Relaxed);
        // SAFETY: nobody holds it any more, or yet. Heaps are never freed, and these are two.
        unsafe {
            coroutine::release_batch(&mut proc.local().stacks, 0);
            proc.timers.drain_into(&self.timers);
        }
        self.set_top();
        // The timers are published, then the caller reads who keeps watch: see `pool`.
        fence(Ordering::SeqCst);
    }
}
