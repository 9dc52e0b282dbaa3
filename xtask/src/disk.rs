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

/// Where the images lie, and what they are called before the number of the process that made them.
const IMAGES: &str = "/var/tmp";
const NAME: &str = "longshore-disk-";

/// A mounted scratch file system; unmounted and removed on drop.
pub(crate) struct Disk {
    image: PathBuf,
    folder: PathBuf,
}

impl Disk {
    /// Makes and mounts one.
    pub(crate) fn mount() -> Result<Self> {
        sweep()?;
        let disk = Self::of(std::process::id());
        std::fs::File::create(&disk.image)
            .and_then(|file| file.set_len(SIZE_BYTES))
            .with_context(|| format!("cannot make {}", disk.image.display()))?;
        std::fs::create_dir_all(&disk.folder)?;
        succeed(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&disk.image))?;
        succeed(Command::new("mount").args(["-o", "loop"]).arg(&disk.image).arg(&disk.folder))?;
        Ok(disk)
    }

    fn of(process: u32) -> Self {
        let name = format!("{NAME}{process}");
        Self { image: Path::new(IMAGES).join(format!("{name}.img")), folder: Path::new("/tmp").join(name) }
    }

    /// Where it is mounted.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Removes the disks of those who were killed before they could.
fn sweep() -> Result<()> {
    for entry in std::fs::read_dir(IMAGES).with_context(|| format!("cannot list {IMAGES}"))? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(NAME)?.strip_suffix(".img"));
        if let Some(process) = number.and_then(|number| number.parse().ok())
            && !Path::new("/proc").join(format!("{process}")).exists()
        {
            drop(Disk::of(process));
        }
    }
    Ok(())
}

impl Drop for Disk {
    fn drop(&mut self) {
        for result in [
            succeed(Command::new("umount").arg("--recursive").arg(&self.folder)),
            std::fs::remove_dir(&self.folder).map_err(Into::into),
            std::fs::remove_file(&self.image).map_err(Into::into),
        ] {
            if let Err(error) = result {
                eprintln!("scratch disk not cleaned up: {error:#}");
            }
        }
    }
}
