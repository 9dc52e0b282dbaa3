//! What the engine answers when it cannot do what was asked.
//!
//! One type for all of it: a kind, which the server maps to a status in one place, and a message worded for the client.
//! The cause, if there is one, is kept for the log.

use std::error::Error as StdError;
use std::fmt;

use model::ErrorKind;

/// A refusal or a failure, worded for the client.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// What most functions of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of the given kind with a message for the client.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// Something that was named does not exist (404).
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// The request makes no sense as it stands (400).
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidParameter, message)
    }

    /// The request does not fit the present state (409).
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, message)
    }

    /// Nothing to do: the state is already as asked (304).
    pub fn not_modified(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotModified, message)
    }

    /// Docker does this, longshore not yet (501).
    pub fn not_implemented(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotImplemented, message)
    }

    /// It was right to ask, but it failed (500).
    pub fn system(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::System, message)
    }

    /// Keeps `source` as the cause; the message stays as it is.
    #[must_use]
    pub fn caused_by(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// The same error under another message, this one kept in it: `"{context}: {message}"`.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }

    /// What went wrong, coarsely: decides the status.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The sentence for the client.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

/// Errors of the crates below keep their words and their kind.
macro_rules! kept {
    ($($error:ty),*) => {$(
        impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::new(error.kind(), error.to_string()).caused_by(error)
            }
        }
    )*};
}

kept!(::registry::Error, image::Error, storage::Error, store::Error);

impl From<std::sync::Arc<::registry::Error>> for Error {
    fn from(error: std::sync::Arc<::registry::Error>) -> Self {
        Self::new(error.kind(), error.to_string()).caused_by(error)
    }
}

impl From<network::Error> for Error {
    fn from(error: network::Error) -> Self {
        let kind = match &error {
            network::Error::AddressTaken { .. } => ErrorKind::Forbidden,
            network::Error::AddressOutside { .. } => ErrorKind::InvalidParameter,
            _ => ErrorKind::System,
        };
        Self::new(kind, error.to_string()).caused_by(error)
    }
}
