//! What a container changed: its upper directory against what lies beneath.
//!
//! The rules are those of Docker's comparison of two trees: an entry counts as modified if kind, mode, owner, device or capability
//! differ, or, for all but directories, size or time; a directory also if something in it changed (before Docker 1.4 if its own
//! time did); of a deleted directory only itself is told.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use sys::root::{Kind, Metadata, Root};

use crate::apply::OPAQUE;
use crate::snapshot::{Change, ChangeKind, Directories};
use crate::{Result, tree};

/// The changes an upper directory makes to `lower` (all layers beneath, merged), sorted by path.
pub(crate) fn between(upper: &Root, lower: &Root, directories: Directories) -> Result<Vec<Change>> {
    let mut found = Found { lower, directories, changes: BTreeMap::new(), new: None, opaque: None };
    tree::walk(upper, OsStr::new(""), |dir, name, path, metadata| found.entry(dir, name, Path::new(path), metadata))?;
    Ok(found.changes.into_iter().map(|(path, kind)| Change { path, kind }).collect())
}

struct Found<'a> {
    lower: &'a Root,
    directories: Directories,
    changes: BTreeMap<PathBuf, ChangeKind>,
    /// The directory being walked where the image has none: all in it is new, even if a link of the image leads to
    /// something of that name.
    new: Option<PathBuf>,
    /// The directory being walked that hides what the image has in it, at any depth.
    opaque: Option<PathBuf>,
}

impl Found<'_> {
    fn entry(&mut self, dir: &Root, name: &OsStr, path: &Path, metadata: &Metadata) -> Result<()> {
        let before = self.beneath(path)?;
        if metadata.is_whiteout() {
            if before.is_some() {
                self.note(path, ChangeKind::Deleted);
            }
            return Ok(());
        }
        let before_is_dir = before.as_ref().is_some_and(Metadata::is_dir);
        if metadata.is_dir() && !before_is_dir && !is_within(&self.new, path) {
            self.new = Some(path.to_path_buf());
        }
        match before {
            None => self.note(path, ChangeKind::Added),
            Some(before) if self.differs(dir, name, path, metadata, &before)? => {
                self.note(path, ChangeKind::Modified);
            }
            Some(_) => {}
        }
        if metadata.is_dir() && before_is_dir {
            if !is_within(&self.opaque, path) && dir.xattr(name, OsStr::new(OPAQUE))?.is_some_and(|value| value == b"y")
            {
                self.opaque = Some(path.to_path_buf());
            }
            if is_within(&self.opaque, path) {
                self.hidden_by(&dir.open_dir(name)?, path)?;
            }
        }
        Ok(())
    }

    /// What the image has at `path`; nothing, if the way there leads through something that is no directory.
    fn beneath(&self, path: &Path) -> Result<Option<Metadata>> {
        if is_within(&self.new, path) {
            return Ok(None);
        }
        match self.lower.lookup(path) {
            Err(error) if matches!(error.errno(), Errno::NOTDIR | Errno::LOOP) => Ok(None),
            other => Ok(other?),
        }
    }

    fn differs(&self, dir: &Root, name: &OsStr, path: &Path, now: &Metadata, before: &Metadata) -> Result<bool> {
        if (now.kind(), now.mode(), now.owner()) != (before.kind(), before.mode(), before.owner()) {
            return Ok(true);
        }
        let is_device = matches!(now.kind(), Kind::CharDevice | Kind::BlockDevice);
        if is_device && now.device() != before.device() {
            return Ok(true);
        }
        if !now.is_dir() && now.size() != before.size() {
            return Ok(true);
        }
        if (!now.is_dir() || self.directories == Directories::Themselves) && now.modified() != before.modified() {
            return Ok(true);
        }
        if now.kind() != Kind::File {
            return Ok(false);
        }
        let capability = OsStr::new("security.capability");
        Ok(dir.xattr(name, capability)? != self.lower.xattr(path, capability)?)
    }

    /// An opaque directory has deleted all it does not hold again.
    fn hidden_by(&mut self, now: &Root, path: &Path) -> Result<()> {
        for entry in self.lower.read_dir(path)? {
            if now.lookup(&entry.name)?.is_none() {
                self.note(&path.join(&entry.name), ChangeKind::Deleted);
            }
        }
        Ok(())
    }

    fn note(&mut self, path: &Path, kind: ChangeKind) {
        let absolute = Path::new("/").join(path);
        let with_contents = self.directories == Directories::WithContents;
        for parent in absolute.ancestors().skip(1).filter(|parent| with_contents && parent.parent().is_some()) {
            if self.changes.contains_key(parent) {
                break; // and so are its parents
            }
            self.changes.insert(parent.to_path_buf(), ChangeKind::Modified);
        }
        let known = self.changes.entry(absolute).or_insert(kind);
        if *known == ChangeKind::Modified {
            *known = kind;
        }
    }
}

fn is_within(dir: &Option<PathBuf>, path: &Path) -> bool {
    dir.as_ref().is_some_and(|dir| path.starts_with(dir))
}
