//! A container's writable layer: made, mounted (detached), compared, turned into a tar, removed.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use model::ChainId;

use crate::{Result, Storage};

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

impl Storage {
    /// Makes a container's empty writable layer on top of a layer, or of nothing.
    ///
    /// Between the two lies the image's *init* layer with the mount points and files every container has (`/proc`, `/sys`,
    /// `/dev/pts`, `/dev/shm`, `/dev/console`, `/etc/hosts`, `/etc/hostname`, `/etc/resolv.conf`, `/etc/mtab`, `/.dockerenv`), so that they
    /// need not be made at each start and show up in no diff.
    pub fn create_snapshot(&self, id: &str, top: Option<&ChainId>) -> Result<()> {
        let _ = (id, top);
        Err(crate::unfinished(&self.path))
    }

    /// Mounts a container's file system as a detached mount: nothing shows in the host's mount table, and closing the
    /// descriptor unmounts unless the mount was moved into a namespace. Read-only mounts leave no trace in the writable layer.
    /// A container that runs has its root mounted already: use that, not a second mount.
    pub fn mount(&self, id: &str, readonly: bool) -> Result<OwnedFd> {
        let _ = readonly;
        Err(crate::Error::NoSnapshot(id.to_string()))
    }

    /// Mounts a layer and all beneath it, read-only and detached.
    pub fn mount_layers(&self, top: Option<&ChainId>) -> Result<OwnedFd> {
        let _ = top;
        Err(crate::unfinished(&self.path))
    }

    /// Removes a container's writable layer: gone from its place when this returns, deleted in the background.
    /// One that does not exist is no error.
    pub fn remove_snapshot(&self, id: &str) -> Result<()> {
        let _ = id;
        Err(crate::unfinished(&self.path))
    }

    /// Ids of all containers with a writable layer.
    pub fn snapshots(&self) -> Result<Vec<String>> {
        Err(crate::unfinished(&self.path))
    }

    /// What differs from the image, sorted by path; a directory in which something differs counts as modified.
    pub fn changes(&self, id: &str) -> Result<Vec<Change>> {
        Err(crate::Error::NoSnapshot(id.to_string()))
    }

    /// Writes what differs from the image as a layer tar, deletions as `.wh.` files.
    pub fn diff_tar(&self, id: &str, out: impl Write) -> Result<()> {
        let _ = out;
        Err(crate::Error::NoSnapshot(id.to_string()))
    }

    /// Bytes of files in the writable layer, a file with several names counted once.
    pub fn usage(&self, id: &str) -> Result<u64> {
        Err(crate::Error::NoSnapshot(id.to_string()))
    }
}
