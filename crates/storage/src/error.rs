//! What can go wrong with layers, snapshots and volumes.

use std::io;
use std::path::PathBuf;

use model::{ChainId, DiffId, ErrorKind};

/// Result of a storage operation.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a storage operation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An operation on a path failed.
    #[error(transparent)]
    Path(#[from] sys::root::Error),
    /// Reading the input or writing the output failed.
    #[error("{action}: {source}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The tar stream is damaged, or holds what must not be unpacked.
    #[error("invalid tar stream: {0}")]
    Tar(String),
    /// No layer has this chain id.
    #[error("layer {0} does not exist")]
    NoLayer(ChainId),
    /// The layer's files are no longer what was imported.
    #[error("layer {chain_id} has been changed on disk: its tar gives {found}, not {expected}")]
    LayerChanged {
        /// The layer.
        chain_id: ChainId,
        /// The digest it was imported with.
        expected: DiffId,
        /// The digest its files give now.
        found: DiffId,
    },
    /// A file of the storage itself is missing or damaged.
    #[error("{} is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// No snapshot has this id.
    #[error("container file system {0} does not exist")]
    NoSnapshot(String),
    /// A snapshot with this id exists.
    #[error("container file system {0} exists already")]
    SnapshotExists(String),
    /// No volume has this name.
    #[error("get {0}: no such volume")]
    NoVolume(String),
    /// The name cannot be a directory's.
    #[error("{0:?} is not a valid name")]
    InvalidName(String),
    /// The path in a container does not exist.
    #[error("Could not find the file {0}")]
    NoPath(PathBuf),
    /// A tar was to be unpacked at a path that is no directory.
    #[error("extraction point is not a directory")]
    NotADirectory,
    /// `noOverwriteDirNonDir`: a directory would be replaced by something else.
    #[error("cannot overwrite directory {0:?} with non-directory")]
    DirectoryInTheWay(PathBuf),
    /// `noOverwriteDirNonDir`: something else would be replaced by a directory.
    #[error("cannot overwrite non-directory {0:?} with directory")]
    NonDirectoryInTheWay(PathBuf),
    /// The tree is deeper than a path can be long.
    #[error("{} is too deep", .0.display())]
    TooDeep(PathBuf),
    /// The overlay could not be mounted.
    #[error(transparent)]
    Overlay(#[from] sys::overlay::Error),
    /// The storage directory is not fit for use.
    #[error("storage at {}: {reason}", path.display())]
    Unfit {
        /// The storage directory.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
}

impl Error {
    /// Which sort of failure this is for the API.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::NoLayer(_) | Error::NoSnapshot(_) | Error::NoVolume(_) | Error::NoPath(_) => ErrorKind::NotFound,
            Error::Path(error) if error.is_not_found() => ErrorKind::NotFound,
            Error::Tar(_)
            | Error::InvalidName(_)
            | Error::NotADirectory
            | Error::DirectoryInTheWay(_)
            | Error::NonDirectoryInTheWay(_) => ErrorKind::InvalidParameter,
            Error::SnapshotExists(_) => ErrorKind::Conflict,
            _ => ErrorKind::System,
        }
    }
}

/// Names what was being done when an I/O error came.
pub(crate) trait Doing<T> {
    fn doing(self, action: &'static str) -> Result<T>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, action: &'static str) -> Result<T> {
        self.map_err(|source| Error::Io { action, source })
    }
}

impl<T> Doing<T> for rustix::io::Result<T> {
    fn doing(self, action: &'static str) -> Result<T> {
        self.map_err(|errno| Error::Io { action, source: errno.into() })
    }
}
