//! Contexts and files from addresses.

use std::io::Read;
use std::sync::Arc;

use build::{Context, Repository, Secrets};
use registry::Remote;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;
use crate::{Error, Result};

/// Where a build context is that a client names instead of sending.
#[derive(Debug, Clone, Default)]
pub struct RemoteContext {
    /// The address.
    pub address: String,
    /// A repository's history is part of the context.
    pub keep_git_dir: bool,
}

impl Engine {
    /// The files at an address that names a build context: a git repository, an archive, or a Dockerfile alone.
    ///
    /// # Errors
    /// Nothing is there, or the address is none.
    pub async fn context_at(
        self: &Arc<Self>,
        address: RemoteContext,
        secrets: Arc<dyn Secrets>,
        cancelled: CancellationToken,
    ) -> Result<Context> {
        let (engine, handle) = (Arc::clone(self), Handle::current());
        self.blocking(move || engine.remote_context(&address, secrets.as_ref(), &handle, &cancelled)).await
    }

    /// Opens an address from blocking code; gives up when the build is cancelled.
    pub(super) fn open_remote(
        self: &Arc<Self>,
        url: &str,
        handle: &Handle,
        cancelled: &CancellationToken,
    ) -> Result<Remote> {
        let opened = handle.block_on(cancelled.run_until_cancelled(self.registries.open_address(url)));
        Ok(opened.ok_or(build::Error::Cancelled)??)
    }

    /// The context at the address that `remote=` names: a git repository, an archive, or a Dockerfile alone.
    pub(super) fn remote_context(
        self: &Arc<Self>,
        remote: &RemoteContext,
        secrets: &dyn Secrets,
        handle: &Handle,
        cancelled: &CancellationToken,
    ) -> Result<Context> {
        let RemoteContext { address, keep_git_dir } = remote;
        let temporary = &self.build_folders.temporary;
        let go_on = || if cancelled.is_cancelled() { Err(build::Error::Cancelled) } else { Ok(()) };
        if let Some(mut repository) = Repository::parse(address)? {
            repository.keep_git_dir |= keep_git_dir;
            return Ok(Context::of_repository(&repository, temporary, secrets, &go_on)?);
        }
        if !address.starts_with("http://") && !address.starts_with("https://") {
            return Err(Error::invalid(format!(
                "{address:?} is no address of a build context: it begins with http://, https://, git:// or git@, or ends in .git"
            )));
        }
        let body = self.open_remote(address, handle, cancelled)?;
        Ok(Context::of_body(Watched { body, cancelled }, "Dockerfile", temporary)?)
    }
}

/// A stream that ends when nobody waits for it any more.
struct Watched<'a> {
    body: Remote,
    cancelled: &'a CancellationToken,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self.cancelled.is_cancelled() {
            true => Err(std::io::Error::other(build::Error::Cancelled)),
            false => self.body.read(buffer),
        }
    }
}
