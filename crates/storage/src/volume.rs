//! Volumes: named directories that outlive containers.

use std::path::{Path, PathBuf};

use rustix::io::Errno;
use sys::root::Root;

use crate::snapshot::checked_name;
use crate::{Error, Result, Storage, copy};

/// Where volumes lie. Not `volumes`: clients of 2014 were shown paths in which that word meant something else, and the
/// contract recorded then reads it so.
pub(crate) const FOLDER: &str = "volume-data";

fn folder(name: &str) -> Result<PathBuf> {
    Ok(Path::new(FOLDER).join(checked_name(name)?))
}

impl Storage {
    /// Makes a volume if it does not exist and returns the directory of its files.
    pub fn create_volume(&self, name: &str) -> Result<PathBuf> {
        let data = folder(name)?.join("_data");
        match self.root.mkdir(folder(name)?, 0o711) {
            Err(error) if error.errno() == Errno::EXIST => {}
            other => other?,
        }
        match self.root.mkdir(&data, 0o755) {
            Err(error) if error.errno() == Errno::EXIST => {}
            Err(error) => return Err(error.into()),
            Ok(()) => self.root.chmod(&data, 0o755)?, // whatever the umask
        }
        Ok(self.path.join(data))
    }

    /// The directory of an existing volume's files.
    pub fn volume_path(&self, name: &str) -> Result<PathBuf> {
        let data = folder(name)?.join("_data");
        match self.root.lookup(&data)? {
            Some(_) => Ok(self.path.join(data)),
            None => Err(Error::NoVolume(name.to_string())),
        }
    }

    /// Names of all volumes, sorted.
    pub fn volumes(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in self.root.read_dir(FOLDER)? {
            if let Ok(name) = entry.name.into_string()
                && self.root.lookup(Path::new(FOLDER).join(&name).join("_data"))?.is_some()
            {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// Removes a volume and its files (in the background).
    pub fn remove_volume(&self, name: &str) -> Result<()> {
        if self.discard(folder(name)?)? { Ok(()) } else { Err(Error::NoVolume(name.to_string())) }
    }

    /// Copies what `path` holds in a container's file system into an empty volume, as Docker does when a volume is first mounted
    /// there: owner, mode, extended attributes, hard links and times kept. Returns whether anything was copied; a volume
    /// that holds something, and a path that is no directory, are left alone.
    pub fn populate_volume(&self, name: &str, from: &Root, path: &Path) -> Result<bool> {
        let data = folder(name)?.join("_data");
        let data = match self.root.open_dir(&data) {
            Err(error) if error.is_not_found() => return Err(Error::NoVolume(name.to_string())),
            other => other?,
        };
        let source = match from.open_dir(path) {
            Err(error) if matches!(error.errno(), Errno::NOENT | Errno::NOTDIR) => return Ok(false),
            other => other?,
        };
        if !data.read_dir(".")?.is_empty() {
            return Ok(false);
        }
        copy::tree(&source, &data)?;
        copy::directory_like(&source, &data)?;
        Ok(true)
    }
}
