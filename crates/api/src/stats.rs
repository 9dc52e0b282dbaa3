//! What a container uses: `GET /containers/{name}/stats`.

use crate::is_default;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One sample and the one before.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stats {
    /// Name with its leading slash.
    #[serde(skip_serializing_if = "is_default")]
    pub name: String,
    /// 64 hexadecimal digits.
    #[serde(skip_serializing_if = "is_default")]
    pub id: String,
    /// When, RFC 3339 with nanoseconds.
    pub read: String,
    /// When the one before was taken; the year 1 if there is none.
    pub preread: String,
    /// Processes.
    pub pids_stats: PidsStats,
    /// Block devices.
    pub blkio_stats: BlkioStats,
    /// Windows only.
    pub num_procs: u32,
    /// Windows only.
    pub storage_stats: crate::Empty,
    /// Processors.
    pub cpu_stats: CpuStats,
    /// Processors, the sample before.
    pub precpu_stats: CpuStats,
    /// Memory.
    pub memory_stats: MemoryStats,
    /// By interface.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub networks: Option<BTreeMap<String, NetworkStats>>,
}

/// Processes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PidsStats {
    /// How many.
    #[serde(skip_serializing_if = "is_default")]
    pub current: u64,
    /// At most.
    #[serde(skip_serializing_if = "is_default")]
    pub limit: u64,
}

/// Block devices; `null` where the kernel says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the kernel's own words")]
pub struct BlkioStats {
    pub io_service_bytes_recursive: Option<Vec<BlkioEntry>>,
    pub io_serviced_recursive: Option<Vec<BlkioEntry>>,
    pub io_queue_recursive: Option<Vec<BlkioEntry>>,
    pub io_service_time_recursive: Option<Vec<BlkioEntry>>,
    pub io_wait_time_recursive: Option<Vec<BlkioEntry>>,
    pub io_merged_recursive: Option<Vec<BlkioEntry>>,
    pub io_time_recursive: Option<Vec<BlkioEntry>>,
    pub sectors_recursive: Option<Vec<BlkioEntry>>,
}

/// A count for one device and operation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BlkioEntry {
    /// Device's major number.
    pub major: u64,
    /// Device's minor number.
    pub minor: u64,
    /// `read`, `write`, …
    pub op: String,
    /// Bytes, operations or nanoseconds.
    pub value: u64,
}

/// Processors.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CpuStats {
    /// The container's.
    pub cpu_usage: CpuUsage,
    /// The host's, nanoseconds.
    #[serde(skip_serializing_if = "is_default")]
    pub system_cpu_usage: u64,
    /// Processors of the host.
    #[serde(skip_serializing_if = "is_default")]
    pub online_cpus: u32,
    /// How often it had to wait.
    pub throttling_data: ThrottlingData,
}

/// Nanoseconds of processor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CpuUsage {
    /// In all.
    pub total_usage: u64,
    /// By processor; cgroup v1 only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu_usage: Vec<u64>,
    /// In the kernel.
    pub usage_in_kernelmode: u64,
    /// Not in the kernel.
    pub usage_in_usermode: u64,
}

/// How often a container had to wait for its quota.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ThrottlingData {
    /// Periods so far.
    pub periods: u64,
    /// Of those, with waiting.
    pub throttled_periods: u64,
    /// Nanoseconds.
    pub throttled_time: u64,
}

/// Memory, in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MemoryStats {
    /// Now.
    #[serde(skip_serializing_if = "is_default")]
    pub usage: u64,
    /// Most ever; cgroup v1 only.
    #[serde(skip_serializing_if = "is_default")]
    pub max_usage: u64,
    /// Kernel's `memory.stat`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub stats: BTreeMap<String, u64>,
    /// How often the limit was met; cgroup v1 only.
    #[serde(skip_serializing_if = "is_default")]
    pub failcnt: u64,
    /// Limit, or the host's memory.
    #[serde(skip_serializing_if = "is_default")]
    pub limit: u64,
}

/// One interface.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the kernel's own words")]
pub struct NetworkStats {
    pub rx_bytes: u64,
    pub rx_packets: u64,
    pub rx_errors: u64,
    pub rx_dropped: u64,
    pub tx_bytes: u64,
    pub tx_packets: u64,
    pub tx_errors: u64,
    pub tx_dropped: u64,
}
