//! What can go wrong with registries, in Docker's words where clients know them.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use model::{Digest, ErrorKind, InvalidReference};

/// Result of an operation on registries.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a registry says against a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// Status of the answer.
    pub status: u16,
    /// Code of the distribution protocol, upper case: `DENIED`; empty if the registry gave none and none fits.
    pub code: String,
    /// In words.
    pub message: String,
    /// How long the registry wants to be left alone.
    pub retry_after: Option<Duration>,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.code.is_empty() {
            write!(f, "{}: ", self.code.to_ascii_lowercase().replace('_', " "))?;
        }
        f.write_str(&self.message)
    }
}

/// How a request failed before there was an answer, or while it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// No connection came about: refused, no such host, certificate not trusted. Another try will not help.
    Connect,
    /// The connection broke or fell silent. Another try may help.
    Broken,
    /// The answer makes no sense.
    Nonsense,
    /// Credentials are missing or wrong.
    Credentials,
}

/// Why an operation on a registry failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The repository is not for everybody, or not there at all: registries do not tell which.
    #[error("pull access denied for {name}, repository does not exist or may require 'docker login': {complaint}")]
    PullDenied {
        /// Familiar name of the repository.
        name: String,
        /// The registry's words.
        complaint: Complaint,
    },
    /// The repository has no such tag or digest.
    #[error("manifest for {reference} not found: {complaint}")]
    NoManifest {
        /// Familiar name with tag or digest.
        reference: String,
        /// The registry's words.
        complaint: Complaint,
    },
    /// There is no such repository.
    #[error("repository {name} not found: {complaint}")]
    NoRepository {
        /// Familiar name of the repository.
        name: String,
        /// The registry's words.
        complaint: Complaint,
    },
    /// The registry refused.
    #[error("{0}")]
    Refused(Complaint),
    /// A request failed without an answer.
    #[error("{method} {url:?}: {reason}")]
    Request {
        /// In Go's writing: `Get`.
        method: &'static str,
        /// Where.
        url: String,
        /// In words.
        reason: String,
        /// What kind of failure.
        failure: Failure,
    },
    /// Something is not what its digest says.
    #[error("{what} verification failed for digest {expected}")]
    Digest {
        /// What was verified.
        what: &'static str,
        /// The digest it should have.
        expected: Digest,
        /// The digest it has.
        found: Digest,
    },
    /// Something has not the size it should have.
    #[error("{what} {name} is not as long as announced: {expected} bytes, found {found}")]
    Size {
        /// What was measured.
        what: &'static str,
        /// Which.
        name: String,
        /// Bytes it should have.
        expected: u64,
        /// Bytes seen.
        found: u64,
    },
    /// A document is malformed or contradicts itself.
    #[error("invalid {what}: {reason}")]
    Document {
        /// What it should be.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Something that this engine does not run.
    #[error("{0}")]
    Unsupported(String),
    /// The image is not there for this platform.
    #[error("no matching manifest for {0} in the manifest list entries")]
    NoPlatform(String),
    /// Nothing to push.
    #[error("An image does not exist locally with the tag: {0}")]
    NoImage(String),
    /// The name cannot be one, or not be used so.
    #[error(transparent)]
    Reference(#[from] InvalidReference),
    /// An index does not let in, in its words.
    #[error("{0}")]
    Login(String),
    /// A parameter makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// The images failed.
    #[error(transparent)]
    Image(#[from] image::Error),
    /// A layer cannot be had where it is known to be.
    #[error("{repository}: {source}")]
    Origin {
        /// Familiar name of the repository.
        repository: String,
        /// Why.
        source: Box<Error>,
    },
    /// The blob that was kept of a layer is not what it was.
    #[error("the blob that was kept of it is damaged: {0}")]
    Kept(io::Error),
    /// A file of certificates or a temporary file failed.
    #[error("{path}: {source}")]
    File {
        /// The file or its folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Certificates or keys are of no use.
    #[error("{path}: {reason}")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Nobody wants it any more, or the daemon ends.
    #[error("context canceled")]
    Cancelled,
}

impl Error {
    /// The kind the API reports.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::PullDenied { .. } | Self::NoManifest { .. } | Self::NoRepository { .. } => ErrorKind::NotFound,
            Self::NoPlatform(_) | Self::NoImage(_) => ErrorKind::NotFound,
            Self::Refused(complaint) => match complaint.status {
                401 => ErrorKind::Unauthorized,
                403 => ErrorKind::Forbidden,
                404 => ErrorKind::NotFound,
                429 | 503 => ErrorKind::Unavailable,
                _ => ErrorKind::System,
            },
            Self::Request { failure: Failure::Credentials, .. } => ErrorKind::Unauthorized,
            Self::Reference(_) | Self::Invalid(_) | Self::Unsupported(_) => ErrorKind::InvalidParameter,
            Self::Image(error) => error.kind(),
            _ => ErrorKind::System,
        }
    }

    /// Whether the same request may succeed a little later.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Request { failure, .. } => *failure == Failure::Broken,
            // 499: to the registry we had gone. Something between us broke the connection, and passes on what it says of that.
            Self::Refused(complaint) => matches!(complaint.status, 429 | 499..),
            _ => false,
        }
    }

    /// Whether what is uploaded cannot be had as it should be, so that there is nothing to upload.
    pub(crate) fn is_of_contents(&self) -> bool {
        matches!(self, Self::Origin { .. } | Self::Kept(_))
    }

    /// How long the registry wants to be left alone.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(complaint) => complaint.retry_after,
            _ => None,
        }
    }

    /// Whether nothing answered in the way of this scheme, so that another scheme may be tried.
    pub(crate) fn is_connection(&self) -> bool {
        matches!(self, Self::Request { failure: Failure::Connect | Failure::Broken | Failure::Nonsense, .. })
    }

    /// Whether another registry cannot do better: the fault is here.
    pub(crate) fn is_ours(&self) -> bool {
        match self {
            Self::Cancelled | Self::File { .. } | Self::Reference(_) | Self::Invalid(_) | Self::NoImage(_) => true,
            Self::Image(error) => error.kind() == ErrorKind::System,
            _ => false,
        }
    }
}
