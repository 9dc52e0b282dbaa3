//! Layers: imported from tar streams, kept as directories named by chain id, exported as the same tar.

use std::io::{Read, Write};

use model::{ChainId, DiffId};

use crate::{Result, Storage};

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

impl Storage {
    /// Makes a layer on top of `parent` from a tar stream, plain or compressed with gzip, bzip2, xz or zstd (told by its first
    /// bytes). It exists when this returns, synced to disk, or not at all. Importing a layer that exists gives that one.
    pub fn import(&self, tar: impl Read, parent: Option<&ChainId>) -> Result<Layer> {
        let _ = (tar, parent);
        Err(crate::unfinished(&self.path))
    }

    /// Makes an empty layer on top of `parent` (what build steps and imports without files leave).
    pub fn import_empty(&self, parent: Option<&ChainId>) -> Result<Layer> {
        self.import([0_u8; 1024].as_slice(), parent)
    }

    /// The layer of this chain id.
    pub fn layer(&self, chain_id: &ChainId) -> Result<Layer> {
        Err(crate::Error::NoLayer(*chain_id))
    }

    /// All layers, in no particular order.
    pub fn layers(&self) -> Result<Vec<Layer>> {
        Err(crate::unfinished(&self.path))
    }

    /// Removes a layer. The caller sees to it that no image, layer or container stands on it.
    pub fn remove_layer(&self, chain_id: &ChainId) -> Result<()> {
        Err(crate::Error::NoLayer(*chain_id))
    }

    /// Writes the layer's uncompressed tar, byte for byte what was imported.
    pub fn export_layer(&self, chain_id: &ChainId, out: impl Write) -> Result<()> {
        let _ = out;
        Err(crate::Error::NoLayer(*chain_id))
    }
}
