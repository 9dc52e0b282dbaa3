//! Images, their names and their layers.

use model::{ChainId, DiffId, ImageId, Reference};
use serde::{Serialize, de::DeserializeOwned};

use crate::store::{from_json, key, text, to_json};
use crate::{Error, Reader, Result, Transaction};

/// A row of the images table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredImage<D> {
    /// The digest of `config`.
    pub id: ImageId,
    /// What is known of the image besides its config.
    pub document: D,
    /// The config, byte for byte.
    pub config: Vec<u8>,
}

/// A row of the tags table: a name (with tag or digest) and the image it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTag {
    /// The full name with its tag or digest.
    pub reference: Reference,
    /// The image.
    pub image: ImageId,
}

/// A row of the layers table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredLayer {
    /// The layer and all beneath it.
    pub chain: ChainId,
    /// The layer beneath.
    pub parent: Option<ChainId>,
    /// Digest of its uncompressed tar stream.
    pub diff: DiffId,
    /// Sum of its files' sizes in bytes.
    pub size_bytes: u64,
}

impl Reader<'_> {
    /// All images, oldest row first.
    ///
    /// # Errors
    /// [`crate::Error::Document`] if one does not fit `D`.
    pub fn images<D: DeserializeOwned>(&self) -> Result<Vec<StoredImage<D>>> {
        self.rows("SELECT id, document, config FROM images ORDER BY rowid", [], |row| {
            let id = text(row, 0)?;
            Ok(StoredImage {
                id: key("images", id)?,
                document: from_json("images", id, text(row, 1)?)?,
                config: row.get(2)?,
            })
        })
    }

    /// All names.
    ///
    /// # Errors
    /// [`crate::Error::Key`] if one is no reference.
    pub fn tags(&self) -> Result<Vec<StoredTag>> {
        self.rows("SELECT reference, image FROM tags", [], |row| {
            Ok(StoredTag { reference: name(text(row, 0)?)?, image: key("tags", text(row, 1)?)? })
        })
    }

    /// All layers, in no order.
    ///
    /// # Errors
    /// [`crate::Error::Key`] if one has a malformed digest.
    pub fn layers(&self) -> Result<Vec<StoredLayer>> {
        self.rows("SELECT chain, parent, diff, size_bytes FROM layers", [], |row| {
            let parent: Option<String> = row.get(1)?;
            let size: i64 = row.get(3)?;
            Ok(StoredLayer {
                chain: key("layers", text(row, 0)?)?,
                parent: parent.map(|parent| key("layers", &parent)).transpose()?,
                diff: key("layers", text(row, 2)?)?,
                size_bytes: size.unsigned_abs(),
            })
        })
    }
}

/// Parses a name; images also keep names of a time without a grammar.
fn name(text: &str) -> Result<Reference> {
    Reference::loose(text).map_err(|_| Error::Key { table: "tags", key: text.to_owned() })
}

impl Transaction<'_> {
    /// Adds or replaces an image.
    ///
    /// # Errors
    /// [`crate::Error::Database`].
    pub fn put_image(&self, id: &ImageId, document: &impl Serialize, config: &[u8]) -> Result<()> {
        let id = id.to_string();
        let document = to_json("images", &id, document)?;
        self.execute(
            "INSERT INTO images(id, document, config) VALUES(?1, ?2, ?3)
             ON CONFLICT(id) DO UPDATE SET document = excluded.document, config = excluded.config",
            (&id, document, config),
        )?;
        Ok(())
    }

    /// Replaces what is known of an image besides its config.
    ///
    /// # Errors
    /// [`crate::Error::Missing`].
    pub fn update_image(&self, id: &ImageId, document: &impl Serialize) -> Result<()> {
        let id = id.to_string();
        let document = to_json("images", &id, document)?;
        self.execute_one("images", &id, "UPDATE images SET document = ?2 WHERE id = ?1", (&id, document))
    }

    /// Removes an image and its names; whether it was there.
    ///
    /// # Errors
    /// [`crate::Error::Database`].
    pub fn remove_image(&self, id: &ImageId) -> Result<bool> {
        Ok(self.execute("DELETE FROM images WHERE id = ?1", [id.to_string()])? > 0)
    }

    /// Lets a name stand for an image; a name that stood for another is moved.
    ///
    /// # Errors
    /// [`crate::Error::Database`] if there is no such image.
    pub fn put_tag(&self, reference: &Reference, image: &ImageId) -> Result<()> {
        self.execute(
            "INSERT INTO tags(reference, image) VALUES(?1, ?2)
             ON CONFLICT(reference) DO UPDATE SET image = excluded.image",
            (reference.to_string(), image.to_string()),
        )?;
        Ok(())
    }

    /// Removes a name; whether it was there.
    ///
    /// # Errors
    /// [`crate::Error::Database`].
    pub fn remove_tag(&self, reference: &Reference) -> Result<bool> {
        Ok(self.execute("DELETE FROM tags WHERE reference = ?1", [reference.to_string()])? > 0)
    }

    /// Adds a layer; one that is there already stays as it is.
    ///
    /// # Errors
    /// [`crate::Error::Database`] if its parent is not there.
    pub fn put_layer(&self, layer: &StoredLayer) -> Result<()> {
        let size = i64::try_from(layer.size_bytes).unwrap_or(i64::MAX);
        self.execute(
            "INSERT INTO layers(chain, parent, diff, size_bytes) VALUES(?1, ?2, ?3, ?4) ON CONFLICT(chain) DO NOTHING",
            (layer.chain.to_string(), layer.parent.map(|parent| parent.to_string()), layer.diff.to_string(), size),
        )?;
        Ok(())
    }

    /// Removes a layer that no other stands on; whether it was there. What registries are known to have of it is forgotten with
    /// the last layer of its content.
    ///
    /// # Errors
    /// [`crate::Error::Database`] if another layer stands on it.
    pub fn remove_layer(&self, chain: &ChainId) -> Result<bool> {
        let chain = chain.to_string();
        self.execute(
            "DELETE FROM blobs WHERE diff = (SELECT diff FROM layers WHERE chain = ?1)
             AND NOT EXISTS (SELECT 1 FROM layers WHERE diff = blobs.diff AND chain <> ?1)",
            [&chain],
        )?;
        Ok(self.execute("DELETE FROM layers WHERE chain = ?1", [&chain])? > 0)
    }
}
