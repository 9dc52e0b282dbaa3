//! Containers of a build's steps.

use std::io::{ErrorKind, Read};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use api::container::{ContainerConfig, CreateRequest, HealthConfig};
use api::host_config::{HostConfig, Mount, TmpfsOptions};
use build::{Error as BuildError, Executor, Fetched, RunStep, StepMount, StepSource, Stream, Wanted};
use model::{ImageId, Reference};
use registry::Pull;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;
use crate::images::container_config_of;
use crate::options::{AttachOptions, ClientStream, RemoveOptions, WaitCondition};
use crate::transfer::refused;
use crate::{Error, Keys, Result, Waiting};

/// Bytes of a frame that are handed over at once.
const PIECE_BYTES: usize = 32 * 1024;
/// How long the rest of a line is waited for. Programs write a line in several pieces, and each that is told would have a colour
/// of its own.
const REST_OF_LINE: Duration = Duration::from_millis(10);
/// Bytes before each frame: stream, three zeros, length.
const HEAD_BYTES: usize = 8;

/// Runs a build's containers in the engine. All of it blocks.
pub(super) struct EngineExecutor {
    pub(super) engine: Arc<Engine>,
    pub(super) handle: Handle,
    /// Limits, network and the like of all containers.
    pub(super) host: HostConfig,
    /// By registry.
    pub(super) keys: Arc<dyn Keys>,
    pub(super) cancelled: CancellationToken,
}

/// An engine's error as a build's.
fn failed(error: Error) -> BuildError {
    BuildError::Executor { kind: error.kind(), source: Box::new(error) }
}

impl Executor for EngineExecutor {
    fn create(&self, step: &RunStep<'_>) -> Result<String, BuildError> {
        let host = self.host_of(step);
        let config = ContainerConfig {
            image: step.image.id.to_string(),
            hostname: String::new(),
            domainname: String::new(),
            attach_stdout: true,
            attach_stderr: true,
            // One empty word: the image's is not to come in its place.
            entrypoint: Some(vec![String::new()]),
            on_build: None,
            healthcheck: Some(HealthConfig { test: Some(vec!["NONE".to_owned()]), ..HealthConfig::default() }),
            ..container_config_of(step.config)
        };
        let request = CreateRequest { config, host_config: Some(host), networking_config: None };
        let created = self.handle.block_on(Arc::clone(&self.engine).create_for_build(request)).map_err(failed)?;
        Ok(created.id)
    }

    fn run(&self, container: &str, output: &mut dyn FnMut(Stream, &[u8])) -> Result<i64, BuildError> {
        let (ours, theirs) = UnixStream::pair()
            .map_err(|source| BuildError::Io { action: "making a socket for a step's output", source })?;
        let waiting = self.handle.block_on(self.start(container, theirs)).map_err(failed)?;
        let watch =
            self.handle.spawn(kill_when(self.cancelled.clone(), Arc::clone(&self.engine), container.to_owned()));
        let read = read_frames(ours, output);
        let outcome = self.handle.block_on(waiting.outcome());
        watch.abort();
        if self.is_cancelled() {
            return Err(BuildError::Cancelled);
        }
        read.map_err(|source| BuildError::Io { action: "reading a step's output", source })?;
        match outcome.error.filter(|error| !error.message.is_empty()) {
            Some(error) => Err(BuildError::Step(error.message)),
            None => Ok(outcome.status_code),
        }
    }

    fn remove(&self, container: &str) -> Result<(), BuildError> {
        let options = RemoveOptions { force: true, volumes: true, link: false };
        self.handle.block_on(self.engine.remove(container, options)).map_err(failed)
    }

    fn keep(&self, container: &str) -> Result<(), BuildError> {
        self.handle.block_on(self.engine.keep_of_build(container)).map_err(failed)
    }

    fn pull(&self, wanted: &Wanted<'_>, told: &mut dyn FnMut(serde_json::Value)) -> Result<ImageId, BuildError> {
        let reference: Reference = wanted.name.parse().map_err(|error| failed(refused(error)))?;
        let pull = Pull {
            platform: wanted.platform.cloned(),
            aside: wanted.aside,
            credentials: self.keys.for_registry(reference.domain()),
            ..Pull::of(reference.with_default_tag())
        };
        let pull = self.engine.pull_for_build(pull, told);
        let outcome = self.handle.block_on(self.cancelled.run_until_cancelled(pull));
        outcome.ok_or(BuildError::Cancelled)?.map_err(failed)
    }

    fn open(&self, url: &str) -> Result<Fetched, BuildError> {
        let remote = self.engine.open_remote(url, &self.handle, &self.cancelled).map_err(failed)?;
        let modified = remote.modified;
        Ok(Fetched { body: Box::new(remote), modified })
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.is_cancelled()
    }

    fn give_up(&self) {
        self.cancelled.cancel();
    }
}

impl EngineExecutor {
    /// The host configuration of a step's container: the build's, with what the step says.
    fn host_of(&self, step: &RunStep<'_>) -> HostConfig {
        let mut host = self.host.clone();
        if !matches!(step.network, "" | "default") {
            step.network.clone_into(&mut host.network_mode);
        }
        host.privileged |= step.insecure;
        if !step.mounts.is_empty() {
            host.mounts.get_or_insert_default().extend(step.mounts.iter().map(mount));
        }
        host
    }

    /// Starts a container with a client at its output, who misses nothing.
    async fn start(&self, container: &str, client: UnixStream) -> Result<Waiting> {
        let options =
            AttachOptions { stdout: true, stderr: true, stream: true, framed: true, ..AttachOptions::default() };
        let attachment = self.engine.attach(container, options).await?;
        attachment.run(ClientStream { socket: client.into(), early: Vec::new() }).await?;
        let waiting = self.engine.wait(container, WaitCondition::NextExit).await?;
        self.engine.start(container, None).await?;
        Ok(waiting)
    }
}

fn mount(mount: &StepMount) -> Mount {
    let whole = Mount { target: mount.target.clone(), read_only: mount.read_only, ..Mount::default() };
    match &mount.source {
        StepSource::Path(path) => {
            Mount { r#type: "bind".to_owned(), source: path.to_string_lossy().into_owned(), ..whole }
        }
        StepSource::Tmpfs { size_bytes } => {
            let options = TmpfsOptions { size_bytes: size_bytes.unwrap_or_default(), ..TmpfsOptions::default() };
            Mount { r#type: "tmpfs".to_owned(), tmpfs_options: Some(options), ..whole }
        }
    }
}

/// Kills a container when its build is cancelled.
async fn kill_when(cancelled: CancellationToken, engine: Arc<Engine>, container: String) {
    cancelled.cancelled().await;
    if let Err(error) = engine.kill(&container, "KILL").await {
        tracing::debug!(%error, "a build's container ended before it was killed");
    }
}

/// Hands over what comes in frames, to the end. Pieces of a line that follow each other closely are handed over as one.
fn read_frames(mut input: UnixStream, output: &mut dyn FnMut(Stream, &[u8])) -> std::io::Result<()> {
    let mut piece = vec![0; PIECE_BYTES];
    let (mut begun, mut begun_at) = (Vec::new(), Stream::Output);
    loop {
        let mut head = [0; HEAD_BYTES];
        if !begun.is_empty() {
            input.set_read_timeout(Some(REST_OF_LINE))?;
        }
        match input.read(&mut head[..1]) {
            Ok(0) => break,
            // A read with a time limit is cut off when the machine or this program was stopped for a moment.
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                input.set_read_timeout(None)?;
                output(begun_at, &std::mem::take(&mut begun));
                continue;
            }
            first => first?,
        };
        if !begun.is_empty() {
            input.set_read_timeout(None)?;
        }
        input.read_exact(&mut head[1..])?;
        let stream = if head[0] == 2 { Stream::Error } else { Stream::Output };
        if stream != begun_at && !begun.is_empty() {
            output(begun_at, &std::mem::take(&mut begun));
        }
        begun_at = stream;
        let mut left = u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize;
        while left > 0 {
            let length = left.min(PIECE_BYTES);
            input.read_exact(&mut piece[..length])?;
            begun.extend_from_slice(&piece[..length]);
            if begun.ends_with(b"\n") || begun.len() >= PIECE_BYTES {
                output(stream, &std::mem::take(&mut begun));
            }
            left -= length;
        }
    }
    if !begun.is_empty() {
        output(begun_at, &begun);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn pieces_of_a_line_are_one() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        for (stream, text) in [(2, "sh: "), (2, "x: not found\n"), (1, "begun"), (2, "a\nb"), (2, "c")] {
            theirs.write_all(&[stream, 0, 0, 0, 0, 0, 0, text.len() as u8]).unwrap();
            theirs.write_all(text.as_bytes()).unwrap();
        }
        drop(theirs);
        let mut told = String::new();
        let mut tell = |stream, piece: &[u8]| told += &format!("{stream:?} {} ", String::from_utf8_lossy(piece));
        read_frames(ours, &mut tell).unwrap();
        assert_eq!(told, "Error sh: x: not found\n Output begun Error a\nbc ");
    }

    #[test]
    fn a_line_that_does_not_end_is_told() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let (sender, told) = std::sync::mpsc::channel();
        let reader = std::thread::spawn(move || read_frames(ours, &mut |_, piece| drop(sender.send(piece.to_vec()))));
        theirs.write_all(b"\x01\0\0\0\0\0\0\x03...").unwrap();
        assert_eq!(told.recv_timeout(Duration::from_secs(60)).unwrap(), b"...");
        drop(theirs);
        reader.join().unwrap().unwrap();
    }
}
