//! `LxcConf` of HostConfig (below 1.22): settings of LXC, as far as they mean something to an engine without LXC.

use serde_json::{Value, json};

use crate::json::{Object, text};

/// What of a control group a setting `lxc.cgroup.<name>` sets, as HostConfig calls it.
const CGROUP: &[(&str, &str)] = &[
    ("blkio.weight", "BlkioWeight"),
    ("cpu.cfs_period_us", "CpuPeriod"),
    ("cpu.cfs_quota_us", "CpuQuota"),
    ("cpu.shares", "CpuShares"),
    ("cpuset.cpus", "CpusetCpus"),
    ("cpuset.mems", "CpusetMems"),
    ("memory.limit_in_bytes", "Memory"),
    ("memory.memsw.limit_in_bytes", "MemorySwap"),
    ("memory.soft_limit_in_bytes", "MemoryReservation"),
    ("memory.swappiness", "MemorySwappiness"),
];

/// What became of a configuration's settings.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Applied {
    /// The name that the container gets (`lxc.utsname`).
    pub(super) hostname: Option<String>,
    /// A sentence for each setting that means nothing here.
    pub(super) warnings: Vec<String>,
}

/// Takes `LxcConf` out of a HostConfig and puts what it means in its place. What HostConfig says itself stays.
pub(super) fn apply(config: &mut Object) -> Applied {
    let mut applied = Applied::default();
    let Some(Value::Array(settings)) = config.remove("LxcConf") else { return applied };
    for setting in settings.iter().filter_map(Value::as_object) {
        let (key, value) = (text(setting, "Key"), text(setting, "Value").trim());
        match key {
            "lxc.utsname" if is_hostname(value) => applied.hostname = Some(value.to_owned()),
            // What every container of a bridge has.
            "lxc.network.type" if value == "veth" => {}
            "lxc.network.type" if value == "empty" => network(config, "none"),
            "lxc.network.type" if value == "none" => network(config, "host"),
            "lxc.cap.drop" => drop_capabilities(config, value),
            _ if cgroup(config, key, value).is_some() => {}
            _ => applied.warnings.push(format!("LxcConf {key}={value} has no effect: this engine does not use LXC")),
        }
    }
    applied
}

fn is_hostname(name: &str) -> bool {
    (1..=63).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}

fn network(config: &mut Object, mode: &str) {
    if matches!(text(config, "NetworkMode"), "" | "default") {
        config.insert("NetworkMode".into(), json!(mode));
    }
}

fn drop_capabilities(config: &mut Object, names: &str) {
    let mut dropped = config.get("CapDrop").and_then(Value::as_array).cloned().unwrap_or_default();
    dropped.extend(names.split_whitespace().map(|name| json!(name.to_ascii_uppercase())));
    config.insert("CapDrop".into(), dropped.into());
}

/// None if there is no such setting, or its value is none.
fn cgroup(config: &mut Object, key: &str, value: &str) -> Option<()> {
    let name = key.strip_prefix("lxc.cgroup.")?;
    let (_, field) = CGROUP.iter().find(|(known, _)| *known == name)?;
    let value = match name.starts_with("cpuset.") {
        true => json!(value),
        false => json!(amount(value)?),
    };
    let unset = config.get(*field).is_none_or(|set| set.is_null() || *set == 0 || *set == "");
    if unset {
        config.insert((*field).into(), value);
    }
    Some(())
}

/// A number as the kernel reads it: `k`, `m` and `g` multiply it.
fn amount(text: &str) -> Option<i64> {
    let (digits, factor) = match text.char_indices().last()? {
        (at, 'k' | 'K') => (&text[..at], 1 << 10),
        (at, 'm' | 'M') => (&text[..at], 1 << 20),
        (at, 'g' | 'G') => (&text[..at], 1 << 30),
        _ => (text, 1),
    };
    digits.parse::<i64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(settings: &[(&str, &str)]) -> (Value, Applied) {
        let list: Vec<Value> = settings.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
        let mut config = Object::from_iter([("LxcConf".to_owned(), list.into()), ("CpuShares".to_owned(), json!(7))]);
        let applied = apply(&mut config);
        (config.into(), applied)
    }

    #[test]
    fn what_means_something_takes_effect() {
        let (config, applied) = applied(&[
            ("lxc.utsname", "box"),
            ("lxc.cgroup.memory.limit_in_bytes", "64M"),
            ("lxc.cgroup.cpuset.cpus", "0"),
            ("lxc.cgroup.cpu.shares", "512"),
            ("lxc.network.type", "empty"),
            ("lxc.cap.drop", "mknod sys_time"),
        ]);
        let wanted = json!({"Memory": 64 << 20, "CpusetCpus": "0", "CpuShares": 7, "NetworkMode": "none",
            "CapDrop": ["MKNOD", "SYS_TIME"]});
        assert_eq!((config, applied.hostname.as_deref(), applied.warnings.len()), (wanted, Some("box"), 0));
    }

    #[test]
    fn what_means_nothing_is_told() {
        let settings = [
            ("lxc.aa_profile", "unconfined"),
            ("lxc.cgroup.memory.limit_in_bytes", "é"),
            ("lxc.cgroup.memory.limit_in_bytes", "9999999999999999999g"),
            ("lxc.utsname", "a\nb"),
        ];
        let (config, applied) = applied(&settings);
        assert_eq!((config, applied.hostname, applied.warnings.len()), (json!({"CpuShares": 7}), None, settings.len()));
    }
}
