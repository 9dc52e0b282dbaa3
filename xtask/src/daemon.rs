//! A daemon for the contract and the benchmark, ours or a peer's: its own network namespace, host name, root folder and socket.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};

use crate::run::{binary, succeed};

/// How long the first answer may take before we call the start failed, and the end. No promise, but how a hang is told from a
/// machine under load.
const START_WITHIN: Duration = Duration::from_secs(60);
const END_WITHIN: Duration = Duration::from_secs(60);

/// A running daemon, ended on drop.
pub(crate) struct Daemon {
    process: Child,
    /// Where its API listens.
    pub(crate) socket: PathBuf,
    /// Milliseconds from exec to the first answer.
    pub(crate) first_answer_ms: f64,
}

/// What comes before the daemon: the contract was recorded on a host of that name.
const PRELUDE: &str = "echo vm >/proc/sys/kernel/hostname && ip link set lo up && date +%s%N >$0 && exec \"$@\"";

impl Daemon {
    /// Starts the release binary with everything beneath `root`, and waits until it answers.
    pub(crate) fn start(root: &Path, flags: &[&str]) -> Result<Self> {
        let binary = binary()?;
        std::fs::create_dir_all(root)?;
        let socket = root.join("docker.sock");
        let process = Command::new("unshare")
            // What comes before the daemon's exec is not its time.
            .args(["--net", "--uts", "sh", "-c", PRELUDE])
            .arg(root.join("begun"))
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
        Self::answering(process, root)
    }

    /// A daemon just started, as soon as it answers: its socket and the time of its exec (`begun`, in ns) lie beneath `root`. One
    /// with a pipe for its standard input ends when that ends, another one by a signal.
    pub(crate) fn answering(process: Child, root: &Path) -> Result<Self> {
        let started = Instant::now();
        let (socket, begun) = (root.join("docker.sock"), root.join("begun"));
        let mut daemon = Self { process, socket, first_answer_ms: 0.0 };
        while daemon.ping().is_err() {
            ensure!(daemon.process.try_wait()?.is_none(), "the daemon ended at its start");
            ensure!(started.elapsed() < START_WITHIN, "the daemon did not listen within {START_WITHIN:?}");
            std::thread::sleep(Duration::from_micros(500));
        }
        let answered = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let begun: u64 = std::fs::read_to_string(begun)?.trim().parse()?;
        daemon.first_answer_ms = answered.saturating_sub(Duration::from_nanos(begun)).as_secs_f64() * 1e3;
        Ok(daemon)
    }

    /// Asks once, and waits for the answer.
    fn ping(&self) -> Result<()> {
        let mut connection = UnixStream::connect(&self.socket)?;
        connection.set_read_timeout(Some(START_WITHIN))?;
        connection.write_all(b"GET /_ping HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer)?;
        ensure!(answer.starts_with("HTTP/1.") && answer.ends_with("OK"), "no answer to a ping: {answer:?}");
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        match self.process.stdin.take() {
            Some(stdin) => drop(stdin),
            None => succeed(Command::new("kill").arg(self.process.id().to_string()))?,
        }
        let late = Instant::now() + END_WITHIN;
        while self.process.try_wait()?.is_none() {
            if Instant::now() > late {
                self.process.kill()?;
                self.process.wait()?;
                bail!("it did not end within {END_WITHIN:?}");
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// The daemon's process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// For `DOCKER_HOST`.
    pub(crate) fn host(&self) -> String {
        format!("unix://{}", self.socket.display())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            eprintln!("the daemon was not ended: {error:#}");
        }
    }
}
