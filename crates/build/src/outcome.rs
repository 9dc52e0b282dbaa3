//! What a step leaves: an image out of the cache, or a new one with or without a layer.

use std::io::{BufReader, BufWriter, Write};
use std::sync::Arc;

use image::{Commit, Image, RunConfig};
use model::{ContainerId, Platform};
use serde_json::Value;
use storage::Layer;

use crate::cache::{self, Foreign};
use crate::progress::StepEvent;
use crate::work::{StepContainer, Work};
use crate::{Error, Result, RunStep};

/// Bytes of a tar stream on their way between two threads.
const PIPE_BYTES: usize = 1 << 16;

impl Work<'_> {
    /// The configuration of a step that runs nothing, with what the history says of it.
    pub(crate) fn comment_config(&self, comment: &str) -> Result<RunConfig> {
        let stage = self.stage()?;
        let mut config = stage.config.clone();
        let mut words = stage.shell();
        if self.options.dialect.is_old() {
            words.push(format!("#(nop) {comment}"));
        } else {
            words.extend(["#(nop) ".to_owned(), comment.to_owned()]);
        }
        config.cmd = Some(words);
        Ok(config)
    }

    /// Goes on with an earlier build's image, if there is one.
    pub(crate) fn cached(&mut self, config: &RunConfig) -> Result<bool> {
        self.solve.go_on()?;
        if self.options.no_cache {
            self.solve.beyond_cache()?;
            return Ok(false);
        }
        let parent = self.stage()?.image.clone();
        let (images, names) = (self.solve.site.images, &self.options.cache_from);
        let found = match &parent {
            Some(parent) => cache::find_next(images, &parent.id, config),
            None => cache::find_first(images, &self.platform()?, config),
        };
        if let Some(image) = found.filter(|image| cache::is_of(images, names, image)) {
            self.tell(StepEvent::Cached);
            self.stage_mut()?.image = Some(image);
            return Ok(true);
        }
        self.solve.beyond_cache()?;
        self.cached_elsewhere(config, parent.as_deref())
    }

    /// What the stage's images are for.
    fn platform(&self) -> Result<Platform> {
        let stage = self.stage()?;
        let own = || stage.platform.clone().unwrap_or_else(Platform::native);
        Ok(stage.image.as_ref().map_or_else(own, |image| image.platform()))
    }

    /// Goes on with a step of an image that the client named.
    fn cached_elsewhere(&mut self, config: &RunConfig, parent: Option<&Image>) -> Result<bool> {
        let site = self.solve.site;
        if self.options.cache_from.is_empty() && self.options.cache_import.is_empty() {
            return Ok(false);
        }
        let named = self.cache_images();
        // No layer is to go between being found and being used.
        let lease = site.images.lease();
        let platform = self.platform()?;
        let named = named.into_iter().filter(|image| image.platform().is_same(&platform)).collect();
        let Some(found) = cache::find_foreign(named, site.storage, parent, config) else { return Ok(false) };
        self.tell(StepEvent::Cached);
        let image = match found {
            Foreign::Whole(image) => image,
            Foreign::Step(layer) => {
                let commit = self.commit("", config)?;
                site.images.append(&lease, &commit, layer.as_ref())?
            }
        };
        self.stage_mut()?.image = Some(image);
        Ok(true)
    }

    /// Goes on with the layer of a step that did the same on any parent, if there is one.
    pub(crate) fn linked(&mut self, config: &RunConfig, comment: &str) -> Result<bool> {
        if self.options.no_cache {
            return Ok(false);
        }
        let images = self.solve.site.images;
        // No layer is to go between being found and being used.
        let lease = images.lease();
        let Some(contents) = cache::find_linked(images, &self.options.cache_from, comment) else { return Ok(false) };
        let top = self.stage()?.image.as_ref().and_then(|image| image.top());
        let layer = lease.graft(&contents, top.as_ref())?;
        self.tell(StepEvent::Cached);
        let commit = self.commit("", config)?;
        self.stage_mut()?.image = Some(images.append(&lease, &commit, Some(&layer))?);
        Ok(true)
    }

    /// The container of a step that runs nothing. One that would be removed at once is not made: an id is all that is left
    /// of it. Today's copying has none at all.
    pub(crate) fn stand_in(&mut self, config: &RunConfig, announced: bool) -> Result<String> {
        let id = ContainerId::random().map_err(|error| Error::Step(format!("no random numbers for an id: {error}")))?;
        let image = self.stage()?.image.clone();
        let made = match image.filter(|_| !self.options.remove && (announced || self.options.dialect.is_old())) {
            Some(image) => Some(self.solve.site.executor.create(&RunStep {
                image: &image,
                config,
                network: "",
                mounts: &[],
                insecure: false,
            })?),
            None => None,
        };
        let exists = made.is_some();
        let id = made.unwrap_or_else(|| id.hex());
        if announced {
            self.tell(StepEvent::Container(id.clone()));
        }
        if announced || self.options.dialect.is_old() {
            self.pending.push(StepContainer { id: id.clone(), exists });
        }
        Ok(id)
    }

    /// What becomes of a step's container.
    pub(crate) fn commit(&self, container: &str, config: &RunConfig) -> Result<Commit> {
        let stage = self.stage()?;
        let mut container_config = config.clone();
        let mut config = stage.config.clone();
        let parent = stage.id().map(|id| Value::from(id.to_string())).unwrap_or_else(|| Value::from(""));
        for config in [&mut container_config, &mut config] {
            config.other.insert("Image".to_owned(), parent.clone());
        }
        container_config.other.insert("Hostname".to_owned(), Value::from(short(container)));
        if self.options.dialect.is_old() {
            config.other.insert("Hostname".to_owned(), Value::from(short(container)));
        }
        Ok(Commit {
            parent: stage.id(),
            snapshot: container.to_owned(),
            container: container.to_owned(),
            container_config,
            config,
            author: stage.author.clone(),
            engine_version: self.options.engine_version.clone(),
            platform: stage.platform.clone(),
            ..Commit::default()
        })
    }

    pub(crate) fn append(
        &mut self,
        container: &str,
        config: &RunConfig,
        layer: Option<(&image::Lease<'_>, &Layer)>,
    ) -> Result<()> {
        let commit = self.commit(container, config)?;
        let image = match layer {
            Some((lease, layer)) => self.solve.site.images.append(lease, &commit, Some(layer))?,
            None => self.solve.site.images.append(&self.solve.site.images.lease(), &commit, None)?,
        };
        self.now_at(image)
    }

    /// An image with one more layer, whose tar stream `write` writes while it is imported.
    pub(crate) fn add_layer(
        &mut self,
        container: &str,
        config: &RunConfig,
        write: &(dyn Fn(&mut dyn Write) -> Result<()> + Sync),
    ) -> Result<()> {
        let images = self.solve.site.images;
        let top = self.stage()?.image.as_ref().and_then(|image| image.top());
        let lease = images.lease();
        let (reader, writer) = std::io::pipe().map_err(Error::io("writing a layer"))?;
        let layer = std::thread::scope(|scope| {
            let written = scope.spawn(move || {
                let mut out = BufWriter::with_capacity(PIPE_BYTES, writer);
                write(&mut out)?;
                out.flush().map_err(Error::io("writing a layer"))
            });
            let layer = lease.import(BufReader::with_capacity(PIPE_BYTES, reader), top.as_ref());
            match written.join() {
                // A writer whose reader failed sees only a broken pipe; a reader whose writer failed, a stream that ends.
                Ok(Err(error)) if !(layer.is_err() && is_broken_pipe(&error)) => Err(error),
                Ok(_) => Ok(layer?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })?;
        self.append(container, config, Some((&lease, &layer)))
    }

    /// The image that a step left; its container is done with.
    pub(crate) fn now_at(&mut self, image: Arc<Image>) -> Result<()> {
        self.stage_mut()?.image = Some(image);
        if self.options.remove && !self.options.dialect.is_old() {
            self.remove_pending();
        }
        Ok(())
    }
}

/// The first twelve digits of an id.
pub(crate) fn short(id: &str) -> String {
    id.chars().take(12).collect()
}

fn is_broken_pipe(error: &Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe) {
            return true;
        }
        cause = error.source();
    }
    false
}
