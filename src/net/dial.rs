//! Dialling: connecting to an address, by a deadline.
//!
//! The one thing to know: a name may stand for several addresses. They are tried in turn, each with its share of the
//! time that is left, and if none answers, the first error is the one that is reported: all as in Go.

use super::fd::Fd;
use super::network::{Network, Version};
use crate::ffi::status::{EADDRNOTAVAIL, ENONAME, ETIMEDOUT};
use super::{addr, resolve, socket, status};
use crate::primitive::{FOREVER, now};
use crate::sched;
use socket2::{Domain, SockAddr, Socket, Type};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
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
    let ends = fd.with_raw(|raw| Ok((socket::local_addr(raw)?, socket::peer_addr(raw)?)));
    ends.is_ok_and(|(local, peer)| local == peer)
}

fn tcp_once(to: &SocketAddr, deadline: i64) -> Result<NonNull<Fd>, i32> {
    let make = || {
        let socket = socket::for_ip(to, Type::STREAM, false)?;
        socket::set_tcp_defaults(&socket)?;
        Ok(socket)
    };
    let socket = make().map_err(|error: std::io::Error| status::of(&error))?;
    match socket.connect(&(*to).into()).map_err(|error| status::of(&error)) {
        Ok(()) => socket::adopt(socket),
        Err(error) if is_under_way(error) => {
            let fd = socket::adopt(socket)?;
            // SAFETY: the one reference, which is ours.
            unsafe {
                wait_connected(fd.as_ref(), deadline).inspect_err(|_| Fd::release(fd))?;
            }
            Ok(fd)
        }
        Err(error) => Err(error),
    }
}

fn is_under_way(error: i32) -> bool {
    [libc::EINPROGRESS, libc::EALREADY, libc::EINTR].contains(&-error)
}

/// Wait until the connection stands or has failed.
fn wait_connected(fd: &Fd, deadline: i64) -> Result<(), i32> {
    loop {
        let waited = fd.wait_write(deadline);
        let connected = fd.with_raw(|raw| Ok(is_connected(raw)))?;
        match (connected, waited) {
            (Some(result), _) => return result,
            (None, Err(error)) => return Err(error),
            (None, Ok(())) => {}
        }
    }
}

/// `None`: not yet.
fn is_connected(raw: RawFd) -> Option<Result<(), i32>> {
    let mut poll = libc::pollfd { fd: raw, events: libc::POLLOUT, revents: 0 };
    // SAFETY: one live structure; does not wait.
    if unsafe { libc::poll(&mut poll, 1, 0) } == 0 {
        return None;
    }
    match socket::ask(raw, Socket::take_error) {
        Ok(None) => match socket::peer_addr(raw) {
            Ok(_) => Some(Ok(())),
            Err(_) => None,
        },
        Ok(Some(error)) => match status::of(&error) {
            error if error == -libc::EISCONN => Some(Ok(())),
            error if is_under_way(error) => None,
            error => Some(Err(error)),
        },
        Err(error) => Some(Err(error)),
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
        match socket.connect(to).map_err(|error| status::of(&error)) {
            Err(error) if error == -libc::EAGAIN => {}
            Err(error) if error == -libc::EINTR => continue,
            result => return result,
        }
        let left = if deadline == FOREVER { i64::MAX } else { deadline - now() };
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
