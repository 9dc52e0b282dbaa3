//! The storage as a whole: its directory, opening, sweeping, disk usage.

use std::collections::{HashMap, HashSet};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use model::ChainId;
use rustix::io::Errno;
use sys::root::{Kind, Root};

use crate::layer::Kept;
use crate::trash::Trash;
use crate::unmount::Unmounting;
use crate::{Error, Result, tree};

/// Layers, container file systems and volumes beneath one directory. Cheap to share behind an `Arc`; every operation may be
/// called from any thread. One process at a time may have a storage open.
#[derive(Debug)]
pub struct Storage {
    pub(crate) path: PathBuf,
    pub(crate) root: Root,
    pub(crate) kept: RwLock<HashMap<ChainId, Kept>>,
    /// Layers that no sync has put on the disk yet.
    pub(crate) unsynced: Mutex<HashSet<ChainId>>,
    /// Held while a sync runs.
    pub(crate) syncing: Mutex<()>,
    next: AtomicU64,
    trash: Trash,
    pub(crate) unmounting: Unmounting,
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

const FOLDERS: [&str; 8] =
    ["layers", "init", "containers", crate::volume::FOLDER, "tmp", "trash", "empty/first", "empty/second"];

impl Storage {
    /// Opens the storage at `path`, making it if it is missing: checks that overlayfs works there, and removes what an
    /// earlier process left unfinished.
    pub fn open(path: &Path) -> Result<Storage> {
        std::fs::create_dir_all(path).map_err(|source| Error::Io { action: "making the storage", source })?;
        let path = path.canonicalize().map_err(|source| Error::Io { action: "opening the storage", source })?;
        let root = Root::open(&path)?;
        for folder in FOLDERS {
            root.mkdir_all(folder, if folder.starts_with("empty") { 0o755 } else { 0o711 }, None)?;
        }
        let trash = Trash::new(root.open_dir("trash")?)?;
        let kept = RwLock::new(HashMap::new());
        let (unsynced, syncing) = (Mutex::default(), Mutex::default());
        // What an earlier process with this one's number left has names from below this one.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let next = AtomicU64::new(u64::try_from(now.as_nanos()).unwrap_or_default());
        let unmounting = Unmounting::new()?;
        let storage = Storage { path, root, kept, unsynced, syncing, next, trash, unmounting };
        storage.sweep()?;
        storage.probe()?;
        Ok(storage)
    }

    /// The storage's directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes taken by layers, containers and volumes. Walks the containers' and volumes' files.
    pub fn disk_usage(&self) -> Result<DiskUsage> {
        let layers = self.layers()?.into_iter().map(|layer| (layer.chain_id, layer.size_bytes)).collect();
        let mut usage = DiskUsage { layers, ..DiskUsage::default() };
        for id in self.snapshots()? {
            if let Some(bytes) = ignore_gone(self.usage(&id))? {
                usage.snapshots.push((id, bytes));
            }
        }
        for name in self.volumes()? {
            let folder = format!("{}/{name}/_data", crate::volume::FOLDER);
            let bytes = self.root.open_dir(folder).map_err(Error::from).and_then(|root| tree::size_bytes(&root));
            if let Some(bytes) = ignore_gone(bytes)? {
                usage.volumes.push((name, bytes));
            }
        }
        Ok(usage)
    }

    /// A name that nothing in `tmp` and `trash` has.
    pub(crate) fn fresh(&self) -> String {
        format!("{}-{}", std::process::id(), self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// A new folder in `tmp`, trashed when dropped unless it was moved away.
    pub(crate) fn scratch(&self) -> Result<Scratch<'_>> {
        let path = Path::new("tmp").join(self.fresh());
        self.root.mkdir(&path, 0o711)?;
        Ok(Scratch { root: self.root.open_dir(&path)?, storage: self, path })
    }

    /// Takes something away at once; its files are deleted in the background. Returns whether it was there.
    pub(crate) fn discard(&self, path: impl AsRef<Path>) -> Result<bool> {
        let target = Path::new("trash").join(self.fresh());
        match self.root.rename(path, target) {
            Ok(()) => {
                self.trash.ring();
                Ok(true)
            }
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes what is not whole, and learns the layers.
    fn sweep(&self) -> Result<()> {
        for entry in self.root.read_dir("tmp")? {
            self.discard(Path::new("tmp").join(entry.name))?;
        }
        for entry in self.root.read_dir("containers")? {
            let path = Path::new("containers").join(entry.name);
            if self.root.lookup(path.join("parent"))?.is_none() {
                self.discard(path)?;
            }
        }
        let mut kept = HashMap::new();
        for entry in self.root.read_dir("layers")? {
            let path = Path::new("layers").join(&entry.name);
            match Kept::load(&self.root, &path) {
                Ok(layer) => drop(kept.insert(layer.layer.chain_id, layer)),
                Err(error) => {
                    tracing::warn!(%error, layer = ?entry.name, "removing a layer that is not whole");
                    self.discard(path)?;
                }
            }
        }
        for entry in self.root.read_dir("init")? {
            let chain_id = entry.name.to_str().map(|hex| format!("sha256:{hex}").parse::<ChainId>());
            let is_known = matches!(chain_id, Some(Ok(chain_id)) if kept.contains_key(&chain_id));
            if !is_known && entry.name != crate::snapshot::SCRATCH {
                self.discard(Path::new("init").join(entry.name))?;
            }
        }
        *self.kept.write().unwrap_or_else(PoisonError::into_inner) = kept;
        Ok(())
    }

    /// Mounts a small overlay and uses what the storage relies on: a clear error now instead of one at each start.
    fn probe(&self) -> Result<()> {
        let scratch = self.scratch()?;
        for folder in ["lower", "upper", "work"] {
            scratch.root.mkdir(folder, 0o755)?;
        }
        scratch.root.write("lower/old", b"", 0o644)?;
        let unfit = |reason: String| Error::Unfit { path: self.path.clone(), reason };
        let lower = scratch.root.open_dir("lower")?;
        let mounted = Root::from(overlay(&[&lower], Some(&scratch.root)).map_err(|error| unfit(error.to_string()))?);
        mounted.unlink("old").map_err(|error| unfit(format!("overlayfs cannot delete here: {error}")))?;
        if scratch.root.lookup("upper/old")?.is_none_or(|metadata| metadata.kind() != Kind::CharDevice) {
            return Err(unfit("overlayfs makes no whiteouts here".into()));
        }
        Ok(())
    }
}

fn ignore_gone<T>(outcome: Result<T>) -> Result<Option<T>> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        // Removed between being listed and being looked at.
        Err(error) if error.kind() == model::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Mounts layers, topmost first; `writable` holds `upper` and `work`.
pub(crate) fn overlay(lower: &[&Root], writable: Option<&Root>) -> Result<OwnedFd> {
    let lower: Vec<_> = lower.iter().map(|root| root.as_fd()).collect();
    let Some(writable) = writable else {
        return Ok(sys::overlay::mount(&lower, None)?);
    };
    let (upper, work) = (writable.open_dir("upper")?, writable.open_dir("work")?);
    let writable = sys::overlay::Writable { upper: upper.as_fd(), work: work.as_fd() };
    Ok(sys::overlay::mount(&lower, Some(writable))?)
}

/// A folder in `tmp` for something that is not whole yet.
pub(crate) struct Scratch<'a> {
    pub(crate) root: Root,
    storage: &'a Storage,
    path: PathBuf,
}

impl Scratch<'_> {
    /// Moves the folder (or what `part` names in it) to its place, durably. False if that place is taken already.
    pub(crate) fn publish(&self, part: &str, target: &Path) -> Result<bool> {
        match self.storage.root.rename(self.path.join(part), target) {
            Ok(()) => Ok(true),
            Err(error) if matches!(error.errno(), Errno::EXIST | Errno::NOTEMPTY) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for Scratch<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.storage.discard(&self.path) {
            // The next start sweeps it.
            tracing::warn!(%error, "cannot remove a temporary folder");
        }
    }
}
