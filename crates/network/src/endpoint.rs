//! What is asked for, and handed out, on behalf of one container.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::OwnedFd;

use serde::{Deserialize, Serialize};

use crate::{Ipv4Net, Protocol};

/// A MAC address.
pub type Mac = [u8; 6];

/// What a container insists on; whatever is `None` is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// A certain address of the bridge's subnet.
    pub address: Option<Ipv4Addr>,
    /// A certain MAC address; by default it is derived from the address ([`derived_mac`]).
    pub mac: Option<Mac>,
}

/// A network namespace with a configured `lo` and `eth0`, plugged into the bridge.
///
/// Dropping [`Sandbox::netns`] (and the last process in it) destroys the namespace and its interfaces.
#[derive(Debug)]
pub struct Sandbox {
    /// The network namespace; close-on-exec.
    pub netns: OwnedFd,
    /// Address of `eth0`.
    pub address: Ipv4Addr,
    /// Prefix length of the address in bits.
    pub prefix_len: u8,
    /// MAC address of `eth0`.
    pub mac: Mac,
    /// The default route's next hop: the bridge's own address.
    pub gateway: Ipv4Addr,
    /// Name of the host's end of the pair of interfaces.
    pub host_interface: String,
}

/// Which host port a container port is published on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostPort {
    /// Any free port of the dynamic range (`net.ipv4.ip_local_port_range`).
    #[default]
    Dynamic,
    /// This port.
    Exact(u16),
    /// Any free port from the first to the last, both included.
    Range(u16, u16),
}

/// One container port to publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortRequest {
    /// Host address to publish on; `None` means the bridge's default ([`crate::BridgeConfig::default_bind`]), and if that
    /// is any address, then those of IPv6 as well.
    pub host_ip: Option<IpAddr>,
    /// Host port to publish on.
    pub host_port: HostPort,
    /// Port inside the container.
    pub port: u16,
    /// Protocol.
    pub protocol: Protocol,
    /// The host need not have the address (yet).
    #[serde(default)]
    pub any_address: bool,
}

/// One published container port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Published {
    /// Host address, `0.0.0.0` or `::` for all. The firewall leads what comes to one of IPv4 to the container; one of
    /// IPv6 has a socket ([`crate::Bridge::doors`]) whose holder carries what comes there.
    pub host_ip: IpAddr,
    /// Host port.
    pub host_port: u16,
    /// Port inside the container.
    pub port: u16,
    /// Protocol.
    pub protocol: Protocol,
}

/// A permission for one container to reach one port of another where containers are otherwise kept
/// apart (`icc=false`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Link {
    /// Who may connect.
    pub source: Ipv4Addr,
    /// To whom.
    pub destination: Ipv4Addr,
    /// On which port.
    pub port: u16,
    /// With which protocol.
    pub protocol: Protocol,
}

/// What a container that outlived its daemon still uses; see [`crate::Bridge::reconcile`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Live {
    /// The container, as [`crate::Bridge::publish`] was told.
    pub container: String,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its published ports.
    pub published: Vec<Published>,
    /// Its links to other containers.
    pub links: Vec<Link>,
}

/// The MAC address that belongs to an address: `02:42` and the four bytes of the address, as Docker derives
/// it. Neighbours' caches therefore stay right when an address is used again.
pub fn derived_mac(address: Ipv4Addr) -> Mac {
    let [a, b, c, d] = address.octets();
    [0x02, 0x42, a, b, c, d]
}

/// The address of `eth0` and its network.
impl Sandbox {
    /// Address and prefix length together.
    pub fn net(&self) -> Option<Ipv4Net> {
        Ipv4Net::new(self.address, self.prefix_len)
    }
}
