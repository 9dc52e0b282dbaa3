//! Choosing a subnet that nothing on the host uses.

use std::net::Ipv4Addr;

use crate::netlink::{Socket, rtnl};
use crate::{Error, Ipv4Net, Result};

/// The subnets a bridge may get, in Docker's order: 172.17.0.0/16 to 172.31.0.0/16, then 192.168.0.0/16 in
/// sixteen parts.
fn candidates() -> impl Iterator<Item = Ipv4Net> {
    let large = (17..=31).filter_map(|second| Ipv4Net::new(Ipv4Addr::new(172, second, 0, 0), 16));
    let small = (0..=240).step_by(16).filter_map(|third| Ipv4Net::new(Ipv4Addr::new(192, 168, third, 0), 20));
    large.chain(small)
}

/// A use of a part of the address space.
#[derive(Clone, Debug)]
struct Use {
    net: Ipv4Net,
    text: String,
}

/// The first candidate that no live route or address overlaps, as the bridge's own address: its first one.
///
/// # Errors
/// [`Error::NoFreeSubnet`] tells what blocked each candidate.
pub(crate) fn choose(socket: &mut Socket) -> Result<Ipv4Net> {
    let mut uses = Vec::new();
    let addresses = rtnl::addresses(socket)?.into_iter().map(|found| ("address", found));
    let routes = rtnl::routes(socket)?.into_iter().map(|found| ("route", found));
    for (kind, found) in addresses.chain(routes).filter(|(_, found)| found.net.prefix_len() > 0) {
        let interface = rtnl::interface_at(socket, found.index)?;
        let name = interface.map_or_else(|| "an unknown interface".to_owned(), |interface| interface.name);
        uses.push(Use { net: found.net, text: format!("{kind} {} on {name}", found.net) });
    }
    first_free(&uses)
}

fn first_free(uses: &[Use]) -> Result<Ipv4Net> {
    let mut blocked = Vec::new();
    for candidate in candidates() {
        match uses.iter().find(|one| one.net.overlaps(candidate)) {
            Some(one) => blocked.push(format!("{candidate} overlaps {}", one.text)),
            None => {
                let first = Ipv4Addr::from(u32::from(candidate.address()) + 1);
                return Ipv4Net::new(first, candidate.prefix_len())
                    .ok_or_else(|| Error::Config(format!("invalid subnet {candidate}")));
            }
        }
    }
    Err(Error::NoFreeSubnet { blocked })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(text: &str) -> Use {
        Use { net: text.parse().expect("a valid network"), text: format!("route {text} on vpn0") }
    }

    #[test]
    fn first_choice_and_what_blocks_it() {
        assert_eq!(first_free(&[]).expect("free").to_string(), "172.17.0.1/16");
        assert_eq!(first_free(&[used("172.17.3.0/24")]).expect("free").to_string(), "172.18.0.1/16");
        assert_eq!(first_free(&[used("172.16.0.0/12")]).expect("free").to_string(), "192.168.0.1/20");
        let error = first_free(&[used("172.16.0.0/12"), used("192.168.0.0/16")]).expect_err("all blocked");
        let text = error.to_string();
        assert!(text.contains("172.17.0.0/16 overlaps route 172.16.0.0/12 on vpn0"), "{text}");
        assert!(text.contains("192.168.240.0/20 overlaps route 192.168.0.0/16 on vpn0"), "{text}");
    }
}
