//! Waiting in the idle list, and what the sentinel does there.
//!
//! The one thing to know: the role is given and taken under the lists' lock, and whoever says something of the sentinel
//! asks under it whether it still is the sentinel ([`say`]).

use super::{Find, Lists, leave_sentinel};
use crate::primitive::atomic::Ordering;
use crate::primitive::{FOREVER, now};
use crate::sched::poller::{self, Harvest};
use crate::sched::pool::Watch;
use crate::sched::proc::Proc;
use crate::sched::runtime::Runtime;
use crate::sched::thread;
use crate::sched::worker::Worker;
use std::sync::MutexGuard;

/// First and longest interval between two looks of an armed sentinel, ns.
const LOOK_FIRST: i64 = 50_000;
pub(super) const LOOK_LONGEST: i64 = 400_000;
/// So many looks in a row at empty queues, and the sentinel goes deep.
const EMPTY_LOOKS: u32 = 4;
/// An idle worker for whom there is no idle processor ends when that has been so for so long, ns.
const SPARE: i64 = 2_000_000_000;

/// Until there is a processor, or the worker is to end.
pub(super) fn wait_in_list(rt: &'static Runtime, w: &'static Worker, mut lists: MutexGuard<'_, Lists>) {
    let mut give_up = FOREVER;
    // A sentinel that lost its role to one who had come to it by a descriptor (`take_role`) is likely to get it back soon:
    // it dozes on as long as the poller is asked meanwhile.
    let mut asked = poller::last_poll();
    let mut doze = false;
    loop {
        lists.take_vacant_role(rt, w);
        let sentinel = lists.is_sentinel(w);
        let spare = lists.is_spare(w);
        if spare && give_up != FOREVER && now() >= give_up {
            // Out of the list, so nobody sends it anything any more, and with nothing in its mail: whoever sends takes
            // it out first.
            lists.remove_worker(rt, w);
            drop(lists);
            thread::end(rt, w);
            return;
        }
        let last = poller::last_poll();
        doze &= last != asked && w.in_idle_list.get() && !lists.procs.is_empty();
        asked = last;
        w.dozes.set(doze && !sentinel);
        drop(lists);
        give_up = match spare {
            false => FOREVER,
            true if give_up == FOREVER => now() + SPARE,
            true => give_up,
        };
        if sentinel {
            if watch(rt, w) {
                return;
            }
            doze = true;
        } else {
            let until = if doze { now() + LOOK_LONGEST } else { FOREVER };
            w.sleep(give_up.min(until));
        }
        if w.take_mail() {
            return;
        }
        lists = rt.lists();
    }
}

/// Keep watch; true: the worker holds a processor. False: there is mail, or the role is gone.
fn watch(rt: &'static Runtime, w: &'static Worker) -> bool {
    // SAFETY: `look` belongs to this thread, and nothing called below touches it.
    let look = unsafe { &mut *w.look.get() };
    let (mut interval, mut empty) = (LOOK_FIRST, 0);
    // Whether somebody else asks the poller: to begin with, those who are busy will.
    let (mut asked, mut polled) = (poller::last_poll(), true);
    loop {
        // Before the look: who puts a processor with a timer into the list meanwhile must arm us.
        if !say(rt, w, || {
            rt.deep_until.store(FOREVER, Ordering::SeqCst);
            w.dozes.set(true);
        }) {
            return false;
        }
        let time = now();
        let (find, earliest) = look.look(rt, time);
        let state = rt.pool.load();
        if state.idle() == 0 {
            // Everybody is busy and looks after itself: no use for a sentinel.
            let mut lists = rt.lists();
            if lists.procs.is_empty() && lists.is_sentinel(w) {
                lists.vacate(rt);
            }
            return false;
        }
        match find {
            Find::Work => return take_up(rt, w, None),
            Find::Stalled(proc) => return take_up(rt, w, Some(proc)),
            Find::Busy => empty = 0,
            Find::Nothing => empty += 1,
        }
        let all_idle = state.idle() >= rt.limit.load(Ordering::Relaxed);
        // After the fence in `look`, as all that is looked at.
        let waiting = poller::waiting();
        let elsewhere = waiting && polled && !all_idle;
        let mut deadline = earliest;
        if state.watch() == Watch::Armed {
            if (empty >= EMPTY_LOOKS && !elsewhere) || (all_idle && empty > 0) {
                // Say it, then look again: the loop's next turn. What is published after that look finds Deep.
                let deep = if waiting { Watch::Poller } else { Watch::Deep };
                if !say(rt, w, || rt.pool.set_watch(deep)) {
                    return false;
                }
                continue;
            }
            deadline = deadline.min(time + interval);
            interval = (2 * interval).min(LOOK_LONGEST);
        } else if waiting && state.watch() != Watch::Poller {
            // Somebody has begun to wait since the watch was read, or is about to arm us.
            if !say(rt, w, || rt.pool.set_watch(Watch::Poller)) {
                return false;
            }
            continue;
        } else if empty == 0 || elsewhere {
            if !say(rt, w, || rt.pool.set_watch(Watch::Armed)) {
                return false;
            }
            continue;
        } else if !say(rt, w, || {
            rt.deep_until.store(earliest, Ordering::SeqCst);
            w.dozes.set(false);
        }) {
            return false;
        }
        // Who begins to wait now reads Poller, if that is what was said, and relies on it.
        let in_poller = state.watch() == Watch::Poller || (waiting && !elsewhere);
        if in_poller {
            poller::sleep(w, deadline);
        } else {
            w.sleep(deadline);
        }
        let last = poller::last_poll();
        polled = last != asked;
        if in_poller {
            let harvest = Harvest::take();
            if !harvest.is_empty() {
                // First a processor, then who is ready for it.
                let taken = take_proc_for(rt, w, true);
                harvest.wake();
                if taken {
                    return true;
                }
            }
        }
        asked = poller::last_poll();
        if w.has_mail() {
            return false;
        }
    }
}

/// The sentinel says something of itself, if it still is the sentinel. Under the lists' lock: who has lost the
/// role must not speak for whoever has it now.
fn say(rt: &Runtime, w: &Worker, what: impl FnOnce()) -> bool {
    let lists = rt.lists();
    let mine = lists.is_sentinel(w);
    if mine {
        what();
    }
    mine
}

/// The sentinel has found something to do: take a processor and go.
fn take_up(rt: &'static Runtime, w: &'static Worker, victim: Option<&'static Proc>) -> bool {
    let taken = take_proc_for(rt, w, false);
    if taken {
        w.victim.set(victim);
    }
    taken
}

/// Take a processor for the sentinel, which leaves the role; it counts as searching. False: a processor is on its way
/// to it already, or all are busy. `briefly`: it is taken for descriptors that are ready, and likely to be back soon.
fn take_proc_for(rt: &'static Runtime, w: &'static Worker, briefly: bool) -> bool {
    let mut lists = rt.lists();
    if !w.in_idle_list.get() {
        return false;
    }
    let Some(proc) = lists.take_proc(rt) else {
        // All are busy now: no use for a sentinel. Whoever goes idle next takes the role.
        if lists.is_sentinel(w) {
            lists.vacate(rt);
        }
        return false;
    };
    lists.remove_worker(rt, w);
    if briefly && lists.give_role_to_a_dozer(rt) {
        drop(lists);
    } else {
        leave_sentinel(rt, lists);
    }
    // SAFETY: just taken out of the list.
    unsafe { w.hold(proc) };
    w.searching.set(true);
    rt.pool.add_searching();
    true
}
