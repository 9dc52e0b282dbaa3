//! What a client sends with a build: an archive of files, or a Dockerfile alone.

use std::ffi::OsStr;
use std::io::{Cursor, Read};
use std::path::Path;
use std::sync::Arc;

use dockerfile::{Ignore, MAX_BYTES};
use rustix::io::Errno;
use sys::root::{Kind, Root};
use tempfile::TempDir;

use crate::git::Checkout;
use crate::{ContextSource, Error, Repository, Result, Secrets};

/// Bytes at the beginning of a body that tell what it is.
const HEAD_BYTES: usize = 1024;

/// A build context in a folder of its own that is removed with it.
#[derive(Debug)]
pub struct Context {
    root: Arc<Root>,
    folder: TempDir,
}

impl Context {
    /// Unpacks an archive (plain, gzip, bzip2, xz, zstd) in a new folder in `temporary`.
    ///
    /// # Errors
    /// The body is empty or no archive.
    pub fn unpack(body: impl Read, temporary: &Path) -> Result<Self> {
        let context = Self::empty(temporary)?;
        let (head, body) = peek(body)?;
        if head.is_empty() {
            return Err(Error::Io {
                action: "reading the build context",
                source: std::io::ErrorKind::UnexpectedEof.into(),
            });
        }
        storage::archive::unarchive(&context.root, Path::new("/"), body, &storage::Unarchive::default())?;
        Ok(context)
    }

    /// A context with nothing but a Dockerfile of this name.
    ///
    /// # Errors
    /// The folder cannot be made, or the body is too long.
    fn dockerfile_alone(body: impl Read, name: &str, temporary: &Path) -> Result<Self> {
        let context = Self::empty(temporary)?;
        let mut bytes = Vec::new();
        body.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(Error::io("reading the Dockerfile"))?;
        if bytes.len() > MAX_BYTES {
            return Err(too_long(name, MAX_BYTES));
        }
        context.root.write(name, &bytes, 0o600)?;
        Ok(context)
    }

    /// The files of a git repository. `go_on` is asked all the while whether somebody still waits.
    ///
    /// # Errors
    /// The repository cannot be had, or does not have what is wanted of it.
    pub fn of_repository(
        repository: &Repository,
        temporary: &Path,
        secrets: &dyn Secrets,
        go_on: &dyn Fn() -> Result<()>,
    ) -> Result<Self> {
        let mut context = Self::checkout(repository, temporary, secrets, go_on)?;
        if !repository.folder.is_empty() {
            let missing =
                |error| Error::Step(format!("the folder {:?} of {}: {error}", repository.folder, repository.url));
            context.root = Arc::new(context.root.open_dir(&repository.folder).map_err(missing)?);
        }
        Ok(context)
    }

    /// All folders of a git repository, without its history unless that is wanted. The client's SSH agent logs in where that
    /// is needed, if it lends one.
    pub(crate) fn checkout(
        repository: &Repository,
        temporary: &Path,
        secrets: &dyn Secrets,
        go_on: &dyn Fn() -> Result<()>,
    ) -> Result<Self> {
        let context = Self::empty(temporary)?;
        let agent = match repository.is_ssh().then(|| secrets.agent("")).transpose() {
            Ok(agent) => agent.flatten(),
            // Without a session: what this host has set up may do.
            Err(Error::Invalid(_)) => None,
            Err(error) => return Err(error),
        };
        let agent = agent.as_ref().map(|agent| agent.socket());
        Checkout { repository, folder: context.folder.path(), agent, go_on }.fetch()?;
        if !repository.keep_git_dir {
            context.root.remove(".git")?;
        }
        Ok(context)
    }

    /// What came from an address: an archive, or a Dockerfile alone.
    ///
    /// # Errors
    /// It is neither.
    pub fn of_body(body: impl Read, name: &str, temporary: &Path) -> Result<Self> {
        match Self::is_archive(body)? {
            (true, body) => Self::unpack(body, temporary),
            (false, body) => Self::dockerfile_alone(body, name, temporary),
        }
    }

    /// A file of its own in a folder of its own.
    pub(crate) fn of_file(name: &OsStr, mut body: impl Read, temporary: &Path) -> Result<Self> {
        let context = Self::empty(temporary)?;
        let mut file = context.root.create_new(name, 0o600)?;
        std::io::copy(&mut body, &mut file).map_err(Error::io("fetching a file"))?;
        Ok(context)
    }

    /// The files.
    pub(crate) fn root(&self) -> &Arc<Root> {
        &self.root
    }

    fn empty(temporary: &Path) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("build-")
            .tempdir_in(temporary)
            .map_err(Error::io("making a folder for the build context"))?;
        Ok(Self { root: Arc::new(Root::open(folder.path())?), folder })
    }

    /// Whether a body that came from an address is an archive rather than a Dockerfile; the body is whole in the second
    /// value.
    ///
    /// # Errors
    /// The body cannot be read.
    fn is_archive<R: Read>(body: R) -> Result<(bool, impl Read + use<R>)> {
        let (head, body) = peek(body)?;
        let plain = head.get(257..262) == Some(b"ustar");
        let packed = head.starts_with(&[0x1f, 0x8b])
            || head.starts_with(b"BZh")
            || head.starts_with(&[0xfd, b'7', b'z', b'X', b'Z', 0])
            || head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]);
        Ok((plain || packed, body))
    }
}

impl ContextSource for Context {
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
    fn files(&self, ignore: &Ignore) -> Result<Arc<Root>> {
        drop_ignored(&self.root, ignore)?;
        Ok(Arc::clone(&self.root))
    }
}

/// The beginning of a body, and the whole of it.
fn peek<R: Read>(mut body: R) -> Result<(Vec<u8>, impl Read + use<R>)> {
    let mut head = Vec::new();
    (&mut body).take(HEAD_BYTES as u64).read_to_end(&mut head).map_err(Error::io("reading the build context"))?;
    Ok((head.clone(), Cursor::new(head).chain(body)))
}

fn too_long(name: &str, limit_bytes: usize) -> Error {
    Error::Invalid(format!("failed to parse {name}: it is longer than {limit_bytes} bytes"))
}

/// A path of the context, relative and clean; `None` if it leads out.
pub(crate) fn inside(path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
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
