//! Scopes: try, defer, recover, exit.
//!
//! | a scope is | its deferred calls run | its landing |
//! |---|---|---|
//! | a `gort_try` | when its function has ended | in the frame of `gort_try` |
//! | a deferred call | when it has ended | in the frame of whoever runs the deferred calls |
//! | a goroutine, the *root* | when its function has ended | none: the end of the stack |
//!
//! The one thing to know: deferred calls are run with their scope's landing already out of the list. So what
//! such a call defers or tries is its own, and what it raises comes back to the loop that runs them
//! ([`run_deferred`]), which then knows how the call ended: it returned (perhaps having recovered), or it raised
//! something that takes the place of what the scope was ending by.
//!
//! A fourth kind of landing is no scope: [`call_and_then`] stops at it to do its own, and goes on. Defer and
//! recover look through it.

use super::deferred::{Deferred, List, OwnChunk};
use super::landing::{self, Place};
use super::record::Record;
use super::report;
use super::unwind::raise;
use crate::primitive::backtrace::Backtrace;
use crate::sched::{self, Body, Handlers};
use std::ffi::{c_char, c_void};
use std::fmt;
use std::mem::MaybeUninit;
use std::ptr::{NonNull, null, null_mut};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Try,
    Deferred,
    /// No scope.
    Internal,
}

/// A place to land at, and what has been raised to it. In the frame that it lands in.
#[repr(C)]
pub(super) struct Landing {
    place: Place,
    outer: *mut Landing,
    /// What is on its way here, or has arrived; newest first.
    raised: *mut Record,
    /// The C++ catch blocks that it is in.
    handlers: Handlers,
    kind: Kind,
}

impl Landing {
    fn new(kind: Kind) -> Landing {
        Landing {
            place: Place::nowhere(),
            outer: null_mut(),
            raised: null_mut(),
            handlers: Handlers::NONE,
            kind,
        }
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    pub(super) fn raised(&mut self) -> &mut *mut Record {
        &mut self.raised
    }

    pub(super) fn handlers(&self) -> Handlers {
        self.handlers
    }

    /// Call `call(arg)`, as the innermost landing meanwhile. Afterwards `raised` says how it ended; null: it
    /// returned.
    ///
    /// # Safety
    /// `this` is live and stays in place; `call(arg)` may be called. The caller's frame, and those up to the one
    /// that the user called, hold nothing that must be dropped.
    #[inline]
    unsafe fn call(this: *mut Landing, call: Body, arg: *mut c_void) {
        // SAFETY: the caller's promise. The list is the caller's own; it is asked for anew after the call, since
        // a goroutine that forks becomes a plain thread in the child.
        unsafe {
            let scopes = current();
            (*this).outer = (*scopes).innermost;
            (*this).handlers = Handlers::here();
            (*scopes).innermost = this;
            landing::call(&raw mut (*this).place, call, arg);
            (*current()).innermost = (*this).outer;
        }
    }
}

/// What a goroutine has of all this while it runs; or a plain thread.
pub(crate) struct Scopes {
    innermost: *mut Landing,
    /// Of the root.
    raised: *mut Record,
    deferred: List,
}

impl Scopes {
    pub(crate) const fn new() -> Scopes {
        Scopes { innermost: null_mut(), raised: null_mut(), deferred: List::new() }
    }

    pub(super) fn innermost(&self) -> *mut Landing {
        self.innermost
    }

    pub(super) fn raised(&mut self) -> &mut *mut Record {
        &mut self.raised
    }

    /// The function of this goroutine has returned: is that all?
    #[inline]
    pub(crate) fn are_empty(&self) -> bool {
        self.raised.is_null() && self.deferred.is_empty()
    }

    /// The landing of the innermost scope; null: the root's.
    ///
    /// # Safety
    /// Listed landings are live.
    #[inline]
    unsafe fn innermost_scope(&self) -> *mut Scope {
        let mut landing = self.innermost;
        // SAFETY: they are live as long as they are listed.
        unsafe {
            while !landing.is_null() && (*landing).kind == Kind::Internal {
                landing = (*landing).outer;
            }
        }
        landing.cast()
    }
}

/// A scope that has a landing of its own; in the frame that it lands in. Begins with the landing.
#[repr(C)]
struct Scope {
    landing: Landing,
    deferred: List,
    /// Of a deferred call: how the scope ends that it is run for.
    run_for: *mut Ending,
    own: OwnChunk,
}

impl Scope {
    /// # Safety
    /// `place` is live and stays in place as long as the scope is used.
    #[inline]
    unsafe fn open(place: *mut MaybeUninit<Scope>, kind: Kind, run_for: *mut Ending) -> *mut Scope {
        let this = place.cast::<Scope>();
        // SAFETY: the caller's promise. The room for deferred calls stays as it is.
        unsafe {
            (&raw mut (*this).landing).write(Landing::new(kind));
            (&raw mut (*this).deferred).write(List::within(&raw mut (*this).own));
            (&raw mut (*this).run_for).write(run_for);
        }
        this
    }

    /// # Safety
    /// `this` is open.
    #[inline]
    unsafe fn returned(this: *const Scope) -> bool {
        // SAFETY: the caller's promise.
        unsafe { (*this).landing.raised.is_null() && (*this).deferred.is_empty() }
    }

    /// The function of this scope has ended: run the deferred calls, and say how the scope ends.
    ///
    /// # Safety
    /// `this` is open; its landing is no longer listed.
    unsafe fn close(this: *mut Scope) -> Ending {
        // SAFETY: the caller's promise.
        unsafe {
            let mut ending = Ending { by: (*this).landing.raised, recovered: false };
            run_deferred(&raw mut (*this).deferred, &raw mut ending);
            ending
        }
    }
}

/// How a scope ends.
struct Ending {
    /// By these; null: it returns.
    by: *mut Record,
    /// A panic was recovered on the way.
    recovered: bool,
}

/// Run deferred calls, newest first. `ending` says what they are run for, and afterwards what is left of it.
///
/// # Safety
/// Both are live, and the caller's own; what the list holds may be called.
unsafe fn run_deferred(list: *mut List, ending: *mut Ending) {
    // SAFETY: the caller's promise. The frame holds nothing that must be dropped: a call that raises something
    // lands here. `ending` is read again after each call, which may have recovered it.
    unsafe {
        while let Some(deferred) = (*list).pop() {
            let mut place = MaybeUninit::uninit();
            let scope = Scope::open(&raw mut place, Kind::Deferred, ending);
            Landing::call(&raw mut (*scope).landing, deferred.call, deferred.arg);
            let by = if Scope::returned(scope) { null_mut() } else { Scope::close(scope).by };
            if !by.is_null() {
                Record::replace(by, (*ending).by);
                (*ending).by = by;
            } else if !(*ending).by.is_null() && (*(*ending).by).recovered {
                (*ending).by = Record::back_to_exit((*ending).by);
                (*ending).recovered = true;
            }
        }
    }
}

/// A panic was recovered.
pub(crate) struct Recovered;

/// Call `call(arg)` as Go calls a function.
///
/// # Safety
/// `call(arg)` may be called; the callers' frames hold nothing that must be dropped, up to the one that the user
/// called.
#[inline]
pub(crate) unsafe fn try_call(call: Body, arg: *mut c_void) -> Result<(), Recovered> {
    let mut place = MaybeUninit::uninit();
    // SAFETY: the place is in this frame; the rest is the caller's promise.
    unsafe {
        let scope = Scope::open(&raw mut place, Kind::Try, null_mut());
        Landing::call(&raw mut (*scope).landing, call, arg);
        if Scope::returned(scope) { Ok(()) } else { close_try(scope) }
    }
}

/// # Safety
/// As for [`Scope::close`].
#[cold]
#[inline(never)]
unsafe fn close_try(scope: *mut Scope) -> Result<(), Recovered> {
    // SAFETY: the caller's promise; nothing here needs to be dropped.
    unsafe {
        match Scope::close(scope) {
            Ending { by, .. } if !by.is_null() => raise(by),
            Ending { recovered: true, .. } => Err(Recovered),
            Ending { recovered: false, .. } => Ok(()),
        }
    }
}

/// Why nothing was deferred.
pub(crate) enum NotHere {
    /// Neither in a goroutine nor in `gort_try`.
    NoScope,
    NoMemory,
}

/// Have `call(arg)` called when the innermost scope ends.
///
/// # Safety
/// It may be called then, on this goroutine or thread.
#[inline]
pub(crate) unsafe fn defer(call: Body, arg: *mut c_void) -> Result<(), NotHere> {
    let scopes = current();
    // SAFETY: the caller's own scopes.
    let list = unsafe {
        let scope = (*scopes).innermost_scope();
        if !scope.is_null() {
            &mut (*scope).deferred
        } else if has_root() {
            &mut (*scopes).deferred
        } else {
            return Err(NotHere::NoScope);
        }
    };
    list.push(Deferred { call, arg }).map_err(|_| NotHere::NoMemory)
}

/// In a deferred call: stop the panic that it is run for. Its text, which ends with a NUL and stays until the
/// call returns; or null.
pub(crate) fn recover() -> *const c_char {
    // SAFETY: listed landings are live; a deferred call runs while whoever runs it keeps `run_for` and the
    // records in place.
    unsafe {
        let scope = (*current()).innermost_scope();
        if scope.is_null() || (*scope).landing.kind != Kind::Deferred {
            return null();
        }
        let record = (*(*scope).run_for).by;
        if record.is_null() || (*record).is_exit || (*record).recovered {
            return null();
        }
        (*record).recovered = true;
        Record::text(record).as_ptr().cast()
    }
}

/// Raise a panic with this text. The frames of the caller that are not above `below` are left out of its
/// backtrace.
///
/// # Safety
/// The callers' frames hold nothing that must be dropped, up to the one that the user called.
#[cold]
pub(crate) unsafe fn raise_text(text: &[u8], below: usize) -> ! {
    let trace = Backtrace::of_caller(below);
    // SAFETY: the record is new; the rest is the caller's promise.
    unsafe { raise(Record::panic(text, trace.addresses())) }
}

/// Raise a panic of the library's own: what Go panics about. The callers' frames hold nothing that must be
/// dropped, up to the one that the user called; that, too, is for the author of the call to see to.
#[cold]
#[inline(never)]
pub(crate) fn panic(what: fmt::Arguments<'_>) -> ! {
    let mut text = [0_u8; 128];
    let mut rest = &mut text[..];
    // What does not fit is cut off.
    let _ = std::io::Write::write_fmt(&mut rest, what);
    let left = rest.len();
    let len = text.len() - left;
    // SAFETY: see above; `text` needs no drop.
    unsafe { raise_text(&text[..len], (&raw const text).addr()) }
}

/// End the calling goroutine: run all deferred calls, pass through every `gort_try`.
pub(crate) fn exit() -> ! {
    // SAFETY: a new record. The caller, `gort_exit`, has nothing to drop.
    unsafe { raise(Record::exit()) }
}

/// Call `function`, and `finish(arg)` once it has ended in any way, which then goes on.
///
/// # Safety
/// `finish(arg)` may be called once then. `function` holds nothing that must be dropped while it calls a
/// user's function, and neither do the callers, up to the one that the user called.
pub(crate) unsafe fn call_and_then<F: FnOnce()>(function: F, finish: unsafe fn(*mut ()), arg: *mut ()) {
    unsafe extern "C" fn run<F: FnOnce()>(function: *mut c_void) {
        // SAFETY: called once, with the function below.
        unsafe { (function.cast::<F>().read())() };
    }
    const { assert!(!std::mem::needs_drop::<F>()) };
    let mut function = MaybeUninit::new(function);
    let mut landing = Landing::new(Kind::Internal);
    let landing = &raw mut landing;
    // SAFETY: both are in this frame; the rest is the caller's promise.
    unsafe {
        Landing::call(landing, run::<F>, function.as_mut_ptr().cast());
        finish(arg);
        if !(*landing).raised.is_null() {
            raise((*landing).raised);
        }
    }
}

/// What a call has raised: to be raised again, once.
#[derive(Clone, Copy)]
pub(crate) struct Raised(NonNull<Record>);

/// Call `call(arg)`, and keep what it raises.
///
/// # Safety
/// As for [`try_call`].
pub(crate) unsafe fn catch(call: Body, arg: *mut c_void) -> Option<Raised> {
    let mut landing = Landing::new(Kind::Internal);
    let landing = &raw mut landing;
    // SAFETY: in this frame; the rest is the caller's promise.
    unsafe {
        Landing::call(landing, call, arg);
        NonNull::new((*landing).raised).map(Raised)
    }
}

/// Let it go on here.
///
/// # Safety
/// The callers' frames hold nothing that must be dropped, up to the one that the user called.
#[cold]
pub(crate) unsafe fn raise_again(raised: Raised) -> ! {
    // SAFETY: whoever has caught it owns it; the rest is the caller's promise.
    unsafe { raise(raised.0.as_ptr()) }
}

/// The same, of what was caught on another stack: its backtrace goes on with the frames that are above `below` on the
/// calling one, as if what was called there had been called from here.
///
/// # Safety
/// As for [`raise_again`].
#[cold]
pub(crate) unsafe fn raise_again_from(raised: Raised, below: usize) -> ! {
    let here = Backtrace::of_caller(below);
    // SAFETY: as above.
    unsafe {
        raise(Record::called_from(raised.0.as_ptr(), landing::call as *const () as usize, here.addresses()))
    }
}

/// There is nowhere to raise it again: the process ends.
///
/// # Safety
/// It is the caller's.
#[cold]
pub(crate) unsafe fn report_raised(raised: Raised) -> ! {
    // SAFETY: the caller's promise.
    unsafe { report::unrecovered(raised.0.as_ptr()) }
}

/// Where stacks do not end by themselves: the call of a goroutine's function, to be landed behind when it is
/// unwound to the root.
///
/// # Safety
/// As for [`try_call`], by the calling goroutine's first frame.
#[cfg(not(all(target_arch = "x86_64", not(feature = "corosensei-switch"))))]
pub(crate) unsafe fn call_root(call: Body, arg: *mut c_void) {
    let mut landing = Landing::new(Kind::Internal);
    let landing = &raw mut landing;
    // SAFETY: in this frame; the rest is the caller's promise.
    unsafe {
        Landing::call(landing, call, arg);
        (*current()).raised = (*landing).raised;
    }
}

const _: () =
    assert!(landing::STACKS_END == cfg!(all(target_arch = "x86_64", not(feature = "corosensei-switch"))));

/// How a goroutine ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Returned,
    /// By `gort_exit`.
    Exited,
}

/// The goroutine's function has ended, by returning or unwound: run its deferred calls. Does not return if that
/// leaves a panic.
///
/// # Safety
/// `scopes` are those of the caller, which is in none but the root.
#[cold]
#[inline(never)]
pub(crate) unsafe fn end_root(scopes: *mut Scopes) -> End {
    // SAFETY: the caller's promise. A panic in here comes back to the root, and must not find the old ones.
    unsafe {
        debug_assert!((*scopes).innermost.is_null());
        let mut ending =
            Ending { by: std::mem::replace(&mut (*scopes).raised, null_mut()), recovered: false };
        run_deferred(&raw mut (*scopes).deferred, &raw mut ending);
        if ending.by.is_null() {
            return End::Returned;
        }
        if !(*ending.by).is_exit {
            report::unrecovered(ending.by);
        }
        Record::free_all(ending.by);
        End::Exited
    }
}

/// The same in a forked child, for the goroutine that forked. If nobody forked in a scope there is nothing to do.
///
/// # Safety
/// The caller is that goroutine's first frame.
#[cold]
pub(crate) unsafe fn end_forked() {
    // SAFETY: what `adopt` has put there.
    unsafe { end_root(of_thread()) };
}

/// The calling goroutine's or thread's.
#[inline]
pub(super) fn current() -> *mut Scopes {
    let g = sched::current_goroutine();
    if g.is_null() {
        return of_thread();
    }
    // SAFETY: the calling goroutine's own record.
    unsafe { sched::Goroutine::scopes(g) }
}

/// Is the caller a goroutine?
#[inline]
pub(super) fn has_root() -> bool {
    !sched::current_goroutine().is_null()
}

/// The calling thread's, when it runs no goroutine. By hand, as in `sched/current.rs`: half the price, and no
/// address is kept across a call in which a goroutine forks and becomes this thread.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn of_thread() -> *mut Scopes {
    const { assert!(size_of::<Scopes>() == 24 && align_of::<Scopes>() == 8) };
    let scopes: *mut Scopes;
    // SAFETY: the address of this thread's copy of `gort_tls_scopes`, defined below. All zero bytes are empty
    // scopes.
    unsafe {
        std::arch::asm!(
            "mov {0}, qword ptr fs:[0]",
            "add {0}, qword ptr [rip + gort_tls_scopes@GOTTPOFF]",
            out(reg) scopes,
            options(nostack, readonly),
        );
    }
    scopes
}

#[cfg(target_arch = "x86_64")]
std::arch::global_asm!(
    ".pushsection .tbss,\"awT\",@nobits",
    ".p2align 3",
    ".globl gort_tls_scopes",
    ".hidden gort_tls_scopes",
    ".type gort_tls_scopes, @object",
    ".size gort_tls_scopes, 24",
    "gort_tls_scopes:",
    ".zero 24",
    ".popsection",
);

#[cfg(not(target_arch = "x86_64"))]
#[inline(never)]
fn of_thread() -> *mut Scopes {
    thread_local! {
        static SCOPES: std::cell::UnsafeCell<Scopes> = const { std::cell::UnsafeCell::new(Scopes::new()) };
    }
    // SAFETY: an empty template: so that the address is not kept across a call in which a goroutine forks and
    // becomes this thread.
    unsafe { std::arch::asm!("") };
    SCOPES.with(std::cell::UnsafeCell::get)
}

/// In a forked child: the goroutine that forked is the plain thread that it runs on, from now on.
///
/// # Safety
/// `scopes` are that goroutine's.
pub(crate) unsafe fn adopt(scopes: *mut Scopes) {
    // SAFETY: the caller's promise; the thread was in no scope of its own while it ran a goroutine.
    unsafe { of_thread().write(std::ptr::replace(scopes, Scopes::new())) };
}
