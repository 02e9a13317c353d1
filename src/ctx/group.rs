//! Groups: goroutines that work on one task, of which the first failure counts; Go's `errgroup`.
//!
//! The one thing to know: a goroutine of a group has a *slot* from before it is started until it has ended in any
//! way. The limit is one of slots; a slot that comes free goes to whoever waits longest for one, under the
//! group's lock, and never to one that comes by just then. `wait` is over when no slot is taken.
//!
//! A goroutine's [`Job`] holds a reference to its group, so the group may be released while they run. The job is
//! dropped at the goroutine's end (`AtEnd`), and not by its body, because `gort_exit` skips the rest of that.
//!
//! A lock, two queues: those who wait for a slot, and those who wait for the end of all. Nobody is woken under the
//! lock, and the context is cancelled under none.

use super::context::{Ctx, allocate};
use super::{CANCELED, Call};
use crate::fatal::fatal;
use crate::primitive::SpinLock;
use crate::primitive::atomic::{AtomicU32, Ordering};
use crate::sched::wait::{Node, Queue, Wait, WakeList};
use crate::sched::{AtEnd, NoMemory, Spawn, WaitReason, spawn};
use std::alloc::{Layout, dealloc};
use std::ffi::c_void;
use std::ptr::null_mut;

/// What a goroutine of a group runs: 0, or why it failed.
pub(crate) type Work = unsafe extern "C" fn(*mut Ctx, *mut c_void) -> i32;

/// All slots are taken, or somebody waits for one.
pub(crate) struct Busy;

/// Reached through raw pointers only.
pub(crate) struct Group {
    refs: AtomicU32,
    lock: SpinLock,
    /// Owned: one reference. Fixed.
    ctx: *mut Ctx,
    /// Guarded by `lock`, as all below. `usize::MAX`: no limit.
    limit: usize,
    taken: usize,
    /// The first that was not 0.
    result: i32,
    for_slot: Queue,
    for_end: Queue,
}

/// A goroutine's work, and its reference to the group.
struct Job {
    group: *mut Group,
    work: Work,
    arg: *mut c_void,
}

/// In each of these `this` is live, and the caller holds a reference to it.
impl Group {
    /// A group without a limit whose context is a child of `parent`; null if there is no memory.
    ///
    /// # Safety
    /// `parent` is live, or null for the background.
    pub(crate) unsafe fn new(parent: *mut Ctx) -> *mut Group {
        let this: *mut Group = allocate();
        if this.is_null() {
            return null_mut();
        }
        // SAFETY: the caller's promise; fresh memory, which goes back unused if there is none for the context.
        unsafe {
            let ctx = Ctx::with_cancel(parent);
            if ctx.is_null() {
                dealloc(this.cast(), Layout::new::<Group>());
                return null_mut();
            }
            this.write(Group {
                refs: AtomicU32::new(1),
                lock: SpinLock::new(),
                ctx,
                limit: usize::MAX,
                taken: 0,
                result: 0,
                for_slot: Queue::new(),
                for_end: Queue::new(),
            });
        }
        this
    }

    /// # Safety
    /// As said above.
    pub(crate) unsafe fn ctx(this: *mut Group) -> *mut Ctx {
        // SAFETY: the caller's promise; it never changes.
        unsafe { (*this).ctx }
    }

    /// At most `limit` slots from now on. The number of those that are taken if there are any: then nothing is
    /// changed.
    ///
    /// # Safety
    /// As said above.
    pub(crate) unsafe fn set_limit(this: *mut Group, limit: usize) -> Result<(), usize> {
        let mut woken = WakeList::new();
        // SAFETY: the caller's promise; the lock is held for what it guards.
        unsafe {
            (*this).lock.lock();
            let taken = (*this).taken;
            if taken == 0 {
                (*this).limit = limit;
                while (*this).taken < limit && Self::serve(this, &mut woken) {
                    (*this).taken += 1;
                }
            }
            (*this).lock.unlock();
            woken.wake();
            if taken == 0 { Ok(()) } else { Err(taken) }
        }
    }

    /// Start a goroutine that does `work`; wait for a slot first.
    ///
    /// # Safety
    /// As said above; `work` may be called with `arg` on another thread.
    pub(crate) unsafe fn go(this: *mut Group, work: Work, arg: *mut c_void) -> Result<(), NoMemory> {
        // SAFETY: the caller's promise.
        unsafe {
            let job = Self::job(this, work, arg)?;
            Self::take_slot(this);
            Self::start(job)
        }
    }

    /// ... if there is one now.
    ///
    /// # Safety
    /// As for `go`.
    pub(crate) unsafe fn try_go(
        this: *mut Group,
        work: Work,
        arg: *mut c_void,
    ) -> Result<Result<(), NoMemory>, Busy> {
        // SAFETY: the caller's promise; the lock is held for what it guards.
        unsafe {
            let Ok(job) = Self::job(this, work, arg) else { return Ok(Err(NoMemory)) };
            (*this).lock.lock();
            let free = Self::has_free_slot(this);
            if free {
                (*this).taken += 1;
            }
            (*this).lock.unlock();
            if free {
                return Ok(Self::start(job));
            }
            Self::drop_job(job);
        }
        Err(Busy)
    }

    /// Wait until all goroutines have ended, then cancel the context. The first result that was not 0, or 0.
    ///
    /// # Safety
    /// As said above.
    pub(crate) unsafe fn wait(this: *mut Group) -> i32 {
        // SAFETY: the caller's promise; the lock is held for what it guards.
        unsafe {
            (*this).lock.lock();
            if (*this).taken != 0 {
                Self::block(this, &raw mut (*this).for_end, WaitReason::WaitGroupWait);
                (*this).lock.lock();
            }
            let result = (*this).result;
            (*this).lock.unlock();
            Ctx::cancel((*this).ctx, CANCELED, if result == 0 { CANCELED } else { result });
            result
        }
    }

    /// Give up the reference.
    ///
    /// # Safety
    /// The caller owns it.
    pub(crate) unsafe fn release(this: *mut Group) {
        // SAFETY: the caller's promise. AcqRel: what was done under other references is over, and seen. Whoever
        // unlocks does so under a reference that it gives up later, so the lock is free.
        unsafe {
            if (*this).refs.fetch_sub(1, Ordering::AcqRel) == 1 {
                let ctx = (*this).ctx;
                dealloc(this.cast(), Layout::new::<Group>());
                Ctx::release(ctx);
            }
        }
    }

    /// # Safety
    /// As for `go`.
    unsafe fn job(this: *mut Group, work: Work, arg: *mut c_void) -> Result<*mut Job, NoMemory> {
        let job: *mut Job = allocate();
        if job.is_null() {
            return Err(NoMemory);
        }
        // SAFETY: fresh memory; the caller's reference. Relaxed: whoever takes it over is started after this.
        unsafe {
            let before = (*this).refs.fetch_add(1, Ordering::Relaxed);
            if before > i32::MAX as u32 {
                fatal(format_args!("gort_group_go: more than 2^31 goroutines in one group"));
            }
            job.write(Job { group: this, work, arg });
        }
        Ok(job)
    }

    /// # Safety
    /// The caller owns `job`, and the group's lock is free.
    unsafe fn drop_job(job: *mut Job) {
        // SAFETY: the caller's promise.
        unsafe {
            let group = (*job).group;
            dealloc(job.cast(), Layout::new::<Job>());
            Self::release(group);
        }
    }

    /// # Safety
    /// The caller holds the lock.
    unsafe fn has_free_slot(this: *mut Group) -> bool {
        // SAFETY: the caller's promise.
        unsafe { (*this).taken < (*this).limit && (*this).for_slot.is_empty() }
    }

    /// # Safety
    /// As said above.
    unsafe fn take_slot(this: *mut Group) {
        // SAFETY: the caller's promise; the lock is held for what it guards.
        unsafe {
            (*this).lock.lock();
            if Self::has_free_slot(this) {
                (*this).taken += 1;
                (*this).lock.unlock();
            } else {
                // Who is woken has its slot.
                Self::block(this, &raw mut (*this).for_slot, WaitReason::Semacquire);
            }
        }
    }

    /// Wait in `queue` until somebody takes us out of it.
    ///
    /// # Safety
    /// The caller holds the lock, which this gives up; `queue` is one of the group's.
    unsafe fn block(this: *mut Group, queue: *mut Queue, reason: WaitReason) {
        let wait = Wait::new(reason, false);
        let mut node = Node::new(&wait, 1, null_mut());
        // SAFETY: the node stays in place until it was popped and its wait woken, which is when `block` returns.
        // `unlock` gives up the lock and touches nothing after that.
        unsafe {
            (*queue).push_back(&raw mut node);
            wait.block(unlock, this.cast());
        }
    }

    /// Take out the first who waits for a slot; false: nobody does.
    ///
    /// # Safety
    /// The caller holds the lock, and wakes `woken` afterwards.
    unsafe fn serve(this: *mut Group, woken: &mut WakeList) -> bool {
        // SAFETY: the caller's promise.
        unsafe {
            let node = (*this).for_slot.pop();
            if !node.is_null() {
                woken.push(node);
            }
            !node.is_null()
        }
    }

    /// A slot is free.
    ///
    /// # Safety
    /// The caller holds the slot, and a reference.
    unsafe fn give_slot(this: *mut Group) {
        let mut woken = WakeList::new();
        // SAFETY: the caller's promise; the lock is held for what it guards.
        unsafe {
            (*this).lock.lock();
            if !Self::serve(this, &mut woken) {
                (*this).taken -= 1;
            }
            while (*this).taken == 0 {
                let node = (*this).for_end.pop();
                if node.is_null() {
                    break;
                }
                woken.push(node);
            }
            (*this).lock.unlock();
            woken.wake();
        }
    }

    /// Start the goroutine of `job`, which has its slot.
    ///
    /// # Safety
    /// The caller owns both, and does not after this.
    unsafe fn start(job: *mut Job) -> Result<(), NoMemory> {
        let body: Call = run;
        let arg: *mut c_void = job.cast();
        let at_end = Some(AtEnd { call: ended, arg });
        let started = spawn(Spawn { body, arg, class: None, flags: 0, extra: None, at_end });
        if started.is_err() {
            // SAFETY: nothing was started, so both are still the caller's.
            unsafe { ended(arg) };
        }
        started
    }

    /// A goroutine has failed. The first one cancels the context.
    ///
    /// # Safety
    /// As said above.
    unsafe fn fail(this: *mut Group, result: i32) {
        // SAFETY: the caller's promise; the lock is held for what it guards.
        unsafe {
            (*this).lock.lock();
            let first = (*this).result == 0;
            if first {
                (*this).result = result;
            }
            (*this).lock.unlock();
            if first {
                Ctx::cancel((*this).ctx, CANCELED, result);
            }
        }
    }
}

/// The release step of [`Wait::block`].
///
/// # Safety
/// `group` is a group whose lock was taken by the one who blocks, and who holds a reference until it goes on.
unsafe fn unlock(group: *mut ()) {
    // SAFETY: the caller's promise.
    unsafe { (*group.cast::<Group>()).lock.unlock() };
}

/// The body of a group's goroutine.
unsafe extern "C" fn run(job: *mut c_void) {
    let job: *mut Job = job.cast();
    // SAFETY: the job is the goroutine's until `ended`, and with it a reference to the group.
    unsafe {
        let Job { group, work, arg } = job.read();
        let result = work((*group).ctx, arg);
        if result != 0 {
            Group::fail(group, result);
        }
    }
}

/// The goroutine has ended in any way.
///
/// # Safety
/// `job` is its own, with its slot.
unsafe fn ended(job: *mut c_void) {
    let job: *mut Job = job.cast();
    // SAFETY: the job's reference keeps the group until the job is dropped.
    unsafe {
        Group::give_slot((*job).group);
        Group::drop_job(job);
    }
}
