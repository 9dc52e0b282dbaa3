//! Builds over this engine's containers and images.

mod cache;
mod classic;
mod console;
mod executor;
mod remote;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use build::{Build, Built, Caches, ContextSource, Options, Progress, Secrets, Site};
use sys::root::Root;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use self::executor::EngineExecutor;
pub use self::remote::RemoteContext;
use crate::engine::Engine;
use crate::{Credentials, EngineConfig, Error, Result};

/// The folder of build caches, beneath the data root.
pub(crate) const CACHES: &str = "build-caches";

/// A build that a client asks for, however it speaks.
pub struct BuildRequest {
    /// Where its files come from.
    pub source: Box<dyn ContextSource>,
    /// What is built, and how.
    pub options: Options,
    /// Limits, network and the like of the containers of steps.
    pub host: api::host_config::HostConfig,
    /// Credentials for base images.
    pub keys: Arc<dyn Keys>,
    /// Is told how it goes.
    pub progress: Arc<dyn Progress>,
    /// What the client lends.
    pub secrets: Arc<dyn Secrets>,
    /// Ends the build: its containers are killed and removed.
    pub cancelled: CancellationToken,
}

/// Someone who has credentials for registries. Asked from blocking code, when a base image is fetched.
pub trait Keys: Send + Sync {
    /// Those for a registry, by its host (`docker.io` for Docker Hub); empty if there are none.
    fn for_registry(&self, host: &str) -> Credentials;
}

/// Credentials that came with the request.
impl Keys for BTreeMap<String, Credentials> {
    fn for_registry(&self, host: &str) -> Credentials {
        Credentials::for_registry(self, host)
    }
}

/// Folders of all builds.
#[derive(Debug)]
pub(crate) struct Folders {
    /// Contexts and fetched files, for a while; swept at the next start.
    temporary: PathBuf,
    /// Secrets, for the time of a step; on the exec root, which is in memory.
    private: PathBuf,
    /// What builds leave for the next ones.
    pub(crate) caches: Arc<Caches>,
}

impl Folders {
    pub(crate) fn open(config: &EngineConfig) -> Result<Self> {
        let private = config.exec_root.join("build");
        match std::fs::remove_dir_all(&private) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::system("cannot sweep the folder of builds' secrets").caused_by(error));
            }
            _ => {}
        }
        crate::engine::make_folder(&private, 0o700)?;
        let caches = Arc::new(Caches::open(config.data_root.join(CACHES))?);
        Ok(Self { temporary: config.data_root.join("tmp"), private, caches })
    }
}

impl From<build::Error> for Error {
    fn from(error: build::Error) -> Self {
        Self::new(error.kind(), error.to_string()).caused_by(error)
    }
}

impl Engine {
    /// Where a build's source may keep files while it runs; what a crash leaves there goes at the next start.
    pub fn build_folder(&self) -> PathBuf {
        self.build_folders.temporary.clone()
    }

    /// What builds leave for the next ones.
    pub fn build_caches(&self) -> Arc<Caches> {
        Arc::clone(&self.build_folders.caches)
    }

    /// The files of what was built, to be read. Blocks.
    ///
    /// # Errors
    /// The layers cannot be mounted.
    pub fn built_files(&self, built: &Built) -> Result<Root> {
        Ok(Root::from(self.storage.mount_layers(built.image.top().as_ref())?))
    }

    /// The files of what was built, as a tar archive. Blocks.
    ///
    /// # Errors
    /// The layers cannot be mounted, or `out` fails.
    pub fn built_archive(&self, built: &Built, out: &mut dyn Write) -> Result<()> {
        Ok(storage::archive::export(&self.built_files(built)?, out)?)
    }

    /// See [`Engine::solve`].
    pub(crate) async fn solve_build(self: &Arc<Self>, request: BuildRequest) -> Result<Built> {
        let (engine, handle) = (Arc::clone(self), Handle::current());
        let BuildRequest { source, options, host, keys, progress, secrets, cancelled } = request;
        self.blocking(move || {
            let build = Build::read(source, options)?;
            let executor = EngineExecutor { engine: Arc::clone(&engine), handle, host, keys, cancelled };
            let built = build.run(engine.site(&executor, progress.as_ref(), secrets.as_ref()));
            // First: the client's next build is to find its kept context free.
            engine.end_build(build);
            let built = built?;
            engine.image_events(&built.happenings);
            Ok(built)
        })
        .await
    }

    /// Where a build is carried out.
    fn site<'a>(
        &'a self,
        executor: &'a EngineExecutor,
        progress: &'a dyn Progress,
        secrets: &'a dyn Secrets,
    ) -> Site<'a> {
        Site {
            images: &self.images,
            storage: &self.storage,
            executor,
            progress,
            secrets,
            temporary: &self.build_folders.temporary,
            private: &self.build_folders.private,
            caches: &self.build_folders.caches,
        }
    }

    /// Lets go of a build that is over: its context, which may take a while to be removed, and the caches that it had.
    fn end_build(&self, build: Build) {
        drop(build);
        if self.build_folders.caches.take_growth()
            && let Err(error) = self.bound_build_caches()
        {
            tracing::warn!(%error, "cannot bound the build cache");
        }
    }
}
