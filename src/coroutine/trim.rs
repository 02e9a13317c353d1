//! Shrinking: the memory of stacks that once went deep comes back while they lie in a pool.
//!
//! A stack that has lain in its pool for a period (1 to 2 s) gives all of its memory back, many stacks with
//! one system call, from a thread of its own (`gort-trim`): after a burst of a million goroutines that is 4 GB.
//! Its guard stays. A stack that is handed out is never touched: while it is being trimmed it is in no
//! list, so nobody can acquire it.
//!
//! The thread is started by the first release and sleeps without a time-out while no pool has a dirty stack.
//! Time is counted in its ticks, so that a release need not look at a clock.
//!
//! | `STATE` | meaning | who moves it on |
//! |---|---|---|
//! | `ABSENT` | there is no thread | a release, to `AWAKE`: it starts one (and back, if that fails) |
//! | `AWAKE` | it sleeps for a period, or trims | the thread, to `ASLEEP` |
//! | `ASLEEP` | it has nothing to do and sleeps until woken | a release, to `AWAKE`; the thread itself if it finds a dirty stack after all |
//!
//! No wake-up is lost, without a fence: a release pushes its stack under the pool's lock, then reads `STATE`;
//! the thread stores `ASLEEP`, then looks into each pool under the same lock. If it comes first to the lock,
//! the release sees `ASLEEP`; else it sees the stack.

use super::advise::{advise_all, range};
use super::pool;
use super::stack::Stack;
use crate::primitive::{FOREVER, SpinLock, futex_wait, futex_wake, now};
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

const ABSENT: u32 = 0;
const AWAKE: u32 = 1;
const ASLEEP: u32 = 2;

static STATE: AtomicU32 = AtomicU32::new(ABSENT);

/// Counts the periods in which the thread was awake.
static TICK: AtomicU32 = AtomicU32::new(0);

/// Nanoseconds between two ticks.
const PERIOD: i64 = 1_000_000_000;

/// Not before this time is the thread tried to be started again.
static RETRY: AtomicI64 = AtomicI64::new(0);

/// Held while stacks are in no list, so that a fork, which takes it, does not lose them in the child.
static TRIMMING: SpinLock = SpinLock::new();

/// Stacks trimmed with one system call.
const BATCH: usize = 128;

/// What time it is, in ticks. To be asked under the pool's lock, which keeps the list in order.
#[inline]
pub(super) fn tick() -> u32 {
    // Relaxed: a stack released at the edge of a tick may be dated one early or late.
    TICK.load(Ordering::Relaxed)
}

/// Is there a thread?
pub(crate) fn trims() -> bool {
    STATE.load(Ordering::Relaxed) != ABSENT
}

/// A stack has been released; to be called after the pool's lock.
#[inline]
pub(super) fn note() {
    // Relaxed: ordered by the pool's lock, see above.
    if STATE.load(Ordering::Relaxed) != AWAKE {
        rouse();
    }
}

#[cold]
fn rouse() {
    // Relaxed: nothing is handed over but the state itself.
    let (set, relaxed) = (AWAKE, Ordering::Relaxed);
    if STATE.compare_exchange(ASLEEP, set, relaxed, relaxed).is_ok() {
        futex_wake(&STATE, 1);
    } else if now() >= RETRY.load(relaxed)
        && STATE.compare_exchange(ABSENT, set, relaxed, relaxed).is_ok()
        && !start()
    {
        // No memory or no more threads: the stacks stay as they are until the next release.
        RETRY.store(now() + PERIOD, relaxed);
        STATE.store(ABSENT, relaxed);
    }
}

/// Start the thread, with all signals blocked: they are for the host's threads.
fn start() -> bool {
    // SAFETY: both sets are live; the mask is put back as it was.
    unsafe {
        let mut all = std::mem::zeroed();
        let mut before = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
        let thread = std::thread::Builder::new().name("gort-trim".into()).stack_size(64 * 1024).spawn(run);
        libc::pthread_sigmask(libc::SIG_SETMASK, &before, std::ptr::null_mut());
        thread.is_ok()
    }
}

fn run() {
    loop {
        let end = now() + PERIOD;
        while now() < end {
            futex_wait(&STATE, AWAKE, end);
        }
        let now = TICK.fetch_add(1, Ordering::Relaxed) + 1;
        // Released in the tick before this one: may have lain there for no time at all.
        trim(now.saturating_sub(1));
        sleep_while_clean();
    }
}

/// Returns at once if there is a dirty stack, else when there is one.
fn sleep_while_clean() {
    STATE.store(ASLEEP, Ordering::Relaxed);
    if pool::all().iter().any(pool::Pool::has_dirty) {
        // Or a release was faster, with the same result.
        STATE.store(AWAKE, Ordering::Relaxed);
        return;
    }
    while STATE.load(Ordering::Relaxed) == ASLEEP {
        futex_wait(&STATE, ASLEEP, FOREVER);
    }
}

/// Trim all pooled stacks now, however short they have lain there. For tests.
#[cfg(test)]
pub(crate) fn trim_now() {
    trim(u32::MAX);
}

/// Run `f` while nothing is trimmed. For tests that look at the order of a pool.
#[cfg(test)]
pub(super) fn without_trimming<R>(f: impl FnOnce() -> R) -> R {
    TRIMMING.lock();
    let result = f();
    // SAFETY: taken above.
    unsafe { TRIMMING.unlock() };
    result
}

/// Trim the stacks released before tick `before`.
fn trim(before: u32) {
    for pool in pool::all() {
        loop {
            let mut stacks: [Option<Stack>; BATCH] = [None; BATCH];
            TRIMMING.lock();
            let n = pool.take_cold(&mut stacks, before);
            give_back(&stacks[..n]);
            pool.put_clean(&stacks[..n]);
            // SAFETY: taken above.
            unsafe { TRIMMING.unlock() };
            if n < BATCH {
                break;
            }
        }
    }
}

fn give_back(stacks: &[Option<Stack>]) {
    let mut ranges = [range(std::ptr::null_mut(), std::ptr::null_mut()); BATCH];
    for (range_of, stack) in ranges.iter_mut().zip(stacks.iter().flatten()) {
        *range_of = range(stack.limit(), stack.end());
    }
    // SAFETY: the stacks are in no list and nobody's: what lies on them is dead. An error
    // (memory that the host has locked, say) leaves them as they are, which does no harm.
    let _ = unsafe { advise_all(&ranges[..stacks.len()], libc::MADV_DONTNEED) };
}

/// To be called before fork, so that no pool is in the middle of a change in the child.
pub(crate) fn before_fork() {
    TRIMMING.lock();
    pool::all().iter().for_each(pool::Pool::lock);
}

/// To be called after fork in the parent.
///
/// # Safety
/// This thread has called [`before_fork`] and neither this nor [`after_fork_child`] since.
pub(crate) unsafe fn after_fork_parent() {
    for pool in pool::all() {
        // SAFETY: taken in `before_fork`.
        unsafe { pool.unlock() };
    }
    // SAFETY: as above.
    unsafe { TRIMMING.unlock() };
}

/// To be called after fork in the child, which has the stacks but not the thread: the next release starts one.
///
/// # Safety
/// As for [`after_fork_parent`]; the thread is the only one.
pub(crate) unsafe fn after_fork_child() {
    STATE.store(ABSENT, Ordering::Relaxed);
    RETRY.store(0, Ordering::Relaxed);
    // SAFETY: the child's copy of the thread that has called `before_fork`.
    unsafe { after_fork_parent() };
}

#[cfg(test)]
mod tests {
    use super::super::class::{Class, GUARD};
    use super::super::stack::page_size;
    use super::super::testing::{acquire_many, in_child, readable};
    use super::super::{acquire, release, release_batch};
    use super::*;
    use std::time::{Duration, Instant};

    /// Pages of `stack` above its guard that are in memory.
    fn resident(stack: &Stack) -> usize {
        let pages = (stack.end().addr() - stack.limit().addr()) / page_size();
        let mut resident = vec![0_u8; pages];
        let len = pages * page_size();
        // SAFETY: the range is mapped, and the vector has a byte for each of its pages.
        let result = unsafe { libc::mincore(stack.limit().cast(), len, resident.as_mut_ptr()) };
        assert_eq!(result, 0);
        resident.iter().filter(|&&page| page & 1 != 0).count()
    }

    /// Use `stack` down to its guard.
    fn go_deep(stack: &Stack) {
        for at in (0..stack.class().size() - GUARD).step_by(page_size()) {
            // SAFETY: the stack is ours, and this is in its usable part.
            unsafe { stack.limit().add(at).write(1) };
        }
    }

    #[test]
    fn the_memory_of_a_pooled_stack_comes_back_and_its_guard_stays() {
        // Alone in its process, where no other test trims.
        in_child(
            concat!(module_path!(), "::the_memory_of_a_pooled_stack_comes_back_and_its_guard_stays"),
            &[],
            || {
                let class = Class::for_size(1 << 20).unwrap();
                let mut stacks = acquire_many(class, 200);
                let held = stacks.pop().unwrap();
                stacks.iter().chain([&held]).for_each(go_deep);
                let all = (class.size() - GUARD) / page_size();
                assert!(stacks.iter().chain([&held]).all(|stack| resident(stack) == all));
                // SAFETY: ours; a mark on the top page.
                stacks.iter().for_each(|stack| unsafe { stack.place::<u64>().write(17) });
                let pooled = stacks.clone();
                release_batch(&mut stacks, 0);
                trim_now();
                for stack in &pooled {
                    assert_eq!(resident(stack), 0);
                    // SAFETY: a stack can be read at any time.
                    assert_eq!(unsafe { stack.place::<u64>().read() }, 0);
                    assert!(!readable(stack.limit().wrapping_sub(8)), "the guard is gone");
                }
                assert_eq!(resident(&held), all, "a stack in use was trimmed");
                // A hot stack is preferred to a trimmed one.
                without_trimming(|| {
                    release(held);
                    assert_eq!(acquire(class).unwrap(), held);
                });
                assert!(pooled.contains(&acquire(class).unwrap()));
            },
            |output| assert!(output.status.success(), "{output:?}"),
        );
    }

    /// Until the thread is `ASLEEP` or `what` no longer waits for it.
    fn wait_for(what: &str, condition: impl Fn() -> bool) {
        let give_up = Instant::now() + Duration::from_secs(60);
        while !condition() {
            assert!(Instant::now() < give_up, "{what}: not in a minute");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn the_thread_trims_by_itself_then_sleeps_and_wakes_again() {
        in_child(
            concat!(module_path!(), "::the_thread_trims_by_itself_then_sleeps_and_wakes_again"),
            &[],
            || {
                let class = Class::for_size(1 << 20).unwrap();
                assert_eq!(STATE.load(Ordering::Relaxed), ABSENT);
                for _ in 0..2 {
                    let stack = acquire(class).unwrap();
                    go_deep(&stack);
                    release(stack);
                    wait_for("trimmed", || resident(&stack) == 0);
                    wait_for("asleep", || STATE.load(Ordering::Relaxed) == ASLEEP);
                }
            },
            |output| assert!(output.status.success(), "{output:?}"),
        );
    }

    #[test]
    fn a_forked_child_starts_a_thread_of_its_own() {
        in_child(
            concat!(module_path!(), "::a_forked_child_starts_a_thread_of_its_own"),
            &[],
            || {
                let class = Class::for_size(1 << 20).unwrap();
                release(acquire(class).unwrap());
                wait_for("asleep", || STATE.load(Ordering::Relaxed) == ASLEEP);
                before_fork();
                // SAFETY: the child goes on with what glibc allows there (malloc and threads work after its
                // fork), and ends by _exit.
                match unsafe { libc::fork() } {
                    0 => {
                        // SAFETY: `before_fork` was called, and this is the child.
                        unsafe { after_fork_child() };
                        let stack = acquire(class).unwrap();
                        go_deep(&stack);
                        release(stack);
                        wait_for("trimmed", || resident(&stack) == 0);
                        // SAFETY: no preconditions.
                        unsafe { libc::_exit(33) };
                    }
                    child => {
                        // SAFETY: `before_fork` was called, and this is the parent.
                        unsafe { after_fork_parent() };
                        release(acquire(class).unwrap());
                        let mut status = 0;
                        // SAFETY: a live int.
                        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
                        assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 33, "{status:x}");
                    }
                }
            },
            |output| assert!(output.status.success(), "{output:?}"),
        );
    }
}
