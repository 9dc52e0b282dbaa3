//! What a client lends to a build and does not send with it: secrets, and agents that sign for it.

use std::path::Path;

use crate::{Error, Result};

/// The client's secrets and agents. None of them is ever kept in an image.
pub trait Secrets: Send + Sync {
    /// The value of a secret; `None` if the client has none of this id.
    ///
    /// # Errors
    /// The client cannot be asked.
    fn secret(&self, id: &str) -> Result<Option<Vec<u8>>>;

    /// An SSH agent, listening until the value is dropped; `None` if the client lends none of this id.
    ///
    /// # Errors
    /// The client cannot be asked.
    fn agent(&self, id: &str) -> Result<Option<Box<dyn Agent>>>;
}

/// An SSH agent of the client's.
pub trait Agent: Send {
    /// The Unix socket at which it answers, on the host.
    fn socket(&self) -> &Path;
}

/// A client without a session: it lends nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSession;

impl Secrets for NoSession {
    fn secret(&self, id: &str) -> Result<Option<Vec<u8>>> {
        Err(Error::Invalid(format!("the secret {id} needs a session with its client: build with docker buildx")))
    }

    fn agent(&self, id: &str) -> Result<Option<Box<dyn Agent>>> {
        Err(Error::Invalid(format!("the SSH agent {id} needs a session with its client: build with docker buildx")))
    }
}
