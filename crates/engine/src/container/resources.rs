//! Limits and devices: from the host configuration to the runtime's words.

use std::path::Path;

use api::host_config::{HostConfig, ThrottleDevice, WeightDevice};
use runtime::cgroup::{DeviceLimit, Resources};
use runtime::devices::{self, Device, DeviceRule};

use super::record::Record;
use crate::{Error, Result};

/// Length of a period when the limit is given in billionths of a processor.
const PERIOD_US: i64 = 100_000;

/// The limits of a container that starts, device rules included.
pub(crate) fn resources(record: &Record) -> Result<Resources> {
    let mut resources = limits(&record.host)?;
    resources.devices = device_rules(&record.host)?;
    Ok(resources)
}

/// The limits alone, as an update changes them.
pub(crate) fn limits(host: &HostConfig) -> Result<Resources> {
    let set = |value: i64| (value != 0).then_some(value);
    let positive = |value: i64| u64::try_from(value).ok().filter(|value| *value != 0);
    let text = |value: &String| (!value.is_empty()).then(|| value.clone());
    let (period, quota) = match host.nano_cpus {
        0 => (positive(host.cpu_period), set(host.cpu_quota)),
        nano => (positive(PERIOD_US), Some(nano * PERIOD_US / 1_000_000_000)),
    };
    Ok(Resources {
        memory_bytes: set(host.memory),
        memory_swap_bytes: set(host.memory_swap),
        memory_reservation_bytes: set(host.memory_reservation),
        memory_swappiness: host.memory_swappiness.and_then(|value| u64::try_from(value).ok()),
        oom_kill_disable: host.oom_kill_disable.filter(|disable| *disable),
        cpu_shares: positive(host.cpu_shares),
        cpu_period_us: period,
        cpu_quota_us: quota,
        cpu_realtime_period_us: positive(host.cpu_realtime_period),
        cpu_realtime_runtime_us: set(host.cpu_realtime_runtime),
        cpuset_cpus: text(&host.cpuset_cpus),
        cpuset_mems: text(&host.cpuset_mems),
        pids_limit: host.pids_limit.filter(|limit| *limit != 0),
        blkio_weight: Some(host.blkio_weight).filter(|weight| *weight != 0),
        blkio_weight_device: weights(host.blkio_weight_device.as_deref())?,
        blkio_read_bps: throttles(host.blkio_device_read_bps.as_deref())?,
        blkio_write_bps: throttles(host.blkio_device_write_bps.as_deref())?,
        blkio_read_iops: throttles(host.blkio_device_read_iops.as_deref())?,
        blkio_write_iops: throttles(host.blkio_device_write_iops.as_deref())?,
        devices: Vec::new(),
    })
}

fn weights(devices: Option<&[WeightDevice]>) -> Result<Vec<DeviceLimit>> {
    devices.unwrap_or_default().iter().map(|device| limit(&device.path, u64::from(device.weight))).collect()
}

fn throttles(devices: Option<&[ThrottleDevice]>) -> Result<Vec<DeviceLimit>> {
    devices.unwrap_or_default().iter().map(|device| limit(&device.path, device.rate)).collect()
}

fn limit(path: &str, value: u64) -> Result<DeviceLimit> {
    let stat = rustix::fs::stat(path)
        .map_err(|error| Error::invalid(format!("cannot find the device {path}: {error}")).caused_by(error))?;
    let (major, minor) = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
    Ok(DeviceLimit { major, minor, value })
}

fn host_devices(host: &HostConfig) -> Result<(Vec<Device>, Vec<DeviceRule>)> {
    let (mut nodes, mut rules) = (Vec::new(), Vec::new());
    for mapping in host.devices.iter().flatten() {
        let inside =
            if mapping.path_in_container.is_empty() { &mapping.path_on_host } else { &mapping.path_in_container };
        let (node, rule) = devices::from_host(Path::new(&mapping.path_on_host), inside, &mapping.cgroup_permissions)
            .map_err(|error| Error::system(error.to_string()).caused_by(error))?;
        nodes.extend(node);
        rules.extend(rule);
    }
    Ok((nodes, rules))
}

fn device_rules(host: &HostConfig) -> Result<Vec<DeviceRule>> {
    if host.privileged {
        return Ok(devices::allow_all());
    }
    let mut rules = devices::default_rules();
    rules.extend(host_devices(host)?.1);
    for rule in host.device_cgroup_rules.iter().flatten() {
        rules.push(devices::parse_rule(rule).map_err(|error| Error::invalid(error.to_string()).caused_by(error))?);
    }
    Ok(rules)
}

/// The nodes in the container's `/dev`.
pub(crate) fn device_nodes(record: &Record) -> Result<Vec<Device>> {
    let mut nodes = devices::default_nodes();
    if record.host.privileged {
        let host = devices::host_nodes().map_err(|error| Error::system(error.to_string()).caused_by(error))?;
        nodes.extend(
            host.into_iter().filter(|node| !nodes.iter().any(|have| have.path == node.path)).collect::<Vec<_>>(),
        );
    }
    for node in host_devices(&record.host)?.0 {
        nodes.retain(|have| have.path != node.path);
        nodes.push(node);
    }
    Ok(nodes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_become_a_quota() {
        let host = HostConfig { nano_cpus: 1_500_000_000, ..HostConfig::default() };
        let limits = limits(&host).unwrap_or_default();
        assert_eq!((limits.cpu_period_us, limits.cpu_quota_us), (Some(100_000), Some(150_000)));
    }

    #[test]
    fn nothing_asked_is_nothing_set() {
        assert_eq!(limits(&HostConfig::default()).ok(), Some(Resources::default()));
    }
}
