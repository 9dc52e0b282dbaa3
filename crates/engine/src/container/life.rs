//! A container's actor: the one task that changes it.
//!
//! It listens to three sides, and whatever comes is a short step:
//!
//! ```text
//! calls (mailbox) ──┐
//! the shim's events ├──> Actor ──> record in the database ──> published snapshot ──> waiters, event journal
//! restart delay ────┘
//! ```

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use runtime::cgroup::CgroupPlan;
use shim::protocol::{self, Event};
use shim::{Connection, Incoming};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::health::Watch;
use super::record::{Record, Status};
use super::{Container, Step};
use crate::engine::Engine;
use crate::readiness::Readiness;
use crate::restart::BackOff;
use crate::{Error, Result};

/// How long a killed shim may take to go.
const KILLED_WITHIN: Duration = Duration::from_secs(2);

/// What only the actor of a container may touch.
#[derive(Debug)]
pub(crate) struct Actor {
    pub(crate) engine: Arc<Engine>,
    pub(crate) container: Arc<Container>,
    /// The working copy; published and stored after each change.
    pub(crate) record: Record,
    /// While there is a process, or its end was not yet recorded.
    pub(crate) shim: Option<Shim>,
    /// Clients that attached before the start.
    pub(crate) pending: Vec<(protocol::Attach, OwnedFd)>,
    pub(crate) back_off: BackOff,
    pub(crate) restart_at: Option<Instant>,
    /// Execs that were asked for and have not answered.
    pub(crate) starting_execs: HashMap<String, oneshot::Sender<Result<i32, protocol::Failure>>>,
    /// The end of this run was asked for: no restart.
    pub(crate) stopping: bool,
    /// Details that the database does not have yet and could learn again from the shim.
    pub(crate) unsaved: bool,
    pub(crate) removed: bool,
    /// Removes the last run's control groups.
    pub(crate) cleaning: Option<JoinHandle<()>>,
    /// Probes the container while it runs.
    pub(crate) health: Option<Watch>,
    next_attach: u64,
}

/// The container's shim, and what belongs to a run.
#[derive(Debug)]
pub(crate) struct Shim {
    connection: Connection,
    readiness: Readiness,
    /// Where it listens for the next daemon.
    socket: PathBuf,
    /// First process; absent until started.
    pub(crate) pidfd: Option<OwnedFd>,
    pub(crate) cgroup: CgroupPlan,
}

impl Shim {
    /// Puts a connection under the reactor.
    pub(crate) fn new(connection: Connection, socket: PathBuf, cgroup: CgroupPlan) -> Result<Self> {
        let readiness = Readiness::of(connection.as_fd())
            .map_err(|error| Error::system("cannot watch a shim's connection").caused_by(error))?;
        Ok(Self { connection, readiness, socket, pidfd: None, cgroup })
    }

    /// Removes the socket of a shim that was killed; one that ends by itself does it.
    pub(crate) fn forget(&self) {
        if let Err(error) = std::fs::remove_file(&self.socket)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, socket = %self.socket.display(), "cannot remove the socket of a shim that died");
        }
    }

    /// Kills the shim, and its container with it; blocks until it is gone.
    pub(crate) fn kill(&self) {
        if let Err(error) = self.connection.kill(KILLED_WITHIN) {
            tracing::warn!(%error, socket = %self.socket.display(), "cannot kill a shim");
        }
        self.forget();
    }

    /// The next event; `None` when the shim is gone.
    pub(crate) async fn next(&self) -> Option<(Event, Vec<OwnedFd>)> {
        match self.readiness.until(|| self.receive()).await {
            Ok(event) => event,
            Err(error) => {
                tracing::warn!(%error, "lost a shim's connection");
                None
            }
        }
    }

    /// What there is now: nothing yet, or an event, or the end.
    #[expect(clippy::option_option, reason = "nothing yet is not the end")]
    fn receive(&self) -> Option<Option<(Event, Vec<OwnedFd>)>> {
        loop {
            return match self.connection.receive() {
                Ok(Incoming::Message(event, descriptors)) => Some(Some((event, descriptors))),
                Ok(Incoming::Nothing) => None,
                Ok(Incoming::Closed) => Some(None),
                Err(error @ shim::Error::Malformed { .. }) => {
                    tracing::warn!(%error, "skipping an event of a shim");
                    continue;
                }
                Err(error) => {
                    tracing::warn!(%error, "lost a shim's connection");
                    Some(None)
                }
            };
        }
    }

    /// Sends a command.
    pub(crate) fn send(&self, command: &protocol::Command, descriptors: &[BorrowedFd<'_>]) -> Result<()> {
        self.connection
            .send(command, descriptors)
            .map_err(|error| Error::system("the container's shim does not answer").caused_by(error))
    }
}

/// What woke the actor.
enum Woken {
    Step(Step),
    Shim(Option<(Event, Vec<OwnedFd>)>),
    Restart,
    Save,
    Closing,
}

impl Actor {
    /// Starts the actor of a container.
    pub(crate) fn spawn(
        engine: &Arc<Engine>,
        container: Arc<Container>,
        steps: mpsc::Receiver<Step>,
        prepare: impl FnOnce(&mut Self) + Send + 'static,
    ) {
        let mut actor = Self {
            engine: Arc::clone(engine),
            record: container.record().as_ref().clone(),
            container,
            shim: None,
            pending: Vec::new(),
            back_off: BackOff::default(),
            restart_at: None,
            starting_execs: HashMap::new(),
            stopping: false,
            unsaved: false,
            removed: false,
            cleaning: None,
            health: None,
            next_attach: 0,
        };
        prepare(&mut actor);
        tokio::spawn(actor.run(steps));
    }

    async fn run(mut self, mut steps: mpsc::Receiver<Step>) {
        let closing = self.engine.closing.clone();
        while !self.removed {
            match self.woken(&mut steps, &closing).await {
                Woken::Step(step) => step(&mut self).await,
                Woken::Shim(Some((event, descriptors))) => self.on_event(event, descriptors).await,
                Woken::Shim(None) => self.on_shim_lost().await,
                Woken::Restart => self.restart_now().await,
                Woken::Save => self.save_details(),
                Woken::Closing => break,
            }
        }
        if self.unsaved && !self.removed {
            self.save_details();
        }
    }

    async fn woken(&self, steps: &mut mpsc::Receiver<Step>, closing: &tokio_util::sync::CancellationToken) -> Woken {
        let shim = async {
            match &self.shim {
                Some(shim) => shim.next().await,
                None => std::future::pending().await,
            }
        };
        let restart = async {
            match self.restart_at {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = closing.cancelled() => Woken::Closing,
            event = shim => Woken::Shim(event),
            step = steps.recv() => step.map_or(Woken::Closing, Woken::Step),
            () = restart => Woken::Restart,
            () = std::future::ready(()), if self.unsaved => Woken::Save,
        }
    }

    async fn on_event(&mut self, event: Event, descriptors: Vec<OwnedFd>) {
        match event {
            Event::Exited(exit) => {
                if let Some(rootfs) = descriptors.into_iter().next() {
                    self.engine.storage.unmount(&self.record.id.hex(), rootfs);
                }
                self.on_exit(exit);
            }
            Event::ExecStarted { exec_id, pid } => {
                self.engine.exec_started(&exec_id, pid);
                self.answer_exec(&exec_id, Ok(pid));
            }
            Event::ExecFailed { exec_id, failure } => self.answer_exec(&exec_id, Err(failure)),
            Event::ExecExited { exec_id, exit } => self.engine.exec_ended(&self.record, &exec_id, exit),
            Event::AttachEnded { reason: protocol::EndReason::Detached, .. } => self.event("detach", &[]),
            Event::Refused { command, detail } => {
                tracing::warn!(container = %self.record.id, command, detail, "a shim refused a command");
            }
            Event::Hello(state) => self.on_hello(*state, descriptors).await,
            Event::Started { .. } | Event::StartFailed(_) | Event::Attached { .. } | Event::AttachEnded { .. } => {}
        }
    }

    fn answer_exec(&mut self, exec_id: &str, outcome: Result<i32, protocol::Failure>) {
        if let Some(reply) = self.starting_execs.remove(exec_id)
            && reply.send(outcome).is_err()
        {
            tracing::debug!(exec_id, "nobody waits for an exec's start any more");
        }
    }

    /// A number for the next attached client.
    pub(crate) fn attach_id(&mut self) -> u64 {
        self.next_attach += 1;
        // Clients of the daemon before may still be attached under small numbers.
        self.engine.attach_base + self.next_attach
    }

    /// Writes the record down and shows it to readers.
    pub(crate) fn save(&mut self) -> Result<()> {
        self.engine.store.write(|tx| tx.update_container(&self.record.id, &self.record))?;
        self.unsaved = false;
        self.container.publish(self.record.clone());
        Ok(())
    }

    /// Shows readers the record now; the database gets it when the actor is idle.
    pub(crate) fn publish_then_save(&mut self) {
        self.unsaved = true;
        self.container.publish(self.record.clone());
    }

    fn save_details(&mut self) {
        self.unsaved = false;
        if let Err(error) = self.save() {
            tracing::error!(container = %self.record.id, %error, "cannot write a container's record");
        }
    }

    /// The shim, if the container has a process.
    pub(crate) fn running(&self) -> Result<&Shim> {
        match &self.shim {
            Some(shim) if self.record.state.status.has_process() => Ok(shim),
            _ if self.record.state.status == Status::Restarting => Err(Error::conflict(format!(
                "Container {} is restarting, wait until the container is running",
                self.record.id
            ))),
            _ => Err(Error::conflict(format!("container {} is not running", self.record.id))),
        }
    }

    /// Tells the world, with the container's usual attributes and these.
    pub(crate) fn event(&self, action: &str, attributes: &[(&str, String)]) {
        self.engine.container_event(&self.record, action, attributes);
    }
}
