//! A small scheduler for the models: the real pool word and mailboxes, and `idle/` step by step over stand-ins.
//!
//! | here | stands in for |
//! |---|---|
//! | `Pool`, `Mailbox` | themselves |
//! | a queue: one word, one bit for each task | crossbeam's deque or injector. A push is a release operation and a look an acquire one, as there; `next` is swapped, as in `proc.rs` |
//! | `Mutex` of loom | the lock of the idle lists |
//! | [`World::sc`] after a transition of the pool's word | see the folder's comment |
//! | a worker at its futex | the end of its thread: [`World::check`] then asks who would look at what is left |
//!
//! Each function has the name of the one it mirrors; what it leaves out is what the models do not ask about
//! (time, fatal errors, exit).

use crate::sched::mail::Mailbox;
use crate::sched::pool::{Pool, Watch};
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use loom::sync::{Arc, Mutex, MutexGuard};
use loom::thread::JoinHandle;

/// Goroutines.
pub(super) const X: usize = 1;
pub(super) const Y: usize = 2;
pub(super) const Z: usize = 4;

/// No deadline.
pub(super) const FOREVER: usize = usize::MAX;

/// A thread of a model.
pub(super) fn run<T: 'static>(world: &Arc<World>, body: impl FnOnce(&World) -> T + 'static) -> JoinHandle<T> {
    let world = world.clone();
    loom::thread::spawn(move || body(&world))
}

/// What a model breaks. Each is a test that must panic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Bug {
    /// None: the protocol as it is to be.
    None,
    /// A publisher reads the pool's word with no fence behind a release push.
    NoFenceBehindPush,
    /// The swap into `next` is not sequentially consistent with the reading of the pool's word.
    NoFenceBehindSwap,
    /// No fence behind the push of what the swap has kicked out of `next`.
    NoFenceBehindKick,
    /// The worker looks at the queues before it announces itself only.
    NoLastLook,
    /// The announcement is not sequentially consistent with the looks.
    NoFenceBehindAnnouncement,
    /// The last searcher that found something does not look for more.
    FinderDoesNotLook,
    /// Nobody is told of what stands in queues when a processor goes idle.
    NoLookAfter,
    /// ... of the timers of the other processors.
    OwnTimersOnly,
    /// The sentinel does not look again when it has said Deep.
    DeepWithoutLook,
    /// A publisher does not arm the sentinel.
    NoArming,
    /// The sentinel says what it does without the lists' lock, and so perhaps when it is no sentinel any more.
    WatchWithoutLock,
    /// The role is not passed on when it is taken away.
    RoleNotPassedOn,
    /// The watch stays "armed" when there is a processor to watch over again and no sentinel.
    ArmedByNobody,
    /// The role is not given out by who arms: the poked worker is to take it when it looks.
    RolePromised,
    /// Who was started to keep watch takes the role when it looks, and not when it comes.
    RoleTakenLate,
    /// A sentinel that lost its role leaves behind until when it would have slept.
    StaleDeepUntil,
    /// A worker that gives up its claim to wake, because a processor is on its way to it, does not pass it on.
    ClaimDropped,
    /// ... passes it on while it holds the lists' lock.
    ClaimPassedOnLocked,
    /// A processor that steps back leaves its goroutines in the global queue and tells nobody.
    NobodyToldOfDrained,
    /// ... only when the limit was raised again before it had stepped back.
    NobodyToldWhenRaised,
    /// It retires before its goroutines are in the global queue.
    RetireBeforeDrain,
    /// Goroutines pinned to a worker that gives its processor away are put into the global queue silently.
    InboxInjectedSilently,
    /// A pinned goroutine is put into the inbox outside the lists' lock.
    InboxWithoutLock,
    /// The worker goes idle without a look at its inbox.
    InboxNotSeen,
    /// A surplus processor whose worker finds nothing goes into the idle list.
    SurplusGoesIdle,
    /// The monitor marks a processor as surplus without the lists' lock.
    MarkedWithoutLock,
    /// The monitor makes another processor active, and tells nobody.
    ReplacedSilently,
    /// The monitor moves what is queued on a surplus processor without the lists' lock.
    MovedWithoutLock,
}

/// A processor.
pub(super) struct Proc {
    next: AtomicUsize,
    fresh: AtomicUsize,
    woken: AtomicUsize,
    /// The earliest deadline in its heap.
    timer: AtomicUsize,
    pub(super) surplus: AtomicBool,
    /// Guarded by the lists' lock, so loom need not see it.
    pub(super) retired: std::sync::atomic::AtomicBool,
}

/// What comes with a processor.
pub(super) struct Parcel {
    pub(super) proc: usize,
    /// A goroutine to be run first, which never leaves the worker again; 0: none.
    pub(super) task: usize,
    pub(super) searching: bool,
}

/// See `idle::Lists`.
pub(super) struct Lists {
    pub(super) procs: Vec<usize>,
    pub(super) workers: Vec<usize>,
    pub(super) sentinel: Option<usize>,
}

/// What a worker's part in a model ends with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// It holds a processor and goes on to look at all queues; it may be counted as searching.
    Holds { searching: bool },
    /// It runs a goroutine that never leaves.
    Hog,
    /// It is the sentinel, or thinks so, and looks again by itself.
    Watches,
    /// It sleeps until there is mail, or until then.
    Sleeps { until: usize },
}

pub(super) struct World {
    pub(super) bug: Bug,
    pub(super) pool: Pool,
    lists: Mutex<Lists>,
    pub(super) procs: Vec<Proc>,
    pub(super) injector: AtomicUsize,
    /// The earliest deadline in the runtime's own heap.
    timers: AtomicUsize,
    pub(super) mail: Vec<Mailbox<Parcel>>,
    /// Ready goroutines pinned to worker 0, and the hint that there are any.
    pub(super) inbox: Mutex<usize>,
    pub(super) inbox_len: AtomicUsize,
    /// `Lists::coming`, guarded by the lists' lock, so loom need not see it.
    coming: std::sync::atomic::AtomicBool,
    /// Threads started with a processor, to search, and without.
    started: AtomicUsize,
    pub(super) started_idle: AtomicUsize,
    /// Until when a deep sentinel sleeps.
    pub(super) deep_until: AtomicUsize,
}

impl World {
    /// `procs` processors and `workers` workers, of which those listed are idle.
    pub(super) fn new(bug: Bug, procs: usize, workers: usize, idle: Lists, watch: Watch) -> Arc<World> {
        let pool = Pool::new();
        for _ in &idle.procs {
            pool.add_idle();
        }
        pool.set_watch(watch);
        Arc::new(World {
            bug,
            pool,
            lists: Mutex::new(idle),
            procs: (0..procs)
                .map(|_| Proc {
                    next: AtomicUsize::new(0),
                    fresh: AtomicUsize::new(0),
                    woken: AtomicUsize::new(0),
                    timer: AtomicUsize::new(FOREVER),
                    surplus: AtomicBool::new(false),
                    retired: std::sync::atomic::AtomicBool::new(false),
                })
                .collect(),
            injector: AtomicUsize::new(0),
            timers: AtomicUsize::new(FOREVER),
            mail: (0..workers).map(|_| Mailbox::new()).collect(),
            inbox: Mutex::new(0),
            inbox_len: AtomicUsize::new(0),
            coming: std::sync::atomic::AtomicBool::new(false),
            started: AtomicUsize::new(0),
            started_idle: AtomicUsize::new(0),
            deep_until: AtomicUsize::new(FOREVER),
        })
    }

    pub(super) fn is(&self, bug: Bug) -> bool {
        self.bug == bug
    }

    /// Where the real code has a fence, or a sequentially consistent access on either side. See the folder.
    pub(super) fn sc(&self) {
        fence(Ordering::SeqCst);
    }

    pub(super) fn lists(&self) -> MutexGuard<'_, Lists> {
        self.lists.lock().unwrap()
    }

    // What publishers do.

    /// `Runtime::inject`.
    pub(super) fn inject(&self, task: usize) {
        self.injector.fetch_or(task, Ordering::Release);
        if !self.is(Bug::NoFenceBehindPush) {
            self.sc();
        }
        if self.pool.load().wants_worker() {
            self.wake_worker();
        }
    }

    /// `spawn::spawn` and its `Proc::push_next`: `task` is fresh.
    pub(super) fn spawn(&self, proc: usize, task: usize) {
        let p = &self.procs[proc];
        let old = p.next.swap(task, Ordering::SeqCst);
        if !self.is(Bug::NoFenceBehindSwap) {
            self.sc();
        }
        if old != 0 {
            p.fresh.fetch_or(old, Ordering::Release);
            if !self.is(Bug::NoFenceBehindKick) {
                self.sc();
            }
        }
        self.tell(proc);
    }

    /// `switch::ready`, the first of several: `task` is a woken one.
    pub(super) fn ready(&self, proc: usize, task: usize) {
        self.procs[proc].woken.fetch_or(task, Ordering::Release);
        if !self.is(Bug::NoFenceBehindPush) {
            self.sc();
        }
        self.tell(proc);
    }

    /// `run::arm_timer`.
    pub(super) fn arm_timer(&self, proc: usize, due: usize) {
        self.procs[proc].timer.store(due, Ordering::Relaxed);
        if !self.is(Bug::NoFenceBehindPush) {
            self.sc();
        }
        if self.pool.load().wants_arming() {
            self.arm();
        }
    }

    /// `idle::tell`.
    fn tell(&self, proc: usize) {
        let state = self.pool.load();
        if state.wants_worker() && self.has_fresh(proc) {
            self.wake_worker();
        }
        if state.wants_arming() && !self.is(Bug::NoArming) {
            self.arm();
        }
    }

    // What there is to see.

    pub(super) fn has_fresh(&self, proc: usize) -> bool {
        self.procs[proc].fresh.load(Ordering::Acquire) != 0
    }

    /// `Proc::has_work`.
    pub(super) fn has_work(&self, proc: usize) -> bool {
        let p = &self.procs[proc];
        p.next.load(Ordering::SeqCst) != 0 || p.woken.load(Ordering::Acquire) != 0 || self.has_fresh(proc)
    }

    /// The earliest deadline of all processors.
    pub(super) fn earliest(&self) -> usize {
        let own = self.procs.iter().map(|p| p.timer.load(Ordering::Relaxed)).min().unwrap_or(FOREVER);
        own.min(self.timers.load(Ordering::Relaxed))
    }

    /// `Runtime::has_open_work`.
    pub(super) fn has_open_work(&self) -> bool {
        self.injector.load(Ordering::SeqCst) != 0 || (0..self.procs.len()).any(|p| self.has_fresh(p))
    }

    /// All that is in `woken`: a thief's and the owner's way alike.
    pub(super) fn take_woken(&self, proc: usize) -> usize {
        self.procs[proc].woken.swap(0, Ordering::AcqRel)
    }

    /// `Proc::take_next`.
    pub(super) fn take_next(&self, proc: usize) -> usize {
        self.procs[proc].next.swap(0, Ordering::SeqCst)
    }

    // `idle/`.

    pub(super) fn put_proc(&self, lists: &mut Lists, proc: usize) {
        if self.procs[proc].surplus.load(Ordering::Relaxed) && !self.is(Bug::SurplusGoesIdle) {
            self.retire(proc);
            return;
        }
        lists.procs.push(proc);
        if lists.sentinel.is_none() && !self.coming.load(Ordering::Relaxed) && !self.is(Bug::ArmedByNobody) {
            self.pool.set_watch(Watch::None);
        }
        self.pool.add_idle();
    }

    /// `Runtime::retire`. Under the lists' lock.
    pub(super) fn retire(&self, proc: usize) {
        let p = &self.procs[proc];
        p.retired.store(true, Ordering::Relaxed);
        p.surplus.store(false, Ordering::Relaxed);
        let timer = p.timer.swap(FOREVER, Ordering::Relaxed);
        if timer != FOREVER {
            self.timers.fetch_min(timer, Ordering::Relaxed);
        }
        self.sc();
    }

    pub(super) fn take_proc(&self, lists: &mut Lists) -> Option<usize> {
        let proc = lists.procs.pop()?;
        self.pool.sub_idle();
        Some(proc)
    }

    pub(super) fn remove_worker(&self, lists: &mut Lists, w: usize) {
        lists.workers.retain(|x| *x != w);
        if lists.sentinel == Some(w) {
            self.vacate(lists);
        }
    }

    /// There is no sentinel any more.
    fn vacate(&self, lists: &mut Lists) {
        lists.sentinel = None;
        self.pool.set_watch(Watch::None);
        if !self.is(Bug::StaleDeepUntil) {
            self.deep_until.store(FOREVER, Ordering::SeqCst);
        }
    }

    fn take_worker(&self, lists: &mut Lists) -> Option<usize> {
        let sentinel = lists.sentinel;
        let w =
            lists.workers.iter().rev().find(|w| Some(**w) != sentinel).or(lists.workers.last()).copied()?;
        self.remove_worker(lists, w);
        Some(w)
    }

    pub(super) fn wake_worker(&self) {
        if !self.pool.claim_wake() {
            return;
        }
        let mut lists = self.lists();
        match self.take_proc(&mut lists) {
            None => {
                self.pool.stop_searching();
            }
            Some(proc) => self.give(lists, Parcel { proc, task: 0, searching: true }),
        }
    }

    pub(super) fn give(&self, mut lists: MutexGuard<'_, Lists>, parcel: Parcel) {
        let worker = self.take_worker(&mut lists);
        self.leave_sentinel(lists);
        match worker {
            // SAFETY: just taken out of the idle list.
            Some(w) => unsafe { self.mail[w].deliver(parcel) },
            None if parcel.task == 0 => {
                self.started.fetch_add(1, Ordering::Relaxed);
            }
            None => {}
        }
    }

    pub(super) fn arm(&self) {
        if self.pool.claim_arming().is_some() {
            self.send_sentinel(self.lists());
        }
    }

    fn send_sentinel(&self, mut lists: MutexGuard<'_, Lists>) {
        if let Some(sentinel) = lists.sentinel {
            self.mail[sentinel].poke();
        } else if lists.procs.is_empty() && !self.is(Bug::RolePromised) {
            self.pool.set_watch(Watch::None);
        } else if let Some(&w) = lists.workers.last() {
            if !self.is(Bug::RolePromised) {
                lists.sentinel = Some(w);
                self.pool.set_watch(Watch::Armed);
            }
            self.mail[w].poke();
        } else if !self.coming.swap(true, Ordering::Relaxed) {
            self.started_idle.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn leave_sentinel(&self, lists: MutexGuard<'_, Lists>) {
        if lists.sentinel.is_some() || lists.procs.is_empty() || self.is(Bug::RoleNotPassedOn) {
            return;
        }
        self.sc();
        if self.needs_watch(FOREVER) && self.pool.claim_arming().is_some() {
            self.send_sentinel(lists);
        }
    }

    fn needs_watch(&self, until: usize) -> bool {
        (0..self.procs.len()).any(|p| self.has_work(p)) || self.earliest() < until
    }

    pub(super) fn stop_searching(&self) {
        if self.pool.stop_searching() && !self.is(Bug::FinderDoesNotLook) {
            self.sc();
            if self.has_open_work() {
                self.wake_worker();
            }
        }
    }

    /// A searching worker has found something, which it runs for ever.
    pub(super) fn found(&self) -> End {
        self.stop_searching();
        End::Hog
    }

    /// `w` has found nothing to run and leaves `proc`.
    pub(super) fn go_idle(&self, w: usize, proc: usize, searching: bool) -> End {
        let mut lists = self.lists();
        if w == 0 && !self.is(Bug::InboxNotSeen) && self.inbox_len.load(Ordering::Relaxed) != 0 {
            return End::Holds { searching };
        }
        self.put_proc(&mut lists, proc);
        lists.workers.push(w);
        drop(lists);
        if searching {
            self.pool.stop_searching();
        }
        if !self.is(Bug::NoFenceBehindAnnouncement) {
            self.sc();
        }
        if !self.is(Bug::NoLastLook) && self.has_open_work() && self.pool.claim_wake() {
            let mut lists = self.lists();
            let again = if lists.workers.contains(&w) { self.take_proc(&mut lists) } else { None };
            if again.is_some() {
                self.remove_worker(&mut lists, w);
                self.leave_sentinel(lists);
                return End::Holds { searching: true };
            }
            if self.is(Bug::ClaimDropped) {
                self.pool.stop_searching();
            } else {
                if !self.is(Bug::ClaimPassedOnLocked) {
                    drop(lists);
                }
                self.stop_searching();
            }
        }
        self.look_after(proc);
        self.wait_in_list(w)
    }

    /// A processor went idle: whom to tell of what only the sentinel sees.
    pub(super) fn look_after(&self, proc: usize) {
        if self.is(Bug::NoLookAfter) {
            return;
        }
        if self.is(Bug::OwnTimersOnly) {
            let own = self.procs[proc].timer.load(Ordering::Relaxed) != FOREVER;
            if own || (0..self.procs.len()).any(|p| self.has_work(p)) {
                self.arm();
            }
        } else if self.needs_watch(self.deep_until.load(Ordering::SeqCst)) {
            self.arm();
        }
    }

    /// The worker gives up the processor and waits for its own goroutine.
    pub(super) fn hand_off(&self, proc: usize) {
        let mut lists = self.lists();
        if self.has_work(proc) || self.injector.load(Ordering::SeqCst) != 0 {
            self.give(lists, Parcel { proc, task: 0, searching: false });
            return;
        }
        self.put_proc(&mut lists, proc);
        drop(lists);
        self.sc();
        if self.has_open_work() {
            self.wake_worker();
        }
        self.look_after(proc);
    }

    /// `idle::arrive`: a worker that was started to keep watch has come.
    pub(super) fn arrive(&self, w: usize) -> End {
        let mut lists = self.lists();
        self.coming.store(false, Ordering::Relaxed);
        self.started_idle.fetch_sub(1, Ordering::Relaxed);
        lists.workers.push(w);
        if !self.is(Bug::RoleTakenLate) {
            self.take_vacant_role(&mut lists, w);
        }
        drop(lists);
        self.wait_in_list(w)
    }

    fn take_vacant_role(&self, lists: &mut Lists, w: usize) {
        let vacant = lists.sentinel.is_none() && !lists.procs.is_empty();
        if vacant && lists.workers.contains(&w) {
            lists.sentinel = Some(w);
            self.pool.set_watch(Watch::Armed);
        }
    }

    /// `idle::wait_for_proc`.
    pub(super) fn wait_for_proc(&self, w: usize) -> End {
        let mut lists = self.lists();
        let mut injected = false;
        if w == 0 && self.inbox_len.load(Ordering::Relaxed) != 0 {
            let mut inbox = self.inbox.lock().unwrap();
            self.injector.fetch_or(*inbox, Ordering::Release);
            *inbox = 0;
            self.inbox_len.store(0, Ordering::Relaxed);
            self.sc();
            injected = true;
        }
        lists.workers.push(w);
        drop(lists);
        if injected && !self.is(Bug::InboxInjectedSilently) && self.pool.load().wants_worker() {
            self.wake_worker();
        }
        self.wait_in_list(w)
    }

    /// `pin::pass_on`: `w` holds `proc` and has picked `task`, which only worker 0 may run, for ever.
    pub(super) fn pass_on(&self, w: usize, proc: usize, task: usize) -> End {
        let mut lists = self.lists();
        if !lists.workers.contains(&0) {
            if self.is(Bug::InboxWithoutLock) {
                drop(lists);
            }
            let mut inbox = self.inbox.lock().unwrap();
            *inbox |= task;
            self.inbox_len.store(1, Ordering::Release);
            return End::Holds { searching: false };
        }
        self.remove_worker(&mut lists, 0);
        self.leave_sentinel(lists);
        // SAFETY: just taken out of the idle list.
        unsafe { self.mail[0].deliver(Parcel { proc, task, searching: false }) };
        self.wait_for_proc(w)
    }

    /// As far as the worker's futex; the models go on from there in `check`.
    pub(super) fn wait_in_list(&self, w: usize) -> End {
        let mut lists = self.lists();
        self.take_vacant_role(&mut lists, w);
        let sentinel = lists.sentinel == Some(w);
        drop(lists);
        if sentinel { self.watch(w) } else { End::Sleeps { until: FOREVER } }
    }

    /// The sentinel's looks, up to its sleep. One empty look has it go deep (really up to four, with pauses).
    pub(super) fn watch(&self, w: usize) -> End {
        loop {
            if !self.say_deep_until(w, FOREVER) {
                return End::Sleeps { until: FOREVER };
            }
            self.sc();
            let found = self.look();
            let earliest = self.earliest();
            let state = self.pool.load();
            if state.idle() == 0 {
                let mut lists = self.lists();
                if lists.procs.is_empty() && lists.sentinel == Some(w) {
                    self.vacate(&mut lists);
                }
                // There is mail, or the role is gone, or it looks again.
                return End::Watches;
            }
            let armed = state.watch() == Watch::Armed;
            if found {
                if !armed && !self.say(w, Watch::Armed) {
                    return End::Sleeps { until: FOREVER };
                }
                return End::Watches;
            }
            if !armed {
                let still = self.say_deep_until(w, earliest);
                return End::Sleeps { until: if still { earliest } else { FOREVER } };
            }
            if !self.say(w, Watch::Deep) {
                return End::Sleeps { until: FOREVER };
            }
            if self.is(Bug::DeepWithoutLook) {
                return End::Sleeps { until: earliest };
            }
            self.sc();
        }
    }

    /// The sentinel says what it does. False: it is no sentinel any more, and has mail or will.
    pub(super) fn say(&self, w: usize, watch: Watch) -> bool {
        if self.is(Bug::WatchWithoutLock) {
            self.pool.set_watch(watch);
            return true;
        }
        let lists = self.lists();
        let still = lists.sentinel == Some(w);
        if still {
            self.pool.set_watch(watch);
        }
        still
    }

    /// The sentinel says until when it sleeps; `FOREVER`: it looks. False: as for `say`.
    fn say_deep_until(&self, w: usize, until: usize) -> bool {
        if self.is(Bug::StaleDeepUntil) {
            self.deep_until.store(until, Ordering::SeqCst);
            return true;
        }
        let lists = self.lists();
        let still = lists.sentinel == Some(w);
        if still {
            self.deep_until.store(until, Ordering::SeqCst);
        }
        still
    }

    /// `Look::look`, as far as work goes.
    fn look(&self) -> bool {
        self.injector.load(Ordering::SeqCst) != 0 || (0..self.procs.len()).any(|p| self.has_work(p))
    }

    // The end of every model.

    /// All threads of the model have ended. What is left in a queue or a heap must be somebody's to find.
    pub(super) fn check(&self, ends: &[(usize, End)]) {
        self.sc();
        let work = self.look();
        let earliest = self.earliest();
        let lists = self.lists();
        let vacant = lists.sentinel.is_none() && !lists.procs.is_empty();
        let mut sees_work = self.started.load(Ordering::Relaxed) != 0
            || vacant && self.started_idle.load(Ordering::Relaxed) != 0;
        let mut sees_timers = sees_work;
        let mut searching = self.started.load(Ordering::Relaxed) as u32;
        let mut watched = vacant && self.started_idle.load(Ordering::Relaxed) != 0;
        for w in 0..self.mail.len() {
            let poked = self.mail[w].has_mail();
            // SAFETY: the worker's thread has ended; we are the owner now.
            let parcel = unsafe { self.mail[w].take() };
            let end = ends.iter().find(|e| e.0 == w).map_or(End::Sleeps { until: FOREVER }, |e| e.1);
            let listed = lists.workers.contains(&w);
            let sentinel = lists.sentinel == Some(w);
            if let Some(parcel) = parcel {
                assert!(
                    !lists.procs.contains(&parcel.proc),
                    "processor {} is idle and was sent",
                    parcel.proc
                );
                assert!(!listed, "a processor was sent to a worker in the idle list");
                assert!(!matches!(end, End::Holds { .. } | End::Hog), "worker {w} got a second processor");
                sees_work |= parcel.task == 0;
                sees_timers |= parcel.task == 0;
                searching += u32::from(parcel.searching);
                continue;
            }
            if let End::Holds { searching: counted } = end {
                searching += u32::from(counted);
                assert!(!listed, "worker {w} is busy and in the idle list");
                sees_work = true;
                sees_timers = true;
            }
            if listed {
                let looks = poked && (sentinel || vacant) || end == End::Watches && sentinel;
                sees_work |= looks;
                sees_timers |= looks || sentinel && matches!(end, End::Sleeps { until } if until <= earliest);
                watched |= looks;
            }
        }
        if *self.inbox.lock().unwrap() != 0 {
            assert!(!lists.workers.contains(&0), "worker 0 sleeps on a pinned goroutine that is ready");
        }
        let state = self.pool.load();
        assert_eq!(state.idle() as usize, lists.procs.len());
        for &proc in &lists.procs {
            let p = &self.procs[proc];
            let active = !p.surplus.load(Ordering::Relaxed) && !p.retired.load(Ordering::Relaxed);
            assert!(active, "processor {proc} is idle and not active");
        }
        if !lists.procs.is_empty() {
            assert!(!work || sees_work, "work is left, a processor is idle and nobody will look: {ends:?}");
            assert!(
                earliest == FOREVER || sees_timers,
                "a timer is set, a processor is idle, nobody watches: {ends:?}"
            );
            assert!(
                state.watch() != Watch::Armed || watched,
                "the watch is said to be armed and nobody keeps it: {ends:?}"
            );
        }
        assert_eq!(state.searching(), searching, "the count of those who search is wrong: {ends:?}");
    }
}
