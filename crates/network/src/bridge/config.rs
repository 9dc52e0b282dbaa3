//! How a bridge is set up.

use std::net::Ipv4Addr;

use crate::{Error, Ipv4Net, Result};

/// Longest name of an interface in bytes.
const NAME_BYTES: usize = 15;

/// How a bridge is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BridgeConfig {
    /// Name of the interface, at most 15 bytes.
    pub name: String,
    /// The bridge's own address (`--bip`). `None`: the one it has already, or a subnet that nothing uses.
    pub address: Option<Ipv4Net>,
    /// Part of the subnet that containers' addresses are taken from (`--fixed-cidr`); `None`: all of it.
    pub fixed_cidr: Option<Ipv4Net>,
    /// The containers' default gateway; `None`: the bridge's own address.
    pub default_gateway: Option<Ipv4Addr>,
    /// MTU in bytes; 0: that of the default route's interface, or 1500.
    pub mtu: u32,
    /// Whether containers may talk to each other over the bridge.
    pub icc: bool,
    /// Whether a firewall table is kept at all (`--iptables`). Without it ports are published in name only.
    pub firewall: bool,
    /// Whether what leaves the bridge gets the host's address (`--ip-masq`).
    pub masquerade: bool,
    /// Whether IP forwarding is switched on (`--ip-forward`).
    pub forward: bool,
    /// Host address that ports are published on unless a request says otherwise (`--ip`).
    pub default_bind: Ipv4Addr,
    /// Whether ports that are published on any address are on those of IPv6, too (`--userland-proxy`).
    pub dual_ports: bool,
    /// How many sandboxes are kept ready. Each holds two descriptors and one address.
    pub pool_size: usize,
}

impl Default for BridgeConfig {
    fn default() -> Self {
        Self {
            name: "longshore0".to_owned(),
            address: None,
            fixed_cidr: None,
            default_gateway: None,
            mtu: 0,
            icc: true,
            firewall: true,
            masquerade: true,
            forward: true,
            default_bind: Ipv4Addr::UNSPECIFIED,
            dual_ports: true,
            pool_size: 12,
        }
    }
}

impl BridgeConfig {
    /// The kernel's rules for names, and none that would lead elsewhere under `/proc/sys`.
    pub(super) fn check_name(&self) -> Result<()> {
        let name = self.name.as_str();
        let invalid = name.is_empty()
            || name.len() > NAME_BYTES
            || matches!(name, "." | ".." | "all" | "default")
            || name.chars().any(|c| c.is_whitespace() || c.is_control() || matches!(c, '/' | ':' | '%'));
        if invalid {
            return Err(Error::Config(format!("invalid bridge name {name:?}: it must have 1 to {NAME_BYTES} bytes")));
        }
        Ok(())
    }

    /// Addresses must lie where the subnet is.
    pub(super) fn check_addresses(&self, net: Ipv4Net) -> Result<()> {
        if let Some(range) = self.fixed_cidr
            && !(net.contains(range.network().address()) && net.contains(range.last()))
        {
            return Err(Error::Config(format!("the fixed CIDR {range} does not lie within the bridge's {net}")));
        }
        if let Some(gateway) = self.default_gateway
            && !net.contains(gateway)
        {
            return Err(Error::Config(format!("the default gateway {gateway} does not lie within the bridge's {net}")));
        }
        Ok(())
    }

    /// How the names of the host's ends of the pairs start: `veth` as users expect, then four digits that
    /// tell the bridges of several daemons apart (FNV-1a of the bridge's name).
    pub(super) fn port_prefix(&self) -> String {
        let hash =
            self.name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        format!("veth{:04x}", (hash >> 16) ^ (hash & 0xffff))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        let named = |name: &str| BridgeConfig { name: name.to_owned(), ..BridgeConfig::default() }.check_name();
        named("docker0").expect("a good name");
        for name in ["", "a/b", "..", "sixteen-bytes-xx", "a b", "all", "eth%d"] {
            assert!(named(name).is_err(), "{name}");
        }
    }

    #[test]
    fn addresses_are_checked() {
        let net: Ipv4Net = "10.1.0.1/24".parse().expect("a valid network");
        let with = |cidr: &str| BridgeConfig { fixed_cidr: cidr.parse().ok(), ..BridgeConfig::default() };
        with("10.1.0.128/25").check_addresses(net).expect("within");
        with("10.1.0.0/16").check_addresses(net).expect_err("wider");
        let gateway = BridgeConfig { default_gateway: Some(Ipv4Addr::new(10, 2, 0, 1)), ..BridgeConfig::default() };
        gateway.check_addresses(net).expect_err("elsewhere");
    }
}
