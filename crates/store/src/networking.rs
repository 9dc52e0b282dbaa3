//! Addresses and published ports of containers.

use std::net::IpAddr;

use model::{ContainerId, Protocol};

use crate::store::{key, text};
use crate::{Error, Reader, Result, Transaction};

/// A container's place in a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The container.
    pub container: ContainerId,
    /// The network's name or id.
    pub network: String,
    /// Its address there, if the network gives addresses.
    pub address: Option<IpAddr>,
    /// Its hardware address, `02:42:…`.
    pub mac: String,
}

/// A host port that leads to a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortBooking {
    /// Host address; `0.0.0.0` and `::` mean all of their family.
    pub address: IpAddr,
    /// Host port, not 0.
    pub port: u16,
    /// Transport protocol.
    pub protocol: Protocol,
    /// The container.
    pub container: ContainerId,
    /// The port in the container.
    pub container_port: u16,
}

impl Reader<'_> {
    /// All endpoints.
    ///
    /// # Errors
    /// [`Error::Key`] if a row is malformed.
    pub fn endpoints(&self) -> Result<Vec<Endpoint>> {
        self.rows("SELECT container, network, address, mac FROM endpoints", [], |row| {
            let address: Option<String> = row.get(2)?;
            Ok(Endpoint {
                container: key("endpoints", text(row, 0)?)?,
                network: text(row, 1)?.to_owned(),
                address: address.map(|address| key("endpoints", &address)).transpose()?,
                mac: text(row, 3)?.to_owned(),
            })
        })
    }

    /// All booked ports.
    ///
    /// # Errors
    /// [`Error::Key`] if a row is malformed.
    pub fn ports(&self) -> Result<Vec<PortBooking>> {
        self.rows("SELECT address, port, protocol, container, container_port FROM ports", [], booking)
    }
}

fn booking(row: &rusqlite::Row<'_>) -> Result<PortBooking> {
    Ok(PortBooking {
        address: key("ports", text(row, 0)?)?,
        port: row.get(1)?,
        protocol: key("ports", text(row, 2)?)?,
        container: key("ports", text(row, 3)?)?,
        container_port: row.get(4)?,
    })
}

impl Transaction<'_> {
    /// Adds or replaces a container's endpoint in a network.
    ///
    /// # Errors
    /// [`Error::AddressTaken`] if another container has the address there.
    pub fn put_endpoint(&self, endpoint: &Endpoint) -> Result<()> {
        let container = endpoint.container.hex();
        let address = endpoint.address.map(|address| address.to_string());
        if let Some(address) = &address {
            let holder = self.first(
                "SELECT container FROM endpoints WHERE network = ?1 AND address = ?2",
                (&endpoint.network, address),
                |row| Ok(text(row, 0)?.to_owned()),
            )?;
            if let Some(holder) = holder.filter(|holder| *holder != container) {
                return Err(Error::AddressTaken { address: address.clone(), holder });
            }
        }
        self.execute(
            "INSERT INTO endpoints(container, network, address, mac) VALUES(?1, ?2, ?3, ?4)
             ON CONFLICT(container, network) DO UPDATE SET address = excluded.address, mac = excluded.mac",
            (container, &endpoint.network, address, &endpoint.mac),
        )?;
        Ok(())
    }

    /// Removes all endpoints of a container.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn remove_endpoints(&self, container: &ContainerId) -> Result<()> {
        self.execute("DELETE FROM endpoints WHERE container = ?1", [container.hex()])?;
        Ok(())
    }

    /// Books a host port. A wildcard address collides with every address of its family.
    ///
    /// # Errors
    /// [`Error::PortTaken`].
    pub fn book_port(&self, wanted: &PortBooking) -> Result<()> {
        let booked = self.rows(
            "SELECT address, port, protocol, container, container_port FROM ports WHERE port = ?1 AND protocol = ?2",
            (wanted.port, wanted.protocol.as_str()),
            booking,
        )?;
        if let Some(other) = booked.iter().find(|other| collide(other.address, wanted.address)) {
            return Err(Error::PortTaken {
                address: wanted.address,
                port: wanted.port,
                protocol: wanted.protocol,
                holder: other.container.hex(),
            });
        }
        self.execute(
            "INSERT INTO ports(address, port, protocol, container, container_port) VALUES(?1, ?2, ?3, ?4, ?5)",
            (
                wanted.address.to_string(),
                wanted.port,
                wanted.protocol.as_str(),
                wanted.container.hex(),
                wanted.container_port,
            ),
        )?;
        Ok(())
    }

    /// Frees all ports of a container.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn free_ports(&self, container: &ContainerId) -> Result<()> {
        self.execute("DELETE FROM ports WHERE container = ?1", [container.hex()])?;
        Ok(())
    }
}

fn collide(one: IpAddr, other: IpAddr) -> bool {
    one == other || (one.is_ipv4() == other.is_ipv4() && (one.is_unspecified() || other.is_unspecified()))
}
