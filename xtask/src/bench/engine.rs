//! The engines that are measured beside each other, and their samples.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::Result;

use crate::bench::{Columns, median};
use crate::daemon::Daemon;
use crate::peers;
use crate::run::{output, succeed};

/// Our column's name.
pub(super) const OURS: &str = "longshore";

/// A running engine with a network and a folder of its own; ended on drop.
pub(super) struct Engine {
    pub(super) name: &'static str,
    pub(super) daemon: Daemon,
    folder: PathBuf,
}

/// Ours, and both peers if there is a root file system to start them from.
pub(super) struct Engines {
    disk: PathBuf,
    names: &'static [&'static str],
    peers: PathBuf,
}

impl Engines {
    /// All that keep their files on that disk.
    pub(super) fn on(disk: &Path, peers: Option<PathBuf>) -> Self {
        // What is pulled is what the last one has pushed: gzip as most images of the world have it.
        let names: &[_] = if peers.is_some() { &[OURS, "podman", "docker"] } else { &[OURS] };
        Self { disk: disk.to_owned(), names, peers: peers.unwrap_or_default() }
    }

    /// Starts them on folders of this purpose, which may hold what they left there before.
    pub(super) fn start(&self, purpose: &str) -> Result<Vec<Engine>> {
        self.names.iter().map(|name| self.start_one(name, purpose)).collect()
    }

    fn start_one(&self, name: &'static str, purpose: &str) -> Result<Engine> {
        let folder = self.disk.join(format!("{purpose}-{name}"));
        let daemon = match name {
            OURS => Daemon::start(&folder, &[])?,
            peer => peers::start(&self.peers, peer, &self.disk, &folder)?,
        };
        Ok(Engine { name, daemon, folder })
    }

    /// Milliseconds from the exec to the first answer, one engine at a time.
    pub(super) fn first_answers(&self, purpose: &str, samples: &mut Samples, metric: &str) -> Result<()> {
        for name in self.names {
            samples.add(name, metric, "ms", self.start_one(name, purpose)?.daemon.first_answer_ms);
        }
        Ok(())
    }
}

impl Engine {
    /// The machine's `docker` program, at this engine.
    pub(super) fn docker(&self) -> Command {
        let mut command = Command::new("docker");
        command.env("DOCKER_HOST", self.daemon.host());
        command
    }

    /// The engine's own program: podman's needs no service.
    pub(super) fn program(&self) -> Result<Command> {
        if self.name == "podman" { peers::beside(&self.folder, "podman") } else { Ok(self.docker()) }
    }

    /// Runs the engine's own program.
    pub(super) fn run(&self, words: &[&str]) -> Result<()> {
        output(self.program()?.args(words)).map(drop)
    }

    /// Where its loopback is, for `nsenter`.
    pub(super) fn network(&self) -> String {
        format!("--net=/proc/{}/ns/net", self.daemon.pid())
    }
}

/// What each engine took, again and again, by metric.
#[derive(Default)]
pub(super) struct Samples(BTreeMap<&'static str, BTreeMap<String, (Vec<f64>, &'static str)>>);

impl Samples {
    /// Adds one.
    pub(super) fn add(&mut self, engine: &'static str, metric: &str, unit: &'static str, value: f64) {
        let metrics = self.0.entry(engine).or_default();
        metrics.entry(metric.to_owned()).or_insert_with(|| (Vec::new(), unit)).0.push(value);
    }

    /// Their medians, and all of them on standard error.
    pub(super) fn into_columns(self) -> Columns {
        let rows = |(engine, metrics): (&'static str, BTreeMap<String, (Vec<f64>, &'static str)>)| {
            let rows = metrics.into_iter().map(|(metric, (values, unit))| {
                eprintln!("{engine}: {metric} {values:.4?} {unit}");
                (metric, (median(values), unit.to_owned()))
            });
            (engine, rows.collect())
        };
        self.0.into_iter().map(rows).collect()
    }
}

/// Seconds that a program takes, as [`timed`] tells.
pub(super) fn seconds(engine: &str, metric: &str, command: &mut Command) -> Result<f64> {
    timed(engine, metric, || output(command).map(drop))
}

/// Seconds that something takes when nothing is left to be written of what was before. Standard error tells also when all that it
/// has written is on the disk.
pub(super) fn timed(engine: &str, metric: &str, run: impl FnOnce() -> Result<()>) -> Result<f64> {
    succeed(&mut Command::new("sync"))?;
    let begun = Instant::now();
    run()?;
    let took = begun.elapsed().as_secs_f64();
    succeed(&mut Command::new("sync"))?;
    eprintln!("{engine}: {metric} {took:.3} s, on the disk after {:.3} s", begun.elapsed().as_secs_f64());
    Ok(took)
}
