//! What can be refused before anything is made: contradictions, impossible limits, what is not supported.

use api::container::ContainerConfig;
use api::host_config::HostConfig;
use api::quirk::Quirk;

use super::record::{NetworkMode, Record};
use super::{cpuset, etc, health, links, ports, security, stop};
use crate::restart::Policy;
use crate::{Error, Result};

/// Docker's smallest memory limit: below it programs cannot even start.
const LEAST_MEMORY_BYTES: i64 = 6 << 20;

/// Checks a configuration that was merged with its image's, and the host configuration.
pub(crate) fn validate(config: &ContainerConfig, host: &HostConfig) -> Result<()> {
    portable(config)?;
    if !Quirk::StrictEnvironment.is_in(host.annotations.as_ref()) {
        // Those of old find it out when they start.
        environment(config)?;
        hostname(config)?;
        cpuset::validate(host)?;
    }
    host_config(host)?;
    network(config, host)?;
    supported(host)
}

/// Checks again what may have changed since the container was made: the machine, or the host configuration that a start
/// brought along.
pub(crate) fn at_start(record: &Record) -> Result<()> {
    host_config(&record.host)?;
    if !Quirk::StrictEnvironment.is_in(record.host.annotations.as_ref()) {
        cpuset::validate(&record.host)?;
    }
    if let NetworkMode::Custom(name) = record.network() {
        return Err(Error::not_found(format!("failed to set up container networking: network {name} not found")));
    }
    supported(&record.host)
}

fn portable(config: &ContainerConfig) -> Result<()> {
    if !config.working_dir.is_empty() && !config.working_dir.starts_with('/') {
        return Err(Error::invalid(format!(
            "the working directory '{}' is invalid, it needs to be an absolute path",
            config.working_dir
        )));
    }
    if !config.stop_signal.is_empty() {
        stop::parse(&config.stop_signal)?;
    }
    if let Some(check) = &config.healthcheck {
        health::validate(check)?;
    }
    let texts = config.env.iter().flatten().chain([&config.hostname, &config.domainname]);
    match texts.into_iter().find(|text| text.contains('\0')) {
        Some(text) => Err(Error::invalid(format!("invalid text, a zero byte is in it: {text:?}"))),
        None => Ok(()),
    }
}

fn environment(config: &ContainerConfig) -> Result<()> {
    match config.env.iter().flatten().find(|entry| entry.is_empty() || entry.starts_with('=')) {
        Some(entry) => Err(Error::invalid(format!("invalid environment variable: {entry}"))),
        None => Ok(()),
    }
}

fn hostname(config: &ContainerConfig) -> Result<()> {
    if config.hostname.len() > 63 || config.hostname.contains(['\n', '/', ' ']) {
        return Err(Error::invalid(format!("invalid hostname format: {}", config.hostname)));
    }
    Ok(())
}

/// What an update checks as well.
pub(crate) fn host_config(host: &HostConfig) -> Result<()> {
    let policy = Policy::parse(&host.restart_policy)?;
    if host.auto_remove && policy != Policy::No {
        return Err(Error::invalid("can't create 'AutoRemove' container with restart policy"));
    }
    memory(host)?;
    processors(host)?;
    if host.shm_size < 0 {
        return Err(Error::invalid("SHM size can not be less than 0"));
    }
    if !(-1000..=1000).contains(&host.oom_score_adj) {
        return Err(Error::invalid(format!(
            "Invalid value {}, range for oom score adj is [-1000, 1000]",
            host.oom_score_adj
        )));
    }
    if host.blkio_weight != 0 && !(10..=1000).contains(&host.blkio_weight) {
        return Err(Error::invalid("Range of blkio weight is from 10 to 1000"));
    }
    for entry in host.extra_hosts.iter().flatten() {
        etc::split_extra_host(entry)?;
    }
    for link in host.links.iter().flatten() {
        links::parse(link)?;
    }
    security::Options::parse(host.security_opt.as_deref().unwrap_or_default())?;
    let words = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
    runtime::capabilities::resolve(&words(&host.cap_add), &words(&host.cap_drop), host.privileged)
        .map_err(|error| Error::invalid(error.to_string()).caused_by(error))?;
    Ok(())
}

fn memory(host: &HostConfig) -> Result<()> {
    let refuse = |text: &str| Err(Error::invalid(text));
    if host.memory != 0 && host.memory < LEAST_MEMORY_BYTES {
        return refuse("Minimum memory limit allowed is 6MB");
    }
    if host.memory > 0 && host.memory_swap > 0 && host.memory_swap < host.memory {
        return refuse("Minimum memoryswap limit should be larger than memory limit, see usage");
    }
    if host.memory == 0 && host.memory_swap > 0 {
        return refuse("You should always set the Memory limit when using Memoryswap limit, see usage");
    }
    if host.memory_reservation > 0 && host.memory_reservation < LEAST_MEMORY_BYTES {
        return refuse("Minimum memory reservation allowed is 6MB");
    }
    if host.memory > 0 && host.memory_reservation > host.memory {
        return refuse("Minimum memory limit can not be less than memory reservation limit, see usage");
    }
    match host.memory_swappiness {
        Some(value) if value != -1 && !(0..=100).contains(&value) => {
            Err(Error::invalid(format!("Invalid value: {value}, valid memory swappiness range is 0-100")))
        }
        _ => Ok(()),
    }
}

fn processors(host: &HostConfig) -> Result<()> {
    if host.nano_cpus != 0 {
        // Only then: it takes twenty calls of the kernel to find out.
        let available = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        if host.nano_cpus < 0 || i128::from(host.nano_cpus) > available as i128 * 1_000_000_000 {
            return Err(Error::invalid(format!(
                "range of CPUs is from 0.01 to {available}.00, as there are only {available} CPUs available"
            )));
        }
    }
    if host.nano_cpus > 0 && (host.cpu_period != 0 || host.cpu_quota != 0) {
        return Err(Error::invalid("Conflicting options: Nano CPUs and CPU Period cannot both be set"));
    }
    if host.cpu_shares < 0 {
        return Err(Error::invalid(format!(
            "invalid CPU shares ({}): value must be a positive integer",
            host.cpu_shares
        )));
    }
    if host.cpu_period != 0 && !(1000..=1_000_000).contains(&host.cpu_period) {
        return Err(Error::invalid(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        ));
    }
    if host.cpu_quota > 0 && host.cpu_quota < 1000 {
        return Err(Error::invalid("CPU cfs quota can not be less than 1ms (i.e. 1000)"));
    }
    Ok(())
}

fn network(config: &ContainerConfig, host: &HostConfig) -> Result<()> {
    ports::validate(config, host.port_bindings.as_ref())?;
    let refuse = |text: &str| Err(Error::invalid(format!("conflicting options: {text}")));
    if host.uts_mode == "host" && !config.hostname.is_empty() {
        return refuse("hostname and the UTS mode");
    }
    let has = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| !list.is_empty());
    match NetworkMode::of(&host.network_mode, config.network_disabled) {
        NetworkMode::Container(name) => {
            if name.is_empty() {
                return Err(Error::invalid("Invalid network mode: invalid container format container:<name|id>"));
            }
            if has(&host.links) {
                return refuse(
                    "container type network can't be used with links. This would result in undefined behavior",
                );
            }
            if has(&host.dns) {
                return refuse("dns and the network mode");
            }
            if has(&host.extra_hosts) {
                return refuse("custom host-to-IP mapping and the network mode");
            }
            if host.publish_all_ports || host.port_bindings.as_ref().is_some_and(|map| !map.is_empty()) {
                return refuse("port publishing and the container type network mode");
            }
            if !config.hostname.is_empty() {
                return refuse("hostname and the network mode");
            }
            Ok(())
        }
        NetworkMode::Host if has(&host.links) => {
            refuse("host type networking can't be used with links. This would result in undefined behavior")
        }
        _ => Ok(()),
    }
}

/// Refuses what would change the container's behaviour and is not there yet.
fn supported(host: &HostConfig) -> Result<()> {
    let present = |list: bool, what: &str| match list {
        true => Err(Error::not_implemented(format!("{what} not supported yet"))),
        false => Ok(()),
    };
    present(host.device_requests.as_ref().is_some_and(|list| !list.is_empty()), "device requests are")?;
    present(host.storage_opt.as_ref().is_some_and(|map| !map.is_empty()), "storage options are")?;
    present(!matches!(host.userns_mode.as_str(), "" | "host"), "user namespaces are")?;
    if !matches!(host.isolation.as_str(), "" | "default") {
        let text = format!("invalid isolation ({}): linux only supports 'default'", host.isolation);
        return Err(Error::invalid(text));
    }
    present(!host.cgroup.is_empty(), "joining a container's cgroup (Cgroup) is")?;
    if !matches!(host.runtime.as_str(), "" | "runc" | "io.containerd.runc.v2") {
        return Err(Error::invalid(format!("unknown or invalid runtime name: {}", host.runtime)));
    }
    let modes = [
        ("IPC", host.ipc_mode.as_str(), &["", "private", "shareable", "none", "host"][..]),
        ("PID", host.pid_mode.as_str(), &["", "host"][..]),
        ("UTS", host.uts_mode.as_str(), &["", "host"][..]),
        ("cgroup namespace", host.cgroupns_mode.as_str(), &["", "private", "host"][..]),
    ];
    for (kind, mode, known) in modes {
        let joins = matches!(kind, "IPC" | "PID") && mode.starts_with("container:");
        if !known.contains(&mode) && !joins {
            return Err(Error::invalid(format!("invalid {kind} mode: {mode}")));
        }
    }
    match host.log_config.r#type.as_str() {
        "" | "none" | "json-file" | "local" => super::logs::rotation(&host.log_config).map(drop),
        other if LOG_DRIVERS.contains(&other) => Err(Error::not_implemented(format!(
            "the logging driver {other} is not supported yet; use json-file, local or none"
        ))),
        other => Err(Error::system(format!("error looking up logging plugin {other}: plugin \"{other}\" not found"))),
    }
}

/// Docker's other logging drivers.
const LOG_DRIVERS: [&str; 8] = ["syslog", "journald", "gelf", "fluentd", "awslogs", "splunk", "etwlogs", "gcplogs"];

#[cfg(test)]
mod tests {
    use super::*;

    fn text(config: ContainerConfig, host: HostConfig) -> String {
        validate(&config, &host).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn limits() {
        let host = HostConfig { memory: 1024, ..HostConfig::default() };
        assert_eq!(text(ContainerConfig::default(), host), "Minimum memory limit allowed is 6MB");
        let host = HostConfig { memory_swap: 1 << 30, ..HostConfig::default() };
        assert!(text(ContainerConfig::default(), host).starts_with("You should always set the Memory limit"));
    }

    #[test]
    fn contradictions() {
        let host = HostConfig { network_mode: "container:a".into(), ..HostConfig::default() };
        let config = ContainerConfig { hostname: "h".into(), ..ContainerConfig::default() };
        assert_eq!(text(config, host), "conflicting options: hostname and the network mode");
        let config = ContainerConfig { hostname: "h".into(), ..ContainerConfig::default() };
        let host = HostConfig { uts_mode: "host".into(), ..HostConfig::default() };
        assert_eq!(text(config, host), "conflicting options: hostname and the UTS mode");
        let config = ContainerConfig { working_dir: "x".into(), ..ContainerConfig::default() };
        assert!(text(config, HostConfig::default()).contains("needs to be an absolute path"));
    }

    #[test]
    fn what_is_not_there_is_refused() {
        let host = HostConfig { userns_mode: "mine".into(), ..HostConfig::default() };
        let error = validate(&ContainerConfig::default(), &host).err();
        assert_eq!(error.map(|error| error.kind()), Some(model::ErrorKind::NotImplemented));
    }
}
