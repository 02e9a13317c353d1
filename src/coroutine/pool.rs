//! The process-wide pools of stacks, one for each class: last in, first out.
//!
//! | list | what is in it | its order |
//! |---|---|---|
//! | `dirty` | stacks that have been used since they were last trimmed | by time of release: the back is hottest |
//! | `clean` | stacks with nothing below their top page: trimmed, or guarded ahead and never used | the back first |
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
use std::sync::atomic::{AtomicUsize, Ordering};

/// The most stacks that are made at once.
const MOST_AT_ONCE: usize = 64;
/// The most address space that is guarded ahead of need: no more than 64 stacks of the default size, and
/// nothing for big ones, whose guards need page tables of their own.
const AHEAD: usize = 16 << 20;

/// Bytes of the stacks made so far.
static RESERVED: AtomicUsize = AtomicUsize::new(0);

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
    out.reserve(n);
    let pool = pool(class);
    let before = out.len();
    pool.with(|lists| lists.pop_many(out, n));
    if out.len() == before {
        pool.make(n, |fresh| out.extend_from_slice(fresh))?;
    }
    Ok(())
}

/// Give a stack back. What lay on it may be gone from now on, except for its top page.
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

/// Call `f` for every stack that has ever been made, in use or not, and for those made ahead of need. No lock
/// is held while `f` runs, so it may take the scheduler's, and may acquire and release. The price is that `f`
/// may meet a stack that has just been released or acquired: the record at [`Stack::place`] can be read at
/// any time (a stack's memory is never unmapped), is zero on a stack that has never been used, and must say by
/// its own means what it is worth.
pub(crate) fn for_each_slot(mut f: impl FnMut(Stack)) {
    for pool in all() {
        let mut slab = 0;
        let mut stacks = Vec::new();
        // Slabs are only ever added, at the end.
        while pool.with(|lists| lists.slabs.get(slab).map(|slab| stacks.extend(slab.claimed()))).is_some() {
            stacks.drain(..).for_each(&mut f);
            slab += 1;
        }
    }
}

/// Bytes of address space of all stacks that have been made, handed out or pooled.
pub(crate) fn reserved_bytes() -> usize {
    RESERVED.load(Ordering::Relaxed)
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
        RESERVED.fetch_add(done * size, Ordering::Relaxed);
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
mod tests {
    use super::super::testing::{acquire_many, in_child, readable};
    use super::*;
    use std::collections::HashSet;

    /// Each test has a class of its own, as the pools belong to the whole process.
    fn class(size: usize) -> Class {
        Class::for_size(size).unwrap()
    }

    fn touch(stack: &Stack) {
        // SAFETY: ours, and both ends are usable memory.
        unsafe {
            stack.place::<[u64; 8]>().write([7; 8]);
            stack.limit().write(7);
        }
    }

    #[test]
    fn the_stack_released_last_is_acquired_first() {
        let class = class(2 << 20);
        let a = acquire(class).unwrap();
        let b = acquire(class).unwrap();
        let c = acquire(class).unwrap();
        assert!(a != b && b != c && a != c);
        [a, b, c].iter().for_each(touch);
        for stack in [b, c, a] {
            release(stack);
        }
        assert_eq!([acquire(class).unwrap(), acquire(class).unwrap()], [a, c]);
        assert_eq!(acquire(class).unwrap(), b);
    }

    #[test]
    fn batches_come_back_hottest_last() {
        let class = class(4 << 20);
        let mut stacks = acquire_many(class, 10);
        assert_eq!(stacks.iter().collect::<HashSet<_>>().len(), 10);
        let all = stacks.clone();
        release_batch(&mut stacks, 4);
        assert_eq!(stacks, all[6..]);
        // Released first to last: the last of them is the hottest.
        assert_eq!(acquire(class).unwrap(), all[5]);
        let mut again = Vec::new();
        acquire_batch(class, &mut again, 3).unwrap();
        assert_eq!(again, all[2..5]);
        release_batch(&mut again, 9);
        assert_eq!(again, all[2..5]);
        release_batch(&mut again, 0);
        assert!(again.is_empty());
        assert_eq!(acquire(class).unwrap(), all[4]);
    }

    #[test]
    fn a_mixed_batch_goes_to_the_pools_of_its_classes() {
        let (small, big) = (class(32 << 20), class(64 << 20));
        let mut stacks = vec![acquire(small).unwrap(), acquire(big).unwrap(), acquire(small).unwrap()];
        let all = stacks.clone();
        release_batch(&mut stacks, 0);
        assert_eq!([acquire(small).unwrap(), acquire(small).unwrap()], [all[2], all[0]]);
        assert_eq!(acquire(big).unwrap(), all[1]);
    }

    #[test]
    fn every_stack_is_met_by_for_each_slot_and_counted() {
        let class = class(16 << 20);
        let before = reserved_bytes();
        let mine: Vec<_> = (0..5).map(|_| acquire(class).unwrap()).collect();
        assert!(reserved_bytes() >= before + 5 * class.size());
        release(mine[4]);
        let mut met = HashSet::new();
        for_each_slot(|stack| {
            // SAFETY: a stack's top page can be read at any time; the mark is not looked at.
            unsafe { stack.place::<u64>().read_volatile() };
            assert!(met.insert(stack));
        });
        assert!(mine.iter().all(|stack| met.contains(stack)));
    }

    #[test]
    fn many_threads_never_share_a_stack() {
        let class = class(128 << 10);
        let in_use = std::sync::Mutex::new(HashSet::new());
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let in_use = &in_use;
                scope.spawn(move || {
                    let mut mine = Vec::new();
                    for round in 0..300_usize {
                        acquire_batch(class, &mut mine, 1 + (round * 7 + thread) % 40).unwrap();
                        mine.push(acquire(class).unwrap());
                        {
                            let mut in_use = in_use.lock().unwrap();
                            for stack in mine.drain(..) {
                                assert!(in_use.insert(stack), "{stack:?} was handed out twice");
                            }
                            mine.extend(in_use.iter().take((round * 5 + thread) % 60));
                            for stack in &mine {
                                assert!(in_use.remove(stack));
                            }
                        }
                        release_batch(&mut mine, 0);
                    }
                });
            }
        });
    }

    /// The number after `name` in a file of /proc/self.
    fn proc(file: &str, name: &str) -> usize {
        let text = std::fs::read_to_string(format!("/proc/self/{file}")).unwrap();
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    fn mappings() -> usize {
        std::fs::read_to_string("/proc/self/maps").unwrap().lines().count()
    }

    /// Three times what mprotect guards allow, in a few mappings and little more than a page each.
    #[test]
    fn a_hundred_thousand_stacks_cost_a_page_each_and_few_mappings() {
        in_child(
            concat!(module_path!(), "::a_hundred_thousand_stacks_cost_a_page_each_and_few_mappings"),
            &[],
            || {
                if guard::kind() == guard::Kind::Mapping {
                    return println!("skipped: this kernel has no guard regions");
                }
                const N: usize = 100_000;
                let class = class(256 << 10);
                let mut stacks = Vec::with_capacity(N);
                let memory = || (proc("status", "VmRSS:") + proc("status", "VmPTE:")) * 1024;
                let (memory_before, mappings_before) = (memory(), mappings());
                while stacks.len() < N {
                    let (missing, before) = (N - stacks.len(), stacks.len());
                    acquire_batch(class, &mut stacks, missing.min(32)).unwrap();
                    for stack in &stacks[before..] {
                        // SAFETY: ours; the record on its top page.
                        unsafe { stack.place::<[u64; 8]>().write([1; 8]) };
                    }
                }
                let each = (memory() - memory_before) / N;
                let mappings = mappings() - mappings_before;
                println!("{each} bytes a stack, {mappings} mappings more");
                assert!(each < 4700, "{each} bytes a stack");
                assert!(mappings < 50, "{mappings} mappings");
                assert!(stacks.iter().step_by(999).all(|stack| !readable(stack.base())));
            },
            |output| assert!(output.status.success(), "{output:?}"),
        );
    }
}
