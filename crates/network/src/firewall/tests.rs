//! Against the kernel, each test in a network namespace of its own. Needs root.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use netlink_packet_netfilter::nftables::{NfTablesMessage, RuleAttribute, RuleMessage, TableAttribute, TableMessage};
use netlink_packet_netfilter::{NetfilterHeader, NetfilterMessage, NetfilterMessageInner};
use netlink_sys::protocols::NETLINK_NETFILTER;

use super::*;
use crate::{Ipv4Net, Protocol};

const CONTAINER: Ipv4Addr = Ipv4Addr::new(172, 17, 0, 2);

fn isolated(test: impl FnOnce() + Send + 'static) {
    let outcome = std::thread::spawn(|| {
        sys::netns::unshare().expect("a network namespace (needs root)");
        test();
    })
    .join();
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

fn policy(icc: bool) -> Policy {
    Policy {
        bridge: "lsh0".into(),
        subnet: Ipv4Net::new(Ipv4Addr::new(172, 17, 0, 0), 16).expect("a prefix within 32 bits"),
        icc,
        masquerade: true,
        port_prefix: "veth0123".into(),
    }
}

fn element(opening: Opening) -> Element {
    opening.element().expect("of IPv4")
}

fn port(host_port: u16) -> Opening {
    let published = Published { host_ip: Ipv4Addr::UNSPECIFIED.into(), host_port, port: 80, protocol: Protocol::Tcp };
    Opening::Port(published, CONTAINER)
}

fn dump(message: NfTablesMessage) -> Vec<NfTablesMessage> {
    let header = NetfilterHeader::new(NetfilterProtoFamily::Unspec, 0, 0);
    let mut socket = Socket::open(NETLINK_NETFILTER).expect("a socket");
    let answers = socket.dump(&NetfilterMessage::new(header, message), "look around").expect("a dump");
    answers
        .into_iter()
        .filter_map(|answer| match answer.inner {
            NetfilterMessageInner::NfTables(message) => Some(message),
            _ => None,
        })
        .collect()
}

fn tables() -> Vec<String> {
    let mut names = Vec::new();
    for message in dump(NfTablesMessage::GetTable(TableMessage { attributes: Vec::new() })) {
        let NfTablesMessage::NewTable(table) = message else { continue };
        names.extend(table.attributes.into_iter().filter_map(|attribute| match attribute {
            TableAttribute::Name(name) => Some(name),
            _ => None,
        }));
    }
    names.sort();
    names
}

/// Rules of our table, chain by chain in the kernel's order.
fn rules() -> Vec<String> {
    let mut chains = Vec::new();
    for message in dump(NfTablesMessage::GetRule(RuleMessage { attributes: Vec::new() })) {
        let NfTablesMessage::NewRule(rule) = message else { continue };
        chains.extend(rule.attributes.into_iter().filter_map(|attribute| match attribute {
            RuleAttribute::Chain(name) => Some(name),
            _ => None,
        }));
    }
    chains
}

/// What a tool that knows nothing of us does.
fn foreign(change: impl FnOnce(&mut Transaction)) {
    let mut socket = Socket::open(NETLINK_NETFILTER).expect("a socket");
    let mut transaction = Transaction::new("longshore_lsh0");
    change(&mut transaction);
    transaction.commit(&mut socket).expect("a change");
}

fn eventually(what: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    while !what() {
        if start.elapsed() > Duration::from_secs(60) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    true
}

#[test]
fn the_kernel_has_what_was_asked_for() {
    isolated(|| {
        let mut firewall = Firewall::open(policy(true)).expect("a table");
        assert_eq!(tables(), ["longshore_lsh0"]);
        let whole: usize = ruleset::ipv4(&policy(true)).iter().map(|chain| chain.rules.len()).sum();
        assert_eq!(rules().len(), whole);
        firewall.open_up(&[port(8080), port(8081)]).expect("two ports");
        firewall.close_off(&[port(8081), port(9999)]).expect("one port, and one that is not there");
        assert_eq!(firewall.installed().expect("elements"), [element(port(8080))].into());
        firewall.install().expect("again");
        assert_eq!(rules().len(), whole);
        assert_eq!(firewall.installed().expect("elements"), [element(port(8080))].into());
        firewall.remove().expect("removed");
        assert!(tables().is_empty());
    });
}

#[test]
fn tables_of_others_are_left_alone() {
    isolated(|| {
        let mut socket = Socket::open(NETLINK_NETFILTER).expect("a socket");
        let mut transaction = Transaction::new("somebody");
        transaction.replace_table(NetfilterProtoFamily::IPv4);
        transaction.add_set(NetfilterProtoFamily::IPv4, Set::Wildcard, 1);
        transaction.add_elements(NetfilterProtoFamily::IPv4, &[&element(port(1))]);
        transaction.commit(&mut socket).expect("a table of somebody else");
        let mut firewall = Firewall::open(policy(false)).expect("a table");
        firewall.open_up(&[port(8080)]).expect("a port");
        firewall.reconcile(&[]).expect("no port");
        firewall.remove().expect("removed");
        assert_eq!(tables(), ["somebody"]);
        let elements = transaction::elements(&mut socket, "somebody", Set::Wildcard).expect("elements");
        assert_eq!(elements, [element(port(1))]);
    });
}

#[test]
fn a_later_daemon_takes_over() {
    isolated(|| {
        let link = Opening::Link(Link {
            source: CONTAINER,
            destination: Ipv4Addr::new(172, 17, 0, 3),
            port: 5432,
            protocol: Protocol::Tcp,
        });
        let mut first = Firewall::open(policy(false)).expect("a table");
        first.open_up(&[port(8080), port(8081), link]).expect("openings");
        drop(first);
        let mut second = Firewall::open(policy(false)).expect("the table");
        assert_eq!(second.installed().expect("elements").len(), 3);
        second.reconcile(&[port(8081), port(8082), link]).expect("reconciled");
        let wanted = [port(8081), port(8082), link].map(element).into();
        assert_eq!(second.installed().expect("elements"), wanted);
    });
}

#[test]
fn a_table_that_is_not_needed_any_more_goes() {
    isolated(|| {
        // A kernel without this setting, or where it is off, needs a table for bridged frames.
        let _ = std::fs::write("/proc/sys/net/bridge/bridge-nf-call-iptables", "0");
        Firewall::open(policy(false)).expect("two tables");
        assert_eq!(tables(), ["longshore_lsh0", "longshore_lsh0"]);
        Firewall::open(policy(true)).expect("one table");
        assert_eq!(tables(), ["longshore_lsh0"]);
        Firewall::open(policy(false)).expect("two tables");
        Firewall::discard("lsh0").expect("no table");
        assert!(tables().is_empty());
        Firewall::discard("lsh0").expect("still none");
    });
}

#[test]
fn a_removed_table_comes_back() {
    isolated(|| {
        let mut firewall = Firewall::open(policy(true)).expect("a table");
        firewall.open_up(&[port(8080)]).expect("a port");
        let before = rules();
        let firewall = Arc::new(Mutex::new(firewall));
        let watch = Watch::open(&firewall).expect("a watch");
        for _ in 0..2 {
            foreign(|transaction| transaction.remove_table(NetfilterProtoFamily::IPv4));
            assert!(eventually(|| rules() == before), "the whole table");
        }
        foreign(|transaction| {
            transaction.remove_elements(NetfilterProtoFamily::IPv4, &[&element(port(8080))]);
        });
        let installed = || !firewall.lock().expect("a lock").installed().expect("elements").is_empty();
        assert!(eventually(installed), "a single element");
        // What we remove ourselves stays away.
        firewall.lock().expect("a lock").remove().expect("removed");
        std::thread::sleep(Duration::from_millis(300));
        assert!(tables().is_empty());
        drop(watch);
    });
}

#[test]
fn thousands_of_ports_are_one_transaction() {
    isolated(|| {
        let mut firewall = Firewall::open(policy(true)).expect("a table");
        let ports: Vec<Opening> = (20_000..23_000).map(port).collect();
        firewall.open_up(&ports).expect("ports");
        assert_eq!(firewall.installed().expect("elements").len(), 3_000);
        firewall.install().expect("again, with all of them");
        firewall.close_off(&ports).expect("no ports");
        assert!(firewall.installed().expect("elements").is_empty());
    });
}

#[test]
fn a_transaction_fails_as_a_whole() {
    isolated(|| {
        let mut firewall = Firewall::open(policy(true)).expect("a table");
        foreign(|transaction| transaction.remove_table(NetfilterProtoFamily::IPv4));
        let error = firewall.open_up(&[port(8080)]).expect_err("there is no table");
        assert_eq!(error.errno(), Some(crate::netlink::errno::ENOENT));
        assert!(error.to_string().starts_with("cannot add elements to the set published"), "{error}");
        firewall.install().expect("restored");
        firewall.open_up(&[port(8080)]).expect("a port");
    });
}
