//! Builds over the API: ten small steps, and a context of 20,000 files and 200 MB, each cold and wholly cached.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Result, ensure};

use crate::bench::{Rows, docker, median};
use crate::daemon::Daemon;
use crate::run::{output, succeed};

/// Steps that each run a command.
const STEPS: usize = 10;
/// Files of the context, of so many bytes each, so many in a folder.
const FILES: usize = 20_000;
const FILE_BYTES: usize = 10_000;
const FOLDER: usize = 200;
/// Runs whose median counts: cached ones cost little.
const COLD_RUNS: usize = 3;
const CACHED_RUNS: usize = 9;

/// Measures a daemon of ours.
pub(super) fn measure(disk: &Path, rootfs: &Path) -> Result<Rows> {
    let steps = context(&disk.join("build-steps"), &steps(), 0)?;
    let files = context(&disk.join("build-files"), "FROM busybox\nCOPY . /files\n", FILES)?;
    let daemon = Daemon::start(&disk.join("build-daemon"), &[])?;
    output(docker(&daemon).arg("import").arg(rootfs).arg("busybox:latest"))?;
    let mut rows = Rows::new();
    for (name, tar) in [("10 RUN", &steps), ("COPY of 20,000 files", &files)] {
        for (state, runs, query) in [("cold", COLD_RUNS, "?nocache=1"), ("cached", CACHED_RUNS, "")] {
            let mut seconds = Vec::new();
            for _ in 0..runs {
                // What was written before must not be waited for in this run.
                succeed(&mut Command::new("sync"))?;
                let begun = Instant::now();
                build(&daemon, tar, query)?;
                seconds.push(begun.elapsed().as_secs_f64());
            }
            eprintln!("build {name}, {state}: {seconds:.3?} s");
            rows.insert(format!("build {name}, {state}"), (median(seconds), "s".to_owned()));
        }
    }
    Ok(rows)
}

fn steps() -> String {
    let mut dockerfile = String::from("FROM busybox\n");
    for step in 0..STEPS {
        // Writing into a text cannot fail.
        let _ = writeln!(dockerfile, "RUN echo {step} > /step-{step}");
    }
    dockerfile
}

/// A tar of a context with so many files beside its Dockerfile.
fn context(folder: &Path, dockerfile: &str, files: usize) -> Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join("Dockerfile"), dockerfile)?;
    for file in 0..files {
        let parent = folder.join(format!("folder-{}", file / FOLDER));
        if file % FOLDER == 0 {
            std::fs::create_dir_all(&parent)?;
        }
        let text = format!("file {file} of a build\n");
        std::fs::write(parent.join(format!("file-{file}")), text.repeat(FILE_BYTES / text.len()))?;
    }
    let tar = folder.with_extension("tar");
    succeed(Command::new("tar").arg("-C").arg(folder).arg("-cf").arg(&tar).arg("."))?;
    std::fs::remove_dir_all(folder)?;
    Ok(tar)
}

fn build(daemon: &Daemon, tar: &Path, query: &str) -> Result<()> {
    let mut curl = Command::new("curl");
    curl.args(["-sS", "-H", "Content-Type: application/x-tar", "-H", "Expect:", "-T"]).arg(tar);
    curl.args(["-X", "POST", "--unix-socket"]).arg(&daemon.socket).arg(format!("http://x/build{query}"));
    let told = output(&mut curl)?;
    ensure!(told.contains("Successfully built"), "the build failed: {told}");
    Ok(())
}
