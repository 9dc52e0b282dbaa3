//! Ports: what a container wants published, and how the result is shown.

use std::collections::BTreeMap;
use std::net::IpAddr;

use api::container::PortSummary;
use api::host_config::{PortBinding, PortMap};
use api::quirk::Quirk;
use model::Port;
use network::{HostPort, PortRequest, Published, Wanted};

use super::links::exposed;
use super::record::Record;
use crate::engine::Engine;
use crate::{Error, Result};

/// The address and MAC address that the container insists on.
pub(crate) fn wanted(record: &Record) -> Result<Wanted> {
    let ipam = record.endpoint.ipam_config.as_ref();
    let text = ipam.map_or("", |ipam| ipam.ipv4_address.as_str());
    let address = match text {
        "" => None,
        text => Some(text.parse().map_err(|_| Error::invalid(format!("invalid IPv4 address: {text}")))?),
    };
    let mac = [&record.endpoint.mac_address, &record.config.mac_address].into_iter().find(|mac| !mac.is_empty());
    Ok(Wanted { address, mac: mac.map(|mac| parse_mac(mac)).transpose()? })
}

/// Reads `02:42:ac:11:00:02`.
pub(crate) fn parse_mac(text: &str) -> Result<network::Mac> {
    let invalid = || Error::invalid(format!("{text} is not a valid mac address"));
    let mut mac = network::Mac::default();
    let mut parts = text.split([':', '-']);
    for byte in &mut mac {
        let part = parts.next().filter(|part| part.len() == 2).ok_or_else(invalid)?;
        *byte = u8::from_str_radix(part, 16).map_err(|_| invalid())?;
    }
    if parts.next().is_some() { Err(invalid()) } else { Ok(mac) }
}

/// A MAC address as the API prints it.
pub(crate) fn mac_text(mac: network::Mac) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

/// What the container wants published, in a fixed order.
pub(crate) fn requests(record: &Record) -> Result<Vec<PortRequest>> {
    let mut requests = Vec::new();
    let bindings = record.host.port_bindings.as_ref();
    let any_address = Quirk::AnyAddress.is_in(record.host.annotations.as_ref());
    for (port, bindings) in bindings.into_iter().flatten() {
        let port = parse_port(port)?;
        for binding in bindings.iter().flatten() {
            requests.push(request(port, binding, any_address)?);
        }
    }
    if record.host.publish_all_ports {
        let bound = |port: &Port| {
            bindings
                .and_then(|map| map.get(&port.to_string()))
                .is_some_and(|list| list.as_ref().is_some_and(|l| !l.is_empty()))
        };
        for port in exposed(&record.config).into_iter().filter(|port| !bound(port)) {
            requests.push(request(port, &PortBinding::default(), any_address)?);
        }
    }
    Ok(requests)
}

fn request(port: Port, binding: &PortBinding, any_address: bool) -> Result<PortRequest> {
    let host_ip: Option<IpAddr> = match binding.host_ip.as_str() {
        "" => None,
        text => Some(text.parse().map_err(|_| Error::invalid(format!("invalid IP address: {text}")))?),
    };
    if port.protocol == model::Protocol::Sctp && host_ip.is_some_and(|ip| ip.is_ipv6()) {
        return Err(Error::not_implemented(format!(
            "publishing {port} on an IPv6 address is not supported yet; use an IPv4 address"
        )));
    }
    Ok(PortRequest {
        host_ip,
        host_port: host_port(&binding.host_port)?,
        port: port.number,
        protocol: protocol(port.protocol),
        any_address,
    })
}

fn host_port(text: &str) -> Result<HostPort> {
    let number = |text: &str| {
        text.trim().parse::<u16>().map_err(|_| Error::invalid(format!("invalid port specification: \"{text}\"")))
    };
    match text.split_once('-') {
        None if text.is_empty() || text == "0" => Ok(HostPort::Dynamic),
        None => Ok(HostPort::Exact(number(text)?)),
        Some((first, last)) => {
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return Err(Error::invalid(format!("invalid port specification: \"{text}\"")));
            }
            Ok(HostPort::Range(first, last))
        }
    }
}

/// Reads `80/tcp`.
pub(crate) fn parse_port(text: &str) -> Result<Port> {
    text.parse().map_err(|_| Error::invalid(format!("invalid port specification: \"{text}\"")))
}

/// Checks all that can be checked before a start.
pub(crate) fn validate(config: &api::container::ContainerConfig, bindings: Option<&PortMap>) -> Result<()> {
    for port in config.exposed_ports.iter().flatten().map(|(port, _)| port) {
        parse_port(port)?;
    }
    for (port, bindings) in bindings.into_iter().flatten() {
        let port = parse_port(port)?;
        for binding in bindings.iter().flatten() {
            request(port, binding, false)?;
        }
    }
    Ok(())
}

/// The protocol in the network's words.
pub(crate) fn protocol(protocol: model::Protocol) -> network::Protocol {
    match protocol {
        model::Protocol::Tcp => network::Protocol::Tcp,
        model::Protocol::Udp => network::Protocol::Udp,
        model::Protocol::Sctp => network::Protocol::Sctp,
    }
}

/// Docker's sentence for a taken port, and who holds it if it is one of ours. Holders are known by id, for a name may
/// change while the port stays.
pub(crate) fn taken_text(engine: &Engine, error: &network::Error) -> String {
    match error {
        network::Error::PortTaken { holder: Some(id), .. } => {
            let holder = engine.containers.find(id).map_or_else(|_| id.clone(), |holder| holder.record().name.clone());
            format!("{error} (it is published by container {holder}; stop it or choose another port)")
        }
        _ => error.to_string(),
    }
}

/// `NetworkSettings.Ports`: published ones with their bindings, the other exposed ones with `null`.
pub(crate) fn port_map(record: &Record) -> PortMap {
    let mut map: PortMap = BTreeMap::new();
    if record.address.is_none() {
        return map;
    }
    for port in exposed(&record.config) {
        map.insert(port.to_string(), None);
    }
    for published in published(record) {
        let binding =
            PortBinding { host_ip: published.host_ip.to_string(), host_port: published.host_port.to_string() };
        map.entry(format!("{}/{}", published.port, published.protocol))
            .or_default()
            .get_or_insert_default()
            .push(binding);
    }
    map
}

/// `Ports` of a list.
pub(crate) fn summary(record: &Record) -> Vec<PortSummary> {
    if record.address.is_none() {
        return Vec::new();
    }
    let mut ports: Vec<_> = published(record)
        .iter()
        .map(|published| PortSummary {
            ip: Some(published.host_ip.to_string()),
            private_port: published.port,
            public_port: Some(published.host_port),
            r#type: published.protocol.to_string(),
        })
        .collect();
    for port in exposed(&record.config) {
        let kind = port.protocol.to_string();
        if !ports.iter().any(|have| have.private_port == port.number && have.r#type == kind) {
            ports.push(PortSummary { private_port: port.number, r#type: kind, ..PortSummary::default() });
        }
    }
    ports.sort();
    ports
}

fn published(record: &Record) -> &[Published] {
    record.address.as_ref().map_or(&[], |address| &address.published)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_ports_are_read() {
        assert_eq!(host_port("").ok(), Some(HostPort::Dynamic));
        assert_eq!(host_port("8080").ok(), Some(HostPort::Exact(8080)));
        assert_eq!(host_port("8080-8090").ok(), Some(HostPort::Range(8080, 8090)));
        assert!(host_port("90-80").is_err());
        assert!(host_port("http").is_err());
    }

    #[test]
    fn mac_addresses() {
        let mac = parse_mac("02:42:ac:11:00:02").unwrap_or_default();
        assert_eq!(mac_text(mac), "02:42:ac:11:00:02");
        assert!(parse_mac("02:42:ac:11:00").is_err());
        assert!(parse_mac("02:42:ac:11:00:02:03").is_err());
    }
}
