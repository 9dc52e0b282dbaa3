//! What can go wrong, with what was asked and what stood in the way.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use crate::{Ipv4Net, Protocol};

/// A `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the network layer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refused a netlink request.
    #[error("cannot {asked}: {cause}{}", .detail.as_deref().map(|d| format!(" ({d})")).unwrap_or_default())]
    Netlink {
        /// What was asked, as a phrase that follows "cannot".
        asked: String,
        /// The kernel's errno.
        #[source]
        cause: io::Error,
        /// The kernel's extended acknowledgement, where it gave one.
        detail: Option<String>,
    },
    /// A system call or a file under `/proc/sys` failed.
    #[error("cannot {asked}: {cause}")]
    System {
        /// What was asked, as a phrase that follows "cannot".
        asked: String,
        /// The cause.
        #[source]
        cause: io::Error,
    },
    /// A host port is already taken: by one of our containers, or by a process of the host.
    ///
    /// The text is the one Docker gives and that clients match on.
    #[error("Bind for {ip}:{port} failed: port is already allocated")]
    PortTaken {
        /// Host address that was asked for.
        ip: IpAddr,
        /// Host port that was asked for.
        port: u16,
        /// Protocol that was asked for.
        protocol: Protocol,
        /// The container that holds the port; `None` when a process of the host does.
        holder: Option<String>,
    },
    /// The host has no such address to publish a port on.
    #[error("failed to bind host port for {ip}:{port}/{protocol}: cannot assign requested address")]
    HostAddress {
        /// Host address that was asked for.
        ip: IpAddr,
        /// Host port that was asked for.
        port: u16,
        /// Protocol that was asked for.
        protocol: Protocol,
    },
    /// Every port of the range is taken.
    #[error("all ports are allocated between {first} and {last} on {ip}")]
    NoFreePort {
        /// Host address that was asked for.
        ip: IpAddr,
        /// First port of the range.
        first: u16,
        /// Last port of the range.
        last: u16,
    },
    /// Every address of the network is in use.
    #[error("no available IPv4 addresses on this network's address pool: {network}")]
    NoFreeAddress {
        /// The network.
        network: Ipv4Net,
    },
    /// The wanted address is in use already.
    #[error("Address already in use: {address}")]
    AddressTaken {
        /// The wanted address.
        address: Ipv4Addr,
    },
    /// The wanted address does not lie within the network (or is its own, network or broadcast address).
    #[error("invalid address {address}: it cannot be used on {network}")]
    AddressOutside {
        /// The wanted address.
        address: Ipv4Addr,
        /// The network.
        network: Ipv4Net,
    },
    /// Every subnet the bridge could have used overlaps with one in use.
    #[error("could not find an available, non-overlapping IPv4 address pool: {}", .blocked.join("; "))]
    NoFreeSubnet {
        /// One line per candidate: the subnet, and the route or address that blocks it.
        blocked: Vec<String>,
    },
    /// The configuration contradicts itself.
    #[error("{0}")]
    Config(String),
    /// A network namespace could not be prepared; several waiting takers share the cause.
    #[error("cannot prepare a network namespace: {0}")]
    Sandbox(#[source] Arc<Error>),
}

impl Error {
    /// Wraps an I/O error with what was asked (a phrase that follows "cannot").
    pub(crate) fn system(asked: impl Into<String>, cause: impl Into<io::Error>) -> Self {
        Self::System { asked: asked.into(), cause: cause.into() }
    }

    /// The kernel's errno, where the error came from it.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Netlink { cause, .. } | Self::System { cause, .. } => cause.raw_os_error(),
            Self::Sandbox(cause) => cause.errno(),
            _ => None,
        }
    }
}
