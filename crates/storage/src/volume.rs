//! Volumes: named directories that outlive containers.

use std::path::{Path, PathBuf};

use sys::root::Root;

use crate::{Result, Storage};

impl Storage {
    /// Makes a volume if it does not exist and returns the directory of its files.
    pub fn create_volume(&self, name: &str) -> Result<PathBuf> {
        let _ = name;
        Err(crate::unfinished(&self.path))
    }

    /// The directory of an existing volume's files.
    pub fn volume_path(&self, name: &str) -> Result<PathBuf> {
        Err(crate::Error::NoVolume(name.to_string()))
    }

    /// Names of all volumes, sorted.
    pub fn volumes(&self) -> Result<Vec<String>> {
        Err(crate::unfinished(&self.path))
    }

    /// Removes a volume and its files (in the background).
    pub fn remove_volume(&self, name: &str) -> Result<()> {
        Err(crate::Error::NoVolume(name.to_string()))
    }

    /// Copies what `path` holds in a container's file system into an empty volume, as Docker does when a volume is first mounted
    /// there: owner, mode, extended attributes, hard links and times kept. Returns whether anything was copied; a volume
    /// that holds something, and a path that is no directory, are left alone.
    pub fn populate_volume(&self, name: &str, from: &Root, path: &Path) -> Result<bool> {
        let _ = (from, path);
        Err(crate::Error::NoVolume(name.to_string()))
    }
}
