//! Bridges, addresses, firewall, ports: is handed a network namespace, knows no containers.

mod bridge;
mod endpoint;
mod error;
pub mod hosts;
mod loopback;
mod protocol;
pub mod resolv;
mod subnet;

pub use bridge::{Bridge, BridgeConfig};
pub use endpoint::{HostPort, Link, Live, Mac, PortRequest, Published, Sandbox, Wanted, derived_mac};
pub use error::{Error, Result};
pub use loopback::LoopbackPool;
pub use protocol::Protocol;
pub use subnet::{InvalidNet, Ipv4Net};
