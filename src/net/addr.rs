//! Addresses: from text, to text.
//!
//! The one thing to know: an IPv4 address that comes mapped into IPv6 ("::ffff:1.2.3.4", as a socket for both
//! versions reports it) is an IPv4 address here, as in Go; it is mapped back where such a socket is to send to it.

use super::network::Version;
use crate::ffi::status::{EAFNOSUPPORT, EINVAL, ENODEV};
use socket2::SockAddr;
use std::ffi::{CStr, CString, OsStr, c_char};
use std::fmt::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Bytes that hold the text of any address and its NUL: the longest are the paths of Unix sockets.
pub(crate) const TEXT_SIZE: usize = 128;

/// An IP address and, for some of IPv6, the number of the interface that it is meant on (else 0).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Host {
    ip: IpAddr,
    scope: u32,
}

impl Host {
    /// Of a literal address. `Ok(None)`: it is none, but may be a name.
    pub(super) fn literal(text: &str) -> Result<Option<Host>, i32> {
        if let Ok(ip) = text.parse::<Ipv4Addr>() {
            return Ok(Some(Host { ip: ip.into(), scope: 0 }));
        }
        if !text.contains(':') {
            return Ok(None);
        }
        let (ip, zone) = match text.split_once('%') {
            Some((_, "")) => return Err(EINVAL),
            Some((ip, zone)) => (ip, Some(zone)),
            None => (text, None),
        };
        let ip: Ipv6Addr = ip.parse().map_err(|_| EINVAL)?;
        match ip.to_ipv4_mapped() {
            Some(_) if zone.is_some() => Err(EINVAL),
            Some(ip) => Ok(Some(Host { ip: ip.into(), scope: 0 })),
            None => Ok(Some(Host { ip: ip.into(), scope: zone.map_or(Ok(0), interface)? })),
        }
    }

    /// Every address of this machine, for who listens; itself, for who dials.
    pub(super) fn unspecified(version: Version) -> Host {
        let ip = match version {
            Version::Any | Version::V4 => Ipv4Addr::UNSPECIFIED.into(),
            Version::V6 => Ipv6Addr::UNSPECIFIED.into(),
        };
        Host { ip, scope: 0 }
    }

    /// With a port; an error if the network has no such addresses.
    pub(super) fn with_port(self, port: u16, version: Version) -> Result<SocketAddr, i32> {
        match (self.ip, version) {
            (IpAddr::V4(_), Version::V6) | (IpAddr::V6(_), Version::V4) => Err(EAFNOSUPPORT),
            (IpAddr::V4(ip), _) => Ok((ip, port).into()),
            (IpAddr::V6(ip), _) => Ok(SocketAddrV6::new(ip, port, 0, self.scope).into()),
        }
    }
}

/// The number of the interface that is called so.
fn interface(zone: &str) -> Result<u32, i32> {
    if let Ok(number) = zone.parse() {
        return Ok(number);
    }
    let name = CString::new(zone).map_err(|_| EINVAL)?;
    // SAFETY: a text that ends with a NUL.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(ENODEV),
        number => Ok(number),
    }
}

/// "0.0.0.0" and "::" as the address to send to: this machine's own.
pub(super) fn or_loopback(mut to: SocketAddr) -> SocketAddr {
    if to.ip().is_unspecified() {
        to.set_ip(match to.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    to
}

/// As a socket for both versions of IP, or for IPv6 alone, wants it.
pub(super) fn mapped(to: SocketAddr) -> SocketAddr {
    match to.ip() {
        IpAddr::V4(ip) => (ip.to_ipv6_mapped(), to.port()).into(),
        IpAddr::V6(_) => to,
    }
}

/// Of a Unix socket: a path or, on Linux, an abstract name behind an "@".
pub(super) fn unix(name: &[u8]) -> Result<SockAddr, i32> {
    let mut bytes = name.to_vec();
    if cfg!(target_os = "linux") && bytes.first() == Some(&b'@') {
        bytes[0] = 0;
    }
    // Refused if it is too long.
    SockAddr::unix(Path::new(OsStr::from_bytes(&bytes))).map_err(|_| EINVAL)
}

/// An address as text.
pub(crate) struct Text {
    bytes: [u8; TEXT_SIZE],
    len: usize,
}

impl Text {
    pub(crate) fn of(addr: &SockAddr) -> Text {
        let mut text = Text { bytes: [0; TEXT_SIZE], len: 0 };
        // None is too long.
        let _ = match addr.as_socket() {
            Some(addr) => text.write_ip(addr),
            None => text.write_unix(addr),
        };
        text
    }

    fn write_ip(&mut self, addr: SocketAddr) -> fmt::Result {
        let SocketAddr::V6(v6) = addr else { return write!(self, "{addr}") };
        match (v6.ip().to_ipv4_mapped(), v6.scope_id()) {
            (Some(ip), _) => write!(self, "{ip}:{}", v6.port()),
            (None, 0) => write!(self, "[{}]:{}", v6.ip(), v6.port()),
            (None, scope) => {
                write!(self, "[{}%", v6.ip())?;
                let mut name = [0 as c_char; libc::IF_NAMESIZE];
                // SAFETY: room for the longest name that there is, which ends with a NUL if it is found.
                let found = unsafe { libc::if_indextoname(scope, name.as_mut_ptr()) };
                if found.is_null() {
                    write!(self, "{scope}")?;
                } else {
                    // SAFETY: as above.
                    self.write_bytes(unsafe { CStr::from_ptr(found) }.to_bytes())?;
                }
                write!(self, "]:{}", v6.port())
            }
        }
    }

    /// A path; "@" and an abstract name, also if that is empty: a socket without a name. Nothing for an address of
    /// another family.
    fn write_unix(&mut self, addr: &SockAddr) -> fmt::Result {
        if !addr.is_unix() {
            return Ok(());
        }
        if let Some(path) = addr.as_pathname() {
            return self.write_bytes(up_to_nul(path.as_os_str().as_bytes()));
        }
        if cfg!(target_os = "linux") {
            self.write_bytes(b"@")?;
        }
        if let Some(name) = addr.as_abstract_namespace() {
            return self.write_bytes(up_to_nul(name));
        }
        Ok(())
    }

    fn write_bytes(&mut self, bytes: &[u8]) -> fmt::Result {
        // One byte is left for a NUL.
        let end = self.len + bytes.len();
        self.bytes[..TEXT_SIZE - 1].get_mut(self.len..end).ok_or(fmt::Error)?.copy_from_slice(bytes);
        self.len = end;
        Ok(())
    }

    #[cfg(test)]
    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// With its NUL into a buffer of `size` bytes; if it does not fit, the empty text, and false.
    ///
    /// # Safety
    /// `buf` has room for `size` bytes.
    pub(crate) unsafe fn copy_to(&self, buf: *mut c_char, size: usize) -> bool {
        let n = if size > self.len { self.len } else { 0 };
        if size > 0 {
            // SAFETY: the caller's promise; n < size.
            unsafe {
                std::ptr::copy_nonoverlapping(self.bytes.as_ptr(), buf.cast(), n);
                buf.add(n).write(0);
            }
        }
        size > self.len
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.write_bytes(text.as_bytes())
    }
}

fn up_to_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|&b| b == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(addr: &SockAddr) -> String {
        String::from_utf8(Text::of(addr).bytes().to_vec()).unwrap()
    }

    fn round_trip(host: &str, version: Version) -> String {
        let host = Host::literal(host).unwrap().unwrap();
        text(&host.with_port(80, version).unwrap().into())
    }

    #[test]
    fn literals_are_printed_as_go_prints_them() {
        assert_eq!(round_trip("127.0.0.1", Version::Any), "127.0.0.1:80");
        assert_eq!(round_trip("::1", Version::Any), "[::1]:80");
        assert_eq!(round_trip("2001:DB8:0:0:1:0:0:1", Version::V6), "[2001:db8::1:0:0:1]:80");
        assert_eq!(round_trip("::ffff:10.1.2.3", Version::V4), "10.1.2.3:80");
        assert_eq!(round_trip("fe80::1%lo", Version::V6), "[fe80::1%lo]:80");
        assert_eq!(round_trip("fe80::1%987654", Version::V6), "[fe80::1%987654]:80");
        let mapped: SockAddr = mapped("10.1.2.3:80".parse().unwrap()).into();
        assert!(mapped.is_ipv6());
        assert_eq!(text(&mapped), "10.1.2.3:80");
    }

    #[test]
    fn a_literal_belongs_to_its_version_of_ip() {
        let four = Host::literal("1.2.3.4").unwrap().unwrap();
        let six = Host::literal("::2").unwrap().unwrap();
        assert_eq!(four.with_port(1, Version::V6), Err(EAFNOSUPPORT));
        assert_eq!(six.with_port(1, Version::V4), Err(EAFNOSUPPORT));
        assert!(four.with_port(1, Version::V4).is_ok() && six.with_port(1, Version::V6).is_ok());
        assert!(Host::unspecified(Version::V6).with_port(1, Version::V6).is_ok());
        assert!(Host::unspecified(Version::V4).with_port(1, Version::V4).is_ok());
    }

    #[test]
    fn what_has_a_colon_is_a_literal_or_nothing() {
        for bad in [":", "1:2", "::1::", "g::1", "::1%", "::ffff:1.2.3.4%lo", "::1.2.3"] {
            assert_eq!(Host::literal(bad), Err(EINVAL), "{bad}");
        }
        assert_eq!(Host::literal("fe80::1%nosuchinterface"), Err(ENODEV));
        for name in ["localhost", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4"] {
            assert_eq!(Host::literal(name), Ok(None), "{name}");
        }
    }

    #[test]
    fn nowhere_is_here() {
        assert_eq!(or_loopback("0.0.0.0:5".parse().unwrap()).to_string(), "127.0.0.1:5");
        assert_eq!(or_loopback("[::]:5".parse().unwrap()).to_string(), "[::1]:5");
        assert_eq!(or_loopback("10.0.0.1:5".parse().unwrap()).to_string(), "10.0.0.1:5");
    }

    #[test]
    fn unix_sockets_are_called_by_their_paths() {
        assert_eq!(text(&unix(b"/tmp/a socket").unwrap()), "/tmp/a socket");
        assert_eq!(text(&unix(b"relative").unwrap()), "relative");
        let longest = [b'x'; 107];
        assert_eq!(text(&unix(&longest).unwrap()).len(), 107);
        assert_eq!(unix(&[b'x'; 108]).err(), Some(EINVAL));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn abstract_names_begin_with_an_at() {
        assert!(unix(b"@name").unwrap().as_abstract_namespace() == Some(b"name"));
        assert_eq!(text(&unix(b"@name").unwrap()), "@name");
        assert_eq!(text(&unix(&[&b"@"[..], &[b'x'; 107]].concat()).unwrap()).len(), 108);
        assert_eq!(text(&unix(b"").unwrap()), "@");
    }

    #[test]
    fn a_text_is_copied_whole_or_not_at_all() {
        let text = Text::of(&"1.2.3.4:5".parse::<SocketAddr>().unwrap().into());
        let mut buf = [1 as c_char; 12];
        for size in 0..=buf.len() {
            buf.fill(1);
            // SAFETY: no more than its length.
            let fits = unsafe { text.copy_to(buf.as_mut_ptr(), size) };
            assert_eq!(fits, size >= 10);
            let expected: &[u8] = if fits {
                b"1.2.3.4:5\0"
            } else if size > 0 {
                b"\0"
            } else {
                b""
            };
            let bytes = buf.map(|b| b as u8);
            assert_eq!(&bytes[..expected.len()], expected);
            assert!(bytes[expected.len()..].iter().all(|&b| b == 1));
        }
    }
}
