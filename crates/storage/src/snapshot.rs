//! A container's writable layer: made, mounted (detached), compared, turned into a tar, removed.

use std::ffi::OsStr;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use model::ChainId;
use rustix::io::Errno;
use sys::root::Root;

use crate::storage::overlay;
use crate::tree::{self, Form, TreeWriter};
use crate::{Error, Result, Storage, changes, copy, layer};

/// How a path differs from the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// Contents or attributes differ, or something beneath does (`C`, 0 in the API).
    Modified = 0,
    /// The image has no such path (`A`, 1).
    Added = 1,
    /// The container has no such path any more (`D`, 2).
    Deleted = 2,
}

/// One path that differs from the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Absolute in the container.
    pub path: PathBuf,
    /// How it differs.
    pub kind: ChangeKind,
}

/// When a directory that the image has too counts as modified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Directories {
    /// If something in it differs, or it differs itself but for its time.
    #[default]
    WithContents,
    /// If it differs itself: by its time as well, and so if something in it was made or removed (Docker before 1.4).
    Themselves,
}

/// What stands for "no layer" where a chain id would.
pub(crate) const SCRATCH: &str = "scratch";

/// Where the init layer on top of this layer lies.
pub(crate) fn init_folder(top: Option<&ChainId>) -> PathBuf {
    Path::new("init").join(top.map_or(SCRATCH.into(), ChainId::hex))
}

impl Storage {
    /// Makes a container's empty writable layer on top of a layer, or of nothing.
    ///
    /// Between the two lies the image's *init* layer with the mount points and files every container has (`/proc`, `/sys`,
    /// `/dev/pts`, `/dev/shm`, `/dev/console`, `/etc/hosts`, `/etc/hostname`, `/etc/resolv.conf`, `/etc/mtab`, `/.dockerenv`), so that they
    /// need not be made at each start and show up in no diff.
    pub fn create_snapshot(&self, id: &str, top: Option<&ChainId>) -> Result<()> {
        let init = self.init_layer(top)?;
        let folder = self.snapshot_folder(id)?;
        match self.root.mkdir(&folder, 0o711) {
            Err(error) if error.errno() == Errno::EXIST => return Err(Error::SnapshotExists(id.to_string())),
            other => other?,
        }
        let made = self.fill_snapshot(&folder, top, &init);
        if made.is_err() {
            self.discard(&folder)?;
        }
        made
    }

    fn fill_snapshot(&self, folder: &Path, top: Option<&ChainId>, init: &Root) -> Result<()> {
        let folder = self.root.open_dir(folder)?;
        folder.mkdir("upper", 0o755)?;
        folder.mkdir("work", 0o700)?;
        // The container's `/` gets its attributes from the upper directory.
        copy::directory_like(init, &folder.open_dir("upper")?)?;
        // Last, and a link because its text is metadata of the file system: it is whole or it is not there.
        Ok(folder.symlink(top.map_or(SCRATCH.into(), ChainId::hex), "parent")?)
    }

    /// Mounts a container's file system as a detached mount: nothing shows in the host's mount table, and closing the
    /// descriptor unmounts unless the mount was moved into a namespace. Read-only mounts leave no trace in the writable layer.
    /// A container that runs has its root mounted already: use that, not a second mount.
    pub fn mount(&self, id: &str, readonly: bool) -> Result<OwnedFd> {
        // The kernel minds two at a time.
        self.unmounting.now(id);
        let (folder, top) = self.snapshot(id)?;
        let lower = self.lower(top.as_ref(), true)?;
        if !readonly {
            return overlay(&lower.iter().collect::<Vec<_>>(), Some(&folder));
        }
        let upper = folder.open_dir("upper")?;
        let lower: Vec<_> = std::iter::once(&upper).chain(&lower).collect();
        overlay(&lower, None)
    }

    /// Takes the mount of a container that has ended, and lets go of it together with those of others.
    pub fn unmount(&self, id: &str, mount: OwnedFd) {
        self.unmounting.soon(id, mount);
    }

    /// Mounts a layer and all beneath it, read-only and detached.
    pub fn mount_layers(&self, top: Option<&ChainId>) -> Result<OwnedFd> {
        self.mount_lower(top, false)
    }

    /// What lies beneath a container's writable layer.
    pub(crate) fn mount_lower(&self, top: Option<&ChainId>, with_init: bool) -> Result<OwnedFd> {
        let mut lower = self.lower(top, with_init)?;
        // An overlay without an upper directory must have two lower ones, and not the same twice.
        for empty in ["empty/first", "empty/second"].iter().skip(lower.len()) {
            lower.push(self.root.open_dir(empty)?);
        }
        overlay(&lower.iter().collect::<Vec<_>>(), None)
    }

    /// Directories of the layers beneath a container, topmost first.
    pub(crate) fn lower(&self, top: Option<&ChainId>, with_init: bool) -> Result<Vec<Root>> {
        let mut lower = Vec::new();
        if with_init {
            lower.push(self.root.open_dir(init_folder(top))?);
        }
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        let mut next = top;
        while let Some(chain_id) = next {
            let layer = kept.get(chain_id).ok_or(Error::NoLayer(*chain_id))?;
            lower.push(self.root.open_dir(layer::folder(chain_id).join("diff"))?);
            next = layer.layer.parent.as_ref();
        }
        Ok(lower)
    }

    /// Removes a container's writable layer: gone from its place when this returns, deleted in the background.
    /// One that does not exist is no error.
    pub fn remove_snapshot(&self, id: &str) -> Result<()> {
        self.discard(self.snapshot_folder(id)?).map(drop)
    }

    /// Ids of all containers with a writable layer.
    pub fn snapshots(&self) -> Result<Vec<String>> {
        let entries = self.root.read_dir("containers")?;
        Ok(entries.into_iter().filter_map(|entry| entry.name.into_string().ok()).collect())
    }

    /// The layers that containers' file systems stand on, the topmost of each: these and all beneath must stay.
    pub fn snapshot_tops(&self) -> Result<Vec<ChainId>> {
        let mut tops = Vec::new();
        for id in self.snapshots()? {
            match self.snapshot(&id) {
                Ok((_, top)) => tops.extend(top),
                // Removed since the list was made.
                Err(Error::NoSnapshot(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(tops)
    }

    /// What differs from the image, sorted by path.
    pub fn changes(&self, id: &str, directories: Directories) -> Result<Vec<Change>> {
        let (folder, top) = self.snapshot(id)?;
        let lower = Root::from(self.mount_lower(top.as_ref(), true)?);
        changes::between(&folder.open_dir("upper")?, &lower, directories)
    }

    /// Writes what differs from the image as a layer tar, deletions as `.wh.` files.
    pub fn diff_tar(&self, id: &str, out: impl Write) -> Result<()> {
        let (folder, _) = self.snapshot(id)?;
        let mut writer = TreeWriter::new(out, Form::Layer);
        writer.contents(&folder.open_dir("upper")?, OsStr::new(""))?;
        writer.finish()
    }

    /// Bytes of files in the writable layer, a file with several names counted once.
    pub fn usage(&self, id: &str) -> Result<u64> {
        let (folder, _) = self.snapshot(id)?;
        tree::size_bytes(&folder.open_dir("upper")?)
    }

    fn snapshot_folder(&self, id: &str) -> Result<PathBuf> {
        Ok(Path::new("containers").join(checked_name(id)?))
    }

    /// The folder of a snapshot and the layer it stands on.
    fn snapshot(&self, id: &str) -> Result<(Root, Option<ChainId>)> {
        let path = self.snapshot_folder(id)?;
        let missing = |error: sys::root::Error| match error.is_not_found() {
            true => Error::NoSnapshot(id.to_string()),
            false => error.into(),
        };
        let folder = self.root.open_dir(&path).map_err(missing)?;
        let parent = folder.read_link("parent").map_err(missing)?;
        let hex = parent.to_str().unwrap_or_default();
        if hex == SCRATCH {
            return Ok((folder, None));
        }
        let top = format!("sha256:{hex}").parse();
        let top = top.map_err(|_| Error::Damaged { path: path.join("parent"), reason: "it names no layer".into() })?;
        Ok((folder, Some(top)))
    }
}

/// A name that is a directory of its own and no way out: letters, digits, `_`, `.` and `-`, the first a letter or digit.
pub(crate) fn checked_name(name: &str) -> Result<&str> {
    let is_valid = name.len() <= 255
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.chars().all(|character| character.is_ascii_alphanumeric() || "_.-".contains(character));
    if is_valid { Ok(name) } else { Err(Error::InvalidName(name.to_string())) }
}
