//! A container's configuration: what the client asked, filled up from the image.

use std::collections::BTreeMap;

use api::container::{ContainerConfig, HealthConfig};

/// Fills `config` up with what the image says and the client did not.
///
/// An entry point of the client suppresses the image's command; an entry point of one empty word means "none, not even the image's".
pub(crate) fn merge(config: &mut ContainerConfig, image: &ContainerConfig) {
    fill(&mut config.user, &image.user);
    fill(&mut config.working_dir, &image.working_dir);
    fill(&mut config.stop_signal, &image.stop_signal);
    unite(&mut config.exposed_ports, image.exposed_ports.as_ref());
    unite(&mut config.volumes, image.volumes.as_ref());
    unite(&mut config.labels, image.labels.as_ref());
    // Docker's containers have labels, if none at all, and never null.
    config.labels.get_or_insert_default();
    merge_env(config, image);
    merge_command(config, image);
    if is_empty(config.shell.as_deref()) {
        config.shell.clone_from(&image.shell);
    }
    if config.stop_timeout.is_none() {
        config.stop_timeout = image.stop_timeout;
    }
    merge_health(config, image);
}

fn fill(own: &mut String, image: &str) {
    if own.is_empty() {
        image.clone_into(own);
    }
}

fn is_empty(list: Option<&[String]>) -> bool {
    list.is_none_or(<[String]>::is_empty)
}

/// The image's entries that the client's map lacks are added. A map of the image without entries is told from none.
fn unite<V: Clone>(own: &mut Option<BTreeMap<String, V>>, image: Option<&BTreeMap<String, V>>) {
    let Some(image) = image else { return };
    let own = own.get_or_insert_with(BTreeMap::new);
    for (key, value) in image {
        own.entry(key.clone()).or_insert_with(|| value.clone());
    }
}

fn merge_env(config: &mut ContainerConfig, image: &ContainerConfig) {
    let Some(image_env) = image.env.as_ref().filter(|env| !env.is_empty()) else { return };
    let own = config.env.get_or_insert_with(Vec::new);
    let missing: Vec<_> =
        image_env.iter().filter(|entry| !own.iter().any(|mine| env_key(mine) == env_key(entry))).cloned().collect();
    own.extend(missing);
}

fn env_key(entry: &str) -> &str {
    entry.split_once('=').map_or(entry, |(key, _)| key)
}

fn merge_command(config: &mut ContainerConfig, image: &ContainerConfig) {
    if !is_empty(config.entrypoint.as_deref()) {
        if config.entrypoint.as_deref() == Some(&[String::new()]) {
            config.entrypoint = None;
        }
        return;
    }
    if is_empty(config.cmd.as_deref()) {
        config.cmd.clone_from(&image.cmd);
        config.args_escaped = image.args_escaped;
    }
    if config.entrypoint.is_none() {
        config.entrypoint.clone_from(&image.entrypoint);
    }
}

fn merge_health(config: &mut ContainerConfig, image: &ContainerConfig) {
    let Some(image) = &image.healthcheck else { return };
    let own = config.healthcheck.get_or_insert_with(HealthConfig::default);
    if is_empty(own.test.as_deref()) {
        own.test.clone_from(&image.test);
    }
    for (mine, theirs) in [
        (&mut own.interval, image.interval),
        (&mut own.timeout, image.timeout),
        (&mut own.start_period, image.start_period),
        (&mut own.start_interval, image.start_interval),
        (&mut own.retries, image.retries),
    ] {
        if *mine == 0 {
            *mine = theirs;
        }
    }
}

/// Program and arguments: the entry point's first word, or else the command's; `None` if there is none.
pub(crate) fn command_line(config: &ContainerConfig) -> Option<(String, Vec<String>)> {
    let mut words = config.entrypoint.iter().flatten().chain(config.cmd.iter().flatten()).cloned();
    let path = words.next()?;
    Some((path, words.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(list: &[&str]) -> Option<Vec<String>> {
        Some(list.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn an_entry_point_suppresses_the_images_command() {
        let image = ContainerConfig { cmd: words(&["sh"]), entrypoint: words(&["/init"]), ..Default::default() };
        let mut config = ContainerConfig { entrypoint: words(&["/bin/x"]), ..Default::default() };
        merge(&mut config, &image);
        assert_eq!(command_line(&config), Some(("/bin/x".into(), vec![])));

        let mut config = ContainerConfig { cmd: words(&["ls"]), ..Default::default() };
        merge(&mut config, &image);
        assert_eq!(command_line(&config), Some(("/init".into(), vec!["ls".into()])));

        let mut config = ContainerConfig::default();
        merge(&mut config, &image);
        assert_eq!(command_line(&config), Some(("/init".into(), vec!["sh".into()])));
    }

    #[test]
    fn an_empty_word_resets_the_entry_point() {
        let image = ContainerConfig { cmd: words(&["sh"]), entrypoint: words(&["/init"]), ..Default::default() };
        let mut config = ContainerConfig { entrypoint: words(&[""]), ..Default::default() };
        merge(&mut config, &image);
        assert_eq!(command_line(&config), None);
    }

    #[test]
    fn environment_and_maps_are_united_and_the_client_wins() {
        let image = ContainerConfig {
            env: words(&["A=image", "B=image"]),
            labels: Some([("a".into(), "image".into()), ("b".into(), "image".into())].into()),
            ..Default::default()
        };
        let mut config = ContainerConfig {
            env: words(&["A=mine", "C"]),
            labels: Some([("a".into(), "mine".into())].into()),
            ..Default::default()
        };
        merge(&mut config, &image);
        assert_eq!(config.env, words(&["A=mine", "C", "B=image"]));
        let labels = config.labels.unwrap_or_default();
        assert_eq!((labels["a"].as_str(), labels["b"].as_str()), ("mine", "image"));
    }
}
