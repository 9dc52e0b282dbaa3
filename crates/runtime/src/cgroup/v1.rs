//! Writes for the v1 hierarchies.

use super::{DeviceLimit, Resources, Write};

/// The writes that `resources` needs in the hierarchy of `controllers`.
pub(super) fn writes(controllers: &[String], resources: &Resources) -> Vec<Write> {
    let mut list = Vec::new();
    for controller in controllers {
        match controller.as_str() {
            "memory" => memory(&mut list, resources),
            "cpu" => cpu(&mut list, resources),
            "cpuset" => {
                push(&mut list, "cpuset.cpus", resources.cpuset_cpus.as_ref().filter(|set| !set.is_empty()));
                push(&mut list, "cpuset.mems", resources.cpuset_mems.as_ref().filter(|set| !set.is_empty()));
            }
            "pids" => push(&mut list, "pids.max", resources.pids_limit.map(limit_or_max)),
            "blkio" => blkio(&mut list, resources),
            "devices" => devices(&mut list, resources),
            _ => {}
        }
    }
    list
}

/// `max` for what means unlimited.
pub(super) fn limit_or_max(limit: i64) -> String {
    if limit <= 0 { "max".to_owned() } else { limit.to_string() }
}

pub(super) fn push(list: &mut Vec<Write>, file: &str, value: Option<impl ToString>) {
    if let Some(value) = value {
        list.push(Write { file: file.to_owned(), value: value.to_string(), optional: false });
    }
}

pub(super) fn push_optional(list: &mut Vec<Write>, file: &str, value: Option<impl ToString>) {
    if let Some(value) = value {
        list.push(Write { file: file.to_owned(), value: value.to_string(), optional: true });
    }
}

fn memory(list: &mut Vec<Write>, resources: &Resources) {
    push(list, MEMORY, resources.memory_bytes);
    push(list, SWAP, resources.memory_swap_bytes);
    push(list, "memory.soft_limit_in_bytes", resources.memory_reservation_bytes);
    push(list, "memory.swappiness", resources.memory_swappiness);
    push(list, "memory.oom_control", resources.oom_kill_disable.map(u8::from));
}

/// File of the limit of memory and swap together.
pub(super) const SWAP: &str = "memory.memsw.limit_in_bytes";
/// File of the limit of memory.
pub(super) const MEMORY: &str = "memory.limit_in_bytes";

fn cpu(list: &mut Vec<Write>, resources: &Resources) {
    push(list, "cpu.shares", resources.cpu_shares);
    push(list, "cpu.cfs_period_us", resources.cpu_period_us);
    push(list, "cpu.cfs_quota_us", resources.cpu_quota_us);
    push(list, "cpu.rt_period_us", resources.cpu_realtime_period_us);
    push(list, "cpu.rt_runtime_us", resources.cpu_realtime_runtime_us);
}

fn blkio(list: &mut Vec<Write>, resources: &Resources) {
    // One of the two exists, depending on the scheduler; neither without one that knows weights.
    push_optional(list, "blkio.weight", resources.blkio_weight);
    push_optional(list, "blkio.bfq.weight", resources.blkio_weight);
    let mut each = |file: &str, limits: &[DeviceLimit], optional| {
        for DeviceLimit { major, minor, value } in limits {
            list.push(Write { file: file.to_owned(), value: format!("{major}:{minor} {value}"), optional });
        }
    };
    each("blkio.weight_device", &resources.blkio_weight_device, true);
    each("blkio.bfq.weight_device", &resources.blkio_weight_device, true);
    each("blkio.throttle.read_bps_device", &resources.blkio_read_bps, false);
    each("blkio.throttle.write_bps_device", &resources.blkio_write_bps, false);
    each("blkio.throttle.read_iops_device", &resources.blkio_read_iops, false);
    each("blkio.throttle.write_iops_device", &resources.blkio_write_iops, false);
}

fn devices(list: &mut Vec<Write>, resources: &Resources) {
    for rule in &resources.devices {
        push(list, if rule.allow { "devices.allow" } else { "devices.deny" }, Some(rule.line()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devices;

    fn lines(controller: &str, resources: &Resources) -> Vec<String> {
        let list = writes(&[controller.to_owned()], resources);
        list.into_iter().map(|write| format!("{}={}", write.file, write.value)).collect()
    }

    #[test]
    fn nothing_asked_nothing_written() {
        for controller in ["memory", "cpu", "cpuset", "pids", "blkio", "devices", "freezer", "name=systemd"] {
            assert!(lines(controller, &Resources::default()).is_empty());
        }
    }

    #[test]
    fn each_hierarchy_gets_its_own() {
        let resources = Resources {
            memory_bytes: Some(1 << 20),
            memory_swap_bytes: Some(-1),
            cpu_shares: Some(512),
            cpu_quota_us: Some(50_000),
            cpuset_cpus: Some("0-1".to_owned()),
            cpuset_mems: Some(String::new()),
            pids_limit: Some(-1),
            blkio_read_bps: vec![DeviceLimit { major: 8, minor: 16, value: 1000 }],
            devices: devices::default_rules(),
            ..Resources::default()
        };
        assert_eq!(lines("memory", &resources), ["memory.limit_in_bytes=1048576", "memory.memsw.limit_in_bytes=-1"]);
        assert_eq!(lines("cpu", &resources), ["cpu.shares=512", "cpu.cfs_quota_us=50000"]);
        assert_eq!(lines("cpuset", &resources), ["cpuset.cpus=0-1"]);
        assert_eq!(lines("pids", &resources), ["pids.max=max"]);
        assert_eq!(lines("blkio", &resources), ["blkio.throttle.read_bps_device=8:16 1000"]);
        let devices = lines("devices", &resources);
        assert_eq!(
            &devices[..4],
            ["devices.deny=a", "devices.allow=c *:* m", "devices.allow=b *:* m", "devices.allow=c 1:3 rwm"]
        );
    }
}
