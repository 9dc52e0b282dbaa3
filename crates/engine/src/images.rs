//! Images as the API shows them; the work itself is the `image` crate's.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::StringMap;
use api::container::{ContainerConfig, GraphDriver};
use api::image::{DeleteItem, HistoryItem, ImageInspect, ImageMetadata, ImageSummary, ImagesPruned, RootFs};
use image::{ArchiveForm, Filter, Happening, Image, Import, Progress, Removed, RunConfig, Usage, Use};
use model::{ImageId, Reference};

use crate::container::until;
use crate::engine::Engine;
use crate::options::{Filters, ImageListOptions, ImageRemoval, ImageRemoveOptions, ImportOptions, StoredImage};
use crate::stream::{ByteStream, Upload, produce};
use crate::{Error, Result};

/// The image's configuration as a container's.
pub(crate) fn container_config(image: &Image) -> ContainerConfig {
    image.config.config.as_ref().map(|run| convert(run).unwrap_or_default()).unwrap_or_default()
}

/// A configuration of images as a container's.
pub(crate) fn container_config_of(config: &RunConfig) -> ContainerConfig {
    convert(config).unwrap_or_default()
}

/// A container's configuration as an image's.
pub(crate) fn run_config(config: &ContainerConfig) -> RunConfig {
    convert(config).unwrap_or_default()
}

/// Both are the same JSON; a field of the wrong type was refused when the image was made.
fn convert<F: serde::Serialize, T: serde::de::DeserializeOwned>(from: &F) -> Option<T> {
    let value = serde_json::to_value(from).ok()?;
    serde_json::from_value(value).map_err(|error| tracing::warn!(%error, "an image's configuration is malformed")).ok()
}

impl Usage for Engine {
    fn containers(&self, image: &ImageId) -> Vec<Use> {
        let records = self.containers.all().into_iter().map(|container| container.record());
        records
            .filter(|record| record.image == *image)
            .map(|record| Use { container: record.id.short(), running: record.state.status.is_up() })
            .collect()
    }
}

impl Engine {
    /// Tells the world what happened to images.
    pub(crate) fn image_events(&self, happenings: &[Happening]) {
        for happening in happenings {
            let labels = happening.labels.iter().map(|(key, value)| (key.as_str(), value.as_str()));
            let name = std::iter::once(("name", happening.name.as_str()));
            self.tell("image", happening.action.as_str(), &happening.image.to_string(), labels.chain(name));
        }
    }

    /// After a container's removal: layers that only it needed.
    pub(crate) fn release_image_layers(&self, image: ImageId) {
        // Only an image that was removed by force leaves its layers to its containers.
        if self.images.snapshot().get(&image).is_none()
            && let Err(error) = self.images.sweep_layers()
        {
            tracing::warn!(%error, %image, "layers that nothing needs stay on the disk until the next start");
        }
    }

    pub(crate) fn list_images(&self, options: &ImageListOptions) -> Result<Vec<ImageSummary>> {
        let filters = &options.filters;
        filters.only(&["before", "dangling", "label", "reference", "since", "until"])?;
        let filter = Filter {
            all: options.all,
            dangling: filters.flag("dangling")?,
            labels: filters.values("label").to_vec(),
            references: filters.values("reference").to_vec(),
            before: filters.values("before").to_vec(),
            since: filters.values("since").to_vec(),
            until: until(filters)?,
            shared_size: options.shared_size,
            ..Filter::default()
        };
        let used = self.images_in_use();
        let shown = |summary: image::Summary| {
            let image = &summary.image;
            ImageSummary {
                containers: used.get(&image.id).copied().unwrap_or(0),
                created: image.created().unix_seconds(),
                id: image.id.to_string(),
                labels: Some(summary.labels().clone()).filter(|labels| !labels.is_empty()),
                parent_id: summary.parent().map(|id| id.to_string()).unwrap_or_default(),
                shared_size: summary.shared_size_bytes.map_or(-1, signed),
                size: signed(image.size_bytes),
                repo_tags: summary.tags,
                repo_digests: summary.digests,
                ..ImageSummary::default()
            }
        };
        Ok(self.images.list(&filter)?.into_iter().map(shown).collect())
    }

    /// How many containers each image has.
    fn images_in_use(&self) -> BTreeMap<ImageId, i64> {
        let mut used = BTreeMap::new();
        for container in self.containers.all() {
            *used.entry(container.record().image).or_default() += 1;
        }
        used
    }

    pub(crate) fn show_image(&self, name: &str) -> Result<ImageInspect> {
        let image = self.images.resolve(name)?;
        let snapshot = self.images.snapshot();
        let config = &image.config;
        let tagged = image.last_tagged();
        Ok(ImageInspect {
            id: image.id.to_string(),
            repo_tags: snapshot.tags(&image.id),
            repo_digests: snapshot.digests(&image.id),
            parent: image.parent().map(|id| id.to_string()).unwrap_or_default(),
            comment: image.comment().to_owned(),
            created: config.created.map(|created| created.to_string()),
            container: config.container.clone(),
            container_config: config.container_config.as_ref().and_then(convert),
            docker_version: config.docker_version.clone(),
            author: config.author.clone(),
            config: Some(config.config.as_ref().and_then(convert).unwrap_or_default()),
            architecture: config.architecture.clone(),
            variant: config.variant.clone(),
            os: config.os.clone(),
            os_version: config.os_version.clone(),
            size: signed(image.size_bytes),
            graph_driver: GraphDriver { data: self.layer_paths(&image), name: "overlay2".to_owned() },
            root_fs: RootFs {
                r#type: "layers".to_owned(),
                layers: config.rootfs.diff_ids.iter().map(ToString::to_string).collect(),
            },
            metadata: ImageMetadata { last_tag_time: tagged.to_string() },
            ..ImageInspect::default()
        })
    }

    /// Where an image's files lie: `UpperDir` the topmost layer's, `LowerDir` those beneath, topmost first. Nothing is
    /// mounted, so there is neither `MergedDir` nor `WorkDir`.
    fn layer_paths(&self, image: &Image) -> Option<StringMap> {
        let mut paths = image.layers.iter().rev().map(|chain| self.storage.layer_path(chain).display().to_string());
        let mut data = StringMap::from([("UpperDir".to_owned(), paths.next()?)]);
        let lower: Vec<String> = paths.collect();
        if !lower.is_empty() {
            data.insert("LowerDir".to_owned(), lower.join(":"));
        }
        Some(data)
    }

    pub(crate) fn stored_image(&self, name: &str) -> Result<StoredImage> {
        let image = self.images.resolve(name)?;
        let mut document: serde_json::Value = serde_json::from_slice(&image.bytes)
            .map_err(|error| Error::system("an image's configuration is malformed").caused_by(error))?;
        let steps = self.images.snapshot().history(&image)?;
        // An image without history is one layer, as far as anybody knows.
        let layer_size_bytes = steps.first().map_or(image.size_bytes, |step| step.size_bytes);
        let mut take = |key: &str| document.get_mut(key).map(serde_json::Value::take).unwrap_or_default();
        Ok(StoredImage {
            config: take("config"),
            container_config: take("container_config"),
            layer_size_bytes: signed(layer_size_bytes),
        })
    }

    pub(crate) fn show_history(&self, name: &str) -> Result<Vec<HistoryItem>> {
        let image = self.images.resolve(name)?;
        Ok(self.images.snapshot().history(&image)?.into_iter().map(shown_step).collect())
    }

    pub(crate) fn layers_of_image(&self, name: &str) -> Result<Vec<image::LayerImage>> {
        let snapshot = self.images.snapshot();
        match snapshot.resolve(name) {
            Ok(image) => Ok(snapshot.layer_images(&image)?),
            Err(error) => Ok(snapshot.resolve_layer(name).map_err(|_| error)?.1),
        }
    }

    pub(crate) fn show_layers_history(&self, name: &str) -> Result<Vec<HistoryItem>> {
        let snapshot = self.images.snapshot();
        let (image, newest) = match snapshot.resolve(name) {
            Ok(image) => (Arc::clone(&image), image.id),
            Err(error) => {
                let (image, line) = snapshot.resolve_layer(name).map_err(|_| error)?;
                let newest = line.last().map_or(image.id, |step| step.id);
                (image, newest)
            }
        };
        let steps = snapshot.history_of_layers(&image)?.into_iter();
        Ok(steps.skip_while(|step| step.id.is_some_and(|id| id != newest)).map(shown_step).collect())
    }

    pub(crate) fn tag_image(&self, name: &str, repository: &str, tag: &str, any_name: bool) -> Result<()> {
        let happenings = match any_name {
            true => {
                // Where any text may be a name, one that is none is merely not there.
                let missing = |_| image::Error::NotFound(name.to_owned());
                let image = self.images.resolve(name).map_err(missing)?;
                self.images.name(&image, &new_name(repository, tag, any_name)?)?
            }
            false => self.images.tag(name, repository, tag)?,
        };
        self.image_events(&happenings);
        Ok(())
    }

    pub(crate) fn delete_image(&self, name: &str, options: ImageRemoveOptions) -> Result<ImageRemoval> {
        let ImageRemoveOptions { force, prune_parents, names_first } = options;
        let (removal, obstacle) = match names_first {
            true => self.images.remove_names_first(name, force, prune_parents, self)?,
            false => (self.images.remove(name, force, prune_parents, self)?, None),
        };
        self.image_events(&removal.happenings);
        if let Some(obstacle) = obstacle {
            return Err(obstacle.into());
        }
        let (layers, images): (Vec<_>, Vec<_>) =
            removal.removed.into_iter().partition(|removed| matches!(removed, Removed::DeletedLayer(_)));
        let told = |removed: Vec<Removed>| removed.into_iter().map(deleted).collect();
        Ok(ImageRemoval { images: told(images), layers: told(layers) })
    }

    pub(crate) fn prune_images(&self, filters: &Filters) -> Result<ImagesPruned> {
        filters.only(&["dangling", "label", "label!", "until"])?;
        let Ok(_alone) = self.pruning.try_lock() else {
            return Err(Error::conflict("a prune operation is already running"));
        };
        let dangling = filters.flag("dangling")?.unwrap_or(true);
        let filter = Filter {
            all: true,
            dangling: dangling.then_some(true),
            labels: filters.values("label").to_vec(),
            without_labels: filters.values("label!").to_vec(),
            until: until(filters)?,
            ..Filter::default()
        };
        let before = self.images.snapshot().layers_size();
        let mut pruned = ImagesPruned::default();
        let unforced = ImageRemoveOptions { prune_parents: true, ..ImageRemoveOptions::default() };
        for summary in self.images.list(&filter)? {
            let image = &summary.image;
            if !self.containers(&image.id).is_empty() {
                continue;
            }
            let names = if summary.tags.is_empty() { vec![image.id.to_string()] } else { summary.tags };
            for name in names {
                match self.delete_image(&name, unforced) {
                    Ok(gone) => pruned.images_deleted.get_or_insert_default().extend(gone.into_items()),
                    Err(error) => tracing::debug!(%error, name, "an image is not pruned"),
                }
            }
        }
        pruned.space_reclaimed = before.saturating_sub(self.images.snapshot().layers_size());
        let reclaimed = pruned.space_reclaimed.to_string();
        self.tell("image", "prune", "", [("reclaimed", reclaimed.as_str())]);
        Ok(pruned)
    }

    pub(crate) fn import_image(&self, options: &ImportOptions, body: impl std::io::Read) -> Result<String> {
        let name = match options.repository.as_str() {
            "" => None,
            repository => Some(new_name(repository, &options.tag, options.any_name)?),
        };
        let mut platform = options.platform.split('/').skip(1);
        let message = if options.message.is_empty() { "Imported from -" } else { &options.message };
        let import = Import {
            name,
            message: message.to_owned(),
            config: match options.changes.as_slice() {
                [] => None,
                changes => Some(build::changes::apply(&RunConfig::default(), changes)?),
            },
            architecture: platform.next().unwrap_or_default().to_owned(),
            variant: platform.next().unwrap_or_default().to_owned(),
            engine_version: self.config.version.clone(),
        };
        let (image, happenings) = self.images.import(body, &import)?;
        self.image_events(&happenings);
        Ok(image.id.to_string())
    }

    /// Loads an archive; a stream of JSON messages, a line each.
    pub(crate) fn load_images(self: &Arc<Self>, body: Upload, quiet: bool) -> ByteStream {
        let engine = Arc::clone(self);
        produce(move |out| {
            let mut say = |message: serde_json::Value| {
                let line = format!("{message}\r\n");
                // A client that left does not stop the load.
                if std::io::Write::write_all(out, line.as_bytes()).is_err() || std::io::Write::flush(out).is_err() {
                    tracing::debug!("a client left while its images were loaded");
                }
            };
            let outcome = engine.images.load(body, &mut |progress| {
                if let Some(message) = told(progress, quiet) {
                    say(message);
                }
            });
            match outcome {
                Ok(happenings) => engine.image_events(&happenings),
                Err(error) => {
                    // The answer has begun: the error is its last message.
                    let message = error.to_string();
                    say(serde_json::json!({"errorDetail": {"message": message}, "error": message}));
                }
            }
            Ok(())
        })
    }

    pub(crate) fn save_images(self: &Arc<Self>, names: &[String], old_form: bool) -> Result<ByteStream> {
        for name in names {
            // Refused before the first byte.
            let repository_alone = name.parse::<Reference>().is_ok_and(|reference| reference.tag().is_none());
            if let Err(error) = self.images.resolve(name)
                && !(repository_alone && self.has_repository(name))
            {
                return Err(error.into());
            }
        }
        let engine = Arc::clone(self);
        let names = names.to_vec();
        let form = if old_form { ArchiveForm::Version1 } else { ArchiveForm::Combined };
        Ok(produce(move |out| {
            let happenings = engine.images.save(&names, form, out)?;
            engine.image_events(&happenings);
            Ok(())
        }))
    }

    fn has_repository(&self, name: &str) -> bool {
        let filter = Filter { references: vec![name.to_owned()], ..Filter::default() };
        self.images.list(&filter).is_ok_and(|list| !list.is_empty())
    }
}

/// A name that is to be given to an image. `any`: also one that does not fit the grammar.
pub(crate) fn new_name(repository: &str, tag: &str, any: bool) -> Result<Reference> {
    let read = if any { Reference::loose_repository } else { Reference::from_repository };
    read(repository, tag).map_err(|error| Error::invalid(error.to_string()).caused_by(error))
}

fn told(progress: Progress, quiet: bool) -> Option<serde_json::Value> {
    match progress {
        Progress::Layer { .. } if quiet => None,
        Progress::Layer { short_id, size_bytes } => Some(serde_json::json!({
            "status": "Loading layer",
            "progressDetail": {"current": size_bytes, "total": size_bytes},
            "id": short_id,
        })),
        Progress::Renamed { name, before } => Some(serde_json::json!({
            "stream": format!("The image {name} already exists, renaming the old one with ID {before} to empty string\n"),
        })),
        Progress::Loaded { name, .. } => {
            Some(serde_json::json!({"stream": format!("Loaded image: {}\n", name.familiar())}))
        }
        Progress::LoadedId(id) => Some(serde_json::json!({"stream": format!("Loaded image ID: {id}\n")})),
    }
}

fn shown_step(step: image::HistoryStep) -> HistoryItem {
    HistoryItem {
        comment: step.comment,
        created: step.created.unix_seconds(),
        created_by: step.created_by,
        id: step.id.map_or_else(|| "<missing>".to_owned(), |id| id.to_string()),
        size: signed(step.size_bytes),
        tags: Some(step.tags).filter(|tags| !tags.is_empty()),
    }
}

fn deleted(removed: Removed) -> DeleteItem {
    match removed {
        Removed::Untagged(name) => DeleteItem { untagged: Some(name), deleted: None },
        Removed::Deleted(id) => DeleteItem { untagged: None, deleted: Some(id.to_string()) },
        Removed::DeletedLayer(chain) => DeleteItem { untagged: None, deleted: Some(chain.to_string()) },
    }
}

pub(crate) fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_go_there_and_back() {
        let config = ContainerConfig {
            cmd: Some(vec!["sh".into()]),
            working_dir: "/w".into(),
            env: Some(vec!["A=b".into()]),
            ..ContainerConfig::default()
        };
        let back: Option<ContainerConfig> = convert(&run_config(&config));
        assert_eq!(back, Some(config));
    }
}
