//! A look at a storage from outside: what lies beneath its directory, and whether the layers are what they were.
//!
//! Nothing is changed and nothing is locked, so that it may be done beside a daemon: what it reports of something that
//! a daemon is just making or removing is gone at a second look.

mod layer;

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use model::{ChainId, DiffId};
use sys::root::{Kind, Root};

use crate::blob::{self, KeptBlob};
use crate::error::Doing;
use crate::layer::{Kept, chain_id, export_by_digest, folder};
use crate::snapshot::SCRATCH;
use crate::volume::FOLDER as VOLUMES;
use crate::{Error, Layer, Result};

/// What lay beneath a storage's directory when it was looked at.
#[derive(Debug)]
pub struct Inspection {
    root: Root,
    kept: HashMap<ChainId, Kept>,
    /// Things that are not ours or not whole, with the reason, by their path beneath the directory.
    pub strays: Vec<(PathBuf, String)>,
    /// What operations that run, or were killed, have in `tmp`, and what waits in `trash` to be deleted.
    pub unfinished: Vec<PathBuf>,
    /// Containers' folders, and the layer that each writable layer stands on; `None` for one without a layer.
    pub containers: Vec<(String, Option<ChainId>)>,
    /// Names of volumes.
    pub volumes: Vec<String>,
    /// Layers that have an init layer.
    pub init: Vec<ChainId>,
}

/// What is wrong with a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerFault {
    /// The file it is about, beneath the storage's directory; the layer's folder if it cannot be told.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
    /// It is the blob that was kept of the layer; the layer itself may be whole.
    pub of_blob: bool,
}

impl LayerFault {
    fn new(path: PathBuf, reason: String) -> Self {
        Self { path, reason, of_blob: false }
    }
}

impl Inspection {
    /// Looks at the storage in `path`; files that other parts of the engine keep there are named by `others`.
    ///
    /// # Errors
    /// The directory is no storage, or cannot be read.
    pub fn read(path: &Path, others: &[&str]) -> Result<Inspection> {
        let mut inspection = Inspection {
            root: Root::open(path)?,
            kept: HashMap::new(),
            strays: Vec::new(),
            unfinished: Vec::new(),
            containers: Vec::new(),
            volumes: Vec::new(),
            init: Vec::new(),
        };
        for entry in inspection.root.read_dir(".")? {
            let path = PathBuf::from(&entry.name);
            match entry.name.to_str() {
                Some("layers") => inspection.each(&path, Inspection::look_at_layer)?,
                Some("init") => inspection.each(&path, Inspection::look_at_init)?,
                Some("containers") => inspection.each(&path, Inspection::look_at_container)?,
                Some(VOLUMES) => inspection.each(&path, Inspection::look_at_volume)?,
                Some("tmp") => inspection.each(&path, Inspection::look_at_temporary)?,
                Some("trash") => inspection.each(&path, |all, path| all.unfinished(path))?,
                Some("empty") => inspection.each(&path, Inspection::look_at_empty)?,
                // Of the file system, where the data root is one of its own.
                Some("lost+found") => {}
                Some(name) if others.contains(&name) => {}
                _ => inspection.stray(&path, "nothing of longshore's has this name")?,
            }
        }
        Ok(inspection)
    }

    fn each(&mut self, folder: &Path, look: impl Fn(&mut Self, &Path) -> Result<()>) -> Result<()> {
        for entry in self.root.read_dir(folder)? {
            look(self, &folder.join(entry.name))?;
        }
        Ok(())
    }

    fn stray(&mut self, path: &Path, reason: impl Into<String>) -> Result<()> {
        self.strays.push((path.to_path_buf(), reason.into()));
        Ok(())
    }

    fn unfinished(&mut self, path: &Path) -> Result<()> {
        self.unfinished.push(path.to_path_buf());
        Ok(())
    }

    fn look_at_layer(&mut self, path: &Path) -> Result<()> {
        match Kept::load(&self.root, path) {
            Ok(kept) => drop(self.kept.insert(kept.layer.chain_id, kept)),
            // Removed since the folder was listed.
            Err(_) if self.root.lookup(path)?.is_none() => {}
            Err(error) => self.stray(path, format!("no whole layer: {error}"))?,
        }
        Ok(())
    }

    fn look_at_init(&mut self, path: &Path) -> Result<()> {
        match chain_of(path) {
            _ if path.ends_with(SCRATCH) => Ok(()),
            Some(chain) => {
                self.init.push(chain);
                Ok(())
            }
            None => self.stray(path, "no layer has this name"),
        }
    }

    fn look_at_container(&mut self, path: &Path) -> Result<()> {
        let name = name_of(path);
        let is_id = name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_id || self.root.lookup(path)?.is_some_and(|metadata| !metadata.is_dir()) {
            return self.stray(path, "no container has this name");
        }
        let top = match self.root.read_link(path.join("parent")) {
            Ok(parent) => chain_of(&parent),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error.into()),
        };
        self.containers.push((name, top));
        Ok(())
    }

    fn look_at_volume(&mut self, path: &Path) -> Result<()> {
        let mut is_volume = false;
        if self.root.lookup(path)?.is_some_and(|metadata| metadata.is_dir()) {
            for entry in ignore_gone(self.root.read_dir(path))?.unwrap_or_default() {
                if entry.name == "_data" {
                    is_volume = true;
                } else {
                    self.stray(&path.join(entry.name), "a volume's files lie in _data")?;
                }
            }
        }
        match is_volume {
            true => {
                self.volumes.push(name_of(path));
                Ok(())
            }
            false => self.stray(path, "no volume: it has no folder _data"),
        }
    }

    /// The folders of the parts of the engine stay; what is in them is theirs.
    fn look_at_temporary(&mut self, path: &Path) -> Result<()> {
        if path.ends_with("images") || path.ends_with("registry") {
            return self.each(path, |all, path| all.unfinished(path));
        }
        self.unfinished(path)
    }

    fn look_at_empty(&mut self, path: &Path) -> Result<()> {
        self.each(path, |all, path| all.stray(path, "this folder stands for nothing and must be empty"))
    }

    /// All whole layers, in no particular order.
    pub fn layers(&self) -> impl Iterator<Item = &Layer> {
        self.kept.values().map(|kept| &kept.layer)
    }

    /// The blobs that were kept of layers, and not dropped since.
    ///
    /// # Errors
    /// One of them cannot be looked at.
    pub fn blobs(&self) -> Result<Vec<&KeptBlob>> {
        let mut blobs = Vec::new();
        for (chain, kept) in &self.kept {
            let Some(blob) = &kept.blob else { continue };
            if self.root.lookup(folder(chain).join(blob::NAME))?.is_some_and(|file| file.size() > 0) {
                blobs.push(blob);
            }
        }
        Ok(blobs)
    }

    /// The layer of this chain id.
    pub fn layer(&self, chain: &ChainId) -> Option<&Layer> {
        self.kept.get(chain).map(|kept| &kept.layer)
    }

    /// A layer and all beneath it that are there.
    pub fn line(&self, top: ChainId) -> impl Iterator<Item = ChainId> {
        let next = |chain: &ChainId| self.layer(chain).and_then(|layer| layer.parent);
        // Damage on the disk must not lead in circles.
        std::iter::successors(Some(top), next).take(self.kept.len() + 1)
    }

    /// Writes a layer's tar again and compares its digest, and the layer's folder with what the tar says should be in it.
    /// Reads all its files. A layer that is gone has no fault.
    ///
    /// # Errors
    /// Something cannot be read for another reason than damage.
    pub fn verify(&self, chain: &ChainId) -> Result<Vec<LayerFault>> {
        let Some(kept) = self.kept.get(chain) else { return Ok(Vec::new()) };
        let faults = self.compare(chain, kept);
        // Removed meanwhile: whatever was missing is no fault.
        if self.root.lookup(folder(chain))?.is_none() { Ok(Vec::new()) } else { faults }
    }

    fn compare(&self, chain: &ChainId, kept: &Kept) -> Result<Vec<LayerFault>> {
        let path = folder(chain);
        let fault = |error: Error| LayerFault::new(error_path(&path, &error), error.to_string());
        let layer = &kept.layer;
        let mut faults = Vec::new();
        if chain_id(layer.parent.as_ref(), &layer.diff_id) != layer.chain_id {
            let reason = "the layer that layer.json describes has another chain id".to_owned();
            faults.push(LayerFault::new(path.join("layer.json"), reason));
        }
        let files = match self.root.open_dir(&path) {
            Ok(files) => files,
            Err(error) => return Ok(vec![fault(error.into())]),
        };
        let (reader, writer) = io::pipe().doing("verifying a layer")?;
        let (listed, exported) = std::thread::scope(|scope| {
            let listing = scope.spawn(|| layer::Listing::read(reader, layer.parent.is_some()));
            let mut writer = io::BufWriter::with_capacity(1 << 16, writer);
            let exported =
                export_by_digest(&files, kept, &mut writer).and_then(|()| writer.flush().doing("verifying a layer"));
            drop(writer);
            (listing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), exported)
        });
        match (exported, listed) {
            (Err(error), _) => faults.push(fault(error)),
            (Ok(()), Err(error)) => faults.push(fault(error)),
            // Of what the archive itself replaced there is no telling which of the two is meant.
            (Ok(()), Ok(listing)) if kept.shadows.is_empty() => faults.extend(listing.compare(&files, &path)?),
            (Ok(()), Ok(_)) => {}
        }
        for entry in self.root.read_dir(&path)? {
            let is_blob = entry.name == blob::NAME && kept.blob.is_some();
            if !is_blob && !["aside", "diff", "layer.json", "split.zst"].map(Some).contains(&entry.name.to_str()) {
                faults.push(LayerFault::new(path.join(entry.name), "nothing of a layer has this name".to_owned()));
            }
        }
        let blob = path.join(blob::NAME);
        if let Some(kept) = &kept.blob
            && let Some(reason) = blob::damage(&self.root, &blob, kept)?
        {
            faults.push(LayerFault { path: blob, reason, of_blob: true });
        }
        Ok(faults)
    }

    /// Digest of a layer's tar as it was imported.
    pub fn diff_id(&self, chain: &ChainId) -> Option<DiffId> {
        self.layer(chain).map(|layer| layer.diff_id)
    }
}

/// The file that an error is about.
fn error_path(layer: &Path, error: &Error) -> PathBuf {
    match error {
        Error::Path(error) => layer.join("diff").join(&error.path),
        _ => layer.to_path_buf(),
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn chain_of(path: &Path) -> Option<ChainId> {
    format!("sha256:{}", path.file_name()?.to_str()?).parse().ok()
}

fn ignore_gone<T>(outcome: sys::root::Result<T>) -> Result<Option<T>> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether a kind on the disk is what the archive has.
fn same_kind(kind: Kind, entry: crate::tar::EntryKind) -> bool {
    use crate::tar::EntryKind;
    match entry {
        EntryKind::File => kind == Kind::File,
        EntryKind::Directory => kind == Kind::Directory,
        EntryKind::Symlink => kind == Kind::Symlink,
        EntryKind::CharDevice => kind == Kind::CharDevice,
        EntryKind::BlockDevice => kind == Kind::BlockDevice,
        EntryKind::Fifo => kind == Kind::Fifo,
        EntryKind::HardLink => true,
    }
}
