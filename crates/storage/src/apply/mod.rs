//! Unpacking archives: every path resolves beneath a root, whatever the archive says.
//!
//! Two flavours share one applier: a *layer*, whose `.wh.` names become overlayfs whiteouts, and a plain archive copied into
//! a container.

mod create;
pub(crate) mod whiteout;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{BufRead, Write};
use std::ops::Bound;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use sys::root::{Kind, Metadata, Owner, Root, Time};

use crate::lower::Lower;
use crate::tar::{Entry, EntryKind, Reader};
use crate::{Error, Result};

/// Marks a directory that hides what lies beneath it in lower layers.
pub(crate) const OPAQUE: &str = "trusted.overlay.opaque";

/// Most folders an archive may have: what is to be set at the end is kept in memory. Honest ones have a tenth.
const MAX_FOLDERS: usize = if cfg!(test) { 5_000 } else { 2_000_000 };
/// Most entries of a layer that a later one of the same archive may replace: each is remembered with the layer.
const MAX_SHADOWS: usize = 10_000;

/// A layer being unpacked.
pub(crate) struct LayerFlavour<'a> {
    /// What lies beneath, merged; `None` for a first layer.
    pub(crate) lower: Option<&'a Lower<'a>>,
    /// Takes what a later entry of the same archive replaced, so that the archive can be told again.
    pub(crate) aside: &'a Root,
    /// What was put aside so far.
    pub(crate) shadows: Vec<Shadow>,
    /// Number of file records written so far.
    pub(crate) records: u64,
}

/// Something an archive held twice: the earlier one, moved out of the way.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Shadow {
    /// File records before this number mean the earlier one.
    pub(crate) before: u64,
    /// Where it was, as bytes: paths need not be text.
    pub(crate) path: Vec<u8>,
    /// Its name in the folder of things put aside.
    pub(crate) name: String,
}

/// A plain archive being unpacked.
#[derive(Default)]
pub(crate) struct PlainFlavour {
    pub(crate) no_overwrite_dir_non_dir: bool,
    pub(crate) owner: Option<Owner>,
}

pub(crate) enum Flavour<'a> {
    Layer(LayerFlavour<'a>),
    Plain(PlainFlavour),
}

/// Where the contents of a file entry went.
pub(crate) enum Placed {
    /// Beneath the root.
    File(PathBuf),
    /// Into the folder of things put aside.
    Aside(PathBuf),
    /// Nowhere: the entry has no contents, or they do not count.
    Nowhere,
}

pub(crate) struct Applier<'a> {
    root: &'a Root,
    /// Directory all entries go to, resolved, relative to the root.
    prefix: PathBuf,
    pub(crate) flavour: Flavour<'a>,
    /// The directory of the last entry; most often the next entry's too.
    last: Option<Opened>,
    /// Directories' times, set at the end: making entries in them changes them.
    times: BTreeMap<PathBuf, Time>,
    /// The archive said what the root is like.
    pub(crate) knows_root: bool,
}

/// A directory entries are put into.
struct Opened {
    /// As entries name it.
    path: PathBuf,
    /// Where it really is beneath the root, links resolved: that stays true whatever becomes of the links.
    real: PathBuf,
    root: Root,
}

impl<'a> Applier<'a> {
    pub(crate) fn new(root: &'a Root, prefix: PathBuf, flavour: Flavour<'a>) -> Self {
        Applier { root, prefix, flavour, last: None, times: BTreeMap::new(), knows_root: false }
    }

    /// Unpacks one entry; the contents of a file are taken from `reader`.
    pub(crate) fn apply<R: BufRead, S: Write>(&mut self, entry: &Entry, reader: &mut Reader<R, S>) -> Result<Placed> {
        let path = clean(&entry.path)?;
        let is_layer = matches!(self.flavour, Flavour::Layer(_));
        if is_layer && let Some(placed) = self.whiteout(&path, entry, reader)? {
            return Ok(placed);
        }
        let (Some(parent_path), Some(name)) = (path.parent(), path.file_name()) else {
            if is_layer && entry.kind == EntryKind::Directory {
                self.root_attributes(entry)?;
            }
            return Ok(Placed::Nowhere);
        };
        let parent = self.directory(&self.prefix.join(parent_path))?;
        let placed = self.place(&parent.root, name, &parent.real.join(name), &path, entry, reader);
        self.last = Some(parent);
        placed
    }

    /// Sets what can only be set when everything is in place. Must be called at the end.
    pub(crate) fn finish(&mut self) -> Result<()> {
        for (path, modified) in std::mem::take(&mut self.times) {
            match self.root.set_modified(&path, modified) {
                // Named through a link that a later entry replaced.
                Err(error) if matches!(error.errno(), Errno::NOENT | Errno::NOTDIR) => {}
                other => other?,
            }
        }
        Ok(())
    }

    /// Remembers a folder's time for the end.
    fn keep_time(&mut self, path: PathBuf, modified: Time) -> Result<()> {
        if self.times.len() >= MAX_FOLDERS {
            return Err(Error::Tar(format!("more than {MAX_FOLDERS} folders")));
        }
        self.times.insert(path, modified);
        Ok(())
    }

    fn root_attributes(&mut self, entry: &Entry) -> Result<()> {
        let root = self.root.try_clone()?;
        self.attributes(&root, OsStr::new("."), entry)?;
        self.knows_root = true;
        self.keep_time(PathBuf::from("."), entry.modified)
    }

    fn place<R: BufRead, S: Write>(
        &mut self,
        parent: &Root,
        name: &OsStr,
        real: &Path,
        path: &Path,
        entry: &Entry,
        reader: &mut Reader<R, S>,
    ) -> Result<Placed> {
        let existing = parent.lookup(name)?;
        if entry.kind == EntryKind::HardLink && clean(&entry.link)? == path {
            return Err(Error::Tar(format!("{} is a hard link to itself", path.display())));
        }
        let mut opaque = false;
        if let Some(existing) = &existing {
            let merge = existing.is_dir() && entry.kind == EntryKind::Directory;
            self.check_overwrite(existing, entry, path)?;
            if !merge {
                opaque = entry.kind == EntryKind::Directory;
                self.displace(parent, name, real, existing)?;
            }
        }
        match entry.kind {
            EntryKind::File => self.file(parent, name, entry, reader)?,
            EntryKind::Directory => self.make_directory(parent, name, real, entry, opaque)?,
            EntryKind::HardLink => self.hard_link(parent, name, entry)?,
            EntryKind::Symlink => {
                parent.symlink(&entry.link, name)?;
                self.attributes(parent, name, entry)?;
                parent.set_modified(name, entry.modified)?;
            }
            EntryKind::CharDevice | EntryKind::BlockDevice | EntryKind::Fifo => {
                let kind = match entry.kind {
                    EntryKind::CharDevice => Kind::CharDevice,
                    EntryKind::BlockDevice => Kind::BlockDevice,
                    _ => Kind::Fifo,
                };
                let device = rustix::fs::makedev(entry.device.0, entry.device.1);
                parent.mknod(name, kind, 0o600, device)?;
                self.attributes(parent, name, entry)?;
                parent.set_modified(name, entry.modified)?;
            }
        }
        Ok(if entry.kind == EntryKind::File { Placed::File(real.to_path_buf()) } else { Placed::Nowhere })
    }

    fn check_overwrite(&self, existing: &Metadata, entry: &Entry, path: &Path) -> Result<()> {
        let Flavour::Plain(PlainFlavour { no_overwrite_dir_non_dir: true, .. }) = self.flavour else {
            return Ok(());
        };
        match (existing.is_dir(), entry.kind == EntryKind::Directory) {
            (true, false) => Err(Error::DirectoryInTheWay(path.to_path_buf())),
            (false, true) => Err(Error::NonDirectoryInTheWay(path.to_path_buf())),
            _ => Ok(()),
        }
    }

    /// Takes away what an entry replaces.
    fn displace(&mut self, parent: &Root, name: &OsStr, real: &Path, existing: &Metadata) -> Result<()> {
        self.last = None;
        if existing.is_dir() {
            let beneath = (Bound::Included(real.to_path_buf()), Bound::Unbounded);
            let gone = self.times.range(beneath).map(|(path, _)| path.clone());
            let gone: Vec<_> = gone.take_while(|path| path.starts_with(real)).collect();
            for path in gone {
                self.times.remove(&path);
            }
        }
        match &mut self.flavour {
            Flavour::Layer(layer) if layer.shadows.len() >= MAX_SHADOWS => {
                return Err(Error::Tar(format!("more than {MAX_SHADOWS} entries replace others")));
            }
            Flavour::Layer(layer) if matches!(existing.kind(), Kind::File | Kind::Directory) => {
                let name_aside = layer.shadows.len().to_string();
                parent.rename_into(name, layer.aside, &name_aside)?;
                let path = real.as_os_str().as_bytes().to_vec();
                layer.shadows.push(Shadow { before: layer.records, path, name: name_aside });
            }
            _ => {
                parent.remove(name)?;
            }
        }
        Ok(())
    }

    /// The directory at `path`, opened; what is missing of it is made like the one beneath it.
    fn directory(&mut self, path: &Path) -> Result<Opened> {
        if let Some(last) = self.last.take()
            && last.path == path
        {
            return Ok(last);
        }
        let root = match self.root.open_dir(path) {
            Ok(root) => root,
            Err(error) if matches!(error.errno(), Errno::NOENT | Errno::NOTDIR) => self.make_directories(path)?,
            Err(error) => return Err(error.into()),
        };
        Ok(Opened { path: path.to_path_buf(), real: root.location_in(self.root)?, root })
    }

    /// Step by step from directory to directory, so that a deep path costs no more than its parts.
    fn make_directories(&mut self, path: &Path) -> Result<Root> {
        let mut done = PathBuf::new();
        let mut parent = self.root.try_clone()?;
        let mut beneath = true;
        for name in path.iter() {
            done.push(name);
            let found = parent.lookup(name)?;
            parent = match found {
                Some(found) if found.is_dir() => parent.open_dir(name)?,
                Some(found) if !found.is_whiteout() => self.root.open_dir(&done)?,
                hidden => {
                    if hidden.is_some() {
                        parent.unlink(name)?;
                    }
                    parent.mkdir(name, 0o755)?;
                    // What lower layers do not have, they have nothing beneath.
                    beneath = beneath && self.inherit(&parent, name, &done, hidden.is_some())?;
                    parent.open_dir(name)?
                }
            };
        }
        Ok(parent)
    }
}

/// A member's path, lexically cleaned as Docker does: relative, without `.` and `..`. One that leads out is refused.
pub(crate) fn clean(path: &OsStr) -> Result<PathBuf> {
    if path.as_bytes().contains(&0) {
        return Err(Error::Tar("NUL in a path".into()));
    }
    let mut parts: Vec<&OsStr> = Vec::new();
    for part in path.as_bytes().split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop().ok_or_else(|| Error::Tar(format!("{path:?} leads out of the archive")))?;
            }
            part => parts.push(OsStr::from_bytes(part)),
        }
    }
    Ok(parts.into_iter().collect())
}

/// Whether an extended attribute may come from an archive. `trusted.*` is overlayfs's own.
fn may_set(name: &OsString) -> bool {
    let name = name.as_bytes();
    [&b"user."[..], b"security.", b"system.posix_acl_"].iter().any(|prefix| name.starts_with(prefix))
}
