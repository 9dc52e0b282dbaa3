//! Containers' lives: cycles, exec, streams, lists, memory and the daemon's first answer.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::Result;
use serde_json::Value;

use crate::bench::engine::{Engine, Engines, OURS, Samples};
use crate::bench::{Columns, ladder, memory, merge};
use crate::run::{output, succeed, target, workspace};

/// What each API socket is asked to do; the names are dbench's suites. The last one leaves a thousand containers.
const SUITES: [&str; 11] = [
    "ping:n=1000",
    "cycle:net=bridge,n=60",
    "cycle:net=none,n=60",
    "conc:j=8,net=bridge,n=128",
    "conc:j=32,net=bridge,n=256",
    "conc:j=8,net=none,n=128",
    "conc:j=32,net=none,n=256",
    "exec:n=60,j=8",
    "kill:n=7",
    "io:runs=3,label=text100-256M,file=",
    "list:n=30,k=1000,keep=1",
];
/// Starts of the daemon whose median counts.
const STARTS: usize = 5;
/// Runs of the command line whose median counts.
const RUNS: usize = 25;

/// Measures all engines, the machine's `docker` program and dbench being the clients.
pub(super) fn measure(disk: &Path, rootfs: &Path, engines: &Engines) -> Result<Columns> {
    let (dbench, text) = (client()?, text_file(disk)?);
    let mut samples = Samples::default();
    for _ in 0..STARTS {
        engines.first_answers("life", &mut samples, "first answer, 0 stopped")?;
    }
    let mut columns = Columns::new();
    {
        let running = engines.start("life")?;
        for engine in &running {
            output(engine.docker().arg("import").arg(rootfs).arg("busybox:latest"))?;
            merge(&mut columns, Columns::from([(engine.name, memory::measure(engine)?)]));
        }
        for _ in 0..RUNS {
            for engine in &running {
                command_line(engine, &mut samples)?;
            }
        }
        for suite in SUITES {
            let suite = if suite.ends_with("file=") { format!("{suite}{}", text.display()) } else { suite.to_owned() };
            for engine in &running {
                ask(engine, &dbench, &suite, &mut columns)?;
            }
        }
        for engine in running.iter().filter(|engine| engine.name == OURS) {
            merge(&mut columns, Columns::from([(OURS, ladder::measure(&engine.daemon.socket)?)]));
        }
    }
    for _ in 0..STARTS {
        engines.first_answers("life", &mut samples, "first answer, 1000 stopped")?;
    }
    merge(&mut columns, samples.into_columns());
    Ok(columns)
}

/// `docker run` with the real program, whose own start is part of it.
fn command_line(engine: &Engine, samples: &mut Samples) -> Result<()> {
    let begun = Instant::now();
    output(engine.docker().args(["run", "--rm", "busybox", "true"]))?;
    samples.add(engine.name, "docker run --rm busybox true", "ms", begun.elapsed().as_secs_f64() * 1e3);
    Ok(())
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

/// Runs one suite at one engine.
fn ask(engine: &Engine, dbench: &Path, suite: &str, columns: &mut Columns) -> Result<()> {
    let report = target().join("dbench.json");
    let mut command = Command::new(dbench);
    command.arg("--sock").arg(&engine.daemon.socket).args(["--api", "v1.41", "--image", "busybox", "--out"]);
    succeed(command.arg(&report).arg(suite))?;
    let report: Value = serde_json::from_slice(&std::fs::read(&report)?)?;
    let rows = columns.entry(engine.name).or_default();
    for row in report["results"].as_array().into_iter().flatten() {
        let name = row["name"].as_str().unwrap_or_default().to_owned();
        let unit = row["unit"].as_str().unwrap_or_default().to_owned();
        rows.insert(name, (row["median"].as_f64().unwrap_or_default(), unit));
    }
    Ok(())
}
