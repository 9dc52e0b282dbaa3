//! `cargo xtask test`: every test, part by part, on a disk of its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};

use crate::clients;
use crate::daemon::Daemon;
use crate::disk::Disk;
use crate::install::{self, Installed};
use crate::run::{binary, cargo, cargo_test, succeed, succeed_within, target};

const PARTS: &[&str] = &["check", "unit", "e2e", "contract"];

/// How long the tests of a part may take, once compiled: several times what they take on one busy processor. Those that hang are
/// named before that.
const LIMIT: Duration = Duration::from_secs(40 * 60);

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
    let all = ["--quiet", "--workspace", "--exclude", "tests"];
    succeed(cargo().args(["test", "--no-run"]).args(all))?;
    succeed_within(LIMIT, cargo_test().args(all).env("TMPDIR", disk))
}

/// The real binary, driven by real programs.
fn end_to_end(disk: &Path, installed: &Installed) -> Result<()> {
    succeed(cargo().args(["test", "--no-run", "--package", "tests"]))?;
    let mut command = cargo_test();
    command.args(["--package", "tests"]).env("LONGSHORE_BIN", binary()?).env("LONGSHORE_TEST_DISK", disk);
    let few = clients::install(clients::Choice::Few, installed.python2.as_deref())?;
    command.env("LONGSHORE_BUSYBOX", &installed.busybox).env("LONGSHORE_CLIENTS", few);
    command.env("LONGSHORE_BUILDX", &installed.buildx).env("LONGSHORE_SSHD", &installed.sshd);
    command.env("LONGSHORE_PEERS", crate::peers::installed()?);
    // Debian's packages for base images: kept, so that they come once.
    command.env("LONGSHORE_DEBS", target().join("debs"));
    succeed_within(LIMIT, &mut command)
}

/// Tries every client there is, and writes `docs/clients.md`.
pub(crate) fn clients() -> Result<()> {
    let installed = install::all()?;
    let disk = Disk::mount()?;
    let list = clients::install(clients::Choice::All, installed.python2.as_deref())?;
    let mut command = cargo_test();
    command.args(["--package", "tests", "--", "--exact", "clients::every_client_takes_every_step"]);
    command.env("LONGSHORE_BIN", binary()?).env("LONGSHORE_TEST_DISK", disk.folder());
    command.env("LONGSHORE_BUSYBOX", &installed.busybox).env("LONGSHORE_CLIENTS", list);
    succeed(command.env("LONGSHORE_CLIENTS_PAGE", crate::run::workspace().join("docs/clients.md")))
}

/// Versions whose recordings are replayed: all, in lanes that take about as long as each other and run beside each other.
const LANES: [&str; 3] = ["1.14,1.0,1.3,1.6,1.9", "1.1,1.4,1.7,1.10,1.12", "1.2,1.5,1.8,1.11,1.13,unprefixed"];

/// Versions at which the exchanges in `tests/contract` were recorded: odd inputs, orders and states, beside the shared ones.
const LANE_HERE: &str = "1.0,1.5,1.9,1.14";

/// What requests without a version in the path meant to the engine that was recorded.
const UNPREFIXED: &str = "1.14";

/// The recorded exchanges of Docker 1.2.0, replayed.
fn contract(disk: &Path, installed: &Installed) -> Result<()> {
    let Some(folder) = install::contract() else {
        eprintln!("the recorded contract does not lie beside this checkout (../shared/contract): it was NOT replayed");
        return Ok(());
    };
    let rootfs = rootfs_tar(&installed.busybox)?;
    // Built once, before the lanes ask for it.
    binary()?;
    let own = crate::run::workspace().join("tests/contract");
    let lanes: Vec<_> = LANES.iter().map(|versions| (&folder, *versions)).chain([(&own, LANE_HERE)]).collect();
    std::thread::scope(|scope| {
        let replays: Vec<_> = lanes
            .iter()
            .map(|(recordings, versions)| {
                let mut compare = Command::new("timeout");
                compare
                    .args(["--kill-after=10", &LIMIT.as_secs().to_string(), "python3", "-B"])
                    .arg(folder.join("compare.py"))
                    .arg("--dir")
                    .arg(recordings);
                compare.args(["--verbose", "--retries", "3", "--version", versions]).arg("--rootfs-tar").arg(&rootfs);
                scope.spawn(move || replay(compare, &disk.join(format!("contract-{versions}"))))
            })
            .collect();
        // All of them have their say before the first that failed is the outcome.
        let outcomes: Vec<_> = replays.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        outcomes.into_iter().try_for_each(|outcome| outcome.map_err(|_| anyhow!("a replay panicked"))?)
    })
}

/// Replays recordings against a daemon of their own beneath `root`.
fn replay(mut compare: Command, root: &Path) -> Result<()> {
    let daemon = Daemon::start(root, &["--api-enable-cors", "--default-api-version", UNPREFIXED])?;
    let told = compare.arg("--socket").arg(&daemon.socket).output().context("cannot run compare.py")?;
    let shown = String::from_utf8_lossy(&told.stdout);
    let lines = shown.lines().filter(|line| !line.starts_with("ok "));
    println!("{}\n{}", lines.collect::<Vec<_>>().join("\n"), String::from_utf8_lossy(&told.stderr));
    ensure!(told.status.success(), "exchanges differ from what was recorded, or could not be replayed");
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
