//! The processors and memory nodes that a container may be bound to.

use std::ops::RangeInclusive;

use api::host_config::HostConfig;

use crate::{Error, Result};

/// Numbers as the kernel lists them: `0-3,7`.
struct Numbers(Vec<RangeInclusive<u32>>);

impl Numbers {
    fn parse(text: &str) -> Option<Self> {
        let range = |part: &str| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let range = first.trim().parse::<u32>().ok()?..=last.trim().parse::<u32>().ok()?;
            (!range.is_empty()).then_some(range)
        };
        text.split(',').map(range).collect::<Option<Vec<_>>>().map(Self)
    }

    /// Whether all numbers of another list are in this one, whose ranges touch none of each other, as the kernel writes them.
    fn contains(&self, other: &Self) -> bool {
        let inside = |wanted: &RangeInclusive<u32>| {
            self.0.iter().any(|have| have.contains(wanted.start()) && have.contains(wanted.end()))
        };
        other.0.iter().all(inside)
    }
}

/// Refuses lists that are none, or that name what the daemon itself may not use.
pub(crate) fn validate(host: &HostConfig) -> Result<()> {
    let asked = [
        (&host.cpuset_cpus, "Cpus_allowed_list:", "cpus", "CPUs"),
        (&host.cpuset_mems, "Mems_allowed_list:", "mems", "memory nodes"),
    ];
    if asked.iter().all(|(wanted, ..)| wanted.is_empty()) {
        return Ok(());
    }
    let status = std::fs::read_to_string("/proc/self/status")
        .map_err(|error| Error::system("cannot read /proc/self/status").caused_by(error))?;
    for (wanted, line, short, noun) in asked.into_iter().filter(|(wanted, ..)| !wanted.is_empty()) {
        let available = status.lines().find_map(|text| text.strip_prefix(line)).unwrap_or_default().trim();
        check(wanted, available, short, noun)?;
    }
    Ok(())
}

fn check(wanted: &str, available: &str, short: &str, noun: &str) -> Result<()> {
    let Some(numbers) = Numbers::parse(wanted) else {
        return Err(Error::invalid(format!("Invalid value {wanted} for cpuset {short}: invalid format: {wanted}")));
    };
    // Without a list from the kernel it is for the kernel to refuse.
    if Numbers::parse(available).is_some_and(|have| !have.contains(&numbers)) {
        return Err(Error::invalid(format!(
            "Requested {noun} are not available - requested {wanted}, available: {available}"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        let text = |wanted, available| check(wanted, available, "cpus", "CPUs").err().map(|error| error.to_string());
        assert_eq!(text("0", "0-1"), None);
        assert_eq!(text("0-1,5", "0-3,5"), None);
        assert_eq!(
            text("0-4294967295", "0-3").as_deref(),
            Some("Requested CPUs are not available - requested 0-4294967295, available: 0-3")
        );
        for wrong in ["", "a", "1-", "3-1", "1,,2", "-1"] {
            assert!(text(wrong, "0-3").is_some_and(|text| text.starts_with("Invalid value")), "{wrong}");
        }
    }
}
