//! From "host:port" to addresses.
//!
//! The one thing to know: literal addresses with a port's number never wait and start no thread. Only names, of
//! hosts or of services, go through [`names`].

use super::addr::Host;
use super::names::{self, Query};
use super::network::{HostPort, Port, Version};
use crate::ffi::status::{EINVAL, ENONAME};
use std::ffi::CString;
use std::net::SocketAddr;

/// The one address that `address` spells out. `Ok(None)`: there is a name in it.
pub(super) fn literal(address: &[u8], version: Version) -> Result<Option<SocketAddr>, i32> {
    let HostPort { host, port } = HostPort::parse(address).ok_or(EINVAL)?;
    let host = if host.is_empty() { Some(Host::unspecified(version)) } else { Host::literal(host)? };
    match (host, port) {
        (Some(host), Port::Number(port)) => host.with_port(port, version).map(Some),
        _ => Ok(None),
    }
}

/// All addresses that `address` stands for, at least one, in the order in which they should be tried. Waits for
/// names until `deadline`. `stream`: for connections, not for datagrams.
pub(super) fn all(
    address: &[u8],
    version: Version,
    stream: bool,
    deadline: i64,
) -> Result<Vec<SocketAddr>, i32> {
    if let Some(one) = literal(address, version)? {
        return Ok(vec![one]);
    }
    let HostPort { host, port } = HostPort::parse(address).ok_or(EINVAL)?;
    let literal_host = if host.is_empty() { Some(Host::unspecified(version)) } else { Host::literal(host)? };
    let text = |text: &str| CString::new(text).map_err(|_| EINVAL);
    let mut query = Query { host: None, service: None, version, stream };
    if let Port::Service(service) = port {
        query.service = Some(text(service)?);
    }
    match literal_host {
        // Only the port is wanted: ask for that of any address.
        Some(host) => {
            let port = names::look_up(query, deadline)?[0].port();
            Ok(vec![host.with_port(port, version)?])
        }
        None if is_number(host) => Err(ENONAME),
        None => {
            query.host = Some(text(host)?);
            let mut found = names::look_up(query, deadline)?;
            if let Port::Number(port) = port {
                found.iter_mut().for_each(|addr| addr.set_port(port));
            }
            Ok(found)
        }
    }
}

/// Of several, the one to use where only one can be: the first of IPv4, as in Go.
pub(super) fn preferred(addrs: &[SocketAddr]) -> SocketAddr {
    *addrs.iter().find(|addr| addr.is_ipv4()).unwrap_or(&addrs[0])
}

/// "127.1", "0x7f.1", "2130706433", "010.0.0.1": the C library takes them for addresses, nobody else does the same
/// way, and no host is called so.
fn is_number(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let last = host.rsplit('.').next().unwrap_or_default();
    let hex = last.strip_prefix("0x").or(last.strip_prefix("0X"));
    match hex {
        Some(digits) => digits.bytes().all(|b| b.is_ascii_hexdigit()),
        None => last.bytes().all(|b| b.is_ascii_digit()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_need_no_look_up() {
        let literal =
            |text: &str, version| literal(text.as_bytes(), version).map(|a| a.map(|a| a.to_string()));
        assert_eq!(literal("1.2.3.4:5", Version::Any), Ok(Some("1.2.3.4:5".into())));
        assert_eq!(literal("[::2]:5", Version::V6), Ok(Some("[::2]:5".into())));
        assert_eq!(literal(":5", Version::V6), Ok(Some("[::]:5".into())));
        assert_eq!(literal(":5", Version::Any), Ok(Some("0.0.0.0:5".into())));
        assert_eq!(literal("localhost:5", Version::Any), Ok(None));
        assert_eq!(literal("1.2.3.4:http", Version::Any), Ok(None));
        assert_eq!(literal("1.2.3.4", Version::Any), Err(EINVAL));
        assert_eq!(literal("[::2]:5", Version::V4), Err(crate::ffi::status::EAFNOSUPPORT));
    }

    #[test]
    fn what_looks_like_a_number_is_not_looked_up() {
        for host in ["127.1", "2130706433", "010.0.0.1", "1.2.3.4.5", "0x7f000001", "1.0X7F", "1.2.3.4."] {
            assert!(is_number(host), "{host}");
            let asked = all(format!("{host}:80").as_bytes(), Version::Any, true, crate::primitive::FOREVER);
            assert_eq!(asked, Err(ENONAME), "{host}");
        }
        for host in ["localhost", "1.example", "x1", "0x7fg", "3com.com", "a.0y1"] {
            assert!(!is_number(host), "{host}");
        }
    }

    #[test]
    fn localhost_is_here() {
        let all = |text: &str, version| all(text.as_bytes(), version, true, crate::primitive::FOREVER);
        let found = all("localhost:80", Version::V4).unwrap();
        assert!(found.iter().all(|addr| addr.ip().is_loopback() && addr.is_ipv4() && addr.port() == 80));
        assert!(!found.is_empty());
        assert_eq!(all("no.such.host.invalid:80", Version::Any), Err(ENONAME));
        assert_eq!(all("127.0.0.1:nosuchservice", Version::Any), Err(ENONAME));
    }
}
