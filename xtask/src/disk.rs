//! A disk of its own for data roots: an ext4 image on a loop device, made and removed here.
//!
//! The figures and the time limits of the tests would otherwise depend on what the host's root file system is and has
//! just been through (an ext4 without a journal creates files ten times slower for minutes after a mass delete).

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::run::succeed;

/// Sparse: only what is written takes space.
const SIZE_BYTES: u64 = 12 << 30;

/// A mounted scratch file system; unmounted and removed on drop.
pub(crate) struct Disk {
    image: PathBuf,
    folder: PathBuf,
}

impl Disk {
    /// Makes and mounts one.
    pub(crate) fn mount() -> Result<Self> {
        let name = format!("longshore-disk-{}", std::process::id());
        let disk =
            Self { image: Path::new("/var/tmp").join(format!("{name}.img")), folder: Path::new("/tmp").join(name) };
        std::fs::File::create(&disk.image)
            .and_then(|file| file.set_len(SIZE_BYTES))
            .with_context(|| format!("cannot make {}", disk.image.display()))?;
        std::fs::create_dir_all(&disk.folder)?;
        succeed(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&disk.image))?;
        succeed(Command::new("mount").args(["-o", "loop"]).arg(&disk.image).arg(&disk.folder))?;
        Ok(disk)
    }

    /// Where it is mounted.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        for result in [
            succeed(Command::new("umount").arg(&self.folder)),
            std::fs::remove_dir(&self.folder).map_err(Into::into),
            std::fs::remove_file(&self.image).map_err(Into::into),
        ] {
            if let Err(error) = result {
                eprintln!("scratch disk not cleaned up: {error:#}");
            }
        }
    }
}
