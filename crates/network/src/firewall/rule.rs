//! One nftables rule, written expression by expression.
//!
//! The packet crate has no types for `nat`, `masq`, `ct` and `fib`; their attributes are written here, from
//! the kernel's `include/uapi/linux/netfilter/nf_tables.h`.

use netlink_packet_core::DefaultNla;
use netlink_packet_netfilter::nftables::{
    Bitwise, Cmp, DataAttribute, ExpressionAttribute, Expressions, Immediate, ListAttribute, Lookup, Meta, MetaKey,
    Operator, Payload, Register, Verdict, VerdictAttribute,
};

use crate::Ipv4Net;

/// `NFT_PAYLOAD_NETWORK_HEADER`.
const NETWORK_HEADER: u32 = 1;
/// `NFT_PAYLOAD_TRANSPORT_HEADER`.
const TRANSPORT_HEADER: u32 = 2;
/// `NF_DROP` and `NF_ACCEPT`.
const DROP: u32 = 0;
const ACCEPT: u32 = 1;
/// Conntrack state bits: established or related.
const ESTABLISHED_OR_RELATED: u32 = 2 | 4;
/// `IPS_DST_NAT`: the connection's destination was translated.
const DESTINATION_TRANSLATED: u32 = 1 << 5;
/// `RTN_LOCAL`: an address of the host.
const LOCAL: u32 = 2;

/// Where a name of an interface is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// Where the packet came from.
    In,
    /// Where it is going.
    Out,
}

/// A field of a packet that a map or set is keyed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// The transport protocol's number.
    Protocol,
    /// The source address.
    Source,
    /// The destination address.
    Destination,
    /// The source port.
    SourcePort,
    /// The destination port.
    DestinationPort,
}

/// A rule under construction: conditions, then one statement that ends it.
#[derive(Clone, Debug, Default)]
pub(super) struct Rule(Vec<ListAttribute<ExpressionAttribute>>);

fn register(index: u32) -> Register {
    Register::from(u32::from(Register::Reg32_00) + index)
}

fn value(bytes: &[u8]) -> DataAttribute {
    DataAttribute::Value(bytes.to_vec())
}

/// An attribute with a number in network order, as nftables has them all.
fn number(kind: u16, number: u32) -> DefaultNla {
    DefaultNla::new(kind, number.to_be_bytes().to_vec())
}

impl Rule {
    /// The expressions, ready for a message.
    pub(super) fn expressions(self) -> Vec<ListAttribute<ExpressionAttribute>> {
        self.0
    }

    fn with(mut self, expression: Expressions) -> Self {
        self.0.push(expression.into());
        self
    }

    fn other(self, name: &str, attributes: Vec<DefaultNla>) -> Self {
        self.with(Expressions::Other { expression_type: name.to_owned(), attributes })
    }

    fn compare(self, operator: Operator, bytes: &[u8]) -> Self {
        self.with(Expressions::Cmp(vec![Cmp::SourceRegister(register(0)), Cmp::Op(operator), Cmp::Data(value(bytes))]))
    }

    fn mask(self, mask: &[u8]) -> Self {
        self.with(Expressions::Bitwise(vec![
            Bitwise::SourceRegister(register(0)),
            Bitwise::DestinationRegister(register(0)),
            Bitwise::Length(mask.len() as u32),
            Bitwise::Mask(value(mask)),
            Bitwise::Xor(value(&vec![0; mask.len()])),
        ]))
    }

    fn load(self, field: Field, index: u32) -> Self {
        let (base, offset, len) = match field {
            Field::Protocol => return self.meta(MetaKey::L4Proto, index),
            Field::Source => (NETWORK_HEADER, 12, 4),
            Field::Destination => (NETWORK_HEADER, 16, 4),
            Field::SourcePort => (TRANSPORT_HEADER, 0, 2),
            Field::DestinationPort => (TRANSPORT_HEADER, 2, 2),
        };
        self.with(Expressions::Payload(vec![
            Payload::DestinationRegister(register(index)),
            Payload::Base(base),
            Payload::Offset(offset),
            Payload::Len(len),
        ]))
    }

    fn meta(self, key: MetaKey, index: u32) -> Self {
        self.with(Expressions::Meta(vec![Meta::DestinationRegister(register(index)), Meta::Key(key)]))
    }

    /// Only packets of the interface, or only others.
    pub(super) fn interface(self, direction: Direction, operator: Operator, name: &str) -> Self {
        let mut bytes = name.as_bytes().to_vec();
        bytes.resize(16, 0);
        self.interface_prefix(direction, operator, &bytes)
    }

    /// Only packets of interfaces whose name starts with these bytes, or only others.
    pub(super) fn interface_prefix(self, direction: Direction, operator: Operator, prefix: &[u8]) -> Self {
        let key = match direction {
            Direction::In => MetaKey::Iifname,
            Direction::Out => MetaKey::Oifname,
        };
        self.meta(key, 0).compare(operator, prefix)
    }

    /// Only packets with an address of the network.
    pub(super) fn within(self, field: Field, net: Ipv4Net) -> Self {
        let network = net.network().address().octets();
        self.load(field, 0).mask(&net.mask().to_be_bytes()).compare(Operator::Equal, &network)
    }

    /// Only frames with this kind of payload.
    pub(super) fn ethertype(self, ethertype: u16) -> Self {
        self.meta(MetaKey::EtherTypeProtocol, 0).compare(Operator::Equal, &ethertype.to_be_bytes())
    }

    /// Only packets of connections that were accepted before.
    pub(super) fn established(self) -> Self {
        const CT_STATE: u32 = 0;
        self.conntrack(CT_STATE, ESTABLISHED_OR_RELATED)
    }

    /// Only packets of connections to a published port.
    pub(super) fn translated(self) -> Self {
        const CT_STATUS: u32 = 2;
        self.conntrack(CT_STATUS, DESTINATION_TRANSLATED)
    }

    fn conntrack(self, key: u32, bits: u32) -> Self {
        const CT_DREG: u16 = 1;
        const CT_KEY: u16 = 2;
        self.other("ct", vec![number(CT_DREG, register(0).into()), number(CT_KEY, key)])
            .mask(&bits.to_ne_bytes())
            .compare(Operator::NotEqual, &[0; 4])
    }

    /// Only packets to an address of the host itself.
    pub(super) fn for_host(self) -> Self {
        const FIB_DREG: u16 = 1;
        const FIB_RESULT: u16 = 2;
        const FIB_FLAGS: u16 = 3;
        const RESULT_ADDRTYPE: u32 = 3;
        const FLAG_DADDR: u32 = 2;
        let attributes = vec![
            number(FIB_DREG, register(0).into()),
            number(FIB_RESULT, RESULT_ADDRTYPE),
            number(FIB_FLAGS, FLAG_DADDR),
        ];
        self.other("fib", attributes).compare(Operator::Equal, &LOCAL.to_ne_bytes())
    }

    /// Only packets whose fields are in the set.
    pub(super) fn in_set(self, fields: &[Field], set: &str) -> Self {
        self.keyed(fields)
            .with(Expressions::Lookup(vec![Lookup::Set(set.to_owned()), Lookup::SourceRegister(register(0))]))
    }

    fn keyed(self, fields: &[Field]) -> Self {
        fields.iter().zip(0..).fold(self, |rule, (field, index)| rule.load(*field, index))
    }

    /// Sends packets whose fields are in the map to the address and port found there.
    pub(super) fn redirect(self, fields: &[Field], map: &str) -> Self {
        const NAT_TYPE: u16 = 1;
        const NAT_FAMILY: u16 = 2;
        const NAT_ADDRESS: u16 = 3;
        const NAT_PORT: u16 = 5;
        const DESTINATION: u32 = 1;
        const IPV4: u32 = 2;
        self.keyed(fields)
            .with(Expressions::Lookup(vec![
                Lookup::Set(map.to_owned()),
                Lookup::SourceRegister(register(0)),
                Lookup::DestinationRegister(register(0)),
            ]))
            .other(
                "nat",
                vec![
                    number(NAT_TYPE, DESTINATION),
                    number(NAT_FAMILY, IPV4),
                    number(NAT_ADDRESS, register(0).into()),
                    number(NAT_PORT, register(1).into()),
                ],
            )
    }

    /// Gives the packets the host's address of the interface they leave by.
    pub(super) fn masquerade(self) -> Self {
        self.other("masq", Vec::new())
    }

    /// Ends this chain for the packets.
    pub(super) fn accept(self) -> Self {
        self.verdict(Verdict::Other(ACCEPT))
    }

    /// Drops the packets.
    pub(super) fn drop(self) -> Self {
        self.verdict(Verdict::Other(DROP))
    }

    fn verdict(self, verdict: Verdict) -> Self {
        self.with(Expressions::Immediate(vec![
            Immediate::DestinationRegister(Register::Verdict),
            Immediate::Data(DataAttribute::Verdict(vec![VerdictAttribute::Code(verdict)])),
        ]))
    }
}
