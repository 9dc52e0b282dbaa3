//! Forgetting flows that the kernel still remembers the old way.
//!
//! A UDP flow is remembered for as long as it goes on: without this a client that keeps sending would not
//! notice that a port was published, or that another container has it now.

use std::net::{IpAddr, Ipv4Addr};

use netlink_packet_core::{DefaultNla, NLA_F_NESTED};
use netlink_packet_netfilter::conntrack::{
    ConntrackAttribute, ConntrackMessage, IPTuple, ProtoTuple, Protocol as Number, Tuple,
};
use netlink_packet_netfilter::{NetfilterHeader, NetfilterMessage, NetfilterProtoFamily};
use netlink_sys::protocols::NETLINK_NETFILTER;

use crate::netlink::{Batch, Socket, errno};
use crate::{Error, Protocol, Published, Result};

/// `CTA_FILTER` and, within it, which fields of the two tuples count.
const FILTER: u16 = 25 | NLA_F_NESTED;
const FILTER_ORIGINAL: u16 = 1;
const FILTER_REPLY: u16 = 2;
const BY_SOURCE: u32 = 1 << 0;
const BY_PROTOCOL: u32 = 1 << 3;
const BY_SOURCE_PORT: u32 = 1 << 4;
const BY_DESTINATION_PORT: u32 = 1 << 5;

fn filter(original: u32, reply: u32) -> ConntrackAttribute {
    let mut value = Vec::with_capacity(16);
    for (kind, flags) in [(FILTER_ORIGINAL, original), (FILTER_REPLY, reply)] {
        value.extend(8u16.to_ne_bytes());
        value.extend(kind.to_ne_bytes());
        value.extend(flags.to_ne_bytes());
    }
    ConntrackAttribute::Other(DefaultNla::new(FILTER, value))
}

fn delete(batch: &mut Batch, attributes: Vec<ConntrackAttribute>) {
    let header = NetfilterHeader::new(NetfilterProtoFamily::IPv4, 0, 0);
    batch.ask(NetfilterMessage::new(header, ConntrackMessage::Delete(attributes)), 0, "forget UDP flows");
}

/// Forgets the UDP flows to these published ports of the container at `address`, and those that were
/// going to their host ports before.
pub(crate) fn forget(published: &[Published], address: Ipv4Addr) -> Result<()> {
    let mut batch = Batch::default();
    let mut any = false;
    for one in published.iter().filter(|one| one.protocol == Protocol::Udp) {
        any = true;
        let to_host = Tuple::Proto(vec![ProtoTuple::Protocol(Number::Udp), ProtoTuple::DestinationPort(one.host_port)]);
        delete(
            &mut batch,
            vec![ConntrackAttribute::CtaTupleOrig(vec![to_host]), filter(BY_PROTOCOL | BY_DESTINATION_PORT, 0)],
        );
        let from_container = vec![
            Tuple::Ip(vec![IPTuple::SourceAddress(IpAddr::V4(address))]),
            Tuple::Proto(vec![ProtoTuple::Protocol(Number::Udp), ProtoTuple::SourcePort(one.port)]),
        ];
        let flags = BY_SOURCE | BY_PROTOCOL | BY_SOURCE_PORT;
        delete(&mut batch, vec![ConntrackAttribute::CtaTupleReply(from_container), filter(0, flags)]);
    }
    if !any {
        return Ok(());
    }
    let outcomes = Socket::open(NETLINK_NETFILTER)?.exchange_each(&batch)?;
    outcomes.into_iter().find(|outcome| outcome.as_ref().is_err_and(|error| !is_harmless(error))).unwrap_or(Ok(()))
}

/// There was no such flow.
fn is_harmless(error: &Error) -> bool {
    error.errno() == Some(errno::ENOENT)
}
