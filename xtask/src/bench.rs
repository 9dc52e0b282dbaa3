//! `cargo xtask bench`: what longshore takes, beside what the kernel alone and the peers take.
//!
//! `bench/dbench.rs` is the client (its own cost: 0.01 ms a request), `bench/floor.c` the same work as one C program,
//! `bench/peers.tsv` what the peers took where none is at hand. Everything runs on one disk, one after the other; figures
//! are medians, and what counts is the ratio of a row.

mod build;
mod floor;
mod image;
mod ladder;
mod memory;
mod peers;
mod registry;
mod table;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

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
    "conc:j=8,net=bridge,n=128",
    "conc:j=32,net=bridge,n=256",
    "conc:j=8,net=none,n=128",
    "conc:j=32,net=none,n=256",
    "exec:n=60,j=8",
    "kill:n=15",
    "list:n=30,k=1000",
];
/// Starts of the daemon whose median counts.
const STARTS: usize = 5;
/// Runs of the command line whose median counts.
const RUNS: usize = 25;

/// A median and its unit.
type Figure = (f64, String);
/// Rows of one engine, by the metric's name.
type Rows = BTreeMap<String, Figure>;

/// Builds everything, measures, prints the table. `image` alone measures only the traffic of images, `build` only builds.
pub(crate) fn run(flags: &[String]) -> Result<()> {
    if flags == ["image"] {
        return images();
    }
    if flags == ["build"] {
        return builds();
    }
    let live = sockets(flags)?;
    let installed = crate::install::all()?;
    let disk = Disk::mount()?;
    let rootfs = crate::test::rootfs_tar(&installed.busybox)?;
    let dbench = client()?;
    let text = text_file(disk.folder())?;
    let mut ours = longshore(disk.folder(), &rootfs, &dbench, &text)?;
    let mut floor = floor::measure(disk.folder(), &rootfs)?;
    let podman = traffic(disk.folder(), &mut ours, &mut floor)?;
    ours.extend(build::measure(disk.folder(), &rootfs)?);
    let mut columns = peers::recorded()?;
    for (name, socket) in &live {
        columns.insert(name, measure(&dbench, socket, &text)?);
    }
    columns.entry("podman").or_default().extend(podman.unwrap_or_default());
    table::print(&ours, &floor, &columns);
    Ok(())
}

/// The traffic of images beside the recorded peers, and podman if the machine has it.
fn images() -> Result<()> {
    let disk = Disk::mount()?;
    let (mut ours, mut floor) = (Rows::new(), Rows::new());
    let podman = traffic(disk.folder(), &mut ours, &mut floor)?;
    let mut columns = peers::recorded()?;
    columns.extend(podman.map(|rows| ("podman here", rows)));
    table::print(&ours, &floor, &columns);
    Ok(())
}

/// Load, save, import, push and pull; what podman takes here, if the machine has it.
fn traffic(disk: &Path, ours: &mut Rows, floor: &mut Rows) -> Result<Option<Rows>> {
    let (rows, files) = image::measure(disk)?;
    ours.extend(rows);
    let (rows, least, registries) = registry::measure(disk)?;
    ours.extend(rows);
    floor.extend(least);
    let mut podman = files;
    if let Some(registries) = registries {
        podman.get_or_insert_default().extend(registries);
    }
    Ok(podman)
}

/// Builds beside the recorded peers.
fn builds() -> Result<()> {
    let installed = crate::install::all()?;
    let disk = Disk::mount()?;
    let rootfs = crate::test::rootfs_tar(&installed.busybox)?;
    table::print(&build::measure(disk.folder(), &rootfs)?, &Rows::new(), &peers::recorded()?);
    Ok(())
}

fn sockets(flags: &[String]) -> Result<Vec<(&'static str, PathBuf)>> {
    let mut sockets = Vec::new();
    for pair in flags.chunks(2) {
        match pair {
            [flag, socket] if flag == "--docker" => sockets.push(("docker", PathBuf::from(socket))),
            [flag, socket] if flag == "--podman" => sockets.push(("podman", PathBuf::from(socket))),
            _ => bail!("bench takes --docker SOCKET and --podman SOCKET"),
        }
    }
    Ok(sockets)
}

/// All of our own rows.
fn longshore(disk: &Path, rootfs: &Path, dbench: &Path, text: &Path) -> Result<Rows> {
    let root = disk.join("bench");
    let mut rows = Rows::new();
    rows.insert("first answer, 0 stopped".into(), first_answer(&root)?);
    {
        let daemon = Daemon::start(&root, &[])?;
        output(docker(&daemon).arg("import").arg(rootfs).arg("busybox:latest"))?;
        rows.extend(memory::measure(&daemon)?);
        rows.insert("docker run --rm busybox true".into(), command_line(&daemon)?);
        rows.extend(measure(dbench, &daemon.socket, text)?);
        let keep = Command::new(dbench).arg("--sock").arg(&daemon.socket).arg("list:n=1,k=1000,keep=1").output()?;
        if !keep.status.success() {
            bail!("a thousand containers could not be made: {}", String::from_utf8_lossy(&keep.stderr));
        }
        rows.extend(ladder::measure(&daemon.socket)?);
    }
    rows.insert("first answer, 1000 stopped".into(), first_answer(&root)?);
    Ok(rows)
}

/// From the daemon's exec to its first answer.
fn first_answer(root: &Path) -> Result<Figure> {
    let starts = (0..STARTS).map(|_| Ok(Daemon::start(root, &[])?.first_answer_ms)).collect::<Result<_>>()?;
    Ok((median(starts), "ms".into()))
}

/// `docker run` with the real program, whose own start is part of it.
fn command_line(daemon: &Daemon) -> Result<Figure> {
    let mut times = Vec::new();
    for run in 0..RUNS + 3 {
        let begun = Instant::now();
        output(docker(daemon).args(["run", "--rm", "busybox", "true"]))?;
        if run >= 3 {
            times.push(begun.elapsed().as_secs_f64() * 1e3);
        }
    }
    Ok((median(times), "ms".into()))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// The real `docker` program, against our daemon.
fn docker(daemon: &Daemon) -> Command {
    let mut command = Command::new("docker");
    command.env("DOCKER_HOST", daemon.host());
    command
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
    let io = format!("io:runs=3,file={},label=text100-256M", text.display());
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
        let unit = row["unit"].as_str().unwrap_or_default().to_owned();
        rows.insert(name, (row["median"].as_f64().unwrap_or_default(), unit));
    }
    Ok(rows)
}
