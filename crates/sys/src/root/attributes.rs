//! Changing what an entry is, never following its last name: owner, mode, times, extended attributes.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{self, AtFlags, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags};
use rustix::io::Errno;

use super::{At, Owner, Result, Root, Spot, Time};

/// The name of an open descriptor. The only magic link that is ever followed, and only for descriptors of our own.
pub(super) fn descriptor_path(fd: BorrowedFd<'_>) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}

pub(super) fn path_of(fd: BorrowedFd<'_>) -> rustix::io::Result<PathBuf> {
    let text = fs::readlink(descriptor_path(fd), Vec::new())?;
    Ok(PathBuf::from(OsStr::from_bytes(text.as_bytes())))
}

/// The attribute calls have no `*at` form before Linux 6.13: name the entry through its directory's descriptor instead.
fn named(spot: &Spot<'_, '_>) -> PathBuf {
    descriptor_path(spot.dir()).join(spot.name())
}

/// The kernel's own limit of an attribute's value and of the list of names (64 KiB), which lets one call be enough.
const XATTR_LIMIT_BYTES: usize = 64 * 1024;

impl Root {
    /// Changes owner and group of the entry itself. Clears setuid and setgid bits of a file, as the kernel does.
    pub fn chown(&self, path: impl AsRef<Path>, owner: Owner) -> Result<()> {
        let path = path.as_ref();
        let spot = self.spot(path)?;
        let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
        fs::chownat(spot.dir(), spot.name(), Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
            .at("change owner of", path)
    }

    /// Changes the permission bits of the entry itself; a symbolic link has none and is `EOPNOTSUPP`.
    pub fn chmod(&self, path: impl AsRef<Path>, mode: u32) -> Result<()> {
        let path = path.as_ref();
        let spot = self.spot(path)?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let pinned = fs::openat(spot.dir(), spot.name(), flags, Mode::empty()).at("change mode of", path)?;
        fs::chmod(descriptor_path(pinned.as_fd()), Mode::from_raw_mode(mode)).at("change mode of", path)
    }

    /// Sets the time of the last change of contents of the entry itself; the time of last access stays.
    pub fn set_modified(&self, path: impl AsRef<Path>, modified: Time) -> Result<()> {
        let path = path.as_ref();
        let spot = self.spot(path)?;
        let times = Timestamps {
            last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
            last_modification: Timespec { tv_sec: modified.seconds, tv_nsec: i64::from(modified.nanoseconds) },
        };
        fs::utimensat(spot.dir(), spot.name(), &times, AtFlags::SYMLINK_NOFOLLOW).at("set times of", path)
    }

    /// The value of one extended attribute of the entry itself; `None` if it has none of that name or the file system
    /// keeps none.
    pub fn xattr(&self, path: impl AsRef<Path>, name: &OsStr) -> Result<Option<Vec<u8>>> {
        let path = path.as_ref();
        let spot = self.spot(path)?;
        let mut value = vec![0; 256];
        loop {
            match fs::lgetxattr(named(&spot), name, value.as_mut_slice()) {
                Ok(length) => {
                    value.truncate(length);
                    return Ok(Some(value));
                }
                Err(Errno::NODATA | Errno::NOTSUP) => return Ok(None),
                Err(Errno::RANGE) if value.len() < XATTR_LIMIT_BYTES => value.resize(XATTR_LIMIT_BYTES, 0),
                Err(errno) => return Err(errno).at("read attribute of", path),
            }
        }
    }

    /// The names of all extended attributes of the entry itself, sorted; empty where the file system keeps none.
    pub fn xattr_names(&self, path: impl AsRef<Path>) -> Result<Vec<OsString>> {
        let path = path.as_ref();
        let spot = self.spot(path)?;
        let mut list = vec![0_u8; 1024];
        let length = loop {
            match fs::llistxattr(named(&spot), list.as_mut_slice()) {
                Ok(length) => break length,
                Err(Errno::NOTSUP) => break 0,
                Err(Errno::RANGE) if list.len() < XATTR_LIMIT_BYTES => list.resize(XATTR_LIMIT_BYTES, 0),
                Err(errno) => return Err(errno).at("list attributes of", path),
            }
        };
        let names = list[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
        let mut names: Vec<_> = names.map(|name| OsStr::from_bytes(name).to_os_string()).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Sets an extended attribute of the entry itself.
    pub fn set_xattr(&self, path: impl AsRef<Path>, name: &OsStr, value: &[u8]) -> Result<()> {
        let path = path.as_ref();
        let spot = self.spot(path)?;
        fs::lsetxattr(named(&spot), name, value, XattrFlags::empty()).at("set attribute of", path)
    }
}
