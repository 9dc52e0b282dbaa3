//! What an entry is: kind, owner, mode, size and times; and what a directory holds.

use std::ffi::{OsStr, OsString};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, RawDir, Stat};

use super::{At, Owner, Result, Root};

/// The kind of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A named pipe.
    Fifo,
    /// A Unix socket.
    Socket,
}

impl Kind {
    fn of(file_type: FileType) -> Kind {
        match file_type {
            FileType::Directory => Kind::Directory,
            FileType::Symlink => Kind::Symlink,
            FileType::CharacterDevice => Kind::CharDevice,
            FileType::BlockDevice => Kind::BlockDevice,
            FileType::Fifo => Kind::Fifo,
            FileType::Socket => Kind::Socket,
            FileType::RegularFile | FileType::Unknown => Kind::File,
        }
    }
}

/// A moment as the file system keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Time {
    /// Whole seconds since 1970-01-01 UTC, negative before.
    pub seconds: i64,
    /// Nanoseconds after `seconds`, below 1,000,000,000.
    pub nanoseconds: u32,
}

/// What `stat` says about an entry.
#[derive(Clone, Copy, Debug)]
pub struct Metadata {
    stat: Stat,
}

impl From<Stat> for Metadata {
    fn from(stat: Stat) -> Self {
        Metadata { stat }
    }
}

impl Metadata {
    /// What an open file is.
    ///
    /// # Errors
    /// The file system's.
    pub fn of(file: &impl AsFd) -> std::io::Result<Self> {
        Ok(fs::fstat(file).map(Self::from)?)
    }

    /// The kind of the entry.
    pub fn kind(&self) -> Kind {
        Kind::of(FileType::from_raw_mode(self.stat.st_mode))
    }

    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        self.kind() == Kind::Directory
    }

    /// Permission bits with setuid, setgid and sticky (the low twelve bits of the mode).
    pub fn mode(&self) -> u32 {
        self.stat.st_mode & 0o7777
    }

    /// Owner and group.
    pub fn owner(&self) -> Owner {
        Owner { uid: self.stat.st_uid, gid: self.stat.st_gid }
    }

    /// Size in bytes.
    pub fn size(&self) -> u64 {
        u64::try_from(self.stat.st_size).unwrap_or(0)
    }

    /// Bytes the file system has allocated, which is less than the size for a file with holes.
    pub fn allocated(&self) -> u64 {
        u64::try_from(self.stat.st_blocks).unwrap_or(0) * 512
    }

    /// Raw device number of a device node.
    pub fn device(&self) -> u64 {
        self.stat.st_rdev
    }

    /// Major and minor number of a device node.
    pub fn device_numbers(&self) -> (u32, u32) {
        (fs::major(self.stat.st_rdev), fs::minor(self.stat.st_rdev))
    }

    /// Whether it is overlayfs's whiteout: a character device 0:0.
    pub fn is_whiteout(&self) -> bool {
        self.kind() == Kind::CharDevice && self.stat.st_rdev == 0
    }

    /// Number of names.
    pub fn links(&self) -> u64 {
        self.stat.st_nlink
    }

    /// File system and inode number: what makes two names the same file.
    pub fn identity(&self) -> (u64, u64) {
        (self.stat.st_dev, self.stat.st_ino)
    }

    /// Time of the last change of contents.
    pub fn modified(&self) -> Time {
        Time { seconds: self.stat.st_mtime, nanoseconds: self.stat.st_mtime_nsec as u32 }
    }

    /// Time of the last change of any kind, of contents or of what is said here. Nobody can set it but the kernel's clock.
    pub fn changed(&self) -> Time {
        Time { seconds: self.stat.st_ctime, nanoseconds: self.stat.st_ctime_nsec as u32 }
    }
}

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// The name, without a slash.
    pub name: OsString,
    /// Its kind, not following links.
    pub kind: Kind,
}

/// Bytes asked of the kernel by one `getdents64`.
const DIR_BUFFER_BYTES: usize = 32 * 1024;

impl Root {
    /// What is at `path`, following links inside the root.
    pub fn metadata(&self, path: impl AsRef<Path>) -> Result<Metadata> {
        let path = path.as_ref();
        let fd = self.open_with(path, OFlags::PATH, Mode::empty())?;
        fs::fstat(&fd).map(Metadata::from).at("stat", path)
    }

    /// What is at `path`, the last name not followed.
    pub fn symlink_metadata(&self, path: impl AsRef<Path>) -> Result<Metadata> {
        let path = path.as_ref();
        let spot = self.spot(path)?;
        fs::statat(spot.dir(), spot.name(), AtFlags::SYMLINK_NOFOLLOW).map(Metadata::from).at("stat", path)
    }

    /// Like [`Root::symlink_metadata`], with `None` for a path that does not exist.
    pub fn lookup(&self, path: impl AsRef<Path>) -> Result<Option<Metadata>> {
        match self.symlink_metadata(path) {
            Ok(metadata) => Ok(Some(metadata)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The text of a symbolic link.
    pub fn read_link(&self, path: impl AsRef<Path>) -> Result<PathBuf> {
        let path = path.as_ref();
        let spot = self.spot(path)?;
        let text = fs::readlinkat(spot.dir(), spot.name(), Vec::new()).at("read link", path)?;
        Ok(PathBuf::from(OsStr::from_bytes(text.as_bytes())))
    }

    /// The names in a directory (links followed inside the root), sorted by bytes, without `.` and `..`.
    pub fn read_dir(&self, path: impl AsRef<Path>) -> Result<Vec<DirEntry>> {
        let path = path.as_ref();
        let fd = self.open_with(path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
        let mut entries = Vec::new();
        let mut buffer = vec![MaybeUninit::uninit(); DIR_BUFFER_BYTES];
        let mut dir = RawDir::new(&fd, &mut buffer);
        while let Some(entry) = dir.next() {
            let entry = entry.at("read directory", path)?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::Unknown => {
                    let stat = fs::statat(&fd, name, AtFlags::SYMLINK_NOFOLLOW).at("stat", path)?;
                    Metadata::from(stat).kind()
                }
                known => Kind::of(known),
            };
            entries.push(DirEntry { name: name.to_os_string(), kind });
        }
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }
}
