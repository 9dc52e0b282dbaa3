//! Clients at a container's streams.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use shim::protocol;
use tokio::net::UnixStream;
use tokio::sync::watch;

use super::Container;
use super::record::Status;
use crate::engine::Engine;
use crate::options::{AttachOptions, ClientStream, LogsOptions};
use crate::{Error, Result};

/// Docker's default: ctrl-p, ctrl-q.
const DEFAULT_KEYS: [u8; 2] = [16, 17];
/// How long a start waits for clients that were promised an attach.
const PROMISE: Duration = Duration::from_secs(5);

/// An attach that was checked and waits for its client.
///
/// While it waits (until [`Attachment::run`] or drop) a start of the container waits as well: the server answers the client
/// before `run`, and the client starts the container as soon as it has read that answer. No output may be missed between.
#[derive(Debug)]
pub struct Attachment {
    engine: Arc<Engine>,
    container: Arc<Container>,
    options: AttachOptions,
    keys: Vec<u8>,
    tty: bool,
    _promise: Promise,
}

/// Counts clients that were promised an attach and are not there yet.
#[derive(Debug)]
struct Promise(Arc<Container>);

impl Promise {
    fn new(container: &Arc<Container>) -> Self {
        container.promised.send_modify(|promised| *promised += 1);
        Self(Arc::clone(container))
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.0.promised.send_modify(|promised| *promised -= 1);
    }
}

/// Waits until all clients that were promised an attach are there, within limits.
pub(crate) async fn promises_kept(promised: &watch::Sender<usize>) {
    let mut promised = promised.subscribe();
    if tokio::time::timeout(PROMISE, promised.wait_for(|promised| *promised == 0)).await.is_err() {
        tracing::warn!("a client that asked to attach does not come; starting without it");
    }
}

impl Engine {
    pub(crate) async fn resize_container(&self, name: &str, size: protocol::WindowSize, ended_too: bool) -> Result<()> {
        let container = self.containers.find(name)?;
        if ended_too && container.record().state.status == Status::Exited {
            return Ok(());
        }
        container
            .step(move |actor| {
                Box::pin(async move {
                    actor.running()?.send(&protocol::Command::Resize { exec_id: None, size }, &[])?;
                    let attributes = [("height", size.rows.to_string()), ("width", size.columns.to_string())];
                    actor.event("resize", &attributes);
                    Ok(())
                })
            })
            .await
    }

    pub(crate) fn prepare_attach(self: &Arc<Self>, name: &str, options: AttachOptions) -> Result<Attachment> {
        let container = self.containers.find(name)?;
        let record = container.record();
        let keys = detach_keys(options.detach_keys.as_deref())?;
        match record.state.status {
            Status::Paused if !options.paused => {
                return Err(Error::conflict(format!(
                    "container {name} is paused, unpause the container before attach"
                )));
            }
            Status::Restarting => {
                return Err(Error::conflict(format!(
                    "container {name} is restarting, wait until the container is running"
                )));
            }
            _ => {}
        }
        let tty = record.config.tty;
        let promise = Promise::new(&container);
        Ok(Attachment { engine: Arc::clone(self), container, options, keys, tty, _promise: promise })
    }
}

impl Attachment {
    /// Whether the container has a terminal: then the stream is raw, never multiplexed.
    pub fn tty(&self) -> bool {
        self.tty
    }

    /// Hands the client over (after what the log holds, if that was asked for). Returns once the shim has it, or, for
    /// a container that is not started yet, once it is kept for the start; the stream goes on without the engine.
    ///
    /// # Errors
    /// The container is gone or its shim does not answer; the client's socket is closed then.
    pub async fn run(self, client: ClientStream) -> Result<()> {
        let mut resume = None;
        if self.options.logs && !self.options.stream {
            // This is how logs were asked for before there was a call for it (API 1.11).
            self.container.first_words().await;
        }
        if self.options.logs {
            resume = self.replay(&client.socket, None).await?;
        }
        if !self.options.stream {
            return end(client.socket);
        }
        let attach = protocol::Attach {
            attach_id: 0,
            stdin: self.options.stdin && self.container.record().config.open_stdin,
            stdout: self.options.stdout,
            stderr: self.options.stderr,
            framed: self.options.framed && !self.tty,
            detach_keys: self.keys.clone(),
            early_input: client.early,
            resume,
        };
        let (socket, logs) = (client.socket, self.options.logs);
        let step = self.container.step(move |actor| {
            Box::pin(async move {
                // Asked here, where the container cannot end meanwhile.
                if logs && actor.record.state.status == Status::Exited {
                    return Ok(Some(socket));
                }
                actor.attach(attach, socket).map(|()| None)
            })
        });
        match step.await? {
            Some(socket) => {
                self.replay(&socket, resume).await?;
                end(socket)
            }
            None => Ok(()),
        }
    }

    /// Sends the log to the client, all of it or what follows `from`; returns where the live output joins.
    async fn replay(
        &self,
        client: &OwnedFd,
        from: Option<protocol::LogPosition>,
    ) -> Result<Option<protocol::LogPosition>> {
        let options = LogsOptions {
            stdout: self.options.stdout,
            stderr: self.options.stderr,
            framed: self.options.framed,
            whole_lines: self.options.whole_lines,
            ..LogsOptions::default()
        };
        let name = self.container.id.hex();
        let mut logs = self.engine.container_logs(&name, options, from).await?;
        let copy = client.try_clone().map_err(|error| lost(&error))?;
        let mut socket = stream(copy)?;
        while let Some(piece) = logs.bytes.next().await {
            use tokio::io::AsyncWriteExt;
            socket.write_all(&piece?).await.map_err(|error| lost(&error))?;
        }
        Ok(logs.position())
    }
}

fn lost(error: &std::io::Error) -> Error {
    Error::system(format!("the client left: {error}"))
}

fn stream(socket: OwnedFd) -> Result<UnixStream> {
    rustix::io::ioctl_fionbio(socket.as_fd(), true).map_err(|errno| lost(&errno.into()))?;
    UnixStream::from_std(std::os::unix::net::UnixStream::from(socket)).map_err(|error| lost(&error))
}

/// Ends a client's stream in order.
fn end(socket: OwnedFd) -> Result<()> {
    match rustix::net::shutdown(&socket, rustix::net::Shutdown::Write) {
        Ok(()) | Err(rustix::io::Errno::NOTCONN | rustix::io::Errno::PIPE) => Ok(()),
        Err(errno) => Err(lost(&errno.into())),
    }
}

/// Reads `ctrl-p,ctrl-q`: each a character or `ctrl-` with a letter or one of `@[\]^_`. Empty means the default.
pub(crate) fn detach_keys(text: Option<&str>) -> Result<Vec<u8>> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(DEFAULT_KEYS.to_vec()) };
    text.split(',')
        .map(|key| match key.strip_prefix("ctrl-") {
            Some(letter) => match letter.as_bytes() {
                [letter @ b'a'..=b'z'] => Ok(letter - b'a' + 1),
                [b'@'] => Ok(0),
                [b'['] => Ok(27),
                [b'\\'] => Ok(28),
                [b']'] => Ok(29),
                [b'^'] => Ok(30),
                [b'_'] => Ok(31),
                _ => Err(unknown_key(key)),
            },
            None => match key.as_bytes() {
                [byte] => Ok(*byte),
                _ => Err(unknown_key(key)),
            },
        })
        .collect()
}

fn unknown_key(key: &str) -> Error {
    Error::invalid(format!("invalid detach keys: Unknown character: '{key}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        assert_eq!(detach_keys(None).ok(), Some(vec![16, 17]));
        assert_eq!(detach_keys(Some("ctrl-a,x,ctrl-[")).ok(), Some(vec![1, b'x', 27]));
        assert!(detach_keys(Some("shift-a")).is_err());
    }
}
