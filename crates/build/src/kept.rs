//! Contexts that outlive their builds: what a client sent lies there when it builds again.

use std::sync::Arc;

use dockerfile::Sharing;
use sys::root::Root;

use crate::caches::{CacheKey, CacheLease};
use crate::{CacheKind, Caches, ContextFiles, Digests, Result};

/// Where a kept context has its files' digests.
const DIGESTS: &str = "digests";

/// A client's files as its last build left them: nobody else's until this is dropped.
///
/// They are changed where they lie. However far that came when an engine died: what is believed of a file is what can be seen
/// of it, and a file gets its time only when it is whole.
#[derive(Debug)]
pub struct KeptContext {
    files: ContextFiles,
    digests: Arc<Digests>,
    lease: CacheLease,
}

impl KeptContext {
    /// The files that a client has under a name; none, if there was no build yet, or another one that goes on has them.
    ///
    /// # Errors
    /// The folder cannot be made or read.
    pub fn take(caches: &Arc<Caches>, name: &str, client: &str) -> Result<Self> {
        let key = CacheKey { kind: CacheKind::Context, id: name, owner: client };
        let lease = caches.take(key, Sharing::Private, &|| Ok(()))?;
        let root = Arc::new(Root::open(lease.path())?);
        let digests = Arc::new(Digests::load(lease.folder().join(DIGESTS)));
        Ok(Self { files: ContextFiles { root, digests: Some(Arc::clone(&digests)) }, digests, lease })
    }

    /// The files, to be read and to be brought up to date.
    pub fn files(&self) -> &ContextFiles {
        &self.files
    }

    /// Notes what they take of the disk now; `None` if that must be looked at.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn measured(&self, size_bytes: Option<u64>) -> Result<()> {
        self.lease.measured(size_bytes)
    }

    /// Leaves the files to the next build, with what is known of them.
    ///
    /// # Errors
    /// It cannot be written; then the next build finds it out again.
    pub fn close(&self) -> Result<()> {
        self.digests.save()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn each_build_has_one_to_itself() -> Result<()> {
        let folder = tempfile::tempdir().map_err(Error::io("making a folder"))?;
        let caches = Arc::new(Caches::open(folder.path().join("caches"))?);
        let names = |context: &KeptContext| -> Result<Vec<_>> { Ok(context.files.root.read_dir("")?) };
        let first = KeptContext::take(&caches, "context", "one")?;
        first.files.root.write("f", b"contents", 0o600)?;
        assert!(names(&KeptContext::take(&caches, "context", "one")?)?.is_empty(), "another one has it");
        assert!(names(&KeptContext::take(&caches, "context", "two")?)?.is_empty(), "another client's");
        assert!(names(&KeptContext::take(&caches, "named", "one")?)?.is_empty(), "another folder");
        let metadata = first.files.root.symlink_metadata("f")?;
        first.digests.wrote(&metadata, [7; 32]);
        first.close()?;
        drop(first);
        let again = KeptContext::take(&caches, "context", "one")?;
        assert_eq!((names(&again)?.len(), again.digests.of(&metadata)), (1, Some([7; 32])));
        drop(again);
        // Whoever started the machine again did not wait for the disk.
        let described = caches.list()?.into_iter().find(|cache| cache.uses == 2 && cache.id == "context");
        let described = folder.path().join("caches").join(described.map(|cache| cache.name).unwrap_or_default());
        let text = std::fs::read_to_string(described.join("cache.json")).map_err(Error::io("reading"))?;
        let (head, _) = text.split_once("\"boot\":").unwrap_or_default();
        std::fs::write(described.join("cache.json"), format!("{head}\"boot\":\"before\"}}"))
            .map_err(Error::io("writing"))?;
        assert_eq!(caches.list()?.len(), 4, "it is still a cache");
        assert!(names(&KeptContext::take(&caches, "context", "one")?)?.is_empty(), "of another start of the machine");
        Ok(())
    }
}
