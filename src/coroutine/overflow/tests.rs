//! Each scene runs in a child process, because it ends it.

use super::super::testing::in_child;
use super::super::{AltStack, Class, Coroutine, GUARD, Stack, acquire};
use super::*;
use std::os::unix::process::ExitStatusExt;
use std::process::Output;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicUsize};

macro_rules! path {
    ($name:literal) => {
        concat!(module_path!(), "::", $name)
    };
}

/// The guard that `report` knows.
static GUARDED: AtomicUsize = AtomicUsize::new(0);
const OURS: i32 = 42;
const HOST: i32 = 43;

/// As the scheduler's: ends the process with `OURS` if the address is in the guard.
fn report(address: usize) -> bool {
    let base = GUARDED.load(Ordering::Relaxed);
    if base != 0 && (base..base + GUARD).contains(&address) {
        end(OURS);
    }
    false
}

fn end(status: i32) -> ! {
    // SAFETY: no preconditions.
    unsafe { libc::_exit(status) }
}

fn ends_with(status: i32) -> impl FnOnce(&Output) {
    move |output| assert_eq!(output.status.code(), Some(status), "{output:?}")
}

fn dies_by(signal: i32) -> impl FnOnce(&Output) {
    move |output| assert_eq!(output.status.signal(), Some(signal), "{output:?}")
}

fn fault() {
    // SAFETY: not safe at all: the very fault that the scene is about.
    unsafe { std::ptr::without_provenance_mut::<u8>(8).write_volatile(1) };
}

fn set_action(signal: c_int, handler: usize, flags: c_int) {
    // SAFETY: a live struct, and a handler of the type that `flags` says (or SIG_DFL, SIG_IGN).
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler;
        action.sa_flags = flags;
        libc::sigaddset(&mut action.sa_mask, libc::SIGUSR1);
        assert_eq!(libc::sigaction(signal, &action, null_mut()), 0);
    }
}

/// Run `body` on a stack of `size` bytes, on a thread with an alternate stack, with our handler installed.
fn on_coroutine(size: usize, body: fn(&Stack)) {
    static BODY: AtomicPtr<()> = AtomicPtr::new(null_mut());

    struct Record {
        coroutine: Coroutine,
        stack: Stack,
    }

    unsafe extern "C" fn entry(record: *mut ()) -> ! {
        let record = record.cast::<Record>();
        // SAFETY: `BODY` was stored from a function of this type.
        let body = unsafe { std::mem::transmute::<*mut (), fn(&Stack)>(BODY.load(Ordering::Relaxed)) };
        // SAFETY: the record is live while its coroutine runs.
        body(unsafe { &(*record).stack });
        // SAFETY: on its own stack.
        unsafe { Coroutine::finish(&raw mut (*record).coroutine) }
    }

    BODY.store(body as *mut (), Ordering::Relaxed);
    std::thread::spawn(move || {
        let _alt = AltStack::new();
        install(report);
        let stack = acquire(Class::for_size(size).unwrap()).unwrap();
        GUARDED.store(stack.base().addr(), Ordering::Relaxed);
        let record = stack.place::<Record>();
        // SAFETY: the stack is ours, with the record at its place and the coroutine below it.
        unsafe {
            record.write(Record { coroutine: Coroutine::empty(), stack });
            let coroutine = &raw mut (*record).coroutine;
            Coroutine::prepare(coroutine, &stack, record.cast(), entry, record.cast());
            Coroutine::resume(coroutine);
        }
    })
    .join()
    .unwrap();
}

#[inline(never)]
fn recurse(depth: usize) -> usize {
    let frame = std::hint::black_box([depth; 20]);
    if depth == 0 { 0 } else { recurse(depth - 1) + frame[depth % 20] }
}

/// Go down until a frame lies below `address`.
#[inline(never)]
fn recurse_to(address: usize) {
    let frame = std::hint::black_box([0_u64; 20]);
    if frame.as_ptr().addr() > address {
        recurse_to(address);
    }
    std::hint::black_box(&frame);
}

#[test]
fn deep_recursion_is_reported() {
    in_child(
        path!("deep_recursion_is_reported"),
        &[],
        || on_coroutine(256 << 10, |_| assert_ne!(recurse(usize::MAX), 1)),
        ends_with(OURS),
    );
}

#[test]
fn deep_recursion_is_reported_with_mprotect_guards() {
    in_child(
        path!("deep_recursion_is_reported_with_mprotect_guards"),
        &[("GORT_STACK_GUARD", "mprotect")],
        || on_coroutine(256 << 10, |_| assert_ne!(recurse(usize::MAX), 1)),
        ends_with(OURS),
    );
}

/// What a C function with a large local array does that the compiler does not probe: nothing between the
/// frames above it and the far end of the array is touched.
#[test]
fn a_big_frame_does_not_step_over_the_guard() {
    in_child(
        path!("a_big_frame_does_not_step_over_the_guard"),
        &[],
        || {
            on_coroutine(256 << 10, |stack| {
                // SAFETY: the lowest usable byte, far below our own frame; then, on purpose, 60 KiB lower.
                unsafe {
                    stack.limit().write_volatile(1);
                    stack.limit().sub(60 << 10).write_volatile(1);
                }
            })
        },
        ends_with(OURS),
    );
}

#[test]
fn stacks_of_1_mib_and_1_gib_are_usable_to_their_depth() {
    in_child(
        path!("stacks_of_1_mib_and_1_gib_are_usable_to_their_depth"),
        &[],
        || {
            on_coroutine(1 << 20, |stack| recurse_to(stack.limit().addr() + (8 << 10)));
            on_coroutine(1 << 30, |stack| {
                let here = (&raw const *stack).addr() - (1 << 20);
                for at in (stack.limit().addr()..here).step_by(1 << 20) {
                    // SAFETY: the usable part of the stack we are on, well below our frame.
                    unsafe { stack.limit().with_addr(at).write_volatile(1) };
                }
            });
        },
        ends_with(0),
    );
}

#[test]
fn without_a_handler_a_fault_dies_by_its_signal() {
    in_child(
        path!("without_a_handler_a_fault_dies_by_its_signal"),
        &[],
        || {
            set_action(libc::SIGSEGV, libc::SIG_DFL, 0);
            on_coroutine(256 << 10, |_| fault());
        },
        dies_by(libc::SIGSEGV),
    );
}

#[test]
fn an_ignored_fault_dies_by_its_signal() {
    in_child(
        path!("an_ignored_fault_dies_by_its_signal"),
        &[],
        || {
            set_action(libc::SIGSEGV, libc::SIG_IGN, 0);
            install(report);
            // One that was sent is ignored indeed.
            // SAFETY: no preconditions.
            unsafe { libc::raise(libc::SIGSEGV) };
            fault();
        },
        dies_by(libc::SIGSEGV),
    );
}

#[test]
fn a_signal_that_was_sent_kills_as_well() {
    in_child(
        path!("a_signal_that_was_sent_kills_as_well"),
        &[],
        || {
            set_action(libc::SIGBUS, libc::SIG_DFL, 0);
            install(report);
            // SAFETY: no preconditions.
            unsafe { libc::raise(libc::SIGBUS) };
            end(1);
        },
        dies_by(libc::SIGBUS),
    );
}

#[test]
fn a_handler_of_the_host_gets_its_faults_with_all_arguments() {
    unsafe extern "C" fn host(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
        // SAFETY: the kernel's arguments, passed on; sigismember only reads a mask.
        let good = unsafe {
            let mut mask = std::mem::zeroed();
            libc::pthread_sigmask(libc::SIG_BLOCK, null(), &mut mask);
            signal == libc::SIGSEGV
                && (*info).si_addr().addr() == 8
                && !context.is_null()
                && libc::sigismember(&mask, libc::SIGSEGV) == 1
                && libc::sigismember(&mask, libc::SIGUSR1) == 1
        };
        end(if good { HOST } else { 1 });
    }
    in_child(
        path!("a_handler_of_the_host_gets_its_faults_with_all_arguments"),
        &[],
        || {
            let host: unsafe extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) = host;
            set_action(libc::SIGSEGV, host as usize, libc::SA_SIGINFO);
            on_coroutine(256 << 10, |_| fault());
        },
        ends_with(HOST),
    );
}

static CALLS: AtomicI32 = AtomicI32::new(0);

#[test]
fn a_plain_handler_may_mend_the_fault_and_go_on() {
    static PAGE: AtomicPtr<u8> = AtomicPtr::new(null_mut());
    unsafe extern "C" fn host(_: c_int) {
        CALLS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the page that the scene mapped.
        unsafe {
            let mut mask = std::mem::zeroed();
            libc::pthread_sigmask(libc::SIG_BLOCK, null(), &mut mask);
            // SA_NODEFER: it is not blocked while it is handled.
            if libc::sigismember(&mask, libc::SIGSEGV) != 0 {
                end(1);
            }
            libc::mprotect(PAGE.load(Ordering::Relaxed).cast(), 4096, libc::PROT_READ | libc::PROT_WRITE);
        }
    }
    in_child(
        path!("a_plain_handler_may_mend_the_fault_and_go_on"),
        &[],
        || {
            let host: unsafe extern "C" fn(c_int) = host;
            set_action(libc::SIGSEGV, host as usize, libc::SA_NODEFER);
            install(report);
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            // SAFETY: a new mapping, written to once the handler has made it writable.
            unsafe {
                let page = libc::mmap(null_mut(), 4096, libc::PROT_NONE, flags, -1, 0).cast::<u8>();
                PAGE.store(page, Ordering::Relaxed);
                for round in 1..=2 {
                    *libc::__errno_location() = 77;
                    page.write_volatile(5);
                    assert_eq!(CALLS.load(Ordering::Relaxed), round);
                    assert_eq!(page.read_volatile(), 5);
                    libc::mprotect(page.cast(), 4096, libc::PROT_NONE);
                }
            }
            end(HOST);
        },
        ends_with(HOST),
    );
}

#[test]
fn a_handler_for_one_fault_gets_one() {
    unsafe extern "C" fn host(_: c_int) {
        if CALLS.fetch_add(1, Ordering::Relaxed) > 0 {
            end(1);
        }
    }
    in_child(
        path!("a_handler_for_one_fault_gets_one"),
        &[],
        || {
            let host: unsafe extern "C" fn(c_int) = host;
            set_action(libc::SIGSEGV, host as usize, libc::SA_RESETHAND);
            install(report);
            // The handler mends nothing: the second time round there is none.
            fault();
        },
        dies_by(libc::SIGSEGV),
    );
}
