//! The process-wide pools of stacks, one for each class: last in, first out.
//!
//! | list | what is in it | its order |
//! |---|---|---|
//! | `dirty` | stacks that have been used since they were last trimmed | by time of release: the back is hottest |
//! | `clean` | stacks without memory: trimmed, or guarded ahead and never used | the back first |
//! | the last slab | slots that nobody has had | by address |
//! | `raw` | slots whose guard could not be made, to be tried again | any |
//!
//! A stack is taken from the first list that has one, in this order. Guards are made outside the lock, for
//! several new stacks at once. The lists never grow while a stack is released: they get their room when the
//! class gets a new slab, so a release cannot fail and allocates nothing.
//!
//! The lock is a spin lock, not `std`'s mutex, for two reasons: the critical sections are a few instructions
//! (or, when a class grows, a few system calls), and the fork hooks must release it in the child, where it is
//! not the thread that took it. Per-processor caches in front of the pools are the scheduler's business.

use super::class::Class;
use super::slab::Slab;
use super::stack::Stack;
use super::{NoStack, guard, trim};
use crate::primitive::SpinLock;
use std::cell::UnsafeCell;
use std::collections::VecDeque;

/// The most stacks that are made at once.
const MOST_AT_ONCE: usize = 64;
/// The most address space that is guarded ahead of need: no more than 64 stacks of the default size, and
/// nothing for big ones, whose guards need page tables of their own.
const AHEAD: usize = 16 << 20;

static POOLS: [Pool; Class::COUNT] = {
    let mut pools = [const { Pool::new(Class::from_index(0)) }; Class::COUNT];
    let mut index = 0;
    while index < Class::COUNT {
        pools[index].class = Class::from_index(index);
        index += 1;
    }
    pools
};

/// All pools, the smallest class first.
pub(super) fn all() -> &'static [Pool] {
    &POOLS
}

fn pool(class: Class) -> &'static Pool {
    &POOLS[class.index()]
}

/// A stack for use: the one released last, or a new one.
pub(crate) fn acquire(class: Class) -> Result<Stack, NoStack> {
    let pool = pool(class);
    match pool.with(Lists::pop) {
        Some(stack) => Ok(stack),
        None => pool.make(1, |fresh| fresh[0]),
    }
}

/// Up to `n` stacks, at least one, appended to `out`; the hottest last.
pub(crate) fn acquire_batch(class: Class, out: &mut Vec<Stack>, n: usize) -> Result<(), NoStack> {
    if n == 0 {
        return Ok(());
    }
    // Outside the lock.
    let room = out.capacity();
    out.reserve(n);
    if out.capacity() != room {
        // The search for leaks would follow what was in this memory before.
        let spare = out.spare_capacity_mut();
        // SAFETY: all of it is the vector's, and any bytes will do where there is no element.
        unsafe { spare.as_mut_ptr().write_bytes(0, spare.len()) };
    }
    let pool = pool(class);
    let before = out.len();
    pool.with(|lists| lists.pop_many(out, n));
    if out.len() == before {
        pool.make(n, |fresh| out.extend_from_slice(fresh))?;
    }
    Ok(())
}

/// Give a stack back. What lay on it may read as zeros from now on.
pub(crate) fn release(stack: Stack) {
    pool(stack.class()).with(|lists| lists.push(stack));
    trim::note();
}

/// Give all but the last `keep` back, the first as the coldest. They may be of different classes.
pub(crate) fn release_batch(stacks: &mut Vec<Stack>, keep: usize) {
    let n = stacks.len().saturating_sub(keep);
    if n == 0 {
        return;
    }
    for same in stacks[..n].chunk_by(|a, b| a.class() == b.class()) {
        pool(same[0].class()).with(|lists| same.iter().for_each(|&stack| lists.push(stack)));
    }
    stacks.drain(..n);
    trim::note();
}

/// Meet every stack that was ever handed out. Whether it is in use, only the record on it can say; that of one that
/// was never used, or has been trimmed, reads as zeros.
pub(crate) fn for_each_slot(mut f: impl FnMut(Stack)) {
    for pool in all() {
        let mut slab = 0;
        // Slabs are only ever added, at the end, and stay as they are but for `claimed`.
        while let Some(claimed) = pool.with(|lists| lists.slabs.get(slab).map(Slab::claimed)) {
            let mut next = 0;
            while next < claimed {
                // In pieces, so that nobody waits for long who wants a stack.
                let mut some = [const { None }; MOST_AT_ONCE];
                let n = some.len().min(claimed - next);
                pool.with(|lists| {
                    some.iter_mut().take(n).enumerate().for_each(|(i, stack)| {
                        *stack = Some(lists.slabs[slab].slot(next + i));
                    });
                });
                some.into_iter().flatten().for_each(&mut f);
                next += n;
            }
            slab += 1;
        }
    }
}

/// Meet every slab: its first address, the one behind its last, how many of its stacks were handed out at least
/// once, and what gives these.
///
/// # Safety
/// The caller has called [`super::before_fork`], and nothing since that undoes it.
pub(crate) unsafe fn for_each_held_slab(mut f: impl FnMut(usize, usize, usize, &dyn Fn(usize) -> Stack)) {
    for pool in all() {
        // SAFETY: the caller holds the lock.
        let lists = unsafe { &*pool.lists.get() };
        for slab in &lists.slabs {
            let base = slab.slot(0).base().addr();
            f(base, base + slab.slots() * pool.class.size(), slab.claimed(), &|i| slab.slot(i));
        }
    }
}

/// Meet the memory of all lists of free stacks: an address in each.
///
/// # Safety
/// As for [`for_each_held_slab`].
pub(crate) unsafe fn for_each_held_list(mut f: impl FnMut(usize)) {
    for pool in all() {
        // SAFETY: the caller holds the lock.
        let lists = unsafe { &*pool.lists.get() };
        if lists.dirty.capacity() > 0 {
            f(lists.dirty.as_slices().0.as_ptr().addr());
        }
        for list in [&lists.clean, &lists.raw] {
            if list.capacity() > 0 {
                f(list.as_ptr().addr());
            }
        }
    }
}

/// The address space of all stacks that were ever handed out, in use or kept to be used again: bytes.
pub(crate) fn reserved_bytes() -> usize {
    let claimed = |pool: &Pool| pool.with(|lists| lists.slabs.iter().map(Slab::claimed).sum::<usize>());
    all().iter().map(|pool| claimed(pool) * pool.class.size()).sum()
}

/// The stacks of one class.
pub(super) struct Pool {
    class: Class,
    lock: SpinLock,
    lists: UnsafeCell<Lists>,
}

// SAFETY: `lists` is touched only by the holder of `lock`; what is in them may go to any thread.
unsafe impl Sync for Pool {}

struct Lists {
    dirty: VecDeque<Pooled>,
    clean: Vec<Stack>,
    raw: Vec<Stack>,
    slabs: Vec<Slab>,
    /// Slots in all slabs.
    slots: usize,
}

struct Pooled {
    stack: Stack,
    /// `trim::tick` at its release.
    since: u32,
}

impl Pool {
    const fn new(class: Class) -> Pool {
        let lists =
            Lists { dirty: VecDeque::new(), clean: Vec::new(), raw: Vec::new(), slabs: Vec::new(), slots: 0 };
        Pool { class, lock: SpinLock::new(), lists: UnsafeCell::new(lists) }
    }

    #[inline]
    fn with<R>(&self, f: impl FnOnce(&mut Lists) -> R) -> R {
        self.lock.lock();
        // SAFETY: the lock is ours, so nobody else has a reference; no `f` calls back into its pool.
        let result = f(unsafe { &mut *self.lists.get() });
        // SAFETY: taken above.
        unsafe { self.lock.unlock() };
        result
    }

    /// Before fork: nobody else is in the middle of a change.
    pub(super) fn lock(&self) {
        self.lock.lock();
    }

    /// After fork, in the parent and in the child.
    ///
    /// # Safety
    /// The lock was taken by [`Pool::lock`], by this thread or by the one it is the copy of.
    pub(super) unsafe fn unlock(&self) {
        // SAFETY: the caller's promise.
        unsafe { self.lock.unlock() };
    }

    /// Make up to `wanted` new stacks, at least one, and some ahead of need, which go to the pool.
    fn make<R>(&self, wanted: usize, take: impl FnOnce(&[Stack]) -> R) -> Result<R, NoStack> {
        let size = self.class.size();
        let mut fresh = [const { None }; MOST_AT_ONCE];
        let made = self.with(|lists| {
            let ahead = (lists.slots / 4).min(AHEAD / size);
            let n = wanted.max(ahead).clamp(1, MOST_AT_ONCE);
            lists.claim(self.class, &mut fresh[..n])
        });
        let fresh: Vec<Stack> = fresh.into_iter().flatten().collect();
        let (done, why) = match made {
            Ok(()) => guard::install(&fresh),
            Err(why) => (0, Some(why)),
        };
        let (made, failed) = fresh.split_at(done);
        let (first, ahead) = made.split_at(done.min(wanted));
        self.with(|lists| {
            lists.raw.extend(failed);
            // The lowest address is to be the next.
            lists.clean.extend(ahead.iter().rev());
            match (first, why) {
                // Somebody may have released one meanwhile.
                ([], Some(why)) => lists.pop().map(|stack| take(&[stack])).ok_or(why),
                _ => Ok(take(first)),
            }
        })
    }

    /// Move up to `out.len()` of the coldest dirty stacks to `out`: those released before tick `before`.
    /// Returns how many. They are nobody's until [`Pool::put_clean`].
    pub(super) fn take_cold(&self, out: &mut [Option<Stack>], before: u32) -> usize {
        self.with(|lists| {
            let mut n = 0;
            while n < out.len() && lists.dirty.front().is_some_and(|pooled| pooled.since < before) {
                out[n] = lists.dirty.pop_front().map(|pooled| pooled.stack);
                n += 1;
            }
            n
        })
    }

    /// Back from [`Pool::take_cold`], trimmed.
    pub(super) fn put_clean(&self, stacks: &[Option<Stack>]) {
        self.with(|lists| lists.clean.extend(stacks.iter().flatten()));
    }

    pub(super) fn has_dirty(&self) -> bool {
        self.with(|lists| !lists.dirty.is_empty())
    }
}

impl Lists {
    #[inline]
    fn pop(&mut self) -> Option<Stack> {
        self.dirty.pop_back().map(|pooled| pooled.stack).or_else(|| self.clean.pop())
    }

    /// As [`Lists::pop`] up to `n` times, but in reverse.
    fn pop_many(&mut self, out: &mut Vec<Stack>, n: usize) {
        let dirty = self.dirty.len().min(n);
        let clean = self.clean.len().min(n - dirty);
        out.extend(self.clean.drain(self.clean.len() - clean..));
        out.extend(self.dirty.drain(self.dirty.len() - dirty..).map(|pooled| pooled.stack));
    }

    #[inline]
    fn push(&mut self, stack: Stack) {
        debug_assert!(self.dirty.len() < self.dirty.capacity());
        self.dirty.push_back(Pooled { stack, since: trim::tick() });
    }

    /// Fill `out` from the front with slots that have no guard yet; at least one.
    fn claim(&mut self, class: Class, out: &mut [Option<Stack>]) -> Result<(), NoStack> {
        for (n, slot) in out.iter_mut().enumerate() {
            *slot = self.raw.pop().or_else(|| self.slabs.last_mut().and_then(Slab::claim));
            if slot.is_none() {
                if n > 0 {
                    break;
                }
                self.grow(class).ok_or(NoStack::NoMemory)?;
                *slot = self.slabs.last_mut().and_then(Slab::claim);
            }
        }
        Ok(())
    }

    /// Add a slab, and room in the lists for all it holds.
    fn grow(&mut self, class: Class) -> Option<()> {
        self.slabs.try_reserve(1).ok()?;
        let slab = Slab::reserve(class, self.slots)?;
        let slots = self.slots + slab.slots();
        let room = self.dirty.try_reserve(slots - self.dirty.len()).is_ok()
            && self.clean.try_reserve(slots - self.clean.len()).is_ok()
            && self.raw.try_reserve(slots - self.raw.len()).is_ok();
        // Without room the slab is dropped: it stays reserved, unused, which costs address space only.
        room.then(|| {
            self.slots = slots;
            self.slabs.push(slab);
        })
    }
}

#[cfg(test)]
mod tests;
