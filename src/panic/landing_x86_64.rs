//! Calling a function so that one can land behind the call, on x86-64.
//!
//! The call pushes what a function must preserve and the address to go on at, and notes the stack pointer:
//!
//! ```text
//!   | frame of the caller         |
//!   | return address              |
//!   | rbp rbx r12 r13 r14 r15     |
//!   | address to go on at         | <- sp, which the landing keeps; aligned to 16
//!   +-----------------------------+
//!   | frames of the function      |
//! ```
//!
//! Landing sets the stack pointer back and jumps to the address in the top word; nothing else is to be
//! restored, as the rest lies on the stack. If nobody lands, the price is those pushes and pops; `call` and
//! `ret` stay paired, as the CPU's return predictor wants it. MXCSR and the x87 control word are left as the
//! function that was landed out of had set them.
//!
//! The unwind information of the call is exact, since forced unwinding (`unwind.rs`) recognises its frame by
//! that stack pointer; its personality routine is told of C++ exceptions that come this far (`exception.rs`).

use super::edge_personality;
use crate::sched::Body;
use std::arch::naked_asm;
use std::ffi::c_void;

/// Goroutines need no landing at the root: their stacks end at a frame that says so, and can be started over.
pub(super) const STACKS_END: bool = true;

/// Where a landing is.
#[repr(C)]
pub(super) struct Place {
    sp: usize,
}

impl Place {
    pub(super) const fn nowhere() -> Place {
        Place { sp: 0 }
    }

    /// Are the frames above (excluding) one whose callee was called with the stack pointer `cfa` those of
    /// the caller of this landing?
    pub(super) fn reached(&self, cfa: usize) -> bool {
        cfa >= self.sp
    }
}

/// Call `call(arg)`. Returns when it has returned, or after a [`land`].
///
/// # Safety
/// `place` is live and stays in place; `call(arg)` may be called.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn call(place: *mut Place, call: Body, arg: *mut c_void) {
    naked_asm!(
        ".cfi_startproc",
        // 0x1b: relative to the place of the reference, 4 bytes, signed.
        ".cfi_personality 0x1b, {personality}",
        "push rbp",
        ".cfi_adjust_cfa_offset 8",
        ".cfi_rel_offset rbp, 0",
        "push rbx",
        ".cfi_adjust_cfa_offset 8",
        ".cfi_rel_offset rbx, 0",
        "push r12",
        ".cfi_adjust_cfa_offset 8",
        ".cfi_rel_offset r12, 0",
        "push r13",
        ".cfi_adjust_cfa_offset 8",
        ".cfi_rel_offset r13, 0",
        "push r14",
        ".cfi_adjust_cfa_offset 8",
        ".cfi_rel_offset r14, 0",
        "push r15",
        ".cfi_adjust_cfa_offset 8",
        ".cfi_rel_offset r15, 0",
        "lea rax, [rip + 2f]",
        "push rax",
        ".cfi_adjust_cfa_offset 8",
        "mov [rdi], rsp",
        "mov rdi, rdx",
        "call rsi",
        "add rsp, 8",
        ".cfi_adjust_cfa_offset -8",
        "2:",
        "pop r15",
        ".cfi_adjust_cfa_offset -8",
        ".cfi_restore r15",
        "pop r14",
        ".cfi_adjust_cfa_offset -8",
        ".cfi_restore r14",
        "pop r13",
        ".cfi_adjust_cfa_offset -8",
        ".cfi_restore r13",
        "pop r12",
        ".cfi_adjust_cfa_offset -8",
        ".cfi_restore r12",
        "pop rbx",
        ".cfi_adjust_cfa_offset -8",
        ".cfi_restore rbx",
        "pop rbp",
        ".cfi_adjust_cfa_offset -8",
        ".cfi_restore rbp",
        "ret",
        ".cfi_endproc",
        personality = sym edge_personality,
    )
}

/// Go on behind the [`call`] that has `place`, on the same stack. The frames of what it called are abandoned.
///
/// # Safety
/// That call has not returned, and the caller is on its stack, deeper.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn land(place: *const Place) -> ! {
    naked_asm!("mov rsp, [rdi]", "pop rax", "jmp rax")
}
