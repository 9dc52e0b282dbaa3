//! What a build needs of the engine.

use image::{Image, Images, RunConfig};
use storage::Storage;

use crate::Result;
use crate::progress::{Progress, Stream};
use crate::secrets::Secrets;

/// Where a build is carried out, and whom it tells.
#[derive(Clone, Copy)]
pub struct Site<'a> {
    /// Base images, and the cache.
    pub images: &'a Images,
    /// The layers of these.
    pub storage: &'a Storage,
    /// Runs the containers of `RUN`.
    pub executor: &'a dyn Executor,
    /// Is told how it goes.
    pub progress: &'a dyn Progress,
    /// What the client lends.
    pub secrets: &'a dyn Secrets,
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

/// Runs containers for a build. Stages run side by side: every method may be called from several threads at once.
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

    /// An image that is not here: fetches it, if the engine can, and tells how that goes in messages of the API's stream.
    ///
    /// # Errors
    /// There is none, or it cannot be fetched.
    fn pull(&self, name: &str, told: &mut dyn FnMut(serde_json::Value)) -> Result<()>;

    /// Whether nobody waits for the build any more, or it was given up.
    fn is_cancelled(&self) -> bool;

    /// Gives the build up because a part of it failed: what runs is ended, and the build is cancelled from now on.
    fn give_up(&self);
}
