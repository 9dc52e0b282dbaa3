//! `longshore demo`: everything at once, on a machine that has nothing but this binary.
//!
//! A daemon on a private root folder, socket and network namespace; an image made out of the binary itself (so that no
//! network is needed); a container run through the API with live output; then everything is cleaned up.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use api::container::{
    ContainerConfig, ContainerInspect, ContainerSummary, CreateRequest, CreateResponse, WaitResponse,
};
use client::Client;
use storage::tar::{Entry, EntryKind, Writer};

use crate::daemon::prerequisites;

/// The argument by which the binary knows that it is the demo's container.
pub(crate) const GUEST: &str = "demo-guest";

/// The demo's container.
const NAME: &str = "demo";

/// How long the daemon may take to answer first.
const READY_WITHIN: Duration = Duration::from_secs(10);

/// Runs the demo. What stands in the way is said in one sentence, with the remedy where there is one.
pub(crate) fn run() -> ExitCode {
    match demonstrate() {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever looked has seen enough (`longshore demo | head`), and all is cleaned up.
        Err(error) if error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe) => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("longshore: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn demonstrate() -> Result<()> {
    prerequisites::check()?;
    let folder = tempfile::Builder::new().prefix("longshore-demo-").tempdir_in("/var/tmp")?;
    // The daemon inherits this namespace; with its last process the bridge and the firewall table are gone.
    sys::netns::unshare().context("cannot make a network namespace")?;
    let daemon = Daemon::start(folder.path())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let client = Client::new(&folder.path().join("docker.sock"));
    let shown = runtime.block_on(async {
        let shown = tokio::select! {
            shown = show(&daemon, &client) => shown,
            _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
        };
        if shown.is_err() {
            // There is none if the demo did not come so far.
            drop(client.delete(&format!("/containers/{NAME}?force=1")).await);
        }
        shown
    });
    daemon.end()?;
    folder.close().context("cannot remove the demo's folder")?;
    shown?;
    say(format_args!(
        "\nAll of it is gone again. To use it for real:\n\
         \n  longshore daemon &                                   # listens on /var/run/docker.sock\
         \n  export DOCKER_HOST=unix:///var/run/docker.sock       # where the docker program looks anyway\
         \n  docker import rootfs.tar mine && docker run -it mine sh   # or: docker load -i image.tar"
    ))
}

/// Prints a line; a reader that has left is an error as any other, not a panic.
fn say(line: std::fmt::Arguments<'_>) -> Result<()> {
    Ok(writeln!(io::stdout(), "{line}")?)
}

/// What runs inside the demo's container: says where it is, line by line.
pub(crate) fn guest() -> ExitCode {
    let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    println!("hello from container {}, process {}", host.trim(), std::process::id());
    for count in 1..=3 {
        std::thread::sleep(Duration::from_millis(150));
        println!("line {count} of 3, as it is written");
    }
    ExitCode::SUCCESS
}

async fn show(daemon: &Daemon<'_>, client: &Client) -> Result<()> {
    daemon.ready(client).await?;
    say(format_args!("daemon      answers after {:.0} ms", daemon.started.elapsed().as_secs_f64() * 1e3))?;

    let begun = Instant::now();
    client.upload("/images/create?fromSrc=-&repo=longshore-demo", image()?.into()).await?;
    say(format_args!("image       made out of this binary in {:.0} ms", begun.elapsed().as_secs_f64() * 1e3))?;

    let config = ContainerConfig {
        image: "longshore-demo".to_owned(),
        cmd: Some(vec!["/longshore".to_owned(), GUEST.to_owned()]),
        attach_stdout: true,
        attach_stderr: true,
        ..ContainerConfig::default()
    };
    let request = CreateRequest { config, ..CreateRequest::default() };
    let CreateResponse { id, .. } = client.post(&format!("/containers/create?name={NAME}"), &request).await?;
    say(format_args!("container   {id}"))?;
    let attach = format!("/containers/{id}/attach?stream=1&stdout=1&stderr=1");
    let mut output = client.hijack(&attach, &api::Empty {}).await?;
    let begun = Instant::now();
    client.act(&format!("/containers/{id}/start")).await?;
    say(format_args!("started     in {:.1} ms", begun.elapsed().as_secs_f64() * 1e3))?;
    let inspected: ContainerInspect = client.get(&format!("/containers/{id}/json")).await?;
    say(format_args!("address     {}, process {}", inspected.network_settings.ip_address, inspected.state.pid))?;
    let listed: Vec<ContainerSummary> = client.get("/containers/json").await?;
    for container in &listed {
        let name = container.names.first().map_or("", |name| name.trim_start_matches('/'));
        say(format_args!("ps          {}  {}  {}  {}", &container.id[..12], container.image, container.status, name))?;
    }
    while let Some((_, line)) = output.next().await? {
        say(format_args!("output      {}", String::from_utf8_lossy(&line).trim_end()))?;
    }
    let ended: WaitResponse = client.patient().post(&format!("/containers/{id}/wait"), &api::Empty {}).await?;
    say(format_args!("exit code   {}", ended.status_code))?;
    client.delete(&format!("/containers/{id}")).await?;
    Ok(())
}

/// A root file system with one file: this binary.
fn image() -> Result<Vec<u8>> {
    let binary = std::fs::read("/proc/self/exe").context("cannot read this binary")?;
    let mut tar = Writer::new(Vec::new());
    for folder in ["dev", "etc", "proc", "sys", "tmp"] {
        let mut entry = Entry::new(folder, EntryKind::Directory);
        entry.mode = 0o755;
        tar.append(&entry, std::io::empty())?;
    }
    let mut entry = Entry::new("longshore", EntryKind::File);
    entry.mode = 0o755;
    entry.size = binary.len() as u64;
    tar.append(&entry, binary.as_slice())?;
    Ok(tar.finish()?)
}

/// The demo's own daemon.
struct Daemon<'a> {
    folder: &'a Path,
    process: Child,
    started: Instant,
}

impl<'a> Daemon<'a> {
    fn start(folder: &'a Path) -> Result<Self> {
        let log = std::fs::File::create(folder.join("log"))?;
        let started = Instant::now();
        let process = Command::new("/proc/self/exe")
            .arg("daemon")
            .arg("--host")
            .arg(format!("unix://{}", folder.join("docker.sock").display()))
            .arg("--data-root")
            .arg(folder.join("data"))
            .arg("--exec-root")
            .arg(folder.join("exec"))
            .arg("--pidfile")
            .arg(folder.join("pid"))
            // What interrupts the demo at a terminal lets it clean up first.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start the daemon")?;
        Ok(Self { folder, process, started })
    }

    async fn ready(&self, client: &Client) -> Result<()> {
        loop {
            match client.bytes("/_ping").await {
                Ok(_) => return Ok(()),
                Err(error) if self.started.elapsed() > READY_WITHIN || self.ended() => {
                    let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                    bail!("the daemon does not answer ({error}); it said:\n{log}");
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    }

    /// Whether the process has ended (a zombie until we wait for it).
    fn ended(&self) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap_or_default();
        status.rsplit(") ").next().is_none_or(|rest| rest.starts_with('Z'))
    }

    /// SIGTERM, and waits.
    fn end(mut self) -> Result<()> {
        let pidfd = sys::process::open(i32::try_from(self.process.id())?)?;
        // It may have ended by itself, which `ready` has reported.
        let _ = sys::process::send_signal(&pidfd, 15);
        self.process.wait()?;
        Ok(())
    }
}
