//! The image config: what Docker and the OCI both call so.

use std::collections::BTreeMap;

use model::{ChainId, DiffId, Timestamp};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

/// An image's config as far as the engine reads it. The bytes it was parsed from are kept beside it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Message of the commit or import.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "or_default")]
    pub comment: String,
    /// When it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// Id of the container it was committed from.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "or_default")]
    pub container: String,
    /// Configuration of that container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_config: Option<RunConfig>,
    /// Version of the engine that made it.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "or_default")]
    pub docker_version: String,
    /// Who made it.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "or_default")]
    pub author: String,
    /// Defaults of its containers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<RunConfig>,
    /// `amd64`, `arm64`.
    #[serde(deserialize_with = "or_default")]
    pub architecture: String,
    /// `v7`.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "or_default")]
    pub variant: String,
    /// `linux`.
    #[serde(deserialize_with = "or_default")]
    pub os: String,
    /// Its layers.
    #[serde(deserialize_with = "or_default")]
    pub rootfs: RootFs,
    /// Its steps, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub history: Vec<History>,
    /// Version of the operating system, if it matters.
    #[serde(rename = "os.version", skip_serializing_if = "String::is_empty", deserialize_with = "or_default")]
    pub os_version: String,
}

/// The layers of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// `layers`.
    #[serde(rename = "type", deserialize_with = "or_default")]
    pub kind: String,
    /// Digests of the uncompressed tar streams, lowest layer first.
    #[serde(default, deserialize_with = "or_default")]
    pub diff_ids: Vec<DiffId>,
}

impl Default for RootFs {
    fn default() -> Self {
        Self { kind: "layers".to_owned(), diff_ids: Vec::new() }
    }
}

/// One step of an image's making.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct History {
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// By whom.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "or_default")]
    pub author: String,
    /// The command.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "or_default")]
    pub created_by: String,
    /// The message.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "or_default")]
    pub comment: String,
    /// Whether it left no layer.
    #[serde(skip_serializing_if = "std::ops::Not::not", deserialize_with = "or_default")]
    pub empty_layer: bool,
}

/// Set of names as Go writes it: `{"80/tcp": {}}`.
pub type NameSet = BTreeMap<String, Value>;

/// What a container of the image runs with unless told otherwise.
///
/// The fields that the engine changes are typed, all others are kept as they are.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct RunConfig {
    /// `user[:group]`.
    #[serde(deserialize_with = "or_default")]
    pub user: String,
    /// `port/protocol` it listens on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exposed_ports: Option<NameSet>,
    /// `NAME=value`.
    pub env: Option<Vec<String>>,
    /// Command, or arguments of the entry point.
    #[serde(deserialize_with = "words")]
    pub cmd: Option<Vec<String>>,
    /// How to tell that a container is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// Paths that get a volume.
    pub volumes: Option<NameSet>,
    /// Directory in which the command starts.
    #[serde(deserialize_with = "or_default")]
    pub working_dir: String,
    /// Program that the command is handed to.
    #[serde(deserialize_with = "words")]
    pub entrypoint: Option<Vec<String>>,
    /// Instructions for images built on this one.
    pub on_build: Option<Vec<String>>,
    /// Notes.
    pub labels: Option<BTreeMap<String, String>>,
    /// Signal that asks a container to end.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "or_default")]
    pub stop_signal: String,
    /// Shell of the shell forms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shell: Option<Vec<String>>,
    /// Everything else.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// How to tell that a container is well. Durations in nanoseconds; 0 means inherited.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", command]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<Vec<String>>,
    /// Time between two checks.
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "or_default")]
    pub interval: i64,
    /// Time a check may take.
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "or_default")]
    pub timeout: i64,
    /// Time at the beginning in which failures do not count.
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "or_default")]
    pub start_period: i64,
    /// Time between two checks in the start period.
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "or_default")]
    pub start_interval: i64,
    /// Failures in a row that make it unhealthy.
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "or_default")]
    pub retries: i64,
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// Go takes `null` for a zero value.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A list of words; a lone string stands for a list of one.
fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    Ok(Option::<OneOrMany>::deserialize(deserializer)?.map(|words| match words {
        OneOrMany::One(word) => vec![word],
        OneOrMany::Many(words) => words,
    }))
}

/// The chain ids of layers with these diff ids, lowest first.
pub fn chain_ids(diff_ids: &[DiffId]) -> Vec<ChainId> {
    let mut chain: Option<ChainId> = None;
    diff_ids
        .iter()
        .map(|diff| {
            let next = match chain {
                None => ChainId(diff.0),
                Some(parent) => {
                    let bytes: [u8; 32] = Sha256::digest(format!("{parent} {diff}")).into();
                    ChainId(model::Digest::new(bytes))
                }
            };
            chain = Some(next);
            next
        })
        .collect()
}

impl Config {
    /// The history's steps with the index of the layer each left; `None` if the history does not fit the layers.
    pub fn steps(&self) -> Option<Vec<(&History, Option<usize>)>> {
        let mut layer = 0;
        let mut steps = Vec::with_capacity(self.history.len());
        for step in &self.history {
            steps.push((step, (!step.empty_layer).then_some(layer)));
            layer += usize::from(!step.empty_layer);
        }
        (layer == self.rootfs.diff_ids.len()).then_some(steps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nulls_and_unknown_keys() {
        let json = r#"{"created":"2014-08-20T10:00:00.5Z","author":null,"history":null,"os":"linux","architecture":"amd64",
            "config":{"Cmd":"true","Entrypoint":null,"Labels":null,"User":null,"Memory":0,"Env":["A=b"]},
            "rootfs":{"type":"layers","diff_ids":null},"x":1}"#;
        let config: Config = serde_json::from_str(json).unwrap();
        let run = config.config.unwrap();
        assert_eq!(run.cmd, Some(vec!["true".to_owned()]));
        assert_eq!(run.other["Memory"], 0);
        assert!(config.rootfs.diff_ids.is_empty());
    }

    #[test]
    fn chains() {
        let one = DiffId(model::Digest::new([1; 32]));
        let chain = chain_ids(&[one, one]);
        assert_eq!(chain[0].0, one.0);
        assert_eq!(chain_ids(&[one, one, one])[..2], chain);
        assert_ne!(chain[0], chain[1]);
    }
}
