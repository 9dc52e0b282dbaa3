//! All images at one moment.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use model::{ChainId, Digest, ImageId, Reference};

use crate::{Error, Image, Result};

/// All images, names and layers at one moment; readers share it without locks.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    pub(crate) images: BTreeMap<ImageId, Arc<Image>>,
    pub(crate) references: BTreeMap<Reference, ImageId>,
    pub(crate) names: HashMap<ImageId, BTreeSet<Reference>>,
    pub(crate) children: HashMap<ImageId, BTreeSet<ImageId>>,
    pub(crate) layers: HashMap<ChainId, Stratum>,
}

/// What is known of a registered layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stratum {
    pub(crate) size_bytes: u64,
    /// How many images have it.
    pub(crate) images: usize,
}

impl Snapshot {
    /// The image of this id.
    pub fn get(&self, id: &ImageId) -> Option<&Arc<Image>> {
        self.images.get(id)
    }

    /// All images, in no useful order.
    pub fn images(&self) -> impl Iterator<Item = &Arc<Image>> {
        self.images.values()
    }

    /// Finds an image by what a client calls it: `name[:tag]`, `name@digest`, an id with or without `sha256:`, or the
    /// beginning of one that no other image shares. Names win over beginnings of ids.
    ///
    /// # Errors
    /// [`Error::NotFound`] in the words of Docker 28 (with `:latest` added to a bare name), [`Error::Reference`] if
    /// it can be neither name nor id.
    pub fn resolve(&self, text: &str) -> Result<Arc<Image>> {
        if let Some(id) = full_id(text) {
            return self.get(&id).cloned().ok_or_else(|| Error::NotFound(id.to_string()));
        }
        let reference: Reference = match text.parse() {
            Ok(reference) => reference,
            // A name of a time without a grammar.
            Err(error) => {
                let known = Reference::loose(text).ok().and_then(|name| self.referenced(&name).cloned());
                return known.ok_or_else(|| error.into());
            }
        };
        self.referenced(&reference)
            .or_else(|| self.with_prefix(text))
            .cloned()
            .ok_or_else(|| Error::NotFound(reference.with_default_tag().familiar()))
    }

    /// The image a name stands for. A name with a digest is looked up by that alone: its tag may have moved on.
    pub fn referenced(&self, reference: &Reference) -> Option<&Arc<Image>> {
        let wanted = canonical(reference);
        self.references.get(&wanted).and_then(|id| self.images.get(id))
    }

    /// The only image whose id begins so.
    fn with_prefix(&self, text: &str) -> Option<&Arc<Image>> {
        let prefix = text.strip_prefix("sha256:").unwrap_or(text);
        if prefix.is_empty() || prefix.len() > 64 || !prefix.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
        let lowest = ImageId(Digest::from_hex(&format!("{prefix:0<64}")).ok()?);
        let mut found = self.images.range(lowest..).take_while(|(id, _)| id.hex().starts_with(prefix));
        let (_, image) = found.next()?;
        found.next().is_none().then_some(image)
    }

    /// All names of an image, tags and digests, sorted.
    pub fn references(&self, id: &ImageId) -> impl Iterator<Item = &Reference> {
        self.names.get(id).into_iter().flatten()
    }

    /// Familiar `name:tag`s of an image, sorted.
    pub fn tags(&self, id: &ImageId) -> Vec<String> {
        self.references(id).filter(|name| name.digest().is_none()).map(Reference::familiar).collect()
    }

    /// Familiar `name@digest`s of an image, sorted.
    pub fn digests(&self, id: &ImageId) -> Vec<String> {
        self.references(id).filter(|name| name.digest().is_some()).map(Reference::familiar).collect()
    }

    /// All tags of a repository and the images they stand for.
    pub(crate) fn tags_of(&self, repository: &Reference) -> Vec<(Reference, ImageId)> {
        let same = |name: &Reference| name.domain() == repository.domain() && name.path() == repository.path();
        let tags = self.references.range(repository.without_tag()..).take_while(|(name, _)| same(name));
        tags.filter(|(name, _)| name.digest().is_none()).map(|(name, id)| (name.clone(), *id)).collect()
    }

    /// Images made from this one that are still here.
    pub fn children(&self, id: &ImageId) -> impl Iterator<Item = &ImageId> {
        self.children.get(id).into_iter().flatten()
    }

    /// Whether an image has neither names nor children.
    pub fn is_dangling(&self, id: &ImageId) -> bool {
        self.references(id).next().is_none() && self.children(id).next().is_none()
    }

    /// Size of a layer's files in bytes; 0 if no image has it.
    pub fn layer_size(&self, chain: &ChainId) -> u64 {
        self.layers.get(chain).map_or(0, |layer| layer.size_bytes)
    }

    /// Sum of all layers' sizes in bytes, each counted once.
    pub fn layers_size(&self) -> u64 {
        sum(self.layers.values().map(|layer| layer.size_bytes))
    }

    /// Bytes of an image's layers that other images have too.
    pub fn shared_size(&self, image: &Image) -> u64 {
        let shared = image.layers.iter().filter_map(|chain| self.layers.get(chain)).filter(|layer| layer.images > 1);
        sum(shared.map(|layer| layer.size_bytes))
    }

    /// Adds an image; sizes of layers that are new to the snapshot come from `sizes`.
    pub(crate) fn insert(&mut self, mut image: Image, sizes: &HashMap<ChainId, u64>) -> Arc<Image> {
        let size_of = |chain: &ChainId| sizes.get(chain).copied().unwrap_or_else(|| self.layer_size(chain));
        let layers: Vec<(ChainId, u64)> = image.layers.iter().map(|chain| (*chain, size_of(chain))).collect();
        image.size_bytes = sum(layers.iter().map(|(_, size_bytes)| *size_bytes));
        self.take(&image.id);
        for (chain, size_bytes) in layers {
            self.layers.entry(chain).or_insert(Stratum { size_bytes, images: 0 }).images += 1;
        }
        if let Some(parent) = image.parent() {
            self.children.entry(parent).or_default().insert(image.id);
        }
        let image = Arc::new(image);
        self.images.insert(image.id, Arc::clone(&image));
        image
    }

    /// Takes an image out but not its names; returns the layers that no other image has, topmost first.
    pub(crate) fn take(&mut self, id: &ImageId) -> Vec<ChainId> {
        let Some(image) = self.images.remove(id) else { return Vec::new() };
        if let Some(siblings) = image.parent().and_then(|parent| self.children.get_mut(&parent)) {
            siblings.remove(id);
        }
        let mut orphans = Vec::new();
        for chain in image.layers.iter().rev() {
            if let Some(layer) = self.layers.get_mut(chain) {
                layer.images = layer.images.saturating_sub(1);
                if layer.images == 0 {
                    self.layers.remove(chain);
                    orphans.push(*chain);
                }
            }
        }
        orphans
    }

    /// Lets a name stand for an image; returns the image it stood for before, if that was another.
    pub(crate) fn name(&mut self, reference: &Reference, id: ImageId) -> Option<ImageId> {
        let before = self.references.insert(reference.clone(), id).filter(|before| *before != id);
        if let Some(names) = before.and_then(|before| self.names.get_mut(&before)) {
            names.remove(reference);
        }
        self.names.entry(id).or_default().insert(reference.clone());
        before
    }

    /// Takes a name away.
    pub(crate) fn unname(&mut self, reference: &Reference) {
        if let Some(names) = self.references.remove(reference).and_then(|id| self.names.get_mut(&id)) {
            names.remove(reference);
        }
    }
}

/// Holes of files can add up to more than any number holds.
fn sum(sizes: impl Iterator<Item = u64>) -> u64 {
    sizes.fold(0, u64::saturating_add)
}

/// The form of a name under which it is kept: with a digest alone, or with a tag.
pub(crate) fn canonical(reference: &Reference) -> Reference {
    match reference.digest() {
        Some(digest) => reference.with_digest(digest),
        None => reference.clone().with_default_tag(),
    }
}

/// An id written out: 64 digits, with or without the algorithm.
fn full_id(text: &str) -> Option<ImageId> {
    Digest::from_hex(text.strip_prefix("sha256:").unwrap_or(text)).ok().map(ImageId)
}
