//! Sources: paths and patterns in a context or an image become files and folders.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{Pattern, to_hex};
use sha2::{Digest, Sha256};
use sys::root::{Kind, Metadata, Root};

use super::relative;
use crate::context::inside;
use crate::{Error, Result};

/// Deepest path that is copied, in bytes: Linux's own limit of one path.
const MAX_PATH_BYTES: usize = 4096;
const BUFFER_BYTES: usize = 128 * 1024;

/// Where sources are looked for.
#[derive(Debug, Clone)]
pub(crate) struct Sources {
    pub(crate) root: Arc<Root>,
    /// The context, rather than an image: then words for a missing source are others.
    pub(crate) is_context: bool,
}

/// Something to copy.
#[derive(Debug)]
pub(crate) enum Source {
    /// A file or folder; the path has no links any more.
    Tree {
        root: Arc<Root>,
        path: PathBuf,
        /// Its last name as the instruction has it.
        name: OsString,
        metadata: Metadata,
    },
    /// A document of the Dockerfile.
    Document { name: String, content: String },
}

/// Visits something in a source: path beneath the source (empty for itself), its directory and name there, what it is.
pub(crate) type Visit<'a> = dyn FnMut(&Path, &Root, &OsStr, &Metadata) -> Result<()> + 'a;

/// Finds what a source names: one thing, or all that fit a pattern, sorted.
///
/// # Errors
/// There is none, or the path leads out.
pub(crate) fn find(sources: &Sources, wanted: &str) -> Result<Vec<Source>> {
    let forbidden = || Error::Step(format!("COPY failed: forbidden path outside the build context: {wanted} ()"));
    let path = inside(wanted).ok_or_else(forbidden)?;
    if !Pattern::is_wild(&path) {
        return Ok(vec![one(sources, Path::new(&path), wanted)?]);
    }
    let mut found = vec![PathBuf::new()];
    for part in path.split('/') {
        let pattern =
            Pattern::new(part, false).map_err(|_| Error::Step("COPY failed: syntax error in pattern".to_owned()))?;
        let mut next = Vec::new();
        for folder in &found {
            let Ok(entries) = sources.root.read_dir(folder) else { continue };
            let fitting =
                entries.into_iter().filter(|entry| entry.name.to_str().is_some_and(|name| pattern.matches(name)));
            next.extend(fitting.map(|entry| folder.join(entry.name)));
        }
        found = next;
    }
    if found.is_empty() {
        return Err(Error::Step("COPY failed: no source files were specified".to_owned()));
    }
    found.iter().map(|path| one(sources, path, wanted)).collect()
}

fn one(sources: &Sources, path: &Path, wanted: &str) -> Result<Source> {
    let missing = |error: sys::root::Error| match error.is_not_found() || error.errno() == rustix::io::Errno::NOTDIR {
        false => error.into(),
        true if sources.is_context => Error::Step(format!(
            "COPY failed: file not found in build context or excluded by .dockerignore: stat {}: file does not exist",
            path.display()
        )),
        true => Error::Step(format!("COPY failed: stat {wanted}: file does not exist")),
    };
    let real = relative(&sources.root.canonical(path).map_err(missing)?);
    let metadata = sources.root.symlink_metadata(&real).map_err(missing)?;
    let name = path.file_name().unwrap_or_default().to_os_string();
    Ok(Source::Tree { root: Arc::clone(&sources.root), path: real, name, metadata })
}

impl Source {
    /// Its last name.
    pub(crate) fn name(&self) -> &OsStr {
        match self {
            Self::Tree { name, .. } => name,
            Self::Document { name, .. } => OsStr::new(name),
        }
    }

    /// Whether its contents are copied rather than itself.
    pub(crate) fn is_directory(&self) -> bool {
        matches!(self, Self::Tree { metadata, .. } if metadata.is_dir())
    }

    /// Visits itself, if it is no folder, or all that is in it, folders before what they hold, names sorted.
    pub(crate) fn visit(&self, visit: &mut Visit<'_>) -> Result<()> {
        let Self::Tree { root, path, metadata, .. } = self else { return Ok(()) };
        if !metadata.is_dir() {
            let (dir, name) = root.resolve_parent(path)?;
            return visit(Path::new(""), &dir, name.as_os_str(), metadata);
        }
        let mut levels = vec![(root.open_dir(path)?, PathBuf::new(), root.read_dir(path)?.into_iter())];
        while let Some((dir, path, entries)) = levels.last_mut() {
            let Some(entry) = entries.next() else {
                levels.pop();
                continue;
            };
            let inside = path.join(&entry.name);
            if inside.as_os_str().len() > MAX_PATH_BYTES {
                return Err(Error::Step(format!("COPY failed: a path is longer than {MAX_PATH_BYTES} bytes")));
            }
            let metadata = dir.symlink_metadata(&entry.name)?;
            if metadata.kind() == Kind::Socket {
                continue;
            }
            visit(&inside, dir, &entry.name, &metadata)?;
            if metadata.is_dir() {
                let below = dir.open_dir(&entry.name)?;
                let entries = below.read_dir(".")?.into_iter();
                levels.push((below, inside, entries));
            }
        }
        Ok(())
    }

    /// Digest of names, kinds, modes and contents; times and owners do not count.
    pub(crate) fn digest(&self) -> Result<String> {
        let mut all = Sha256::new();
        if let Self::Document { name, content } = self {
            all.update(name.as_bytes());
            all.update([0]);
            all.update(content.as_bytes());
        }
        let mut buffer = vec![0; BUFFER_BYTES];
        self.visit(&mut |path, dir, name, metadata| {
            all.update(path.as_os_str().as_bytes());
            let mut fields = format!("\0{:?} {:o} ", metadata.kind(), metadata.mode());
            match metadata.kind() {
                Kind::File => fields.push_str(&file_digest(dir, name, &mut buffer)?),
                Kind::Symlink => fields.push_str(&dir.read_link(name)?.to_string_lossy()),
                Kind::CharDevice | Kind::BlockDevice => fields.push_str(&metadata.device().to_string()),
                _ => {}
            }
            fields.push('\0');
            all.update(fields.as_bytes());
            if let Some(capability) = dir.xattr(name, OsStr::new(CAPABILITY))? {
                all.update(&capability);
            }
            Ok(())
        })?;
        Ok(to_hex(&all.finalize()))
    }
}

/// The one extended attribute that is copied.
pub(crate) const CAPABILITY: &str = "security.capability";

fn file_digest(dir: &Root, name: &OsStr, buffer: &mut [u8]) -> Result<String> {
    let mut file = dir.open_file(name)?;
    let mut hash = Sha256::new();
    loop {
        match file.read(buffer).map_err(Error::io("reading a file of the build"))? {
            0 => return Ok(to_hex(&hash.finalize())),
            length => hash.update(&buffer[..length]),
        }
    }
}
