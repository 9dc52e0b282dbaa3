//! Removal of whole trees that never follows a link and copes with trees of any depth.

use std::ffi::{OsStr, OsString};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, RawDir};
use rustix::io::Errno;

use super::{At, Result, Root};

/// Directories held open at once. A deeper tree is cut: its lower part is renamed up and removed from there.
const MAX_DEPTH: usize = 64;

impl Root {
    /// Removes what is at `path`, a directory with everything beneath it. Links are removed, not followed.
    /// Returns whether there was anything. The root itself (`/`) is emptied, not removed.
    pub fn remove(&self, path: impl AsRef<Path>) -> Result<bool> {
        let path = path.as_ref();
        let spot = match self.spot(path) {
            Err(error) if error.is_not_found() => return Ok(false),
            other => other?,
        };
        if spot.name() == "." {
            let dir = open_dir(spot.dir(), spot.name()).at("remove", path)?;
            Removal::default().empty(&dir, 0).at("remove", path)?;
            return Ok(true);
        }
        match Removal::default().entry(spot.dir(), spot.name()) {
            Err(Errno::NOENT) => Ok(false),
            other => other.map(|()| true).at("remove", path),
        }
    }

    /// Removes one entry that is not a directory.
    pub fn unlink(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let spot = self.spot(path)?;
        fs::unlinkat(spot.dir(), spot.name(), AtFlags::empty()).at("remove", path)
    }

    /// Removes one empty directory.
    pub fn rmdir(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let spot = self.spot(path)?;
        fs::unlinkat(spot.dir(), spot.name(), AtFlags::REMOVEDIR).at("remove directory", path)
    }
}

fn open_dir(parent: BorrowedFd<'_>, name: &OsStr) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    fs::openat(parent, name, flags, Mode::empty())
}

#[derive(Default)]
struct Removal {
    /// The topmost directory, where parts of too deep trees are moved.
    top: Option<OwnedFd>,
    moved: u64,
}

impl Removal {
    fn entry(&mut self, parent: BorrowedFd<'_>, name: &OsStr) -> rustix::io::Result<()> {
        match fs::unlinkat(parent, name, AtFlags::empty()) {
            Err(Errno::ISDIR | Errno::PERM) => self.directory(parent, name, 0),
            other => other,
        }
    }

    fn directory(&mut self, parent: BorrowedFd<'_>, name: &OsStr, depth: usize) -> rustix::io::Result<()> {
        if depth >= MAX_DEPTH
            && let Some(top) = &self.top
        {
            loop {
                self.moved += 1;
                match fs::renameat(parent, name, top, format!(".deep-{}", self.moved)) {
                    // The tree has that name already; it cannot have all of them.
                    Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => {}
                    other => return other,
                }
            }
        }
        let dir = match open_dir(parent, name) {
            Err(Errno::NOENT) => return Ok(()),
            other => other?,
        };
        self.empty(&dir, depth)?;
        match fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
            Err(Errno::NOENT) => Ok(()),
            other => other,
        }
    }

    /// Removes everything in a directory; reads it again until nothing is left, since parts may have been moved into it.
    fn empty(&mut self, dir: &OwnedFd, depth: usize) -> rustix::io::Result<()> {
        if depth == 0 {
            self.top = Some(rustix::io::fcntl_dupfd_cloexec(dir, 3)?);
        }
        loop {
            let (files, directories) = names(dir)?;
            if files.is_empty() && directories.is_empty() {
                return Ok(());
            }
            for name in &files {
                match fs::unlinkat(dir, name, AtFlags::empty()) {
                    Ok(()) | Err(Errno::NOENT) => {}
                    Err(Errno::ISDIR) => self.directory(dir.as_fd(), name, depth + 1)?,
                    Err(errno) => return Err(errno),
                }
            }
            for name in &directories {
                self.directory(dir.as_fd(), name, depth + 1)?;
            }
        }
    }
}

fn names(dir: &OwnedFd) -> rustix::io::Result<(Vec<OsString>, Vec<OsString>)> {
    fs::seek(dir, fs::SeekFrom::Start(0))?;
    let (mut files, mut directories) = (Vec::new(), Vec::new());
    let mut buffer = vec![MaybeUninit::uninit(); 32 * 1024];
    let mut entries = RawDir::new(dir, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        match entry.file_type() {
            FileType::Directory => directories.push(name.to_os_string()),
            _ => files.push(name.to_os_string()),
        }
    }
    Ok((files, directories))
}
