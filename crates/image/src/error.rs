//! What can go wrong with images.

use std::io;
use std::path::PathBuf;

use model::{ChainId, Digest, ErrorKind, ImageId, InvalidReference};

/// Result of an operation on images.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation on images failed. The messages are worded for clients, Docker's where clients know Docker's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No image has this name or id.
    #[error("No such image: {0}")]
    NotFound(String),
    /// The name cannot be one.
    #[error(transparent)]
    Reference(#[from] InvalidReference),
    /// A repository named like a digest algorithm would make `sha256:…` ambiguous.
    #[error("refusing to create an ambiguous tag using digest algorithm as name")]
    AmbiguousName,
    /// Removing the only name of an image that a container uses.
    #[error(
        "conflict: unable to remove repository reference {name:?} (must force) - container {container} is using its referenced image {image}"
    )]
    NameInUse {
        /// The name as asked for.
        name: String,
        /// Short id of the container.
        container: String,
        /// Short id of the image.
        image: String,
    },
    /// The image cannot be removed; force would help with some reasons.
    #[error("conflict: unable to delete {image} ({} be forced) - {reason}", if *.hard { "cannot" } else { "must" })]
    InUse {
        /// Short id of the image.
        image: String,
        /// Whether force does not help.
        hard: bool,
        /// Whether a container is the reason.
        by_container: bool,
        /// What stands in the way.
        reason: String,
    },
    /// What kept Docker before 1.8 from removing an image, in its words.
    #[error("Conflict, {0}")]
    Obstacle(String),
    /// The archive is no tar, or damaged.
    #[error("invalid archive: {0}")]
    Tar(String),
    /// A file that the archive needs is not in it.
    #[error("invalid archive: {0} is missing")]
    Member(String),
    /// A document in the archive is not what it must be.
    #[error("invalid archive: {member}: {source}")]
    Document {
        /// The member.
        member: String,
        /// The cause.
        source: serde_json::Error,
    },
    /// A document or the archive as a whole is larger than any honest one.
    #[error("invalid archive: {what} exceeds the limit of {limit}")]
    Limit {
        /// What is too large.
        what: String,
        /// The limit, in the unit of what is limited.
        limit: u64,
    },
    /// Something is not what its digest says.
    #[error("invalid archive: {what} has digest {found}, expected {expected}")]
    Digest {
        /// What was verified.
        what: String,
        /// The digest it should have.
        expected: Digest,
        /// The digest it has.
        found: Digest,
    },
    /// The archive holds no image.
    #[error("invalid archive: {0}")]
    NoImage(&'static str),
    /// A config contradicts itself or its layers.
    #[error("invalid image config: {0}")]
    Config(String),
    /// The image is made for another operating system.
    #[error("cannot load {0} image on linux")]
    OperatingSystem(String),
    /// An image names a layer that is not there.
    #[error("layer {0} does not exist")]
    Layer(ChainId),
    /// The store has an image whose config does not parse.
    #[error("stored image {id}: {source}")]
    Stored {
        /// The image.
        id: ImageId,
        /// The cause.
        source: serde_json::Error,
    },
    /// Reading the client's stream or writing to it failed.
    #[error("{what}: {source}")]
    Stream {
        /// What was being done.
        what: &'static str,
        /// The cause.
        source: io::Error,
    },
    /// A temporary file failed.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The layers failed.
    #[error(transparent)]
    Storage(#[from] storage::Error),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Error {
    /// The kind the API reports.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::NameInUse { .. } | Self::InUse { .. } | Self::Obstacle(_) => ErrorKind::Conflict,
            Self::Stored { .. } | Self::Stream { .. } | Self::File { .. } | Self::Layer(_) => ErrorKind::System,
            Self::Storage(error) => error.kind(),
            Self::Store(error) => error.kind(),
            _ => ErrorKind::InvalidParameter,
        }
    }
}
