//! Trees of files: their size, and the tar stream that holds them.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::PathBuf;

use sys::root::{DirEntry, Kind, Metadata, Root, Time};

use crate::apply::OPAQUE;
use crate::apply::whiteout::{OPAQUE_NAME, PREFIX};
use crate::tar::{Entry, EntryKind, Writer};
use crate::{Error, Result};

/// Linux's limit of one path; a deeper tree cannot be named, and not be unpacked again.
pub(crate) const MAX_PATH_BYTES: usize = 4096;

/// A directory being walked.
struct Level {
    dir: Root,
    entries: std::vec::IntoIter<DirEntry>,
    path: OsString,
}

/// Visits everything beneath `root` (not itself), parents first, names sorted. `visit` gets the directory, the name in it, the path
/// from the root and what `lstat` says.
pub(crate) fn walk(
    root: &Root,
    prefix: &OsStr,
    mut visit: impl FnMut(&Root, &OsStr, &OsStr, &Metadata) -> Result<()>,
) -> Result<()> {
    let top = Level { dir: root.open_dir(".")?, entries: root.read_dir(".")?.into_iter(), path: prefix.to_os_string() };
    let mut levels = vec![top];
    while let Some(level) = levels.last_mut() {
        let Some(DirEntry { name, .. }) = level.entries.next() else {
            levels.pop();
            continue;
        };
        let mut path = level.path.clone();
        if !path.is_empty() {
            path.push("/");
        }
        path.push(&name);
        if path.len() > MAX_PATH_BYTES {
            return Err(Error::TooDeep(PathBuf::from(path)));
        }
        // A container may run and delete what was just listed.
        let Some(metadata) = level.dir.lookup(&name)? else { continue };
        visit(&level.dir, &name, &path, &metadata)?;
        if metadata.is_dir() {
            let dir = match level.dir.open_dir(&name) {
                Err(error) if error.is_not_found() => continue,
                other => other?,
            };
            let entries = dir.read_dir(".")?.into_iter();
            levels.push(Level { dir, entries, path });
        }
    }
    Ok(())
}

/// Bytes of everything but directories; a file with several names counts once.
pub(crate) fn size_bytes(root: &Root) -> Result<u64> {
    let (mut seen, mut sum) = (HashSet::new(), 0_u64);
    walk(root, OsStr::new(""), |_, _, _, metadata| {
        let is_new = metadata.links() < 2 || seen.insert(metadata.identity());
        if !metadata.is_dir() && is_new {
            // Holes can add up to more than any number holds.
            sum = sum.saturating_add(metadata.size());
        }
        Ok(())
    })?;
    Ok(sum)
}

/// Which tree is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Files as they are.
    Plain,
    /// An overlay's upper directory: whiteouts and opaque directories take their `.wh.` form.
    Layer,
}

/// Writes trees into one archive.
pub(crate) struct TreeWriter<W> {
    writer: Writer<W>,
    form: Form,
    /// First path of each file with several names.
    names: HashMap<(u64, u64), OsString>,
}

impl<W: Write> TreeWriter<W> {
    pub(crate) fn new(out: W, form: Form) -> Self {
        TreeWriter { writer: Writer::new(out), form, names: HashMap::new() }
    }

    /// Everything in a directory, named beneath `prefix`.
    pub(crate) fn contents(&mut self, root: &Root, prefix: &OsStr) -> Result<()> {
        walk(root, prefix, |dir, name, path, metadata| self.entry(dir, name, path, metadata))
    }

    pub(crate) fn finish(self) -> Result<()> {
        self.writer.finish().map(drop)
    }

    /// One entry; of a directory only itself.
    pub(crate) fn entry(&mut self, dir: &Root, name: &OsStr, path: &OsStr, metadata: &Metadata) -> Result<()> {
        if self.form == Form::Layer && metadata.is_whiteout() {
            return self.whiteout(name, path);
        }
        let kind = match metadata.kind() {
            Kind::File => EntryKind::File,
            Kind::Directory => EntryKind::Directory,
            Kind::Symlink => EntryKind::Symlink,
            Kind::CharDevice => EntryKind::CharDevice,
            Kind::BlockDevice => EntryKind::BlockDevice,
            Kind::Fifo => EntryKind::Fifo,
            Kind::Socket => return Ok(()), // tar has none, and it is of no use without its listener
        };
        let mut entry = Entry::new(path, kind);
        entry.mode = metadata.mode();
        entry.owner = metadata.owner();
        // Whole seconds, as Docker writes: a header of 512 bytes instead of 1,536 for each file.
        entry.modified = Time { seconds: metadata.modified().seconds, nanoseconds: 0 };
        if metadata.links() > 1 && !metadata.is_dir() {
            if let Some(first) = self.names.get(&metadata.identity()) {
                entry.kind = EntryKind::HardLink;
                entry.link = first.clone();
                return self.writer.append(&entry, io::empty());
            }
            self.names.insert(metadata.identity(), path.to_os_string());
        }
        match kind {
            EntryKind::File => return self.file(dir, name, entry),
            EntryKind::Symlink => entry.link = dir.read_link(name)?.into_os_string(),
            EntryKind::CharDevice | EntryKind::BlockDevice => entry.device = metadata.device_numbers(),
            _ => {}
        }
        self.xattrs(dir, name, &mut entry)?;
        self.writer.append(&entry, io::empty())?;
        if self.form == Form::Layer
            && metadata.is_dir()
            && dir.xattr(name, OsStr::new(OPAQUE))?.is_some_and(|value| value == b"y")
        {
            let mut path = path.to_os_string();
            path.push("/");
            path.push(OPAQUE_NAME);
            self.writer.append(&Entry::new(path, EntryKind::File), io::empty())?;
        }
        Ok(())
    }

    fn file(&mut self, dir: &Root, name: &OsStr, mut entry: Entry) -> Result<()> {
        let file = match dir.open_file(name) {
            Err(error) if error.is_not_found() => return Ok(()),
            other => other?,
        };
        // The size of the moment it is read counts, not that of the moment it was listed.
        entry.size = file.metadata().map_err(|source| Error::Io { action: "reading a file", source })?.len();
        self.xattrs(dir, name, &mut entry)?;
        self.writer.append(&entry, file)
    }

    fn xattrs(&self, dir: &Root, name: &OsStr, entry: &mut Entry) -> Result<()> {
        if self.form == Form::Plain {
            let key = OsStr::new("security.capability");
            let value = dir.xattr(name, key)?;
            entry.xattrs.extend(value.map(|value| (key.to_os_string(), value)));
            return Ok(());
        }
        for key in dir.xattr_names(name)? {
            let is_kept = key == "security.capability" || key.to_string_lossy().starts_with("user.");
            if is_kept && let Some(value) = dir.xattr(name, &key)? {
                entry.xattrs.push((key, value));
            }
        }
        Ok(())
    }

    fn whiteout(&mut self, name: &OsStr, path: &OsStr) -> Result<()> {
        let mut hidden = OsString::from(PREFIX);
        hidden.push(name);
        let path = PathBuf::from(path).with_file_name(hidden);
        self.writer.append(&Entry::new(path, EntryKind::File), io::empty())
    }
}
