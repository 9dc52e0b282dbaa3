//! The layout of before 2016: a folder a step, each with an id of its own, its parent's id and a layer.
//!
//! A step's id there was any 64 digits. Here it is the id of the image that the step left, where that image is known:
//! so clients of old versions of the API see one and the same id everywhere. Steps whose image is not known get a digest of
//! what they are made of, so that the same image gives the same ids on every engine; without a layer they are left out.

use model::DiffId;
use serde_json::{Map, Value, json};

use crate::image::digest;
use crate::{Config, History, Image, Result, RunConfig, Snapshot};

/// A folder of the layout.
#[derive(Debug)]
pub(crate) struct Step {
    /// 64 hex digits.
    pub(crate) id: String,
    /// The folder's `json`.
    pub(crate) json: Vec<u8>,
    /// The layer; `None` means an empty one.
    pub(crate) diff: Option<DiffId>,
}

/// The steps of an image, oldest first; the last is the image itself.
pub(crate) fn steps(snapshot: &Snapshot, image: &Image) -> Result<Vec<Step>> {
    let history = history(&image.config);
    let made = made(snapshot, image, history.len());
    let mut steps: Vec<Step> = Vec::new();
    for (at, (step, layer)) in history.iter().enumerate() {
        let diff = layer.and_then(|layer| image.config.rootfs.diff_ids.get(layer)).copied();
        let size = layer.and_then(|layer| image.layers.get(layer)).map_or(0, |chain| snapshot.layer_size(chain));
        let parent = steps.last().map(|step| step.id.clone());
        let made = made.get(at).copied().flatten();
        if made.is_none() && diff.is_none() {
            continue;
        }
        let mut document = match made {
            Some(image) => of_image(&image.config)?,
            None => of_step(&image.config, step)?,
        };
        if let Some(parent) = parent {
            document.insert("parent".to_owned(), json!(parent));
        }
        document.insert("Size".to_owned(), json!(size));
        let id = match made {
            Some(image) => image.id.hex(),
            None => {
                let made_of = json!({"step": document, "layer": diff, "at": at});
                digest(made_of.to_string().as_bytes()).hex()
            }
        };
        document.insert("id".to_owned(), json!(id));
        steps.push(Step { id, json: Value::Object(document).to_string().into_bytes(), diff });
    }
    Ok(steps)
}

/// The history with the layers' places. One that does not fit the layers is replaced by a step a layer; there is always at
/// least one step.
fn history(config: &Config) -> Vec<(History, Option<usize>)> {
    let own = config.steps().unwrap_or_default();
    if !own.is_empty() {
        return own.into_iter().map(|(step, layer)| (step.clone(), layer)).collect();
    }
    let step = History { created: config.created, ..History::default() };
    match config.rootfs.diff_ids.len() {
        0 => vec![(step, None)],
        layers => (0..layers).map(|layer| (step.clone(), Some(layer))).collect(),
    }
}

/// The image that each step left, as far as the line of parents tells; the last is the image itself.
fn made<'a>(snapshot: &'a Snapshot, image: &'a Image, steps: usize) -> Vec<Option<&'a Image>> {
    let mut made = vec![None; steps];
    let mut next = Some(image);
    for slot in made.iter_mut().rev() {
        *slot = next;
        next = next.and_then(|image| {
            let parent: &Image = snapshot.get(&image.parent()?)?;
            let one_less = parent.config.history.len() + 1 == image.config.history.len();
            (one_less && image.layers.starts_with(&parent.layers)).then_some(parent)
        });
    }
    made
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn serialised(value: &impl serde::Serialize) -> Result<Map<String, Value>> {
    let member = "json".to_owned();
    serde_json::to_value(value).map(object).map_err(|source| crate::Error::Document { member, source })
}

/// The `json` of a step whose image is known: its config without what the layout did not have.
fn of_image(config: &Config) -> Result<Map<String, Value>> {
    let mut document = serialised(config)?;
    for key in ["rootfs", "history", "variant", "os.version"] {
        document.remove(key);
    }
    let default = RunConfig::default();
    let container_config = config.container_config.as_ref().unwrap_or(&default);
    document.insert("container_config".to_owned(), Value::Object(old_run_config(container_config)?));
    if let Some(run) = &config.config {
        document.insert("config".to_owned(), Value::Object(old_run_config(run)?));
    }
    Ok(document)
}

fn of_step(config: &Config, step: &History) -> Result<Map<String, Value>> {
    let cmd = Some(step.created_by.clone()).filter(|command| !command.is_empty()).map(|command| vec![command]);
    of_image(&Config {
        comment: step.comment.clone(),
        author: step.author.clone(),
        created: step.created,
        container_config: Some(RunConfig { cmd, ..RunConfig::default() }),
        architecture: config.architecture.clone(),
        os: config.os.clone(),
        ..Config::default()
    })
}

/// Keys that a config of 2014 always had, with the values they had when unset.
fn old_keys() -> Map<String, Value> {
    object(json!({
        "Hostname": "", "Domainname": "", "User": "", "Memory": 0, "MemorySwap": 0, "CpuShares": 0, "Cpuset": "",
        "AttachStdin": false, "AttachStdout": false, "AttachStderr": false, "PortSpecs": null, "ExposedPorts": null,
        "Tty": false, "OpenStdin": false, "StdinOnce": false, "Env": null, "Cmd": null, "Image": "", "Volumes": null,
        "WorkingDir": "", "Entrypoint": null, "NetworkDisabled": false, "OnBuild": null,
    }))
}

/// Keys of [`old_keys`] that a config of today has only when they are set.
const GONE: [&str; 6] = ["Memory", "MemorySwap", "CpuShares", "Cpuset", "PortSpecs", "NetworkDisabled"];

fn old_run_config(run: &RunConfig) -> Result<Map<String, Value>> {
    let mut old = old_keys();
    let own = serialised(run)?;
    // Keys of later years are harmless when set; unset they are noise that old clients never saw.
    let noise = |key: &str, value: &Value| value.is_null() && !old_keys().contains_key(key);
    old.extend(own.into_iter().filter(|(key, value)| !noise(key, value)));
    if let Some(Value::String(image)) = old.get_mut("Image")
        && let Some(hex) = image.strip_prefix("sha256:").map(str::to_owned)
    {
        *image = hex;
    }
    Ok(old)
}

/// What a configuration may have been before [`old_run_config`] wrote it: with and without the keys that are not set, and with
/// the image named by its digest.
pub(crate) fn origins(new: &RunConfig) -> [RunConfig; 3] {
    let mut digested = new.clone();
    if let Some(Value::String(image)) = digested.other.get_mut("Image")
        && image.len() == 64
    {
        image.insert_str(0, "sha256:");
    }
    let mut bare = digested.clone();
    let defaults = old_keys();
    bare.other.retain(|key, value| defaults.get(key) != Some(value));
    [new.clone(), digested, bare]
}

/// The inverse of [`old_run_config`] for configs made here; `None` if nothing at all is set.
pub(crate) fn new_run_config(old: RunConfig) -> Option<RunConfig> {
    let unset = serialised(&old).is_ok_and(|map| {
        let defaults = old_keys();
        map.iter().all(|(key, value)| defaults.get(key).unwrap_or(&Value::Null) == value)
    });
    if unset {
        return None;
    }
    let mut new = old;
    let defaults = old_keys();
    new.other.retain(|key, value| !(GONE.contains(&key.as_str()) && defaults.get(key) == Some(value)));
    Some(new)
}
