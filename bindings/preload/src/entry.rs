//! The names that take the place of libc's, and who gets past them.
//!
//! The one thing to know: each is a few instructions that look where the call comes from and whether the caller is
//! a goroutine, and then *jump*: to libc's function, or to the Rust function of the same name in another file,
//! with all arguments as they were. Both return to the caller. So for whoever is no goroutine there is no frame of
//! ours on the stack, and nothing at all is different: a thread that is cancelled in `read`, say, is unwound as
//! ever. `runtime.rs` says what is compared, and why that is enough. Arguments in registers are kept for the jump;
//! on aarch64 there may be seven.

use crate::{checked, connect, file, message, poll, real, runtime, select, sleep, socket};
use core::arch::naked_asm;

macro_rules! entries {
    ($($name:ident => $hook:path;)*) => {$(
        /// Stands before libc's. See the file's comment; not to be called from Rust.
        ///
        /// # Safety
        /// As libc's.
        #[unsafe(naked)]
        #[unsafe(no_mangle)]
        #[cfg(target_arch = "x86_64")]
        pub unsafe extern "C" fn $name() {
            naked_asm!(
                "mov r11, [rsp]",
                "sub r11, [rip + {begin}]",
                "cmp r11, [rip + {length}]",
                "jb 2f",
                "push rdi",
                "push rsi",
                "push rdx",
                "push rcx",
                "push r8",
                "push r9",
                // Seven words and the return address: the stack is aligned for the call.
                "push r9",
                "call {inside}",
                "pop r9",
                "pop r9",
                "pop r8",
                "pop rcx",
                "pop rdx",
                "pop rsi",
                "pop rdi",
                "test al, al",
                "jz 2f",
                "jmp {hook}",
                "2: jmp [rip + {real}]",
                begin = sym runtime::BEGIN,
                length = sym runtime::LENGTH,
                inside = sym runtime::is_inside,
                real = sym real::at::$name,
                hook = sym $hook,
            )
        }

        /// Stands before libc's. See the file's comment; not to be called from Rust.
        ///
        /// # Safety
        /// As libc's.
        #[unsafe(naked)]
        #[unsafe(no_mangle)]
        #[cfg(target_arch = "aarch64")]
        pub unsafe extern "C" fn $name() {
            naked_asm!(
                "adrp x16, {begin}",
                "ldr x16, [x16, :lo12:{begin}]",
                "sub x16, x30, x16",
                "adrp x17, {length}",
                "ldr x17, [x17, :lo12:{length}]",
                "cmp x16, x17",
                "b.lo 2f",
                "stp x29, x30, [sp, #-80]!",
                "mov x29, sp",
                "stp x0, x1, [sp, #16]",
                "stp x2, x3, [sp, #32]",
                "stp x4, x5, [sp, #48]",
                "str x6, [sp, #64]",
                "bl {inside}",
                "and w16, w0, #0xff",
                "ldp x0, x1, [sp, #16]",
                "ldp x2, x3, [sp, #32]",
                "ldp x4, x5, [sp, #48]",
                "ldr x6, [sp, #64]",
                "ldp x29, x30, [sp], #80",
                "cbz w16, 2f",
                "b {hook}",
                "2: adrp x16, {real}",
                "ldr x16, [x16, :lo12:{real}]",
                "br x16",
                begin = sym runtime::BEGIN,
                length = sym runtime::LENGTH,
                inside = sym runtime::is_inside,
                real = sym real::at::$name,
                hook = sym $hook,
            )
        }
    )*};
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("gort-preload: the entries are written for x86-64 and AArch64");

entries! {
    read => file::read;
    write => file::write;
    readv => file::readv;
    writev => file::writev;
    recv => socket::recv;
    recvfrom => socket::recvfrom;
    recvmsg => message::recvmsg;
    send => socket::send;
    sendto => socket::sendto;
    sendmsg => message::sendmsg;
    connect => connect::connect;
    accept => connect::accept;
    accept4 => connect::accept4;
    poll => poll::poll;
    ppoll => poll::ppoll;
    select => select::select;
    pselect => select::pselect;
    nanosleep => sleep::nanosleep;
    clock_nanosleep => sleep::clock_nanosleep;
    usleep => sleep::usleep;
    sleep => sleep::sleep;
    __read_chk => checked::read_chk;
    __recv_chk => checked::recv_chk;
    __recvfrom_chk => checked::recvfrom_chk;
    __poll_chk => checked::poll_chk;
    __ppoll_chk => checked::ppoll_chk;
}
