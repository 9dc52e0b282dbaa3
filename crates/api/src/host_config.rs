//! How a container runs on its host.

use crate::{StringMap, is_default};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Published ports: `80/tcp` to addresses of the host; `null` for a port that is only exposed.
pub type PortMap = BTreeMap<String, Option<Vec<PortBinding>>>;

/// How a container runs on its host: the half of its configuration that is not portable.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HostConfig {
    /// `source:destination[:options]`.
    pub binds: Option<Vec<String>>,
    /// File into which the client wrote the id.
    #[serde(rename = "ContainerIDFile")]
    pub container_id_file: String,
    /// Logging driver.
    pub log_config: LogConfig,
    /// `bridge`, `none`, `host`, `container:<name>`, or a network.
    pub network_mode: String,
    /// Ports to publish.
    pub port_bindings: Option<PortMap>,
    /// What happens when it ends.
    pub restart_policy: RestartPolicy,
    /// Remove it when it ends.
    pub auto_remove: bool,
    /// Driver for its anonymous volumes.
    pub volume_driver: String,
    /// `container[:ro|rw]` whose volumes it gets too.
    pub volumes_from: Option<Vec<String>>,
    /// Height and width of the terminal at first.
    pub console_size: [u32; 2],
    /// Notes for the OCI runtime.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<StringMap>,
    /// Capabilities beside the default ones.
    #[serde(deserialize_with = "crate::decode::words")]
    pub cap_add: Option<Vec<String>>,
    /// Capabilities taken away.
    #[serde(deserialize_with = "crate::decode::words")]
    pub cap_drop: Option<Vec<String>>,
    /// `private` or `host`.
    pub cgroupns_mode: String,
    /// Name servers.
    pub dns: Option<Vec<String>>,
    /// Options of the resolver.
    pub dns_options: Option<Vec<String>>,
    /// Search domains.
    pub dns_search: Option<Vec<String>>,
    /// `name:address` for `/etc/hosts`.
    pub extra_hosts: Option<Vec<String>>,
    /// Further groups of the first process.
    pub group_add: Option<Vec<String>>,
    /// `private`, `shareable`, `none`, `host` or `container:<name>`.
    pub ipc_mode: String,
    /// Cgroup to join; historic.
    pub cgroup: String,
    /// `container:alias`.
    pub links: Option<Vec<String>>,
    /// -1000 (never killed for memory) … 1000 (first).
    pub oom_score_adj: i64,
    /// Empty, `host` or `container:<name>`.
    pub pid_mode: String,
    /// All capabilities, all devices, nothing masked.
    pub privileged: bool,
    /// Publish every exposed port on a free port of the host.
    pub publish_all_ports: bool,
    /// Root file system cannot be written.
    pub readonly_rootfs: bool,
    /// `seccomp=…`, `apparmor=…`, `label=…`, `no-new-privileges`, …
    pub security_opt: Option<Vec<String>>,
    /// Options of the storage driver.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_opt: Option<StringMap>,
    /// Path to options of a tmpfs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tmpfs: Option<StringMap>,
    /// Empty or `host`.
    #[serde(rename = "UTSMode")]
    pub uts_mode: String,
    /// Empty or `host`.
    pub userns_mode: String,
    /// Bytes of `/dev/shm`; 0 is the default of 64 MiB.
    pub shm_size: i64,
    /// Kernel parameters of the container's namespaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sysctls: Option<StringMap>,
    /// OCI runtime.
    #[serde(skip_serializing_if = "is_default")]
    pub runtime: String,
    /// Windows only.
    pub isolation: String,
    /// Relative weight, 2 … 262144; 0 is the default.
    pub cpu_shares: i64,
    /// Bytes; 0 is no limit.
    pub memory: i64,
    /// Billionths of a processor.
    pub nano_cpus: i64,
    /// Cgroup under which the container's is made.
    pub cgroup_parent: String,
    /// 10 … 1000; 0 is the default.
    pub blkio_weight: u16,
    /// By device.
    pub blkio_weight_device: Option<Vec<WeightDevice>>,
    /// Bytes a second, by device.
    pub blkio_device_read_bps: Option<Vec<ThrottleDevice>>,
    /// Bytes a second, by device.
    pub blkio_device_write_bps: Option<Vec<ThrottleDevice>>,
    /// Operations a second, by device.
    #[serde(rename = "BlkioDeviceReadIOps")]
    pub blkio_device_read_iops: Option<Vec<ThrottleDevice>>,
    /// Operations a second, by device.
    #[serde(rename = "BlkioDeviceWriteIOps")]
    pub blkio_device_write_iops: Option<Vec<ThrottleDevice>>,
    /// Microseconds.
    pub cpu_period: i64,
    /// Microseconds a period.
    pub cpu_quota: i64,
    /// Microseconds.
    pub cpu_realtime_period: i64,
    /// Microseconds.
    pub cpu_realtime_runtime: i64,
    /// `0-2,4`.
    pub cpuset_cpus: String,
    /// `0-2,4`.
    pub cpuset_mems: String,
    /// Devices of the host.
    pub devices: Option<Vec<DeviceMapping>>,
    /// `c 1:3 rwm`.
    pub device_cgroup_rules: Option<Vec<String>>,
    /// Devices that a driver adds (GPUs).
    pub device_requests: Option<Vec<DeviceRequest>>,
    /// Historic; bytes.
    #[serde(skip_serializing_if = "is_default")]
    pub kernel_memory: i64,
    /// Historic; bytes.
    #[serde(rename = "KernelMemoryTCP", skip_serializing_if = "is_default")]
    pub kernel_memory_tcp: i64,
    /// Soft limit in bytes.
    pub memory_reservation: i64,
    /// Memory and swap in bytes; -1 is no limit, 0 twice the memory.
    pub memory_swap: i64,
    /// 0 … 100; `null` is the default.
    pub memory_swappiness: Option<i64>,
    /// Cgroup v1 only.
    pub oom_kill_disable: Option<bool>,
    /// Most processes; `null`, 0 or -1 is no limit.
    pub pids_limit: Option<i64>,
    /// Limits of processes.
    pub ulimits: Option<Vec<Ulimit>>,
    /// Windows only.
    pub cpu_count: i64,
    /// Windows only.
    pub cpu_percent: i64,
    /// Windows only.
    #[serde(rename = "IOMaximumIOps")]
    pub io_maximum_iops: u64,
    /// Windows only.
    #[serde(rename = "IOMaximumBandwidth")]
    pub io_maximum_bandwidth: u64,
    /// Mounts, the long form of `binds` and `tmpfs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mounts: Option<Vec<Mount>>,
    /// Paths hidden in the container; `null` asks for the default ones.
    pub masked_paths: Option<Vec<String>>,
    /// Paths that cannot be written; `null` asks for the default ones.
    pub readonly_paths: Option<Vec<String>>,
    /// Run an init that reaps; `null` is the daemon's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<bool>,
}

/// Logging driver and its options.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct LogConfig {
    /// `json-file`, `none`, …; empty is the daemon's default.
    pub r#type: String,
    /// `max-size`, `max-file`, …
    pub config: Option<StringMap>,
}

/// What happens when a container ends.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RestartPolicy {
    /// Empty, `no`, `always`, `unless-stopped` or `on-failure`.
    pub name: String,
    /// Most restarts of `on-failure`; 0 is no limit.
    pub maximum_retry_count: i64,
}

/// An address of the host that leads to a container's port.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PortBinding {
    /// Empty is every address.
    pub host_ip: String,
    /// Port or range; empty chooses a free one.
    #[serde(deserialize_with = "crate::decode::text_or_number")]
    pub host_port: String,
}

/// A weight for one device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct WeightDevice {
    /// Device file on the host.
    pub path: String,
    /// 10 … 1000.
    pub weight: u16,
}

/// A limit for one device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ThrottleDevice {
    /// Device file on the host.
    pub path: String,
    /// Bytes or operations a second.
    pub rate: u64,
}

/// A device of the host inside the container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DeviceMapping {
    /// Device file or directory on the host.
    pub path_on_host: String,
    /// Path in the container.
    pub path_in_container: String,
    /// Any of `r`, `w`, `m`.
    pub cgroup_permissions: String,
}

/// Devices that a driver is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DeviceRequest {
    /// `nvidia`, `cdi`, …
    pub driver: String,
    /// -1 is all.
    pub count: i64,
    /// By id.
    #[serde(rename = "DeviceIDs")]
    pub device_ids: Option<Vec<String>>,
    /// Any of (all of …).
    pub capabilities: Option<Vec<Vec<String>>>,
    /// For the driver.
    pub options: Option<StringMap>,
}

/// A limit of processes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Ulimit {
    /// `nofile`, `nproc`, …
    pub name: String,
    /// -1 is no limit.
    pub hard: i64,
    /// -1 is no limit.
    pub soft: i64,
}

/// A mount, long form.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Mount {
    /// `bind`, `volume`, `tmpfs`, `image`, …
    #[serde(skip_serializing_if = "is_default")]
    pub r#type: String,
    /// Path on the host, or volume's name.
    #[serde(skip_serializing_if = "is_default")]
    pub source: String,
    /// Path in the container.
    #[serde(skip_serializing_if = "is_default")]
    pub target: String,
    /// Cannot be written.
    #[serde(skip_serializing_if = "is_default")]
    pub read_only: bool,
    /// macOS only.
    #[serde(skip_serializing_if = "is_default")]
    pub consistency: String,
    /// For `bind`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind_options: Option<BindOptions>,
    /// For `volume`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_options: Option<VolumeOptions>,
    /// For `image`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_options: Option<ImageOptions>,
    /// For `tmpfs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tmpfs_options: Option<TmpfsOptions>,
}

/// Options of a bind mount.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct BindOptions {
    /// `rprivate`, `rshared`, …
    #[serde(skip_serializing_if = "is_default")]
    pub propagation: String,
    /// Without the mounts beneath.
    #[serde(skip_serializing_if = "is_default")]
    pub non_recursive: bool,
    /// Make the source if it is missing.
    #[serde(skip_serializing_if = "is_default")]
    pub create_mountpoint: bool,
    /// Mounts beneath stay writable.
    #[serde(skip_serializing_if = "is_default")]
    pub read_only_non_recursive: bool,
    /// Fail if mounts beneath cannot be made read-only.
    #[serde(skip_serializing_if = "is_default")]
    pub read_only_force_recursive: bool,
}

/// Options of a volume mount.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct VolumeOptions {
    /// Do not copy what the image has at the path.
    #[serde(skip_serializing_if = "is_default")]
    pub no_copy: bool,
    /// Labels of a volume made for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<StringMap>,
    /// Directory inside the volume.
    #[serde(skip_serializing_if = "is_default")]
    pub subpath: String,
    /// Driver of a volume made for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver_config: Option<Driver>,
}

/// A driver with its options.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Driver {
    /// `local`, …
    #[serde(skip_serializing_if = "is_default")]
    pub name: String,
    /// For the driver.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options: Option<StringMap>,
}

/// Options of an image mount.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ImageOptions {
    /// Directory inside the image.
    #[serde(skip_serializing_if = "is_default")]
    pub subpath: String,
}

/// Options of a tmpfs mount.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TmpfsOptions {
    /// Bytes; 0 is no limit.
    #[serde(skip_serializing_if = "is_default")]
    pub size_bytes: i64,
    /// Permission bits; 0 is 1777 octal.
    #[serde(skip_serializing_if = "is_default")]
    pub mode: u32,
    /// `[name]` or `[name, value]` each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options: Option<Vec<Vec<String>>>,
}
