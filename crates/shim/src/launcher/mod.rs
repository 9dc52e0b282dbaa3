//! The launcher: a single-threaded process that forks shims for the daemon, and the daemon's side of it.

mod executable;
mod serve;

pub use serve::{run, run_on_stdin, run_with};

use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::channel::{Channel, Incoming};
use crate::connection::Connection;
use crate::error::{Error, Result};
use crate::protocol::{Reply, Request};

use executable::Executable;

/// How long the launcher may take over a fork before it counts as dead.
const PATIENCE: Duration = Duration::from_secs(10);

/// The daemon's side of the launcher. The launcher process ends when this is dropped; shims live on.
#[derive(Debug)]
pub struct Launcher {
    arguments: Vec<String>,
    process: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    channel: Channel,
    child: Child,
}

impl Launcher {
    /// Starts a launcher: executes this very program with `arguments` (which must end up in
    /// [`run_on_stdin`]), through a copy that nobody in a container can write to.
    pub fn start<A: Into<String>>(arguments: impl IntoIterator<Item = A>) -> Result<Launcher> {
        let arguments: Vec<String> = arguments.into_iter().map(Into::into).collect();
        let running = Running::start(&arguments)?;
        Ok(Launcher { arguments, process: Mutex::new(Some(running)) })
    }

    /// Forks a shim for `container_id` that will listen at `socket` (an absolute path), and greets it.
    ///
    /// Blocks for a fork (well under a millisecond). A launcher that died is started again.
    pub fn launch(&self, container_id: &str, socket: &Path) -> Result<Connection> {
        let mut process = self.lock();
        if let Some(running) = process.as_ref() {
            match running.launch(container_id, socket) {
                Ok(connection) => return Ok(connection),
                Err(error @ Error::Launch { .. }) => return Err(error),
                // The launcher is dead or stuck: a new one takes its place.
                Err(_) => drop(process.take()),
            }
        }
        process.insert(Running::start(&self.arguments)?).launch(container_id, socket)
    }

    /// Process id of the launcher, while there is one.
    pub fn pid(&self) -> Option<u32> {
        self.lock().as_ref().map(|running| running.child.id())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Running>> {
        // A panic of another caller leaves at worst a connection that is out of step, which the next call replaces.
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    fn start(arguments: &[String]) -> Result<Running> {
        let (ours, theirs) = sys::socket::pair().map_err(Error::system("make a socket pair"))?;
        rustix::net::sockopt::set_socket_timeout(&ours, rustix::net::sockopt::Timeout::Recv, Some(PATIENCE))
            .map_err(Error::system("set a socket's timeout"))?;
        let executable = Executable::new()?;
        let child = executable
            .command()
            .args(arguments)
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .spawn()
            .map_err(Error::system("execute the launcher"))?;
        Ok(Running { channel: Channel::new(ours), child })
    }

    fn launch(&self, container_id: &str, socket: &Path) -> Result<Connection> {
        let (ours, theirs) = sys::socket::pair().map_err(Error::system("make a socket pair"))?;
        let request = Request::Launch { container_id: container_id.to_owned(), socket: socket.to_owned() };
        self.channel.send(&request, &[theirs.as_fd()])?;
        drop(theirs);
        match self.channel.receive()? {
            Incoming::Message(Reply::Launched { .. }, _) => Connection::greet(ours),
            Incoming::Message(Reply::Failed { detail }, _) => {
                Err(Error::Launch { container_id: container_id.to_owned(), detail })
            }
            Incoming::Nothing | Incoming::Closed => Err(Error::Closed),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It would end by itself once its socket closes; a stuck one has to be helped, and both have to be reaped.
        // Neither call can fail in a way that matters: the process is our own child.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
