//! Files of a build in a folder of their own.

use std::ffi::OsStr;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use dockerfile::Ignore;
use rustix::io::Errno;
use sys::root::{Kind, Root};
use tempfile::TempDir;

use super::too_long;
use crate::git::Checkout;
use crate::{ContextFiles, ContextSource, Error, Repository, Result, Secrets};

/// Files in a folder that is removed with this.
#[derive(Debug)]
pub(crate) struct Folder {
    root: Arc<Root>,
    folder: TempDir,
}

impl Folder {
    fn new(temporary: &Path) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("build-")
            .tempdir_in(temporary)
            .map_err(Error::io("making a folder for the build context"))?;
        Ok(Self { root: Arc::new(Root::open(folder.path())?), folder })
    }

    /// An archive's files.
    pub(super) fn unpack(archive: impl Read, temporary: &Path) -> Result<Self> {
        let folder = Self::new(temporary)?;
        storage::archive::unarchive(&folder.root, Path::new("/"), archive, &storage::Unarchive::default())?;
        Ok(folder)
    }

    /// One file.
    pub(crate) fn of_file(name: &OsStr, mut body: impl Read, temporary: &Path) -> Result<Self> {
        let folder = Self::new(temporary)?;
        let mut file = folder.root.create_new(name, 0o600)?;
        std::io::copy(&mut body, &mut file).map_err(Error::io("fetching a file"))?;
        Ok(folder)
    }

    /// All folders of a git repository, without its history unless that is wanted. The client's SSH agent logs in where that
    /// is needed, if it lends one.
    pub(crate) fn checkout(
        repository: &Repository,
        temporary: &Path,
        secrets: &dyn Secrets,
        go_on: &dyn Fn() -> Result<()>,
    ) -> Result<Self> {
        let checkout = Self::new(temporary)?;
        let agent = match repository.is_ssh().then(|| secrets.agent("")).transpose() {
            Ok(agent) => agent.flatten(),
            // Without a session: what this host has set up may do.
            Err(Error::Invalid(_)) => None,
            Err(error) => return Err(error),
        };
        let agent = agent.as_ref().map(|agent| agent.socket());
        Checkout { repository, folder: checkout.folder.path(), agent, go_on }.fetch()?;
        if !repository.keep_git_dir {
            checkout.root.remove(".git")?;
        }
        Ok(checkout)
    }

    /// Nothing but one of its folders; all for an empty path. The address is for the error.
    pub(super) fn narrowed(self, path: &str, url: &str) -> Result<Self> {
        if path.is_empty() {
            return Ok(self);
        }
        let missing = |error| Error::Step(format!("the folder {path:?} of {url}: {error}"));
        Ok(Self { root: Arc::new(self.root.open_dir(path).map_err(missing)?), folder: self.folder })
    }

    /// The files.
    pub(crate) fn root(&self) -> &Arc<Root> {
        &self.root
    }
}

impl ContextSource for Folder {
    fn read(&self, path: &str, limit_bytes: usize) -> Result<Option<Vec<u8>>> {
        match self.root.read(path, limit_bytes) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) if error.errno() == Errno::FBIG => Err(too_long(path, limit_bytes)),
            Err(error) if matches!(error.errno(), Errno::INVAL | Errno::ISDIR) => {
                Err(Error::Invalid(format!("failed to read {path}: it is not a regular file")))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What is ignored is removed.
    fn files(&self, ignore: &Ignore) -> Result<ContextFiles> {
        drop_ignored(&self.root, ignore)?;
        Ok(Arc::clone(&self.root).into())
    }
}

/// Removes what is ignored.
fn drop_ignored(root: &Root, ignore: &Ignore) -> Result<()> {
    if ignore.is_empty() {
        return Ok(());
    }
    let mut folders = vec![String::new()];
    let mut excluded_folders = Vec::new();
    let mut times = Vec::new();
    while let Some(folder) = folders.pop() {
        // What was never there leaves no trace in the folder that it would have been in.
        let modified = root.symlink_metadata(if folder.is_empty() { "." } else { folder.as_str() })?.modified();
        times.push((folder.clone(), modified));
        for entry in root.read_dir(Path::new(&folder))? {
            // A name that is no text fits no pattern.
            let Some(name) = entry.name.to_str() else { continue };
            let path = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
            let excluded = ignore.excludes(&path);
            if entry.kind == Kind::Directory && (!excluded || ignore.has_exceptions()) {
                excluded_folders.extend(excluded.then(|| path.clone()));
                folders.push(path);
            } else if excluded {
                root.remove(Path::new(&path))?;
            }
        }
    }
    // Inner folders come after those that they are in.
    for folder in excluded_folders.iter().rev() {
        match root.rmdir(Path::new(folder)) {
            Err(error) if error.errno() == Errno::NOTEMPTY => {}
            other => other?,
        }
    }
    for (folder, modified) in times.iter().filter(|(folder, _)| !folder.is_empty()) {
        match root.set_modified(folder, *modified) {
            Err(error) if error.is_not_found() => {}
            other => other?,
        }
    }
    Ok(())
}
