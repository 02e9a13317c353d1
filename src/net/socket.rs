//! Making sockets as Go makes them.
//!
//! The one thing to know: every socket is non-blocking and closed by exec from its first moment on, where the system
//! can do that.

use super::addr::Text;
use super::fd::Fd;
use super::{status, sys};
use crate::ffi::status::OK;
use crate::primitive::atomic::{AtomicU8, Ordering};
use socket2::{Domain, SockRef, Socket, TcpKeepalive, Type};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{BorrowedFd, IntoRawFd, RawFd};
use std::ptr::NonNull;
use std::time::Duration;

/// Go's default: a peer that is silent for so long is asked whether it is there, as often again, until it has missed 9.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
const PROBES: u32 = 9;

pub(super) fn new(domain: Domain, ty: Type) -> io::Result<Socket> {
    #[cfg(target_os = "linux")]
    return Socket::new(domain, ty.nonblocking(), None);
    #[cfg(not(target_os = "linux"))]
    {
        let socket = Socket::new(domain, ty, None)?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    }
}

/// For IP; an IPv6 socket is for IPv6 alone unless `dual`.
pub(super) fn for_ip(addr: &SocketAddr, ty: Type, dual: bool) -> io::Result<Socket> {
    let domain = if dual { Domain::IPV6 } else { Domain::for_address(*addr) };
    let socket = new(domain, ty)?;
    if domain == Domain::IPV6 {
        socket.set_only_v6(!dual)?;
    } else if ty == Type::DGRAM {
        socket.set_broadcast(true)?;
    }
    Ok(socket)
}

/// Small messages leave at once, and a peer that has vanished is noticed. Connections have these from the listener.
pub(super) fn set_tcp_defaults(socket: &Socket) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(
        &TcpKeepalive::new().with_time(KEEP_ALIVE).with_interval(KEEP_ALIVE).with_retries(PROBES),
    )
}

/// Can one socket serve IPv4 and IPv6? Asked of the system once. (Not by way of a `OnceLock`: a child that was forked
/// while another thread asks would wait for that thread.)
pub(super) fn dual_stack() -> bool {
    const NO: u8 = 1;
    const YES: u8 = 2;
    static ANSWER: AtomicU8 = AtomicU8::new(0);
    // Relaxed: it stands for itself.
    match ANSWER.load(Ordering::Relaxed) {
        NO => false,
        YES => true,
        _ => {
            let try_it = || {
                let mapped: SocketAddr = (Ipv4Addr::LOCALHOST.to_ipv6_mapped(), 0).into();
                for_ip(&mapped, Type::STREAM, true)?.bind(&mapped.into())
            };
            match try_it() {
                Ok(()) => ANSWER.store(YES, Ordering::Relaxed),
                // That says nothing.
                Err(error) if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) => {}
                Err(_) => ANSWER.store(NO, Ordering::Relaxed),
            }
            ANSWER.load(Ordering::Relaxed) != NO
        }
    }
}

/// Hand it over to gort.
pub(super) fn adopt(socket: Socket) -> Result<NonNull<Fd>, i32> {
    adopt_raw(socket.into_raw_fd())
}

/// As `adopt`, of one's own descriptor, which is closed if that fails.
pub(super) fn adopt_raw(raw: RawFd) -> Result<NonNull<Fd>, i32> {
    Fd::adopt(raw).inspect_err(|_| {
        let _ = sys::close(raw);
    })
}

/// Ask something of the socket behind a descriptor that stays open meanwhile.
pub(super) fn ask<T>(raw: RawFd, question: impl FnOnce(&Socket) -> io::Result<T>) -> Result<T, i32> {
    // SAFETY: the caller keeps it open during the call.
    let fd = unsafe { BorrowedFd::borrow_raw(raw) };
    question(&SockRef::from(&fd)).map_err(|error| status::of(&error))
}

/// As [`ask`], of one that may be closed meanwhile.
pub(super) fn ask_fd<T>(fd: &Fd, question: impl FnOnce(&Socket) -> io::Result<T>) -> Result<T, i32> {
    let mut answer = Err(OK);
    let status = fd.with(|raw| {
        answer = ask(raw, question);
        OK
    });
    if status == OK { answer } else { Err(status) }
}

/// The address of this end.
pub(crate) fn local_addr(fd: &Fd) -> Result<Text, i32> {
    ask_fd(fd, Socket::local_addr).map(|addr| Text::of(&addr))
}

/// The address of the other end.
pub(crate) fn peer_addr(fd: &Fd) -> Result<Text, i32> {
    ask_fd(fd, Socket::peer_addr).map(|addr| Text::of(&addr))
}
