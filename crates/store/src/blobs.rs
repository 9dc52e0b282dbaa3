//! What registries are known to have: layers as blobs, and the manifests that images were pulled by.

use model::{DiffId, Digest, ImageId, Reference};

use crate::store::{key, text};
use crate::{Reader, Result, Transaction};

/// A row of the blobs table: a repository that has a layer, and in which form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBlob {
    /// Digest of the layer's uncompressed tar stream.
    pub diff: DiffId,
    /// The repository, without tag.
    pub repository: Reference,
    /// Digest of the blob, which usually is compressed.
    pub digest: Digest,
    /// Length of the blob in bytes.
    pub size_bytes: u64,
    /// What the blob is.
    pub media_type: String,
    /// The compressor of ours that made it, if one did: the same one makes the same bytes of the layer again.
    pub compressor: Option<String>,
}

/// A row of the manifests table: the manifest that an image was pulled by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredManifest {
    /// What the document is.
    pub media_type: String,
    /// The manifest, byte for byte.
    pub document: String,
}

impl Reader<'_> {
    /// Everywhere a layer of this content is known to be.
    ///
    /// # Errors
    /// [`crate::Error::Key`] if a row is malformed.
    pub fn blobs(&self, diff: &DiffId) -> Result<Vec<StoredBlob>> {
        let sql = "SELECT repository, digest, size_bytes, media_type, compressor FROM blobs WHERE diff = ?1";
        self.rows(sql, [diff.to_string()], |row| {
            let size: i64 = row.get(2)?;
            Ok(StoredBlob {
                diff: *diff,
                repository: key("blobs", text(row, 0)?)?,
                digest: key("blobs", text(row, 1)?)?,
                size_bytes: size.unsigned_abs(),
                media_type: text(row, 3)?.to_owned(),
                compressor: row.get(4)?,
            })
        })
    }

    /// The manifest that an image was pulled by, if it was.
    ///
    /// # Errors
    /// [`crate::Error::Database`].
    pub fn manifest(&self, image: &ImageId) -> Result<Option<StoredManifest>> {
        self.first("SELECT media_type, document FROM manifests WHERE image = ?1", [image.to_string()], |row| {
            Ok(StoredManifest { media_type: text(row, 0)?.to_owned(), document: text(row, 1)?.to_owned() })
        })
    }
}

impl Transaction<'_> {
    /// Notes that a repository has a layer; nothing if there is no such layer here any more.
    ///
    /// # Errors
    /// [`crate::Error::Database`].
    pub fn put_blob(&self, blob: &StoredBlob) -> Result<()> {
        let size = i64::try_from(blob.size_bytes).unwrap_or(i64::MAX);
        self.execute(
            "INSERT INTO blobs(diff, repository, digest, size_bytes, media_type, compressor)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE EXISTS (SELECT 1 FROM layers WHERE diff = ?1)
             ON CONFLICT(diff, repository, digest) DO UPDATE
             SET media_type = excluded.media_type, compressor = COALESCE(excluded.compressor, compressor)",
            (
                blob.diff.to_string(),
                blob.repository.name(),
                blob.digest.to_string(),
                size,
                &blob.media_type,
                &blob.compressor,
            ),
        )?;
        Ok(())
    }

    /// Forgets that a repository has a blob.
    ///
    /// # Errors
    /// [`crate::Error::Database`].
    pub fn remove_blob(&self, repository: &Reference, digest: &Digest) -> Result<()> {
        self.execute(
            "DELETE FROM blobs WHERE repository = ?1 AND digest = ?2",
            (repository.name(), digest.to_string()),
        )?;
        Ok(())
    }

    /// Keeps the manifest that an image was pulled by; nothing if the image is gone.
    ///
    /// # Errors
    /// [`crate::Error::Database`].
    pub fn put_manifest(&self, image: &ImageId, manifest: &StoredManifest) -> Result<()> {
        self.execute(
            "INSERT INTO manifests(image, media_type, document)
             SELECT ?1, ?2, ?3 WHERE EXISTS (SELECT 1 FROM images WHERE id = ?1)
             ON CONFLICT(image) DO UPDATE SET media_type = excluded.media_type, document = excluded.document",
            (image.to_string(), &manifest.media_type, &manifest.document),
        )?;
        Ok(())
    }
}
