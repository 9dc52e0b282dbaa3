//! `cargo xtask test`: every test, part by part, on a disk of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::clients;
use crate::daemon::Daemon;
use crate::disk::Disk;
use crate::install::{self, Installed};
use crate::run::{binary, cargo, succeed, target};

const PARTS: &[&str] = &["check", "unit", "e2e", "contract"];

/// Runs the named parts, or all of them.
pub(crate) fn run(parts: &[String]) -> Result<()> {
    if let Some(unknown) = parts.iter().find(|part| !PARTS.contains(&part.as_str())) {
        bail!("no such part: {unknown}; there are {}", PARTS.join(", "));
    }
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|wanted| wanted == part);
    let installed = install::all()?;
    if wanted("check") {
        crate::check::run()?;
    }
    let disk = Disk::mount()?;
    if wanted("unit") {
        unit(disk.folder())?;
    }
    if wanted("e2e") {
        end_to_end(disk.folder(), &installed)?;
    }
    if wanted("contract") {
        contract(disk.folder(), &installed)?;
    }
    Ok(())
}

/// The tests beside the code.
fn unit(disk: &Path) -> Result<()> {
    succeed(cargo().args(["test", "--quiet", "--workspace", "--exclude", "tests"]).env("TMPDIR", disk))
}

/// The real binary, driven by real programs.
fn end_to_end(disk: &Path, installed: &Installed) -> Result<()> {
    let mut command = cargo();
    command.args(["test", "--package", "tests"]).env("LONGSHORE_BIN", binary()?).env("LONGSHORE_TEST_DISK", disk);
    let few = clients::install(clients::Choice::Few, installed.python2.as_deref())?;
    command.env("LONGSHORE_BUSYBOX", &installed.busybox).env("LONGSHORE_CLIENTS", few);
    command.env("LONGSHORE_BUILDX", &installed.buildx);
    // Debian's packages for base images: kept, so that they come once.
    command.env("LONGSHORE_DEBS", target().join("debs"));
    succeed(&mut command)
}

/// Tries every client there is, and writes `docs/clients.md`.
pub(crate) fn clients() -> Result<()> {
    let installed = install::all()?;
    let disk = Disk::mount()?;
    let list = clients::install(clients::Choice::All, installed.python2.as_deref())?;
    let mut command = cargo();
    command.args(["test", "--package", "tests", "--", "--exact", "clients::every_client_takes_every_step"]);
    command.env("LONGSHORE_BIN", binary()?).env("LONGSHORE_TEST_DISK", disk.folder());
    command.env("LONGSHORE_BUSYBOX", &installed.busybox).env("LONGSHORE_CLIENTS", list);
    succeed(command.env("LONGSHORE_CLIENTS_PAGE", crate::run::workspace().join("docs/clients.md")))
}

/// Versions whose recordings are replayed: the newest of them, and those at which much changed. All others can be named
/// to `compare.py` by hand.
const JUDGED: &str = "1.0,1.3,1.6,1.9,1.12,1.14,unprefixed";

/// Versions at which the exchanges in `tests/contract` were recorded: odd inputs, orders and states, beside the shared ones.
const JUDGED_HERE: &str = "1.0,1.5,1.9,1.14";

/// What requests without a version in the path meant to the engine that was recorded.
const UNPREFIXED: &str = "1.14";

/// The recorded exchanges of Docker 1.2.0, replayed.
fn contract(disk: &Path, installed: &Installed) -> Result<()> {
    let Some(folder) = install::contract() else {
        eprintln!("the recorded contract does not lie beside this checkout (../shared/contract): it was NOT replayed");
        return Ok(());
    };
    let rootfs = rootfs_tar(&installed.busybox)?;
    let daemon = Daemon::start(&disk.join("contract"), &["--api-enable-cors", "--default-api-version", UNPREFIXED])?;
    let own = crate::run::workspace().join("tests/contract");
    for (recordings, versions) in [(&folder, JUDGED), (&own, JUDGED_HERE)] {
        let mut compare = Command::new("python3");
        compare.arg(folder.join("compare.py")).arg("--dir").arg(recordings).args(["--version", versions]);
        compare.arg("--rootfs-tar").arg(&rootfs).arg("--socket").arg(&daemon.socket);
        succeed(&mut compare)?;
    }
    Ok(())
}

/// A tar of a busybox root file system, as the contract asks for it.
pub(crate) fn rootfs_tar(busybox: &Path) -> Result<PathBuf> {
    let root = target().join("rootfs");
    let tar = target().join("rootfs.tar");
    if tar.exists() {
        return Ok(tar);
    }
    for folder in ["bin", "dev", "etc", "proc", "root", "sys", "tmp", "usr/bin", "usr/sbin", "var"] {
        std::fs::create_dir_all(root.join(folder))?;
    }
    std::fs::copy(busybox, root.join("bin/busybox"))?;
    std::fs::write(
        root.join("etc/passwd"),
        "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\n",
    )?;
    std::fs::write(root.join("etc/group"), "root:x:0:\ndaemon:x:1:\n")?;
    let applets = crate::run::output(Command::new(busybox).arg("--list"))?;
    for applet in applets.lines().filter(|applet| *applet != "busybox") {
        let link = root.join("bin").join(applet);
        if !link.is_symlink() {
            std::os::unix::fs::symlink("busybox", link)?;
        }
    }
    succeed(
        Command::new("tar")
            .arg("-C")
            .arg(&root)
            .args(["--numeric-owner", "--owner=0", "--group=0", "-cf"])
            .arg(&tar)
            .arg("."),
    )?;
    Ok(tar)
}
