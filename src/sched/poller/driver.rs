//! The epoll set: registering with it, asking it, sleeping for it.
//!
//! The one thing to know: many threads may ask at once, and each event is given to one of them, who must make ready
//! whoever waits for it before it does anything else that could take long.

use super::bell::{self};
use super::entry::{Entry, Refused};
use super::table;
use crate::primitive::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use crate::primitive::{FOREVER, SpinLock, errno, now, set_errno};
use crate::sched::pick::{TIMER_TICKS, cycles};
use crate::sched::runtime::{Runtime, rt};
use crate::sched::wait::WakeList;
use crate::sched::worker::Worker;
use crate::sched::{arm, idle};
use mio::unix::SourceFd;
use mio::{Interest, Token};
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::ptr::{null, null_mut};

/// So many events are taken at a time. If there are as many, there may be more.
const BATCH: usize = 64;
/// Busy workers ask the set if nobody has for so many ticks of the CPU's counter: about 50 us.
const STALE: u64 = 5 * TIMER_TICKS;
/// Without a descriptor for a bell the sentinel asks the set so often, ns.
const WITHOUT_BELL: i64 = 1_000_000;

struct Driver {
    poll: mio::Poll,
    /// The descriptor of `poll`.
    set: i32,
}

static DRIVER: AtomicPtr<Driver> = AtomicPtr::new(null_mut());
static MAKING: SpinLock = SpinLock::new();
/// There is a driver. By itself, so that the many who ask do not meet what changes often.
static IN_USE: AtomicBool = AtomicBool::new(false);
/// Counts the processes that forks have made, one out of the other, from 1 on.
static EPOCH: AtomicU32 = AtomicU32::new(1);
/// See [`Waiting`].
static WAITERS: AtomicUsize = AtomicUsize::new(0);
/// When the set was last asked, in ticks of the CPU's counter.
static LAST: AtomicU64 = AtomicU64::new(0);

/// Was a descriptor ever waited for?
#[inline]
pub(in crate::sched) fn in_use() -> bool {
    IN_USE.load(Ordering::Relaxed)
}

/// Does anybody wait for a descriptor? SeqCst: see the folder's comment.
#[inline]
pub(in crate::sched) fn waiting() -> bool {
    in_use() && WAITERS.load(Ordering::SeqCst) != 0
}

/// Changes whenever somebody asks the set.
pub(in crate::sched) fn last_poll() -> u64 {
    LAST.load(Ordering::Relaxed)
}

/// Somebody waits for a descriptor, or is about to look whether it must. See the folder's comment.
pub(crate) struct Waiting(());

impl Waiting {
    /// The caller holds no lock.
    #[inline]
    pub(crate) fn begin() -> Waiting {
        WAITERS.fetch_add(1, Ordering::SeqCst);
        let rt = rt();
        // Counted, then read who keeps watch.
        if rt.pool.load().wants_poller() {
            idle::arm(rt);
        }
        Waiting(())
    }
}

impl Drop for Waiting {
    #[inline]
    fn drop(&mut self) {
        // By who has waited: it holds a processor again, or is a thread of the host's (see `quiet::Pending`).
        WAITERS.fetch_sub(1, Ordering::SeqCst);
        // The latter may end without another word, and those who looked for a deadlock meanwhile were kept from it.
        arm::removed();
    }
}

fn driver() -> Option<&'static Driver> {
    // SAFETY: null, or set once and never freed. Acquire pairs with the Release in `make`.
    unsafe { DRIVER.load(Ordering::Acquire).as_ref() }
}

#[cold]
fn make() -> Result<&'static Driver, i32> {
    // The runtime installs what is to be done at a fork.
    rt();
    MAKING.lock();
    let result = driver().map_or_else(
        || {
            let poll = mio::Poll::new().map_err(number)?;
            let set = poll.as_raw_fd();
            let driver: &'static Driver = Box::leak(Box::new(Driver { poll, set }));
            DRIVER.store(std::ptr::from_ref(driver).cast_mut(), Ordering::Release);
            IN_USE.store(true, Ordering::SeqCst);
            Ok(driver)
        },
        Ok,
    );
    // SAFETY: locked above.
    unsafe { MAKING.unlock() };
    result
}

fn number(error: std::io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}

impl Driver {
    /// Register `fd`, both directions and urgent data, edge-triggered. `again`: it is registered, and every event that
    /// could be is raised anew.
    fn register(&self, fd: i32, generation: u32, again: bool) -> Result<(), i32> {
        let saved = errno();
        let token = Token((generation as usize) << 32 | fd as usize);
        let interest = Interest::READABLE | Interest::WRITABLE | Interest::PRIORITY;
        let (registry, mut fd) = (self.poll.registry(), SourceFd(&fd));
        let result = if again {
            registry.reregister(&mut fd, token, interest)
        } else {
            registry.register(&mut fd, token, interest)
        };
        set_errno(saved);
        result.map_err(number)
    }

    fn deregister(&self, fd: i32) {
        let saved = errno();
        // It may be closed already: then the registration is gone.
        let _ = self.poll.registry().deregister(&mut SourceFd(&fd));
        set_errno(saved);
    }
}

impl Entry {
    /// Is the number registered with this process's set?
    #[inline]
    pub(crate) fn is_attached(&self) -> bool {
        self.epoch.load(Ordering::Relaxed) == EPOCH.load(Ordering::Relaxed)
    }

    /// Register `fd`, whose record this is, for one more who relies on it.
    pub(crate) fn attach(&self, fd: i32) -> Result<(), Refused> {
        self.attach_for(fd, 1)
    }

    /// Register it again if it is not, for one who relies on it already.
    pub(crate) fn ensure_attached(&self, fd: i32) -> Result<(), Refused> {
        if self.is_attached() { Ok(()) } else { self.attach_for(fd, 0) }
    }

    fn attach_for(&self, fd: i32, more: u32) -> Result<(), Refused> {
        let driver = match driver() {
            Some(driver) => driver,
            None => make().map_err(|errno| -errno)?,
        };
        let mut locked = self.lock();
        let result = 'registered: {
            if self.is_attached() {
                // The number may be another file's by now, of which the set knows nothing.
                match driver.register(fd, self.generation.load(Ordering::Relaxed), true) {
                    Err(libc::ENOENT) => {}
                    result => break 'registered result,
                }
            }
            // Before the first event of it can come.
            locked.begin(EPOCH.load(Ordering::Relaxed));
            let generation = self.generation.load(Ordering::Relaxed);
            match driver.register(fd, generation, false) {
                Err(libc::EEXIST) => driver.register(fd, generation, true),
                result => result,
            }
        };
        match result {
            Ok(()) => locked.inner().users += more,
            Err(_) => self.epoch.store(0, Ordering::Relaxed),
        }
        result.map_err(|errno| -errno)
    }

    /// The caller relies on the registration no more.
    pub(crate) fn detach(&self, fd: i32) {
        self.leave(fd, false);
    }

    /// The caller relies on the registration no more, and is about to close `fd`: whoever else does looks again. Always
    /// before the close: while another process has the file open, the set would keep it.
    pub(crate) fn detach_to_close(&self, fd: i32) {
        self.leave(fd, true);
        self.stir(super::Direction::Read);
        self.stir(super::Direction::Write);
    }

    fn leave(&self, fd: i32, closing: bool) {
        let mut locked = self.lock();
        let users = &mut locked.inner().users;
        *users = users.saturating_sub(1);
        if (*users == 0 || closing) && self.is_attached() {
            // In a forked child the set is another, so nothing of the parent's is touched.
            if let Some(driver) = driver() {
                driver.deregister(fd);
            }
            self.epoch.store(0, Ordering::Relaxed);
        }
    }
}

/// Events that were taken from the set and must be told to those who wait for them.
pub(in crate::sched) struct Harvest {
    events: [MaybeUninit<libc::epoll_event>; BATCH],
    len: usize,
}

impl Harvest {
    /// Ask the set.
    pub(in crate::sched) fn take() -> Harvest {
        let mut this = Harvest { events: [const { MaybeUninit::uninit() }; BATCH], len: 0 };
        let Some(driver) = driver() else { return this };
        LAST.store(cycles(), Ordering::Relaxed);
        let saved = errno();
        // SAFETY: a set that is never closed in this process, and room for so many events.
        let n = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait,
                driver.set,
                this.events.as_mut_ptr(),
                BATCH,
                0,
                null::<libc::sigset_t>(),
                8,
            )
        };
        set_errno(saved);
        this.len = usize::try_from(n).unwrap_or(0);
        this
    }

    pub(in crate::sched) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// There may be more where these came from.
    fn is_full(&self) -> bool {
        self.len == BATCH
    }

    /// Have those look again who wait for these events.
    pub(in crate::sched) fn wake(self) {
        let mut woken = WakeList::new();
        for event in &self.events[..self.len] {
            // SAFETY: the kernel has written so many.
            let event = unsafe { event.assume_init() };
            let (token, bits) = (event.u64, event.events as i32);
            let (fd, generation) = (token as u32 as i32, (token >> 32) as u32);
            let Some(entry) = table::find(fd) else { continue };
            // Relaxed, and without the lock: whoever has the number by now would look again for nothing.
            if entry.generation.load(Ordering::Relaxed) != generation {
                continue;
            }
            let over = bits & (libc::EPOLLERR | libc::EPOLLHUP) != 0;
            let odd = over || bits & (libc::EPOLLRDHUP | libc::EPOLLPRI) != 0;
            let read = odd || bits & libc::EPOLLIN != 0;
            let write = over || bits & libc::EPOLLOUT != 0;
            entry.happened(read, write, odd, &mut woken);
        }
        // SAFETY: no lock is held.
        unsafe { woken.wake() };
    }
}

/// Ask the set, and make ready whoever can go on; true: there were events. On the scheduler's stack, or on a thread that
/// holds no processor.
pub(in crate::sched) fn poll(rt: &'static Runtime) -> bool {
    let harvest = Harvest::take();
    if harvest.is_empty() {
        return false;
    }
    let full = harvest.is_full();
    harvest.wake();
    if full && rt.pool.load().wants_worker() {
        // More than one needs at a time.
        idle::wake_worker(rt);
    }
    true
}

/// As [`poll`], if anybody waits and nobody has asked lately.
#[inline]
pub(in crate::sched) fn poll_if_stale(rt: &'static Runtime) {
    if cycles().wrapping_sub(last_poll()) > STALE && waiting() {
        poll(rt);
    }
}

/// Sleep until the set has events or there is mail for `w`, or until `deadline`; may return early. On its own thread.
pub(in crate::sched) fn sleep(w: &Worker, deadline: i64) {
    let Some((driver, bell)) = driver().zip(w.bell()) else {
        w.sleep(deadline.min(now() + WITHOUT_BELL));
        return;
    };
    let mut fds = [driver.set, bell.number()].map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
    let left = if deadline == FOREVER { 0 } else { (deadline - now()).max(0) };
    let left = libc::timespec { tv_sec: left / 1_000_000_000, tv_nsec: left % 1_000_000_000 };
    let timeout = if deadline == FOREVER { null() } else { &raw const left };
    let heard = w.sleep_with(bell.number(), || {
        // SAFETY: two live structures, a live timespec or null, no signal mask: a worker blocks them anyway.
        unsafe { libc::syscall(libc::SYS_ppoll, fds.as_mut_ptr(), 2, timeout, null::<libc::sigset_t>(), 8) };
    });
    if heard || fds[1].revents != 0 {
        bell.hear();
    }
}

/// Before a fork: what the child changes is held still.
pub(in crate::sched) fn before_fork() {
    MAKING.lock();
    table::lock();
    bell::lock();
}

/// # Safety
/// This thread, or the one it is the copy of, has called [`before_fork`].
pub(in crate::sched) unsafe fn after_fork_parent() {
    // SAFETY: the caller's promise.
    unsafe {
        bell::unlock();
        table::unlock();
        MAKING.unlock();
    }
}

/// The child has a set of its own, once it needs one. The descriptor of the parent's is closed; its registrations are the
/// parent's, which shares the set with us, and stay.
///
/// # Safety
/// As for [`after_fork_parent`], instead of which it is called.
pub(in crate::sched) unsafe fn after_fork_child() {
    if let Some(driver) = driver() {
        // SAFETY: this process's copy of the descriptor; nobody uses the driver any more, which is never dropped.
        unsafe { libc::syscall(libc::SYS_close, driver.set) };
    }
    DRIVER.store(null_mut(), Ordering::Relaxed);
    IN_USE.store(false, Ordering::Relaxed);
    WAITERS.store(0, Ordering::Relaxed);
    EPOCH.fetch_add(1, Ordering::Relaxed);
    table::forget();
    // SAFETY: the caller's promise.
    unsafe {
        bell::forget();
        after_fork_parent();
    }
}
