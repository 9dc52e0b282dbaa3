//! Files, mount points and file systems inside the child's root. Paths never follow magic links, so that no
//! descriptor of the child can be reached through `/proc/self/fd` by a link planted in an image.

use std::ffi::{CStr, CString};
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, ResolveFlags, Uid};
use rustix::io::{Errno, Result};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};
use sys::mount::Attributes;

use crate::step::{Entry, FsOption};

/// A place for a mount inside the root, and the directories to make if it is missing.
#[derive(Debug)]
pub(crate) struct MountPoint {
    path: CString,
    missing: Vec<Parent>,
    file: bool,
}

/// A name in a directory, both inside the root.
#[derive(Debug)]
pub(crate) struct Parent {
    directory: CString,
    name: CString,
}

impl Parent {
    /// Splits an absolute, normalised path other than `/`; `None` if it has a NUL byte.
    pub(crate) fn of(path: &str) -> Option<Self> {
        let (directory, name) = path.rsplit_once('/')?;
        let directory = if directory.is_empty() { "/" } else { directory };
        Some(Self { directory: CString::new(directory).ok()?, name: CString::new(name).ok()? })
    }

    pub(crate) fn make(&self, entry: &Entry) -> Result<()> {
        make_entry(open_path(&self.directory)?.as_fd(), &self.name, entry)
    }
}

impl fmt::Display for Parent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let directory = self.directory.to_string_lossy();
        write!(f, "{}/{}", directory.trim_end_matches('/'), self.name.to_string_lossy())
    }
}

impl MountPoint {
    /// The place at `path` (absolute, normalised); a missing one becomes a file or a directory. `None` if it has a
    /// NUL byte.
    pub(crate) fn new(path: &str, file: bool) -> Option<Self> {
        let ends = path.match_indices('/').map(|(at, _)| at).skip(1).chain([path.len()]);
        let missing = ends.filter(|end| *end > 1).map(|end| Parent::of(&path[..end])).collect::<Option<_>>()?;
        Some(Self { path: CString::new(path).ok()?, missing, file })
    }

    /// Opens the place, made if need be.
    pub(crate) fn open(&self) -> Result<OwnedFd> {
        match open_path(&self.path) {
            Err(Errno::NOENT) => {}
            result => return result,
        }
        for (left, parent) in (0..self.missing.len()).rev().zip(&self.missing) {
            let entry = if left == 0 && self.file { Entry::File } else { Entry::Directory(0o755) };
            match parent.make(&entry) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error),
            }
        }
        open_path(&self.path)
    }
}

impl fmt::Display for MountPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path.to_string_lossy())
    }
}

/// Opens an absolute path without access to its content.
pub(crate) fn open_path(path: &CStr) -> Result<OwnedFd> {
    rustix::fs::openat2(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::NO_MAGICLINKS)
}

/// As [`open_path`]; `None` if there is nothing.
pub(crate) fn open_if_there(path: &CStr) -> Result<Option<OwnedFd>> {
    match open_path(path) {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Opens a direct child of `directory` without access to its content; a symbolic link is refused.
pub(crate) fn open_in(directory: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd> {
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::BENEATH;
    rustix::fs::openat2(directory, name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve)
}

/// The container's `/dev/null`, if it is one.
pub(crate) fn open_null() -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let null = rustix::fs::openat2(CWD, c"/dev/null", flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)?;
    let stat = rustix::fs::fstat(&null)?;
    let is_null = FileType::from_raw_mode(stat.st_mode).is_char_device() && stat.st_rdev == rustix::fs::makedev(1, 3);
    if is_null { Ok(null) } else { Err(Errno::NODEV) }
}

pub(crate) fn is_directory(fd: BorrowedFd<'_>) -> Result<bool> {
    Ok(FileType::from_raw_mode(rustix::fs::fstat(fd)?.st_mode).is_dir())
}

/// Makes `entry` called `name` in `directory`. An existing directory or link is left as it is.
pub(crate) fn make_entry(directory: BorrowedFd<'_>, name: &CStr, entry: &Entry) -> Result<()> {
    let made = match entry {
        Entry::Directory(mode) => rustix::fs::mkdirat(directory, name, Mode::from_raw_mode(*mode)),
        Entry::File => rustix::fs::mknodat(directory, name, FileType::RegularFile, Mode::from_raw_mode(0o644), 0),
        Entry::Link(target) => rustix::fs::symlinkat(target.as_c_str(), directory, name),
        Entry::Node { file_type, mode, device, uid, gid } => {
            rustix::fs::mknodat(directory, name, *file_type, Mode::from_raw_mode(*mode), *device)?;
            if (*uid, *gid) == (0, 0) {
                return Ok(());
            }
            let (uid, gid) = (Uid::from_raw(*uid), Gid::from_raw(*gid));
            return rustix::fs::chownat(directory, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW);
        }
    };
    match made {
        Err(Errno::EXIST) if !matches!(entry, Entry::File) => Ok(()),
        result => result,
    }
}

/// A new, detached file system.
pub(crate) fn make_fs(kind: &CStr, options: &[FsOption], attributes: Attributes) -> Result<OwnedFd> {
    let fs = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_set_string(fs.as_fd(), c"source", kind)?;
    for option in options {
        match option {
            FsOption::Flag(name) => rustix::mount::fsconfig_set_flag(fs.as_fd(), name.as_c_str())?,
            FsOption::Value(name, value) => {
                rustix::mount::fsconfig_set_string(fs.as_fd(), name.as_c_str(), value.as_c_str())?;
            }
        }
    }
    rustix::mount::fsconfig_create(fs.as_fd())?;
    let attributes = MountAttrFlags::from_bits_retain(attributes as u32);
    rustix::mount::fsmount(fs.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// Writes a kernel parameter through `proc`, a descriptor of the container's own procfs.
pub(crate) fn write_sysctl(proc: BorrowedFd<'_>, path: &CStr, value: &[u8]) -> Result<()> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat2(proc, path, flags, Mode::empty(), resolve)?;
    rustix::io::write(file, value).map(drop)
}

/// Writes all of `value` to an existing file at once.
pub(crate) fn write_existing(directory: BorrowedFd<'_>, path: &CStr, value: &[u8]) -> Result<()> {
    let file = rustix::fs::openat(directory, path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(file, value).map(drop)
}
