//! Datagrams: from whom, to whom.
//!
//! The one thing to know: what an address means depends on the socket's family, which is asked of the kernel each time.

use super::addr::{self, Text};
use super::fd::Fd;
use super::network::Version;
use super::status::ENOTSUP;
use super::{resolve, socket};
use crate::primitive::FOREVER;
use socket2::{SockAddr, SockAddrStorage, Socket};
use std::ffi::c_void;
use std::os::fd::RawFd;

/// Receive into `buf`, which has room for `n` bytes. The number of bytes, or a status; and who sent them.
///
/// # Safety
/// `buf` is writable for `n` bytes for the length of the call.
pub(crate) unsafe fn recv_from(fd: &Fd, buf: *mut c_void, n: usize) -> (i64, Text) {
    let mut storage = SockAddrStorage::zeroed();
    let mut len = 0;
    let got = fd.io_read(|raw| {
        len = storage.size_of();
        // SAFETY: the caller's buffer; room for any address.
        unsafe { libc::recvfrom(raw, buf, n, 0, (&raw mut storage).cast(), &mut len) }
    });
    // SAFETY: the kernel filled in so much of it; nothing if `len` is 0.
    let from = unsafe { SockAddr::new(storage, len) };
    (got, Text::of(&from))
}

/// Send `n` bytes at `buf` to `address`: their number, or a status. May wait for a name to be looked up.
///
/// # Safety
/// `buf` is readable for `n` bytes for the length of the call.
pub(crate) unsafe fn send_to(fd: &Fd, buf: *const c_void, n: usize, address: &[u8]) -> i64 {
    let to = match destination(fd, address) {
        Ok(to) => to,
        Err(error) => return error.into(),
    };
    fd.io_write(|raw| {
        // SAFETY: the caller's buffer, and an address of that length.
        unsafe { libc::sendto(raw, buf, n, NO_SIGNAL, to.as_ptr().cast(), to.len()) }
    })
}

#[cfg(target_os = "linux")]
const NO_SIGNAL: i32 = libc::MSG_NOSIGNAL;
#[cfg(not(target_os = "linux"))]
const NO_SIGNAL: i32 = 0;

/// What `address` is for this socket.
fn destination(fd: &Fd, address: &[u8]) -> Result<SockAddr, i32> {
    let (family, version) = fd.with_raw(family)?;
    match family {
        libc::AF_UNIX => addr::unix(address),
        libc::AF_INET | libc::AF_INET6 => {
            let addrs = match resolve::literal(address, version)? {
                Some(one) => vec![one],
                None => resolve::all(address, version, false, FOREVER)?,
            };
            let to = addr::or_loopback(resolve::preferred(&addrs));
            Ok(if family == libc::AF_INET6 { addr::mapped(to) } else { to }.into())
        }
        _ => Err(ENOTSUP),
    }
}

fn family(raw: RawFd) -> Result<(i32, Version), i32> {
    let family = i32::from(socket::local_addr(raw)?.family());
    let version = match family {
        libc::AF_INET => Version::V4,
        libc::AF_INET6 if socket::ask(raw, Socket::only_v6)? => Version::V6,
        _ => Version::Any,
    };
    Ok((family, version))
}
