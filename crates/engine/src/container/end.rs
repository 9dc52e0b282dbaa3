//! The end of a run: what is recorded, told, given back, and whether the container starts again.

use std::os::fd::OwnedFd;
use std::time::Duration;

use model::Timestamp;
use runtime::cgroup;
use shim::protocol::{Command, Exit, State};
use tokio::time::Instant;

use super::life::Actor;
use super::record::{NetworkMode, Status};
use super::start::timestamp;
use crate::restart::Policy;

/// Exit code of a process that was killed.
const KILLED: i32 = 137;

impl Actor {
    /// The shim reported the exit, after all output was delivered.
    pub(crate) fn on_exit(&mut self, exit: Exit) {
        let oom_killed = self.was_oom_killed(&exit);
        self.record.state.signalled = exit.signal.is_some();
        self.ended(i64::from(exit.code), timestamp(exit.exited_at_ns), oom_killed, String::new());
    }

    /// The shim went away without a word: the kernel has killed the container with it.
    pub(crate) async fn on_shim_lost(&mut self) {
        if let Some(shim) = &self.shim {
            shim.forget();
        }
        if self.record.state.status.has_process() {
            self.record.state.signalled = true;
            let text = "the container's shim died, and the container with it".to_owned();
            self.ended(i64::from(KILLED), Timestamp::now(), false, text);
        } else {
            self.shim = None;
        }
    }

    /// A daemon before this one started the container: take up what its shim knows.
    pub(crate) async fn on_hello(&mut self, state: State, mut descriptors: Vec<OwnedFd>) {
        let Some(shim) = &mut self.shim else { return };
        if shim.pidfd.is_some() {
            return;
        }
        shim.pidfd = descriptors.pop();
        if let Some(exit) = state.exit {
            self.on_exit(exit);
            return;
        }
        if let Some(pid) = state.pid {
            self.adopt(pid, state.started_at_ns);
        }
        self.engine.adopt_execs(&self.record, &state.execs);
    }

    /// The container runs, whatever the record says.
    pub(crate) fn adopt(&mut self, pid: i32, started_at_ns: Option<i64>) {
        let known = &mut self.record.state;
        if !known.status.has_process() {
            known.status = Status::Running;
        }
        known.pid = pid;
        if let Some(started) = started_at_ns {
            known.started = Some(timestamp(started));
        }
        if self.record.state.status == Status::Running {
            self.watch_health(false);
        }
        self.publish_then_save();
        self.container.tell(|life| life.up = true);
    }

    fn was_oom_killed(&self, exit: &Exit) -> bool {
        // Asking costs a read of a control file: only where it can be.
        let suspicious = exit.signal == Some(9) || exit.code == KILLED || self.record.host.memory > 0;
        let Some(shim) = self.shim.as_ref().filter(|_| suspicious) else { return false };
        cgroup::oom_killed(&shim.cgroup).unwrap_or_else(|error| {
            tracing::debug!(%error, "cannot tell whether memory ran out");
            false
        })
    }

    fn ended(&mut self, code: i64, at: Timestamp, oom_killed: bool, error: String) {
        let ran_for = self.record.state.started.map_or(Duration::ZERO, |started| at.since(started));
        self.engine.release_network(&mut self.record);
        self.unwatch_health();
        let again = self.delay_before_restart(code, ran_for);
        let state = &mut self.record.state;
        state.status = if again.is_some() { Status::Restarting } else { Status::Exited };
        (state.pid, state.exit_code, state.oom_killed, state.error) = (0, code, oom_killed, error);
        state.finished = Some(at);
        if let Err(error) = self.save() {
            tracing::error!(container = %self.record.id, %error, "cannot record a container's end");
        }
        self.release_shim();
        let (up, signalled) = (again.is_some(), self.record.state.signalled);
        if oom_killed {
            self.event("oom", &[]);
        }
        if let NetworkMode::Bridge = self.record.network() {
            self.engine.network_event(&self.record, "disconnect");
        }
        self.engine.volume_events(&self.record, "unmount");
        let duration = ran_for.as_secs().to_string();
        self.event("die", &[("exitCode", code.to_string()), ("execDuration", duration)]);
        self.container.tell(|life| {
            life.ends += 1;
            (life.exit_code, life.signalled, life.up) = (code, signalled, up);
        });
        self.restart_at = again.map(|delay| Instant::now() + delay);
        self.cleaning = self.engine.clean_cgroup(&self.record);
        if again.is_none() && self.record.host.auto_remove {
            self.remove_after_exit();
        }
    }

    fn delay_before_restart(&mut self, code: i64, ran_for: Duration) -> Option<Duration> {
        let policy = Policy::parse(&self.record.host.restart_policy).unwrap_or(Policy::No);
        if self.stopping || self.engine.closing.is_cancelled() {
            return None;
        }
        self.back_off.next(policy, code, ran_for)
    }

    /// The end is recorded: the shim need not remember it any more.
    fn release_shim(&mut self) {
        if let Some(shim) = self.shim.take()
            && let Err(error) = shim.send(&Command::Release, &[])
        {
            tracing::debug!(%error, "a shim left before it was released");
        }
        for (exec_id, _reply) in self.starting_execs.drain() {
            tracing::debug!(exec_id, "an exec's container ended before it started");
        }
        self.engine.execs_gone(&self.record);
    }

    /// The restart policy's delay has passed.
    pub(crate) async fn restart_now(&mut self) {
        self.restart_at = None;
        self.record.restart_count += 1;
        if let Err(error) = self.run_once().await {
            // As Docker: a start that fails counts as a run that failed.
            let code = self.record.state.exit_code.max(1);
            if let Some(delay) = self.delay_before_restart(code, Duration::ZERO) {
                tracing::warn!(container = %self.record.id, %error, "a restart failed; trying again");
                self.record.state.status = Status::Restarting;
                self.publish_then_save();
                self.container.tell(|life| life.up = true);
                self.restart_at = Some(Instant::now() + delay);
            }
        }
    }
}
