//! Paths beneath a directory: every operation resolves inside it, whatever links and `..` a hostile tree holds.
//!
//! A [`Root`] owns a directory file descriptor. Paths are resolved by the kernel with `openat2` and
//! `RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS`: absolute paths and absolute symbolic links start at the root, `..` stops
//! there. Operations that change one entry resolve the parent first and then act on the last name with the `*at` calls,
//! which never follow it. A leading `/` makes no difference.

mod attributes;
mod metadata;
mod remove;

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

pub use metadata::{DirEntry, Kind, Metadata, Time};

/// What a path operation was doing, where, and why the kernel refused it.
#[derive(Debug, thiserror::Error)]
#[error("cannot {verb} {}: {source}", path.display())]
pub struct Error {
    /// What was attempted, as a verb ("open", "make directory").
    pub verb: &'static str,
    /// The path, as it was given, relative to the root.
    pub path: PathBuf,
    /// The kernel's answer.
    #[source]
    pub source: Errno,
}

impl Error {
    /// The kernel's answer.
    pub fn errno(&self) -> Errno {
        self.source
    }

    /// Whether the path, or a directory on the way to it, does not exist.
    pub fn is_not_found(&self) -> bool {
        self.source == Errno::NOENT
    }
}

impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        std::io::Error::new(std::io::Error::from(error.source).kind(), error)
    }
}

/// Result of an operation beneath a root.
pub type Result<T> = std::result::Result<T, Error>;

pub(crate) trait At<T> {
    fn at(self, verb: &'static str, path: &Path) -> Result<T>;
}

impl<T> At<T> for rustix::io::Result<T> {
    fn at(self, verb: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| Error { verb, path: path.to_path_buf(), source })
    }
}

/// A numeric owner and group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// A directory that confines every path given to it.
#[derive(Debug)]
pub struct Root {
    fd: OwnedFd,
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<OwnedFd> for Root {
    /// Takes a directory descriptor (an `O_PATH` one, or a detached mount, will do).
    fn from(fd: OwnedFd) -> Self {
        Root { fd }
    }
}

impl From<Root> for OwnedFd {
    fn from(root: Root) -> Self {
        root.fd
    }
}

/// The directory that holds an entry, and the entry's name in it.
pub(crate) struct Spot<'r, 'p> {
    fd: Held<'r>,
    name: Cow<'p, OsStr>,
}

enum Held<'r> {
    Root(BorrowedFd<'r>),
    Own(OwnedFd),
}

impl Spot<'_, '_> {
    fn dir(&self) -> BorrowedFd<'_> {
        match &self.fd {
            Held::Root(fd) => *fd,
            Held::Own(fd) => fd.as_fd(),
        }
    }

    fn name(&self) -> &OsStr {
        &self.name
    }
}

const RESOLVE: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);
/// `openat2` answers `EAGAIN` when a rename races with a `..`; a hostile writer must not keep us here for ever.
const RACE_RETRIES: usize = 64;
/// As many links as the kernel itself follows in one path.
const MAX_LINKS: usize = 40;

impl Root {
    /// Opens a directory of this process's own file system (its path is trusted and links in it are followed).
    pub fn open(path: impl AsRef<Path>) -> Result<Root> {
        let path = path.as_ref();
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        fs::open(path, flags, Mode::empty()).map(Root::from).at("open directory", path)
    }

    /// A second handle on the same directory.
    pub fn try_clone(&self) -> Result<Root> {
        rustix::io::fcntl_dupfd_cloexec(&self.fd, 3).map(Root::from).at("duplicate", Path::new("/"))
    }

    /// Opens `path` with these flags (`O_CLOEXEC` is added), following links inside the root.
    pub fn open_with(&self, path: impl AsRef<Path>, flags: OFlags, mode: Mode) -> Result<OwnedFd> {
        let path = path.as_ref();
        self.openat2(path, flags, mode).at("open", path)
    }

    fn openat2(&self, path: &Path, flags: OFlags, mode: Mode) -> rustix::io::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let mut races = 0;
        loop {
            match fs::openat2(&self.fd, path, flags | OFlags::CLOEXEC, mode, RESOLVE) {
                Err(Errno::AGAIN) if races < RACE_RETRIES && !flags.contains(OFlags::NONBLOCK) => races += 1,
                Err(Errno::INTR) => {}
                other => return other,
            }
        }
    }

    /// Opens a file for reading. Anything but a regular file or directory is refused with `EINVAL`, so that a fifo or a
    /// device in a hostile tree cannot hang or drive the caller.
    pub fn open_file(&self, path: impl AsRef<Path>) -> Result<File> {
        let path = path.as_ref();
        self.regular(path, OFlags::RDONLY, Mode::empty()).at("open", path)
    }

    fn regular(&self, path: &Path, flags: OFlags, mode: Mode) -> rustix::io::Result<File> {
        let pinned = if flags.contains(OFlags::CREATE) {
            None
        } else {
            Some(self.openat2(path, OFlags::PATH, Mode::empty())?)
        };
        if let Some(pinned) = &pinned
            && FileType::from_raw_mode(fs::fstat(pinned)?.st_mode) != FileType::RegularFile
        {
            return Err(Errno::INVAL);
        }
        let fd = match pinned {
            // Opening the pinned inode again through its descriptor leaves no moment in which it could be exchanged.
            Some(pinned) => fs::open(attributes::descriptor_path(pinned.as_fd()), flags | OFlags::CLOEXEC, mode)?,
            None => self.openat2(path, flags | OFlags::NONBLOCK, mode)?,
        };
        if FileType::from_raw_mode(fs::fstat(&fd)?.st_mode) != FileType::RegularFile {
            return Err(Errno::INVAL);
        }
        Ok(File::from(fd))
    }

    /// Reads a whole regular file of at most `limit` bytes; a longer one is `EFBIG`.
    pub fn read(&self, path: impl AsRef<Path>, limit: usize) -> Result<Vec<u8>> {
        let path = path.as_ref();
        let mut bytes = Vec::new();
        let mut file = self.open_file(path)?.take(limit as u64 + 1);
        file.read_to_end(&mut bytes).map_err(errno_of).at("read", path)?;
        if bytes.len() > limit {
            return Err(Errno::FBIG).at("read", path);
        }
        Ok(bytes)
    }

    /// Opens a regular file for writing, made with `mode` if it is missing, emptied if it is not.
    /// A link at the end of the path is followed inside the root.
    pub fn create(&self, path: impl AsRef<Path>, mode: u32) -> Result<File> {
        let path = path.as_ref();
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC;
        self.regular(path, flags, Mode::from_raw_mode(mode)).at("create", path)
    }

    /// Makes a new regular file for writing; `EEXIST` if anything, a dangling link included, has that name.
    pub fn create_new(&self, path: impl AsRef<Path>, mode: u32) -> Result<File> {
        let path = path.as_ref();
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let spot = self.spot(path)?;
        fs::openat(spot.dir(), spot.name(), flags, Mode::from_raw_mode(mode)).map(File::from).at("create", path)
    }

    /// Creates or replaces the contents of a file.
    pub fn write(&self, path: impl AsRef<Path>, contents: &[u8], mode: u32) -> Result<()> {
        let path = path.as_ref();
        self.create(path, mode)?.write_all(contents).map_err(errno_of).at("write", path)
    }

    /// The directory at `path` as a root of its own: paths given to it cannot leave *that* directory.
    pub fn open_dir(&self, path: impl AsRef<Path>) -> Result<Root> {
        let path = path.as_ref();
        self.openat2(path, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).map(Root::from).at("open directory", path)
    }

    /// Splits `path` into its directory, resolved and opened, and its last name, not followed.
    /// A path that names a directory by `/`, `.` or `..` answers that directory and `.`.
    pub fn resolve_parent(&self, path: impl AsRef<Path>) -> Result<(Root, PathBuf)> {
        let path = path.as_ref();
        let spot = self.spot(path)?;
        let name = PathBuf::from(spot.name());
        let root = match spot.fd {
            Held::Root(_) => self.try_clone()?,
            Held::Own(fd) => Root::from(fd),
        };
        Ok((root, name))
    }

    pub(crate) fn spot<'p>(&self, path: &'p Path) -> Result<Spot<'_, 'p>> {
        let dir_flags = OFlags::PATH | OFlags::DIRECTORY;
        let last = path.components().next_back();
        let Some(Component::Normal(name)) = last.filter(|_| !path.as_os_str().as_bytes().ends_with(b"/.")) else {
            let fd = self.openat2(path, dir_flags, Mode::empty()).at("resolve", path)?;
            return Ok(Spot { fd: Held::Own(fd), name: Cow::Borrowed(OsStr::new(".")) });
        };
        let parent = path.parent().unwrap_or(Path::new(""));
        let fd = if parent.components().all(|part| matches!(part, Component::RootDir | Component::CurDir)) {
            Held::Root(self.fd.as_fd())
        } else {
            Held::Own(self.openat2(parent, dir_flags, Mode::empty()).at("resolve", path)?)
        };
        Ok(Spot { fd, name: Cow::Borrowed(name) })
    }

    /// The path of an existing entry with every link resolved, absolute beneath the root.
    pub fn canonical(&self, path: impl AsRef<Path>) -> Result<PathBuf> {
        let path = path.as_ref();
        let fd = self.openat2(path, OFlags::PATH, Mode::empty()).at("resolve", path)?;
        Ok(Path::new("/").join(Root::from(fd).location_in(self)?))
    }

    /// Where this directory lies beneath `top`, without links; `EXDEV` if it lies elsewhere.
    pub fn location_in(&self, top: &Root) -> Result<PathBuf> {
        let own = attributes::path_of(self.fd.as_fd()).at("resolve", Path::new("."))?;
        let top = attributes::path_of(top.fd.as_fd()).at("resolve", Path::new("/"))?;
        own.strip_prefix(&top).map(Path::to_path_buf).map_err(|_| Errno::XDEV).at("resolve", &own)
    }

    /// Makes one directory.
    pub fn mkdir(&self, path: impl AsRef<Path>, mode: u32) -> Result<()> {
        let path = path.as_ref();
        let spot = self.spot(path)?;
        fs::mkdirat(spot.dir(), spot.name(), Mode::from_raw_mode(mode)).at("make directory", path)
    }

    /// Makes a directory and whatever is missing above it, each with `mode` (whatever the umask) and `owner`.
    /// Existing directories stay as they are; links are followed, a dangling one to where it points. Returns the directory.
    pub fn mkdir_all(&self, path: impl AsRef<Path>, mode: u32, owner: Option<Owner>) -> Result<Root> {
        let path = path.as_ref();
        self.mkdir_all_following(path, mode, owner, 0)
    }

    fn mkdir_all_following(&self, path: &Path, mode: u32, owner: Option<Owner>, links: usize) -> Result<Root> {
        if let Ok(dir) = self.open_dir(path) {
            return Ok(dir);
        }
        let mut done = PathBuf::from("/");
        let mut parent = self.try_clone()?;
        for part in path.components() {
            let name = match part {
                Component::Normal(name) => name,
                Component::ParentDir => OsStr::new(".."),
                Component::RootDir | Component::CurDir | Component::Prefix(_) => continue,
            };
            let next = done.join(name);
            parent = match self.open_dir(&next) {
                Ok(dir) => dir,
                Err(error) if error.is_not_found() => {
                    self.make_missing(&parent, &done, Path::new(name), mode, owner, links)?
                }
                Err(error) => return Err(error),
            };
            done = next;
        }
        Ok(parent)
    }

    fn make_missing(
        &self,
        parent: &Root,
        parent_path: &Path,
        name: &Path,
        mode: u32,
        owner: Option<Owner>,
        links: usize,
    ) -> Result<Root> {
        match parent.mkdir(name, mode) {
            Ok(()) => {
                if let Some(owner) = owner {
                    parent.chown(name, owner)?;
                }
                parent.chmod(name, mode)?;
                return parent.open_dir(name);
            }
            Err(error) if error.source == Errno::EXIST => {}
            Err(error) => return Err(error),
        }
        let path = parent_path.join(name);
        if parent.symlink_metadata(name)?.kind() != Kind::Symlink {
            return self.open_dir(&path); // somebody else made it in the meantime
        }
        if links >= MAX_LINKS {
            return Err(Errno::LOOP).at("make directory", &path);
        }
        let target = parent_path.join(parent.read_link(name)?);
        self.mkdir_all_following(&target, mode, owner, links + 1)
    }

    /// Renames an entry, replacing what the new name held if the kernel allows it. Neither name is followed.
    pub fn rename(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<()> {
        let (from, to) = (from.as_ref(), to.as_ref());
        let (old, new) = (self.spot(from)?, self.spot(to)?);
        fs::renameat(old.dir(), old.name(), new.dir(), new.name()).at("rename", from)
    }

    /// Moves an entry to a name beneath another root of the same file system.
    pub fn rename_into(&self, from: impl AsRef<Path>, other: &Root, to: impl AsRef<Path>) -> Result<()> {
        let (from, to) = (from.as_ref(), to.as_ref());
        let (old, new) = (self.spot(from)?, other.spot(to)?);
        fs::renameat(old.dir(), old.name(), new.dir(), new.name()).at("rename", from)
    }

    /// Makes a symbolic link at `path` whose text is `target`, kept as it is.
    pub fn symlink(&self, target: impl AsRef<Path>, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let spot = self.spot(path)?;
        fs::symlinkat(target.as_ref(), spot.dir(), spot.name()).at("link", path)
    }

    /// Makes `path` a second name of `existing` (which is not followed if it is a symbolic link).
    pub fn hard_link(&self, existing: impl AsRef<Path>, path: impl AsRef<Path>) -> Result<()> {
        let (existing, path) = (existing.as_ref(), path.as_ref());
        let (old, new) = (self.spot(existing)?, self.spot(path)?);
        fs::linkat(old.dir(), old.name(), new.dir(), new.name(), AtFlags::empty()).at("link", path)
    }

    /// Makes a name beneath another root of the same file system a second name of `existing`. Neither is followed.
    pub fn hard_link_into(&self, existing: impl AsRef<Path>, other: &Root, path: impl AsRef<Path>) -> Result<()> {
        let (existing, path) = (existing.as_ref(), path.as_ref());
        let (old, new) = (self.spot(existing)?, other.spot(path)?);
        fs::linkat(old.dir(), old.name(), new.dir(), new.name(), AtFlags::empty()).at("link", path)
    }

    /// Makes a device node, fifo or socket. `device` is the raw device number, zero where none applies.
    pub fn mknod(&self, path: impl AsRef<Path>, kind: Kind, mode: u32, device: u64) -> Result<()> {
        let path = path.as_ref();
        let file_type = match kind {
            Kind::CharDevice => FileType::CharacterDevice,
            Kind::BlockDevice => FileType::BlockDevice,
            Kind::Fifo => FileType::Fifo,
            Kind::Socket => FileType::Socket,
            Kind::File => FileType::RegularFile,
            Kind::Directory | Kind::Symlink => return Err(Errno::INVAL).at("make node", path),
        };
        let spot = self.spot(path)?;
        fs::mknodat(spot.dir(), spot.name(), file_type, Mode::from_raw_mode(mode), device).at("make node", path)
    }
}

/// The errno inside an error of the standard library; `EIO` if it carries none.
fn errno_of(error: std::io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}

#[cfg(test)]
mod tests;
