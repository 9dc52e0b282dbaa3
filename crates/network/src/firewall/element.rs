//! Elements of the table's maps and sets: what changes when a container starts and ends.

use std::net::{IpAddr, Ipv4Addr};

use netlink_packet_netfilter::nftables::{DataAttribute, ListAttribute, SetElementAttribute, SetElementList};

use crate::{Link, Protocol, Published};

/// A map or set of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Set {
    /// Ports published on one address: protocol, address, port to address, port.
    Addressed,
    /// Ports published on every address of the host: protocol, port to address, port.
    Wildcard,
    /// Links: source, destination, protocol, port.
    Links,
}

impl Set {
    /// All of them.
    pub(super) const ALL: [Self; 3] = [Self::Addressed, Self::Wildcard, Self::Links];

    /// Its name in the table.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Addressed => "published-on-address",
            Self::Wildcard => "published",
            Self::Links => "links",
        }
    }

    /// Types of the key's fields, as the `nft` program numbers them.
    pub(super) const fn key_types(self) -> &'static [u32] {
        match self {
            Self::Addressed => &[INET_PROTO, IPV4_ADDR, INET_SERVICE],
            Self::Wildcard => &[INET_PROTO, INET_SERVICE],
            Self::Links => &[IPV4_ADDR, IPV4_ADDR, INET_PROTO, INET_SERVICE],
        }
    }

    /// Types of the value's fields; `None` for a set without values.
    pub(super) const fn data_types(self) -> Option<&'static [u32]> {
        match self {
            Self::Addressed | Self::Wildcard => Some(&[IPV4_ADDR, INET_SERVICE]),
            Self::Links => None,
        }
    }
}

const IPV4_ADDR: u32 = 7;
const INET_PROTO: u32 = 12;
const INET_SERVICE: u32 = 13;
/// Every field fills whole registers of four bytes.
pub(super) const FIELD_BYTES: usize = 4;

/// One element.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Element {
    /// Where it belongs.
    pub(super) set: Set,
    /// Its key.
    pub(super) key: Vec<u8>,
    /// Its value; empty in a set.
    pub(super) data: Vec<u8>,
}

fn fields<const N: usize>(fields: [[u8; FIELD_BYTES]; N]) -> Vec<u8> {
    fields.concat()
}

fn protocol_field(protocol: Protocol) -> [u8; FIELD_BYTES] {
    let number = match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::Sctp => 132,
    };
    [number, 0, 0, 0]
}

fn port_field(port: u16) -> [u8; FIELD_BYTES] {
    let [high, low] = port.to_be_bytes();
    [high, low, 0, 0]
}

impl Element {
    /// The element that sends a published port to the container at `address`, if its host address is one of IPv4.
    pub(super) fn published(published: &Published, address: Ipv4Addr) -> Option<Self> {
        let IpAddr::V4(host_ip) = published.host_ip else { return None };
        let protocol = protocol_field(published.protocol);
        let port = port_field(published.host_port);
        let (set, key) = if host_ip.is_unspecified() {
            (Set::Wildcard, fields([protocol, port]))
        } else {
            (Set::Addressed, fields([protocol, host_ip.octets(), port]))
        };
        Some(Self { set, key, data: fields([address.octets(), port_field(published.port)]) })
    }

    /// The element that permits a link.
    pub(super) fn link(link: &Link) -> Self {
        let key = fields([
            link.source.octets(),
            link.destination.octets(),
            protocol_field(link.protocol),
            port_field(link.port),
        ]);
        Self { set: Set::Links, key, data: Vec::new() }
    }

    /// The element as an attribute of a message; a key alone is enough to remove it.
    pub(super) fn attribute(&self) -> ListAttribute<SetElementAttribute> {
        let mut attributes = vec![SetElementAttribute::Key(DataAttribute::Value(self.key.clone()))];
        if !self.data.is_empty() {
            attributes.push(SetElementAttribute::Data(DataAttribute::Value(self.data.clone())));
        }
        ListAttribute::Element(attributes)
    }

    /// Reads the elements of a message about one set; what has not the set's shape is left out.
    pub(super) fn read(set: Set, attributes: &[SetElementList]) -> Vec<Self> {
        let mut found = Vec::new();
        for attribute in attributes {
            let SetElementList::Elements(elements) = attribute else { continue };
            found.extend(elements.iter().filter_map(|element| Self::read_one(set, element)));
        }
        found
    }

    fn read_one(set: Set, element: &ListAttribute<SetElementAttribute>) -> Option<Self> {
        let ListAttribute::Element(attributes) = element else { return None };
        let (mut key, mut data) = (Vec::new(), Vec::new());
        for attribute in attributes {
            match attribute {
                SetElementAttribute::Key(DataAttribute::Value(bytes)) => key = bytes.clone(),
                SetElementAttribute::Data(DataAttribute::Value(bytes)) => data = bytes.clone(),
                _ => {}
            }
        }
        let fits = key.len() == set.key_types().len() * FIELD_BYTES
            && data.len() == set.data_types().map_or(0, <[u32]>::len) * FIELD_BYTES;
        fits.then_some(Self { set, key, data })
    }
}
