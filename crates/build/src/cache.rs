//! The cache: images that the same step left on the same parent before.

use std::sync::Arc;

use image::{History, Image, Images, RunConfig};
use model::{ChainId, ImageId, Platform};
use storage::{Layer, Storage};

/// The key under which a step's configuration keeps what it depends on beside its words.
pub(crate) const INPUTS: &str = "BuildInputs";

/// The newest image whose parent is this one and whose step had this configuration.
pub(crate) fn find_next(images: &Images, parent: &ImageId, config: &RunConfig) -> Option<Arc<Image>> {
    let snapshot = images.snapshot();
    let children = snapshot.children(parent).filter_map(|id| snapshot.get(id));
    children.filter(|image| had(image, config)).max_by_key(|image| image.created()).cloned()
}

/// The newest image without a parent, for this platform, whose step had this configuration.
pub(crate) fn find_first(images: &Images, platform: &Platform, config: &RunConfig) -> Option<Arc<Image>> {
    let snapshot = images.snapshot();
    // Whoever sends an image could claim that it is such a step.
    let is_first = |image: &&Arc<Image>| {
        let is_first = image.parent().is_none() && image.config.history.len() == 1;
        is_first && image.is_built() && image.platform().is_same(platform)
    };
    let first = snapshot.images().filter(is_first);
    first.filter(|image| had(image, config)).max_by_key(|image| image.created()).cloned()
}

/// Whether the step that left an image had this configuration.
fn had(image: &Image, config: &RunConfig) -> bool {
    image.config.container_config.as_ref().is_some_and(|made| same(made, config))
}

/// The layer that the newest step with these words left, whatever it stands on.
pub(crate) fn find_linked(images: &Images, names: &[String], comment: &str) -> Option<ChainId> {
    let snapshot = images.snapshot();
    let same = |image: &&Arc<Image>| {
        let made = image.config.container_config.as_ref().and_then(|made| made.cmd.as_ref());
        let has_layer = image.config.history.last().is_some_and(|step| !step.empty_layer);
        image.is_built() && has_layer && made.and_then(|words| words.last()).is_some_and(|last| last == comment)
    };
    let steps = snapshot.images().filter(same).filter(|image| is_of(images, names, image));
    steps.max_by_key(|image| image.created())?.top()
}

/// Whether an earlier step's image may be gone on with: once a client names images as its cache, only what those were made from.
pub(crate) fn is_of(images: &Images, names: &[String], step: &Image) -> bool {
    let snapshot = images.snapshot();
    let line = |name: &String| {
        let first = snapshot.resolve(name).ok();
        std::iter::successors(first, |image| snapshot.get(&image.parent()?).cloned()).any(|image| image.id == step.id)
    };
    names.is_empty() || names.iter().any(line)
}

/// What a step of another image left, that came from a registry or an archive and so has no parents here.
pub(crate) enum Foreign {
    /// It was the image's last step: the image itself.
    Whole(Arc<Image>),
    /// It left this layer, or none.
    Step(Option<Layer>),
}

/// The step of one of these images that comes after the same steps and layers as the parent's and had the same words.
pub(crate) fn find_foreign(
    named: Vec<Arc<Image>>,
    storage: &Storage,
    parent: Option<&Image>,
    config: &RunConfig,
) -> Option<Foreign> {
    let words = config.cmd.as_ref()?.join(" ");
    let (history, layers) = match parent {
        Some(parent) => (parent.config.history.as_slice(), parent.layers.as_slice()),
        None => (&[][..], &[][..]),
    };
    for image in named {
        let Some(steps) = image.config.steps().filter(|_| image.layers.starts_with(layers)) else { continue };
        let same = |(ours, (theirs, _)): (&History, &(&History, Option<usize>))| ours.created_by == theirs.created_by;
        let Some((step, layer)) = steps.get(history.len()).filter(|_| history.iter().zip(&steps).all(same)) else {
            continue;
        };
        if step.created_by != words {
            continue;
        }
        if steps.len() == history.len() + 1 {
            return Some(Foreign::Whole(image));
        }
        let layer = layer.and_then(|number| image.layers.get(number)).map(|chain| storage.layer(chain));
        if let Ok(layer) = layer.transpose() {
            return Some(Foreign::Step(layer));
        }
    }
    None
}

/// Whether two steps are one: all that an instruction can change, but nothing of the container it ran in.
fn same(a: &RunConfig, b: &RunConfig) -> bool {
    fn list<T>(list: &Option<Vec<T>>) -> &[T] {
        list.as_deref().unwrap_or_default()
    }
    fn keys<V>(map: &Option<std::collections::BTreeMap<String, V>>) -> Vec<&String> {
        map.iter().flat_map(|map| map.keys()).collect()
    }
    list(&a.cmd) == list(&b.cmd)
        && a.other.get(INPUTS) == b.other.get(INPUTS)
        && list(&a.env) == list(&b.env)
        && list(&a.entrypoint) == list(&b.entrypoint)
        && list(&a.on_build) == list(&b.on_build)
        && list(&a.shell) == list(&b.shell)
        && a.user == b.user
        && a.working_dir == b.working_dir
        && a.stop_signal == b.stop_signal
        && a.healthcheck == b.healthcheck
        && keys(&a.exposed_ports) == keys(&b.exposed_ports)
        && keys(&a.volumes) == keys(&b.volumes)
        && a.labels.iter().flatten().eq(b.labels.iter().flatten())
}
