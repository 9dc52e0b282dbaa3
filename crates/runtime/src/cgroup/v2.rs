//! Writes for the unified hierarchy. v1's units are translated as runc does.

use super::v1::{limit_or_max, push, push_optional};
use super::{DeviceLimit, Resources, Write};

const DEFAULT_PERIOD_US: u64 = 100_000;

/// The writes that `resources` needs.
pub(super) fn writes(resources: &Resources) -> Vec<Write> {
    let mut list = Vec::new();
    push(&mut list, "memory.max", resources.memory_bytes.map(limit_or_max));
    // Kernels without swap accounting do not have the file.
    push_optional(&mut list, "memory.swap.max", swap(resources));
    push(&mut list, "memory.low", resources.memory_reservation_bytes.map(limit_or_max));
    push(&mut list, "cpu.weight", resources.cpu_shares.filter(|shares| *shares != 0).map(cpu_weight));
    push(&mut list, "cpu.max", cpu_max(resources));
    push(&mut list, "cpuset.cpus", resources.cpuset_cpus.as_ref().filter(|set| !set.is_empty()));
    push(&mut list, "cpuset.mems", resources.cpuset_mems.as_ref().filter(|set| !set.is_empty()));
    push(&mut list, "pids.max", resources.pids_limit.map(limit_or_max));
    let weight = resources.blkio_weight.filter(|weight| *weight != 0);
    push_optional(&mut list, "io.bfq.weight", weight);
    push_optional(&mut list, "io.weight", weight.map(|weight| format!("default {}", io_weight(weight.into()))));
    for DeviceLimit { major, minor, value } in &resources.blkio_weight_device {
        push_optional(&mut list, "io.bfq.weight", Some(format!("{major}:{minor} {value}")));
    }
    let limits = [
        ("rbps", &resources.blkio_read_bps),
        ("wbps", &resources.blkio_write_bps),
        ("riops", &resources.blkio_read_iops),
        ("wiops", &resources.blkio_write_iops),
    ];
    for (key, devices) in limits {
        for DeviceLimit { major, minor, value } in devices {
            push(&mut list, "io.max", Some(format!("{major}:{minor} {key}={value}")));
        }
    }
    list
}

/// v1 counts memory and swap together, v2 swap alone.
fn swap(resources: &Resources) -> Option<String> {
    let total = resources.memory_swap_bytes.filter(|total| *total != 0)?;
    match resources.memory_bytes {
        _ if total < 0 => Some("max".to_owned()),
        Some(memory) if memory > 0 && total >= memory => Some((total - memory).to_string()),
        _ => None,
    }
}

/// 2..262144 to 1..10000.
fn cpu_weight(shares: u64) -> u64 {
    1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142
}

/// 10..1000 to 1..10000.
fn io_weight(weight: u64) -> u64 {
    1 + (weight.clamp(10, 1000) - 10) * 9999 / 990
}

fn cpu_max(resources: &Resources) -> Option<String> {
    let (quota, period) = (resources.cpu_quota_us, resources.cpu_period_us.filter(|period| *period != 0));
    if quota.is_none() && period.is_none() {
        return None;
    }
    Some(format!("{} {}", limit_or_max(quota.unwrap_or(-1)), period.unwrap_or(DEFAULT_PERIOD_US)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_translated() {
        let resources = Resources {
            memory_bytes: Some(100),
            memory_swap_bytes: Some(300),
            memory_reservation_bytes: Some(50),
            cpu_shares: Some(1024),
            cpu_quota_us: Some(20_000),
            pids_limit: Some(7),
            blkio_weight: Some(1000),
            blkio_write_iops: vec![DeviceLimit { major: 8, minor: 0, value: 5 }],
            ..Resources::default()
        };
        let lines: Vec<String> =
            writes(&resources).into_iter().map(|write| format!("{}={}", write.file, write.value)).collect();
        assert_eq!(
            lines,
            [
                "memory.max=100",
                "memory.swap.max=200",
                "memory.low=50",
                "cpu.weight=39",
                "cpu.max=20000 100000",
                "pids.max=7",
                "io.bfq.weight=1000",
                "io.weight=default 10000",
                "io.max=8:0 wiops=5",
            ]
        );
        assert!(writes(&Resources::default()).is_empty());
    }

    #[test]
    fn unlimited_is_max() {
        let resources = Resources {
            memory_bytes: Some(-1),
            memory_swap_bytes: Some(-1),
            cpu_quota_us: Some(-1),
            pids_limit: Some(0),
            ..Resources::default()
        };
        let values: Vec<String> = writes(&resources).into_iter().map(|write| write.value).collect();
        assert_eq!(values, ["max", "max", "max 100000", "max"]);
    }
}
