//! Published ports as the command line and old API versions write them.

use std::net::IpAddr;

use crate::port::{InvalidPort, Port, PortRange, split_protocol};

/// One port of a container and where on the host it shall be reachable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortMapping {
    /// The port in the container.
    pub port: Port,
    /// The host address; `None` means the engine's default.
    pub host_ip: Option<IpAddr>,
    /// The host port or a range to choose one from; `None` means any free port.
    pub host: Option<PortRange>,
}

/// Why a text is no port specification.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPortSpec {
    /// The container's port is missing.
    #[error("no port specified: {0}<empty>")]
    NoPort(String),
    /// A port or protocol is malformed.
    #[error(transparent)]
    Port(#[from] InvalidPort),
    /// The container port is malformed.
    #[error("invalid containerPort: {0}")]
    ContainerPort(String),
    /// The host port is malformed.
    #[error("invalid hostPort: {0}")]
    HostPort(String),
    /// The address is malformed.
    #[error("invalid IP address: {0}")]
    Address(String),
    /// Host and container range differ in length.
    #[error("invalid ranges specified for container and host Ports: {container} and {host}")]
    Ranges {
        /// The container's range as written.
        container: String,
        /// The host's range as written.
        host: String,
    },
}

/// Parses `[[address:][host]:]container[/protocol]`, where host and container may be ranges, into one mapping a
/// container port: `80`, `8080:80`, `127.0.0.1::80/udp`, `[::1]:8000-8010:80-90`.
///
/// A host range for a single container port means "any free one of these".
///
/// # Errors
/// The part that is malformed, in the words of Docker's command line.
pub fn parse_port_spec(spec: &str) -> Result<Vec<PortMapping>, InvalidPortSpec> {
    let (address, host, container) = split(spec);
    let (container, protocol) = split_protocol(container)?;
    if container.is_empty() {
        return Err(InvalidPortSpec::NoPort(spec.to_owned()));
    }
    let host_ip = parse_address(address)?;
    let ports: PortRange = container.parse().map_err(|_| InvalidPortSpec::ContainerPort(container.to_owned()))?;
    let host_ports: Option<PortRange> = match host {
        "" => None,
        text => Some(text.parse().map_err(|_| InvalidPortSpec::HostPort(text.to_owned()))?),
    };
    let host_at = |offset: u32| -> Option<PortRange> {
        let range = host_ports?;
        if ports.count() == 1 { Some(range) } else { range.ports().nth(offset as usize).map(PortRange::from) }
    };
    if host_ports.is_some_and(|range| range.count() != ports.count() && ports.count() != 1) {
        return Err(InvalidPortSpec::Ranges { container: container.to_owned(), host: host.to_owned() });
    }
    Ok((0..)
        .zip(ports.ports())
        .map(|(offset, number)| PortMapping { port: Port { number, protocol }, host_ip, host: host_at(offset) })
        .collect())
}

/// Address, host part and container part; the container is after the last colon, the host between the last two.
fn split(spec: &str) -> (&str, &str, &str) {
    match spec.rsplit_once(':') {
        None => ("", "", spec),
        Some((rest, container)) => match rest.rsplit_once(':') {
            None => ("", rest, container),
            Some((address, host)) => (address, host, container),
        },
    }
}

fn parse_address(text: &str) -> Result<Option<IpAddr>, InvalidPortSpec> {
    if text.is_empty() {
        return Ok(None);
    }
    let bare = text.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(text);
    bare.parse().map(Some).map_err(|_| InvalidPortSpec::Address(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Protocol;
    use proptest::prelude::*;

    fn one(spec: &str) -> (String, Option<String>, Option<String>) {
        let all = parse_port_spec(spec).unwrap();
        assert_eq!(all.len(), 1, "{spec}");
        let mapping = &all[0];
        (mapping.port.to_string(), mapping.host_ip.map(|ip| ip.to_string()), mapping.host.map(|host| host.to_string()))
    }

    #[test]
    fn forms() {
        let text = |value: &str| Some(value.to_owned());
        assert_eq!(one("80"), ("80/tcp".into(), None, None));
        assert_eq!(one("8080:80/udp"), ("80/udp".into(), None, text("8080")));
        assert_eq!(one("127.0.0.1::80"), ("80/tcp".into(), text("127.0.0.1"), None));
        assert_eq!(one("[::1]:8080:80"), ("80/tcp".into(), text("::1"), text("8080")));
        assert_eq!(one("::1:8080:80"), ("80/tcp".into(), text("::1"), text("8080")));
        assert_eq!(one("8000-8010:80"), ("80/tcp".into(), None, text("8000-8010")));
    }

    #[test]
    fn ranges() {
        let all = parse_port_spec("8000-8010:80-90/udp").unwrap();
        assert_eq!(all.len(), 11);
        assert_eq!(all[10].port, Port { number: 90, protocol: Protocol::Udp });
        assert_eq!(all[10].host, Some(8010.into()));
        assert_eq!(parse_port_spec("0-65535").unwrap().len(), 65536);
        assert!(matches!(parse_port_spec("8000-8001:80-90"), Err(InvalidPortSpec::Ranges { .. })));
    }

    #[test]
    fn refused() {
        for bad in ["", ":", "8080:", "a:80", "1.2.3:80:80", "80/icmp", "99999", "x:1:2:3"] {
            assert!(parse_port_spec(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(spec in "[0-9a-f:./\\[\\]-]{0,30}") {
            let _ = parse_port_spec(&spec);
        }
    }
}
