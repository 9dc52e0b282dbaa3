//! What starts processes on the shim's behalf.

use std::os::fd::{BorrowedFd, OwnedFd};

use ::runtime::cgroup::CgroupPlan;
use ::runtime::{Plan, PlanFds, Process, Spawned, StartError, Stdio};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::protocol::Failure;

/// Starts processes from what the daemon sent. The shim itself never looks into it.
pub trait Runtime {
    /// Starts the container's first process; returns once its program was executed.
    fn spawn(&mut self, plan: &RawValue, descriptors: Vec<OwnedFd>, stdio: Stdio) -> Result<Spawned, Failure>;

    /// Starts a further process in the container whose first process is `container`.
    fn exec(&mut self, container: BorrowedFd<'_>, process: &RawValue, stdio: Stdio) -> Result<Spawned, Failure>;
}

/// The built-in runtime.
#[derive(Debug, Default)]
pub struct Embedded {
    /// Of the container that was started; execs join it.
    cgroup: Option<CgroupPlan>,
    /// What processes without a wish of their own get, since the shim's own value is lower.
    oom_score_adj: Option<i32>,
}

impl Embedded {
    /// A runtime whose processes get `oom_score_adj` unless their plan says otherwise.
    pub fn new(oom_score_adj: Option<i32>) -> Embedded {
        Embedded { cgroup: None, oom_score_adj }
    }
}

impl Runtime for Embedded {
    fn spawn(&mut self, plan: &RawValue, descriptors: Vec<OwnedFd>, stdio: Stdio) -> Result<Spawned, Failure> {
        let mut plan: Plan = parse(plan)?;
        let mut descriptors = descriptors.into_iter();
        let Some(rootfs) = descriptors.next() else {
            return Err(failure("plan", "the root file system's descriptor is missing"));
        };
        plan.process.oom_score_adj = plan.process.oom_score_adj.or(self.oom_score_adj);
        let spawned = ::runtime::spawn(&plan, PlanFds { rootfs, netns: descriptors.next() }, stdio)?;
        self.cgroup = Some(plan.cgroup);
        Ok(spawned)
    }

    fn exec(&mut self, container: BorrowedFd<'_>, process: &RawValue, stdio: Stdio) -> Result<Spawned, Failure> {
        let mut process: Process = parse(process)?;
        process.oom_score_adj = process.oom_score_adj.or(self.oom_score_adj);
        let Some(cgroup) = &self.cgroup else {
            return Err(failure("plan", "the container was not started"));
        };
        Ok(::runtime::exec(container, cgroup, &process, stdio)?)
    }
}

fn parse<T: DeserializeOwned>(json: &RawValue) -> Result<T, Failure> {
    serde_json::from_str(json.get()).map_err(|error| failure("plan", &error.to_string()))
}

fn failure(stage: &str, detail: &str) -> Failure {
    Failure { stage: stage.to_owned(), errno: 0, detail: detail.to_owned() }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Failure {
        // The stage's name in the runtime's own encoding, which the daemon reads back.
        let stage = serde_json::to_value(error.stage).ok().and_then(|name| name.as_str().map(str::to_owned));
        Failure { stage: stage.unwrap_or_default(), errno: error.errno, detail: error.detail }
    }
}
