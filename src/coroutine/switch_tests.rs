//! What a switch must keep, whichever makes it.

use super::{Class, Coroutine, Stack, acquire, release};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A coroutine on a stack of its own, with its record at its place.
struct Record {
    coroutine: Coroutine,
    body: fn(*mut Record),
    done: bool,
    value: u64,
}

struct Handle(*mut Record, Stack);

// SAFETY: a coroutine may be resumed by any thread, one at a time; the tests hand the handle over.
unsafe impl Send for Handle {}

unsafe extern "C" fn entry(record: *mut ()) -> ! {
    let record = record.cast::<Record>();
    // SAFETY: the record is live until the coroutine has finished, and this is its stack.
    unsafe {
        ((*record).body)(record);
        (*record).done = true;
        Coroutine::finish(&raw mut (*record).coroutine)
    }
}

impl Handle {
    fn new(body: fn(*mut Record)) -> Handle {
        let stack = acquire(Class::for_size(8 << 20).unwrap()).unwrap();
        Handle::on(stack, body)
    }

    fn on(stack: Stack, body: fn(*mut Record)) -> Handle {
        let record = stack.place::<Record>();
        // SAFETY: the stack is ours, with the record at its place and the coroutine below it.
        unsafe {
            record.write(Record { coroutine: Coroutine::empty(), body, done: false, value: 0 });
            Coroutine::prepare(&raw mut (*record).coroutine, &stack, record.cast(), entry, record.cast());
        }
        Handle(record, stack)
    }

    /// Resume; true until the body has ended.
    fn resume(&self) -> bool {
        // SAFETY: prepared or suspended, as no test resumes after `false`.
        unsafe {
            Coroutine::resume(&raw mut (*self.0).coroutine);
            !(*self.0).done
        }
    }

    fn value(&self) -> u64 {
        // SAFETY: the coroutine is suspended, so the record is ours to read.
        unsafe { (*self.0).value }
    }
}

/// As behind a C function: not inlined in the body.
#[inline(never)]
fn suspend(record: *mut Record, value: u64) {
    // SAFETY: called on the coroutine's own stack.
    unsafe {
        (*record).value = value;
        Coroutine::suspend(&raw mut (*record).coroutine);
    }
}

#[test]
fn locals_and_floats_live_across_switches() {
    let body = |record| {
        let (mut a, mut b, mut c, mut d, mut e, mut f, mut g) = (1_u64, 2, 3, 4, 5, 6, 7.5_f64);
        for i in 0..1000 {
            suspend(record, a + b + c + d + e + f + g as u64);
            (a, b, c, d, e, f) = (b + 1, c, d, e, f, a);
            g += i as f64;
        }
    };
    let all: Vec<_> = (0..10).map(|_| Handle::new(body)).collect();
    let (mut outer, mut ticks) = (0.5_f64, 0);
    let mut g = 7.5_f64;
    for i in 0..1000 {
        for one in &all {
            assert!(one.resume());
            outer += 1.0;
            assert_eq!(one.value(), 21 + i + g as u64);
            ticks += 1;
        }
        g += i as f64;
    }
    assert_eq!((outer, ticks), (10_000.5, 10_000));
    for one in &all {
        assert!(!one.resume());
        release(one.1);
    }
}

#[test]
fn a_coroutine_goes_on_on_another_thread() {
    let mut one = Handle::new(|record| {
        for i in 0..50 {
            suspend(record, i);
        }
    });
    for i in 0..50 {
        one = std::thread::spawn(move || {
            let whole = one;
            assert!(whole.resume());
            assert_eq!(whole.value(), i);
            whole
        })
        .join()
        .unwrap();
    }
    assert!(!one.resume());
}

#[test]
fn finishing_from_any_depth_drops_nothing_and_the_stack_is_used_again() {
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    struct Counted;
    impl Drop for Counted {
        fn drop(&mut self) {
            DROPS.fetch_add(1, Ordering::Relaxed);
        }
    }
    #[inline(never)]
    fn deep(record: *mut Record, depth: usize) {
        let _counted = Counted;
        if depth == 0 {
            suspend(record, 1);
            // SAFETY: on its own stack; nobody resumes it again.
            unsafe {
                (*record).done = true;
                Coroutine::finish(&raw mut (*record).coroutine);
            }
        }
        deep(record, std::hint::black_box(depth - 1));
    }
    let mut one = Handle::new(|record| deep(record, 100));
    for _ in 0..100 {
        assert!(one.resume());
        // SAFETY: it is suspended.
        let sp = unsafe { Coroutine::saved_sp(&raw const (*one.0).coroutine) };
        assert!(one.1.limit() < sp && sp < one.0.cast(), "{sp:?} of {:?}", one.1);
        assert!(!one.resume());
        one = Handle::on(one.1, |record| deep(record, 100));
    }
    assert_eq!(DROPS.load(Ordering::Relaxed), 0);
}

#[test]
fn a_prepared_coroutine_may_be_thrown_away() {
    let stack = acquire(Class::for_size(8 << 20).unwrap()).unwrap();
    for _ in 0..3 {
        Handle::on(stack, |_| panic!("never resumed"));
    }
    let last = Handle::on(stack, |record| suspend(record, 9));
    assert!(last.resume());
    assert_eq!(last.value(), 9);
    assert!(!last.resume());
}

#[test]
fn coroutines_resume_each_other_in_a_chain() {
    // A coroutine's stack may itself be a resumer's, as long as they nest.
    let outer = Handle::new(|record| {
        let inner = Handle::new(|record| suspend(record, 5));
        assert!(inner.resume());
        suspend(record, inner.value() + 1);
        assert!(!inner.resume());
    });
    assert!(outer.resume());
    assert_eq!(outer.value(), 6);
    assert!(!outer.resume());
}

/// `_Unwind_Backtrace` of the C++ ABI, which the standard library links.
mod unwind {
    use std::ffi::c_void;

    pub(super) type Trace = unsafe extern "C" fn(*mut c_void, *mut c_void) -> i32;
    pub(super) const END_OF_STACK: i32 = 5;

    unsafe extern "C" {
        pub(super) fn _Unwind_Backtrace(trace: Trace, arg: *mut c_void) -> i32;
        pub(super) fn _Unwind_GetCFA(context: *mut c_void) -> usize;
    }
}

#[test]
fn a_backtrace_ends_cleanly_at_the_entry() {
    use std::ffi::c_void;

    unsafe extern "C" fn frame(context: *mut c_void, frames: *mut c_void) -> i32 {
        // SAFETY: the unwinder's context, and the vector that the body passes.
        unsafe { (*frames.cast::<Vec<usize>>()).push(unwind::_Unwind_GetCFA(context)) };
        0
    }
    let one = Handle::new(|record| {
        let mut frames = Vec::<usize>::new();
        // SAFETY: `frame` takes what it is given.
        let end = unsafe { unwind::_Unwind_Backtrace(frame, (&raw mut frames).cast()) };
        assert_eq!(end, unwind::END_OF_STACK);
        // This, the entry and the start at least; inlining leaves it to the compiler how many there are.
        assert!((2..200).contains(&frames.len()), "{frames:?}");
        let stack = record.addr() - (1 << 20)..=record.addr();
        // Through corosensei a backtrace goes on in the resumer, which ends as cleanly.
        if cfg!(all(target_arch = "x86_64", not(feature = "corosensei-switch"))) {
            assert!(frames.iter().all(|cfa| stack.contains(cfa)), "{frames:x?}");
        }
    });
    assert!(!one.resume());
}

#[cfg(target_arch = "x86_64")]
#[test]
fn the_entry_is_called_as_the_abi_has_it() {
    use std::arch::{asm, naked_asm};

    #[repr(C)]
    struct Seen {
        rsp: usize,
        flags: usize,
        coroutine: Coroutine,
    }

    #[unsafe(naked)]
    unsafe extern "C" fn look(seen: *mut ()) -> ! {
        naked_asm!(
            "mov [rdi], rsp",
            "pushfq",
            "pop rax",
            "mov [rdi + 8], rax",
            "sub rsp, 8",
            "call {finish}",
            finish = sym finish,
        )
    }

    unsafe extern "C" fn finish(seen: *mut Seen) -> ! {
        // SAFETY: on the coroutine's own stack.
        unsafe { Coroutine::finish(&raw mut (*seen).coroutine) }
    }

    let stack = acquire(Class::for_size(8 << 20).unwrap()).unwrap();
    let mut seen = Seen { rsp: 0, flags: 0, coroutine: Coroutine::empty() };
    // SAFETY: the stack is ours; `seen` outlives the coroutine.
    unsafe {
        let seen = &raw mut seen;
        let coroutine = &raw mut (*seen).coroutine;
        Coroutine::prepare(coroutine, &stack, stack.place::<Record>().cast(), look, seen.cast());
        Coroutine::resume(coroutine);
        // The flags after a switch, too: bit 10 is the direction.
        let flags: usize;
        asm!("pushfq", "pop {}", out(reg) flags);
        assert_eq!(flags & 1 << 10, 0);
    }
    assert_eq!(seen.rsp % 16, 8);
    assert_eq!(seen.flags & 1 << 10, 0);
    release(stack);
}

/// A backtrace of a suspended coroutine starts from these three words; see the diagram in `switch_x86_64`.
#[cfg(all(target_arch = "x86_64", not(feature = "corosensei-switch")))]
#[test]
fn the_saved_words_are_where_the_diagram_has_them() {
    let one = Handle::new(|record| suspend(record, 1));
    assert!(one.resume());
    // SAFETY: it is suspended, so its stack holds still.
    let words = unsafe { Coroutine::saved_sp(&raw const (*one.0).coroutine).cast::<[usize; 3]>().read() };
    // The address to go on at lies in the function that suspended.
    let start = suspend as *const () as usize;
    assert!((start..start + 256).contains(&words[0]), "{:x} from {start:x}", words[0]);
    assert!(!one.resume());
}
