//! Why a process could not be started, and why a control group could not be handled.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The part of a start that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The plan itself is impossible: a NUL byte in a path, an unknown limit, a bad filter.
    Plan,
    /// A host-side source of a bind mount could not be opened.
    BindSource,
    /// The process could not be created.
    Clone,
    /// Control groups could not be joined.
    Cgroup,
    /// A namespace could not be joined or made.
    Namespace,
    /// The root file system could not be put in place.
    Root,
    /// A mount could not be made.
    Mount,
    /// A device node or link could not be made.
    Device,
    /// A kernel parameter could not be written.
    Sysctl,
    /// Host or domain name could not be set.
    Hostname,
    /// The terminal could not be opened.
    Terminal,
    /// A resource limit could not be set.
    Rlimit,
    /// User, group or supplementary groups could not be taken on.
    User,
    /// Capabilities could not be set.
    Capabilities,
    /// The system call filter was refused.
    Seccomp,
    /// The working directory could not be entered.
    WorkingDirectory,
    /// The program was not found, is a directory or may not be executed. `detail` is the program as it was named.
    Lookup,
    /// The kernel refused to execute the program (wrong format, missing interpreter, too many arguments).
    Exec,
    /// The child or the channel to it broke down.
    Internal,
    /// A stage this version does not know (sent by a newer one).
    #[serde(other)]
    Unknown,
}

/// A failed start: where, the kernel's error number, and what was being done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{stage}: {detail}: {}", std::io::Error::from_raw_os_error(*errno))]
pub struct StartError {
    /// What was being done.
    pub stage: Stage,
    /// The kernel's error number; 0 if there was none.
    pub errno: i32,
    /// The path, name or value it was about.
    pub detail: String,
}

impl StartError {
    /// An error at `stage` with the kernel's `errno` about `detail`.
    pub fn new(stage: Stage, errno: impl Into<i32>, detail: impl Into<String>) -> Self {
        Self { stage, errno: errno.into(), detail: detail.into() }
    }

    pub(crate) fn at(stage: Stage, errno: rustix::io::Errno, detail: impl Into<String>) -> Self {
        Self::new(stage, errno.raw_os_error(), detail)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plan => "plan",
            Self::BindSource => "bind source",
            Self::Clone => "clone",
            Self::Cgroup => "cgroup",
            Self::Namespace => "namespace",
            Self::Root => "root file system",
            Self::Mount => "mount",
            Self::Device => "device",
            Self::Sysctl => "sysctl",
            Self::Hostname => "host name",
            Self::Terminal => "terminal",
            Self::Rlimit => "resource limit",
            Self::User => "user",
            Self::Capabilities => "capabilities",
            Self::Seccomp => "seccomp",
            Self::WorkingDirectory => "working directory",
            Self::Lookup => "program",
            Self::Exec => "exec",
            Self::Internal => "internal",
            Self::Unknown => "start",
        })
    }
}

/// A failure outside of a start: control groups, seccomp profiles, devices, capabilities.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or directory could not be handled.
    #[error("{action} {path}: {source}")]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: String,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// A value the client gave cannot be right; the message is worded for it.
    #[error("{0}")]
    Invalid(String),
    /// This machine lacks something that was asked for; the message is worded for the client.
    #[error("{0}")]
    Unsupported(String),
}

impl Error {
    pub(crate) fn io(
        action: &'static str,
        path: impl AsRef<std::path::Path>,
        source: impl Into<std::io::Error>,
    ) -> Self {
        Self::Io { action, path: path.as_ref().display().to_string(), source: source.into() }
    }
}

/// Result of everything but a start.
pub type Result<T, E = Error> = std::result::Result<T, E>;
