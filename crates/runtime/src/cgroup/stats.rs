//! Reading usage.

use std::path::Path;

use super::action::available;
use super::file::{number, pairs, text_if_there, value};
use super::{BlkioEntry, CgroupPlan, CpuStats, MemoryStats, Stats};
use crate::error::Result;

/// Nanoseconds of a tick of `cpuacct.stat`, which counts in hundredths of a second on every architecture.
const TICK_NS: u64 = 10_000_000;
/// v1 writes a limit near the largest number for none at all.
const UNLIMITED: u64 = 1 << 62;

/// Reads the usage counters. Controllers this machine lacks leave zeroes.
pub fn stats(plan: &CgroupPlan) -> Result<Stats> {
    let mut stats = Stats::default();
    if let Some(path) = available(plan, "pids") {
        stats.pids_current = number(path, "pids.current")?.unwrap_or(0);
        stats.pids_limit = number(path, "pids.max")?;
    }
    if plan.unified {
        if let Some(path) = available(plan, "") {
            stats.cpu = unified_cpu(&text_if_there(path, "cpu.stat")?);
            stats.memory = unified_memory(path)?;
            stats.blkio = unified_blkio(&text_if_there(path, "io.stat")?);
        }
        return Ok(stats);
    }
    stats.cpu = cpu(plan)?;
    if let Some(path) = available(plan, "memory") {
        stats.memory = memory(path)?;
    }
    if let Some(path) = available(plan, "blkio") {
        let bytes = text_if_there(path, "blkio.throttle.io_service_bytes_recursive")?;
        let operations = text_if_there(path, "blkio.throttle.io_serviced_recursive")?;
        stats.blkio = blkio(&bytes, &operations);
    }
    Ok(stats)
}

fn cpu(plan: &CgroupPlan) -> Result<CpuStats> {
    let mut stats = CpuStats::default();
    if let Some(path) = available(plan, "cpuacct") {
        stats.total_ns = number(path, "cpuacct.usage")?.unwrap_or(0);
        let ticks = text_if_there(path, "cpuacct.stat")?;
        stats.user_ns = value(&ticks, "user").saturating_mul(TICK_NS);
        stats.system_ns = value(&ticks, "system").saturating_mul(TICK_NS);
        let each = text_if_there(path, "cpuacct.usage_percpu")?;
        stats.per_cpu_ns = each.split_whitespace().filter_map(|number| number.parse().ok()).collect();
    }
    if let Some(path) = available(plan, "cpu") {
        let text = text_if_there(path, "cpu.stat")?;
        stats.periods = value(&text, "nr_periods");
        stats.throttled_periods = value(&text, "nr_throttled");
        stats.throttled_ns = value(&text, "throttled_time");
    }
    Ok(stats)
}

fn unified_cpu(text: &str) -> CpuStats {
    let nanoseconds = |name| value(text, name).saturating_mul(1000);
    CpuStats {
        total_ns: nanoseconds("usage_usec"),
        user_ns: nanoseconds("user_usec"),
        system_ns: nanoseconds("system_usec"),
        per_cpu_ns: Vec::new(),
        periods: value(text, "nr_periods"),
        throttled_periods: value(text, "nr_throttled"),
        throttled_ns: nanoseconds("throttled_usec"),
    }
}

fn memory(path: &Path) -> Result<MemoryStats> {
    Ok(MemoryStats {
        usage_bytes: number(path, "memory.usage_in_bytes")?.unwrap_or(0),
        max_usage_bytes: number(path, "memory.max_usage_in_bytes")?,
        limit_bytes: number(path, "memory.limit_in_bytes")?.filter(|limit| *limit < UNLIMITED),
        failures: number(path, "memory.failcnt")?.unwrap_or(0),
        details: details(path)?,
    })
}

fn unified_memory(path: &Path) -> Result<MemoryStats> {
    Ok(MemoryStats {
        usage_bytes: number(path, "memory.current")?.unwrap_or(0),
        max_usage_bytes: number(path, "memory.peak")?,
        limit_bytes: number(path, "memory.max")?,
        failures: value(&text_if_there(path, "memory.events")?, "max"),
        details: details(path)?,
    })
}

fn details(path: &Path) -> Result<std::collections::BTreeMap<String, u64>> {
    let text = text_if_there(path, "memory.stat")?;
    Ok(pairs(&text).map(|(name, number)| (name.to_owned(), number)).collect())
}

fn blkio(bytes: &str, operations: &str) -> Vec<BlkioEntry> {
    let mut list: Vec<BlkioEntry> = Vec::new();
    for (text, is_bytes) in [(bytes, true), (operations, false)] {
        for (major, minor, operation, count) in text.lines().filter_map(blkio_line) {
            let key = (major, minor, operation);
            let known = list.iter().position(|entry| (entry.major, entry.minor, entry.operation.as_str()) == key);
            let at = known.unwrap_or(list.len());
            if known.is_none() {
                list.push(BlkioEntry { major, minor, operation: operation.to_owned(), bytes: 0, operations: 0 });
            }
            let entry = &mut list[at];
            *(if is_bytes { &mut entry.bytes } else { &mut entry.operations }) = count;
        }
    }
    list
}

/// `8:0 Read 4096`.
fn blkio_line(line: &str) -> Option<(u64, u64, &str, u64)> {
    let mut words = line.split(' ');
    let (major, minor) = words.next()?.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?, words.next()?, words.next()?.parse().ok()?))
}

/// `8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6`.
fn unified_blkio(text: &str) -> Vec<BlkioEntry> {
    let mut list = Vec::new();
    for line in text.lines() {
        let mut words = line.split(' ');
        let numbers = words.next().and_then(|device| device.split_once(':'));
        let Some((Ok(major), Ok(minor))) = numbers.map(|(major, minor)| (major.parse(), minor.parse())) else {
            continue;
        };
        let counts: Vec<(&str, u64)> = words
            .filter_map(|word| word.split_once('='))
            .filter_map(|(name, number)| Some((name, number.parse().ok()?)))
            .collect();
        let count = |name: &str| counts.iter().find(|(found, _)| *found == name).map_or(0, |(_, number)| *number);
        for (operation, letter) in [("Read", 'r'), ("Write", 'w'), ("Discard", 'd')] {
            let (bytes, operations) = (count(&format!("{letter}bytes")), count(&format!("{letter}ios")));
            list.push(BlkioEntry { major, minor, operation: operation.to_owned(), bytes, operations });
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_io_of_both_kinds() {
        let list = blkio("8:0 Read 10\n8:0 Write 20\nTotal 30\n", "8:0 Read 1\n8:16 Read 5\n");
        assert_eq!(list.len(), 3);
        assert_eq!((list[0].bytes, list[0].operations), (10, 1));
        assert_eq!((list[2].minor, list[2].bytes, list[2].operations), (16, 0, 5));
        let list = unified_blkio("8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\nnonsense\n");
        assert_eq!(list.len(), 3);
        assert_eq!((list[1].operation.as_str(), list[1].bytes, list[1].operations), ("Write", 2, 4));
    }

    #[test]
    fn unified_times_are_nanoseconds() {
        let stats = unified_cpu("usage_usec 5\nuser_usec 3\nsystem_usec 2\nnr_throttled 1\n");
        assert_eq!((stats.total_ns, stats.user_ns, stats.throttled_periods), (5000, 3000, 1));
    }
}
