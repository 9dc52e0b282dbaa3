//! Memory of an engine: its daemons, and what stands beside each container.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Result;

use crate::bench::Rows;
use crate::bench::engine::Engine;
use crate::run::output;

/// What the names of the engines' programs begin with.
const PROGRAMS: [&str; 6] = ["longshore", "docker", "containerd", "podman", "conmon", "aardvark-dns"];

/// Containers among which the memory is shared out.
const CONTAINERS: usize = 50;

/// After so long without a request the daemon gives back what it does not need: five seconds, and a moment to do it.
const QUIET: Duration = Duration::from_millis(5500);

/// Proportional set size of an idle engine, and of all of its beside each of many running containers.
pub(super) fn measure(engine: &Engine) -> Result<Rows> {
    output(engine.docker().args(["run", "--rm", "busybox", "true"]))?;
    std::thread::sleep(QUIET);
    let idle = pss_kib(engine.daemon.pid())?;
    let mut rows = Rows::from([("memory idle".to_owned(), (idle / 1024.0, "MiB PSS".to_owned()))]);
    for (name, flags) in [("no port", &[][..]), ("one port", &["--publish", "80"][..])] {
        std::thread::sleep(QUIET);
        let before = pss_kib(engine.daemon.pid())?;
        for _ in 0..CONTAINERS {
            output(engine.docker().args(["run", "--detach"]).args(flags).args(["busybox", "sleep", "1000000"]))?;
        }
        std::thread::sleep(QUIET);
        let each = (pss_kib(engine.daemon.pid())? - before) / CONTAINERS as f64;
        let ids = output(engine.docker().args(["ps", "--quiet"]))?;
        // podman would ask each of them politely, and wait ten seconds.
        for words in [&["kill"][..], &["rm", "--force"]] {
            output(engine.docker().args(words).args(ids.split_whitespace()))?;
        }
        rows.insert(format!("memory per container, {name}"), (each, "KiB PSS".to_owned()));
    }
    Ok(rows)
}

/// Of the process and all below it that are the engine's and no container's.
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
        let program = command.split(|byte| *byte == 0).next().unwrap_or_default();
        let name = program.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        if PROGRAMS.iter().any(|engine| name.starts_with(engine.as_bytes())) {
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
