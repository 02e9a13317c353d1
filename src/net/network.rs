//! The names of networks, and "host:port" taken apart.
//!
//! The one thing to know: what is written here means what it means to Go's `net.Dial` and `net.Listen`.

/// What the name of a network says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Network {
    Tcp(Version),
    Udp(Version),
    /// Streams between processes of one machine.
    Unix,
    /// Datagrams between them.
    UnixDatagram,
}

/// The versions of IP that may be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Version {
    Any,
    V4,
    V6,
}

impl Network {
    /// `None`: no network has this name.
    pub(crate) fn parse(name: &[u8]) -> Option<Network> {
        Some(match name {
            b"tcp" => Network::Tcp(Version::Any),
            b"tcp4" => Network::Tcp(Version::V4),
            b"tcp6" => Network::Tcp(Version::V6),
            b"udp" => Network::Udp(Version::Any),
            b"udp4" => Network::Udp(Version::V4),
            b"udp6" => Network::Udp(Version::V6),
            b"unix" => Network::Unix,
            b"unixgram" => Network::UnixDatagram,
            _ => return None,
        })
    }
}

/// An address of an IP network, in its two parts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct HostPort<'a> {
    /// Without the brackets. Empty: this machine.
    pub(super) host: &'a str,
    pub(super) port: Port<'a>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Port<'a> {
    Number(u16),
    /// "http": to be looked up.
    Service(&'a str),
}

impl HostPort<'_> {
    /// Of `host:port`, `[host]:port`, `:port`, `host:`. `None`: it is none of these. A host with a colon in it, which
    /// is an IPv6 address, stands in brackets.
    pub(super) fn parse(address: &[u8]) -> Option<HostPort<'_>> {
        let (before, port) = str::from_utf8(address).ok()?.rsplit_once(':')?;
        let host = match before.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']')?,
            None if before.contains(':') => return None,
            None => before,
        };
        if host.contains(['[', ']']) {
            return None;
        }
        Some(HostPort { host, port: Port::parse(port)? })
    }
}

impl Port<'_> {
    fn parse(port: &str) -> Option<Port<'_>> {
        if port.is_empty() {
            return Some(Port::Number(0));
        }
        if port.bytes().all(|b| b.is_ascii_digit()) {
            return port.parse().ok().map(Port::Number);
        }
        // Names of services; with a sign or a blank in it, it was meant for a number.
        let is_name = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        (port.bytes().all(is_name) && !port.starts_with('-')).then_some(Port::Service(port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_have_gos_names() {
        assert_eq!(Network::parse(b"tcp"), Some(Network::Tcp(Version::Any)));
        assert_eq!(Network::parse(b"udp6"), Some(Network::Udp(Version::V6)));
        assert_eq!(Network::parse(b"unixgram"), Some(Network::UnixDatagram));
        for unknown in ["", "TCP", "tcp5", "ip", "tcp ", "unixpacket"] {
            assert_eq!(Network::parse(unknown.as_bytes()), None, "{unknown}");
        }
    }

    #[test]
    fn host_and_port_come_apart_at_the_last_colon() {
        for (address, host, port) in [
            ("127.0.0.1:80", "127.0.0.1", Port::Number(80)),
            ("example.org:http", "example.org", Port::Service("http")),
            (":8080", "", Port::Number(8080)),
            (":", "", Port::Number(0)),
            ("localhost:", "localhost", Port::Number(0)),
            ("[::1]:443", "::1", Port::Number(443)),
            ("[fe80::1%eth0]:65535", "fe80::1%eth0", Port::Number(65535)),
            ("[]:1", "", Port::Number(1)),
            ("h:00080", "h", Port::Number(80)),
            ("h:x11-1", "h", Port::Service("x11-1")),
        ] {
            assert_eq!(HostPort::parse(address.as_bytes()), Some(HostPort { host, port }), "{address}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for address in [
            "",
            "localhost",
            "::1:80",
            "[::1]",
            "[::1]80",
            "[::1]:80:90",
            "[::1:80",
            "::1]:80",
            "[[::1]]:80",
            "a]:80",
            "h:65536",
            "h:-1",
            "h:+1",
            "h: 80",
            "h:99999999999999999999999",
            "h:80]",
        ] {
            assert_eq!(HostPort::parse(address.as_bytes()), None, "{address}");
        }
        assert_eq!(HostPort::parse(b"\xff:80"), None);
    }
}
