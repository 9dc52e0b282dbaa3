//! Manifests of schema 1: registries before 2016 have no other. They name blobs but no config; that is put together from
//! the documents of the layers.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::{DiffId, Digest, Reference};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::layers::{Assembly, Plan, alone};
use crate::session::Session;
use crate::{Error, Result};

const MAX_LAYERS: usize = 500;

/// A manifest of schema 1.
#[derive(Debug, Clone)]
pub(crate) struct Schema1 {
    /// Lowest first.
    layers: Vec<Layer>,
    signature: Option<Protected>,
}

#[derive(Debug, Clone)]
struct Layer {
    blob: Digest,
    /// The document of the image that this layer was the top of.
    document: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    fs_layers: Vec<FsLayer>,
    history: Vec<History>,
    #[serde(default)]
    signatures: Vec<Signature>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FsLayer {
    blob_sum: Digest,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct History {
    v1_compatibility: String,
}

#[derive(Deserialize)]
struct Signature {
    #[serde(default)]
    protected: String,
}

/// What was signed: the document up to `format_length`, and then `format_tail`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Protected {
    format_length: usize,
    format_tail: String,
}

fn invalid(reason: impl Into<String>) -> Error {
    Error::Document { what: "manifest of schema 1", reason: reason.into() }
}

impl Schema1 {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        let wire: Wire = serde_json::from_slice(bytes).map_err(|error| invalid(error.to_string()))?;
        if wire.fs_layers.len() != wire.history.len() || wire.history.is_empty() || wire.history.len() > MAX_LAYERS {
            return Err(invalid("its layers do not fit its history"));
        }
        let layer = |(layer, history): (FsLayer, History)| {
            let document =
                serde_json::from_str(&history.v1_compatibility).map_err(|error| invalid(error.to_string()))?;
            Ok(Layer { blob: layer.blob_sum, document })
        };
        let layers: Result<Vec<Layer>> = wire.fs_layers.into_iter().zip(wire.history).rev().map(layer).collect();
        let protected = wire.signatures.first().and_then(|one| URL_SAFE_NO_PAD.decode(&one.protected).ok());
        let signature = protected.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Ok(Self { layers: layers?, signature })
    }

    /// The manifest's digest, which leaves signatures out.
    pub(crate) fn digest(&self, bytes: &[u8]) -> Digest {
        let signed = self.signature.as_ref().and_then(|signature| {
            let mut payload = bytes.get(..signature.format_length)?.to_vec();
            payload.extend(URL_SAFE_NO_PAD.decode(&signature.format_tail).ok()?);
            Some(payload)
        });
        image::digest(signed.as_deref().unwrap_or(bytes))
    }

    /// How its image is put together.
    pub(super) fn assembly(&self, session: &Session, path: &str, names: &[Reference]) -> Assembly {
        let real = self.layers.iter().filter(|layer| !layer.is_empty());
        let plans = real.map(|layer| Plan::blob(session, path, layer.blob)).collect();
        let (own, names) = (self.clone(), names.to_vec());
        Assembly { plans, base: None, images: Box::new(move |diffs| Ok(alone(own.config(diffs)?, names))) }
    }

    fn config(&self, diffs: &[DiffId]) -> Result<Vec<u8>> {
        let Some(top) = self.layers.last() else { return Err(invalid("no layers")) };
        let mut config = top.document.clone();
        for key in ["id", "parent", "Size", "parent_id", "layer_id", "throwaway"] {
            config.remove(key);
        }
        config.insert("rootfs".to_owned(), json!({"type": "layers", "diff_ids": diffs}));
        config.insert("history".to_owned(), self.layers.iter().map(Layer::step).collect());
        serde_json::to_vec(&config).map_err(|error| invalid(error.to_string()))
    }
}

impl Layer {
    fn is_empty(&self) -> bool {
        self.document.get("throwaway") == Some(&Value::Bool(true))
    }

    /// This layer as a step of an image's history.
    fn step(&self) -> Value {
        let mut step = Map::new();
        for key in ["created", "author", "comment"] {
            if let Some(value) =
                self.document.get(key).filter(|value| value.as_str().is_some_and(|text| !text.is_empty()))
            {
                step.insert(key.to_owned(), value.clone());
            }
        }
        let command =
            self.document.get("container_config").and_then(|config| config.get("Cmd")).and_then(Value::as_array);
        if let Some(words) = command {
            let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
            step.insert("created_by".to_owned(), words.join(" ").into());
        }
        if self.is_empty() {
            step.insert("empty_layer".to_owned(), true.into());
        }
        step.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_from_its_layers() {
        let manifest = json!({
            "schemaVersion": 1,
            "fsLayers": [
                {"blobSum": format!("sha256:{}", "b".repeat(64))}, {"blobSum": format!("sha256:{}", "a".repeat(64))}],
            "history": [
                {"v1Compatibility": json!({"id": "2", "parent": "1", "throwaway": true, "os": "linux",
                    "created": "2014-01-02T00:00:00Z", "config": {"Cmd": ["sh"]}}).to_string()},
                {"v1Compatibility": json!({"id": "1", "container_config": {"Cmd": ["ADD", "x"]}}).to_string()}],
        });
        let one = Schema1::parse(manifest.to_string().as_bytes()).unwrap();
        assert_eq!(one.layers.iter().filter(|layer| !layer.is_empty()).count(), 1);
        let diff = DiffId(Digest::new([7; 32]));
        let config: image::Config = serde_json::from_slice(&one.config(&[diff]).unwrap()).unwrap();
        assert_eq!(config.rootfs.diff_ids, [diff]);
        assert_eq!(config.history[0].created_by, "ADD x");
        assert!(config.history[1].empty_layer && !config.history[0].empty_layer);
    }

    #[test]
    fn the_digest_leaves_the_signature_out() {
        let text = r#"{"schemaVersion":1,"fsLayers":[{"blobSum":"sha256:HEX"}],"history":[{"v1Compatibility":"{}"}]"#;
        let text = text.replace("HEX", &"a".repeat(64));
        let protected = json!({"formatLength": text.len(), "formatTail": URL_SAFE_NO_PAD.encode("}")}).to_string();
        let signed = format!("{text},\"signatures\":[{{\"protected\":\"{}\"}}]}}", URL_SAFE_NO_PAD.encode(protected));
        let one = Schema1::parse(signed.as_bytes()).unwrap();
        assert_eq!(one.digest(signed.as_bytes()), image::digest(format!("{text}}}").as_bytes()));
    }
}
