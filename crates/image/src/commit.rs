//! A container's changes become an image.

use std::io::{BufReader, Write};
use std::sync::Arc;

use model::{ImageId, Platform, Reference, Timestamp, native_architecture};
use storage::Layer;

use crate::image::EMPTY_LAYER;
use crate::import::to_bytes;
use crate::{Action, Config, Error, Happening, History, Image, Images, Lease, NewImage, Result, RunConfig};

/// What a committed image shall be.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    /// The image the container was made from; its layers and history are continued. `None` if that is gone or was none.
    pub parent: Option<ImageId>,
    /// Name of the container's file system in the storage.
    pub snapshot: String,
    /// Id of the container, kept in the config.
    pub container: String,
    /// Configuration of the container, kept in the config.
    pub container_config: RunConfig,
    /// Configuration of the new image.
    pub config: RunConfig,
    /// The image's name, if it shall have one.
    pub name: Option<Reference>,
    /// Message.
    pub comment: String,
    /// Who commits.
    pub author: String,
    /// Version of the engine, kept in the config.
    pub engine_version: String,
    /// What it is for, if it has no parent to tell; `None`: this machine.
    pub platform: Option<Platform>,
}

impl Images {
    /// Makes an image from what a container changed. A container that changed nothing leaves no layer, only a step in the
    /// history.
    ///
    /// # Errors
    /// The parent is gone, or the storage's; nothing is left behind then.
    pub fn commit(&self, commit: &Commit) -> Result<(Arc<Image>, Vec<Happening>)> {
        let parent = match &commit.parent {
            Some(id) => Some(self.snapshot().get(id).cloned().ok_or_else(|| Error::NotFound(id.to_string()))?),
            None => None,
        };
        let lease = self.lease();
        let layer = self.diff_layer(&lease, &commit.snapshot, parent.as_deref())?;
        let config = child(parent.as_deref(), commit, Some(&layer));
        let names = commit.name.iter().cloned().collect();
        let image =
            self.register(&lease, NewImage { config: to_bytes(&config)?, parent: commit.parent, names, built: true })?;
        let tag = |name: &Reference| Happening::named(Action::Tag, &image, name.clone().with_default_tag().familiar());
        let happenings = commit.name.iter().map(tag).collect();
        Ok((image, happenings))
    }

    /// Makes an image that continues its parent with one step, whose layer was made under `lease` or which has none.
    /// Nothing of `commit.snapshot` and `commit.name` is looked at.
    ///
    /// # Errors
    /// The parent is gone, or the store's.
    pub fn append(&self, lease: &Lease<'_>, commit: &Commit, layer: Option<&Layer>) -> Result<Arc<Image>> {
        let parent = match &commit.parent {
            Some(id) => Some(self.snapshot().get(id).cloned().ok_or_else(|| Error::NotFound(id.to_string()))?),
            None => None,
        };
        let config = child(parent.as_deref(), commit, layer);
        let config = to_bytes(&config)?;
        self.register(lease, NewImage { config, parent: commit.parent, built: true, ..NewImage::default() })
    }

    /// Turns a container's changes into a layer; writing and reading the tar run side by side.
    fn diff_layer(&self, lease: &Lease<'_>, snapshot: &str, parent: Option<&Image>) -> Result<Layer> {
        let (reader, writer) =
            std::io::pipe().map_err(|source| Error::Stream { what: "committing the changes", source })?;
        let top = parent.and_then(Image::top);
        std::thread::scope(|scope| {
            let written = scope.spawn(move || {
                let mut out = std::io::BufWriter::with_capacity(1 << 16, writer);
                self.storage.diff_tar(snapshot, &mut out)?;
                out.flush().map_err(|source| Error::Stream { what: "committing the changes", source })
            });
            let layer = lease.import(BufReader::with_capacity(1 << 16, reader), top.as_ref());
            match written.join() {
                // The importer's error comes first: a writer it left sees only a broken pipe.
                Ok(written) => layer.and_then(|layer| written.map(|()| layer)),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }
}

/// The config of an image that continues `parent` with one step.
fn child(parent: Option<&Image>, commit: &Commit, layer: Option<&Layer>) -> Config {
    let layer = layer.filter(|layer| layer.diff_id.0 != *EMPTY_LAYER);
    let empty_layer = layer.is_none();
    let created = Some(Timestamp::now());
    let base = parent.map(|parent| parent.config.clone()).unwrap_or_default();
    let mut rootfs = base.rootfs;
    rootfs.diff_ids.extend(layer.map(|layer| layer.diff_id));
    let mut history = base.history;
    history.push(History {
        created,
        author: commit.author.clone(),
        created_by: commit.container_config.cmd.clone().unwrap_or_default().join(" "),
        comment: commit.comment.clone(),
        empty_layer,
    });
    let platform = commit.platform.clone().filter(|_| parent.is_none()).unwrap_or_else(|| Platform {
        os: "linux".to_owned(),
        architecture: native_architecture().to_owned(),
        ..Platform::default()
    });
    let or = |text: String, other: String| if text.is_empty() { other } else { text };
    Config {
        comment: commit.comment.clone(),
        created,
        container: commit.container.clone(),
        container_config: Some(commit.container_config.clone()),
        docker_version: commit.engine_version.clone(),
        author: commit.author.clone(),
        config: Some(commit.config.clone()),
        architecture: or(base.architecture, platform.architecture),
        variant: or(base.variant, platform.variant),
        os: or(base.os, platform.os),
        rootfs,
        history,
        os_version: base.os_version,
    }
}
