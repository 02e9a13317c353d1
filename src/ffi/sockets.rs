//! Sockets: listen, accept, dial, datagrams, addresses.
//!
//! The one thing to know: see `fd.rs`; a socket is a `gort_fd_t` like any other.

use super::fd::{fd as core, gort_fd_t};
use super::status::{EINVAL, ENOSPC, OK};
use crate::net::fd::Fd;
use crate::net::{self, Network, Text};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::{NonNull, null_mut};

/// Room for any address that gort_fd_local_addr(), gort_fd_peer_addr() and gort_recv_from() write, its NUL included.
pub const GORT_ADDR_SIZE: usize = 128;

const _: () = assert!(GORT_ADDR_SIZE == net::TEXT_SIZE);

/// A network and an address on it.
///
/// # Safety
/// Each is NULL or a text that ends with a NUL and stays in place during the call.
unsafe fn place<'a>(network: *const c_char, address: *const c_char) -> Result<(Network, &'a [u8]), c_int> {
    if network.is_null() || address.is_null() {
        return Err(EINVAL);
    }
    // SAFETY: the caller's promise.
    let (network, address) = unsafe { (CStr::from_ptr(network), CStr::from_ptr(address)) };
    Ok((Network::parse(network.to_bytes()).ok_or(EINVAL)?, address.to_bytes()))
}

/// # Safety
/// `err` is NULL or writable.
unsafe fn hand_out(made: Result<NonNull<Fd>, c_int>, err: *mut c_int) -> *mut gort_fd_t {
    let (fd, status) = match made {
        Ok(fd) => (fd.as_ptr().cast(), OK),
        Err(status) => (null_mut(), status),
    };
    if !err.is_null() {
        // SAFETY: the caller's promise.
        unsafe { err.write(status) };
    }
    fd
}

/// Listen at `address` of `network`, as Go's `net.Listen` and `net.ListenPacket`.
///
/// | network | address |
/// |---|---|
/// | "tcp", "tcp4", "tcp6" | `host:port`, `[host]:port`, `:port`; port 0: one that is free; accept with gort_accept() |
/// | "udp", "udp4", "udp6" | the same; gort_recv_from() and gort_send_to() |
/// | "unix" | a path or, on Linux, an abstract name behind an `@` ("": one that is free); accept with gort_accept() |
/// | "unixgram" | the same; gort_recv_from() and gort_send_to() |
///
/// A 4 or 6 restricts it to that version of IP. Without a host, or with "0.0.0.0" or "::", it is every address of this
/// machine, for "tcp" and "udp" of both versions where the system can do that. A host may be a name (its first IPv4
/// address, else its first), a port the name of a service, an IPv6 address may have a zone ("[fe80::1%eth0]:80").
///
/// As many connections wait to be accepted as the system allows. Connections of TCP send small messages at once
/// (TCP_NODELAY) and ask a silent peer every 15 s whether it is there. The file of a Unix socket is removed when the
/// listener is closed, by the process that made it; one that is there already is GORT_EADDRINUSE.
///
/// Does not block, unless a name must be looked up, and then only the caller. The handle is the caller's, to be closed
/// and released. NULL if it failed. `err` may be NULL and gets the status: GORT_OK; GORT_EINVAL: NULL, no such
/// network, or not an address; GORT_ENONAME: a name that does not resolve; GORT_EAFNOSUPPORT: an address of the other
/// version; GORT_EADDRINUSE, GORT_EADDRNOTAVAIL, GORT_EACCES, GORT_EMFILE, GORT_ENOMEM, and whatever else socket(2),
/// bind(2) and listen(2) say. Since 0.1.
///
/// # Safety
/// `network` and `address` are NULL or end with a NUL; `err` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_listen(
    network: *const c_char,
    address: *const c_char,
    err: *mut c_int,
) -> *mut gort_fd_t {
    // SAFETY: the caller's promise.
    unsafe {
        let listen = |(network, address)| net::quietly(|| net::listen(network, address));
        hand_out(place(network, address).and_then(listen), err)
    }
}

/// Wait for a connection to `listener` and take it, as Go's `Accept`. The read deadline of `listener` applies.
///
/// Blocks the caller. Several may wait: they are served one by one, first come, first served. The handle is the
/// caller's, to be closed and released; `listener` stays yours. NULL if it failed. `err` may be NULL and gets the
/// status: GORT_OK; GORT_EINVAL: NULL, or it does not listen; GORT_ETIMEDOUT; GORT_ECLOSED: `listener` was closed,
/// also while the call waited; GORT_EMFILE or GORT_ENFILE: there are no descriptors left, and the connection waits on
/// (call again later, not at once: that would be a busy loop); GORT_ENOMEM; and whatever else accept(2) says. Since 0.1.
///
/// # Safety
/// `listener` is NULL or live; `err` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_accept(listener: *mut gort_fd_t, err: *mut c_int) -> *mut gort_fd_t {
    // SAFETY: the caller's promise.
    unsafe {
        let accept = |listener| net::quietly(|| net::accept(listener));
        hand_out(core(listener).ok_or(EINVAL).and_then(accept), err)
    }
}

/// Connect to `address` of `network` until `deadline` on the clock of gort_now(), as Go's `net.Dial`. Networks and
/// addresses are those of gort_listen(); no host, "0.0.0.0" and "::" are this machine itself.
///
/// Names are looked up on other threads, so that no worker waits for them. If one stands for several addresses, they
/// are tried in turn, each with its share of the time that is left (at least two seconds if there are so many), and
/// the error is that of the first. A deadline in the past: only what needs no waiting can succeed. Datagrams ("udp",
/// "unixgram") have no connection: the peer's address is noted, for gort_fd_read() and gort_fd_write(). Connections
/// of TCP send small messages at once (TCP_NODELAY) and ask a silent peer every 15 s whether it is there.
///
/// Blocks the caller. The handle is the caller's, to be closed and released. NULL if it failed. `err` may be NULL and
/// gets the status: GORT_OK; GORT_EINVAL: NULL, no such network, or not an address; GORT_ETIMEDOUT: the deadline, or
/// the system's own patience; GORT_ENONAME: a name that does not resolve; GORT_EAFNOSUPPORT: an address of the other
/// version; GORT_ECONNREFUSED, GORT_ENOENT (a Unix socket that is not there), GORT_EHOSTUNREACH, GORT_ENETUNREACH,
/// GORT_EMFILE, GORT_ENOMEM, and whatever else socket(2) and connect(2) say. Since 0.1.
///
/// # Safety
/// `network` and `address` are NULL or end with a NUL; `err` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_dial(
    network: *const c_char,
    address: *const c_char,
    deadline: i64,
    err: *mut c_int,
) -> *mut gort_fd_t {
    // SAFETY: the caller's promise.
    unsafe {
        let dial = |(network, address)| net::quietly(|| net::dial(network, address, deadline));
        hand_out(place(network, address).and_then(dial), err)
    }
}

/// Write the address of this end of a socket to `buf`, which has room for `n` bytes: `127.0.0.1:80`, `[::1]:80`, a path,
/// `@name` (`@`: a Unix socket without a name), as Go prints it; an IPv4 address as such, also if the socket is one for
/// both versions. GORT_ADDR_SIZE bytes are always enough.
///
/// Does not block. `f` and `buf` stay yours. GORT_OK; GORT_EINVAL: NULL; GORT_ENOSPC: `n` is too small, and `buf` gets
/// the empty text; GORT_ECLOSED; GORT_ENOTSOCK. Since 0.1.
///
/// # Safety
/// `f` is NULL or live; `buf` is NULL or writable for `n` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_fd_local_addr(f: *mut gort_fd_t, buf: *mut c_char, n: usize) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { tell(f, buf, n, net::local_addr) }
}

/// Write the address of the other end of a socket to `buf`, which has room for `n` bytes, in the form of
/// gort_fd_local_addr().
///
/// Does not block. `f` and `buf` stay yours. GORT_OK; GORT_EINVAL: NULL; GORT_ENOSPC: `n` is too small, and `buf` gets
/// the empty text; GORT_ENOTCONN: there is no other end; GORT_ECLOSED; GORT_ENOTSOCK. Since 0.1.
///
/// # Safety
/// As for `gort_fd_local_addr`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_fd_peer_addr(f: *mut gort_fd_t, buf: *mut c_char, n: usize) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { tell(f, buf, n, net::peer_addr) }
}

/// # Safety
/// As for `gort_fd_local_addr`.
unsafe fn tell(f: *mut gort_fd_t, buf: *mut c_char, n: usize, ask: fn(&Fd) -> Result<Text, i32>) -> c_int {
    // SAFETY: the caller's promise.
    let Some(fd) = (unsafe { core(f) }) else { return EINVAL };
    if buf.is_null() {
        return EINVAL;
    }
    match net::quietly(|| ask(fd)) {
        // SAFETY: the caller's promise.
        Ok(text) if unsafe { text.copy_to(buf, n) } => OK,
        Ok(_) => ENOSPC,
        Err(status) => status,
    }
}

/// Receive one datagram on a socket of "udp" or "unixgram" into `buf`, and the address of its sender into `addr`, as
/// Go's `ReadFrom`. What does not fit into `n` bytes is lost. `addr` has room for `addr_size` bytes (GORT_ADDR_SIZE is
/// enough for any; it gets the empty text if the address does not fit, and the datagram is received all the same), or
/// is NULL. The read deadline of `f` applies.
///
/// Blocks the caller until there is one; several are served one by one. `f` and the buffers stay yours. The number of
/// bytes, which may be 0; GORT_EINVAL: NULL; GORT_ETIMEDOUT; GORT_ECLOSED; GORT_ENOTSOCK; and whatever else
/// recvfrom(2) says. Since 0.1.
///
/// # Safety
/// `f` is NULL or live; `buf` is writable for `n` bytes (NULL if `n` is 0); `addr` is NULL or writable for `addr_size`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_recv_from(
    f: *mut gort_fd_t,
    buf: *mut c_void,
    n: usize,
    addr: *mut c_char,
    addr_size: usize,
) -> i64 {
    // SAFETY: the caller's promise.
    unsafe {
        let Some(fd) = core(f) else { return EINVAL.into() };
        if buf.is_null() && n > 0 {
            return EINVAL.into();
        }
        net::quietly(|| {
            let (got, from) = net::recv_from(fd, buf, n);
            if got >= 0 && !addr.is_null() {
                Text::of(&from).copy_to(addr, addr_size);
            }
            got
        })
    }
}

/// Send the `n` bytes at `buf` as one datagram to `addr`, on a socket of "udp" or "unixgram" that gort_listen() made, as
/// Go's `WriteTo`. `addr` is an address as for gort_dial(); if there is a name in it, it is looked up each time, whatever
/// the deadline. The write deadline of `f` applies.
///
/// Blocks the caller while the system has no room for it. `f`, `buf` and `addr` stay yours. `n`; GORT_EINVAL: NULL, or
/// `addr` is not an address; GORT_EMSGSIZE: it is too long; GORT_ENONAME; GORT_EAFNOSUPPORT; GORT_ETIMEDOUT;
/// GORT_ECLOSED; GORT_ENOTSOCK; and whatever else sendto(2) says. Since 0.1.
///
/// # Safety
/// `f` is NULL or live; `buf` is readable for `n` bytes (NULL if `n` is 0); `addr` is NULL or ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gort_send_to(
    f: *mut gort_fd_t,
    buf: *const c_void,
    n: usize,
    addr: *const c_char,
) -> i64 {
    // SAFETY: the caller's promise.
    unsafe {
        let Some(fd) = core(f) else { return EINVAL.into() };
        if addr.is_null() || buf.is_null() && n > 0 {
            return EINVAL.into();
        }
        net::quietly(|| net::send_to(fd, buf, n, CStr::from_ptr(addr).to_bytes()))
    }
}
