//! Builds: ten small steps, and a context of 20,000 files and 200 MB, each cold and wholly cached, the engines taking turns. BuildKit
//! keeps contexts: its steps are done once more with a context that it has.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::bench::Columns;
use crate::bench::engine::{Engine, Samples, seconds, timed};
use crate::run::{output, succeed};

/// Steps that each run a command.
const STEPS: usize = 10;
/// Files of the context, of so many bytes each, so many in a folder.
const FILES: usize = 20_000;
const FILE_BYTES: usize = 10_000;
const FOLDER: usize = 200;
/// Runs whose median counts: cached ones cost little, and those of the small context are so short that five say nothing.
const COLD_RUNS: usize = 3;
const CACHED_RUNS: usize = 5;
const CACHED_RUNS_SMALL: usize = 25;
/// Builds that follow one another: alone, each begins with a machine that the other engines' turns have cooled down.
const IN_A_ROW: usize = 20;

/// A context in a folder, and a tar of it in memory: what reading it takes is no engine's time.
struct Case {
    name: &'static str,
    folder: PathBuf,
    /// How many files beside the Dockerfile.
    files: usize,
    tar: Vec<u8>,
}

/// Measures all engines: Docker's classic builder over the API, podman by its program (both in the rows `build`), and BuildKit by
/// the program `docker buildx`, which finds its settings in the folder.
pub(super) fn measure(disk: &Path, rootfs: &Path, buildx: &Path, engines: &[Engine]) -> Result<Columns> {
    let [small, files] = [
        Case::make("10 RUN", disk.join("build-steps"), &steps(), 0)?,
        Case::make("COPY of 20,000 files", disk.join("build-files"), "FROM busybox\nCOPY . /files\n", FILES)?,
    ];
    let config = settings(disk, buildx)?;
    for engine in engines {
        output(engine.docker().arg("import").arg(rootfs).arg("busybox:latest"))?;
    }
    let mut samples = Samples::default();
    for case in [&small, &files] {
        for way in ["build", "buildx"] {
            let is_short = case.files == 0 && way == "build";
            let cached_runs = if is_short { CACHED_RUNS_SMALL } else { CACHED_RUNS };
            for (state, runs, cached) in
                [("cold", COLD_RUNS, false), ("anew", COLD_RUNS, false), ("cached", cached_runs, true)]
            {
                if way == "build" && state == "anew" {
                    continue;
                }
                let metric = format!("{way} {}, {state}", case.name);
                for engine in std::iter::repeat_n(engines, runs).flatten() {
                    let took = match (way, engine.name) {
                        ("build", "podman") => seconds(engine.name, &metric, &mut by_podman(engine, case, cached)?)?,
                        ("build", _) => timed(engine.name, &metric, || post(engine, case, cached))?,
                        // It has no BuildKit.
                        (_, "podman") => continue,
                        _ => {
                            if state == "cold" {
                                output(engine.docker().env("DOCKER_CONFIG", &config).args(["buildx", "prune", "-af"]))?;
                            }
                            seconds(engine.name, &metric, &mut by_buildx(engine, &config, case, cached))?
                        }
                    };
                    samples.add(engine.name, &metric, "s", took);
                }
            }
        }
    }
    let metric = format!("build {}, cached, one after another", small.name);
    for engine in std::iter::repeat_n(engines, CACHED_RUNS).flatten().filter(|engine| engine.name != "podman") {
        let all = || (0..IN_A_ROW).try_for_each(|_| post(engine, &small, true));
        samples.add(engine.name, &metric, "s", timed(engine.name, &metric, all)? / IN_A_ROW as f64);
    }
    Ok(samples.into_columns())
}

/// Docker's classic builder, with no program between us that would have to be started.
fn post(engine: &Engine, case: &Case, cached: bool) -> Result<()> {
    let (query, bytes) = (if cached { "" } else { "?nocache=1" }, case.tar.len());
    let head = format!(
        "POST /build{query} HTTP/1.1\r\nHost: d\r\nConnection: close\r\nContent-Type: application/x-tar\r\nContent-Length: {bytes}\r\n\r\n"
    );
    let mut stream = UnixStream::connect(&engine.daemon.socket)?;
    stream.write_all(head.as_bytes())?;
    // Docker Engine leaves the end of the tar unread, and so resets the connection after its answer, or while we write.
    let sent = stream.write_all(&case.tar);
    let mut told = Vec::new();
    let end = stream.read_to_end(&mut told);
    let told = String::from_utf8_lossy(&told);
    // An answer of 200 may end with an error.
    ensure!(told.contains("Successfully built"), "the build failed ({sent:?}, {end:?}): {told}");
    Ok(())
}

/// podman's own program.
fn by_podman(engine: &Engine, case: &Case, cached: bool) -> Result<Command> {
    let mut podman = engine.program()?;
    podman.args(["build", "--layers"]).args((!cached).then_some("--no-cache")).arg(&case.folder);
    Ok(podman)
}

/// BuildKit.
fn by_buildx(engine: &Engine, config: &Path, case: &Case, cached: bool) -> Command {
    let mut docker = engine.docker();
    docker.env("DOCKER_CONFIG", config).args(["buildx", "build", "--progress=plain"]);
    docker.args((!cached).then_some("--no-cache")).arg(&case.folder);
    docker
}

/// A folder of settings of the `docker` program that has the plugin.
fn settings(disk: &Path, buildx: &Path) -> Result<PathBuf> {
    let config = disk.join("docker-config");
    std::fs::create_dir_all(config.join("cli-plugins"))?;
    std::fs::copy(buildx, config.join("cli-plugins/docker-buildx")).context("no program for docker buildx")?;
    Ok(config)
}

fn steps() -> String {
    let mut dockerfile = String::from("FROM busybox\n");
    for step in 0..STEPS {
        // Writing into a text cannot fail.
        let _ = writeln!(dockerfile, "RUN echo {step} > /step-{step}");
    }
    dockerfile
}

impl Case {
    /// Writes so many files beside a Dockerfile.
    fn make(name: &'static str, folder: PathBuf, dockerfile: &str, files: usize) -> Result<Self> {
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("Dockerfile"), dockerfile)?;
        for file in 0..files {
            let parent = folder.join(format!("folder-{}", file / FOLDER));
            if file % FOLDER == 0 {
                std::fs::create_dir_all(&parent)?;
            }
            let text = format!("file {file} of a build\n");
            std::fs::write(parent.join(format!("file-{file}")), text.repeat(FILE_BYTES / text.len()))?;
        }
        let path = folder.with_extension("tar");
        succeed(Command::new("tar").arg("-C").arg(&folder).arg("-cf").arg(&path).arg("."))?;
        Ok(Self { name, tar: std::fs::read(path)?, folder, files })
    }
}
