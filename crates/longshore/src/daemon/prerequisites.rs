//! What the machine must offer, checked before anything is touched.

use std::fs;

use anyhow::{Result, ensure};
use rustix::io::Errno;
use rustix::mount::{FsOpenFlags, fsopen};
use rustix::process::{Resource, Rlimit, geteuid, getrlimit, setrlimit};

/// Refuses to start where containers cannot run, with the remedy.
///
/// # Errors
/// One sentence.
pub(crate) fn check() -> Result<()> {
    ensure!(geteuid().is_root(), "containers need root: run it again as root, for example with `sudo`");
    // Asked for, not looked up: the kernel loads a module that is wanted.
    ensure!(
        !matches!(fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC), Err(Errno::NODEV)),
        "this kernel has no overlayfs, in which images and containers are kept: try `modprobe overlay`"
    );
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    ensure!(
        mounts.lines().filter_map(|line| line.split(' ').nth(2)).any(|kind| kind == "cgroup" || kind == "cgroup2"),
        "no control groups are mounted: try `mount -t cgroup2 none /sys/fs/cgroup`"
    );
    Ok(())
}

/// Allows as many open files as the machine lets us: every connection and every container needs some.
pub(super) fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }) {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
}
