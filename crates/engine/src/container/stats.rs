//! What a container uses.

use std::sync::Arc;
use std::time::Duration;

use api::stats::{
    BlkioEntry, BlkioStats, CpuStats, CpuUsage, MemoryStats, NetworkStats, PidsStats, Stats, ThrottlingData,
};
use model::Timestamp;
use runtime::cgroup::{self, Resources};

use super::record::Record;
use crate::engine::Engine;
use crate::stream::{ByteStream, byte_stream};
use crate::{Error, Result};

/// Time between two samples.
const PERIOD: Duration = Duration::from_secs(1);
/// The kernel counts processor time of the whole machine in hundredths of a second.
const NS_PER_TICK: u64 = 10_000_000;

impl Engine {
    /// See [`Engine::stats`].
    pub(crate) async fn container_stats(
        self: &Arc<Self>,
        name: &str,
        stream: bool,
        one_shot: bool,
    ) -> Result<ByteStream> {
        let container = self.containers.find(name)?;
        let engine = Arc::clone(self);
        let (sender, bytes) = byte_stream();
        tokio::spawn(async move {
            let mut before = if stream || one_shot {
                Stats::default()
            } else {
                let first = engine.sample(&container.record()).await.unwrap_or_default();
                tokio::time::sleep(PERIOD).await;
                first
            };
            loop {
                let record = container.record();
                let mut sample = engine.sample(&record).await.unwrap_or_default();
                sample.name = format!("/{}", record.name);
                sample.id = record.id.hex();
                sample.preread = if before.read.is_empty() { Timestamp::ZERO.to_string() } else { before.read.clone() };
                sample.precpu_stats = before.cpu_stats.clone();
                if sample.read.is_empty() {
                    sample.read = Timestamp::ZERO.to_string();
                }
                let Ok(mut line) = serde_json::to_vec(&sample) else { return };
                line.push(b'\n');
                let gone = !sender.send(line).await;
                if gone || !stream || container.life().borrow().removed {
                    return;
                }
                before = sample;
                tokio::select! {
                    () = tokio::time::sleep(PERIOD) => {}
                    () = sender.closed() => return,
                }
            }
        });
        Ok(bytes)
    }

    /// One sample; all zero for a container that does not run.
    async fn sample(self: &Arc<Self>, record: &Arc<Record>) -> Result<Stats> {
        if !record.state.status.has_process() {
            return Ok(Stats::default());
        }
        let engine = Arc::clone(self);
        let record = Arc::clone(record);
        self.blocking(move || {
            let plan = engine.cgroup_plan(&record, &Resources::default())?;
            let usage = cgroup::stats(&plan).map_err(|error| Error::system(error.to_string()).caused_by(error))?;
            Ok(shown(&usage, record.state.pid))
        })
        .await
    }
}

fn shown(usage: &cgroup::Stats, pid: i32) -> Stats {
    let online = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let entries = |value: fn(&cgroup::BlkioEntry) -> u64| {
        let shown = |entry: &cgroup::BlkioEntry| BlkioEntry {
            major: entry.major,
            minor: entry.minor,
            op: entry.operation.to_lowercase(),
            value: value(entry),
        };
        Some(usage.blkio.iter().map(shown).collect())
    };
    Stats {
        read: Timestamp::now().to_string(),
        pids_stats: PidsStats { current: usage.pids_current, limit: usage.pids_limit.unwrap_or(u64::MAX) },
        blkio_stats: BlkioStats {
            io_service_bytes_recursive: entries(|entry| entry.bytes),
            io_serviced_recursive: entries(|entry| entry.operations),
            ..BlkioStats::default()
        },
        cpu_stats: CpuStats {
            cpu_usage: CpuUsage {
                total_usage: usage.cpu.total_ns,
                percpu_usage: usage.cpu.per_cpu_ns.clone(),
                usage_in_kernelmode: usage.cpu.system_ns,
                usage_in_usermode: usage.cpu.user_ns,
            },
            system_cpu_usage: system_cpu_ns(),
            online_cpus: u32::try_from(online).unwrap_or(u32::MAX),
            throttling_data: ThrottlingData {
                periods: usage.cpu.periods,
                throttled_periods: usage.cpu.throttled_periods,
                throttled_time: usage.cpu.throttled_ns,
            },
        },
        memory_stats: MemoryStats {
            usage: usage.memory.usage_bytes,
            max_usage: usage.memory.max_usage_bytes.unwrap_or(0),
            stats: usage.memory.details.clone(),
            failcnt: usage.memory.failures,
            limit: usage.memory.limit_bytes.unwrap_or_else(crate::system::memory_bytes),
        },
        networks: networks(pid),
        ..Stats::default()
    }
}

/// Processor time of the whole machine so far.
fn system_cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let first = text.lines().next().unwrap_or_default();
    let ticks: u64 = first.split_whitespace().skip(1).take(7).filter_map(|word| word.parse::<u64>().ok()).sum();
    ticks * NS_PER_TICK
}

/// Traffic of the container's interfaces but loopback, as its first process sees them.
fn networks(pid: i32) -> Option<std::collections::BTreeMap<String, NetworkStats>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/net/dev")).ok()?;
    let interfaces = text.lines().skip(2).filter_map(|line| {
        let (name, counters) = line.split_once(':')?;
        let numbers: Vec<u64> = counters.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let at = |index: usize| numbers.get(index).copied().unwrap_or(0);
        let stats = NetworkStats {
            rx_bytes: at(0),
            rx_packets: at(1),
            rx_errors: at(2),
            rx_dropped: at(3),
            tx_bytes: at(8),
            tx_packets: at(9),
            tx_errors: at(10),
            tx_dropped: at(11),
        };
        Some((name.trim().to_owned(), stats)).filter(|(name, _)| name != "lo")
    });
    Some(interfaces.collect()).filter(|map: &std::collections::BTreeMap<_, _>| !map.is_empty())
}
