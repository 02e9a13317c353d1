//! The guard at the low end of each stack: by guard regions where the kernel has them, else by mprotect(2).
//!
//! The one thing to know: a process may have only so many mappings (`vm.max_map_count`, 65530 by default). A
//! guard region (Linux 6.13) costs none, so a million stacks are no trouble. An mprotect guard cuts its slab's
//! mapping in two more pieces; once the count is reached, not only mprotect fails but malloc and
//! pthread_create too. So that path works within a budget and leaves the rest of the process its share.
//!
//! `GORT_STACK_GUARD=mprotect` in the environment forces the old way.

use super::NoStack;
use super::advise::{self, GUARD_INSTALL, advise, advise_all, range};
use super::class::GUARD;
use super::stack::Stack;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Region,
    Mapping,
}

/// What guards are made of in this process, found out at first use. Not by a lock, which a fork could leave
/// locked in the child: two threads that find it out at the same time find the same.
pub(super) fn kind() -> Kind {
    const REGION: u8 = 1;
    const MAPPING: u8 = 2;
    /// 0: not known yet.
    static KIND: AtomicU8 = AtomicU8::new(0);
    // Relaxed: a number on its own.
    match KIND.load(Ordering::Relaxed) {
        REGION => Kind::Region,
        MAPPING => Kind::Mapping,
        _ => {
            let forced = std::env::var_os("GORT_STACK_GUARD").is_some_and(|way| way == "mprotect");
            let (kind, number) =
                if forced || !regions_work() { (Kind::Mapping, MAPPING) } else { (Kind::Region, REGION) };
            KIND.store(number, Ordering::Relaxed);
            kind
        }
    }
}

/// Guard the low end of each of `stacks`, none of which has been touched there. Returns how many, from the
/// front, and why not all.
pub(super) fn install(stacks: &[Stack]) -> (usize, Option<NoStack>) {
    let mut done = 0;
    if kind() == Kind::Region {
        let ranges: Vec<_> = stacks.iter().map(|s| range(s.base(), s.limit())).collect();
        // SAFETY: the guards belong to stacks that nobody uses yet.
        match unsafe { advise_all(&ranges, GUARD_INSTALL) } {
            Ok(()) => return (stacks.len(), None),
            // No memory for page tables.
            Err((done, libc::ENOMEM)) => return (done, Some(NoStack::NoMemory)),
            // The kernel takes no guard regions here, such as in memory that the host has locked since.
            Err((n, _)) => done = n,
        }
    }
    for stack in &stacks[done..] {
        if let Err(why) = install_mapping(stack) {
            return (done, Some(why));
        }
        done += 1;
    }
    (done, None)
}

fn install_mapping(stack: &Stack) -> Result<(), NoStack> {
    let budget = budget();
    // Relaxed: a plain count, which guards no other memory.
    if budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_err() {
        return Err(NoStack::Budget);
    }
    // SAFETY: the guard belongs to a stack that nobody uses yet.
    if unsafe { libc::mprotect(stack.base().cast(), GUARD, libc::PROT_NONE) } == 0 {
        return Ok(());
    }
    budget.fetch_add(1, Ordering::Relaxed);
    // ENOMEM: the rest of the process has used up its share of mappings, and ours.
    Err(NoStack::Budget)
}

/// How many more guards may be made by mprotect. Found out at first use, as `kind` is, save that only one
/// thread's answer counts.
fn budget() -> &'static AtomicUsize {
    const UNKNOWN: usize = usize::MAX;
    static BUDGET: AtomicUsize = AtomicUsize::new(UNKNOWN);
    // Relaxed, here and where it is counted: a number on its own.
    if BUDGET.load(Ordering::Relaxed) == UNKNOWN {
        let most = std::fs::read_to_string("/proc/sys/vm/max_map_count")
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(65530);
        let mapped = std::fs::read("/proc/self/maps")
            .map_or(1024, |maps| maps.iter().filter(|&&byte| byte == b'\n').count());
        let guards = guards_within(most, mapped);
        let _ = BUDGET.compare_exchange(UNKNOWN, guards, Ordering::Relaxed, Ordering::Relaxed);
    }
    &BUDGET
}

/// Each guard costs two mappings; an eighth of all, and never less than 1024, is left for threads, libraries
/// and malloc.
fn guards_within(most: usize, mapped: usize) -> usize {
    most.saturating_sub(mapped).saturating_sub((most / 8).max(1024)) / 2
}

/// Does this kernel know guard regions, and do they hold? Some emulators accept any advice as a mere hint, so
/// the guard is put to the test: the kernel itself is asked to read from it.
fn regions_work() -> bool {
    // SAFETY: a new mapping at an address of the kernel's choice.
    let page = unsafe {
        libc::mmap(
            null_mut(),
            GUARD,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        )
    };
    if page == libc::MAP_FAILED {
        return false;
    }
    let guard = libc::iovec { iov_base: page, iov_len: GUARD };
    // SAFETY: our own mapping, used for nothing else and unmapped below. Blocking the signals of a set that
    // the kernel cannot read gives EFAULT; if it can read it, the set is empty, and nothing is blocked.
    unsafe {
        let works = advise(&guard, GUARD_INSTALL).is_ok()
            && libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_BLOCK, page, null_mut::<u64>(), 8) == -1
            && advise::errno() == libc::EFAULT;
        libc::munmap(page, GUARD);
        works
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{in_child, readable};
    use super::super::trim::without_trimming;
    use super::super::{Class, acquire, acquire_batch, release};
    use super::*;

    #[test]
    fn the_budget_leaves_the_rest_of_the_process_its_share() {
        assert_eq!(guards_within(65530, 100), (65530 - 100 - 8191) / 2);
        assert_eq!(guards_within(2000, 100), (2000 - 100 - 1024) / 2);
        assert_eq!(guards_within(65530, 65530), 0);
        assert_eq!(guards_within(0, 100), 0);
    }

    fn guards_hold() {
        let mut stacks = Vec::new();
        acquire_batch(Class::for_size(1 << 20).unwrap(), &mut stacks, 8).ok().unwrap();
        stacks.push(acquire(Class::for_size(512 << 20).unwrap()).ok().unwrap());
        for stack in stacks {
            assert!(!readable(stack.base()));
            assert!(!readable(stack.limit().wrapping_sub(8)));
            assert!(readable(stack.limit()));
            assert!(readable(stack.end().wrapping_sub(8)));
            release(stack);
        }
    }

    #[test]
    fn guards_hold_by_default() {
        guards_hold();
    }

    #[test]
    fn guards_hold_by_mprotect() {
        in_child(
            concat!(module_path!(), "::guards_hold_by_mprotect"),
            &[("GORT_STACK_GUARD", "mprotect")],
            || {
                assert_eq!(kind(), Kind::Mapping);
                guards_hold();
            },
            |output| assert!(output.status.success(), "{output:?}"),
        );
    }

    #[test]
    fn mprotect_stops_at_its_budget_and_malloc_goes_on() {
        in_child(
            concat!(module_path!(), "::mprotect_stops_at_its_budget_and_malloc_goes_on"),
            &[("GORT_STACK_GUARD", "mprotect")],
            || {
                let class = Class::for_size(128 << 10).unwrap();
                let mut stacks = Vec::new();
                let why = loop {
                    if let Err(why) = acquire_batch(class, &mut stacks, 500) {
                        break why;
                    }
                };
                assert!(matches!(why, NoStack::Budget), "{why:?}");
                assert!(stacks.len() > 1000, "{}", stacks.len());
                // What needs mappings of its own still works.
                let big: Vec<Vec<u8>> = (0..100).map(|_| vec![1; 1 << 20]).collect();
                std::thread::spawn(move || drop(big)).join().unwrap();
                // A stack that comes back is had again.
                let last = stacks.pop().unwrap();
                without_trimming(|| {
                    release(last);
                    assert!(acquire(class).is_ok_and(|stack| stack == last));
                });
                assert!(acquire(class).is_err());
            },
            |output| assert!(output.status.success(), "{output:?}"),
        );
    }
}
