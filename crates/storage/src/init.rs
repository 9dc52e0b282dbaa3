//! The init layer of an image: what every container finds whatever the image holds.

use model::ChainId;
use rustix::io::Errno;
use sys::root::Root;

use crate::snapshot::init_folder;
use crate::storage::overlay;
use crate::{Result, Storage, copy};

const DIRECTORIES: [&str; 4] = ["dev/pts", "dev/shm", "proc", "sys"];
const FILES: [&str; 5] = [".dockerenv", "dev/console", "etc/hostname", "etc/hosts", "etc/resolv.conf"];

impl Storage {
    /// The init layer on top of `top`, made at the first call for it.
    pub(crate) fn init_layer(&self, top: Option<&ChainId>) -> Result<Root> {
        let folder = init_folder(top);
        match self.root.open_dir(&folder) {
            Err(error) if error.is_not_found() => {}
            other => return Ok(other?),
        }
        let scratch = self.scratch()?;
        scratch.root.mkdir("upper", 0o755)?;
        scratch.root.mkdir("work", 0o700)?;
        let below = Root::from(self.mount_layers(top)?);
        let upper = scratch.root.open_dir("upper")?;
        copy::directory_like(&below, &upper)?;
        let mut lower = self.lower(top, false)?;
        if lower.is_empty() {
            lower.push(self.root.open_dir("empty/first")?);
        }
        let mounted = Root::from(overlay(&lower.iter().collect::<Vec<_>>(), Some(&scratch.root))?);
        furnish(&mounted)?;
        drop(mounted);
        upper.set_modified(".", below.symlink_metadata(".")?.modified())?;
        scratch.publish("upper", &folder)?; // if another thread was faster, its layer is the same
        Ok(self.root.open_dir(&folder)?)
    }
}

fn furnish(root: &Root) -> Result<()> {
    for path in DIRECTORIES {
        root.mkdir_all(path, 0o755, None)?;
    }
    root.mkdir_all("etc", 0o755, None)?;
    for path in FILES {
        // A link or file of the image makes way: these are mount points, and a link would lead the mount elsewhere.
        if clear(root, path)? {
            root.create_new(path, 0o755)?;
        }
    }
    if clear(root, "etc/mtab")? {
        root.symlink("/proc/mounts", "etc/mtab")?;
    }
    Ok(())
}

/// Removes what is at `path` unless it is a directory. Whether the place is free then.
fn clear(root: &Root, path: &str) -> Result<bool> {
    match root.unlink(path) {
        Ok(()) => Ok(true),
        Err(error) if error.is_not_found() => Ok(true),
        Err(error) if error.errno() == Errno::ISDIR => Ok(false),
        Err(error) => Err(error.into()),
    }
}
