//! Tells when there may be something new in a log.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;

use crate::error::{Error, Result};

/// A descriptor that becomes readable whenever a log grows or is rotated.
///
/// The kernel limits how many a user may have (128 by default): fall back to a timer where one cannot be made.
#[derive(Debug)]
pub struct Watch {
    inotify: OwnedFd,
}

impl Watch {
    /// Watches the log at `path`, whose folder must exist.
    pub fn new(path: &Path) -> Result<Watch> {
        let inotify =
            inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(Error::system("make a watch"))?;
        let events = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::ONLYDIR;
        let folder = path.parent().unwrap_or(Path::new("/"));
        inotify::add_watch(&inotify, folder, events).map_err(Error::system("watch the log's folder"))?;
        Ok(Watch { inotify })
    }

    /// Forgets what happened so far, and tells whether anything had. Call it before reading the log, so that nothing is
    /// missed.
    pub fn clear(&self) -> Result<bool> {
        let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
        let mut happened = false;
        loop {
            match rustix::io::read(&self.inotify, &mut buffer) {
                Ok(([], _)) => return Ok(happened),
                Ok(_) => happened = true,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(happened),
                Err(errno) => return Err(Error::system("read a watch")(errno)),
            }
        }
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

impl AsRawFd for Watch {
    fn as_raw_fd(&self) -> RawFd {
        self.inotify.as_raw_fd()
    }
}
