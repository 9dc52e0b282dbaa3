//! Running programs, and where things are.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// The workspace's folder.
pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned).unwrap_or_default()
}

/// The folder that cargo builds into.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}

/// The release binary, built now.
pub(crate) fn binary() -> Result<PathBuf> {
    succeed(cargo().args(["build", "--release", "--package", "longshore"]))?;
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let binary = target().join(triple).join("release/longshore");
    ensure!(binary.exists(), "cargo built no {}", binary.display());
    Ok(binary)
}

/// `cargo`, in the workspace.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(program());
    in_workspace(&mut command);
    command
}

/// Variables that tests would otherwise take from whoever runs them: proxies that would be asked for what a test serves itself,
/// and a docker program's settings.
const STRANGE: [&str; 16] = [
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "DOCKER_API_VERSION",
    "DOCKER_BUILDKIT",
    "DOCKER_CERT_PATH",
    "DOCKER_CONFIG",
    "DOCKER_CONTEXT",
    "DOCKER_DEFAULT_PLATFORM",
    "DOCKER_HOST",
    "DOCKER_TLS_VERIFY",
];

/// `cargo test`, in the workspace, where modes of new files, language and time are the same on all machines.
pub(crate) fn cargo_test() -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "umask 022; exec \"$@\"", "sh"]).arg(program()).arg("test");
    for name in STRANGE {
        command.env_remove(name);
    }
    in_workspace(command.env("LC_ALL", "C.UTF-8").env("TZ", "UTC"));
    command
}

fn program() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

fn in_workspace(command: &mut Command) {
    command.current_dir(workspace());
    // What cargo has told *us* about our package would make build scripts that watch these variables run again, and
    // everything above them be built again, each time that cargo is called the other way.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
}

/// Runs `command` and fails, naming it, if it fails.
pub(crate) fn succeed(command: &mut Command) -> Result<()> {
    eprintln!("+ {}", words(command));
    let status = command.status().with_context(|| format!("cannot run {}", words(command)))?;
    ensure!(status.success(), "{} failed: {status}", words(command));
    Ok(())
}

/// Runs `command` as [`succeed`] does, and ends it with its children after `limit`: what hangs is named instead of waited for.
pub(crate) fn succeed_within(limit: Duration, command: &mut Command) -> Result<()> {
    eprintln!("+ {}", words(command));
    let mut child = command.spawn().with_context(|| format!("cannot run {}", words(command)))?;
    let deadline = Instant::now() + limit;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() > deadline {
            end(&mut child)?;
            bail!("{} has not ended within {} minutes", words(command), limit.as_secs() / 60);
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    ensure!(status.success(), "{} failed: {status}", words(command));
    Ok(())
}

/// Kills a process and its children (cargo's are the tests). They stay in our process group until then, for the terminal's sake.
fn end(child: &mut Child) -> Result<()> {
    let pid = child.id();
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    child.kill()?;
    if !children.trim().is_empty() {
        succeed(Command::new("kill").arg("-KILL").args(children.split_whitespace()))?;
    }
    child.wait()?;
    Ok(())
}

/// What `command` prints on standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run {}", words(command)))?;
    ensure!(output.status.success(), "{} failed: {}", words(command), String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn words(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}
