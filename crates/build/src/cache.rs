//! The cache: images that the same step left on the same parent before.

use std::sync::Arc;

use image::{Image, Images, RunConfig};
use model::ImageId;

/// The key under which a step's configuration keeps what it depends on beside its words.
pub(crate) const INPUTS: &str = "BuildInputs";

/// The newest image whose parent is this one and whose step had this configuration.
pub(crate) fn find(images: &Images, parent: Option<&ImageId>, config: &RunConfig) -> Option<Arc<Image>> {
    let snapshot = images.snapshot();
    let fits = |image: &&Arc<Image>| image.config.container_config.as_ref().is_some_and(|made| same(made, config));
    let newest = |image: &&Arc<Image>| image.created();
    match parent {
        Some(parent) => {
            let children = snapshot.children(parent).filter_map(|id| snapshot.get(id));
            children.filter(fits).max_by_key(newest).cloned()
        }
        None => {
            let first = |image: &&Arc<Image>| image.parent().is_none() && image.config.history.len() == 1;
            snapshot.images().filter(first).filter(fits).max_by_key(newest).cloned()
        }
    }
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
        && a.labels.clone().unwrap_or_default() == b.labels.clone().unwrap_or_default()
}
