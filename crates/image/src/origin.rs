//! What registries are known to have of our images, so that nothing is sent twice and digests stay what they were.

use std::fs::File;
use std::io::Write;

use model::{ChainId, DiffId, Digest, ImageId, Reference};
use storage::KeptBlob;
use store::{StoredBlob, StoredManifest};

use crate::{Image, Images, Result, save};

impl Images {
    /// Everywhere a layer of this content is known to be.
    ///
    /// # Errors
    /// The store's.
    pub fn blobs(&self, diff: &DiffId) -> Result<Vec<StoredBlob>> {
        Ok(self.store.read(|reader| reader.blobs(diff))?)
    }

    /// Notes where layers are; those that are not here any more are passed over.
    ///
    /// # Errors
    /// The store's.
    pub fn note_blobs(&self, blobs: &[StoredBlob]) -> Result<()> {
        Ok(self.store.write(|transaction| blobs.iter().try_for_each(|blob| transaction.put_blob(blob)))?)
    }

    /// Forgets a blob that turned out to be gone.
    ///
    /// # Errors
    /// The store's.
    pub fn forget_blob(&self, repository: &Reference, digest: &Digest) -> Result<()> {
        Ok(self.store.write(|transaction| transaction.remove_blob(repository, digest))?)
    }

    /// The manifest that an image was pulled by, if it was.
    ///
    /// # Errors
    /// The store's.
    pub fn manifest(&self, image: &ImageId) -> Result<Option<StoredManifest>> {
        Ok(self.store.read(|reader| reader.manifest(image))?)
    }

    /// What describes an image to others: the manifest it was pulled by, else the one that a save writes.
    ///
    /// # Errors
    /// The store's and the storage's.
    pub fn described(&self, image: &Image) -> Result<StoredManifest> {
        match self.manifest(&image.id)? {
            Some(pulled) => Ok(pulled),
            None => save::described(&self.storage, image),
        }
    }

    /// Keeps the manifest that an image was pulled by, so that a push of the unchanged image sends the same.
    ///
    /// # Errors
    /// The store's.
    pub fn note_manifest(&self, image: &ImageId, manifest: &StoredManifest) -> Result<()> {
        Ok(self.store.write(|transaction| transaction.put_manifest(image, manifest))?)
    }

    /// Whether a layer is on the disk, whole. It stays only while a lease lives or an image has it.
    ///
    /// # Errors
    /// The storage's.
    pub fn has_layer(&self, chain: &ChainId) -> Result<bool> {
        match self.storage.layer(chain) {
            Ok(_) => Ok(true),
            Err(storage::Error::NoLayer(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes a layer's uncompressed tar stream, byte for byte what was imported.
    ///
    /// # Errors
    /// The storage's, among them that the layer's files were changed; what was written is to be thrown away then.
    pub fn export_layer(&self, chain: &ChainId, out: impl Write) -> Result<()> {
        Ok(self.storage.export_layer(chain, out)?)
    }

    /// The blob that was kept of a layer when it was pulled: whoever reads it compares its digest.
    ///
    /// # Errors
    /// The storage's.
    pub fn kept_blob(&self, chain: &ChainId) -> Result<Option<(KeptBlob, File)>> {
        Ok(self.storage.kept_blob(chain)?)
    }

    /// Drops the blob that was kept of a layer.
    ///
    /// # Errors
    /// The storage's.
    pub fn drop_blob(&self, chain: &ChainId) -> Result<()> {
        Ok(self.storage.drop_blob(chain)?)
    }

    /// Length in bytes of a layer's uncompressed tar stream.
    ///
    /// # Errors
    /// The storage's.
    pub fn layer_length(&self, chain: &ChainId) -> Result<u64> {
        Ok(self.storage.layer(chain)?.tar_bytes)
    }
}
