//! Copies between trees: contents shared or copied inside the kernel, attributes kept.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use sys::root::{Kind, Metadata, Root, Time};

use crate::error::Doing;
use crate::{Error, Result};

/// Copies owner, mode and extended attributes (but overlayfs's own) of one entry to another that exists.
pub(crate) fn attributes(from: &Root, source: &OsStr, to: &Root, name: &OsStr, metadata: &Metadata) -> Result<()> {
    to.chown(name, metadata.owner())?;
    if metadata.kind() != Kind::Symlink {
        to.chmod(name, metadata.mode())?;
    }
    for key in from.xattr_names(source)? {
        if key.to_string_lossy().starts_with("trusted.overlay.") {
            continue;
        }
        if let Some(value) = from.xattr(source, &key)? {
            match to.set_xattr(name, &key, &value) {
                Err(error) if error.errno() == Errno::NOTSUP => {}
                other => other?,
            }
        }
    }
    Ok(())
}

/// Gives one directory the attributes and time of another.
pub(crate) fn directory_like(from: &Root, to: &Root) -> Result<()> {
    let (here, metadata) = (OsStr::new("."), from.symlink_metadata(".")?);
    attributes(from, here, to, here, &metadata)?;
    Ok(to.set_modified(".", metadata.modified())?)
}

/// Copies a regular file with its attributes and time.
pub(crate) fn file(from: &Root, source: &OsStr, to: &Root, name: &OsStr, metadata: &Metadata) -> Result<()> {
    let input = from.open_file(source)?;
    let output = to.create_new(name, 0o600)?;
    contents(&input, &output, metadata)?;
    attributes(from, source, to, name, metadata)?;
    Ok(to.set_modified(name, metadata.modified())?)
}

/// Shares the blocks where the file system can; else copies all bytes, holes included.
fn contents(mut input: &File, mut output: &File, metadata: &Metadata) -> Result<()> {
    if metadata.size() == 0 || rustix::fs::ioctl_ficlone(output, input).is_ok() {
        return Ok(());
    }
    // The standard library copies inside the kernel (`copy_file_range`) where it can.
    io::copy(&mut input, &mut output).map(drop).doing("copying a file")
}

/// How one entry of a directory comes into another under the same name.
type Bring = fn(&Root, &Root, &OsString, &Metadata) -> Result<()>;

/// Copies everything in one directory into another. Hard links among what is copied stay hard links.
pub(crate) fn tree(from: &Root, to: &Root) -> Result<()> {
    bring(from, to, one)
}

/// As [`tree`], but files get a second name instead of a copy: for files that nobody changes any more.
pub(crate) fn linked_tree(from: &Root, to: &Root) -> Result<()> {
    bring(from, to, link)
}

fn bring(from: &Root, to: &Root, bring: Bring) -> Result<()> {
    let mut names: HashMap<(u64, u64), PathBuf> = HashMap::new();
    let mut times: Vec<(PathBuf, Time)> = Vec::new();
    let mut pending = vec![PathBuf::from(".")];
    while let Some(path) = pending.pop() {
        let (source, target) = (from.open_dir(&path)?, to.open_dir(&path)?);
        for entry in from.read_dir(&path)? {
            let inside = path.join(&entry.name);
            if inside.as_os_str().len() > crate::tree::MAX_PATH_BYTES {
                return Err(Error::TooDeep(inside));
            }
            let Some(metadata) = source.lookup(&entry.name)? else { continue };
            if metadata.kind() != Kind::Directory && metadata.links() > 1 {
                if let Some(first) = names.get(&metadata.identity()) {
                    to.hard_link(first, &inside)?;
                    continue;
                }
                names.insert(metadata.identity(), inside.clone());
            }
            bring(&source, &target, &entry.name, &metadata)?;
            if metadata.is_dir() {
                times.push((inside.clone(), metadata.modified()));
                pending.push(inside);
            }
        }
    }
    for (path, modified) in times.into_iter().rev() {
        to.set_modified(path, modified)?;
    }
    Ok(())
}

fn link(from: &Root, to: &Root, name: &OsString, metadata: &Metadata) -> Result<()> {
    if metadata.is_dir() {
        return one(from, to, name, metadata);
    }
    match from.hard_link_into(name, to, name) {
        // It has as many names as the file system lets it have.
        Err(error) if error.errno() == Errno::MLINK => one(from, to, name, metadata),
        other => Ok(other?),
    }
}

fn one(from: &Root, to: &Root, name: &OsString, metadata: &Metadata) -> Result<()> {
    match metadata.kind() {
        Kind::File => return file(from, name, to, name, metadata),
        Kind::Directory => to.mkdir(name, 0o700)?,
        Kind::Symlink => to.symlink(from.read_link(name)?, name)?,
        Kind::CharDevice | Kind::BlockDevice | Kind::Fifo | Kind::Socket => {
            to.mknod(name, metadata.kind(), 0o600, metadata.device())?;
        }
    }
    attributes(from, name, to, name, metadata)?;
    if metadata.kind() != Kind::Directory {
        to.set_modified(Path::new(name), metadata.modified())?;
    }
    Ok(())
}
