//! A daemon for the contract and the benchmark: its own network namespace, root folder and socket.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::run::{binary, output, succeed};

/// How long the first answer may take before we call the start failed.
const START_WITHIN: Duration = Duration::from_secs(10);

/// A running daemon, ended on drop.
pub(crate) struct Daemon {
    process: Child,
    /// Where its API listens.
    pub(crate) socket: PathBuf,
    /// Milliseconds from exec to the first answer.
    pub(crate) first_answer_ms: f64,
}

impl Daemon {
    /// Starts the release binary with everything beneath `root`, and waits until it answers.
    pub(crate) fn start(root: &Path, flags: &[&str]) -> Result<Self> {
        let binary = binary()?;
        std::fs::create_dir_all(root)?;
        let socket = root.join("docker.sock");
        let started = Instant::now();
        let process = Command::new("unshare")
            .args(["--net", "sh", "-c", "ip link set lo up && exec \"$@\"", "sh"])
            .arg(binary)
            .arg("daemon")
            .args(flags)
            .arg("--host")
            .arg(format!("unix://{}", socket.display()))
            .arg("--data-root")
            .arg(root.join("data"))
            .arg("--exec-root")
            .arg(root.join("exec"))
            .arg("--pidfile")
            .arg(root.join("pid"))
            .spawn()
            .context("cannot start the daemon")?;
        let mut daemon = Self { process, socket, first_answer_ms: 0.0 };
        while UnixStream::connect(&daemon.socket).is_err() {
            ensure!(daemon.process.try_wait()?.is_none(), "the daemon ended at its start");
            ensure!(started.elapsed() < START_WITHIN, "the daemon did not listen within {START_WITHIN:?}");
            std::thread::sleep(Duration::from_micros(500));
        }
        output(Command::new("curl").args(["-sf", "http://d/_ping", "--unix-socket"]).arg(&daemon.socket))?;
        daemon.first_answer_ms = started.elapsed().as_secs_f64() * 1e3;
        Ok(daemon)
    }

    /// For `DOCKER_HOST`.
    pub(crate) fn host(&self) -> String {
        format!("unix://{}", self.socket.display())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let pid = self.process.id().to_string();
        let ended = succeed(Command::new("kill").arg(pid)).and_then(|()| Ok(self.process.wait()?));
        if let Err(error) = ended {
            eprintln!("the daemon was not ended: {error:#}");
        }
    }
}
