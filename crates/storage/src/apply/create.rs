//! Making one entry of each kind, with its attributes.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Gid, Mode, Timespec, Timestamps, UTIME_OMIT, Uid};
use rustix::io::Errno;
use sys::root::{Kind, Metadata, Owner, Root, Time};

use super::{Applier, Flavour, OPAQUE, clean, may_set};
use crate::copy;
use crate::error::Doing;
use crate::tar::{Entry, EntryKind, Reader};
use crate::{Error, Result};

/// Largest file with holes: that of ext4. Others do without their bytes having come.
const MAX_FILE_BYTES: u64 = 16 << 40;

impl Applier<'_> {
    pub(super) fn file<R: BufRead, S: Write>(
        &mut self,
        parent: &Root,
        name: &OsStr,
        entry: &Entry,
        reader: &mut Reader<R, S>,
    ) -> Result<()> {
        let mut file = parent.create_new(name, 0o600)?;
        match &entry.sparse {
            None => write_contents(&mut file, reader)?,
            Some(sparse) if sparse.size > MAX_FILE_BYTES => {
                return Err(Error::Tar(format!("a file larger than {MAX_FILE_BYTES} bytes")));
            }
            Some(sparse) => {
                file.set_len(sparse.size).doing("writing a file")?;
                for segment in &sparse.segments {
                    write_part(&file, segment.offset, segment.length, reader)?;
                }
            }
        }
        let owner = self.owner(entry);
        let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
        rustix::fs::fchown(&file, Some(uid), Some(gid)).doing("setting a file's owner")?;
        rustix::fs::fchmod(&file, Mode::from_raw_mode(entry.mode)).doing("setting a file's mode")?;
        self.xattrs(parent, name, entry)?;
        rustix::fs::futimens(&file, &timestamps(entry.modified)).doing("setting a file's times")
    }

    pub(super) fn make_directory(
        &mut self,
        parent: &Root,
        name: &OsStr,
        real: &Path,
        entry: &Entry,
        opaque: bool,
    ) -> Result<()> {
        match parent.mkdir(name, 0o700) {
            Err(error) if error.errno() == Errno::EXIST => {}
            other => other?,
        }
        if opaque && self.has_lower() {
            parent.set_xattr(name, OsStr::new(OPAQUE), b"y")?;
        }
        self.attributes(parent, name, entry)?;
        self.keep_time(real.to_path_buf(), entry.modified)
    }

    pub(super) fn hard_link(&mut self, parent: &Root, name: &OsStr, entry: &Entry) -> Result<()> {
        let target = clean(&entry.link)?;
        if let Flavour::Layer(layer) = &self.flavour
            && let Some(inside) = super::whiteout::pseudo_link(&target)
        {
            let (dir, target) = layer.aside.resolve_parent(inside)?;
            return Ok(link_between(&dir, &target, parent, name)?);
        }
        let (dir, target_name) = self.root.resolve_parent(self.prefix.join(&target))?;
        match link_between(&dir, &target_name, parent, name) {
            Err(error) if error.is_not_found() && self.has_lower() => self.copy_from_lower(&target, parent, name),
            other => Ok(other?),
        }
    }

    /// A hard link to a file of a lower layer: overlayfs would copy that file up first, so does this.
    fn copy_from_lower(&self, target: &Path, parent: &Root, name: &OsStr) -> Result<()> {
        let Flavour::Layer(layer) = &self.flavour else { return Ok(()) };
        let missing = || Error::Tar(format!("hard link to {}, which does not exist", target.display()));
        let lower = layer.lower.ok_or_else(missing)?.root()?;
        let metadata = lower.lookup(target)?.filter(|metadata| metadata.kind() == Kind::File).ok_or_else(missing)?;
        let (dir, target) = lower.resolve_parent(target)?;
        copy::file(&dir, target.as_os_str(), parent, name, &metadata)
    }

    /// Owner, mode and extended attributes of an entry that is no regular file.
    pub(super) fn attributes(&mut self, parent: &Root, name: &OsStr, entry: &Entry) -> Result<()> {
        parent.chown(name, self.owner(entry))?;
        if entry.kind != EntryKind::Symlink {
            parent.chmod(name, entry.mode)?;
        }
        self.xattrs(parent, name, entry)
    }

    fn owner(&self, entry: &Entry) -> Owner {
        match &self.flavour {
            Flavour::Plain(plain) => plain.owner.unwrap_or(entry.owner),
            Flavour::Layer(_) => entry.owner,
        }
    }

    fn xattrs(&self, parent: &Root, name: &OsStr, entry: &Entry) -> Result<()> {
        for (key, value) in entry.xattrs.iter().filter(|(key, _)| may_set(key)) {
            match parent.set_xattr(name, key, value) {
                // What this file system or kernel does not keep is left out; a lost capability would not be noticed in time.
                Err(error) if error.errno() == Errno::NOTSUP => {}
                Err(error) if error.errno() == Errno::PERM && key != "security.capability" => {}
                other => other?,
            }
        }
        Ok(())
    }

    pub(super) fn has_lower(&self) -> bool {
        matches!(&self.flavour, Flavour::Layer(layer) if layer.lower.is_some())
    }

    /// Gives a directory the archive does not mention the attributes it has in the layers beneath, which it would hide; whether
    /// they may have something in it too. In a plain archive it gets its owner.
    pub(super) fn inherit(&mut self, parent: &Root, name: &OsStr, path: &Path, opaque: bool) -> Result<bool> {
        let layer = match &self.flavour {
            Flavour::Layer(layer) => layer,
            Flavour::Plain(plain) => {
                if let Some(owner) = plain.owner {
                    parent.chown(name, owner)?;
                }
                return Ok(true);
            }
        };
        let Some(lower) = layer.lower else { return Ok(false) };
        if opaque {
            parent.set_xattr(name, OsStr::new(OPAQUE), b"y")?;
            return Ok(false);
        }
        let lower = lower.root()?;
        let found = match lower.resolve_parent(path) {
            Ok((dir, last)) => dir.lookup(&last)?.filter(Metadata::is_dir).map(|metadata| (dir, last, metadata)),
            Err(error) if matches!(error.errno(), Errno::NOENT | Errno::NOTDIR) => None,
            Err(error) => return Err(error.into()),
        };
        let Some((dir, last, metadata)) = found else { return Ok(false) };
        copy::attributes(&dir, last.as_os_str(), parent, name, &metadata)?;
        self.keep_time(PathBuf::from(path), metadata.modified())?;
        Ok(true)
    }
}

fn link_between(from: &Root, target: &Path, to: &Root, name: &OsStr) -> sys::root::Result<()> {
    from.hard_link_into(target, to, name)
}

pub(super) fn timestamps(modified: Time) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: modified.seconds, tv_nsec: i64::from(modified.nanoseconds) },
    }
}

/// Writes what is left of the entry's contents.
pub(super) fn write_contents<R: BufRead, S: Write>(file: &mut File, reader: &mut Reader<R, S>) -> Result<()> {
    loop {
        let piece = reader.chunk()?;
        let length = piece.len();
        if length == 0 {
            return Ok(());
        }
        file.write_all(piece).doing("writing a file")?;
        reader.consume(length);
    }
}

fn write_part<R: BufRead, S: Write>(
    file: &File,
    mut offset: u64,
    mut left: u64,
    reader: &mut Reader<R, S>,
) -> Result<()> {
    while left > 0 {
        let piece = reader.chunk()?;
        let length = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        file.write_all_at(&piece[..length], offset).doing("writing a file")?;
        reader.consume(length);
        offset += length as u64;
        left -= length as u64;
    }
    Ok(())
}
