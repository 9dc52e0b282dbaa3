//! Layers: imported from tar streams, kept as directories named by chain id, exported as the same tar.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use model::{ChainId, DiffId, Digest};
use rustix::fs::{Mode, OFlags};
use sha2::{Digest as _, Sha256};
use sys::root::Root;

use crate::apply::{Applier, Flavour, LayerFlavour, Placed, Shadow};
use crate::blob::{self, Keeping, KeptBlob};
use crate::error::Doing;
use crate::lower::Lower;
use crate::pipeline::{self, Incoming};
use crate::split::{Record, Source, SplitReader, SplitWriter, locate};
use crate::storage::Scratch;
use crate::sum::{Sum, Summing, Witness, Witnessed};
use crate::tar::{Entry, EntryKind, Reader};
use crate::{Error, Result, Storage, copy, snapshot};

/// A layer that is whole and on disk.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Layer {
    /// The layer with all beneath it.
    pub chain_id: ChainId,
    /// Digest of the uncompressed tar.
    pub diff_id: DiffId,
    /// The layer beneath.
    pub parent: Option<ChainId>,
    /// Sum of the sizes of its files, in bytes.
    pub size_bytes: u64,
    /// Length of its uncompressed tar, in bytes.
    pub tar_bytes: u64,
}

/// What `layer.json` holds.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Kept {
    #[serde(flatten)]
    pub(crate) layer: Layer,
    #[serde(default)]
    pub(crate) shadows: Vec<Shadow>,
    /// Of its tar. Layers that earlier builds made have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sum: Option<Sum>,
    /// What it was imported from, if that was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) blob: Option<KeptBlob>,
}

const DESCRIPTION: &str = "layer.json";
const MAX_DESCRIPTION_BYTES: usize = 64 * 1024 * 1024;

impl Kept {
    pub(crate) fn load(root: &Root, path: &Path) -> Result<Kept> {
        let file = path.join(DESCRIPTION);
        let bytes = root.read(&file, MAX_DESCRIPTION_BYTES)?;
        let damaged = |reason: String| Error::Damaged { path: file.clone(), reason };
        let kept: Kept = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        if path.file_name() != Some(kept.layer.chain_id.hex().as_ref()) {
            return Err(damaged("it describes another layer".into()));
        }
        Ok(kept)
    }
}

pub(crate) fn folder(chain_id: &ChainId) -> PathBuf {
    Path::new("layers").join(chain_id.hex())
}

/// The chain id of a layer with this diff id on top of `parent`.
pub fn chain_id(parent: Option<&ChainId>, diff_id: &DiffId) -> ChainId {
    match parent {
        None => ChainId(diff_id.0),
        Some(parent) => {
            let digest = Sha256::digest(format!("{parent} {diff_id}").as_bytes());
            ChainId(Digest::new(digest.into()))
        }
    }
}

impl Storage {
    /// Makes a layer on top of `parent` from a tar stream, plain or compressed with gzip, bzip2, xz or zstd (told by its first
    /// bytes). It exists when this returns, whole, or not at all; before anybody is promised that it stays,
    /// [`Storage::sync_layers`] must have put it on the disk. Importing a layer that exists gives that one.
    ///
    /// Reading, decompression and hashing happen on the calling thread, unpacking on another.
    pub fn import(&self, tar: impl Read, parent: Option<&ChainId>) -> Result<Layer> {
        if let Some(parent) = parent {
            self.layer(parent)?;
        }
        self.import_above(tar, parent, &|| true, None)
    }

    /// As [`Storage::import`], on a parent that may be made at the same time: `awaited` waits until it is there, and says
    /// false if it will never be. It is waited for when the archive first leaves something to it, and before this layer
    /// gets its name.
    ///
    /// `blob`: what comes is this, and is kept beside the files, to its end. The caller sees to it that the stream ends well
    /// only if the digest is right.
    pub fn import_above(
        &self,
        tar: impl Read,
        parent: Option<&ChainId>,
        awaited: &(dyn Fn() -> bool + Sync),
        blob: Option<&KeptBlob>,
    ) -> Result<Layer> {
        let scratch = self.scratch()?;
        scratch.root.mkdir("diff", 0o755)?;
        scratch.root.mkdir("aside", 0o700)?;
        let lower = parent.map(|parent| Lower::new(self, *parent, awaited));
        let file = blob.map(|_| scratch.root.create_new(blob::NAME, 0o600)).transpose()?;
        let mut tar = Keeping::new(tar, file);
        let (stream, unpacked) = pipeline::run(&mut tar, |incoming| unpack(&scratch.root, lower.as_ref(), incoming))?;
        let size_bytes = tar.finish()?;
        let blob = blob.map(|blob| KeptBlob { size_bytes, ..blob.clone() });
        let diff_id = DiffId(Digest::new(stream.sha256));
        let layer = Layer {
            chain_id: chain_id(parent, &diff_id),
            diff_id,
            parent: parent.copied(),
            size_bytes: unpacked.size_bytes,
            tar_bytes: stream.bytes,
        };
        self.keep_layer(&scratch, Kept { layer, shadows: unpacked.shadows, sum: Some(stream.sum), blob })
    }

    /// Writes the description, and gives the layer its name.
    pub(crate) fn keep_layer(&self, scratch: &Scratch<'_>, kept: Kept) -> Result<Layer> {
        if let Ok(existing) = self.layer(&kept.layer.chain_id) {
            return Ok(existing);
        }
        if kept.shadows.is_empty() && scratch.root.read_dir("aside")?.is_empty() {
            scratch.root.rmdir("aside")?;
        }
        let description = serde_json::to_vec(&kept).map_err(std::io::Error::from).doing("describing a layer")?;
        scratch.root.write(DESCRIPTION, &description, 0o600)?;
        let layer = kept.layer.clone();
        if scratch.publish("", &folder(&layer.chain_id))? {
            self.unsynced.lock().unwrap_or_else(PoisonError::into_inner).insert(layer.chain_id);
        }
        // If the place was taken, another import of the same layer was faster, and its files are the same.
        self.kept.write().unwrap_or_else(PoisonError::into_inner).entry(layer.chain_id).or_insert(kept);
        Ok(layer)
    }

    /// Waits until layers are on the disk; those that are already cost nothing. A power cut before that may leave a layer
    /// without its files: nothing that outlasts it may refer to one, so that the next start finds it free.
    ///
    /// One sync for all layers of an image, and not one for each: a sync writes what the whole file system has waiting.
    pub fn sync_layers<'a>(&self, chains: impl IntoIterator<Item = &'a ChainId>) -> Result<()> {
        let unsynced = || self.unsynced.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever waits for another's sync finds its layers done, or not begun when that one began.
        let _syncing = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = unsynced().clone();
        if !chains.into_iter().any(|chain| waiting.contains(chain)) {
            return Ok(());
        }
        let layers = self.root.open_with("layers", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
        rustix::fs::syncfs(&layers).doing("syncing layers")?;
        unsynced().retain(|chain| !waiting.contains(chain));
        Ok(())
    }

    /// The layer of this chain id.
    pub fn layer(&self, chain_id: &ChainId) -> Result<Layer> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        kept.get(chain_id).map(|kept| kept.layer.clone()).ok_or(Error::NoLayer(*chain_id))
    }

    /// The directory of a layer's files, whether it exists or not.
    pub fn layer_path(&self, chain_id: &ChainId) -> PathBuf {
        self.path.join(folder(chain_id)).join("diff")
    }

    /// All layers, in no particular order.
    pub fn layers(&self) -> Result<Vec<Layer>> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        Ok(kept.values().map(|kept| kept.layer.clone()).collect())
    }

    /// The description of a layer.
    pub(crate) fn kept(&self, chain_id: &ChainId) -> Result<Kept> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        kept.get(chain_id).cloned().ok_or(Error::NoLayer(*chain_id))
    }

    /// Removes a layer. The caller sees to it that no image, layer or container stands on it.
    pub fn remove_layer(&self, chain_id: &ChainId) -> Result<()> {
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        if kept.remove(chain_id).is_none() {
            return Err(Error::NoLayer(*chain_id));
        }
        self.unsynced.lock().unwrap_or_else(PoisonError::into_inner).remove(chain_id);
        self.discard(folder(chain_id))?;
        self.discard(snapshot::init_folder(Some(chain_id)))?;
        Ok(())
    }

    /// Writes the layer's uncompressed tar, byte for byte what was imported. Fails, after having written, if the layer's
    /// files were changed on disk since.
    pub fn export_layer(&self, chain_id: &ChainId, out: impl Write) -> Result<()> {
        let kept = self.kept(chain_id)?;
        export(&self.root.open_dir(folder(chain_id))?, &kept, out)
    }
}

/// Writes the tar of the layer in `folder`, and makes sure that it is what was imported: by its sum if that was kept.
fn export(folder: &Root, kept: &Kept, out: impl Write) -> Result<()> {
    let Some(sum) = kept.sum else { return export_by_digest(folder, kept, out) };
    if write::<Summing>(folder, kept, out)? == sum {
        return Ok(());
    }
    // What it gives now is told by its digest.
    export_by_digest(folder, kept, std::io::sink())?;
    let path = self::folder(&kept.layer.chain_id);
    Err(Error::Damaged { path, reason: "its files changed while they were read".to_owned() })
}

/// Writes the tar of the layer in `folder`, and compares its digest and what is known by it.
pub(crate) fn export_by_digest(folder: &Root, kept: &Kept, out: impl Write) -> Result<()> {
    let (digest, sum) = write::<(Sha256, Summing)>(folder, kept, out)?;
    let Layer { chain_id, diff_id: expected, .. } = kept.layer;
    let found = DiffId(Digest::new(digest));
    if found != expected {
        return Err(Error::LayerChanged { chain_id, expected, found });
    }
    if kept.sum.is_some_and(|kept| kept != sum) {
        let reason = "the sum in it is not that of the layer's tar, whose digest is right".to_owned();
        return Err(Error::Damaged { path: self::folder(&chain_id).join(DESCRIPTION), reason });
    }
    Ok(())
}

/// Writes the tar of the layer in `folder`; what the witness says of it.
fn write<H: Witness>(folder: &Root, kept: &Kept, out: impl Write) -> Result<H::Verdict> {
    let mut split = SplitReader::new(folder.open_file("split.zst")?).doing("opening the layer's tar headers")?;
    let aside = if folder.lookup("aside")?.is_some() { folder.open_dir("aside")? } else { folder.try_clone()? };
    let out = Witnessed::<_, H>::new(out);
    let mut export = Export { diff: folder.open_dir("diff")?, aside, out, buffer: vec![0; 256 * 1024] };
    let mut number = 0;
    while let Some(record) = split.next_record()? {
        match record {
            Record::Bytes(bytes) => export.out.write_all(&bytes).doing("writing the tar stream")?,
            Record::File { source, size, segments } => {
                export.file(&locate(source, number, &kept.shadows), size, &segments)?;
                number += 1;
            }
        }
    }
    export.out.flush().doing("writing the tar stream")?;
    Ok(export.out.verdict())
}

struct Unpacked {
    size_bytes: u64,
    shadows: Vec<Shadow>,
}

fn unpack(scratch: &Root, lower: Option<&Lower<'_>>, incoming: Incoming) -> Result<Unpacked> {
    let (diff, aside) = (scratch.open_dir("diff")?, scratch.open_dir("aside")?);
    let split = SplitWriter::new(scratch.create_new("split.zst", 0o600)?).doing("keeping the tar headers")?;
    let flavour = Flavour::Layer(LayerFlavour { lower, aside: &aside, shadows: Vec::new(), records: 0 });
    let mut applier = Applier::new(&diff, PathBuf::new(), flavour);
    let mut reader = Reader::with_raw(incoming, split);
    let mut size_bytes: u64 = 0;
    while let Some(entry) = reader.next_entry()? {
        let placed = applier.apply(&entry, &mut reader)?;
        // Holes can add up to more than any number holds.
        size_bytes = size_bytes.saturating_add(record(&mut applier, &mut reader, &entry, placed)?);
    }
    applier.finish()?;
    if let Some(lower) = lower {
        let beneath = lower.root()?;
        if !applier.knows_root {
            copy::directory_like(beneath, &diff)?;
        }
    }
    let shadows = match applier.flavour {
        Flavour::Layer(layer) => layer.shadows,
        Flavour::Plain(_) => Vec::new(),
    };
    reader.into_raw().finish().doing("keeping the tar headers")?;
    Ok(Unpacked { size_bytes, shadows })
}

/// Notes where an entry's contents went. Returns how much they count.
fn record(
    applier: &mut Applier<'_>,
    reader: &mut Reader<Incoming, SplitWriter>,
    entry: &Entry,
    placed: Placed,
) -> Result<u64> {
    let (source, counts) = match placed {
        // Its target is all that a symbolic link holds; Docker counts it, and so does a container's own size.
        Placed::Nowhere if entry.kind == EntryKind::Symlink => return Ok(entry.link.len() as u64),
        Placed::Nowhere => return Ok(0),
        Placed::File(path) => (Source::Diff(path), entry.unpacked_size()),
        Placed::Aside(path) => (Source::Aside(path), 0),
    };
    if entry.size > 0 {
        let segments = entry.sparse.as_ref().map_or(&[][..], |sparse| &sparse.segments);
        reader.raw().file(&source, entry.size, segments).doing("keeping the tar headers")?;
        if let Flavour::Layer(layer) = &mut applier.flavour {
            layer.records += 1;
        }
    }
    Ok(counts)
}

struct Export<W, H> {
    diff: Root,
    aside: Root,
    out: Witnessed<W, H>,
    buffer: Vec<u8>,
}

impl<W: Write, H: Witness> Export<W, H> {
    fn file(&mut self, source: &Source, size: u64, segments: &[crate::tar::Segment]) -> Result<()> {
        let file = match source {
            Source::Diff(path) => self.diff.open_file(path)?,
            Source::Aside(path) => self.aside.open_file(path)?,
        };
        let whole = [crate::tar::Segment { offset: 0, length: size }];
        let segments = if segments.is_empty() { &whole } else { segments };
        for segment in segments {
            self.part(&file, segment.offset, segment.length)?;
        }
        Ok(())
    }

    fn part(&mut self, file: &std::fs::File, mut offset: u64, mut left: u64) -> Result<()> {
        use std::os::unix::fs::FileExt;
        while left > 0 {
            let wanted = self.buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let length = file.read_at(&mut self.buffer[..wanted], offset).doing("reading a layer's file")?;
            if length == 0 {
                return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof)).doing("reading a layer's file");
            }
            self.out.write_all(&self.buffer[..length]).doing("writing the tar stream")?;
            offset += length as u64;
            left -= length as u64;
        }
        Ok(())
    }
}
