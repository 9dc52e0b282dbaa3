//! Writing a layer: the tar stream of what is copied.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use storage::tar::{Entry, EntryKind, Writer};
use sys::root::{Kind, Metadata, Root, Time};

use super::source::CAPABILITY;
use super::{Destination, Made, Place, Source, archive};
use crate::{ContextFiles, Error, Result};

/// What begins the names that mark deletions in layers.
const WHITEOUT: &[u8] = b".wh.";

/// A layer being written.
pub(crate) struct Layered<'a, W> {
    pub(crate) writer: Writer<W>,
    pub(crate) place: Place<'a>,
    /// First path of each file with several names.
    names: HashMap<(u64, u64), PathBuf>,
    /// Time of folders that are made on the way.
    now: Time,
}

/// Writes a layer with all sources at their destination.
///
/// # Errors
/// A source is no more what it was, or cannot be at its destination.
pub(crate) fn write(
    out: &mut dyn Write,
    lower: &Root,
    sources: &[Source],
    destination: &Destination,
    unchanged: &dyn Fn() -> Result<()>,
) -> Result<()> {
    let mut layer = Layered::new(out, lower);
    let several = sources.len() > 1;
    for source in sources {
        unchanged()?;
        layer.source(source, destination, several)?;
    }
    layer.finish()
}

impl<'a, W: Write> Layered<'a, W> {
    pub(crate) fn new(out: W, lower: &'a Root) -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let now = Time { seconds: i64::try_from(now.as_secs()).unwrap_or(0), nanoseconds: 0 };
        Self { writer: Writer::new(out), place: Place::new(lower), names: HashMap::new(), now }
    }

    pub(crate) fn finish(self) -> Result<()> {
        self.writer.finish()?;
        Ok(())
    }

    fn source(&mut self, source: &Source, destination: &Destination, several: bool) -> Result<()> {
        let target = self.place.resolve(&Path::new(&destination.path).join(source.kept()))?;
        if source.is_directory() {
            return self.tree(source, &target, destination);
        }
        if destination.unpack
            && let Source::Tree { files: ContextFiles { root, .. }, path, metadata, whole: false, .. } = source
            && metadata.kind() == Kind::File
            && archive::is_archive(root, path)?
        {
            self.folder(&target, Made::default())?;
            return archive::unpack(self, root, path, &target);
        }
        let inside = several
            || !source.kept().as_os_str().is_empty()
            || destination.path.ends_with('/')
            || self.place.is_folder(&target)?;
        let path = if inside { target.join(source.name()) } else { target };
        self.folders(&path, destination.made())?;
        if self.place.lookup(&path)?.is_some_and(|metadata| metadata.is_dir()) {
            return Err(Error::Step(format!("cannot copy to directory: /{}", path.display())));
        }
        match source {
            Source::Document { content, .. } => self.document(&path, content, destination),
            Source::Tree { .. } => {
                let left_out = &destination.left_out;
                source
                    .visit(left_out, &mut |_, dir, name, metadata| self.entry(dir, name, &path, metadata, destination))
            }
        }
    }

    fn tree(&mut self, source: &Source, target: &Path, destination: &Destination) -> Result<()> {
        if self.place.lookup(target)?.is_some_and(|metadata| !metadata.is_dir()) {
            return Err(Error::Step(format!("cannot copy to non-directory: /{}", target.display())));
        }
        self.folder(target, destination.made())?;
        let left_out = &destination.left_out;
        let sparse = left_out.has_exceptions();
        source.visit(left_out, &mut |path, dir, name, metadata| {
            let path = target.join(path);
            if sparse {
                // The folder that it is in may have been left out.
                self.folders(&path, destination.made())?;
            }
            self.entry(dir, name, &path, metadata, destination)
        })
    }

    /// Makes a folder and those it is in, if they are missing.
    pub(crate) fn folder(&mut self, path: &Path, made: Made) -> Result<()> {
        self.folders(path, made)?;
        if path.as_os_str().is_empty() || self.place.is_folder(path)? {
            return Ok(());
        }
        self.place.wrote(path);
        self.made_folder(path, made)
    }

    /// Makes the folders that something is in, if they are missing.
    pub(crate) fn folders(&mut self, path: &Path, made: Made) -> Result<()> {
        for folder in self.place.missing_folders(path)? {
            self.made_folder(&folder, made)?;
        }
        Ok(())
    }

    fn made_folder(&mut self, path: &Path, made: Made) -> Result<()> {
        let Made { owner, mode } = made;
        let entry = Entry { owner, mode, modified: self.now, ..Entry::new(path, EntryKind::Directory) };
        self.append(&entry, io::empty())
    }

    /// One file, link, folder or device of a source.
    fn entry(&mut self, dir: &Root, name: &OsStr, path: &Path, metadata: &Metadata, to: &Destination) -> Result<()> {
        let kind = match metadata.kind() {
            Kind::File => EntryKind::File,
            Kind::Directory => EntryKind::Directory,
            Kind::Symlink => EntryKind::Symlink,
            Kind::CharDevice => EntryKind::CharDevice,
            Kind::BlockDevice => EntryKind::BlockDevice,
            Kind::Fifo => EntryKind::Fifo,
            Kind::Socket => return Ok(()),
        };
        let mut entry = Entry::new(path, kind);
        entry.mode = to.mode.of(metadata.mode(), kind == EntryKind::Directory);
        entry.owner = to.owner;
        entry.modified = Time { nanoseconds: 0, ..metadata.modified() };
        if metadata.links() > 1 && kind != EntryKind::Directory {
            if let Some(first) = self.names.get(&metadata.identity()) {
                entry.kind = EntryKind::HardLink;
                entry.link = first.clone().into_os_string();
                return self.append(&entry, io::empty());
            }
            self.names.insert(metadata.identity(), path.to_path_buf());
        }
        let capability = dir.xattr(name, OsStr::new(CAPABILITY))?;
        entry.xattrs.extend(capability.map(|value| (OsString::from(CAPABILITY), value)));
        match kind {
            EntryKind::File => {
                let file = dir.open_file(name)?;
                // The size of the moment it is read counts, not that of the moment it was listed.
                entry.size = file.metadata().map_err(Error::io("reading a file of the build"))?.len();
                return self.append(&entry, file);
            }
            EntryKind::Symlink => entry.link = dir.read_link(name)?.into_os_string(),
            EntryKind::CharDevice | EntryKind::BlockDevice => entry.device = metadata.device_numbers(),
            _ => {}
        }
        self.append(&entry, io::empty())
    }

    fn document(&mut self, path: &Path, content: &str, to: &Destination) -> Result<()> {
        let mut entry = Entry::new(path, EntryKind::File);
        (entry.mode, entry.owner, entry.modified) = (to.mode.of(0o644, false), to.owner, self.now);
        entry.size = content.len() as u64;
        self.append(&entry, content.as_bytes())
    }

    /// Writes an entry.
    pub(crate) fn append(&mut self, entry: &Entry, contents: impl Read) -> Result<()> {
        let marks_deletion = |name: &OsStr| name.as_bytes().starts_with(WHITEOUT);
        if Path::new(&entry.path).file_name().is_some_and(marks_deletion) {
            let shown = Path::new(&entry.path).display();
            return Err(Error::Step(format!(
                "/{shown} cannot be in a layer: names that begin with .wh. mark deletions"
            )));
        }
        self.place.wrote(Path::new(&entry.path));
        self.writer.append(entry, contents)?;
        Ok(())
    }
}
