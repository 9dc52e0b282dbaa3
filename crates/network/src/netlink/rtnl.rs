//! Interfaces, addresses and routes.

use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{
    AfSpecInet6, AfSpecUnspec, In6AddrGenMode, InfoBridgePort, InfoData, InfoKind, InfoPortData, InfoPortKind,
    InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;

use super::{Batch, Socket};
use crate::{Ipv4Net, Mac, Result};

/// Index of the loopback interface, the same in every namespace.
const LOOPBACK_INDEX: u32 = 1;

/// What is known of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interface {
    /// Its name.
    pub(crate) name: String,
    /// Its index.
    pub(crate) index: u32,
    /// Whether it is a bridge.
    pub(crate) bridge: bool,
    /// MTU in bytes.
    pub(crate) mtu: u32,
}

/// An address or a route that takes a part of the address space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Occupied {
    /// The part.
    pub(crate) net: Ipv4Net,
    /// Index of the interface, 0 if unknown.
    pub(crate) index: u32,
}

/// One pair of interfaces to make.
pub(crate) struct Pair<'a> {
    /// Name of the host's end.
    pub(crate) host_name: &'a str,
    /// The bridge to plug it into.
    pub(crate) bridge: u32,
    /// Namespace of the other end, `eth0`.
    pub(crate) netns: BorrowedFd<'a>,
    /// Its MAC address.
    pub(crate) mac: Mac,
    /// MTU of both ends.
    pub(crate) mtu: u32,
}

/// Opens a socket for the requests of this module.
pub(crate) fn socket() -> Result<Socket> {
    Socket::open(NETLINK_ROUTE)
}

fn link(index: u32, attributes: Vec<LinkAttribute>, up: bool) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    if up {
        message.header.flags = LinkFlags::Up;
        message.header.change_mask = LinkFlags::Up;
    }
    message.attributes = attributes;
    message
}

/// No link-local address appears when the interface comes up. A kernel without IPv6 refuses to be told.
fn without_ipv6_address() -> Option<LinkAttribute> {
    std::fs::exists("/proc/sys/net/ipv6").is_ok_and(|has_ipv6| has_ipv6).then(|| {
        LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet6(vec![AfSpecInet6::AddrGenMode(In6AddrGenMode::None)])])
    })
}

/// Asks for a bridge with a fixed MAC address, up.
pub(crate) fn add_bridge(batch: &mut Batch, name: &str, mac: Mac, mtu: u32) {
    let attributes = vec![
        LinkAttribute::IfName(name.to_owned()),
        LinkAttribute::Address(mac.to_vec()),
        LinkAttribute::Mtu(mtu),
        LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Bridge)]),
    ];
    let message = RouteNetlinkMessage::NewLink(link(0, attributes, true));
    batch.ask(message, NLM_F_CREATE | NLM_F_EXCL, format!("create the bridge {name}"));
}

/// Asks for a pair of interfaces: the host's end, up and plugged into a bridge (where it may send back what
/// came from it: a container that calls its own published port), the other end, still down, `eth0` in a namespace.
///
/// One queue each instead of one per processor: a third less time and kernel memory.
pub(crate) fn add_pair(batch: &mut Batch, pair: &Pair<'_>) {
    let queues = [LinkAttribute::NumTxQueues(1), LinkAttribute::NumRxQueues(1)];
    let mut peer = vec![
        LinkAttribute::IfName("eth0".to_owned()),
        LinkAttribute::Address(pair.mac.to_vec()),
        LinkAttribute::Mtu(pair.mtu),
        LinkAttribute::NetNsFd(pair.netns.as_raw_fd()),
    ];
    peer.extend(queues.clone());
    let mut attributes = vec![
        LinkAttribute::IfName(pair.host_name.to_owned()),
        LinkAttribute::Mtu(pair.mtu),
        LinkAttribute::Controller(pair.bridge),
        LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(link(0, peer, false)))),
        ]),
    ];
    attributes.extend(queues);
    let message = RouteNetlinkMessage::NewLink(link(0, attributes, false));
    batch.ask(message, NLM_F_CREATE | NLM_F_EXCL, format!("create the interface {}", pair.host_name));
    let mut port = vec![
        LinkAttribute::IfName(pair.host_name.to_owned()),
        LinkAttribute::LinkInfo(vec![
            LinkInfo::PortKind(InfoPortKind::Bridge),
            LinkInfo::PortData(InfoPortData::BridgePort(vec![InfoBridgePort::HairpinMode(true)])),
        ]),
    ];
    // The kernel takes this for an existing interface only, and acts on it before the interface is up only.
    port.extend(without_ipv6_address());
    let message = RouteNetlinkMessage::NewLink(link(0, port, false));
    batch.ask(message, 0, format!("set the bridge options of {}", pair.host_name));
    let up = link(0, vec![LinkAttribute::IfName(pair.host_name.to_owned())], true);
    batch.ask(RouteNetlinkMessage::NewLink(up), 0, format!("bring {} up", pair.host_name));
}

/// Requests that [`add_pair`] adds to a batch.
pub(crate) const PAIR_REQUESTS: usize = 3;

/// Asks for the loopback interface to come up.
pub(crate) fn raise_loopback(batch: &mut Batch) {
    raise(batch, LOOPBACK_INDEX);
}

/// Asks for an interface to come up.
pub(crate) fn raise(batch: &mut Batch, index: u32) {
    let message = RouteNetlinkMessage::SetLink(link(index, Vec::new(), true));
    batch.ask(message, 0, format!("bring interface {index} up"));
}

/// Asks for another MTU.
pub(crate) fn set_mtu(batch: &mut Batch, index: u32, mtu: u32) {
    let message = RouteNetlinkMessage::SetLink(link(index, vec![LinkAttribute::Mtu(mtu)], false));
    batch.ask(message, 0, format!("set the MTU {mtu}"));
}

/// Asks for another MAC address.
pub(crate) fn set_mac(batch: &mut Batch, index: u32, mac: Mac) {
    let message = RouteNetlinkMessage::SetLink(link(index, vec![LinkAttribute::Address(mac.to_vec())], false));
    batch.ask(message, 0, "set the MAC address");
}

/// Asks for the end of an interface.
pub(crate) fn remove(batch: &mut Batch, index: u32) {
    let message = RouteNetlinkMessage::DelLink(link(index, Vec::new(), false));
    batch.ask(message, 0, format!("remove interface {index}"));
}

fn address(index: u32, net: Ipv4Net) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.prefix_len = net.prefix_len();
    message.header.index = index;
    let ip = net.address().into();
    message.attributes = vec![AddressAttribute::Local(ip), AddressAttribute::Address(ip)];
    if net.prefix_len() < 31 {
        message.attributes.push(AddressAttribute::Broadcast(net.last()));
    }
    message
}

/// Asks for an address on an interface.
pub(crate) fn add_address(batch: &mut Batch, index: u32, net: Ipv4Net) {
    let message = RouteNetlinkMessage::NewAddress(address(index, net));
    batch.ask(message, NLM_F_CREATE | NLM_F_EXCL, format!("add the address {net}"));
}

/// Asks for an address to be taken off an interface.
pub(crate) fn remove_address(batch: &mut Batch, index: u32, net: Ipv4Net) {
    batch.ask(RouteNetlinkMessage::DelAddress(address(index, net)), 0, format!("remove the address {net}"));
}

/// Asks for a default route.
pub(crate) fn add_default_route(batch: &mut Batch, gateway: Ipv4Addr) {
    let mut message = RouteMessage::default();
    message.header.address_family = AddressFamily::Inet;
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::Boot;
    message.header.scope = RouteScope::Universe;
    message.header.kind = RouteType::Unicast;
    message.attributes = vec![RouteAttribute::Gateway(RouteAddress::Inet(gateway))];
    let message = RouteNetlinkMessage::NewRoute(message);
    batch.ask(message, NLM_F_CREATE | NLM_F_EXCL, format!("add a default route by {gateway}"));
}

/// An interface by its name; `None` where there is none.
pub(crate) fn interface(socket: &mut Socket, name: &str) -> Result<Option<Interface>> {
    let attributes = vec![LinkAttribute::IfName(name.to_owned())];
    find(socket, link(0, attributes, false), format!("look up the interface {name}"))
}

/// An interface by its index; `None` where there is none.
pub(crate) fn interface_at(socket: &mut Socket, index: u32) -> Result<Option<Interface>> {
    find(socket, link(index, Vec::new(), false), format!("look up interface {index}"))
}

/// Waits until an interface really carries packets.
///
/// The kernel acts on a carrier that came up only later, from a work queue, and drops packets until then: a
/// container's first packet would be lost and sent again after a second. To look up an interface (as
/// [`interface`] does too) makes it act at once.
pub(crate) fn settle(socket: &mut Socket, index: u32) -> Result<()> {
    interface_at(socket, index).map(drop)
}

fn find(socket: &mut Socket, wanted: LinkMessage, asked: String) -> Result<Option<Interface>> {
    let Some(RouteNetlinkMessage::NewLink(found)) = socket.get(RouteNetlinkMessage::GetLink(wanted), asked)? else {
        return Ok(None);
    };
    let mut interface = Interface { name: String::new(), index: found.header.index, bridge: false, mtu: 0 };
    for attribute in found.attributes {
        match attribute {
            LinkAttribute::IfName(name) => interface.name = name,
            LinkAttribute::Mtu(mtu) => interface.mtu = mtu,
            LinkAttribute::LinkInfo(info) => interface.bridge = info.contains(&LinkInfo::Kind(InfoKind::Bridge)),
            _ => {}
        }
    }
    Ok(Some(interface))
}

/// All IPv4 addresses of the namespace.
pub(crate) fn addresses(socket: &mut Socket) -> Result<Vec<Occupied>> {
    let mut wanted = AddressMessage::default();
    wanted.header.family = AddressFamily::Inet;
    let mut found = Vec::new();
    for message in socket.dump(&RouteNetlinkMessage::GetAddress(wanted), "list addresses")? {
        let RouteNetlinkMessage::NewAddress(message) = message else { continue };
        let local = message.attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Local(std::net::IpAddr::V4(ip)) => Some(*ip),
            _ => None,
        });
        if let Some(net) = local.and_then(|ip| Ipv4Net::new(ip, message.header.prefix_len)) {
            found.push(Occupied { net, index: message.header.index });
        }
    }
    Ok(found)
}

/// All IPv4 routes of the namespace; the default routes are those with a prefix of no bits.
pub(crate) fn routes(socket: &mut Socket) -> Result<Vec<Occupied>> {
    let mut wanted = RouteMessage::default();
    wanted.header.address_family = AddressFamily::Inet;
    let mut found = Vec::new();
    for message in socket.dump(&RouteNetlinkMessage::GetRoute(wanted), "list routes")? {
        let RouteNetlinkMessage::NewRoute(message) = message else { continue };
        let (mut destination, mut index) = (Ipv4Addr::UNSPECIFIED, 0);
        for attribute in &message.attributes {
            match attribute {
                RouteAttribute::Destination(RouteAddress::Inet(ip)) => destination = *ip,
                RouteAttribute::Oif(oif) => index = *oif,
                _ => {}
            }
        }
        if let Some(net) = Ipv4Net::new(destination, message.header.destination_prefix_length) {
            found.push(Occupied { net, index });
        }
    }
    Ok(found)
}
