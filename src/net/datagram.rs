//! Datagrams: from whom, to whom.
//!
//! The one thing to know: what an address means depends on the socket's family, which is asked of the kernel each time.

use super::addr;
use super::fd::Fd;
use super::network::Version;
use super::{resolve, socket, sys};
use crate::ffi::status::ENOTSUP;
use crate::primitive::FOREVER;
use crate::sched;
use socket2::{SockAddr, SockAddrStorage, Socket};
use std::ffi::c_void;
use std::io;

/// How long to wait before a Unix socket whose receiver's queue is full is tried again, ns: at first, at most.
const FIRST_NAP: i64 = 50_000;
const LONGEST_NAP: i64 = 5_000_000;

/// Receive into `buf`, which has room for `n` bytes. The number of bytes, or a status; and who sent them.
///
/// # Safety
/// `buf` is writable for `n` bytes for the length of the call.
pub(crate) unsafe fn recv_from(fd: &Fd, buf: *mut c_void, n: usize) -> (i64, SockAddr) {
    let mut storage = SockAddrStorage::zeroed();
    let mut len = 0;
    let got = fd.io_read(|raw| {
        len = storage.size_of();
        // SAFETY: the caller's buffer; room for any address.
        unsafe { sys::recv_from(raw, buf.cast(), n, (&raw mut storage).cast(), &mut len) }
    });
    // SAFETY: the kernel filled in so much of it; nothing if `len` is 0.
    (got, unsafe { SockAddr::new(storage, len) })
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
    // SAFETY: the caller's buffer, and an address of that length.
    let attempt = |raw| unsafe { sys::send_to(raw, buf.cast(), n, to.as_ptr().cast(), to.len()) };
    if !to.is_unix() {
        return fd.io_write(attempt);
    }
    // A Unix socket that has not dialled counts as ready while the queue of the one it sends to is full, and hears
    // nothing when there is room again. So it is tried from time to time, each time as a call of its own.
    let mut nap = FIRST_NAP;
    loop {
        let mut full = false;
        let result = fd.io_write(|raw| {
            attempt(raw).or_else(|errno| {
                full = errno == libc::EAGAIN;
                if full { Ok(0) } else { Err(errno) }
            })
        });
        if !full {
            return result;
        }
        sched::sleep(nap);
        nap = (2 * nap).min(LONGEST_NAP);
    }
}

/// What `address` is for this socket.
fn destination(fd: &Fd, address: &[u8]) -> Result<SockAddr, i32> {
    let (family, version) = socket::ask_fd(fd, family)?;
    match family {
        libc::AF_UNIX => addr::unix(address),
        libc::AF_INET | libc::AF_INET6 => {
            let to = match resolve::literal(address, version)? {
                Some(one) => one,
                None => resolve::preferred(&resolve::all(address, version, false, FOREVER)?),
            };
            let to = addr::or_loopback(to);
            Ok(if family == libc::AF_INET6 { addr::mapped(to) } else { to }.into())
        }
        _ => Err(ENOTSUP),
    }
}

fn family(socket: &Socket) -> io::Result<(i32, Version)> {
    let family = i32::from(socket.local_addr()?.family());
    let version = match family {
        libc::AF_INET => Version::V4,
        libc::AF_INET6 if socket.only_v6()? => Version::V6,
        _ => Version::Any,
    };
    Ok((family, version))
}
