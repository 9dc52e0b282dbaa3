//! A plan becomes a process: namespaces, root file system, cgroups v1 and v2, seccomp, capabilities.
//!
//! The daemon computes a [`Plan`] and sends it to a shim; the shim calls [`spawn`], which turns the plan into a flat
//! list of steps, clones once, and lets the child carry out the steps and execute the program. Further processes
//! join by [`exec`].
//!
//! The runtime relies on its caller running from a read-only, detached copy of its own binary: `/proc/self/exe` of
//! the child leads there until the program is executed, so that nothing in a container can reach a writable host
//! binary through it.

mod error;
mod files;
mod plan;
mod prepare;
mod prepare_mounts;
mod spawn;
mod step;
mod terminal;

pub mod capabilities;
pub mod cgroup;
pub mod devices;
pub mod init;
pub mod mounts;
pub mod seccomp;

pub use error::{Error, Result, Stage, StartError};
pub use plan::{
    Mount, MountSource, Namespace, Namespaces, NetworkNamespace, Plan, Process, Propagation, Rlimit, TerminalSize,
};
pub use spawn::{PlanFds, Spawned, Stdio, exec, spawn};
