//! Dialling: connecting to an address, by a deadline.
//!
//! The one thing to know: a name may stand for several addresses. They are tried in turn, each with its share of the
//! time that is left, and if none answers, the first error is the one that is reported: all as in Go.

use super::fd::Fd;
use super::network::{Network, Version};
use super::{addr, resolve, socket, status, sys};
use crate::ffi::status::{EADDRNOTAVAIL, ENONAME, ETIMEDOUT, OK};
use crate::primitive::{FOREVER, now};
use crate::sched;
use crate::sched::poller::Direction;
use socket2::{Domain, SockAddr, Socket, Type};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;

/// The least that each of several addresses gets, ns, if so much is left.
const SANE_SHARE: i64 = 2_000_000_000;
/// How long to wait before a Unix socket whose queue is full is asked again, ns: at first, at most.
const FIRST_NAP: i64 = 100_000;
const LONGEST_NAP: i64 = 20_000_000;

/// Connect to `address`. With a deadline in the past, only what needs no waiting can succeed.
pub(crate) fn dial(network: Network, address: &[u8], deadline: i64) -> Result<NonNull<Fd>, i32> {
    match network {
        Network::Tcp(version) => each(address, version, true, deadline, tcp),
        Network::Udp(version) => each(address, version, false, deadline, |to, _| udp(to)),
        Network::Unix => unix(address, Type::STREAM, deadline),
        Network::UnixDatagram => unix(address, Type::DGRAM, deadline),
    }
}

fn each(
    address: &[u8],
    version: Version,
    stream: bool,
    deadline: i64,
    connect: impl Fn(SocketAddr, i64) -> Result<NonNull<Fd>, i32>,
) -> Result<NonNull<Fd>, i32> {
    let addrs = resolve::all(address, version, stream, deadline)?;
    let mut first = None;
    for (i, &to) in addrs.iter().enumerate() {
        let left = addrs.len() - i;
        let until = if left == 1 { deadline } else { share(now(), deadline, left) };
        match connect(addr::or_loopback(to), until) {
            Ok(fd) => return Ok(fd),
            Err(error) => first = first.or(Some(error)),
        }
    }
    Err(first.unwrap_or(ENONAME))
}

/// Until when to try the first of `left` addresses.
fn share(now: i64, deadline: i64, left: usize) -> i64 {
    if deadline == FOREVER || deadline <= now {
        return deadline;
    }
    let remaining = deadline - now;
    now + (remaining / left as i64).max(SANE_SHARE.min(remaining))
}

fn tcp(to: SocketAddr, deadline: i64) -> Result<NonNull<Fd>, i32> {
    let mut tries = 0;
    loop {
        let result = tcp_once(&to, deadline);
        tries += 1;
        let again = match &result {
            // The kernel may choose, for a port of its own range at which nobody listens, that very port for us;
            // then we have met ourselves.
            // SAFETY: the one reference, which is ours.
            Ok(fd) => meets_itself(unsafe { fd.as_ref() }),
            // It may say so wrongly while ports are short.
            Err(error) => *error == EADDRNOTAVAIL,
        };
        if !again || tries == 3 {
            return result;
        }
        if let Ok(fd) = result {
            // SAFETY: as above.
            unsafe { Fd::release(fd) };
        }
    }
}

fn meets_itself(fd: &Fd) -> bool {
    socket::ask_fd(fd, |socket| Ok(socket.local_addr()? == socket.peer_addr()?)).unwrap_or(false)
}

fn tcp_once(to: &SocketAddr, deadline: i64) -> Result<NonNull<Fd>, i32> {
    let make = || {
        let socket = socket::for_ip(to, Type::STREAM, false)?;
        socket::set_tcp_defaults(&socket)?;
        Ok(socket)
    };
    let socket = make().map_err(|error: std::io::Error| status::of(&error))?;
    match connect(&socket, &(*to).into()) {
        Ok(()) => socket::adopt(socket),
        Err(errno) if is_under_way(errno) => {
            let fd = socket::adopt(socket)?;
            // SAFETY: the one reference, which is ours.
            unsafe {
                wait_connected(fd.as_ref(), deadline).inspect_err(|_| Fd::release(fd))?;
            }
            Ok(fd)
        }
        Err(errno) => Err(-errno),
    }
}

fn connect(socket: &Socket, to: &SockAddr) -> sys::Result<()> {
    // SAFETY: an address of that length.
    unsafe { sys::connect(socket.as_raw_fd(), to.as_ptr().cast(), to.len()) }
}

fn is_under_way(errno: i32) -> bool {
    [libc::EINPROGRESS, libc::EALREADY, libc::EINTR].contains(&errno)
}

/// Wait until the connection stands or has failed.
fn wait_connected(fd: &Fd, deadline: i64) -> Result<(), i32> {
    fd.set_deadline(Direction::Write, deadline);
    let mut status = fd.io_write(is_connected) as i32;
    if status == ETIMEDOUT {
        // It tries before it looks at the deadline; a last look does as well.
        status = match socket::ask_fd(fd, |socket| Ok(is_connected(socket.as_raw_fd()))) {
            Ok(Ok(_)) => OK,
            Ok(Err(libc::EAGAIN)) => ETIMEDOUT,
            Ok(Err(errno)) => -errno,
            Err(status) => status,
        };
    }
    fd.set_deadline(Direction::Write, FOREVER);
    if status == OK { Ok(()) } else { Err(status) }
}

/// `EAGAIN`: not yet.
fn is_connected(raw: i32) -> sys::Result<usize> {
    if sys::poll(raw, libc::POLLOUT)? == 0 {
        return Err(libc::EAGAIN);
    }
    match sys::socket_option(raw, libc::SO_ERROR)? {
        // It may look ready for a moment before it is under way.
        0 => match socket::ask(raw, Socket::peer_addr) {
            Ok(_) => Ok(0),
            Err(_) => Err(libc::EAGAIN),
        },
        libc::EISCONN => Ok(0),
        errno if is_under_way(errno) => Err(libc::EAGAIN),
        errno => Err(errno),
    }
}

/// Datagrams have no connection: the address is noted, nothing is sent.
fn udp(to: SocketAddr) -> Result<NonNull<Fd>, i32> {
    let connect = || {
        let socket = socket::for_ip(&to, Type::DGRAM, false)?;
        socket.connect(&to.into())?;
        Ok(socket)
    };
    socket::adopt(connect().map_err(|error: std::io::Error| status::of(&error))?)
}

fn unix(name: &[u8], ty: Type, deadline: i64) -> Result<NonNull<Fd>, i32> {
    let to = addr::unix(name)?;
    let socket = socket::new(Domain::UNIX, ty).map_err(|error| status::of(&error))?;
    connect_unix(&socket, &to, deadline)?;
    socket::adopt(socket)
}

/// A connection stands at once, or the listener's queue is full. The kernel does not tell when it is so no more, hence
/// the naps.
fn connect_unix(socket: &Socket, to: &SockAddr, deadline: i64) -> Result<(), i32> {
    let mut nap = FIRST_NAP;
    loop {
        match connect(socket, to) {
            Err(libc::EAGAIN) => {}
            Err(libc::EINTR) => continue,
            result => return result.map_err(|errno| -errno),
        }
        // Saturating: a deadline may be as far in the past as can be said.
        let left = if deadline == FOREVER { i64::MAX } else { deadline.saturating_sub(now()) };
        if left <= 0 {
            return Err(ETIMEDOUT);
        }
        sched::sleep(nap.min(left));
        nap = (2 * nap).min(LONGEST_NAP);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn each_address_has_its_share_of_the_time() {
        assert_eq!(share(100, 100 + 30 * SECOND, 3), 100 + 10 * SECOND);
        assert_eq!(share(100, 100 + 30 * SECOND, 1), 100 + 30 * SECOND);
        // Not less than two seconds, if so much is left.
        assert_eq!(share(100, 100 + 3 * SECOND, 3), 100 + 2 * SECOND);
        assert_eq!(share(100, 100 + SECOND, 3), 100 + SECOND);
        assert_eq!(share(100, FOREVER, 2), FOREVER);
        assert_eq!(share(100, 100, 2), 100);
        assert_eq!(share(100, 0, 2), 0);
    }
}
