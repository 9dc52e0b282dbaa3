//! Clients at a container's streams.

use crate::Result;
use crate::options::ClientStream;

/// An attach that was checked and waits for its client.
///
/// While it waits (until [`Attachment::run`] or drop) a start of the container waits as well: the server answers the client
/// before `run`, and the client starts the container as soon as it has read that answer. No output may be missed between.
#[derive(Debug)]
pub struct Attachment {
    tty: bool,
}

impl Attachment {
    /// Whether the container has a terminal: then the stream is raw, never multiplexed.
    pub fn tty(&self) -> bool {
        self.tty
    }

    /// Hands the client over (after what the log holds, if that was asked for). Returns once the shim has it, or, for
    /// a container that is not started yet, once it is kept for the start; the stream goes on without the engine.
    ///
    /// # Errors
    /// The container is gone or its shim does not answer; the client's socket is closed then.
    pub async fn run(self, client: ClientStream) -> Result<()> {
        drop(client);
        Err(crate::Error::not_implemented("attach"))
    }
}
