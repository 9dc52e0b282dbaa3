//! Bridges, addresses, firewall, ports: is handed a network namespace, knows no containers.
//!
//! A [`Bridge`] owns an interface of the host, a pool of network namespaces plugged into it, and one nftables
//! table with fixed rules; a container's start takes a namespace and adds elements to the table's maps.
//! Nothing here runs another program, and nothing waits on the network.
//!
//! The table is `ip longshore_<bridge>` (with `icc` off, and where the kernel does not show bridged frames to
//! it, `bridge longshore_<bridge>` as well). It is ours alone: it is put back when somebody removes it, and what
//! a user adds to it is lost. Rules of one's own belong into a table of one's own, which we never touch: a
//! chain there at the `forward` hook can drop what ours accepts. Only where the policy of iptables' `FORWARD` is to drop,
//! two rules at its head let the bridge through.

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
