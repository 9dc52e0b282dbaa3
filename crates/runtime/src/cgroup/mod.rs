//! Control groups: v1, hybrid and v2.
//!
//! On a hybrid machine the v1 hierarchies carry the controllers and are the ones used. A plan is made from the layout
//! alone and touches nothing; carrying it out is left to the functions below.

mod action;
mod file;
mod layout;
mod program;
mod stats;
mod v1;
mod v2;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::devices::DeviceRule;

pub use action::{create, freeze, kill, oom_killed, oom_kills, pids, remove, thaw, update};
pub use stats::stats;

/// How this machine has its control groups mounted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    /// v1 hierarchies, or the single v2 one.
    pub hierarchies: Vec<Hierarchy>,
    /// The unified hierarchy carries the controllers (v2); else they are in v1 hierarchies (v1 or hybrid).
    pub unified: bool,
}

/// One mounted hierarchy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hierarchy {
    /// Controllers, or `name=systemd`; empty for v2.
    pub controllers: Vec<String>,
    /// Where it is mounted.
    pub mount_point: PathBuf,
}

/// Limits of a container. `None` leaves the kernel's default (or, in an update, what is set).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// Memory limit in bytes; -1 is unlimited.
    pub memory_bytes: Option<i64>,
    /// Memory and swap together in bytes; -1 is unlimited swap.
    pub memory_swap_bytes: Option<i64>,
    /// Soft limit in bytes.
    pub memory_reservation_bytes: Option<i64>,
    /// 0 to 100 (v1 only).
    pub memory_swappiness: Option<u64>,
    /// Suspends instead of killing at the limit (v1 only).
    pub oom_kill_disable: Option<bool>,
    /// Relative weight, 1024 is the default.
    pub cpu_shares: Option<u64>,
    /// Length of a period in microseconds.
    pub cpu_period_us: Option<u64>,
    /// Run time in each period in microseconds; -1 is unlimited.
    pub cpu_quota_us: Option<i64>,
    /// Real-time period in microseconds (v1 only).
    pub cpu_realtime_period_us: Option<u64>,
    /// Real-time run time in microseconds (v1 only).
    pub cpu_realtime_runtime_us: Option<i64>,
    /// Processors, as a list of ranges (`0-2,7`).
    pub cpuset_cpus: Option<String>,
    /// Memory nodes, as a list of ranges.
    pub cpuset_mems: Option<String>,
    /// Most processes; 0 or -1 is unlimited.
    pub pids_limit: Option<i64>,
    /// Relative weight of block I/O, 10 to 1000.
    pub blkio_weight: Option<u16>,
    /// Weight for each device.
    pub blkio_weight_device: Vec<DeviceLimit>,
    /// Bytes a second read.
    pub blkio_read_bps: Vec<DeviceLimit>,
    /// Bytes a second written.
    pub blkio_write_bps: Vec<DeviceLimit>,
    /// Reads a second.
    pub blkio_read_iops: Vec<DeviceLimit>,
    /// Writes a second.
    pub blkio_write_iops: Vec<DeviceLimit>,
    /// Device rules in order; empty leaves devices alone (update).
    pub devices: Vec<DeviceRule>,
}

/// A value for one block device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeviceLimit {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// Limit or weight.
    pub value: u64,
}

/// Directories and writes of one container, ready to be carried out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CgroupPlan {
    /// The directories are in the unified hierarchy (v2).
    pub unified: bool,
    /// One directory for each hierarchy.
    pub directories: Vec<Directory>,
    /// Device program for v2 (eBPF instructions, eight bytes each); empty on v1.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub device_program: Vec<u8>,
}

/// A container's directory in one hierarchy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Directory {
    /// Controllers of the hierarchy, or `name=systemd`; empty for v2.
    pub controllers: Vec<String>,
    /// Where the hierarchy is mounted.
    pub mount_point: PathBuf,
    /// The container's directory, absolute.
    pub path: PathBuf,
    /// What is written after it was made, in order.
    pub writes: Vec<Write>,
}

/// One value for one file of a control group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Write {
    /// Name of the file.
    pub file: String,
    /// What is written.
    pub value: String,
    /// A kernel without this file, or that refuses, is no error.
    pub optional: bool,
}

/// Usage of a container.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stats {
    /// Processor time.
    pub cpu: CpuStats,
    /// Memory.
    pub memory: MemoryStats,
    /// Processes now.
    pub pids_current: u64,
    /// Most processes allowed; `None` is unlimited.
    pub pids_limit: Option<u64>,
    /// Block I/O.
    pub blkio: Vec<BlkioEntry>,
}

/// Processor time in nanoseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CpuStats {
    /// All of it.
    pub total_ns: u64,
    /// In the kernel.
    pub system_ns: u64,
    /// In programs.
    pub user_ns: u64,
    /// By processor (v1 only).
    pub per_cpu_ns: Vec<u64>,
    /// Enforcement periods that have passed.
    pub periods: u64,
    /// Periods in which the container was throttled.
    pub throttled_periods: u64,
    /// Time throttled.
    pub throttled_ns: u64,
}

/// Memory in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MemoryStats {
    /// Now, page cache included.
    pub usage_bytes: u64,
    /// The highest seen (v1; v2 where the kernel has `memory.peak`).
    pub max_usage_bytes: Option<u64>,
    /// Limit; `None` is unlimited.
    pub limit_bytes: Option<u64>,
    /// Times the limit was hit.
    pub failures: u64,
    /// Every line of `memory.stat`.
    pub details: std::collections::BTreeMap<String, u64>,
}

/// One counter of one block device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BlkioEntry {
    /// Major number.
    pub major: u64,
    /// Minor number.
    pub minor: u64,
    /// `Read`, `Write`, `Sync`, `Async`, `Discard`, `Total`.
    pub operation: String,
    /// Bytes.
    pub bytes: u64,
    /// Operations.
    pub operations: u64,
}
