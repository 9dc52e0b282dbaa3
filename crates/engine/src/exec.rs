//! Further commands in running containers.

use crate::Result;
use crate::options::ClientStream;

/// An exec that was checked and waits for its client.
#[derive(Debug)]
pub struct Session {
    tty: bool,
}

impl Session {
    /// Whether it runs in a terminal: then the stream is raw, never multiplexed.
    pub fn tty(&self) -> bool {
        self.tty
    }

    /// Starts the command with the client at its streams. Returns once it runs; the stream goes on without the engine.
    ///
    /// # Errors
    /// The command could not be started. The client has already been answered, so the reason was also written into its
    /// stream, as Docker does.
    pub async fn run(self, client: ClientStream) -> Result<()> {
        drop(client);
        Err(crate::Error::not_implemented("exec"))
    }
}
