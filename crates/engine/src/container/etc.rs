//! `/etc/hostname`, `/etc/hosts` and `/etc/resolv.conf`: files of the engine that are bound over the image's.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use network::hosts::{self, Entry};
use network::resolv::{self, Overrides};

use super::record::{NetworkMode, Record};
use crate::engine::Engine;
use crate::{Error, Result};

/// The three files on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Files {
    pub(crate) hostname: PathBuf,
    pub(crate) hosts: PathBuf,
    pub(crate) resolv_conf: PathBuf,
}

impl Files {
    /// Where a container's own files are.
    pub(crate) fn of(engine: &Engine, record: &Record) -> Self {
        let folder = engine.container_folder(&record.id.hex());
        Self { hostname: folder.join("hostname"), hosts: folder.join("hosts"), resolv_conf: folder.join("resolv.conf") }
    }
}

/// Writes the files anew for a start; a container in another's network shares the other's.
pub(crate) fn write(engine: &Engine, record: &Record) -> Result<Files> {
    let own = Files::of(engine, record);
    let mode = record.network();
    if let NetworkMode::Container(name) = mode {
        let other = engine.containers.find(name)?.record();
        return Ok(Files::of(engine, &other));
    }
    put(&own.hostname, &format!("{}\n", record.config.hostname))?;
    let overrides = overrides(engine, record);
    let host_resolv = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    if let NetworkMode::Host = mode {
        let mut text = fs::read_to_string("/etc/hosts").unwrap_or_default();
        text.push_str(&entries_text(&extra_hosts(engine, record)?));
        put(&own.hosts, &text)?;
        put(&own.resolv_conf, &resolv::compose_shared(&host_resolv, &overrides))?;
        return Ok(own);
    }
    put(&own.hosts, &hosts::compose(&entries(engine, record, None)?))?;
    put(&own.resolv_conf, &resolv::compose(&host_resolv, &overrides))?;
    Ok(own)
}

/// Tells a running container the new address of one that it is linked to.
pub(crate) fn relink(engine: &Engine, parent: &Record, child: &Record) -> Result<()> {
    match parent.network() {
        NetworkMode::Bridge => {
            let entries = entries(engine, parent, Some(child))?;
            put(&Files::of(engine, parent).hosts, &hosts::compose(&entries))
        }
        _ => Ok(()),
    }
}

fn overrides(engine: &Engine, record: &Record) -> Overrides {
    let choose = |own: &Option<Vec<String>>, daemon: Vec<String>| match own {
        Some(own) if !own.is_empty() => own.clone(),
        _ => daemon,
    };
    let servers = engine.config.dns.iter().map(ToString::to_string).collect();
    Overrides {
        servers: choose(&record.host.dns, servers),
        search: choose(&record.host.dns_search, engine.config.dns_search.clone()),
        options: choose(&record.host.dns_options, engine.config.dns_options.clone()),
    }
}

/// Extra hosts, then links, then the container itself. `fresh` is a child that has just got its address.
fn entries(engine: &Engine, record: &Record, fresh: Option<&Record>) -> Result<Vec<Entry>> {
    let mut entries = extra_hosts(engine, record)?;
    for link in record.links.iter() {
        let known = || engine.containers.get(link.target).map(|child| child.record().as_ref().clone());
        let Some(child) = fresh.filter(|fresh| fresh.id == link.target).cloned().or_else(known) else { continue };
        if let Some(address) = &child.address {
            let mut names = vec![link.alias.clone()];
            for name in [&child.config.hostname, &child.name] {
                if !names.contains(name) {
                    names.push(name.clone());
                }
            }
            entries.push(Entry::new(address.address, names));
        }
    }
    if let Some(address) = &record.address {
        entries.push(Entry::new(address.address, hosts::own_names(&record.config.hostname, &record.config.domainname)));
    }
    Ok(entries)
}

fn extra_hosts(engine: &Engine, record: &Record) -> Result<Vec<Entry>> {
    let gateway = engine.bridge.as_ref().map_or(Ipv4Addr::LOCALHOST, |bridge| bridge.net().address());
    record
        .host
        .extra_hosts
        .iter()
        .flatten()
        .map(|entry| {
            let (name, address) = split_extra_host(entry)?;
            let address = match address {
                "host-gateway" => IpAddr::V4(gateway),
                text => {
                    text.parse().map_err(|_| Error::invalid(format!("invalid IP address in add-host: \"{text}\"")))?
                }
            };
            Ok(Entry::new(address, [name]))
        })
        .collect()
}

/// Splits `name:address`; the address may be IPv6 and hold colons itself.
pub(crate) fn split_extra_host(entry: &str) -> Result<(&str, &str)> {
    match entry.split_once(':') {
        Some((name, address)) if !name.is_empty() && !address.is_empty() => {
            Ok((name, address.trim_start_matches('[').trim_end_matches(']')))
        }
        _ => Err(Error::invalid(format!("bad format for add-host: \"{entry}\""))),
    }
}

fn entries_text(entries: &[Entry]) -> String {
    entries.iter().map(|entry| format!("{}\t{}\n", entry.address, entry.names.join(" "))).collect()
}

fn put(path: &Path, text: &str) -> Result<()> {
    // Written in place: a running container that shares the file has this very inode mounted.
    fs::write(path, text)
        .map_err(|error| Error::system(format!("cannot write {}: {error}", path.display())).caused_by(error))
}
