//! The runtime: the processors, what they share, and how it all starts.
//!
//! The one thing to know: there is one runtime in a process, made at the first use and never freed while
//! goroutines may run; everything refers to it as `&'static`. Starting it makes the processors (a few hundred
//! bytes each); threads are started when there is something to run.

use super::fresh::FreshList;
use super::goroutine::Task;
use super::idle::{self, Lists};
use super::pool::Pool;
use super::proc::{MAX_PROCS, Proc};
use super::quiet::Pending;
use super::stackless::Stackless;
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
    /// Processors with a lower number may run; 0 once the process exits.
    pub(super) limit: AtomicU32,
    /// How many processors were ever made.
    made: AtomicU32,
    procs: [AtomicPtr<Proc>; MAX_PROCS],
    /// The global queue: goroutines made ready by threads that hold no processor, or left by a processor.
    pub(super) injector: Injector<Task>,
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
    next_id: AtomicU64,
    pub(super) class: Class,
    pub(super) threads: AtomicU32,
    pub(super) max_threads: u32,
    pub(super) exiting: AtomicBool,
    /// Workers that have stopped because the process exits. Futex.
    pub(super) stopped: AtomicU32,
    /// Goroutines in the inboxes of workers. Written under the idle lists' lock, or with a processor.
    pub(super) inboxed: AtomicUsize,
    pub(crate) pending: Pending,
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
        made: AtomicU32::new(0),
        procs: [const { AtomicPtr::new(null_mut()) }; MAX_PROCS],
        injector: Injector::new(),
        idle: Mutex::new(Lists::new()),
        stackless: Stackless::new(),
        deep_until: AtomicI64::new(FOREVER),
        host_mask: thread::signal_mask(),
        outside: Mutex::new(Outside { records: FreshList::new(), ids: 0..0 }),
        outside_spawned: AtomicU64::new(0),
        outside_wakeups: AtomicU64::new(0),
        next_id: AtomicU64::new(FIRST_ID.load(Ordering::Relaxed)),
        class,
        threads: AtomicU32::new(0),
        max_threads: if options.max_threads == 0 { MAX_THREADS } else { options.max_threads },
        exiting: AtomicBool::new(false),
        stopped: AtomicU32::new(0),
        inboxed: AtomicUsize::new(0),
        pending: Pending::new(),
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

    /// All processors that were ever made, those beyond the limit included.
    pub(super) fn procs(&self) -> impl Iterator<Item = &'static Proc> {
        (0..self.made.load(Ordering::Acquire) as usize).map(|i| self.proc(i))
    }

    #[inline]
    pub(super) fn proc(&self, i: usize) -> &'static Proc {
        // SAFETY: `made` of them have been set (Release in `set_procs`), and they are never freed.
        unsafe { &*self.procs[i].load(Ordering::Relaxed) }
    }

    pub(super) fn procs_made(&self) -> usize {
        self.made.load(Ordering::Acquire) as usize
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
        let ended: u64 = self.procs().map(|p| p.ended.load(Ordering::Acquire)).fold(0, u64::wrapping_add);
        let spawned = self.procs().map(|p| p.spawned.load(Ordering::Acquire)).fold(0, u64::wrapping_add);
        let outside = self.outside_spawned.load(Ordering::Acquire);
        spawned.wrapping_add(outside).wrapping_sub(ended) as usize
    }

    /// Each number is read by itself, while the others go on changing.
    fn counts(&self) -> Counts {
        let sum = |of: fn(&Proc) -> &AtomicU64| -> u64 {
            self.procs().map(|p| of(p).load(Ordering::Relaxed)).fold(0, u64::wrapping_add)
        };
        let workers = self.threads.load(Ordering::Relaxed).into();
        Counts {
            goroutines: self.num_goroutines() as u64,
            spawned: sum(|p| &p.spawned) + self.outside_spawned.load(Ordering::Relaxed),
            workers,
            threads: workers + u64::from(coroutine::trims()),
            parks: sum(|p| &p.parks),
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
        for i in self.made.load(Ordering::Relaxed)..n {
            let proc = Box::leak(Box::new(Proc::new(i)));
            proc.retired.store(true, Ordering::Relaxed);
            self.procs[i as usize].store(proc, Ordering::Relaxed);
            // Release pairs with the Acquire in `procs`.
            self.made.store(i + 1, Ordering::Release);
        }
        self.limit.store(n, Ordering::SeqCst);
        // Shrinking: idle ones retire here, busy ones when their worker next picks.
        let mut kept = Vec::with_capacity(lists.procs.len());
        while let Some(proc) = lists.take_proc(self) {
            if proc.id < n {
                kept.push(proc);
            } else {
                self.retire(proc);
            }
        }
        for proc in kept.into_iter().rev() {
            lists.put_proc(self, proc);
        }
        // Growing: those that had retired, or are new.
        for i in (0..n as usize).rev() {
            let proc = self.proc(i);
            if proc.retired.swap(false, Ordering::Relaxed) {
                lists.put_proc(self, proc);
            }
        }
        (before, freed)
    }

    /// `proc` runs no more. Its queues are empty; its stacks go to the pool, its timers to the first processor,
    /// which never retires. Under the idle lists' lock.
    pub(super) fn retire(&self, proc: &Proc) {
        proc.retired.store(true, Ordering::Relaxed);
        proc.running.store(null_mut(), Ordering::Relaxed);
        // SAFETY: nobody holds it any more, or yet. Heaps are never freed, and these are two: the first
        // processor's number is below any limit.
        unsafe {
            coroutine::release_batch(&mut proc.local().stacks, 0);
            proc.timers.drain_into(&self.proc(0).timers);
        }
        // The timers are published, then the caller reads who keeps watch: see `pool`.
        fence(Ordering::SeqCst);
    }
}
