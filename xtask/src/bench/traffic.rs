//! Images in and out: load, push, save, import and pull of an image of 750 MB, the engines taking turns.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::bench::engine::{Engine, Samples, seconds};
use crate::bench::registry::{NAME, Registry};
use crate::bench::{Columns, Rows, image};

/// Runs whose median counts.
const RUNS: usize = 3;

/// Measures all engines; the floor is what inflating and writing a pulled image's files takes.
pub(super) fn measure(disk: &Path, engines: &[Engine], floor: &mut Rows) -> Result<Columns> {
    let (archive, rootfs) = image::make(disk)?;
    let folder = disk.join("registry");
    let registries = engines.iter().map(|engine| Registry::start(&folder, &engine.network()));
    let registries = registries.collect::<Result<Vec<_>>>()?;
    let mut traffic = Traffic { archive, rootfs, samples: Samples::default() };
    for _ in 0..RUNS {
        traffic.round(engines, &registries)?;
    }
    if let Some(registry) = registries.first() {
        floor.extend(registry.floor(disk, traffic.megabytes()?)?);
    }
    Ok(traffic.samples.into_columns())
}

struct Traffic {
    archive: PathBuf,
    rootfs: PathBuf,
    samples: Samples,
}

impl Traffic {
    /// Every engine takes the image in and gives it out each way, one after the other.
    fn round(&mut self, engines: &[Engine], registries: &[Registry]) -> Result<()> {
        for engine in engines {
            let mut program = engine.program()?;
            program.args(["load", "-q", "-i"]).arg(&self.archive);
            self.time(engine, "load image", &mut program)?;
            engine.run(&["tag", "bench", NAME])?;
        }
        for (engine, registry) in engines.iter().zip(registries) {
            registry.empty()?;
            self.time(engine, "push image", engine.program()?.arg("push").args(insecure(engine)).arg(NAME))?;
        }
        for engine in engines {
            let mut program = engine.program()?;
            program.args(["save", "bench"]).stdout(File::create("/dev/null")?);
            self.time(engine, "save image", &mut program)?;
            // Without what is known of the registry's layers: the pull and the next push send all of them.
            engine.run(&["rmi", "-f", "bench", NAME])?;
        }
        for engine in engines {
            self.time(engine, "import image", engine.program()?.arg("import").arg(&self.rootfs).arg("imported"))?;
            engine.run(&["rmi", "imported"])?;
        }
        for engine in engines {
            let mut pull = engine.program()?;
            pull.arg("pull").args(insecure(engine)).arg(NAME);
            self.time(engine, "pull image", &mut pull)?;
            let again = seconds(engine.name, "pull image again", &mut pull)?;
            self.samples.add(engine.name, "pull image again", "ms", again * 1e3);
            engine.run(&["rmi", "-f", NAME])?;
        }
        Ok(())
    }

    /// In millions of bytes of the unpacked files' tar a second.
    fn time(&mut self, engine: &Engine, metric: &str, command: &mut Command) -> Result<()> {
        let took = seconds(engine.name, metric, command)?;
        self.samples.add(engine.name, metric, "MB/s", self.megabytes()? / took);
        Ok(())
    }

    fn megabytes(&self) -> Result<f64> {
        Ok(self.rootfs.metadata()?.len() as f64 / 1e6)
    }
}

/// What podman must be told of a registry without TLS on the loopback.
fn insecure(engine: &Engine) -> &'static [&'static str] {
    if engine.name == "podman" { &["--tls-verify=false"] } else { &[] }
}
