//! Images as they were before 2016: each step an image of its own, with the step before as its parent.

use model::{ChainId, DiffId, ImageId};

use crate::image::{EMPTY_LAYER, digest};
use crate::import::to_bytes;
use crate::save::v1::{new_run_config, origins, steps};
use crate::{Config, Error, History, Image, Images, NewImage, Result, RootFs, RunConfig};

/// Whether a layer holds nothing: such a step leaves no layer today.
pub fn is_empty_layer(diff: &DiffId) -> bool {
    diff.0 == *EMPTY_LAYER
}

/// Steps of before 2016 that become images, oldest first.
#[derive(Debug, Clone, Default)]
pub struct Lineage {
    below: Option<ImageId>,
    diff_ids: Vec<DiffId>,
    history: Vec<History>,
}

impl Lineage {
    /// What stands on an image that is here.
    pub fn on(image: &Image) -> Self {
        let Config { rootfs, history, .. } = &image.config;
        Self { below: Some(image.id), diff_ids: rootfs.diff_ids.clone(), history: history.clone() }
    }

    /// Makes the next step an image. `id` is what the step was called, `old` its document, `diff` its layer, which may be an
    /// empty one. A step that was written here becomes the image that it was.
    ///
    /// # Errors
    /// It is for another operating system.
    pub fn step(&mut self, id: &str, old: Config, diff: DiffId) -> Result<NewImage> {
        if !old.os.is_empty() && old.os != "linux" {
            return Err(Error::OperatingSystem(old.os));
        }
        let empty_layer = is_empty_layer(&diff);
        if !empty_layer {
            self.diff_ids.push(diff);
        }
        self.history.push(step_history(&old, empty_layer));
        let config = Config {
            container_config: old.container_config.and_then(new_run_config),
            config: old.config.and_then(new_run_config),
            rootfs: RootFs { diff_ids: self.diff_ids.clone(), ..RootFs::default() },
            history: self.history.clone(),
            ..old
        };
        let config = match known(id, &config)? {
            Some(bytes) => bytes,
            None => to_bytes(&config)?,
        };
        let parent = self.below.replace(ImageId(digest(&config)));
        Ok(NewImage { config, parent, ..NewImage::default() })
    }

    /// The image of the last step.
    pub fn image(&self) -> Option<ImageId> {
        self.below
    }
}

/// A step of an image as registries of the first protocol know it.
#[derive(Debug, Clone)]
pub struct OldStep {
    /// 64 hex digits.
    pub id: String,
    /// Its document, with `id` and `parent`.
    pub json: Vec<u8>,
    /// Its layer; `None`: an empty one.
    pub layer: Option<ChainId>,
}

impl Images {
    /// The steps of an image, oldest first; the last is the image itself.
    ///
    /// # Errors
    /// A configuration cannot be written as JSON.
    pub fn old_steps(&self, image: &Image) -> Result<Vec<OldStep>> {
        let place = |diff| image.config.rootfs.diff_ids.iter().position(|one| *one == diff);
        let steps = steps(&self.snapshot(), image)?.into_iter().map(|step| OldStep {
            layer: step.diff.and_then(place).and_then(|at| image.layers.get(at)).copied(),
            id: step.id,
            json: step.json,
        });
        Ok(steps.collect())
    }
}

/// The config of the image of which a step is a copy, if it is one that was written here: its id is that config's digest.
fn known(id: &str, config: &Config) -> Result<Option<Vec<u8>>> {
    let forms = |run: &Option<RunConfig>| match run {
        Some(run) => origins(run).map(Some).to_vec(),
        None => vec![None, Some(RunConfig::default())],
    };
    for container_config in forms(&config.container_config) {
        for run in forms(&config.config) {
            let origin = Config { container_config: container_config.clone(), config: run, ..config.clone() };
            let bytes = to_bytes(&origin)?;
            if digest(&bytes).hex() == id {
                return Ok(Some(bytes));
            }
        }
    }
    Ok(None)
}

fn step_history(old: &Config, empty_layer: bool) -> History {
    let command = old.container_config.as_ref().and_then(|config| config.cmd.clone());
    History {
        created: old.created,
        author: old.author.clone(),
        created_by: command.unwrap_or_default().join(" "),
        comment: old.comment.clone(),
        empty_layer,
    }
}
