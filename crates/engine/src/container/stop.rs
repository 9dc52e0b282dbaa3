//! Stop, restart, kill, pause: signals, and the patience between them.

use std::os::fd::AsFd;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use model::Signal;
use runtime::cgroup;
use rustix::process::{Signal as KernelSignal, pidfd_send_signal};
use tokio::task::JoinSet;

use super::Container;
use super::life::Actor;
use super::record::{Record, Status};
use super::wait::Life;
use crate::engine::Engine;
use crate::options::StopOptions;
use crate::{Error, Result};

/// Seconds that a stop waits unless it or the container says otherwise.
const DEFAULT_TIMEOUT_SECONDS: i64 = 10;
/// Attribute of an event that is part of another: the `stop` of a restart, the `pause` of a commit. The server takes it out of
/// what clients see of today's API.
const QUIET_MARK: &str = "x-longshore-quiet";
/// How long a process may take to die of SIGKILL (it may hang in the kernel).
const KILL_PATIENCE: Duration = Duration::from_secs(10);
/// What a container may take beyond the patience with it.
const GRACE: Duration = Duration::from_secs(5);

impl Engine {
    /// See [`Engine::stop`].
    pub(crate) async fn stop_container(&self, name: &str, options: &StopOptions) -> Result<()> {
        let container = self.containers.find(name)?;
        let record = container.record();
        if !record.state.status.is_up() {
            return Err(Error::not_modified("Container already stopped"));
        }
        bring_down(&container, &record, options).await?;
        let record = container.record();
        self.container_event(&record, "stop", &[]);
        Ok(())
    }

    /// See [`Engine::restart`].
    pub(crate) async fn restart_container(&self, name: &str, options: &StopOptions) -> Result<()> {
        let container = self.containers.find(name)?;
        let record = container.record();
        if record.state.status.is_up() {
            bring_down(&container, &record, options).await?;
            self.container_event(&container.record(), "stop", marks(true));
        }
        match container.step(|actor| Box::pin(actor.start())).await {
            // The restart policy was quicker.
            Err(error) if error.kind() == model::ErrorKind::NotModified => {}
            outcome => outcome?,
        }
        self.container_event(&container.record(), "restart", &[]);
        Ok(())
    }

    /// See [`Engine::kill`].
    pub(crate) async fn kill_container(&self, name: &str, signal: &str) -> Result<()> {
        let container = self.containers.find(name)?;
        let context = |error: Error| error.context(format!("cannot kill container: {name}"));
        let signal = if signal.is_empty() { Signal::KILL } else { parse(signal).map_err(context)? };
        let mut life = container.life();
        let ends = life.borrow().ends;
        container.step(move |actor| Box::pin(async move { actor.kill(signal) })).await.map_err(context)?;
        if signal == Signal::KILL {
            let dead = tokio::time::timeout(KILL_PATIENCE, life.wait_for(|life| life.ends > ends || !life.up)).await;
            if dead.is_err() {
                return Err(Error::system(format!(
                    "cannot kill container: {name}: tried to kill container, but did not receive an exit event"
                )));
            }
        }
        Ok(())
    }

    /// See [`Engine::stop_all`].
    pub(crate) async fn stop_for_the_end(self: &Arc<Self>) {
        let mut up = self.containers.all();
        up.retain(|container| container.record().state.status.is_up());
        let patience = self.changeable().shutdown_timeout.and_then(|least| patience(least, &up));
        let mut stops: JoinSet<_> = up.into_iter().map(stop_for_now).collect();
        let all = async {
            while let Some(stop) = stops.join_next().await {
                match stop {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::warn!(%error, "a container could not be stopped"),
                    Err(error) => tracing::error!(%error, "stopping a container broke down"),
                }
            }
        };
        if tokio::time::timeout(patience.unwrap_or(Duration::MAX), all).await.is_err() {
            tracing::warn!("not all containers have stopped in time; they go on");
        }
    }

    /// Stops a container as its removal by force does: at once.
    pub(crate) async fn kill_for_removal(&self, container: &Arc<Container>) -> Result<()> {
        let options = StopOptions { timeout_seconds: Some(0), signal: Some("KILL".to_owned()) };
        let record = container.record();
        bring_down(container, &record, &options).await
    }
}

/// How long the end of a daemon waits for its containers: at least so long, and for each a little longer than it may
/// take. `None` if one may take for ever.
fn patience(least: Duration, containers: &[Arc<Container>]) -> Option<Duration> {
    containers.iter().try_fold(least, |patience, container| {
        let seconds = container.record().config.stop_timeout.unwrap_or(DEFAULT_TIMEOUT_SECONDS);
        Some(patience.max(Duration::from_secs(u64::try_from(seconds).ok()?).saturating_add(GRACE)))
    })
}

/// Ends a container without the user having asked for it: its restart policy holds at the next start of a daemon.
async fn stop_for_now(container: Arc<Container>) -> Result<()> {
    let record = container.record();
    bring_down(&container, &record, &StopOptions::default()).await?;
    container
        .step(|actor| {
            actor.record.stopped_by_user = false;
            Box::pin(async move { actor.save() })
        })
        .await
}

/// Ends a container: its stop signal, patience, then SIGKILL. Returns when it is down.
async fn bring_down(container: &Arc<Container>, record: &Record, options: &StopOptions) -> Result<()> {
    let signal = match options.signal.as_deref().filter(|signal| !signal.is_empty()) {
        Some(signal) => {
            parse(signal).map_err(|error| error.context(format!("cannot stop container: {}", record.id)))?
        }
        None => stop_signal(record),
    };
    let seconds = options.timeout_seconds.or(record.config.stop_timeout).unwrap_or(DEFAULT_TIMEOUT_SECONDS);
    let mut life = container.life();
    let at_once = seconds == 0;
    let down = |life: &Life| !life.up || life.removed;
    container
        .step(move |actor| {
            Box::pin(async move {
                actor.stop(signal)?;
                // In one step, so that a process that has no time gets none.
                if at_once && signal != Signal::KILL { actor.stop(Signal::KILL) } else { Ok(()) }
            })
        })
        .await?;
    if !at_once {
        let patience = u64::try_from(seconds).map_or(Duration::MAX, Duration::from_secs);
        if tokio::time::timeout(patience, life.wait_for(down)).await.is_ok() {
            return Ok(());
        }
        container.step(|actor| Box::pin(async move { actor.stop(Signal::KILL) })).await?;
    }
    match tokio::time::timeout(KILL_PATIENCE, life.wait_for(down)).await {
        Ok(_) => Ok(()),
        Err(_) => Err(Error::system(format!(
            "cannot stop container: {}: its first process does not die of SIGKILL; it may hang in the kernel",
            record.id
        ))),
    }
}

fn stop_signal(record: &Record) -> Signal {
    record.config.stop_signal.parse().unwrap_or(Signal::TERM)
}

/// Reads a signal in Docker's words.
pub(crate) fn parse(signal: &str) -> Result<Signal> {
    signal.parse().map_err(|_| Error::invalid(format!("invalid signal: {signal}")))
}

impl Actor {
    /// One step of a stop: no restart from now on, and a signal to the process if there is one.
    pub(crate) fn stop(&mut self, signal: Signal) -> Result<()> {
        self.stopping = true;
        self.record.stopped_by_user = true;
        if self.record.state.status == Status::Restarting {
            self.restart_at = None;
            self.record.state.status = Status::Exited;
            self.save()?;
            self.container.tell(|life| life.up = false);
            return Ok(());
        }
        if self.record.state.status.has_process() {
            self.unsaved = true;
            self.signal(signal)?;
        }
        Ok(())
    }

    /// A signal that a client sends.
    pub(crate) fn kill(&mut self, signal: Signal) -> Result<()> {
        if self.record.state.status == Status::Restarting {
            return self.stop(signal);
        }
        if !self.record.state.status.has_process() {
            return Err(Error::conflict(format!("container {} is not running", self.record.id)));
        }
        // What ends the container on purpose also ends its restarts.
        if signal == Signal::KILL || signal == stop_signal(&self.record) {
            self.stopping = true;
            self.record.stopped_by_user = true;
            self.unsaved = true;
        }
        self.signal(signal)
    }

    fn signal(&mut self, signal: Signal) -> Result<()> {
        self.send_signal(signal)?;
        self.event("kill", &[("signal", signal.number().to_string())]);
        if self.record.state.status == Status::Paused {
            // A frozen process cannot die.
            self.thaw(false)?;
        }
        Ok(())
    }

    fn send_signal(&self, signal: Signal) -> Result<()> {
        let Some(pidfd) = self.running()?.pidfd.as_ref() else {
            return Err(Error::system("the container's process is not known yet"));
        };
        let number = signal.number();
        match KernelSignal::from_named_raw(number) {
            Some(named) => match pidfd_send_signal(pidfd.as_fd(), named) {
                // Already dead: its end is on the way.
                Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
                Err(errno) => Err(Error::system(format!("cannot send {signal} to the container")).caused_by(errno)),
            },
            // Real-time signals have no name; the shim sends them.
            None => self.running()?.send(&shim::protocol::Command::Signal { exec_id: None, signal: number }, &[]),
        }
    }

    /// Freezes all processes. `part_of_commit`: not for its own sake.
    pub(crate) fn pause(&mut self, part_of_commit: bool) -> Result<()> {
        if self.record.state.status == Status::Paused {
            return Err(Error::conflict(format!("Container {} is already paused", self.record.id)));
        }
        let shim = self.running()?;
        cgroup::freeze(&shim.cgroup)
            .map_err(|error| Error::system(format!("Cannot pause container {}", self.record.id)).caused_by(error))?;
        self.record.state.status = Status::Paused;
        self.unwatch_health();
        self.save()?;
        self.event("pause", marks(part_of_commit));
        Ok(())
    }

    /// Freezes all processes for a commit, unless there are none (any more); returns whether it did.
    pub(crate) fn pause_if_running(&mut self) -> Result<bool> {
        match self.record.state.status {
            Status::Running => self.pause(true).map(|()| true),
            _ => Ok(false),
        }
    }

    /// Thaws them.
    pub(crate) fn unpause(&mut self, part_of_commit: bool) -> Result<()> {
        if self.record.state.status != Status::Paused {
            return Err(Error::system(format!("Container {} is not paused", self.record.id)));
        }
        self.thaw(part_of_commit)
    }

    fn thaw(&mut self, part_of_commit: bool) -> Result<()> {
        let shim = self.running()?;
        cgroup::thaw(&shim.cgroup)
            .map_err(|error| Error::system(format!("Cannot unpause container {}", self.record.id)).caused_by(error))?;
        self.record.state.status = Status::Running;
        self.watch_health(false);
        self.save()?;
        self.event("unpause", marks(part_of_commit));
        Ok(())
    }
}

/// What an event that is part of another carries.
fn marks(part: bool) -> &'static [(&'static str, String)] {
    static QUIET: LazyLock<[(&str, String); 1]> = LazyLock::new(|| [(QUIET_MARK, "1".to_owned())]);
    if part { &*QUIET } else { &[] }
}
