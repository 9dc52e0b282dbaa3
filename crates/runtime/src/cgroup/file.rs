//! Files of a control group.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::str::FromStr;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::Write;
use crate::error::{Error, Result};

/// Writes `value` at once, as these files demand. The error keeps the kernel's number.
pub(super) fn put(directory: &Path, file: &str, value: &str) -> rustix::io::Result<()> {
    Files::of(directory).put(file, value)
}

/// Files of one directory, to which one value follows the other: each is opened once for those that follow each other.
pub(super) struct Files<'a> {
    directory: &'a Path,
    open: Option<(&'a str, OwnedFd)>,
}

impl<'a> Files<'a> {
    pub(super) fn of(directory: &'a Path) -> Self {
        Self { directory, open: None }
    }

    /// As [`put`].
    pub(super) fn put(&mut self, name: &'a str, value: &str) -> rustix::io::Result<()> {
        let file = match self.open.take().filter(|(open, _)| *open == name) {
            Some((_, file)) => file,
            None => rustix::fs::open(self.directory.join(name), OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?,
        };
        let (_, file) = self.open.insert((name, file));
        // Each is a whole, wherever the one before has ended.
        rustix::io::pwrite(file, value.as_bytes(), 0).map(drop)
    }
}

/// Carries out one planned write.
pub(super) fn write(directory: &Path, write: &Write) -> Result<()> {
    match put(directory, &write.file, &write.value) {
        Ok(()) => Ok(()),
        Err(_) if write.optional => Ok(()),
        Err(errno) => Err(refused(directory, write, errno)),
    }
}

pub(super) fn refused(directory: &Path, write: &Write, errno: Errno) -> Error {
    let path = directory.join(&write.file);
    Error::io("writing", format!("{:?} to {}", write.value, path.display()), errno)
}

/// The whole text of a file.
pub(super) fn text(directory: &Path, file: &str) -> Result<String> {
    let path = directory.join(file);
    std::fs::read_to_string(&path).map_err(|error| Error::io("reading", &path, error))
}

/// The text of a file that some kernels do not have; empty if so.
pub(super) fn text_if_there(directory: &Path, file: &str) -> Result<String> {
    let path = directory.join(file);
    match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        // The device mapper's and other counters of a controller that is switched off.
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(String::new()),
        result => result.map_err(|error| Error::io("reading", &path, error)),
    }
}

/// A single number; `None` for `max` and for a missing file.
pub(super) fn number<T: FromStr>(directory: &Path, file: &str) -> Result<Option<T>> {
    Ok(text_if_there(directory, file)?.trim().parse().ok())
}

/// Lines of a name and a number.
pub(super) fn pairs(text: &str) -> impl Iterator<Item = (&str, u64)> {
    text.lines().filter_map(|line| {
        let (name, number) = line.split_once(' ')?;
        Some((name, number.trim().parse().ok()?))
    })
}

/// The number behind `name`, or 0.
pub(super) fn value(text: &str, name: &str) -> u64 {
    pairs(text).find(|(found, _)| *found == name).map_or(0, |(_, number)| number)
}
