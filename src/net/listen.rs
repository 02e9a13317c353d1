//! Listening: sockets bound to an address of this machine.
//!
//! The one thing to know: as in Go, "any address" on a network of both versions of IP is one socket for both.

use super::bound::Bound;
use super::fd::Fd;
use super::network::{Network, Version};
use super::{addr, resolve, socket, status};
use crate::primitive::FOREVER;
use socket2::{Domain, Socket, Type};
use std::ffi::CString;
use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::NonNull;

/// The kernel takes what the system allows at most (`net.core.somaxconn`).
const BACKLOG: i32 = i32::MAX;

/// A socket that listens for connections or, on a network of datagrams, receives those for `address`. May wait for a
/// name to be looked up.
pub(crate) fn listen(network: Network, address: &[u8]) -> Result<NonNull<Fd>, i32> {
    match network {
        Network::Tcp(version) => ip(address, version, Type::STREAM),
        Network::Udp(version) => ip(address, version, Type::DGRAM),
        Network::Unix => unix(address, Type::STREAM),
        Network::UnixDatagram => unix(address, Type::DGRAM),
    }
}

fn ip(address: &[u8], version: Version, ty: Type) -> Result<NonNull<Fd>, i32> {
    let addrs = resolve::all(address, version, ty == Type::STREAM, FOREVER)?;
    let addr = resolve::preferred(&addrs);
    let socket = bind_ip(addr, version, ty).map_err(|error| status::of(&error))?;
    socket::adopt(socket)
}

fn bind_ip(mut addr: SocketAddr, version: Version, ty: Type) -> io::Result<Socket> {
    let dual = version == Version::Any && addr.ip().is_unspecified() && socket::dual_stack();
    if dual {
        addr.set_ip(Ipv6Addr::UNSPECIFIED.into());
    }
    let socket = socket::for_ip(&addr, ty, dual)?;
    if ty == Type::STREAM {
        // A server that starts anew gets its port though connections of its predecessor linger.
        socket.set_reuse_address(true)?;
        socket::set_tcp_defaults(&socket)?;
    }
    socket.bind(&addr.into())?;
    if ty == Type::STREAM {
        socket.listen(BACKLOG)?;
    }
    Ok(socket)
}

fn unix(name: &[u8], ty: Type) -> Result<NonNull<Fd>, i32> {
    let addr = addr::unix(name)?;
    let bind = || {
        let socket = socket::new(Domain::UNIX, ty)?;
        socket.bind(&addr)?;
        Ok(socket)
    };
    let socket = bind().map_err(|error: io::Error| status::of(&error))?;
    // There is no NUL in it: it came from C.
    let path = |path: &Path| CString::new(path.as_os_str().as_bytes()).unwrap_or_default();
    let bound = addr.as_pathname().map(|name| Bound::new(path(name)));
    let listening = if ty == Type::STREAM { socket.listen(BACKLOG) } else { Ok(()) };
    let listening = listening.map_err(|error| status::of(&error));
    match (listening.and_then(|()| socket::adopt(socket)), bound) {
        (Ok(fd), Some(bound)) => {
            // SAFETY: the one reference, which is ours.
            unsafe { fd.as_ref() }.set_bound(bound);
            Ok(fd)
        }
        // The file is there, and whoever tries again must not find it.
        (Err(error), Some(bound)) => {
            bound.remove();
            Err(error)
        }
        (result, None) => result,
    }
}
