//! What a build needs of the engine.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use image::{Image, Images, RunConfig};
use model::{ImageId, Platform};
use storage::Storage;

use crate::Result;
use crate::caches::Caches;
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
    /// A folder for files that the build needs for a while.
    pub temporary: &'a Path,
    /// One in memory, for secrets.
    pub private: &'a Path,
    /// What builds leave for the next ones.
    pub caches: &'a Arc<Caches>,
}

/// What is at an address, as it comes in.
pub struct Fetched {
    /// The bytes.
    pub body: Box<dyn Read + Send>,
    /// When it was last changed, in seconds since 1970, if the server says it.
    pub modified: Option<i64>,
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
    /// What is mounted in it beside the image.
    pub mounts: &'a [StepMount],
    /// `RUN --security=insecure`: with all privileges.
    pub insecure: bool,
}

/// Something mounted in the container of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepMount {
    /// Absolute path in the container.
    pub target: String,
    /// What is there.
    pub source: StepSource,
    /// No writes through it.
    pub read_only: bool,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepSource {
    /// A file or folder of the host.
    Path(PathBuf),
    /// A folder in memory.
    Tmpfs {
        /// Most bytes in it; `None`: no limit of its own.
        size_bytes: Option<i64>,
    },
}

/// An image that a step needs from a registry.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it shall be for; `None`: this machine.
    pub platform: Option<&'a Platform>,
    /// What has this name here, for another platform, keeps it.
    pub aside: bool,
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

    /// Lets a container stay when the build has ended: one that was neither removed nor kept goes with the build.
    ///
    /// # Errors
    /// The engine's.
    fn keep(&self, container: &str) -> Result<()>;

    /// An image that is not here: fetches it, if the engine can, and tells how that goes in messages of the API's stream.
    ///
    /// # Errors
    /// There is none, or it cannot be fetched.
    fn pull(&self, wanted: &Wanted<'_>, told: &mut dyn FnMut(serde_json::Value)) -> Result<ImageId>;

    /// Opens what is at an `http://` or `https://` address.
    ///
    /// # Errors
    /// Nothing is there.
    fn open(&self, url: &str) -> Result<Fetched>;

    /// Whether nobody waits for the build any more, or it was given up.
    fn is_cancelled(&self) -> bool;

    /// Gives the build up because a part of it failed: what runs is ended, and the build is cancelled from now on.
    fn give_up(&self);
}
