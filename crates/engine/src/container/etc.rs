//! `/etc/hostname`, `/etc/hosts` and `/etc/resolv.conf`: files of the engine that are bound over the image's.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use api::quirk::Quirk;
use network::hosts::{self, Entry};
use network::resolv::{self, Overrides};
use serde::{Deserialize, Serialize};

use super::record::{NetworkMode, Record};
use crate::engine::Engine;
use crate::{Error, Result};

/// The three files on the host; an empty path stands for one that was not written yet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Files {
    pub(crate) hostname: PathBuf,
    pub(crate) hosts: PathBuf,
    pub(crate) resolv_conf: PathBuf,
}

impl Files {
    /// Where a container's own files are.
    fn of(engine: &Engine, record: &Record) -> Self {
        let folder = engine.container_folder(&record.id.hex());
        Self { hostname: folder.join("hostname"), hosts: folder.join("hosts"), resolv_conf: folder.join("resolv.conf") }
    }
}

/// Writes `resolv.conf` anew for a start; that is done before the container has joined its network.
pub(crate) fn write_resolver(engine: &Engine, record: &mut Record) -> Result<()> {
    let path = Files::of(engine, record).resolv_conf;
    let overrides = overrides(engine, record);
    let host = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let text = match record.network() {
        NetworkMode::Host => resolv::compose_shared(&host, &overrides),
        _ => resolv::compose(&host, &overrides),
    };
    put(&path, &text)?;
    Arc::make_mut(&mut record.files).resolv_conf = path;
    Ok(())
}

/// Writes the files that tell names anew, once the container has joined its network; in another's network it shares all
/// of the other's files.
pub(crate) fn write_names(engine: &Engine, record: &mut Record) -> Result<()> {
    if let NetworkMode::Container(name) = record.network() {
        record.files = Arc::clone(&engine.containers.find(name)?.record().files);
        return Ok(());
    }
    let own = Files::of(engine, record);
    put(&own.hostname, &format!("{}\n", full_name(record)))?;
    let text = match record.network() {
        NetworkMode::Host => {
            let host = fs::read_to_string("/etc/hosts").unwrap_or_default();
            host + &entries_text(&extra_hosts(engine, record)?)
        }
        _ => names(engine, record, None)?,
    };
    put(&own.hosts, &text)?;
    record.files = Arc::new(own);
    Ok(())
}

/// What `/etc/hostname` says: the bare name; of old with its domain.
fn full_name(record: &Record) -> String {
    let config = &record.config;
    match Quirk::OldHosts.is_in(record.host.annotations.as_ref()) && !config.domainname.is_empty() {
        true => format!("{}.{}", record.hostname(), config.domainname),
        false => record.hostname().to_owned(),
    }
}

/// Tells a running container the new address of one that it is linked to.
pub(crate) fn relink(engine: &Engine, parent: &Record, child: &Record) -> Result<()> {
    match parent.network() {
        NetworkMode::Bridge => put(&Files::of(engine, parent).hosts, &names(engine, parent, Some(child))?),
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

/// The text of `/etc/hosts` in a network of the container's own. `fresh` is a child that has just got its address.
fn names(engine: &Engine, record: &Record, fresh: Option<&Record>) -> Result<String> {
    let old = Quirk::OldHosts.is_in(record.host.annotations.as_ref());
    let (host, domain) = (record.hostname(), &record.config.domainname);
    let own_names = match old && domain.is_empty() {
        true => vec![host.to_owned()],
        false => hosts::own_names(host, domain),
    };
    let own = record.address.as_ref().map(|at| Entry::new(at.address, own_names));
    let mut entries = extra_hosts(engine, record)?;
    entries.extend(linked(engine, record, fresh, old));
    if old {
        return Ok(hosts::compose_own_first(own.as_ref(), &entries));
    }
    entries.extend(own);
    Ok(hosts::compose(&entries))
}

/// The containers that this one is linked to, by alias, host name and name; or by alias alone.
fn linked(engine: &Engine, record: &Record, fresh: Option<&Record>, alias_alone: bool) -> Vec<Entry> {
    let mut entries = Vec::new();
    for link in record.links.iter() {
        let known = || engine.containers.get(link.target).map(|child| child.record().as_ref().clone());
        let Some(child) = fresh.filter(|fresh| fresh.id == link.target).cloned().or_else(known) else { continue };
        if let Some(address) = &child.address {
            let mut names = vec![link.alias.clone()];
            for name in [&child.config.hostname, &child.name].into_iter().filter(|_| !alias_alone) {
                if !names.contains(name) {
                    names.push(name.clone());
                }
            }
            entries.push(Entry::new(address.address, names));
        }
    }
    entries
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
