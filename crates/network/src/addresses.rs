//! Which addresses of a subnet are in use.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use crate::{Error, Ipv4Net, Result};

/// Gives out a subnet's addresses, the one longest unused first, as far as that is known: the search goes on
/// where the last one ended, so that a neighbour does not meet a new container under a remembered address.
///
/// Its memory grows with the addresses in use, not with the subnet.
#[derive(Debug)]
pub(crate) struct Addresses {
    subnet: Ipv4Net,
    range: Ipv4Net,
    used: BTreeSet<u32>,
    fixed: BTreeSet<u32>,
    next: u32,
}

impl Addresses {
    /// Starts with all addresses free but the network's own, its broadcast address and those `reserved`.
    /// Automatic choices come from `range`, wishes from all of `subnet`.
    pub(crate) fn new(subnet: Ipv4Net, range: Ipv4Net, reserved: &[Ipv4Addr]) -> Self {
        let mut fixed: BTreeSet<u32> = reserved.iter().copied().map(u32::from).collect();
        if subnet.prefix_len() < 31 {
            fixed.extend([u32::from(subnet.network().address()), u32::from(subnet.last())]);
        }
        let next = range.network().address().into();
        Self { subnet, range, used: BTreeSet::new(), fixed, next }
    }

    /// Chooses a free address and marks it as used.
    pub(crate) fn choose(&mut self) -> Result<Ipv4Addr> {
        let first = u32::from(self.range.network().address());
        let last = u32::from(self.range.last());
        let found = (self.next..=last)
            .chain(first..self.next)
            .find(|address| !self.fixed.contains(address) && !self.used.contains(address))
            .ok_or(Error::NoFreeAddress { network: self.range.network() })?;
        self.used.insert(found);
        self.next = if found == last { first } else { found + 1 };
        Ok(found.into())
    }

    /// Marks a certain address as used.
    pub(crate) fn reserve(&mut self, address: Ipv4Addr) -> Result<()> {
        if !self.subnet.contains(address) || self.fixed.contains(&u32::from(address)) {
            return Err(Error::AddressOutside { address, network: self.subnet.network() });
        }
        if !self.used.insert(u32::from(address)) {
            return Err(Error::AddressTaken { address });
        }
        Ok(())
    }

    /// Marks an address as free.
    pub(crate) fn release(&mut self, address: Ipv4Addr) {
        self.used.remove(&u32::from(address));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn net(text: &str) -> Ipv4Net {
        text.parse().expect("a valid network")
    }

    fn small() -> Addresses {
        Addresses::new(net("10.1.0.0/29"), net("10.1.0.0/29"), &[Ipv4Addr::new(10, 1, 0, 1)])
    }

    #[test]
    fn an_address_is_not_used_again_at_once() {
        let mut addresses = small();
        let first = addresses.choose().expect("an address");
        assert_eq!(first, Ipv4Addr::new(10, 1, 0, 2));
        addresses.release(first);
        assert_eq!(addresses.choose().expect("an address"), Ipv4Addr::new(10, 1, 0, 3));
    }

    #[test]
    fn exhaustion_is_told_and_ends_with_a_release() {
        let mut addresses = small();
        let all: HashSet<_> = (0..5).map(|_| addresses.choose().expect("an address")).collect();
        assert_eq!(all.len(), 5);
        assert!(matches!(addresses.choose(), Err(Error::NoFreeAddress { .. })));
        addresses.release(Ipv4Addr::new(10, 1, 0, 4));
        assert_eq!(addresses.choose().expect("an address"), Ipv4Addr::new(10, 1, 0, 4));
    }

    #[test]
    fn wishes_are_checked() {
        let mut addresses = Addresses::new(net("10.1.0.0/24"), net("10.1.0.128/30"), &[Ipv4Addr::new(10, 1, 0, 1)]);
        addresses.reserve(Ipv4Addr::new(10, 1, 0, 9)).expect("outside the range but within the subnet");
        assert!(matches!(addresses.reserve(Ipv4Addr::new(10, 1, 0, 9)), Err(Error::AddressTaken { .. })));
        for refused in [[10, 1, 0, 0], [10, 1, 0, 1], [10, 1, 0, 255], [10, 2, 0, 9]] {
            assert!(matches!(addresses.reserve(refused.into()), Err(Error::AddressOutside { .. })));
        }
        assert_eq!(addresses.choose().expect("an address"), Ipv4Addr::new(10, 1, 0, 128));
    }

    proptest! {
        #[test]
        fn no_address_is_given_twice(releases in proptest::collection::vec(any::<bool>(), 0..200)) {
            let mut addresses = small();
            let mut held = Vec::new();
            for release in releases {
                if release && !held.is_empty() {
                    addresses.release(held.remove(0));
                } else if let Ok(address) = addresses.choose() {
                    prop_assert!(!held.contains(&address));
                    held.push(address);
                }
            }
        }
    }
}
