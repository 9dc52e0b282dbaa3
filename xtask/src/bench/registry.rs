//! Debian's registry on an engine's loopback.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::bench::engine::seconds;
use crate::bench::{Rows, median};

const PORT: u16 = 5000;
/// The image in it.
pub(super) const NAME: &str = "127.0.0.1:5000/bench:1";
/// Runs whose median counts.
const RUNS: usize = 3;
/// How long the registry may take to listen.
const START_WITHIN: Duration = Duration::from_secs(20);

/// Debian's registry, with its files beneath a folder.
pub(super) struct Registry {
    process: Child,
    folder: PathBuf,
}

impl Registry {
    /// Starts one in that network (`nsenter` names it). Several may have the same folder.
    pub(super) fn start(folder: &Path, namespace: &str) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let config = folder.join("config.yml");
        let data = folder.join("data");
        std::fs::write(
            &config,
            format!(
                "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:{PORT}\n",
                data.display()
            ),
        )?;
        let mut command = Command::new("nsenter");
        command.arg(namespace).args(["docker-registry", "serve"]).arg(&config);
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let registry = Self { process, folder: folder.to_owned() };
        let begun = Instant::now();
        let knock = format!("exec 3<>/dev/tcp/127.0.0.1/{PORT}");
        while !Command::new("nsenter").arg(namespace).args(["bash", "-c", &knock]).output()?.status.success() {
            ensure!(begun.elapsed() < START_WITHIN, "the registry does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(registry)
    }

    /// Forgets all that was pushed.
    pub(super) fn empty(&self) -> Result<()> {
        match std::fs::remove_dir_all(self.folder.join("data")) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// What inflating the layers that the registry has and writing their files takes alone, one after the other.
    pub(super) fn floor(&self, disk: &Path, megabytes: f64) -> Result<Rows> {
        let place = disk.join("registry-floor");
        let script = "find \"$1\" -name data -size +1M | while read -r blob; do tar -C \"$2\" -xzf \"$blob\"; done; sync -f \"$2\"";
        let mut rates = Vec::new();
        for _ in 0..RUNS {
            std::fs::create_dir_all(&place)?;
            let mut unpack = Command::new("sh");
            unpack.args(["-ec", script, "sh"]).arg(self.folder.join("data/docker/registry/v2/blobs")).arg(&place);
            rates.push(megabytes / seconds("floor", "pull image", &mut unpack)?);
            std::fs::remove_dir_all(&place)?;
        }
        Ok(Rows::from([("pull image".to_owned(), (median(rates), "MB/s".to_owned()))]))
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing left to end.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
