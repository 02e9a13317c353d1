//! A lane's book: what waits, who holds one of its slots, who sleeps.
//!
//! The one thing to know: **while anything waits that may run, no slot is free**: each operation that queues something or
//! frees a slot ends by giving free slots to what waits, and says in its [`Move`] which thread is to be told. It is all
//! done under the lane's lock; the telling, which wakes or starts a thread, comes after it.
//!
//! | a thread of the lane | is in |
//! |---|---|
//! | being started, with a task | `starting`, which counts as slots in use |
//! | runs goroutines, or is about to | `holders` |
//! | runs one for so long that its slot was taken away | nowhere |
//! | makes a blocking call for one | nowhere |
//! | sleeps, for any task | `idle` |
//! | sleeps for the one goroutine that keeps it | `keeping` |
//!
//! Only who takes a thread out of `idle` or `keeping` may send it mail, and once: see `Mailbox`.

use std::collections::VecDeque;

/// What waits for a slot.
pub(super) trait Ready<W> {
    /// The only thread that may run it, if there is one: it sleeps for just this, or is the caller.
    fn keeper(&self) -> Option<W>;
}

/// What is left to do when the lock has been released. There is one slot in use for it already.
#[must_use]
pub(super) enum Move<W, T> {
    Nothing,
    /// This sleeping thread is to run that.
    Wake(W, T),
    /// A new thread is to.
    Start(T),
}

pub(super) struct Slots<W, T> {
    limit: usize,
    queue: VecDeque<T>,
    holders: Vec<W>,
    starting: usize,
    idle: Vec<W>,
    keeping: Vec<W>,
    closed: bool,
    #[cfg(loom)]
    pub(super) bug: Bug,
}

/// What a model breaks.
#[cfg(loom)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Bug {
    None,
    /// A thread goes to sleep without passing its slot on to what was queued since it last looked.
    SlotNotPassedOn,
    /// A thread that sleeps is not taken out of the list when it is sent something.
    StaysListed,
    /// A goroutine that keeps its thread is run by whoever comes first.
    KeeperIgnored,
    /// A thread that is kept, and awake, is sent its goroutine.
    AwakeIsSent,
    /// A slot that was taken away is given up once more by the thread that had it.
    GivenUpTwice,
    /// What waits is not given the slot that is taken away from a thread.
    RetakenForNobody,
}

impl<W: Copy + PartialEq, T: Ready<W>> Slots<W, T> {
    pub(super) fn new(limit: usize) -> Self {
        Slots {
            limit,
            queue: VecDeque::new(),
            holders: Vec::new(),
            starting: 0,
            idle: Vec::new(),
            keeping: Vec::new(),
            closed: false,
            #[cfg(loom)]
            bug: Bug::None,
        }
    }

    /// Slots in use.
    pub(super) fn used(&self) -> usize {
        self.holders.len() + self.starting
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Does anything wait for a slot that could have one, if there were one?
    pub(super) fn waits(&self) -> bool {
        !self.closed && !self.queue.is_empty()
    }

    pub(super) fn holds(&self, w: W) -> bool {
        self.holders.contains(&w)
    }

    /// Queue `task`, which has become ready.
    pub(super) fn push(&mut self, task: T) -> Move<W, T> {
        self.append(task);
        self.dispatch()
    }

    /// Queue what the calling thread has just run. It then picks, or gives its slot up.
    pub(super) fn append(&mut self, task: T) {
        self.queue.push_back(task);
    }

    /// Give a free slot to what has waited longest. Unless that keeps a thread which is awake: it is about to look by
    /// itself, and the others come after it.
    pub(super) fn dispatch(&mut self) -> Move<W, T> {
        if self.closed || self.used() >= self.limit {
            return Move::Nothing;
        }
        let Some(first) = self.queue.front() else { return Move::Nothing };
        let keeper = first.keeper();
        #[cfg(loom)]
        let keeper = if self.bug == Bug::KeeperIgnored { None } else { keeper };
        let w = match keeper {
            Some(w) => {
                let asleep = remove(&mut self.keeping, w);
                #[cfg(loom)]
                let asleep = asleep || self.bug == Bug::AwakeIsSent;
                if !asleep {
                    return Move::Nothing;
                }
                Some(w)
            }
            #[cfg(loom)]
            None if self.bug == Bug::StaysListed => self.idle.last().copied(),
            None => self.idle.pop(),
        };
        let Some(task) = self.queue.pop_front() else { return Move::Nothing };
        match w {
            Some(w) => {
                self.holders.push(w);
                Move::Wake(w, task)
            }
            None => {
                self.starting += 1;
                Move::Start(task)
            }
        }
    }

    /// What the thread `w`, which is awake, runs next; it holds a slot then. `kept`: a goroutine keeps it, and it may
    /// run nothing else. `None`: nothing that it may run is first, or there is no slot to be had. The caller then
    /// dispatches: what came first may have held up others.
    pub(super) fn pick(&mut self, w: W, kept: bool) -> Option<T> {
        let holds = self.holds(w);
        if self.closed || !holds && self.used() >= self.limit {
            return None;
        }
        let mine = match self.queue.front()?.keeper() {
            Some(keeper) => keeper == w,
            None => !kept,
        };
        if !mine {
            return None;
        }
        if !holds {
            self.holders.push(w);
        }
        self.queue.pop_front()
    }

    /// The thread `w` goes to sleep: for anything or, `kept`, for the goroutine that keeps it.
    pub(super) fn sleep(&mut self, w: W, kept: bool) -> Move<W, T> {
        self.give_up(w);
        if kept { self.keeping.push(w) } else { self.idle.push(w) }
        #[cfg(loom)]
        if self.bug == Bug::SlotNotPassedOn {
            return Move::Nothing;
        }
        self.dispatch()
    }

    /// The thread `w` runs nothing more, or is away for a while.
    pub(super) fn go(&mut self, w: W) -> Move<W, T> {
        self.give_up(w);
        self.dispatch()
    }

    /// Give up the slot that `w` holds, if it still does.
    fn give_up(&mut self, w: W) {
        #[cfg(loom)]
        if self.bug == Bug::GivenUpTwice && !self.holds(w) {
            // Whoever has one now has none after this.
            self.holders.pop();
            return;
        }
        remove(&mut self.holders, w);
    }

    /// Take the slot away from `w`, which does not move, if somebody waits for one.
    pub(super) fn retake(&mut self, w: W) -> Move<W, T> {
        if !self.waits() || !self.holds(w) {
            return Move::Nothing;
        }
        self.give_up(w);
        #[cfg(loom)]
        if self.bug == Bug::RetakenForNobody {
            return Move::Nothing;
        }
        self.dispatch()
    }

    /// A thread that was to be started is there.
    pub(super) fn arrive(&mut self, w: W) {
        self.starting -= 1;
        self.holders.push(w);
    }

    /// The thread `w` is not to be had any more, if it sleeps for anything. False: it is being woken.
    pub(super) fn retire(&mut self, w: W) -> bool {
        remove(&mut self.idle, w)
    }

    /// The process exits: nothing starts or goes on any more, and who sleeps goes on sleeping.
    pub(super) fn stop(&mut self) {
        self.closed = true;
    }

    /// Nothing starts or goes on any more. What waits comes out, and all that sleep: the caller may send each mail.
    pub(super) fn close(&mut self) -> (VecDeque<T>, Vec<W>) {
        self.closed = true;
        let mut sleepers = std::mem::take(&mut self.idle);
        sleepers.append(&mut self.keeping);
        (std::mem::take(&mut self.queue), sleepers)
    }
}

/// Take `w` out of `list`; false: it is not in it.
fn remove<W: PartialEq>(list: &mut Vec<W>, w: W) -> bool {
    match list.iter().rposition(|x| *x == w) {
        Some(at) => {
            list.remove(at);
            true
        }
        None => false,
    }
}
