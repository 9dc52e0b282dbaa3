//! Sources: paths and patterns in a context or an image become files and folders.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use dockerfile::Ignore;
use model::{ImageId, Pattern, to_hex};
use sha2::{Digest, Sha256};
use sys::root::{Kind, Metadata, Root};

use super::relative;
use crate::context::inside;
use crate::{ContentDigest, ContextFiles, Digests, Error, Result, SourceFault};

/// Deepest path that is copied, in bytes: Linux's own limit of one path.
const MAX_PATH_BYTES: usize = 4096;
const BUFFER_BYTES: usize = 128 * 1024;

/// Where sources are looked for.
#[derive(Debug, Clone)]
pub(crate) struct Sources {
    pub(crate) files: ContextFiles,
    /// The image, rather than the context: then words for a missing source are others.
    pub(crate) image: Option<ImageId>,
}

impl<F: Into<ContextFiles>> From<F> for Sources {
    /// What is no image.
    fn from(files: F) -> Self {
        Self { files: files.into(), image: None }
    }
}

/// Something to copy.
#[derive(Debug)]
pub(crate) enum Source {
    /// A file or folder; the path has no links any more.
    Tree {
        files: ContextFiles,
        path: PathBuf,
        /// Its last name as the instruction has it.
        name: OsString,
        /// The folders that it keeps (`--parents`), or none.
        kept: PathBuf,
        /// An archive stays one.
        whole: bool,
        metadata: Metadata,
    },
    /// A document of the Dockerfile.
    Document { name: String, content: String },
}

/// Why a source is not found.
#[derive(Debug)]
pub(crate) enum Missing {
    /// What is named cannot be copied.
    Fault(SourceFault),
    /// Looking for it failed.
    Other(Error),
}

impl From<SourceFault> for Missing {
    fn from(fault: SourceFault) -> Self {
        Self::Fault(fault)
    }
}

impl Missing {
    /// The error of an instruction with this word.
    pub(crate) fn of(self, instruction: &'static str, word: &str) -> Error {
        match self {
            Self::Fault(fault) => Error::Source { instruction, word: word.to_owned(), fault },
            Self::Other(error) => error,
        }
    }
}

/// Visits something in a source: path beneath the source (empty for itself), its directory and name there, what it is.
pub(crate) type Visit<'a> = dyn FnMut(&Path, &Root, &OsStr, &Metadata) -> Result<()> + 'a;

/// Finds what a source names: one thing, or all that fit a pattern, sorted. With `parents` each keeps the folders that it is
/// in, those before a `/./` excepted.
///
/// # Errors
/// [`Missing::Fault`]: there is none, or the path leads out.
pub(crate) fn find(sources: &Sources, wanted: &str, parents: bool) -> Result<Vec<Source>, Missing> {
    let forbidden = || SourceFault::Outside(wanted.to_owned());
    let path = inside(wanted).ok_or_else(forbidden)?;
    let dropped = match wanted.split_once("/./").filter(|_| parents) {
        Some((before, _)) => inside(before).ok_or_else(forbidden)?.split('/').filter(|part| !part.is_empty()).count(),
        None => 0,
    };
    let kept = |path: &Path| match (parents, path.parent()) {
        (true, Some(folders)) => folders.iter().skip(dropped).collect(),
        _ => PathBuf::new(),
    };
    // A folder's contents lie in it when it keeps its own name.
    let found = |path: &Path| {
        let mut source = one(sources, path, wanted)?;
        if let Source::Tree { kept: folders, name, metadata, .. } = &mut source {
            *folders = kept(path);
            if parents && metadata.is_dir() {
                folders.push(name);
            }
        }
        Ok(source)
    };
    if !Pattern::is_wild(&path) {
        return Ok(vec![found(Path::new(&path))?]);
    }
    let paths = fitting(sources, &path)?;
    if paths.is_empty() {
        return Err(SourceFault::NothingFits(wanted.to_owned()).into());
    }
    paths.iter().map(|path| found(path)).collect()
}

/// What a source of 2014 names, in which no letter meant more than itself.
///
/// # Errors
/// There is none. Nothing outside of the context was ever looked at.
pub(crate) fn named(sources: &Sources, wanted: &str) -> Result<Source> {
    let missing = || Error::Step(format!("{wanted}: no such file or directory"));
    let path = inside(wanted).ok_or_else(missing)?;
    sources.files.root.canonical(&path).map_err(|_| missing())?;
    one(sources, Path::new(&path), wanted).map_err(|_| missing())
}

/// The paths that fit a pattern. `**` stands for any number of folders.
fn fitting(sources: &Sources, pattern: &str) -> Result<Vec<PathBuf>, SourceFault> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.split('/') {
        let pattern = Pattern::new(part, false).map_err(|_| SourceFault::Malformed(pattern.to_owned()))?;
        let mut next = Vec::new();
        for folder in &found {
            if part == "**" {
                next.extend(folders(sources, folder));
                continue;
            }
            let Ok(entries) = sources.files.root.read_dir(folder) else { continue };
            let fits =
                entries.into_iter().filter(|entry| entry.name.to_str().is_some_and(|name| pattern.matches(name)));
            next.extend(fits.map(|entry| folder.join(entry.name)));
        }
        found = next;
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// A folder and all folders in it.
fn folders(sources: &Sources, top: &Path) -> Vec<PathBuf> {
    let mut all = vec![top.to_path_buf()];
    let mut at = 0;
    while let Some(folder) = all.get(at).cloned() {
        at += 1;
        let entries = sources.files.root.read_dir(&folder).unwrap_or_default().into_iter();
        let inner = entries.filter(|entry| entry.kind == Kind::Directory).map(|entry| folder.join(entry.name));
        all.extend(inner.filter(|inner| inner.as_os_str().len() <= MAX_PATH_BYTES));
    }
    all
}

/// What is at a path.
pub(crate) fn one(sources: &Sources, path: &Path, wanted: &str) -> Result<Source, Missing> {
    let missing = |error: sys::root::Error| match error.is_not_found() || error.errno() == rustix::io::Errno::NOTDIR {
        false => Missing::Other(error.into()),
        true if sources.image.is_none() => SourceFault::NotInContext(path.display().to_string()).into(),
        true => SourceFault::NotInImage(wanted.to_owned()).into(),
    };
    let real = relative(&sources.files.root.canonical(path).map_err(missing)?);
    let metadata = sources.files.root.symlink_metadata(&real).map_err(missing)?;
    let name = path.file_name().unwrap_or_default().to_os_string();
    Ok(Source::Tree { files: sources.files.clone(), path: real, name, kept: PathBuf::new(), whole: false, metadata })
}

impl Source {
    /// Its last name.
    pub(crate) fn name(&self) -> &OsStr {
        match self {
            Self::Tree { name, .. } => name,
            Self::Document { name, .. } => OsStr::new(name),
        }
    }

    /// An archive stays one.
    pub(crate) fn keep_whole(&mut self) {
        if let Self::Tree { whole, .. } = self {
            *whole = true;
        }
    }

    /// The folders that it keeps between the destination and itself.
    pub(crate) fn kept(&self) -> &Path {
        match self {
            Self::Tree { kept, .. } => kept,
            Self::Document { .. } => Path::new(""),
        }
    }

    /// Whether its contents are copied rather than itself.
    pub(crate) fn is_directory(&self) -> bool {
        matches!(self, Self::Tree { metadata, .. } if metadata.is_dir())
    }

    /// Visits itself, if it is no folder, or all that is in it, folders before what they hold, names sorted; without what
    /// is left out. A folder that is left out is not visited, but what in it is not left out.
    pub(crate) fn visit(&self, left_out: &Ignore, visit: &mut Visit<'_>) -> Result<()> {
        let Self::Tree { files: ContextFiles { root, .. }, path, metadata, name, .. } = self else { return Ok(()) };
        let is_left_out = |path: &Path| path.to_str().is_some_and(|path| left_out.excludes(path));
        if !metadata.is_dir() {
            if is_left_out(Path::new(name)) {
                return Ok(());
            }
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
                return Err(Error::Step(format!("a path is longer than {MAX_PATH_BYTES} bytes")));
            }
            let metadata = dir.symlink_metadata(&entry.name)?;
            if metadata.kind() == Kind::Socket {
                continue;
            }
            let hidden = is_left_out(&inside);
            if !hidden {
                visit(&inside, dir, &entry.name, &metadata)?;
            }
            if metadata.is_dir() && (!hidden || left_out.has_exceptions()) {
                let below = dir.open_dir(&entry.name)?;
                let entries = below.read_dir(".")?.into_iter();
                levels.push((below, inside, entries));
            }
        }
        Ok(())
    }

    /// Digest of names, kinds, modes and contents; times and owners do not count.
    pub(crate) fn digest(&self, left_out: &Ignore) -> Result<String> {
        let key = self.key(left_out);
        if let Some(digest) = self.digests().and_then(|digests| digests.sum(&key)) {
            return Ok(to_hex(&digest));
        }
        let digest = self.compute_digest(left_out)?;
        self.digests().inspect(|digests| digests.summed(&key, digest));
        Ok(to_hex(&digest))
    }

    /// What a digest depends on beside the files of the context.
    fn key(&self, left_out: &Ignore) -> Vec<u8> {
        let Self::Tree { path, name, kept, .. } = self else { return Vec::new() };
        let texts = [path.as_os_str(), name, kept.as_os_str()].map(OsStrExt::as_bytes).into_iter();
        let texts = texts.chain(left_out.lines().iter().map(String::as_bytes));
        texts.flat_map(|text| [text, b"\0"].concat()).collect()
    }

    /// What is known of the contents of files.
    fn digests(&self) -> Option<&Digests> {
        if let Self::Tree { files, .. } = self { files.digests.as_deref() } else { None }
    }

    fn compute_digest(&self, left_out: &Ignore) -> Result<ContentDigest> {
        let mut all = Sha256::new();
        if let Self::Document { name, content } = self {
            all.update(name.as_bytes());
            all.update([0]);
            all.update(content.as_bytes());
        }
        let mut buffer = vec![0; BUFFER_BYTES];
        all.update(self.kept().as_os_str().as_bytes());
        self.visit(left_out, &mut |path, dir, name, metadata| {
            all.update(path.as_os_str().as_bytes());
            let mut fields = format!("\0{:?} {:o} ", metadata.kind(), metadata.mode());
            let capability = match metadata.kind() {
                Kind::File => {
                    let (digest, capability) = self.file_digest(dir, name, metadata, &mut buffer)?;
                    fields.push_str(&to_hex(&digest));
                    capability
                }
                _ => capability(dir, name)?,
            };
            match metadata.kind() {
                Kind::Symlink => fields.push_str(&dir.read_link(name)?.to_string_lossy()),
                Kind::CharDevice | Kind::BlockDevice => fields.push_str(&metadata.device().to_string()),
                _ => {}
            }
            fields.push('\0');
            all.update(fields.as_bytes());
            capability.inspect(|capability| all.update(capability));
            Ok(())
        })?;
        Ok(all.finalize().into())
    }

    /// The digest of a file's contents, which need not be read if it is known, and its capability.
    fn file_digest(
        &self,
        dir: &Root,
        name: &OsStr,
        metadata: &Metadata,
        buffer: &mut [u8],
    ) -> Result<(ContentDigest, Option<Vec<u8>>)> {
        if let Some(digest) = self.digests().and_then(|digests| digests.of(metadata)) {
            return Ok((digest, None));
        }
        let (digest, capability) = (read_digest(dir, name, buffer)?, capability(dir, name)?);
        if let Some(digests) = self.digests().filter(|_| capability.is_none()) {
            digests.read(metadata, digest);
        }
        Ok((digest, capability))
    }
}

/// The one extended attribute that is copied.
pub(crate) const CAPABILITY: &str = "security.capability";

fn capability(dir: &Root, name: &OsStr) -> Result<Option<Vec<u8>>> {
    Ok(dir.xattr(name, OsStr::new(CAPABILITY))?)
}

fn read_digest(dir: &Root, name: &OsStr, buffer: &mut [u8]) -> Result<ContentDigest> {
    let mut file = dir.open_file(name)?;
    let mut hash = Sha256::new();
    loop {
        match file.read(buffer).map_err(Error::io("reading a file of the build"))? {
            0 => return Ok(hash.finalize().into()),
            length => hash.update(&buffer[..length]),
        }
    }
}
