//! Bridges, addresses, firewall, ports: is handed a network namespace, knows no containers.
//!
//! A [`Bridge`] owns an interface of the host, a pool of network namespaces plugged into it, and one nftables
//! table with fixed rules; a container's start takes a namespace and adds elements to the table's maps.
//! Nothing here runs another program, and nothing waits on the network.

mod addresses;
mod bridge;
mod conntrack;
mod endpoint;
mod error;
mod firewall;
pub mod hosts;
mod loopback;
mod netlink;
mod pool;
mod ports;
pub mod resolv;
mod sandbox;
mod space;
mod subnet;
mod sysctl;

pub use bridge::{Bridge, BridgeConfig};
pub use endpoint::{HostPort, Link, Live, Mac, PortRequest, Published, Sandbox, Wanted, derived_mac};
pub use error::{Error, Result};
pub use loopback::LoopbackPool;
pub use model::Protocol;
pub use subnet::{InvalidNet, Ipv4Net};
