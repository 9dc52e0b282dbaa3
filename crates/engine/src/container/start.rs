//! Starting a container: the actor's side. What blocks is in [`super::prepare`].

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use api::host_config::HostConfig;
use model::Timestamp;
use shim::protocol::{self, Command, Event};

use super::attach::promises_kept;
use super::life::{Actor, Shim};
use super::prepare::{Failed, Prepared, prepare};
use super::record::{NetworkMode, Status};
use crate::engine::Engine;
use crate::{Error, Result};

/// Attribute of a `start` that failed. The server keeps such events from clients of today's API.
const FAILED_MARK: &str = "x-longshore-failed";

/// How many descriptors go with one message; the kernel's limit is 253.
const DOORS_AT_ONCE: usize = 128;

impl Engine {
    /// See [`Engine::start`].
    pub(crate) async fn start_container(self: &Arc<Self>, name: &str, host: Option<HostConfig>) -> Result<()> {
        let container = self.containers.find(name)?;
        if let Some(host) = host {
            self.replace_host_config(&container, host).await?;
        }
        promises_kept(&container.promised).await;
        container.step(|actor| Box::pin(actor.start())).await
    }
}

impl Actor {
    /// Starts the container because a client asked for it.
    pub(crate) async fn start(&mut self) -> Result<()> {
        match self.record.state.status {
            Status::Running | Status::Restarting => return Err(Error::not_modified("Container already started")),
            Status::Paused => {
                return Err(Error::conflict("cannot start a paused container, try unpause instead"));
            }
            Status::Removing => {
                return Err(Error::conflict("container is marked for removal and cannot be started"));
            }
            Status::Created | Status::Exited => {}
        }
        self.back_off = Default::default();
        self.stopping = false;
        self.record.restart_count = 0;
        self.record.stopped_by_user = false;
        self.run_once().await
    }

    /// Starts the first process, whatever the reason. A failure is recorded as Docker does it.
    pub(crate) async fn run_once(&mut self) -> Result<()> {
        self.restart_at = None;
        match self.try_run().await {
            Ok(()) => Ok(()),
            Err(Failed { error, exit_code, reached }) => {
                match reached {
                    Some(reached) => self.record = *reached,
                    // All was prepared.
                    None => self.event("start", &[(FAILED_MARK, "1".to_owned())]),
                }
                self.start_failed(&error, exit_code);
                Err(error)
            }
        }
    }

    async fn try_run(&mut self) -> Result<(), Failed> {
        let prepared = self.prepared().await?;
        let Prepared { connection, socket, record, cgroup, rootfs, netns, doors, start } = prepared;
        self.record = record;
        let shim = Shim::new(connection, socket, cgroup)?;
        for (attach, client) in self.pending.drain(..) {
            shim.send(&Command::Attach(attach), &[client.as_fd()])?;
        }
        for doors in doors.chunks(DOORS_AT_ONCE) {
            let sockets: Vec<_> = doors.iter().map(|(_, socket)| socket.as_fd()).collect();
            shim.send(&Command::Doors(doors.iter().map(|(door, _)| *door).collect()), &sockets)?;
        }
        drop(doors);
        let descriptors: Vec<_> = std::iter::once(rootfs.as_fd()).chain(netns.iter().map(AsFd::as_fd)).collect();
        shim.send(&Command::Start(start), &descriptors)?;
        drop((rootfs, netns));
        self.shim = Some(shim);
        self.started().await
    }

    async fn prepared(&mut self) -> Result<Prepared, Failed> {
        // The last run's control groups have the same names.
        if let Some(cleaning) = self.cleaning.take()
            && let Err(error) = cleaning.await
        {
            tracing::warn!(%error, "cleaning up after the last run broke down");
        }
        let engine = Arc::clone(&self.engine);
        let record = self.record.clone();
        self.engine.at_once(move || prepare(&engine, record)).await?
    }

    /// Waits for the shim's word about the start.
    async fn started(&mut self) -> Result<(), Failed> {
        let lost = || Failed::from(Error::system("the container's shim died during the start"));
        loop {
            let (event, mut descriptors) = match &self.shim {
                Some(shim) => shim.next().await.ok_or_else(lost)?,
                None => return Err(lost()),
            };
            match event {
                Event::Started { pid, started_at_ns } => {
                    self.now_running(pid, started_at_ns, descriptors.pop());
                    return Ok(());
                }
                Event::StartFailed(failure) => return Err(Failed::start(&failure)),
                Event::Exited(_) => return Err(lost()),
                // Greetings and attached clients.
                _ => {}
            }
        }
    }

    fn now_running(&mut self, pid: i32, started_at_ns: i64, pidfd: Option<OwnedFd>) {
        if let Some(shim) = &mut self.shim {
            shim.pidfd = pidfd;
        }
        let started = timestamp(started_at_ns);
        let state = &mut self.record.state;
        state.status = Status::Running;
        state.pid = pid;
        state.started = Some(started);
        (state.exit_code, state.signalled) = (0, false);
        state.oom_killed = false;
        state.error.clear();
        self.record.volumes_filled = true;
        self.watch_health(true);
        self.publish_then_save();
        self.container.tell(|life| (life.up, life.error) = (true, String::new()));
        self.engine.volume_events(&self.record, "mount");
        if let NetworkMode::Bridge = self.record.network() {
            self.engine.network_event(&self.record, "connect");
        }
        self.event("start", &[]);
    }

    /// Puts things back after a start that failed.
    fn start_failed(&mut self, error: &Error, exit_code: i64) {
        tracing::info!(container = %self.record.id, %error, "a start failed");
        if let Some(shim) = self.shim.take() {
            shim.forget();
        }
        let never_ran = self.record.state.started.is_none();
        let state = &mut self.record.state;
        state.status = if never_ran { Status::Created } else { Status::Exited };
        state.pid = 0;
        (state.exit_code, state.signalled) = (exit_code, false);
        error.message().clone_into(&mut state.error);
        self.engine.release_network(&mut self.record);
        self.pending.clear();
        self.publish_then_save();
        // As with Docker, who waits for the next exit goes on waiting: there was none.
        self.container.tell(|life| (life.up, life.exit_code, life.signalled) = (false, exit_code, false));
        self.cleaning = self.engine.clean_cgroup(&self.record);
        if self.record.host.auto_remove {
            self.remove_after_exit();
        }
    }

    /// Sends the attach of a client to the shim, or keeps it for the start.
    pub(crate) fn attach(&mut self, mut attach: protocol::Attach, client: OwnedFd) -> Result<()> {
        attach.attach_id = self.attach_id();
        self.event("attach", &[]);
        match self.running() {
            Ok(shim) => shim.send(&Command::Attach(attach), &[client.as_fd()]),
            Err(_) => {
                self.pending.push((attach, client));
                Ok(())
            }
        }
    }
}

/// Time of an event that a shim reports.
pub(crate) fn timestamp(ns: i64) -> Timestamp {
    let nanoseconds = ns.rem_euclid(1_000_000_000).unsigned_abs();
    Timestamp::from_unix(ns.div_euclid(1_000_000_000), u32::try_from(nanoseconds).unwrap_or(0))
}
