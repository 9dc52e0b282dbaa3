//! Where a client's folders come to lie.

use std::path::PathBuf;
use std::sync::Arc;

use build::{Caches, ContextFiles, Error, KeptContext, Result};
use sys::root::Root;
use tempfile::TempDir;

/// Where files may be fetched to.
#[derive(Debug)]
pub(crate) struct Folders {
    /// For clients that say who they are: the next time they send what has changed.
    pub(crate) caches: Arc<Caches>,
    /// For the others.
    pub(crate) temporary: PathBuf,
}

/// Where one of the client's folders was fetched to.
#[derive(Debug)]
pub(crate) enum Place {
    Kept(KeptContext),
    /// Removed with the build.
    Temporary(ContextFiles, #[expect(dead_code, reason = "it is there to be dropped")] TempDir),
}

impl Folders {
    /// Where the folder of this name comes to lie that belongs to a client, who may say who it is.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) fn place(&self, name: &str, client: Option<&str>) -> Result<Place> {
        if let Some(client) = client {
            return Ok(Place::Kept(KeptContext::take(&self.caches, name, client)?));
        }
        let folder = tempfile::Builder::new().prefix("build-").tempdir_in(&self.temporary);
        let folder = folder.map_err(|source| Error::Io { action: "making a folder for the build context", source })?;
        Ok(Place::Temporary(Arc::new(Root::open(folder.path())?).into(), folder))
    }
}

impl Place {
    /// The files, to be read and written.
    pub(crate) fn files(&self) -> &ContextFiles {
        match self {
            Self::Kept(kept) => kept.files(),
            Self::Temporary(files, _) => files,
        }
    }

    /// Notes what the files take of the disk now; `None` if that must be looked at.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn measured(&self, size_bytes: Option<u64>) -> Result<()> {
        if let Self::Kept(kept) = self { kept.measured(size_bytes) } else { Ok(()) }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Self::Kept(kept) = self
            && let Err(error) = kept.close()
        {
            tracing::warn!(%error, "the next build has to read its context again");
        }
    }
}
