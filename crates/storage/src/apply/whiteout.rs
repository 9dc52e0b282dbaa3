//! `.wh.` names of layers: what they delete, hide, or leave to aufs.

use std::ffi::OsStr;
use std::io::{BufRead, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use sys::root::{Kind, Root};

use super::{Applier, Flavour, OPAQUE, Placed};
use crate::tar::{Entry, EntryKind, Reader};
use crate::{Error, Result};

/// In front of the name of something deleted.
pub(crate) const PREFIX: &str = ".wh.";
/// In front of names that are aufs's own.
pub(crate) const INTERNAL: &str = ".wh..wh.";
/// Its directory hides everything beneath it.
pub(crate) const OPAQUE_NAME: &str = ".wh..wh..opq";
/// Where aufs keeps the targets of hard links.
const PSEUDO_LINKS: &str = ".wh..wh.plnk";

/// The place of an aufs hard link target in the folder of things put aside.
pub(super) fn pseudo_link(path: &Path) -> Option<PathBuf> {
    let mut parts = path.iter();
    let is_one = parts.next()? == PSEUDO_LINKS;
    let name = parts.next().filter(|_| is_one && parts.next().is_none())?;
    Some(Path::new("plnk").join(name))
}

impl Applier<'_> {
    /// Treats an entry with a special name; `None` if it is an ordinary one.
    pub(super) fn whiteout<R: BufRead, S: Write>(
        &mut self,
        path: &Path,
        entry: &Entry,
        reader: &mut Reader<R, S>,
    ) -> Result<Option<Placed>> {
        let Some(name) = path.file_name() else { return Ok(None) };
        let parent = path.parent().unwrap_or(Path::new(""));
        if name == OPAQUE_NAME {
            let dir = self.directory(parent)?;
            if self.has_lower() {
                dir.root.set_xattr(".", OsStr::new(OPAQUE), b"y")?;
            }
            self.last = Some(dir);
            return Ok(Some(Placed::Nowhere));
        }
        if path.iter().any(|part| part.as_bytes().starts_with(INTERNAL.as_bytes())) {
            return self.internal(path, entry, reader).map(Some);
        }
        let Some(hidden) = name.as_bytes().strip_prefix(PREFIX.as_bytes()) else { return Ok(None) };
        if matches!(hidden, b"" | b"." | b"..") {
            return Err(Error::Tar(format!("whiteout of nothing: {}", path.display())));
        }
        let dir = self.directory(parent)?;
        self.hide(&dir.root, OsStr::from_bytes(hidden))?;
        self.last = Some(dir);
        Ok(Some(Placed::Nowhere))
    }

    /// A whiteout hides what lower layers have; what the same layer has stays, as the OCI specification demands.
    fn hide(&mut self, dir: &Root, name: &OsStr) -> Result<()> {
        if !self.has_lower() {
            return Ok(());
        }
        match dir.lookup(name)? {
            None => dir.mknod(name, Kind::CharDevice, 0, 0)?,
            Some(existing) if existing.is_dir() => dir.set_xattr(name, OsStr::new(OPAQUE), b"y")?,
            Some(_) => {}
        }
        Ok(())
    }

    fn internal<R: BufRead, S: Write>(
        &mut self,
        path: &Path,
        entry: &Entry,
        reader: &mut Reader<R, S>,
    ) -> Result<Placed> {
        let aside = match (&self.flavour, pseudo_link(path), entry.kind) {
            (Flavour::Layer(layer), Some(aside), EntryKind::File) => {
                layer.aside.try_clone().map(|root| (root, aside))?
            }
            _ => return Ok(Placed::Nowhere),
        };
        let (root, aside) = aside;
        let dir = root.mkdir_all("plnk", 0o700, None)?;
        let name = aside.file_name().unwrap_or_default().to_os_string();
        self.file(&dir, &name, entry, reader)?;
        Ok(Placed::Aside(aside))
    }
}
