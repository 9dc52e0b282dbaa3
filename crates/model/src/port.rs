//! Ports and protocols.

use std::fmt;
use std::str::FromStr;

/// A transport protocol that has ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Protocol {
    /// TCP, the default.
    #[default]
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// The text is no port, port range or protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPort {
    /// The protocol is none of tcp, udp, sctp.
    #[error("invalid proto: {0}")]
    Protocol(String),
    /// Not a number from 0 to 65535, or an inverted range.
    #[error("invalid port: {0:?}")]
    Number(String),
}

impl Protocol {
    /// `tcp`, `udp` or `sctp`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Protocol {
    type Err = InvalidPort;

    fn from_str(text: &str) -> Result<Self, InvalidPort> {
        [Self::Tcp, Self::Udp, Self::Sctp]
            .into_iter()
            .find(|protocol| text.eq_ignore_ascii_case(protocol.as_str()))
            .ok_or_else(|| InvalidPort::Protocol(text.to_owned()))
    }
}

crate::serde_as_text!(Protocol);

/// A port of a container, written `80/tcp`; a missing protocol means tcp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Port {
    /// 0 to 65535.
    pub number: u16,
    /// The transport protocol.
    pub protocol: Protocol,
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.protocol)
    }
}

impl FromStr for Port {
    type Err = InvalidPort;

    fn from_str(text: &str) -> Result<Self, InvalidPort> {
        let (number, protocol) = split_protocol(text)?;
        Ok(Self { number: parse_number(number)?, protocol })
    }
}

crate::serde_as_text!(Port);

/// Splits `80/udp`; without a protocol it is tcp.
pub(crate) fn split_protocol(text: &str) -> Result<(&str, Protocol), InvalidPort> {
    match text.split_once('/') {
        None | Some((_, "")) => Ok((text.trim_end_matches('/'), Protocol::Tcp)),
        Some((number, protocol)) => Ok((number, protocol.parse()?)),
    }
}

/// A decimal port number: digits only (no sign, no blanks).
fn parse_number(text: &str) -> Result<u16, InvalidPort> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or_else(|| InvalidPort::Number(text.to_owned()))
}

/// An inclusive range of ports: `8000` or `8000-8010`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortRange {
    /// The first port.
    pub first: u16,
    /// The last port, never below the first.
    pub last: u16,
}

impl PortRange {
    /// How many ports the range has: 1 to 65536.
    pub fn count(self) -> u32 {
        u32::from(self.last) - u32::from(self.first) + 1
    }

    /// All ports, lowest first.
    pub fn ports(self) -> impl Iterator<Item = u16> {
        self.first..=self.last
    }
}

impl From<u16> for PortRange {
    fn from(port: u16) -> Self {
        Self { first: port, last: port }
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last { write!(f, "{}", self.first) } else { write!(f, "{}-{}", self.first, self.last) }
    }
}

impl FromStr for PortRange {
    type Err = InvalidPort;

    fn from_str(text: &str) -> Result<Self, InvalidPort> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let range = Self { first: parse_number(first)?, last: parse_number(last)? };
        if range.last < range.first {
            return Err(InvalidPort::Number(text.to_owned()));
        }
        Ok(range)
    }
}

crate::serde_as_text!(PortRange);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn forms() {
        assert_eq!("80".parse(), Ok(Port { number: 80, protocol: Protocol::Tcp }));
        assert_eq!("53/UDP".parse(), Ok(Port { number: 53, protocol: Protocol::Udp }));
        assert_eq!("8000-8010".parse(), Ok(PortRange { first: 8000, last: 8010 }));
        assert!("80/icmp".parse::<Port>().is_err());
        for bad in ["", "-1", "+80", " 80", "65536", "80-", "-80", "90-80", "a"] {
            assert!(bad.parse::<PortRange>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn round_trip(number: u16, sort in 0..3usize) {
            let protocol = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp][sort];
            let port = Port { number, protocol };
            prop_assert_eq!(port.to_string().parse(), Ok(port));
        }

        #[test]
        fn never_panics(text in ".{0,20}") {
            let _ = text.parse::<Port>();
            let _ = text.parse::<PortRange>();
        }
    }
}
