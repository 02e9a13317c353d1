//! Stopping all other threads of the process and reading their registers, by ptrace(2).
//!
//! The one thing to know: a thread cannot trace its own process, so a **tracer** does it, a process for the
//! moment that shares our memory (`CLONE_VM`) but is none of our threads. It seizes and interrupts every thread
//! but the calling one, writes down their registers, and lets them go when it is told to. (LeakSanitizer stops the
//! world the same way.) No signal is sent and no handler runs in the host; a thread that was in a system call
//! is put back into it by the kernel, except that a few calls end with EINTR, as they may on SIGSTOP and
//! SIGCONT: epoll_wait and semop, and nanosleep-like calls do not (signal(7)).
//!
//! The calling thread goes on to run, with all signals blocked. It must not allocate, nor take any lock that
//! a stopped thread may hold, until [`Frozen`] is dropped. If the tracer dies, the kernel lets all threads
//! go on; whether that has happened is seen by [`Frozen::holds`].
//!
//! | `word` | meaning | who moves it there |
//! |---|---|---|
//! | `STARTING` | the tracer is at work | the calling thread, before there is a tracer |
//! | `STOPPED` | all other threads are stopped, their registers written down | the tracer |
//! | `RELEASE` | they are to go on | the calling thread |
//! | 0 | the tracer has ended, and with it all tracing | the kernel (`CLONE_CHILD_CLEARTID`) |

use super::scratch::{Errno, Scratch};
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicU32, Ordering};

const GO: u32 = 1;
const STARTING: u32 = 2;
const STOPPED: u32 = 3;
const RELEASE: u32 = 4;

const STACK: usize = 128 << 10;
/// Room for one thread's registers, all vector registers included: AVX-512 and AMX take 11 KB.
const MOST_REGISTERS: usize = 16 << 10;
/// So long may a thread take to stop, ns: one in the middle of vfork does not before its child has gone on.
const PATIENCE: i64 = 10_000_000_000;

/// A thread that is stopped.
#[derive(Clone, Copy)]
pub(super) struct Stopped {
    pub(super) tid: i32,
    /// The signal that was on its way to it when it stopped; 0: none.
    signal: i32,
    stopped: bool,
    /// Its stack pointer; 0: it could not be read.
    pub(super) sp: usize,
    /// Where its registers are in the array of all.
    pub(super) registers: (usize, usize),
}

/// What the tracer and the calling thread share.
struct Shared {
    word: AtomicU32,
    /// The tracer may begin.
    go: AtomicU32,
    error: Errno,
    pid: i32,
    /// The calling thread, which is not stopped.
    caller: i32,
    threads: Scratch<Stopped>,
    registers: Scratch<usize>,
}

/// While it lives, no other thread of the process runs.
pub(super) struct Frozen {
    shared: Box<Shared>,
    stack: Scratch<u8>,
    tracer: i32,
    mask: libc::sigset_t,
}

impl Frozen {
    /// Stop all other threads.
    pub(super) fn new() -> Result<Frozen, Errno> {
        match Self::attempt(false) {
            // Yama lets only ancestors trace, unless the traced process names another: so name it. Not at once,
            // since the host may have named one itself (a crash handler), whom this displaces.
            Err(libc::EPERM) => Self::attempt(true),
            done => done,
        }
    }

    fn attempt(named: bool) -> Result<Frozen, Errno> {
        // SAFETY: no preconditions.
        let (pid, caller) = unsafe { (libc::getpid(), libc::syscall(libc::SYS_gettid) as i32) };
        let shared = Box::new(Shared {
            word: AtomicU32::new(STARTING),
            go: AtomicU32::new(0),
            error: 0,
            pid,
            caller,
            threads: Scratch::growing(1 << 17)?,
            registers: Scratch::growing(1 << 26)?,
        });
        let mut frozen =
            // SAFETY: an all-zero set is a value; it is filled in below.
            Frozen { shared, stack: Scratch::new(STACK)?, tracer: 0, mask: unsafe { std::mem::zeroed() } };
        let shared = &raw mut *frozen.shared;
        let flags = libc::CLONE_VM | libc::CLONE_FS | libc::CLONE_FILES | libc::CLONE_CHILD_CLEARTID;
        // SAFETY: the tracer runs on a stack of its own, which stays, as `shared` does, until it has ended. It
        // shares this thread's TLS, of which it touches only errno, while this thread does not look at it. All
        // signals are blocked in it, so that no handler of the host runs there. Its end sends no signal.
        unsafe {
            let mut all = std::mem::zeroed();
            libc::sigfillset(&mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut frozen.mask);
            let top = frozen.stack.room().as_mut_ptr_range().end.cast::<c_void>();
            let tracer = libc::clone(
                tracer,
                top,
                flags,
                shared.cast(),
                null_mut::<libc::pid_t>(),
                null_mut::<c_void>(),
                (&raw mut (*shared).word).cast::<libc::pid_t>(),
            );
            if tracer < 0 {
                let error = errno();
                (*shared).word.store(0, Ordering::Relaxed);
                return Err(error);
            }
            frozen.tracer = tracer;
            if named {
                libc::prctl(libc::PR_SET_PTRACER, tracer as usize, 0, 0, 0);
            }
            (*shared).go.store(GO, Ordering::Release);
            futex(&(*shared).go, libc::FUTEX_WAKE, 1);
            // Acquire pairs with the Release in `tracer`.
            while (*shared).word.load(Ordering::Acquire) == STARTING {
                futex(&(*shared).word, libc::FUTEX_WAIT, STARTING);
            }
            if frozen.holds() {
                return Ok(frozen);
            }
            let error = (*shared).error;
            Err(if error == 0 { libc::EAGAIN } else { error })
        }
    }

    /// Are the threads still stopped? (Somebody may have killed the tracer.)
    pub(super) fn holds(&self) -> bool {
        self.shared.word.load(Ordering::Acquire) == STOPPED
    }

    pub(super) fn threads(&self) -> &[Stopped] {
        self.shared.threads.as_slice()
    }

    /// The registers of a stopped thread, as the kernel tells them.
    pub(super) fn registers(&self, thread: &Stopped) -> &[usize] {
        &self.shared.registers.as_slice()[thread.registers.0..thread.registers.1]
    }

    /// The memory that this takes, which is not to be searched.
    pub(super) fn places(&self) -> [(usize, usize); 3] {
        [self.shared.threads.place(), self.shared.registers.place(), self.stack.place()]
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let word = &self.shared.word;
        let _ = word.compare_exchange(STOPPED, RELEASE, Ordering::Release, Ordering::Relaxed);
        futex(word, libc::FUTEX_WAKE, 1);
        loop {
            match word.load(Ordering::Acquire) {
                0 => break,
                seen => futex(word, libc::FUTEX_WAIT, seen),
            }
        }
        // SAFETY: our own child, if there was one; then the mask that `attempt` found.
        unsafe {
            if self.tracer != 0 {
                libc::waitpid(self.tracer, null_mut(), libc::__WALL);
            }
            libc::pthread_sigmask(libc::SIG_SETMASK, &self.mask, null_mut());
        }
    }
}

/// Not private to the process, since the kernel's own wake-up at the tracer's end is not.
fn futex(word: &AtomicU32, op: i32, value: u32) {
    // SAFETY: a live word; every result means "look again".
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), op, value, null_mut::<c_void>()) };
}

fn errno() -> Errno {
    crate::primitive::errno()
}

/// The tracer. No allocation, no lock, no thread-local but errno.
extern "C" fn tracer(shared: *mut c_void) -> i32 {
    // SAFETY: the calling thread waits and leaves this to us until `word` says STOPPED.
    let shared = unsafe { &mut *shared.cast::<Shared>() };
    // SAFETY: no preconditions. We end with the thread that made us.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    while shared.go.load(Ordering::Acquire) != GO {
        futex(&shared.go, libc::FUTEX_WAIT, 0);
    }
    match stop_all(shared) {
        Ok(()) => {
            // Release: the registers are written down.
            shared.word.store(STOPPED, Ordering::Release);
            futex(&shared.word, libc::FUTEX_WAKE, 1);
            while shared.word.load(Ordering::Acquire) == STOPPED {
                futex(&shared.word, libc::FUTEX_WAIT, STOPPED);
            }
        }
        Err(error) => shared.error = error,
    }
    for thread in shared.threads.as_slice() {
        if thread.stopped {
            ptrace(libc::PTRACE_DETACH, thread.tid, 0, thread.signal as usize);
        }
    }
    // A thread that did not stop in time goes on when we end. The kernel clears `word` then.
    // SAFETY: ends this task only.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
    0
}

/// Stop every thread but the caller. Threads that are not stopped yet may make more: look until there are none.
fn stop_all(shared: &mut Shared) -> Result<(), Errno> {
    loop {
        let known = shared.threads.as_slice().len();
        seize_new(shared)?;
        if shared.threads.as_slice().len() == known {
            return Ok(());
        }
        for i in known..shared.threads.as_slice().len() {
            wait_for_stop(&mut shared.threads.as_mut_slice()[i])?;
        }
        for i in known..shared.threads.as_slice().len() {
            if shared.threads.as_slice()[i].stopped {
                read_registers(shared, i)?;
            }
        }
    }
}

/// Interrupt every thread in /proc that is not known yet.
fn seize_new(shared: &mut Shared) -> Result<(), Errno> {
    let mut path = Path::new();
    path.text(b"/proc/").number(shared.pid as u32).text(b"/task\0");
    Fd::open(&path)?.each_number(|tid| {
        let known = |thread: &Stopped| thread.tid == tid;
        if tid == shared.caller || shared.threads.as_slice().iter().any(known) {
            return Ok(());
        }
        seize(shared, tid)
    })
}

fn seize(shared: &mut Shared, tid: i32) -> Result<(), Errno> {
    let thread = Stopped { tid, signal: 0, stopped: false, sp: 0, registers: (0, 0) };
    if ptrace(libc::PTRACE_SEIZE, tid, 0, 0) == 0 {
        ptrace(libc::PTRACE_INTERRUPT, tid, 0, 0);
        return shared.threads.push(Stopped { stopped: true, ..thread });
    }
    match errno() {
        // It has ended since.
        libc::ESRCH => Ok(()),
        // So has one that is only still listed: a main thread that called pthread_exit.
        libc::EPERM if has_ended(shared.pid, tid) => shared.threads.push(thread),
        error => Err(error),
    }
}

/// Is it a zombie?
fn has_ended(pid: i32, tid: i32) -> bool {
    let mut path = Path::new();
    path.text(b"/proc/").number(pid as u32).text(b"/task/").number(tid as u32).text(b"/stat\0");
    let Ok(file) = Fd::open(&path) else { return true };
    let mut text = [0u8; 256];
    // SAFETY: a live buffer of that size.
    let n = unsafe { libc::read(file.0, text.as_mut_ptr().cast(), text.len()) };
    let text = &text[..n.max(0) as usize];
    // Behind the name, which may hold anything, in parentheses.
    let after = text.iter().rposition(|&b| b == b')').map_or(0, |at| at + 2);
    matches!(text.get(after), Some(b'Z' | b'X' | b'x'))
}

/// Wait until a seized thread stops or ends.
fn wait_for_stop(thread: &mut Stopped) -> Result<(), Errno> {
    let give_up = crate::primitive::now() + PATIENCE;
    let mut pause = 20_000;
    while thread.stopped {
        let mut status = 0;
        // SAFETY: a live int.
        let who = unsafe { libc::waitpid(thread.tid, &mut status, libc::__WALL | libc::WNOHANG) };
        if who == thread.tid {
            if libc::WIFSTOPPED(status) {
                // Stopped by our interrupt or with its process: nothing. By a signal: that is still to come.
                let event = status >> 16;
                thread.signal = if event == 0 { libc::WSTOPSIG(status) } else { 0 };
                return Ok(());
            }
            thread.stopped = false;
        } else if who < 0 {
            thread.stopped = false;
        } else if crate::primitive::now() > give_up {
            return Err(libc::EAGAIN);
        } else {
            let time = libc::timespec { tv_sec: 0, tv_nsec: pause };
            // SAFETY: a live time.
            unsafe { libc::nanosleep(&time, null_mut()) };
            pause = (pause * 2).min(1_000_000);
        }
    }
    Ok(())
}

fn read_registers(shared: &mut Shared, i: usize) -> Result<(), Errno> {
    const GENERAL: usize = 1;
    const FLOAT: usize = 2;
    #[cfg(target_arch = "x86_64")]
    const SETS: [usize; 2] = [GENERAL, 0x202];
    #[cfg(not(target_arch = "x86_64"))]
    const SETS: [usize; 2] = [GENERAL, FLOAT];
    let tid = shared.threads.as_slice()[i].tid;
    let from = shared.registers.as_slice().len();
    let mut buffer = [0usize; MOST_REGISTERS / 8];
    let mut sp = 0;
    for (n, mut set) in SETS.into_iter().enumerate() {
        loop {
            let mut place = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: MOST_REGISTERS };
            if ptrace(libc::PTRACE_GETREGSET, tid, set, (&raw mut place).addr()) == 0 {
                for &word in &buffer[..place.iov_len.div_ceil(8)] {
                    shared.registers.push(word)?;
                }
                break;
            }
            match errno() {
                // Killed since.
                libc::ESRCH => return Ok(()),
                // A CPU without XSAVE.
                _ if n == 1 && set != FLOAT => set = FLOAT,
                error => return Err(error),
            }
        }
        if n == 0 {
            sp = buffer[SP];
        }
    }
    let to = shared.registers.as_slice().len();
    let thread = &mut shared.threads.as_mut_slice()[i];
    thread.registers = (from, to);
    thread.sp = sp;
    Ok(())
}

/// Which of the general registers is the stack pointer.
#[cfg(target_arch = "x86_64")]
const SP: usize = 19;
#[cfg(target_arch = "aarch64")]
const SP: usize = 31;

fn ptrace(request: libc::c_uint, tid: i32, addr: usize, data: usize) -> i64 {
    // SAFETY: of the requests used here only GETREGSET writes, to the iovec that `data` points to.
    unsafe { libc::syscall(libc::SYS_ptrace, request as usize, tid as usize, addr, data) }
}

/// A file, closed when it goes out of scope.
pub(super) struct Fd(pub(super) i32);

impl Fd {
    pub(super) fn open(path: &Path) -> Result<Fd, Errno> {
        // SAFETY: a NUL-terminated path.
        let fd = unsafe { libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) };
        if fd < 0 { Err(errno()) } else { Ok(Fd(fd)) }
    }
}

impl Fd {
    /// Call `f` for each name in this directory that is a number.
    pub(super) fn each_number(&self, mut f: impl FnMut(i32) -> Result<(), Errno>) -> Result<(), Errno> {
        let mut buffer = [0u64; 1024];
        loop {
            // SAFETY: a live buffer of that size.
            let n = unsafe {
                libc::syscall(libc::SYS_getdents64, self.0, buffer.as_mut_ptr(), size_of_val(&buffer))
            };
            if n < 0 {
                return Err(errno());
            }
            if n == 0 {
                return Ok(());
            }
            let mut at = 0;
            while at < n as usize {
                // SAFETY: the kernel wrote an entry here: inode and offset, its length, its type, its name, which
                // ends with a NUL.
                let number = unsafe {
                    let entry = buffer.as_ptr().cast::<u8>().add(at);
                    at += usize::from(entry.add(16).cast::<u16>().read_unaligned());
                    let mut digit = entry.add(19);
                    let mut number = (*digit).is_ascii_digit().then_some(0i32);
                    while (*digit).is_ascii_digit() {
                        number = number.map(|n| n * 10 + i32::from(*digit - b'0'));
                        digit = digit.add(1);
                    }
                    number
                };
                if let Some(number) = number {
                    f(number)?;
                }
            }
        }
    }
}

impl Drop for Fd {
    fn drop(&mut self) {
        // SAFETY: opened by `open`.
        unsafe { libc::close(self.0) };
    }
}

/// The path of a file in /proc, put together without an allocation.
pub(super) struct Path {
    bytes: [u8; 64],
    len: usize,
}

impl Path {
    pub(super) fn new() -> Path {
        Path { bytes: [0; 64], len: 0 }
    }

    pub(super) fn as_ptr(&self) -> *const libc::c_char {
        self.bytes.as_ptr().cast()
    }

    pub(super) fn text(&mut self, text: &[u8]) -> &mut Path {
        self.bytes[self.len..self.len + text.len()].copy_from_slice(text);
        self.len += text.len();
        self
    }

    pub(super) fn number(&mut self, number: u32) -> &mut Path {
        if number >= 10 {
            self.number(number / 10);
        }
        self.text(&[b'0' + (number % 10) as u8])
    }
}
