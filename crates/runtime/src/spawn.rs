//! Starting processes: a container's first one, and further ones inside a running container.

use std::os::fd::{BorrowedFd, OwnedFd};

use crate::cgroup::CgroupPlan;
use crate::error::{Stage, StartError};
use crate::plan::{Plan, Process};

/// Descriptors a plan refers to.
#[derive(Debug)]
pub struct PlanFds {
    /// Detached mount of the root file system; the child attaches it in its own mount namespace.
    pub rootfs: OwnedFd,
    /// Prepared network namespace, for [`crate::NetworkNamespace::Fd`].
    pub netns: Option<OwnedFd>,
}

/// Standard streams of a process.
#[derive(Debug)]
pub enum Stdio {
    /// Three descriptors.
    Pipes {
        /// Read by the process.
        stdin: OwnedFd,
        /// Written by the process.
        stdout: OwnedFd,
        /// Written by the process.
        stderr: OwnedFd,
    },
    /// A terminal allocated in the container's own devpts; its controlling side comes back in [`Spawned::terminal`].
    Terminal,
}

/// A started process, a child of the caller.
#[derive(Debug)]
pub struct Spawned {
    /// Process id in the caller's pid namespace.
    pub pid: i32,
    /// Descriptor of the process.
    pub pidfd: OwnedFd,
    /// Controlling side of the terminal, if one was asked for.
    pub terminal: Option<OwnedFd>,
}

/// Starts the first process of a container. Returns once the program is executing.
pub fn spawn(_plan: &Plan, _fds: PlanFds, _stdio: Stdio) -> Result<Spawned, StartError> {
    Err(StartError::new(Stage::Internal, libc::ENOSYS, "spawn"))
}

/// Starts a further process in the container of the process behind `container`.
pub fn exec(
    _container: BorrowedFd<'_>,
    _cgroup: &CgroupPlan,
    _process: &Process,
    _stdio: Stdio,
) -> Result<Spawned, StartError> {
    Err(StartError::new(Stage::Internal, libc::ENOSYS, "exec"))
}
