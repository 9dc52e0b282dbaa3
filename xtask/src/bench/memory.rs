//! Memory of ours: the daemon with its launcher, and what stands beside each container.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Result;

use crate::bench::{Rows, docker};
use crate::daemon::Daemon;
use crate::run::output;

/// Containers among which the memory is shared out.
const CONTAINERS: usize = 50;

/// After so long without a request the daemon gives back what it does not need: five seconds, and a moment to do it.
const QUIET: Duration = Duration::from_millis(5500);

/// Proportional set size of an idle daemon with its launcher, and of ours beside each of many running containers.
pub(super) fn measure(daemon: &Daemon) -> Result<Rows> {
    output(docker(daemon).args(["run", "--rm", "busybox", "true"]))?;
    std::thread::sleep(QUIET);
    let idle = pss_kib(daemon.pid())?;
    let mut rows = Rows::from([("memory idle".to_owned(), (idle / 1024.0, "MiB PSS".to_owned()))]);
    for (name, flags) in [("no port", &[][..]), ("one port", &["--publish", "80"][..])] {
        std::thread::sleep(QUIET);
        let before = pss_kib(daemon.pid())?;
        for _ in 0..CONTAINERS {
            output(docker(daemon).args(["run", "--detach"]).args(flags).args(["busybox", "sleep", "1000000"]))?;
        }
        std::thread::sleep(QUIET);
        let each = (pss_kib(daemon.pid())? - before) / CONTAINERS as f64;
        let ids = output(docker(daemon).args(["ps", "--quiet"]))?;
        output(docker(daemon).args(["rm", "--force"]).args(ids.split_whitespace()))?;
        rows.insert(format!("memory per container, {name}"), (each, "KiB PSS".to_owned()));
    }
    Ok(rows)
}

/// Of the process and all below it that are ours and no container's.
fn pss_kib(daemon: u32) -> Result<f64> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if let Some(parent) = parent(pid) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut total = 0.0;
    let mut open = vec![daemon];
    while let Some(pid) = open.pop() {
        open.extend(children.get(&pid).into_iter().flatten());
        let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let name = command.split(|byte| *byte == 0).next().unwrap_or_default();
        if name.ends_with(b"longshore") {
            total += of_process(pid).unwrap_or_default();
        }
    }
    Ok(total)
}

fn parent(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

fn of_process(pid: u32) -> Option<f64> {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?.split_whitespace().next()?.parse().ok()
}
