//! Addresses as `--host` takes them.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// `unix:///path`.
    Unix(PathBuf),
    /// `tcp://host:port`; without a port 2375, or 2376 with TLS.
    Tcp {
        /// Name or address; not empty.
        host: String,
        /// Not 0.
        port: Option<u16>,
    },
    /// `fd://`: all sockets of systemd; `fd://3`: the one of that number.
    Activated(Option<u32>),
}

/// An address that cannot be listened on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAddress {
    /// Not `unix://`, `tcp://` or `fd://`.
    #[error("Invalid bind address protocol: {0}")]
    Protocol(String),
    /// The rest cannot be read.
    #[error("Invalid bind address format: {0}")]
    Format(String),
}

/// Where the daemon listens without `--host`.
const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let invalid = || InvalidAddress::Format(text.to_owned());
        let text = text.trim();
        let (scheme, rest) = match text.split_once("://") {
            Some(parts) => parts,
            None if text.is_empty() => ("unix", ""),
            None => ("tcp", text),
        };
        match scheme {
            "unix" if rest.is_empty() => Ok(Self::Unix(DEFAULT_SOCKET.into())),
            "unix" => Ok(Self::Unix(rest.into())),
            "fd" if rest.is_empty() || rest == "*" => Ok(Self::Activated(None)),
            "fd" => rest.parse().map(|number| Self::Activated(Some(number))).map_err(|_| invalid()),
            "tcp" => tcp(rest).ok_or_else(invalid),
            _ => Err(InvalidAddress::Protocol(text.to_owned())),
        }
    }
}

fn tcp(text: &str) -> Option<Address> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = match port {
        None => None,
        Some(port) => Some(port.parse().ok().filter(|port| *port != 0)?),
    };
    let plain = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:_%".contains(&byte));
    if !plain || (host.is_empty() && port.is_none()) {
        return None;
    }
    Some(Address::Tcp { host: if host.is_empty() { "127.0.0.1".to_owned() } else { host.to_owned() }, port })
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp { host, port: Some(port) } => write!(f, "tcp://{host}:{port}"),
            Self::Tcp { host, port: None } => write!(f, "tcp://{host}"),
            Self::Activated(Some(number)) => write!(f, "fd://{number}"),
            Self::Activated(None) => f.write_str("fd://"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn forms() {
        let tcp = |host: &str, port| Address::Tcp { host: host.into(), port };
        for (text, address) in [
            ("", Address::Unix("/var/run/docker.sock".into())),
            ("unix://", Address::Unix("/var/run/docker.sock".into())),
            ("unix:///run/x.sock", Address::Unix("/run/x.sock".into())),
            ("127.0.0.1:2375", tcp("127.0.0.1", Some(2375))),
            (":2375", tcp("127.0.0.1", Some(2375))),
            ("tcp://0.0.0.0", tcp("0.0.0.0", None)),
            ("tcp://[::1]:99", tcp("::1", Some(99))),
            ("fd://", Address::Activated(None)),
            ("fd://*", Address::Activated(None)),
            ("fd://4", Address::Activated(Some(4))),
        ] {
            assert_eq!(text.parse::<Address>(), Ok(address), "{text}");
        }
        for text in
            ["tcp://x:0", "tcp://", "tcp://a:b", "tcp://a:1:2", "fd://x", "tcp://a/b:1", "udp://x", "tcp://x:99999"]
        {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_printed_and_read_again(text in "(unix|tcp|fd)?(://)?[a-z0-9:.\\[\\]]{0,12}") {
            if let Ok(address) = text.parse::<Address>() && !text.contains('[') {
                prop_assert_eq!(address.to_string().parse::<Address>().unwrap(), address);
            }
        }
    }
}
