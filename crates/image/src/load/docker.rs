//! Archives with a `manifest.json`: `docker save` since 1.10.

use model::{Digest, ImageId, Reference};
use serde::Deserialize;

use super::{Found, LayerMember, Load, parse};
use crate::image::digest;
use crate::{Config, Error, NewImage, Result};

/// The member that makes an archive one of these.
pub(super) const MANIFEST: &str = "manifest.json";

/// Where members lie that are named by their digest.
const BLOBS: &str = "blobs/sha256/";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Folder {
    #[serde(default)]
    parent: Option<String>,
}

impl Load<'_> {
    /// Loads every image of `manifest.json`.
    pub(super) fn docker(&mut self) -> Result<()> {
        let items: Vec<Item> = parse(MANIFEST, &self.spool.document(MANIFEST)?)?;
        if items.is_empty() {
            return Err(Error::NoImage("manifest.json lists no image"));
        }
        for item in items {
            let tags = item.repo_tags.unwrap_or_default();
            let names: Vec<Reference> = tags.iter().map(|name| name.parse()).collect::<Result<_, _>>()?;
            let names = names.into_iter().map(Reference::with_default_tag).collect();
            let config = self.blob(&item.config)?;
            let layers = item.layers.unwrap_or_default().into_iter();
            let layers: Vec<LayerMember> =
                layers.map(|path| LayerMember { digest: named_digest(&path), path }).collect();
            let at = self.found.len();
            let id = self.image(config, &layers, names)?;
            self.parents(at, id)?;
        }
        Ok(())
    }

    /// A small member; one that is named by its digest is verified.
    fn blob(&self, path: &str) -> Result<Vec<u8>> {
        let bytes = self.spool.document(path)?;
        let found = digest(&bytes);
        match named_digest(path) {
            Some(expected) if expected != found => Err(Error::Digest { what: path.to_owned(), expected, found }),
            _ => Ok(bytes),
        }
    }

    /// Follows the line of parents of the image at `found[at]`: folders of the old layout that are named by an image's id
    /// name their parent; if the parent's config is in the archive, it is that image.
    fn parents(&mut self, at: usize, mut id: ImageId) -> Result<()> {
        let mut seen = std::collections::BTreeSet::new();
        while seen.insert(id) {
            let folder = format!("{}/json", id.hex());
            if !self.spool.contains(&folder) {
                break;
            }
            let folder: Folder = parse(&folder, &self.spool.document(&folder)?)?;
            let parent = folder.parent.and_then(|hex| Digest::from_hex(&hex).ok()).map(ImageId);
            let Some(parent) = parent.filter(|parent| self.spool.contains(&format!("{BLOBS}{}", parent.hex()))) else {
                break;
            };
            let config = self.blob(&format!("{BLOBS}{}", parent.hex()))?;
            if !self.is_beneath(&config, &self.found[at].new.config)? {
                break;
            }
            self.found[at].new.parent = Some(parent);
            // Parents are registered before the children that name them; `at` is the parent's place from here on.
            self.found.insert(at, Found { new: NewImage { config, ..NewImage::default() }, asked: false });
            id = parent;
        }
        Ok(())
    }

    /// Whether the layers of one config are the lower ones of the other's: only then are they here.
    fn is_beneath(&self, lower: &[u8], upper: &[u8]) -> Result<bool> {
        let lower: Config = parse("config of a parent", lower)?;
        let upper: Config = parse("config", upper)?;
        Ok(upper.rootfs.diff_ids.starts_with(&lower.rootfs.diff_ids))
    }
}

/// The digest that a member's name claims.
fn named_digest(path: &str) -> Option<Digest> {
    path.strip_prefix(BLOBS).and_then(|hex| Digest::from_hex(hex).ok())
}
