//! A bridge: the network that containers share, its address space, firewall and pool of sandboxes.

use std::net::Ipv4Addr;

use crate::{Error, Ipv4Net, Link, Live, PortRequest, Published, Result, Sandbox, Wanted};

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
    /// Whether a firewall table is kept at all (`--iptables`). Without it ports can be published in name only.
    pub firewall: bool,
    /// Whether what leaves the bridge gets the host's address (`--ip-masq`).
    pub masquerade: bool,
    /// Whether IP forwarding is switched on (`--ip-forward`).
    pub forward: bool,
    /// Host address that ports are published on unless a request says otherwise (`--ip`).
    pub default_bind: Ipv4Addr,
    /// How many sandboxes are kept ready.
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
            pool_size: 12,
        }
    }
}

/// An open bridge. All methods may be called from any thread.
///
/// Dropping it ends its threads and leaves the interface and the firewall table as they are, so that running
/// containers keep their network; [`Bridge::destroy`] removes both.
#[derive(Debug)]
pub struct Bridge {
    config: BridgeConfig,
    net: Ipv4Net,
}

impl Bridge {
    /// Creates the bridge, or adopts it with its firewall table from an earlier daemon.
    ///
    /// The pool of sandboxes starts to fill at the first [`Bridge::reconcile`] or [`Bridge::take`], so that it
    /// cannot be given the address of a container that lives on.
    pub fn open(config: BridgeConfig) -> Result<Self> {
        Err(Error::Config(format!("the bridge {} cannot be opened yet", config.name)))
    }

    /// The configuration it was opened with.
    pub fn config(&self) -> &BridgeConfig {
        &self.config
    }

    /// The bridge's own address and the prefix length of its subnet.
    pub fn net(&self) -> Ipv4Net {
        self.net
    }

    /// Takes a sandbox out of the pool; waits for one to be made where the pool is empty.
    ///
    /// # Errors
    /// [`Error::AddressTaken`], [`Error::AddressOutside`], [`Error::NoFreeAddress`], [`Error::Sandbox`].
    pub fn take(&self, _wanted: Wanted) -> Result<Sandbox> {
        Err(Error::NoFreeAddress { network: self.net })
    }

    /// Gives an address back; the network namespace ends with its last descriptor.
    pub fn release(&self, _address: Ipv4Addr) {}

    /// Publishes ports of the container at `address`: all of them or, on an error, none.
    /// `container` is the holder that others are told of. The result is in the order of the requests.
    ///
    /// # Errors
    /// [`Error::PortTaken`], [`Error::HostAddress`], [`Error::NoFreePort`].
    pub fn publish(&self, _container: &str, _address: Ipv4Addr, _requests: &[PortRequest]) -> Result<Vec<Published>> {
        Ok(Vec::new())
    }

    /// Withdraws all published ports of a container.
    pub fn unpublish(&self, _container: &str) -> Result<()> {
        Ok(())
    }

    /// Lets one container reach a port of another in spite of `icc=false`.
    pub fn link(&self, _links: &[Link]) -> Result<()> {
        Ok(())
    }

    /// Withdraws links.
    pub fn unlink(&self, _links: &[Link]) -> Result<()> {
        Ok(())
    }

    /// Makes addresses, published ports and links exactly those of the containers that live: what is missing
    /// is restored, what belongs to nobody is removed. Then starts filling the pool.
    pub fn reconcile(&self, _live: &[Live]) -> Result<()> {
        Ok(())
    }

    /// Ends the bridge and removes its interface and firewall table.
    pub fn destroy(self) -> Result<()> {
        Ok(())
    }
}
