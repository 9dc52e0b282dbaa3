//! The plan of a container: everything the daemon decided before a process exists.
//!
//! A plan travels from the daemon to the shim as JSON, and an older shim may receive one from a newer daemon:
//! every field has a default, unknown fields are ignored.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::capabilities::Capabilities;
use crate::cgroup::CgroupPlan;
use crate::devices::Device;
use crate::seccomp::Filter;

/// What a container's first process needs to come to life.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Plan {
    /// The container's id, used in messages only.
    pub id: String,
    /// Host name inside the container's UTS namespace; empty leaves what the namespace inherits.
    pub hostname: String,
    /// NIS domain name inside the container's UTS namespace; empty leaves what the namespace inherits.
    pub domainname: String,
    /// Makes the root mount (not the mounts on it) read-only once everything else is in place.
    pub root_readonly: bool,
    /// Mounts in the order in which they are made. See [`crate::mounts::defaults`].
    pub mounts: Vec<Mount>,
    /// Device nodes made in the container's `/dev`.
    pub devices: Vec<Device>,
    /// Paths hidden behind `/dev/null` (files) or an empty read-only tmpfs (directories). Missing ones are skipped.
    pub masked_paths: Vec<String>,
    /// Paths made read-only in place. Missing ones are skipped.
    pub readonly_paths: Vec<String>,
    /// Kernel parameters (`net.ipv4.ip_forward` or with slashes) written inside the container's namespaces.
    pub sysctls: BTreeMap<String, String>,
    /// Which namespaces are new, shared with the host, or joined.
    pub namespaces: Namespaces,
    /// Control groups the process joins; they exist already (see [`crate::cgroup::create`]).
    pub cgroup: CgroupPlan,
    /// The first process.
    pub process: Process,
    /// Allocates a terminal in the container's own devpts. Must agree with the `Stdio` given to `spawn`.
    pub terminal: bool,
    /// Initial size of the terminal.
    pub terminal_size: Option<TerminalSize>,
}

/// Rows and columns of a terminal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TerminalSize {
    /// Number of rows.
    pub rows: u16,
    /// Number of columns.
    pub columns: u16,
}

/// The namespaces of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Namespaces {
    /// Network: a prepared namespace, the host's, or another container's.
    pub network: NetworkNamespace,
    /// Process ids.
    pub pid: Namespace,
    /// System V IPC and POSIX message queues.
    pub ipc: Namespace,
    /// Host and domain name.
    pub uts: Namespace,
    /// Control group root. `New` shows the container its own group as `/`.
    pub cgroup: Namespace,
}

/// Where a namespace comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Namespace {
    /// A new one for this container.
    #[default]
    New,
    /// The one the shim runs in.
    Host,
    /// That of the process with this id (as seen by the shim).
    Join(i32),
}

/// Where the network namespace comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkNamespace {
    /// The descriptor in [`crate::PlanFds::netns`]; without one, a new namespace with nothing but an unconfigured
    /// loopback.
    #[default]
    Fd,
    /// The one the shim runs in.
    Host,
    /// That of the process with this id (as seen by the shim).
    Join(i32),
}

/// One mount.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mount {
    /// Absolute path inside the container. Symbolic links are followed within the container's root only.
    /// A missing mount point is made (file or directory, as the source is), if the file system below is writable.
    pub target: String,
    /// What is mounted.
    pub source: MountSource,
    /// No writes through this mount.
    pub readonly: bool,
    /// With `readonly`: submounts as well (`mount_setattr`, kernel 5.12 and newer); kernels without it keep them
    /// writable.
    pub readonly_recursive: bool,
    /// Set-user-id bits have no effect.
    pub nosuid: bool,
    /// Device nodes cannot be opened.
    pub nodev: bool,
    /// Programs cannot be executed.
    pub noexec: bool,
    /// How later mounts below are shared with the host.
    pub propagation: Propagation,
}

/// The source of a mount.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MountSource {
    /// The container's `/proc`.
    #[default]
    Proc,
    /// `/sys`, seen through the container's network namespace.
    Sysfs,
    /// `/dev`: a tmpfs with the plan's devices, the usual symbolic links and mount points for pts, shm and mqueue.
    Dev,
    /// A terminal multiplexer of its own (`/dev/pts`).
    Devpts,
    /// POSIX message queues of the container's IPC namespace.
    Mqueue,
    /// The container's own control groups (`/sys/fs/cgroup`), as the cgroup plan names them.
    Cgroup,
    /// An empty memory file system with the given options, in the words of tmpfs (`size=64m`, `mode=1777`).
    Tmpfs {
        /// Options of the file system, not of the mount.
        options: Vec<String>,
    },
    /// A file or directory of the host.
    Bind {
        /// Absolute path in the shim's mount namespace.
        path: PathBuf,
        /// Submounts come along.
        recursive: bool,
    },
    /// A directory inside another container: for example `/dev/shm` of the container whose IPC namespace is joined.
    Foreign {
        /// A process of the other container.
        pid: i32,
        /// Absolute path inside it.
        path: String,
    },
}

/// Propagation of a mount, always recursive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Propagation {
    /// Nothing comes in or goes out.
    #[default]
    Private,
    /// The host's later mounts appear inside.
    Slave,
    /// Both directions.
    Shared,
}

/// A process of a container: the first one, or an exec'ed one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Process {
    /// Program and arguments. A program without a slash is looked up in `PATH` of `env`, inside the container.
    pub args: Vec<String>,
    /// Executes [`crate::init`] in the program's place, which starts the program and reaps whatever else dies.
    pub init: bool,
    /// Environment, `NAME=value`.
    pub env: Vec<String>,
    /// Working directory inside the container; empty is `/`. It must exist.
    pub cwd: String,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// Capability sets; clamped to what this machine grants.
    pub capabilities: Capabilities,
    /// Forbids gaining privileges by executing a file.
    pub no_new_privileges: bool,
    /// System call filter; `None` is unconfined.
    pub seccomp: Option<Filter>,
    /// Resource limits; clamped to the hard limits of the shim where it may not raise them.
    pub rlimits: Vec<Rlimit>,
    /// Inclination to be chosen by the out-of-memory killer; `None` inherits. Lowering below what is allowed is
    /// ignored.
    pub oom_score_adj: Option<i32>,
    /// File mode creation mask; `None` is 022.
    pub umask: Option<u32>,
    /// Initial terminal size of an exec'ed process with a terminal.
    pub terminal_size: Option<TerminalSize>,
}

/// One resource limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rlimit {
    /// Name in Docker's words: `nofile`, `nproc`, `core` and so on. Unknown names are refused.
    pub name: String,
    /// Soft limit; `u64::MAX` is unlimited.
    pub soft: u64,
    /// Hard limit; `u64::MAX` is unlimited.
    pub hard: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_of_other_versions_are_read() {
        let plan: Plan =
            serde_json::from_str(r#"{"hostname":"h","tomorrow":{"x":[1]},"process":{"args":["a"]}}"#).unwrap();
        assert_eq!((plan.hostname.as_str(), plan.process.args.len(), plan.process.umask), ("h", 1, None));
        let error = serde_json::from_str::<crate::StartError>(r#"{"stage":"tomorrow","errno":1,"detail":""}"#).unwrap();
        assert_eq!(error.stage, crate::Stage::Unknown);
    }

    #[test]
    fn plans_survive_the_journey() {
        let plan = Plan {
            mounts: crate::mounts::defaults(false, 1),
            devices: crate::devices::default_nodes(),
            namespaces: Namespaces {
                pid: Namespace::Join(3),
                network: NetworkNamespace::Host,
                ..Namespaces::default()
            },
            process: Process { seccomp: Some(crate::seccomp::default_profile(0)), ..Process::default() },
            ..Plan::default()
        };
        let text = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
    }
}
