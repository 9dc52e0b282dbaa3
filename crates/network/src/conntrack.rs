//! Forgetting flows that the kernel still remembers the old way.
//!
//! A UDP flow is remembered for as long as it goes on: without this a client that keeps sending would not
//! notice that a port was published, or that another container has it now.

use std::net::{IpAddr, Ipv4Addr};

use netlink_packet_core::{DefaultNla, Emitable, NLA_F_NESTED};
use netlink_packet_netfilter::conntrack::{ConntrackMessage, IPTuple, ProtoTuple, Protocol as Number, Tuple};
use netlink_packet_netfilter::{NetfilterHeader, NetfilterMessage, NetfilterProtoFamily};

use crate::netlink::{Batch, Socket, errno};
use crate::{Error, Protocol, Published, Result};

/// `IPCTNL_MSG_CT_DELETE`.
const DELETE: u8 = 2;
/// `CTA_FILTER` and, within it, which fields of the two tuples count.
const FILTER: u16 = 25;
const FILTER_ORIGINAL: u16 = 1;
const FILTER_REPLY: u16 = 2;
const BY_SOURCE: u32 = 1 << 0;
const BY_PROTOCOL: u32 = 1 << 3;
const BY_SOURCE_PORT: u32 = 1 << 4;
const BY_DESTINATION_PORT: u32 = 1 << 5;

/// Asks for the end of all flows that agree with `tuple` in the fields of `flags`; `direction` is the
/// flow's own (`FILTER_ORIGINAL`) or that of its answers (`FILTER_REPLY`).
fn forget_flows(batch: &mut Batch, direction: u16, tuple: &[Tuple], flags: u32) {
    let mut value = vec![0; tuple.buffer_len()];
    tuple.emit(&mut value);
    // The tuples' attributes have the numbers of the filter's: 1 the original, 2 the reply.
    let tuple = DefaultNla::new(direction | NLA_F_NESTED, value);
    let mut value = vec![0; 8];
    DefaultNla::new(direction, flags.to_ne_bytes().to_vec()).emit(&mut value);
    let filter = DefaultNla::new(FILTER | NLA_F_NESTED, value);
    let header = NetfilterHeader::new(NetfilterProtoFamily::IPv4, 0, 0);
    // The packet crate's own type for deletions forgets the nested flag of attributes it does not know.
    let message = ConntrackMessage::Other { message_type: DELETE, attributes: vec![tuple, filter] };
    batch.ask(NetfilterMessage::new(header, message), 0, "forget UDP flows");
}

/// Forgets the UDP flows to these published ports of the container at `address`, and those that were
/// going to their host ports before.
pub(crate) fn forget(socket: &mut Socket, published: &[Published], address: Ipv4Addr) -> Result<()> {
    let mut batch = Batch::default();
    let mut any = false;
    for one in published.iter().filter(|one| one.protocol == Protocol::Udp && one.host_ip.is_ipv4()) {
        any = true;
        let to_host =
            [Tuple::Proto(vec![ProtoTuple::Protocol(Number::Udp), ProtoTuple::DestinationPort(one.host_port)])];
        forget_flows(&mut batch, FILTER_ORIGINAL, &to_host, BY_PROTOCOL | BY_DESTINATION_PORT);
        let from_container = [
            Tuple::Ip(vec![IPTuple::SourceAddress(IpAddr::V4(address))]),
            Tuple::Proto(vec![ProtoTuple::Protocol(Number::Udp), ProtoTuple::SourcePort(one.port)]),
        ];
        forget_flows(&mut batch, FILTER_REPLY, &from_container, BY_SOURCE | BY_PROTOCOL | BY_SOURCE_PORT);
    }
    if !any {
        return Ok(());
    }
    let outcomes = socket.exchange_each(&batch)?;
    outcomes.into_iter().find(|outcome| outcome.as_ref().is_err_and(|error| !is_harmless(error))).unwrap_or(Ok(()))
}

/// There was no such flow; or a kernel before 5.8 cannot look for one (`EINVAL`), which leaves a busy client
/// to notice the change when it pauses.
fn is_harmless(error: &Error) -> bool {
    matches!(error.errno(), Some(errno::ENOENT | errno::EINVAL | errno::EOPNOTSUPP))
}
