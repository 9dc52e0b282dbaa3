//! Links: what one container is told about another.

use std::net::Ipv4Addr;

use api::container::ContainerConfig;
use model::{Port, Protocol};

use super::record::{Link, Record};
use super::{etc, ports};
use crate::engine::Engine;
use crate::{Error, Result};

/// Reads `container[:alias]`; without an alias it is the container's name.
pub(crate) fn parse(link: &str) -> Result<(&str, &str)> {
    let invalid = || Error::invalid(format!("bad format for links: {link}"));
    let (name, alias) = link.split_once(':').unwrap_or((link, link));
    let alias = alias.rsplit('/').next().unwrap_or(alias);
    if link.is_empty() {
        return Err(Error::invalid("empty string specified for links"));
    }
    if name.is_empty() || alias.is_empty() || alias.contains(':') {
        return Err(invalid());
    }
    Ok((name, alias))
}

/// The variables of a link; `None` while its target does not run.
pub(crate) fn variables(parent: &Record, link: &Link, child: &Record) -> Option<Vec<String>> {
    let address = child.address.as_ref().filter(|_| child.state.status.has_process())?;
    Some(environment(&parent.name, &link.alias, address.address, &child.config))
}

/// The variables that a container linked as `alias` gives to `parent`.
fn environment(parent: &str, alias: &str, address: Ipv4Addr, child: &ContainerConfig) -> Vec<String> {
    let prefix = alias.replace('-', "_").to_uppercase();
    let mut ports = exposed(child);
    ports.sort_by_key(|port| (port.number, port.protocol != Protocol::Tcp));
    let mut env = Vec::new();
    let url = |port: &Port| format!("{}://{address}:{}", port.protocol, port.number);
    if let Some(first) = ports.first() {
        env.push(format!("{prefix}_PORT={}", url(first)));
    }
    for port in &ports {
        let name = format!("{prefix}_PORT_{}_{}", port.number, port.protocol.as_str().to_uppercase());
        env.push(format!("{name}={}", url(port)));
        env.push(format!("{name}_ADDR={address}"));
        env.push(format!("{name}_PORT={}", port.number));
        env.push(format!("{name}_PROTO={}", port.protocol));
    }
    env.push(format!("{prefix}_NAME=/{parent}/{alias}"));
    for entry in child.env.iter().flatten() {
        // Two names are the container's own affair (Docker leaves them out).
        if let Some((key, value)) = entry.split_once('=')
            && key != "HOME"
            && key != "PATH"
        {
            env.push(format!("{prefix}_ENV_{key}={value}"));
        }
    }
    env
}

/// The ports that a configuration exposes; what is malformed was refused at create.
pub(crate) fn exposed(config: &ContainerConfig) -> Vec<Port> {
    config.exposed_ports.iter().flatten().filter_map(|(port, _)| port.parse().ok()).collect()
}

/// What a container's links let through where containers are otherwise kept apart.
pub(crate) fn openings(engine: &Engine, record: &Record) -> Vec<network::Link> {
    let children = record.links.iter().filter_map(|link| engine.containers.get(link.target));
    children.flat_map(|child| opening(record, &child.record())).collect()
}

/// What one container may reach of another that it is linked to.
fn opening(parent: &Record, child: &Record) -> Vec<network::Link> {
    let (Some(source), Some(destination)) = (&parent.address, &child.address) else { return Vec::new() };
    let port = |port: Port| network::Link {
        source: source.address,
        destination: destination.address,
        port: port.number,
        protocol: ports::protocol(port.protocol),
    };
    exposed(&child.config).into_iter().map(port).collect()
}

/// Links a container that starts with those that run: it may reach its children, and its parents find it again at its
/// new address. The links end with the address of either.
pub(crate) fn establish(engine: &Engine, record: &Record) -> Result<()> {
    let Some(bridge) = &engine.bridge else { return Ok(()) };
    let mut open = openings(engine, record);
    for parent in engine.containers.linked_to(record.id) {
        let parent = parent.record();
        if parent.id != record.id && parent.state.status.has_process() {
            etc::relink(engine, &parent, record)?;
            open.extend(opening(&parent, record));
        }
    }
    if bridge.config().icc || open.is_empty() {
        return Ok(());
    }
    bridge.link(&open).map_err(|error| Error::system(format!("cannot open the links: {error}")).caused_by(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_read() {
        assert_eq!(parse("db:database").ok(), Some(("db", "database")));
        assert_eq!(parse("/db:/web/database").ok(), Some(("/db", "database")));
        assert_eq!(parse("db").ok(), Some(("db", "db")));
        assert!(parse("db:").is_err());
        assert!(parse("").is_err());
    }

    #[test]
    fn variables_name_the_lowest_port_first() {
        let child = ContainerConfig {
            exposed_ports: Some([("6379/tcp", ()), ("53/udp", ())].map(|(p, ())| (p.into(), api::Empty {})).into()),
            env: Some(vec!["A=b".into(), "PATH=/bin".into()]),
            ..Default::default()
        };
        let env = environment("web", "my-db", Ipv4Addr::new(172, 17, 0, 2), &child);
        assert_eq!(env[0], "MY_DB_PORT=udp://172.17.0.2:53");
        assert!(env.contains(&"MY_DB_PORT_6379_TCP_PROTO=tcp".to_owned()));
        assert!(env.contains(&"MY_DB_NAME=/web/my-db".to_owned()));
        assert!(env.contains(&"MY_DB_ENV_A=b".to_owned()));
        assert!(!env.iter().any(|entry| entry.contains("_ENV_PATH")));
    }
}
