//! Docker Engine and podman of today beside us: a small Debian of its own beneath `target`, from which they are started on a
//! folder, with namespaces and cgroups that end with them (`tests/programs/peers.sh`).

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::daemon::Daemon;
use crate::install;
use crate::run::{output, succeed, target, workspace};

/// The Debian that they are taken from. It moves on: in November 2026 it had Docker Engine 28.5.2 and podman 5.8.6.
const SUITE: &str = "forky";

/// What is installed of it.
const PACKAGES: &str =
    "docker.io,docker-cli,docker-buildx,podman,crun,netavark,aardvark-dns,iptables,nftables,ca-certificates,iproute2";

/// The root file system with both, installed now unless it was before.
pub(crate) fn installed() -> Result<PathBuf> {
    let (root, complete) = (target().join("peers-root"), target().join("peers-root.complete"));
    let wanted = format!("{SUITE} {PACKAGES}");
    if std::fs::read_to_string(&complete).is_ok_and(|found| found == wanted) {
        return Ok(root);
    }
    if root.exists() {
        std::fs::remove_dir_all(&root).with_context(|| format!("cannot remove {}", root.display()))?;
    }
    install::programs(&[("mmdebstrap", "mmdebstrap")])?;
    let mut debian = Command::new("mmdebstrap");
    // An archive that is a snapshot has a date beyond which it were too old. A server that does not answer is asked again.
    debian.args(["--quiet", "--variant=minbase", "--aptopt=Acquire::Check-Valid-Until \"false\""]);
    debian.args(["--aptopt=Acquire::Retries \"5\"", &format!("--include={PACKAGES}"), SUITE]).arg(&root);
    succeed(debian.arg(install::debian()?))?;
    std::fs::write(&complete, wanted)?;
    Ok(root)
}

/// What is installed, for the table's head.
pub(crate) fn versions(root: &Path) -> Result<String> {
    let mut query = Command::new("chroot");
    query.arg(root).args(["dpkg-query", "-W", "-f", "${Package} ${Version}, ", "docker.io", "podman"]);
    Ok(output(&mut query)?.trim_end_matches([',', ' ']).to_owned())
}

/// Starts `docker` or `podman` of that root in a network of its own, with everything beneath a folder of a disk that it sees.
pub(crate) fn start(root: &Path, engine: &str, disk: &Path, folder: &Path) -> Result<Daemon> {
    std::fs::create_dir_all(folder)?;
    let log = File::create(folder.join("log"))?;
    let process = Command::new("unshare")
        .args(["--net", "sh", "-c", "ip link set lo up && exec \"$@\"", "sh", "bash"])
        .arg(workspace().join("tests/programs/peers.sh"))
        .args([root, disk, folder])
        .arg(engine)
        // It runs until this ends.
        .stdin(Stdio::piped())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()?;
    Daemon::answering(process, folder).with_context(|| format!("its log is {}", folder.join("log").display()))
}

/// A program beside such a daemon, in its namespaces.
pub(crate) fn beside(folder: &Path, program: &str) -> Result<Command> {
    let pid = std::fs::read_to_string(folder.join("pid")).context("no such daemon runs")?;
    let mut command = Command::new("nsenter");
    command.args(["--all", "--target", pid.trim(), program]);
    Ok(command)
}
