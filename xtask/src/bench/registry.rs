//! Images to and from a registry: push and pull of the image of [`super::image`], at Debian's registry on the loopback.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::bench::{Rows, docker, image, median};
use crate::daemon::Daemon;
use crate::run::{output, succeed};

const PORT: u16 = 5000;
const NAME: &str = "127.0.0.1:5000/bench:1";
/// Runs whose median counts.
const RUNS: usize = 3;
/// How long the registry may take to listen.
const START_WITHIN: Duration = Duration::from_secs(20);

/// Rows of ours, of inflating and writing the layers' files alone, and of podman if the machine has it.
pub(super) fn measure(disk: &Path) -> Result<(Rows, Rows, Option<Rows>)> {
    let (archive, rootfs) = image::make(disk)?;
    let megabytes = rootfs.metadata()?.len() as f64 / 1e6;
    let daemon = Daemon::start(&disk.join("registry-daemon"), &[])?;
    let namespace = format!("--net=/proc/{}/ns/net", daemon.pid());
    let registry = Registry::start(&disk.join("registry"), &namespace)?;
    output(docker(&daemon).args(["load", "-q", "-i"]).arg(&archive))?;
    output(docker(&daemon).args(["tag", "bench", NAME]))?;
    let ours = rows("docker", megabytes, &registry, &[], &|| docker(&daemon))?;
    let floor = registry.floor(disk, megabytes)?;
    drop(daemon);
    let podman = || {
        let mut podman = Command::new("nsenter");
        podman.arg(registry.namespace()).args(["podman", "--storage-driver", "overlay", "--root"]);
        podman.arg(disk.join("podman-registry")).arg("--runroot").arg(disk.join("podman-registry-run"));
        podman
    };
    if !podman().arg("version").output().is_ok_and(|output| output.status.success()) {
        return Ok((ours, floor, None));
    }
    output(podman().args(["load", "-q", "-i"]).arg(&archive))?;
    output(podman().args(["tag", "bench", NAME]))?;
    let podman = rows("podman", megabytes, &registry, &["--tls-verify=false"], &podman)?;
    Ok((ours, floor, Some(podman)))
}

/// Times both ways, in millions of bytes of the unpacked files' tar a second.
fn rows(
    name: &str,
    megabytes: f64,
    registry: &Registry,
    flags: &[&str],
    program: &dyn Fn() -> Command,
) -> Result<Rows> {
    let (mut pushes, mut pulls) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        registry.empty()?;
        pushes.push(megabytes / timed(program().arg("push").args(flags).arg(NAME))?);
        // Without what is known of the registry's layers: the next push sends all of them.
        output(program().args(["rmi", "-f", "bench", NAME]))?;
        pulls.push(megabytes / timed(program().arg("pull").args(flags).arg(NAME))?);
    }
    eprintln!("{name}: push {pushes:.0?}, pull {pulls:.0?} MB/s");
    let again = timed(program().arg("pull").args(flags).arg(NAME))?;
    Ok(Rows::from([
        ("push image".to_owned(), (median(pushes), "MB/s".to_owned())),
        ("pull image".to_owned(), (median(pulls), "MB/s".to_owned())),
        ("pull image again".to_owned(), (again * 1e3, "ms".to_owned())),
    ]))
}

/// Seconds that a program takes, when nothing is left to be written of what was before.
fn timed(command: &mut Command) -> Result<f64> {
    succeed(&mut Command::new("sync"))?;
    let begun = Instant::now();
    output(command)?;
    Ok(begun.elapsed().as_secs_f64())
}

/// Debian's registry, with its files beneath a folder.
struct Registry {
    process: Child,
    folder: PathBuf,
}

impl Registry {
    fn start(folder: &Path, namespace: &str) -> Result<Self> {
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

    /// For `nsenter`.
    fn namespace(&self) -> String {
        format!("--net=/proc/{}/ns/net", self.process.id())
    }

    /// Forgets all that was pushed.
    fn empty(&self) -> Result<()> {
        match std::fs::remove_dir_all(self.folder.join("data")) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// What inflating the layers that the registry has and writing their files takes alone, one after the other.
    fn floor(&self, disk: &Path, megabytes: f64) -> Result<Rows> {
        let place = disk.join("registry-floor");
        let script = "find \"$1\" -name data -size +1M | while read -r blob; do tar -C \"$2\" -xzf \"$blob\"; done; sync -f \"$2\"";
        let mut rates = Vec::new();
        for _ in 0..RUNS {
            std::fs::create_dir_all(&place)?;
            let mut unpack = Command::new("sh");
            unpack.args(["-ec", script, "sh"]).arg(self.folder.join("data/docker/registry/v2/blobs")).arg(&place);
            rates.push(megabytes / timed(&mut unpack)?);
            std::fs::remove_dir_all(&place)?;
        }
        eprintln!("inflating and writing alone: {rates:.0?} MB/s");
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
