//! Contexts and files from addresses.

use std::io::Read;
use std::sync::Arc;

use build::{Context, Repository};
use registry::Remote;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;
use crate::{Error, Result};

impl Engine {
    /// The files at an address that names a build context: a git repository, an archive, or a Dockerfile alone.
    ///
    /// # Errors
    /// Nothing is there, or the address is none.
    pub async fn context_at(self: &Arc<Self>, address: &str, cancelled: CancellationToken) -> Result<Context> {
        let (engine, handle, address) = (Arc::clone(self), Handle::current(), address.to_owned());
        self.blocking(move || engine.remote_context(&address, &handle, &cancelled)).await
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
        remote: &str,
        handle: &Handle,
        cancelled: &CancellationToken,
    ) -> Result<Context> {
        let temporary = &self.build_folders.temporary;
        let go_on = || if cancelled.is_cancelled() { Err(build::Error::Cancelled) } else { Ok(()) };
        if let Some(repository) = Repository::parse(remote) {
            return Ok(Context::of_repository(&repository, temporary, &go_on)?);
        }
        if !remote.starts_with("http://") && !remote.starts_with("https://") {
            return Err(Error::invalid(format!(
                "{remote:?} is no address of a build context: it begins with http://, https://, git:// or git@, or ends in .git"
            )));
        }
        let body = self.open_remote(remote, handle, cancelled)?;
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
