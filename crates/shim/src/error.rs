//! The crate's one error type.

use std::path::PathBuf;

/// The result of this crate's fallible functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong between daemon, launcher and shim.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A system call failed.
    #[error("{action}: {cause}")]
    System {
        /// What was attempted.
        action: &'static str,
        /// The system's answer.
        cause: std::io::Error,
    },
    /// Nobody listens on a shim's socket: the shim is gone.
    #[error("no shim answers at {}: {cause}", path.display())]
    NoShim {
        /// The socket.
        path: PathBuf,
        /// The system's answer.
        cause: std::io::Error,
    },
    /// The other side closed its end.
    #[error("the other side closed the connection")]
    Closed,
    /// A message was larger than its limit, cut off, or not of the protocol.
    #[error("malformed message: {detail}")]
    Malformed {
        /// What is wrong with it.
        detail: String,
    },
    /// The launcher could not fork a shim.
    #[error("cannot launch a shim for container {container_id}: {detail}")]
    Launch {
        /// The container.
        container_id: String,
        /// What stood in the way.
        detail: String,
    },
    /// A file is not a log in json-file form.
    #[error("cannot read the log {}: {cause}", path.display())]
    Log {
        /// The log file.
        path: PathBuf,
        /// The system's answer.
        cause: std::io::Error,
    },
}

impl Error {
    /// Wraps a failed system call; meant for `map_err`.
    pub(crate) fn system<E: Into<std::io::Error>>(action: &'static str) -> impl FnOnce(E) -> Error {
        move |cause| Error::System { action, cause: cause.into() }
    }
}
