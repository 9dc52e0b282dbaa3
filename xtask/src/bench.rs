//! `cargo xtask bench`: what longshore takes, beside what the kernel alone and the peers take.
//!
//! `bench/dbench.rs` is the client (its own cost: 0.01 ms a request), `bench/floor.c` the same work as one C program.
//! Everything runs on one disk, one after the other; figures are medians, and what counts is the ratio of a row.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};
use serde_json::Value;

use crate::daemon::Daemon;
use crate::disk::Disk;
use crate::run::{output, succeed, target, workspace};

/// What one API socket is asked to do; the names are dbench's suites.
const SUITES: &[&str] = &[
    "ping:n=1000",
    "cycle:net=bridge,n=60",
    "cycle:net=none,n=60",
    "conc:j=8,net=bridge",
    "conc:j=32,net=bridge,n=128",
    "conc:j=8,net=none",
    "conc:j=32,net=none,n=128",
    "exec:n=60,j=8",
    "kill:n=15",
    "list:n=30,k=1000",
];

/// Rows of one engine: name -> (median, unit).
type Rows = BTreeMap<String, (f64, String)>;

/// Builds everything, measures, prints the table.
pub(crate) fn run(flags: &[String]) -> Result<()> {
    let peers = peers(flags)?;
    crate::install::all()?;
    let disk = Disk::mount()?;
    let dbench = client()?;
    let text = text_file(disk.folder())?;
    let ours = {
        let daemon = Daemon::start(&disk.folder().join("bench"), &[])?;
        import_busybox(&daemon)?;
        let mut rows = measure(&dbench, &daemon.socket, &text)?;
        rows.extend(memory(&daemon)?);
        rows.insert("first answer after exec, no containers".into(), (daemon.first_answer_ms, "ms".into()));
        rows
    };
    let mut columns = vec![("longshore", ours)];
    for (name, socket) in &peers {
        columns.push((name, measure(&dbench, socket, &text)?));
    }
    print_table(&columns);
    Ok(())
}

fn import_busybox(daemon: &Daemon) -> Result<()> {
    let tar = crate::test::rootfs_tar(&crate::install::all()?.busybox)?;
    output(Command::new("docker").env("DOCKER_HOST", daemon.host()).arg("import").arg(tar).arg("busybox:latest"))?;
    Ok(())
}

fn peers(flags: &[String]) -> Result<Vec<(&'static str, PathBuf)>> {
    let mut peers = Vec::new();
    for pair in flags.chunks(2) {
        match pair {
            [flag, socket] if flag == "--docker" => peers.push(("docker", PathBuf::from(socket))),
            [flag, socket] if flag == "--podman" => peers.push(("podman", PathBuf::from(socket))),
            _ => bail!("bench takes --docker SOCKET and --podman SOCKET"),
        }
    }
    Ok(peers)
}

fn client() -> Result<PathBuf> {
    let program = target().join("dbench");
    succeed(
        Command::new("rustc")
            .args(["--edition=2021", "-O", "-C", "panic=abort", "-A", "warnings", "-o"])
            .arg(&program)
            .arg(workspace().join("bench/dbench.rs")),
    )?;
    Ok(program)
}

/// 256 MiB of text in lines of 100 bytes.
fn text_file(disk: &Path) -> Result<PathBuf> {
    let path = disk.join("text");
    let line = [b"x".repeat(99), b"\n".to_vec()].concat();
    std::fs::write(&path, line.repeat((256 << 20) / line.len()))?;
    Ok(path)
}

fn measure(dbench: &Path, socket: &Path, text: &Path) -> Result<Rows> {
    let report = target().join("dbench.json");
    let io = format!("io:runs=3,file={},label=256M", text.display());
    let mut command = Command::new(dbench);
    command
        .arg("--sock")
        .arg(socket)
        .args(["--api", "v1.41", "--image", "busybox", "--out"])
        .arg(&report)
        .args(SUITES)
        .arg(&io);
    succeed(&mut command)?;
    let report: Value = serde_json::from_slice(&std::fs::read(&report)?)?;
    let mut rows = Rows::new();
    for row in report["results"].as_array().into_iter().flatten() {
        let name = row["name"].as_str().unwrap_or_default().to_owned();
        rows.insert(
            name,
            (row["median"].as_f64().unwrap_or_default(), row["unit"].as_str().unwrap_or_default().to_owned()),
        );
    }
    Ok(rows)
}

/// Memory (PSS) of the daemon with its launcher idle, and of ours beside each of 50 running containers.
fn memory(daemon: &Daemon) -> Result<Rows> {
    let idle = pss_kib(&["longshore daemon", "longshore launcher"])?;
    let docker = |arguments: &[&str]| output(Command::new("docker").env("DOCKER_HOST", daemon.host()).args(arguments));
    let before = pss_kib(&["longshore"])?;
    for _ in 0..50 {
        docker(&["run", "-d", "busybox", "sleep", "1000000"])?;
    }
    let beside = (pss_kib(&["longshore"])? - before) / 50.0;
    let ids = docker(&["ps", "-q"])?;
    docker(&[&["rm", "-f"], ids.split_whitespace().collect::<Vec<_>>().as_slice()].concat())?;
    Ok(Rows::from([
        ("memory, daemon and launcher idle".into(), (idle / 1024.0, "MiB PSS".into())),
        ("memory, ours beside one running container".into(), (beside, "KiB PSS".into())),
    ]))
}

/// Proportional set size of every process whose command line starts with one of `prefixes` (by the binary's file name).
fn pss_kib(prefixes: &[&str]) -> Result<f64> {
    let mut total = 0.0;
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Ok(command) = std::fs::read(entry.path().join("cmdline")) else { continue };
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        let command =
            command.rsplit_once("/longshore ").map_or(command.clone(), |(_, rest)| format!("longshore {rest}"));
        if !prefixes.iter().any(|prefix| command.starts_with(prefix)) {
            continue;
        }
        let Ok(rollup) = std::fs::read_to_string(entry.path().join("smaps_rollup")) else { continue };
        let pss = rollup
            .lines()
            .find_map(|line| line.strip_prefix("Pss:"))
            .and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
        total += pss.unwrap_or_default();
    }
    Ok(total)
}

/// Higher is better for these units; for all others lower is.
fn is_rate(unit: &str) -> bool {
    unit.ends_with("/s")
}

fn print_table(columns: &[(&str, Rows)]) {
    let (name, ours) = &columns[0];
    print!("\n{:<48} {:>10} {:>8}", "metric (median)", name, "unit");
    for (peer, _) in &columns[1..] {
        print!(" {peer:>10} {:>8}", "ratio");
    }
    println!();
    for (metric, (value, unit)) in ours {
        print!("{metric:<48} {value:>10.3} {unit:>8}");
        for (_, rows) in &columns[1..] {
            match rows.get(metric) {
                Some((peer, _)) if is_rate(unit) => print!(" {peer:>10.3} {:>7.1}x", value / peer),
                Some((peer, _)) => print!(" {peer:>10.3} {:>7.1}x", peer / value),
                None => print!(" {:>10} {:>8}", "-", "-"),
            }
        }
        println!();
    }
}
