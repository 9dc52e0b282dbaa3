//! An IPv4 address together with the length of its network prefix.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An address in a network, as `172.17.0.1/16` is written.
///
/// The address keeps its host bits: the same type names a bridge's own address (`172.17.0.1/16`) and a
/// whole network (`172.17.0.0/16`, see [`Ipv4Net::network`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ipv4Net {
    address: Ipv4Addr,
    prefix_len: u8,
}

/// What was wrong with a text that should have been an [`Ipv4Net`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid CIDR address: {0}")]
pub struct InvalidNet(pub String);

impl Ipv4Net {
    /// The host's own addresses, 127.0.0.0/8.
    pub const LOOPBACK: Self = Self { address: Ipv4Addr::new(127, 0, 0, 0), prefix_len: 8 };

    /// Puts an address and a prefix length (0 to 32 bits) together; `None` for a longer prefix.
    pub fn new(address: Ipv4Addr, prefix_len: u8) -> Option<Self> {
        (prefix_len <= 32).then_some(Self { address, prefix_len })
    }

    /// The address, host bits included.
    pub fn address(self) -> Ipv4Addr {
        self.address
    }

    /// Length of the network prefix in bits.
    pub fn prefix_len(self) -> u8 {
        self.prefix_len
    }

    /// The netmask as an integer in host order.
    pub fn mask(self) -> u32 {
        u32::MAX.checked_shl(32 - u32::from(self.prefix_len)).unwrap_or(0)
    }

    /// The network itself: the address with its host bits cleared.
    pub fn network(self) -> Self {
        let address = Ipv4Addr::from(u32::from(self.address) & self.mask());
        Self { address, ..self }
    }

    /// The last address of the network (its broadcast address where it has one).
    pub fn last(self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.address) | !self.mask())
    }

    /// Whether `address` lies within the network.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        u32::from(address) & self.mask() == u32::from(self.address) & self.mask()
    }

    /// Whether the two networks share any address.
    pub fn overlaps(self, other: Self) -> bool {
        let mask = self.mask() & other.mask();
        u32::from(self.address) & mask == u32::from(other.address) & mask
    }
}

impl fmt::Display for Ipv4Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_len)
    }
}

impl FromStr for Ipv4Net {
    type Err = InvalidNet;

    fn from_str(text: &str) -> Result<Self, InvalidNet> {
        let invalid = || InvalidNet(text.to_owned());
        let (address, prefix) = text.split_once('/').ok_or_else(invalid)?;
        if prefix.len() > 2 || !prefix.bytes().all(|b| b.is_ascii_digit()) {
            return Err(invalid());
        }
        let address = address.parse().map_err(|_| invalid())?;
        let prefix_len = prefix.parse().map_err(|_| invalid())?;
        Self::new(address, prefix_len).ok_or_else(invalid)
    }
}

impl TryFrom<String> for Ipv4Net {
    type Error = InvalidNet;

    fn try_from(text: String) -> Result<Self, InvalidNet> {
        text.parse()
    }
}

impl From<Ipv4Net> for String {
    fn from(net: Ipv4Net) -> Self {
        net.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn net(text: &str) -> Ipv4Net {
        text.parse().expect("a valid network")
    }

    #[test]
    fn network_and_last_address() {
        assert_eq!(net("172.17.0.1/16").network(), net("172.17.0.0/16"));
        assert_eq!(net("172.17.0.1/16").last(), Ipv4Addr::new(172, 17, 255, 255));
        assert_eq!(net("10.0.0.7/0").network(), net("0.0.0.0/0"));
        assert_eq!(net("10.0.0.7/32").last(), Ipv4Addr::new(10, 0, 0, 7));
    }

    #[test]
    fn overlap_is_symmetric_and_includes_containment() {
        assert!(net("172.16.0.0/12").overlaps(net("172.17.0.1/16")));
        assert!(net("172.17.0.1/16").overlaps(net("172.16.0.0/12")));
        assert!(!net("172.17.0.0/16").overlaps(net("172.18.0.0/16")));
    }

    #[test]
    fn refuses_what_is_no_network() {
        for text in ["", "1.2.3.4", "1.2.3.4/33", "1.2.3/8", "1.2.3.4/+8", "1.2.3.4/", "::/0"] {
            assert!(text.parse::<Ipv4Net>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_round_trips(address: u32, prefix_len in 0u8..=32) {
            let net = Ipv4Net::new(address.into(), prefix_len).expect("a prefix within 32 bits");
            prop_assert_eq!(net.to_string().parse::<Ipv4Net>(), Ok(net));
            prop_assert!(net.contains(net.last()) && net.contains(net.network().address()));
        }

        #[test]
        fn any_text_is_refused_or_parsed_without_panic(text in ".{0,24}") {
            let _ = text.parse::<Ipv4Net>();
        }
    }
}
