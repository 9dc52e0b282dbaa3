//! The fixed rules of a bridge's table.
//!
//! Made once; a container only adds elements to the maps and sets. Everything is about the bridge alone: for
//! other packets the chains do nothing. The hooks accept by default, and an `accept` here does not overrule
//! another table's drop: a user's own table with a forward chain can forbid what we allow.

use netlink_packet_netfilter::nftables::Operator::{Equal, NotEqual};

use super::element::Set;
use super::rule::Direction::{In, Out};
use super::rule::{Field, Rule};
use crate::Ipv4Net;

/// What the rules depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    /// Name of the bridge.
    pub(crate) bridge: String,
    /// Its subnet.
    pub(crate) subnet: Ipv4Net,
    /// Whether containers may talk to each other.
    pub(crate) icc: bool,
    /// Whether what leaves the bridge gets the host's address.
    pub(crate) masquerade: bool,
    /// How the names of the bridge's ports start.
    pub(crate) port_prefix: String,
}

/// A chain with its place in the kernel.
pub(super) struct Chain {
    /// Its name.
    pub(super) name: &'static str,
    /// `filter` or `nat`.
    pub(super) kind: &'static str,
    /// Number of the netfilter hook.
    pub(super) hook: u32,
    /// Place among the hook's chains.
    pub(super) priority: i32,
    /// Its rules.
    pub(super) rules: Vec<Rule>,
}

const PRE_ROUTING: u32 = 0;
pub(super) const FORWARD: u32 = 2;
const LOCAL_OUT: u32 = 3;
const POST_ROUTING: u32 = 4;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;

const LINK_FIELDS: [Field; 4] = [Field::Source, Field::Destination, Field::Protocol, Field::DestinationPort];
const LINK_REPLY_FIELDS: [Field; 4] = [Field::Destination, Field::Source, Field::Protocol, Field::SourcePort];

/// Sends packets for published ports to their containers.
fn redirects() -> [Rule; 2] {
    [
        Rule::default().redirect(&[Field::Protocol, Field::Destination, Field::DestinationPort], Set::Addressed.name()),
        Rule::default().for_host().redirect(&[Field::Protocol, Field::DestinationPort], Set::Wildcard.name()),
    ]
}

/// Containers must not reach what listens on the host's loopback addresses, although the bridge routes them
/// (`route_localnet`) for the sake of ports called by 127.0.0.1.
fn guard(policy: &Policy) -> Vec<Rule> {
    vec![Rule::default().interface(In, Equal, &policy.bridge).within(Field::Destination, Ipv4Net::LOOPBACK).drop()]
}

/// Neighbours on the wire must not reach a port published on 127.0.0.1, so packets to it that come from
/// outside are never redirected.
fn prerouting() -> Vec<Rule> {
    let mut rules = vec![Rule::default().within(Field::Destination, Ipv4Net::LOOPBACK).accept()];
    rules.extend(redirects());
    rules
}

fn forward(policy: &Policy) -> Vec<Rule> {
    let to_bridge = || Rule::default().interface(Out, Equal, &policy.bridge);
    let between = || Rule::default().interface(In, Equal, &policy.bridge).interface(Out, Equal, &policy.bridge);
    let mut rules = vec![to_bridge().established().accept(), to_bridge().translated().accept()];
    if policy.icc {
        rules.push(between().accept());
    } else {
        rules.push(between().in_set(&LINK_FIELDS, Set::Links.name()).accept());
        rules.push(between().in_set(&LINK_REPLY_FIELDS, Set::Links.name()).accept());
        rules.push(between().drop());
    }
    rules.push(Rule::default().interface(In, Equal, &policy.bridge).accept());
    rules.push(to_bridge().drop());
    rules
}

fn postrouting(policy: &Policy) -> Vec<Rule> {
    let to_bridge = || Rule::default().interface(Out, Equal, &policy.bridge);
    let mut rules = vec![
        // A container cannot answer 127.0.0.1.
        to_bridge().within(Field::Source, Ipv4Net::LOOPBACK).masquerade(),
        // A container that called the host must not be answered by the other one directly.
        to_bridge().within(Field::Source, policy.subnet).translated().masquerade(),
    ];
    if policy.masquerade {
        let leaving = Rule::default().within(Field::Source, policy.subnet).interface(Out, NotEqual, &policy.bridge);
        rules.push(leaving.masquerade());
    }
    rules
}

/// The chains of the table for IPv4.
pub(super) fn ipv4(policy: &Policy) -> Vec<Chain> {
    let chain = |name, kind, hook, priority, rules| Chain { name, kind, hook, priority, rules };
    vec![
        chain("guard", "filter", PRE_ROUTING, -300, guard(policy)),
        chain("prerouting", "nat", PRE_ROUTING, -100, prerouting()),
        chain("output", "nat", LOCAL_OUT, -100, redirects().to_vec()),
        chain("forward", "filter", FORWARD, 0, forward(policy)),
        chain("postrouting", "nat", POST_ROUTING, 100, postrouting(policy)),
    ]
}

/// The chains of the table for frames that the bridge passes on without routing them. Needed only with
/// `icc` off, and where the kernel does not show such frames to the table for IPv4 (`br_netfilter`).
pub(super) fn bridged(policy: &Policy) -> Vec<Chain> {
    let from_port = || Rule::default().interface_prefix(In, Equal, policy.port_prefix.as_bytes());
    let ipv4 = || from_port().ethertype(ETHERTYPE_IPV4);
    let rules = vec![
        ipv4().in_set(&LINK_FIELDS, Set::Links.name()).accept(),
        ipv4().in_set(&LINK_REPLY_FIELDS, Set::Links.name()).accept(),
        ipv4().drop(),
        from_port().ethertype(ETHERTYPE_IPV6).drop(),
    ];
    vec![Chain { name: "forward", kind: "filter", hook: FORWARD, priority: -200, rules }]
}
