//! The firewall: one nftables table a bridge, spoken to by netlink.
//!
//! Tables of others are left alone, but for a [way through](passage) iptables' `FORWARD` chain where that drops by default.
//! A table of ours that an earlier daemon left is replaced in one
//! transaction that takes its elements over, so that published ports answer without a gap.

mod element;
mod passage;
mod rule;
mod ruleset;
mod transaction;
mod watch;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use netlink_packet_netfilter::NetfilterProtoFamily;

use crate::netlink::Socket;
use crate::{Link, Published, Result, conntrack};
use element::{Element, Set};
pub(crate) use ruleset::Policy;
use transaction::Transaction;
pub(crate) use watch::Watch;

/// How often the kernel's elements are listed again until a listing is like the one before.
const LISTINGS: usize = 16;

/// Multicast group with the changes of all tables (`NFNLGRP_NFTABLES`).
const CHANGES_GROUP: u32 = 7;

/// Something that is let through to a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Opening {
    /// A port published for the container at an address.
    Port(Published, Ipv4Addr),
    /// A link from one container to another.
    Link(Link),
}

impl Opening {
    /// None for a port at an address of IPv6, which is not led by the firewall.
    fn element(&self) -> Option<Element> {
        match self {
            Self::Port(published, address) => Element::published(published, *address),
            Self::Link(link) => Some(Element::link(link)),
        }
    }
}

/// The table of one bridge.
#[derive(Debug)]
pub(crate) struct Firewall {
    socket: Socket,
    table: String,
    policy: Policy,
    /// Families that have a table, with the sets in each.
    families: Vec<(NetfilterProtoFamily, &'static [Set])>,
    elements: BTreeSet<Element>,
}

impl Firewall {
    /// Installs the table, with the elements of the one it replaces.
    pub(crate) fn open(policy: Policy) -> Result<Self> {
        let socket = Socket::open(netlink_sys::protocols::NETLINK_NETFILTER)?;
        socket.widen()?;
        let mut families = vec![(NetfilterProtoFamily::IPv4, &Set::ALL[..])];
        if !policy.icc && !bridged_frames_are_filtered() {
            families.push((NetfilterProtoFamily::Bridge, &[Set::Links][..]));
        }
        let table = table_of(&policy.bridge);
        let mut firewall = Self { socket, table, policy, families, elements: BTreeSet::new() };
        firewall.elements = firewall.installed()?;
        firewall.install()?;
        if firewall.families.len() == 1 {
            transaction::discard_table(&mut firewall.socket, &firewall.table, NetfilterProtoFamily::Bridge)?;
        }
        // What stays in the way is told of as an obstacle; it must not keep the daemon from starting.
        let _ = firewall.pass();
        Ok(firewall)
    }

    /// Makes sure that other tools' default is not to drop what the table lets through.
    pub(crate) fn pass(&mut self) -> Result<()> {
        passage::open(&mut self.socket, &self.policy.bridge)
    }

    /// What of others keeps the bridge's packets from passing, a sentence each.
    pub(crate) fn obstacles(&mut self) -> Result<Vec<String>> {
        passage::obstacles(&mut self.socket, &self.policy.bridge)
    }

    /// Removes what an earlier daemon left for a bridge that is to have no firewall now.
    pub(crate) fn discard(bridge: &str) -> Result<()> {
        let mut socket = Socket::open(netlink_sys::protocols::NETLINK_NETFILTER)?;
        for family in [NetfilterProtoFamily::IPv4, NetfilterProtoFamily::Bridge] {
            transaction::discard_table(&mut socket, &table_of(bridge), family)?;
        }
        passage::close(&mut socket, bridge)
    }

    /// Puts the table in place as it should be, whatever is there.
    pub(crate) fn install(&mut self) -> Result<()> {
        let mut transaction = Transaction::new(&self.table);
        for (family, sets) in &self.families {
            let chains = match family {
                NetfilterProtoFamily::Bridge => ruleset::bridged(&self.policy),
                _ => ruleset::ipv4(&self.policy),
            };
            transaction.replace_table(*family);
            for (id, set) in (1..).zip(*sets) {
                transaction.add_set(*family, *set, id);
            }
            for chain in &chains {
                transaction.add_chain(*family, chain);
            }
            for chain in chains {
                for rule in chain.rules {
                    transaction.add_rule(*family, chain.name, rule);
                }
            }
            transaction.add_elements(*family, &members(&self.elements, sets));
        }
        transaction.commit(&mut self.socket)
    }

    /// Lets things through, all or none, in one transaction.
    pub(crate) fn open_up(&mut self, openings: &[Opening]) -> Result<()> {
        let elements: BTreeSet<Element> = openings.iter().filter_map(Opening::element).collect();
        self.change(&elements, &BTreeSet::new())
    }

    /// Takes things back, in one transaction.
    pub(crate) fn close_off(&mut self, openings: &[Opening]) -> Result<()> {
        let elements: BTreeSet<Element> = openings.iter().filter_map(Opening::element).collect();
        self.change(&BTreeSet::new(), &elements)
    }

    /// Makes what is let through exactly this.
    pub(crate) fn reconcile(&mut self, openings: &[Opening]) -> Result<()> {
        let wanted: BTreeSet<Element> = openings.iter().filter_map(Opening::element).collect();
        let surplus: BTreeSet<Element> = self.elements.difference(&wanted).cloned().collect();
        self.change(&wanted, &surplus)
    }

    fn change(&mut self, add: &BTreeSet<Element>, remove: &BTreeSet<Element>) -> Result<()> {
        let add: Vec<Element> = add.difference(&self.elements).cloned().collect();
        let remove: Vec<Element> = remove.intersection(&self.elements).cloned().collect();
        let mut transaction = Transaction::new(&self.table);
        for (family, sets) in &self.families {
            // Removed first: a key may come back with another value.
            transaction.remove_elements(*family, &members(&remove, sets));
            transaction.add_elements(*family, &members(&add, sets));
        }
        transaction.commit(&mut self.socket)?;
        for element in &remove {
            self.elements.remove(element);
        }
        self.elements.extend(add);
        Ok(())
    }

    /// The elements that the kernel has now. A set that has just grown is still being spread out anew by the kernel, and a
    /// listing then may lack some of it: what two listings agree on counts.
    fn installed(&mut self) -> Result<BTreeSet<Element>> {
        let mut elements = self.listed()?;
        for _ in 0..LISTINGS {
            let before = std::mem::replace(&mut elements, self.listed()?);
            if before == elements {
                break;
            }
        }
        Ok(elements)
    }

    fn listed(&mut self) -> Result<BTreeSet<Element>> {
        let mut elements = BTreeSet::new();
        for set in Set::ALL {
            elements.extend(transaction::elements(&mut self.socket, &self.table, set)?);
        }
        Ok(elements)
    }

    /// Removes the table.
    pub(crate) fn remove(&mut self) -> Result<()> {
        let mut transaction = Transaction::new(&self.table);
        for (family, _) in &self.families {
            transaction.remove_table(*family);
        }
        self.elements.clear();
        transaction.commit(&mut self.socket)?;
        passage::close(&mut self.socket, &self.policy.bridge)
    }

    /// Forgets UDP flows that would go on as if the ports of the container at `address` had not changed.
    pub(crate) fn forget_flows(&mut self, published: &[Published], address: Ipv4Addr) -> Result<()> {
        conntrack::forget(&mut self.socket, published, address)
    }

    /// The netlink address our own changes come from, and the name of the table.
    pub(crate) fn identity(&self) -> (u32, String) {
        (self.socket.port(), self.table.clone())
    }
}

/// The name of a bridge's table.
fn table_of(bridge: &str) -> String {
    format!("longshore_{bridge}")
}

/// The elements that belong to some sets.
fn members<'a>(elements: impl IntoIterator<Item = &'a Element>, sets: &[Set]) -> Vec<&'a Element> {
    elements.into_iter().filter(|element| sets.contains(&element.set)).collect()
}

/// Whether the kernel shows frames that a bridge passes on to the tables for IPv4.
fn bridged_frames_are_filtered() -> bool {
    std::fs::read_to_string("/proc/sys/net/bridge/bridge-nf-call-iptables").is_ok_and(|text| text.trim() == "1")
}

#[cfg(test)]
mod tests;
