//! What a build needs of the engine.

use image::{Image, RunConfig};
use model::ImageId;

use crate::Result;

/// Something to tell the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Progress, or what a command wrote.
    Text(String),
    /// What a command wrote to its standard error, or a warning.
    ErrorText(String),
    /// The id of what was built.
    Id(ImageId),
}

/// Which of a command's streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

/// A container that a step needs.
#[derive(Debug)]
pub struct RunStep<'a> {
    /// The image it is made of.
    pub image: &'a Image,
    /// Its whole configuration; nothing of the image's is to be merged in but volumes.
    pub config: &'a RunConfig,
    /// `RUN --network=`: `none`, `host`; empty: the build's.
    pub network: &'a str,
}

/// Runs containers for a build and talks to its client.
pub trait Executor: Sync {
    /// Makes a container; its id, which is also the name of its file system in the storage.
    ///
    /// # Errors
    /// The engine's.
    fn create(&self, step: &RunStep<'_>) -> Result<String>;

    /// Starts a container that was made, hands over what it writes, and waits for its end; its exit code.
    ///
    /// # Errors
    /// It cannot be started, or [`Error::Cancelled`](crate::Error::Cancelled); it does not run any more then.
    fn run(&self, container: &str, output: &mut dyn FnMut(Stream, &[u8])) -> Result<i64>;

    /// Removes a container with its anonymous volumes.
    ///
    /// # Errors
    /// The engine's.
    fn remove(&self, container: &str) -> Result<()>;

    /// An image that is not here: fetches it, if the engine can.
    ///
    /// # Errors
    /// There is none, or it cannot be fetched.
    fn pull(&self, name: &str) -> Result<()>;

    /// Tells the client something. Clients that left are noticed by [`Executor::is_cancelled`].
    fn say(&self, message: Message);

    /// Whether nobody waits for the build any more.
    fn is_cancelled(&self) -> bool;
}
