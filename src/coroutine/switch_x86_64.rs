//! Switching stacks on x86-64: some ten instructions, 3 ns there and back.
//!
//! A switch saves `rbp` and `rbx`, which inline assembly may not declare as overwritten, and the address to go
//! on at; everything else is declared overwritten, so the compiler saves what is in use, and only that. A
//! stack that is switched away from looks like this:
//!
//! ```text
//!   coroutine, suspended                      coroutine, prepared
//!
//!   | frames of the coroutine | <- higher     | record            | <- top, 16-aligned
//!   +-------------------------+               +-------------------+
//!   | rbp                     |               | 0                 |
//!   | rbx                     |               | 0                 |
//!   | address to go on at     | <- saved sp   | arg               |
//!   +-------------------------+               | entry             |
//!                                             | start             | <- saved sp
//!                                             +-------------------+
//! ```
//!
//! Whoever resumes saves itself on its own stack in the same way (`parent`).
//!
//! **No `call`, no `ret`.** The CPU predicts a `ret` from a stack of its own, on which each `call` pushes. A
//! switch by `call` and `ret` puts the two out of step, and the next `ret`s of both sides are mispredicted:
//! 22 ns instead of 3 whenever a coroutine suspends from within a function. So the address is pushed by hand
//! and jumped to. The resumer must play its part: between two `resume`s it may call what it likes, but not
//! return from the function that `resume` is inlined in, which is therefore the loop of the worker. With a
//! function around `resume` it is 22 ns again.
//!
//! **Backtraces** end at `start`, whose unwind information says that it has no caller, and so do chains of
//! frame pointers (`rbp` is 0 there). For a suspended coroutine a backtrace begins at the address to go on at,
//! with `rsp` = saved sp + 24, and `rbx` and `rbp` as saved.
//!
//! **Not switched**: the control bits of MXCSR and the x87 control word (rounding, exceptions). They belong to
//! the thread; a coroutine that changes them must put them back before it suspends. The direction flag is
//! clear at every switch, as the ABI has it at every call.

use super::stack::Stack;
use std::arch::{asm, naked_asm};
use std::mem::offset_of;

/// The two ends of a switch. At most one of them is current at any time, so each is only valid while its side
/// is switched away from.
pub(crate) struct Coroutine {
    sp: *mut u8,
    parent: *mut u8,
}

impl Coroutine {
    pub(crate) const fn empty() -> Self {
        Coroutine { sp: std::ptr::null_mut(), parent: std::ptr::null_mut() }
    }

    /// Make the first [`Coroutine::resume`] call `entry(arg)` on `stack`, right below `top`.
    ///
    /// # Safety
    /// `this` is live and stays so, at its place, until the coroutine has finished. `top` is aligned to 16,
    /// within `stack`; the memory of the stack below it belongs to the coroutine until then.
    pub(crate) unsafe fn prepare(
        this: *mut Coroutine,
        stack: &Stack,
        top: *mut u8,
        entry: unsafe extern "C" fn(*mut ()) -> !,
        arg: *mut (),
    ) {
        debug_assert!(top.addr().is_multiple_of(16) && top > stack.limit() && top <= stack.end());
        let start: unsafe extern "C" fn() -> ! = start;
        // SAFETY: five words below `top`, which are the coroutine's and aligned; `this` is live.
        unsafe {
            let sp = top.cast::<*const ()>().sub(5);
            sp.write(start as *const ());
            sp.add(1).write(entry as *const ());
            sp.add(2).write(arg);
            sp.add(3).write(std::ptr::null());
            sp.add(4).write(std::ptr::null());
            (*this).sp = sp.cast();
        }
    }

    /// Run the coroutine until it suspends or finishes.
    ///
    /// # Safety
    /// `this` is prepared or suspended, and nobody else resumes it. The caller is not on its stack. The caller
    /// keeps no address of a thread-local across this call if it may go on on another thread.
    #[inline(always)]
    pub(crate) unsafe fn resume(this: *mut Coroutine) {
        // SAFETY: `sp` points to a stack as in the diagram, whose top word is where to go on. That side comes
        // back by `suspend` or `finish`, through `parent`, with our stack as we left it; what it did not
        // restore is declared as overwritten.
        unsafe {
            asm!(
                "push rbp",
                "push rbx",
                "lea rax, [rip + 2f]",
                "push rax",
                "mov [rdi + {parent}], rsp",
                "mov rsp, [rdi + {sp}]",
                "pop rax",
                "jmp rax",
                "2:",
                "pop rbx",
                "pop rbp",
                sp = const offset_of!(Coroutine, sp),
                parent = const offset_of!(Coroutine, parent),
                inout("rdi") this => _,
                out("r12") _, out("r13") _, out("r14") _, out("r15") _,
                clobber_abi("sysv64"),
            );
        }
    }

    /// Go back to whoever resumed this coroutine; returns when it is resumed again, perhaps on another thread.
    ///
    /// # Safety
    /// The caller is on the stack of `this`, and keeps no address of a thread-local across this call.
    #[inline(always)]
    pub(crate) unsafe fn suspend(this: *mut Coroutine) {
        // SAFETY: as in `resume`, with the two sides exchanged: this coroutine runs, so `parent` is where its
        // resumer waits.
        unsafe {
            asm!(
                "push rbp",
                "push rbx",
                "lea rax, [rip + 2f]",
                "push rax",
                "mov [rdi + {sp}], rsp",
                "mov rsp, [rdi + {parent}]",
                "pop rax",
                "jmp rax",
                "2:",
                "pop rbx",
                "pop rbp",
                sp = const offset_of!(Coroutine, sp),
                parent = const offset_of!(Coroutine, parent),
                inout("rdi") this => _,
                out("r12") _, out("r13") _, out("r14") _, out("r15") _,
                clobber_abi("sysv64"),
            );
        }
    }

    /// Go back to whoever resumed this coroutine, for good. The frames on its stack are abandoned: nothing on
    /// them is dropped or unwound. The stack may be used anew as soon as `resume` has returned.
    ///
    /// # Safety
    /// The caller is on the stack of `this`, at any depth; nobody resumes it again before it is prepared anew.
    pub(crate) unsafe fn finish(this: *mut Coroutine) -> ! {
        // SAFETY: as in `suspend`; nothing is saved, as nobody comes back.
        unsafe {
            asm!(
                "mov rsp, [rdi + {parent}]",
                "pop rax",
                "jmp rax",
                parent = const offset_of!(Coroutine, parent),
                in("rdi") this,
                options(noreturn),
            );
        }
    }

    /// Where the stack of a suspended coroutine ends, for dumps: all its frames are above.
    ///
    /// # Safety
    /// `this` is readable. If it is not suspended all the while, the answer means nothing.
    pub(crate) unsafe fn saved_sp(this: *const Coroutine) -> *mut u8 {
        // SAFETY: the caller's promise; volatile, as the coroutine may be running meanwhile.
        unsafe { (&raw const (*this).sp).read_volatile() }
    }

    /// The registers that a backtrace starts from lie where the diagram says: address, `rbx`, `rbp`.
    pub(crate) const KEEPS_REGISTERS: bool = true;
}

/// Where a coroutine begins: at the right end of the diagram, with `start` popped.
#[unsafe(naked)]
unsafe extern "C" fn start() -> ! {
    naked_asm!(
        ".cfi_startproc",
        // There is no caller: backtraces end here.
        ".cfi_undefined rip",
        "pop rax",
        ".cfi_adjust_cfa_offset -8",
        "pop rdi",
        ".cfi_adjust_cfa_offset -8",
        "xor ebp, ebp",
        // The two zeros are left: aligned to 16, as it must be before a call.
        "call rax",
        "ud2",
        ".cfi_endproc",
    )
}
