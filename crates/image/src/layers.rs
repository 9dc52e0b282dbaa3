//! Each step of an image as an image of its own, as engines before 1.10 (API 1.22) had them: with an id, a parent and a config.
//!
//! The ids are those of an archive in the layout of that time: clients that save an image and look at it see one and the same.

use std::sync::Arc;

use model::{Digest, ImageId};
use serde_json::Value;

use crate::save::v1;
use crate::{Error, HistoryStep, Image, Result, Snapshot};

/// A step of an image, which need not be an image here.
#[derive(Debug, Clone)]
pub struct LayerImage {
    /// Its id; that of the image it left, where there is one.
    pub id: ImageId,
    /// The step before.
    pub parent: Option<ImageId>,
    /// What an archive of that time has as its `json`.
    pub document: Value,
    /// Bytes of its own layer.
    pub size_bytes: u64,
    /// Bytes of all layers up to its own.
    pub total_bytes: u64,
}

impl Snapshot {
    /// The steps of an image, oldest first; the last is the image itself. Steps that left neither image nor layer are
    /// left out.
    ///
    /// # Errors
    /// [`Error::Document`] if its config cannot be written down.
    pub fn layer_images(&self, image: &Image) -> Result<Vec<LayerImage>> {
        let mut images: Vec<LayerImage> = Vec::new();
        let mut layers = image.layers.iter();
        for step in v1::steps(self, image)? {
            let unreadable = |source| Error::Document { member: format!("{}/json", step.id), source };
            let id = Digest::from_hex(&step.id).map_err(|_| Error::Config(format!("{:?} is no id", step.id)))?;
            let size_bytes = step.diff.and_then(|_| layers.next()).map_or(0, |chain| self.layer_size(chain));
            let before = images.last();
            images.push(LayerImage {
                id: ImageId(id),
                parent: before.map(|before| before.id),
                document: serde_json::from_slice(&step.json).map_err(unreadable)?,
                size_bytes,
                total_bytes: before.map_or(0, |before| before.total_bytes).saturating_add(size_bytes),
            });
        }
        Ok(images)
    }

    /// Finds a step by its id or the beginning of one that no other step has: the steps up to it, and the image it is of.
    ///
    /// # Errors
    /// [`Error::NotFound`]; those of [`Snapshot::layer_images`].
    pub fn resolve_layer(&self, text: &str) -> Result<(Arc<Image>, Vec<LayerImage>)> {
        let prefix = text.strip_prefix("sha256:").unwrap_or(text);
        let mut found: Option<(Arc<Image>, Vec<LayerImage>)> = None;
        if !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            for image in self.images() {
                let mut line = self.layer_images(image)?;
                let Some(at) = line.iter().position(|step| step.id.hex().starts_with(prefix)) else { continue };
                line.truncate(at + 1);
                let id = |line: &[LayerImage]| line.last().map(|step| step.id);
                if found.as_ref().is_some_and(|(_, other)| id(other) != id(&line)) {
                    return Err(Error::NotFound(text.to_owned()));
                }
                found = Some((Arc::clone(image), line));
            }
        }
        found.ok_or_else(|| Error::NotFound(text.to_owned()))
    }

    /// As [`Snapshot::history`], with the steps' ids, and without the steps that left neither image nor layer.
    ///
    /// # Errors
    /// Those of [`Snapshot::history`] and [`Snapshot::layer_images`].
    pub fn history_of_layers(&self, image: &Image) -> Result<Vec<HistoryStep>> {
        let mut steps = self.history(image)?;
        let mut line = self.layer_images(image)?.into_iter().rev();
        let empty: Vec<bool> = image.config.history.iter().rev().map(|step| step.empty_layer).collect();
        let mut at = 0;
        steps.retain_mut(|step| {
            let is_left_out = step.id.is_none() && empty.get(at).copied().unwrap_or(false);
            at += 1;
            if !is_left_out {
                step.id = line.next().map(|layer| layer.id).or(step.id);
            }
            !is_left_out
        });
        Ok(steps)
    }
}
