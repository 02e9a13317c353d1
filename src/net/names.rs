//! Looking up names of hosts and services without holding up goroutines.
//!
//! The one thing to know: `getaddrinfo` blocks its thread, for many seconds if a server does not answer, and cannot
//! be interrupted. So it is called on helper threads, at most [`MOST_THREADS`] of them, which end when there has been
//! nothing to do for a while. Who asks waits like anybody else, with a deadline if need be; whoever gives up leaves
//! its question behind, and the answer is dropped.
//!
//! A question is shared by who asks and the thread that answers. Its lock guards the answer and the place of the one
//! who waits: see `sched/wait.rs`.

use super::network::Version;
use crate::ffi::status::{EINVAL, ENOMEM, ENONAME, ETIMEDOUT};
use crate::primitive::atomic::{AtomicPtr, Ordering};
use crate::primitive::{FOREVER, SpinLock, errno, now, start_helper};
use crate::sched::wait::{Node, Order, Queue, Wait};
use crate::sched::{WaitReason, removed, rt};
use crossbeam_channel::{Receiver, Sender};
use std::cell::UnsafeCell;
use std::ffi::CString;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::ptr::{null, null_mut};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

const MOST_THREADS: usize = 8;
/// How long a thread waits in vain before it ends.
const IDLE: Duration = Duration::from_secs(10);
/// What the modules behind `getaddrinfo` may want.
const STACK: usize = 1 << 20;

/// What is asked: the addresses of a host, with the port of a service. Not neither.
pub(super) struct Query {
    pub(super) host: Option<CString>,
    /// `None`: port 0.
    pub(super) service: Option<CString>,
    pub(super) version: Version,
    pub(super) stream: bool,
}

type Answer = Result<Vec<SocketAddr>, i32>;

/// Ask, and wait for the answer until `deadline`: at least one address, each once.
pub(super) fn look_up(query: Query, deadline: i64) -> Answer {
    look_up_in(pool, query, deadline)
}

fn look_up_in(pool: impl FnOnce() -> &'static Pool, query: Query, deadline: i64) -> Answer {
    if deadline != FOREVER && now() >= deadline {
        return Err(ETIMEDOUT);
    }
    let question = Arc::new(Question {
        query,
        lock: SpinLock::new(),
        state: UnsafeCell::new(State { waiting: Queue::new(), answer: None }),
    });
    // No deadlock while a thread is at it: before the caller can leave its processor, until it is back.
    let rt = rt();
    rt.pending.raise();
    let answer = match pool().submit(question.clone()) {
        Ok(()) => question.wait(deadline),
        Err(error) => Err(error),
    };
    rt.pending.lower();
    removed();
    answer
}

/// One look-up.
struct Question {
    query: Query,
    lock: SpinLock,
    /// Guarded by `lock`.
    state: UnsafeCell<State>,
}

struct State {
    /// Who asked, if it waits.
    waiting: Queue,
    answer: Option<Answer>,
}

// SAFETY: `state` is touched under `lock` only; whoever takes a node out of its queue claims it first, as any waker.
unsafe impl Send for Question {}
// SAFETY: as above.
unsafe impl Sync for Question {}

impl Question {
    /// For the one who asked, once.
    fn wait(&self, deadline: i64) -> Answer {
        self.lock.lock();
        let state = self.state.get();
        // SAFETY: the state is touched under the lock, which `release` gives up when the waiter can be woken, and which
        // is taken again before the node and the wait go out of scope; by then the node is out of the queue.
        unsafe {
            if (*state).answer.is_none() {
                let mut wait = Wait::new(WaitReason::Io, false);
                wait.set_deadline(deadline);
                let mut node = Node::new(&raw const wait, 1, null_mut());
                let node = &raw mut node;
                (*state).waiting.push_back(node);
                wait.block(release, (&raw const self.lock).cast_mut().cast());
                self.lock.lock();
                (*state).waiting.unlink(node);
            }
            let answer = (*state).answer.take();
            self.lock.unlock();
            // It may have come just after the deadline.
            answer.unwrap_or(Err(ETIMEDOUT))
        }
    }

    /// By the thread that looked.
    fn answer(&self, answer: Answer) {
        self.lock.lock();
        let state = self.state.get();
        // SAFETY: the state is touched under the lock; a node that was popped is claimed, and its wait stays in place
        // until it is woken, which is done when the lock is free.
        unsafe {
            (*state).answer = Some(answer);
            let node = (*state).waiting.pop();
            let wait = if node.is_null() { null() } else { (*node).wait };
            self.lock.unlock();
            if !wait.is_null() {
                Wait::wake(wait, Order::Queue);
            }
        }
    }
}

/// # Safety
/// `lock` is a `SpinLock` that the caller holds.
unsafe fn release(lock: *mut ()) {
    // SAFETY: the caller's promise.
    unsafe { (*lock.cast::<SpinLock>()).unlock() };
}

/// The threads and what they have to do.
struct Pool {
    submit: Sender<Arc<Question>>,
    take: Receiver<Arc<Question>>,
    crew: Mutex<Crew>,
    /// How long a thread waits for a question before it ends.
    idle: Duration,
}

/// Who submits and who ends does so under the lock on this, so that no question is left behind.
struct Crew {
    threads: usize,
    /// Questions that wait or are being answered.
    open: usize,
}

/// Made at the first use; a forked child, which has none of the threads, makes its own.
static POOL: AtomicPtr<Pool> = AtomicPtr::new(null_mut());

/// In a forked child: the threads are not there.
pub(crate) fn forget() {
    POOL.store(null_mut(), Ordering::Release);
}

fn pool() -> &'static Pool {
    // Acquire pairs with the Release below.
    let pool = POOL.load(Ordering::Acquire);
    if !pool.is_null() {
        // SAFETY: once there, it is never freed.
        return unsafe { &*pool };
    }
    let new = Box::into_raw(Box::new(Pool::new(IDLE)));
    match POOL.compare_exchange(null_mut(), new, Ordering::AcqRel, Ordering::Acquire) {
        // SAFETY: just made, and now everybody's for ever.
        Ok(_) => unsafe { &*new },
        Err(other) => {
            // SAFETY: nobody else has seen it.
            drop(unsafe { Box::from_raw(new) });
            // SAFETY: as above.
            unsafe { &*other }
        }
    }
}

impl Pool {
    fn new(idle: Duration) -> Pool {
        let (submit, take) = crossbeam_channel::unbounded();
        Pool { submit, take, crew: Mutex::new(Crew { threads: 0, open: 0 }), idle }
    }

    fn crew(&self) -> MutexGuard<'_, Crew> {
        self.crew.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn submit(&'static self, question: Arc<Question>) -> Result<(), i32> {
        let mut crew = self.crew();
        if crew.open >= crew.threads && crew.threads < MOST_THREADS {
            match start_helper("gort-names", STACK, || self.work()) {
                Ok(()) => crew.threads += 1,
                // Those that there are will come to it.
                Err(_) if crew.threads > 0 => {}
                Err(_) => return Err(ENOMEM),
            }
        }
        crew.open += 1;
        // Cannot fail: this pool itself holds a receiver.
        let _ = self.submit.send(question);
        Ok(())
    }

    fn work(&self) {
        loop {
            match self.take.recv_timeout(self.idle) {
                Ok(question) => {
                    // Unless nobody wants to know any more.
                    if Arc::strong_count(&question) > 1 {
                        question.answer(ask(&question.query));
                    }
                    drop(question);
                    self.crew().open -= 1;
                }
                Err(_) => {
                    let mut crew = self.crew();
                    if self.take.is_empty() {
                        crew.threads -= 1;
                        return;
                    }
                }
            }
        }
    }
}

/// Ask the system. Blocks the thread.
fn ask(query: &Query) -> Answer {
    let c_str = |text: &Option<CString>| text.as_ref().map_or(null(), |text| text.as_ptr());
    let mut list = null_mut::<libc::addrinfo>();
    // SAFETY: texts that end with a NUL or null; hints whose other fields are 0; the list is freed once it was read.
    let (error, addrs) = unsafe {
        let mut hints = std::mem::zeroed::<libc::addrinfo>();
        hints.ai_family = match query.version {
            Version::Any => libc::AF_UNSPEC,
            Version::V4 => libc::AF_INET,
            Version::V6 => libc::AF_INET6,
        };
        hints.ai_socktype = if query.stream { libc::SOCK_STREAM } else { libc::SOCK_DGRAM };
        let error = libc::getaddrinfo(c_str(&query.host), c_str(&query.service), &hints, &mut list);
        let addrs = if error == 0 { read(list) } else { Vec::new() };
        if error == 0 {
            libc::freeaddrinfo(list);
        }
        (error, addrs)
    };
    match error {
        0 if !addrs.is_empty() => Ok(addrs),
        libc::EAI_MEMORY => Err(ENOMEM),
        libc::EAI_BADFLAGS | libc::EAI_FAMILY | libc::EAI_SOCKTYPE => Err(EINVAL),
        // Where it says no more than "try again", nobody who could know the name was reached.
        libc::EAI_SYSTEM if ![0, libc::EAGAIN, libc::ENOENT].contains(&errno()) => Err(-errno()),
        _ => Err(ENONAME),
    }
}

/// # Safety
/// `entry` is null or the first of a list that `getaddrinfo` made.
unsafe fn read(mut entry: *const libc::addrinfo) -> Vec<SocketAddr> {
    let mut addrs = Vec::new();
    // SAFETY: the caller's promise; an address is of the type that its family says.
    unsafe {
        while !entry.is_null() {
            let addr: Option<SocketAddr> = match (*entry).ai_family {
                libc::AF_INET => {
                    let addr = (*entry).ai_addr.cast::<libc::sockaddr_in>().read_unaligned();
                    let ip = Ipv4Addr::from_bits(u32::from_be(addr.sin_addr.s_addr));
                    Some((ip, u16::from_be(addr.sin_port)).into())
                }
                libc::AF_INET6 => {
                    let addr = (*entry).ai_addr.cast::<libc::sockaddr_in6>().read_unaligned();
                    let ip = Ipv6Addr::from(addr.sin6_addr.s6_addr);
                    Some(SocketAddrV6::new(ip, u16::from_be(addr.sin6_port), 0, addr.sin6_scope_id).into())
                }
                _ => None,
            };
            addrs.extend(addr.filter(|addr| !addrs.contains(addr)));
            entry = (*entry).ai_next;
        }
    }
    addrs
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn localhost() -> Query {
        Query { host: Some(c"127.0.0.1".into()), service: None, version: Version::V4, stream: true }
    }

    /// Threads end at all moments at which others ask; no question may be left behind.
    #[test]
    fn threads_end_when_idle_and_come_back() {
        let pool: &'static Pool = Box::leak(Box::new(Pool::new(Duration::from_micros(500))));
        let start = Instant::now();
        std::thread::scope(|scope| {
            for asker in 0..3_u64 {
                scope.spawn(move || {
                    for i in 0..200 {
                        let answer = look_up_in(|| pool, localhost(), FOREVER);
                        assert_eq!(answer, Ok(vec!["127.0.0.1:0".parse().unwrap()]));
                        std::thread::sleep(Duration::from_micros((i * 37 + asker * 211) % 1000));
                    }
                });
            }
        });
        while pool.crew().threads > 0 {
            assert!(start.elapsed() < Duration::from_secs(60), "a thread does not end");
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(pool.crew().open, 0);
        assert!(look_up_in(|| pool, localhost(), FOREVER).is_ok());
    }

    #[test]
    fn a_deadline_in_the_past_asks_nobody() {
        assert_eq!(look_up_in(|| unreachable!(), localhost(), now()), Err(ETIMEDOUT));
    }
}
