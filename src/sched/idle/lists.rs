//! The idle lists: processors and workers with nothing to do, and who of the workers keeps watch.
//!
//! The one thing to know: all of it is guarded by one lock, the outermost of the scheduler, and what others must know
//! without it (how many are idle, what the sentinel does) is said in the pool's word under that lock.

use crate::coroutine;
use crate::primitive::FOREVER;
use crate::primitive::atomic::Ordering;
use crate::sched::pool::Watch;
use crate::sched::proc::Proc;
use crate::sched::runtime::Runtime;
use crate::sched::worker::Worker;
use std::ptr::null_mut;

/// Processors and workers with nothing to do. Guarded by the runtime's `idle` lock.
pub(in crate::sched) struct Lists {
    pub(in crate::sched) procs: Vec<&'static Proc>,
    pub(in crate::sched) workers: Vec<&'static Worker>,
    pub(in crate::sched) sentinel: Option<&'static Worker>,
    /// Threads that were started to keep the watch and have not come yet.
    pub(super) coming: u32,
    /// The process exits: no processor is given out any more.
    pub(in crate::sched) closed: bool,
}

impl Lists {
    pub(in crate::sched) const fn new() -> Self {
        Lists { procs: Vec::new(), workers: Vec::new(), sentinel: None, coming: 0, closed: false }
    }

    pub(super) fn is_sentinel(&self, w: &Worker) -> bool {
        self.sentinel.is_some_and(|s| std::ptr::eq(s, w))
    }

    /// Put a processor with an empty run queue into the list; one that is surplus retires.
    pub(in crate::sched) fn put_proc(&mut self, rt: &Runtime, proc: &'static Proc) {
        if proc.surplus.load(Ordering::Relaxed) && !self.closed {
            rt.retire(self, proc);
            return;
        }
        proc.idle.store(true, Ordering::Relaxed);
        proc.running.store(null_mut(), Ordering::Relaxed);
        self.procs.push(proc);
        if self.sentinel.is_none() && self.coming == 0 {
            // Whoever armed the watch while there was nobody idle to keep it, has to do so again.
            rt.pool.set_watch(Watch::None);
        }
        rt.pool.add_idle();
    }

    /// Take a processor out of the list.
    pub(in crate::sched) fn take_proc(&mut self, rt: &Runtime) -> Option<&'static Proc> {
        if self.closed {
            return None;
        }
        let proc = self.procs.pop()?;
        proc.idle.store(false, Ordering::Relaxed);
        rt.pool.sub_idle();
        rt.monitor.nap.rouse();
        Some(proc)
    }

    /// Take the one with the highest number out of the list, to retire.
    pub(in crate::sched) fn drop_proc(&mut self, rt: &Runtime) -> Option<&'static Proc> {
        let last = (0..self.procs.len()).max_by_key(|&i| self.procs[i].id)?;
        let proc = self.procs.remove(last);
        proc.idle.store(false, Ordering::Relaxed);
        rt.pool.sub_idle();
        Some(proc)
    }

    pub(super) fn put_worker(&mut self, w: &'static Worker) {
        w.in_idle_list.set(true);
        w.dozes.set(false);
        self.workers.push(w);
    }

    /// Take this worker out of the list; its role, if it was the sentinel, is vacant then.
    pub(in crate::sched) fn remove_worker(&mut self, rt: &Runtime, w: &'static Worker) {
        w.in_idle_list.set(false);
        self.workers.retain(|x| !std::ptr::eq(*x, w));
        if self.is_sentinel(w) {
            self.vacate(rt);
        }
    }

    /// Give the stacks that idle processors keep to the pool; false: there were none.
    pub(in crate::sched) fn release_stacks(&self) -> bool {
        let mut any = false;
        for idle in &self.procs {
            // SAFETY: nobody holds a processor that is in the list, and the list is locked.
            let stacks = unsafe { &mut idle.local().stacks };
            any |= !stacks.is_empty();
            coroutine::release_batch(stacks, 0);
        }
        any
    }

    /// Are there more idle workers than idle processors could need, and may it be `w` that is too many? They are those
    /// that stood in for others, whose goroutine kept its worker for long.
    pub(super) fn is_spare(&self, w: &Worker) -> bool {
        self.workers.len() > self.procs.len()
            && w.in_idle_list.get()
            && !self.is_sentinel(w)
            && w.pinned.get() == 0
            && !self.closed
    }

    /// Processors were taken out of the list for good: let those who have become spare see it.
    pub(in crate::sched) fn tell_spare(&self) {
        self.workers.iter().for_each(|w| w.poke());
    }

    /// Nobody is the sentinel.
    pub(super) fn vacate(&mut self, rt: &Runtime) {
        self.sentinel = None;
        // What the last one slept to binds nobody any more.
        rt.deep_until.store(FOREVER, Ordering::SeqCst);
        rt.pool.set_watch(Watch::None);
    }

    /// There is something to watch over and nobody who does: become the sentinel.
    pub(super) fn take_vacant_role(&mut self, rt: &Runtime, w: &'static Worker) {
        let vacant = self.sentinel.is_none() && !self.procs.is_empty() && !self.closed;
        if vacant && w.in_idle_list.get() {
            self.sentinel = Some(w);
            rt.pool.set_watch(Watch::Armed);
        }
    }

    /// Descriptors are waited for, nobody is busy any more, and the sentinel sleeps for a while without seeing them:
    /// become it, in its place. When it wakes it finds that it is not.
    pub(super) fn take_role(&mut self, rt: &Runtime, w: &'static Worker) {
        let all_idle = self.procs.len() as u32 >= rt.limit.load(Ordering::Relaxed);
        if all_idle && w.in_idle_list.get() && rt.pool.load().watch() != Watch::Poller && !self.closed {
            self.sentinel = Some(w);
            rt.deep_until.store(FOREVER, Ordering::SeqCst);
            rt.pool.set_watch(Watch::Armed);
        }
    }

    /// The role is vacant: give it to an idle worker that is about to look round anyway, if there is one. It need not be
    /// woken for it, which would cost more than many an event takes to serve.
    pub(super) fn give_role_to_a_dozer(&mut self, rt: &Runtime) -> bool {
        let dozer = self.workers.iter().copied().find(|w| w.dozes.get());
        if dozer.is_none() || self.sentinel.is_some() || self.procs.is_empty() {
            return false;
        }
        self.sentinel = dozer;
        rt.pool.set_watch(Watch::Armed);
        true
    }

    /// Take a worker out of the list, the sentinel only if there is no other.
    pub(super) fn take_worker(&mut self, rt: &Runtime) -> Option<&'static Worker> {
        let w = self.workers.iter().rev().find(|w| !self.is_sentinel(w)).or(self.workers.last())?;
        let w = *w;
        self.remove_worker(rt, w);
        Some(w)
    }
}
