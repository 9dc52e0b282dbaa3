//! Manifests and indexes: Docker's schema 2 and the OCI's.

use std::collections::BTreeMap;

use model::{Digest, Platform, Reference};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Docker's manifest.
pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker's list of manifests.
pub(crate) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// The OCI's manifest.
pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The OCI's list.
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Signed manifests of registries that know no other.
pub(crate) const SCHEMA_1_SIGNED: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";
/// Docker's config of an image.
pub(crate) const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// The OCI's config of an image.
const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Docker's layer, as we push it.
pub(crate) const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

/// Most layers an image may have: more than any kernel mounts.
const MAX_LAYERS: usize = 500;

/// What we take, as `Accept` says it.
pub(crate) const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.v1+prettyjws, \
    application/vnd.docker.distribution.manifest.v1+json";

/// Names some bytes: what they are, how many, and their digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the bytes are.
    #[serde(default)]
    pub media_type: String,
    /// How many bytes.
    #[serde(rename = "size")]
    pub size_bytes: u64,
    /// Their digest.
    pub digest: Digest,
}

/// One entry of an index.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Entry {
    #[serde(flatten)]
    pub(crate) descriptor: Descriptor,
    pub(crate) platform: Option<Platform>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

impl Entry {
    /// Statements about an image, not an image.
    pub(crate) fn is_image(&self) -> bool {
        let noted = self.annotations.as_ref().is_some_and(|notes| notes.contains_key("vnd.docker.reference.type"));
        !noted && self.platform.as_ref().is_none_or(|platform| platform.os != "unknown")
    }
}

/// A manifest of one image.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    pub(crate) config: Descriptor,
    pub(crate) layers: Vec<Descriptor>,
}

/// What a registry has under a tag or digest.
#[derive(Debug, Clone)]
pub(crate) enum Manifest {
    Image(Image),
    Index(Vec<Entry>),
    /// Of a registry that knows no other.
    Schema1(crate::pull::Schema1),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    #[serde(default)]
    schema_version: u32,
    #[serde(default)]
    media_type: String,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Entry>>,
    fs_layers: Option<serde_json::Value>,
}

fn invalid(reason: impl Into<String>) -> Error {
    Error::Document { what: "manifest", reason: reason.into() }
}

impl Manifest {
    /// Reads a manifest and says what it is. `content_type` is what the registry says it is.
    ///
    /// # Errors
    /// It is none, or could be taken for two things: then two engines would run different images of one digest.
    pub(crate) fn parse(content_type: &str, bytes: &[u8]) -> Result<(Self, String)> {
        let shape: Shape = serde_json::from_slice(bytes).map_err(|error| invalid(error.to_string()))?;
        let said = content_type.split(';').next().unwrap_or_default().trim();
        if shape.schema_version == 1 && shape.fs_layers.is_some() {
            return Ok((Self::Schema1(crate::pull::Schema1::parse(bytes)?), SCHEMA_1_SIGNED.to_owned()));
        }
        if shape.schema_version != 2 {
            return Err(invalid(format!("schema version {} is not known", shape.schema_version)));
        }
        let kind = match (known(said), known(&shape.media_type)) {
            (Some(said), Some(own)) if said != own => {
                return Err(invalid(format!("it says to be {own}, the registry {said}")));
            }
            (Some(kind), _) | (None, Some(kind)) => kind,
            (None, None) if shape.manifests.is_some() => OCI_INDEX,
            (None, None) if shape.layers.is_some() && shape.media_type.is_empty() => OCI_MANIFEST,
            (None, None) => return Err(Error::Unsupported(format!("unsupported manifest media type: {said}"))),
        };
        let manifest = match (shape.config, shape.layers, shape.manifests) {
            (None, None, Some(entries)) if is_index(kind) => Self::Index(entries),
            (Some(config), layers, None) if !is_index(kind) => {
                Self::Image(Image { config, layers: layers.unwrap_or_default() })
            }
            _ => return Err(invalid("its contents do not fit its type")),
        };
        if let Self::Image(image) = &manifest {
            image.check()?;
        }
        Ok((manifest, kind.to_owned()))
    }
}

/// What a document is that a registry calls a manifest of `content_type`: its media type.
///
/// # Errors
/// It is no manifest, or could be taken for two things.
pub fn manifest_type(content_type: &str, document: &[u8]) -> Result<String> {
    Manifest::parse(content_type, document).map(|(_, kind)| kind)
}

fn known(media_type: &str) -> Option<&str> {
    [DOCKER_MANIFEST, DOCKER_LIST, OCI_MANIFEST, OCI_INDEX].into_iter().find(|known| *known == media_type)
}

/// Whether a type is one of lists.
pub(crate) fn is_index(media_type: &str) -> bool {
    matches!(media_type, DOCKER_LIST | OCI_INDEX)
}

impl Image {
    fn check(&self) -> Result<()> {
        if !matches!(self.config.media_type.as_str(), DOCKER_CONFIG | OCI_CONFIG) {
            let kind = &self.config.media_type;
            return Err(Error::Unsupported(format!(
                "unsupported media type {kind}: this is not an image that can be run"
            )));
        }
        if self.layers.len() > MAX_LAYERS {
            return Err(invalid(format!("an image of {} layers; {MAX_LAYERS} are the most", self.layers.len())));
        }
        let strange = self.layers.iter().find(|layer| {
            let kind = layer.media_type.as_str();
            let oci = kind.starts_with("application/vnd.oci.image.layer.");
            let docker = kind.starts_with("application/vnd.docker.image.rootfs.");
            !(oci || docker) || !(kind.contains("tar")) || kind.ends_with("+encrypted")
        });
        match strange {
            Some(layer) => Err(Error::Unsupported(format!("unsupported layer type: {}", layer.media_type))),
            None => Ok(()),
        }
    }
}

/// The entry that runs best on a platform.
///
/// # Errors
/// None does.
pub(crate) fn choose<'a>(entries: &'a [Entry], platform: &Platform) -> Result<&'a Entry> {
    let images = entries.iter().filter(|entry| entry.is_image());
    let fitting = images.clone().rev().filter_map(|entry| Some((platform.fit(entry.platform.as_ref()?)?, entry)));
    if let Some((_, entry)) = fitting.max_by_key(|(fit, _)| *fit) {
        return Ok(entry);
    }
    // A lone image that does not say what it runs on says so in its config.
    let mut silent = images.filter(|entry| entry.platform.is_none());
    match (silent.next(), silent.next()) {
        (Some(entry), None) => Ok(entry),
        _ => Err(Error::NoPlatform(platform.to_string())),
    }
}

/// Docker's manifest of an image, byte for byte as Docker writes it, so that its digest is the same everywhere.
pub(crate) fn docker_manifest(config: &Descriptor, layers: &[Descriptor]) -> String {
    let descriptor = |one: &Descriptor, indent: &str| {
        format!(
            "{{\n{indent}   \"mediaType\": \"{}\",\n{indent}   \"size\": {},\n{indent}   \"digest\": \"{}\"\n{indent}}}",
            one.media_type, one.size_bytes, one.digest
        )
    };
    let listed: Vec<String> = layers.iter().map(|layer| format!("      {}", descriptor(layer, "      "))).collect();
    let layers = if listed.is_empty() { "[]".to_owned() } else { format!("[\n{}\n   ]", listed.join(",\n")) };
    format!(
        "{{\n   \"schemaVersion\": 2,\n   \"mediaType\": \"{DOCKER_MANIFEST}\",\n   \"config\": {},\n   \"layers\": {layers}\n}}",
        descriptor(config, "   "),
    )
}

/// What a reference asks a registry for: its digest, otherwise its tag.
pub(crate) fn wanted(reference: &Reference) -> String {
    match (reference.digest(), reference.tag()) {
        (Some(digest), _) => digest.to_string(),
        (None, tag) => tag.unwrap_or("latest").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn descriptor(kind: &str) -> serde_json::Value {
        json!({"mediaType": kind, "size": 3, "digest": format!("sha256:{}", "a".repeat(64))})
    }

    fn parse(content_type: &str, document: serde_json::Value) -> Result<(Manifest, String)> {
        Manifest::parse(content_type, document.to_string().as_bytes())
    }

    #[test]
    fn what_it_is() {
        let image = json!({"schemaVersion": 2, "config": descriptor(OCI_CONFIG), "layers": [descriptor(DOCKER_LAYER)]});
        assert_eq!(parse("application/json", image.clone()).unwrap().1, OCI_MANIFEST);
        assert_eq!(parse(&format!("{DOCKER_MANIFEST}; charset=utf-8"), image.clone()).unwrap().1, DOCKER_MANIFEST);
        assert!(parse(OCI_INDEX, image.clone()).is_err());
        let mut both = image.clone();
        both["manifests"] = json!([]);
        assert!(parse(OCI_MANIFEST, both.clone()).is_err() && parse(OCI_INDEX, both).is_err());
        let mut lying = image.clone();
        lying["mediaType"] = json!(OCI_INDEX);
        assert!(parse(OCI_MANIFEST, lying).is_err());
        let mut chart = image;
        chart["config"] = descriptor("application/vnd.cncf.helm.config.v1+json");
        assert!(matches!(parse(OCI_MANIFEST, chart), Err(Error::Unsupported(_))));
    }

    #[test]
    fn choice() {
        let entry = |digit: &str, os: &str, architecture: &str, variant: &str| {
            json!({"mediaType": OCI_MANIFEST, "size": 1, "digest": format!("sha256:{}", digit.repeat(64)),
                "platform": {"os": os, "architecture": architecture, "variant": variant}})
        };
        let entries: Vec<Entry> = serde_json::from_value(json!([
            entry("0", "unknown", "unknown", ""),
            entry("1", "linux", "arm", "v6"),
            entry("2", "linux", "arm", "v7"),
            entry("3", "linux", "amd64", ""),
        ]))
        .unwrap();
        let choose =
            |platform: &str| choose(&entries, &platform.parse().unwrap()).map(|entry| entry.descriptor.digest.hex());
        assert_eq!(choose("linux/amd64").unwrap(), "3".repeat(64));
        assert_eq!(choose("linux/arm/v7").unwrap(), "2".repeat(64));
        assert_eq!(choose("linux/arm/v6").unwrap(), "1".repeat(64));
        let error = choose("linux/s390x").unwrap_err().to_string();
        assert_eq!(error, "no matching manifest for linux/s390x in the manifest list entries");
    }

    #[test]
    fn manifests_as_docker_writes_them() {
        let one = Descriptor { media_type: "m".into(), size_bytes: 7, digest: Digest::new([0; 32]) };
        let text = docker_manifest(&one, &[one.clone(), one.clone()]);
        let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(parsed["layers"][1]["size"], 7);
        assert!(text.starts_with("{\n   \"schemaVersion\": 2,\n   \"mediaType\": "), "{text}");
        assert!(
            text.contains("   \"layers\": [\n      {\n         \"mediaType\": \"m\",\n         \"size\": 7,\n"),
            "{text}"
        );
        assert!(text.ends_with("\n      }\n   ]\n}"), "{text}");
    }

    proptest! {
        #[test]
        fn never_panics(kind in ".{0,30}", bytes: Vec<u8>) {
            let _ = Manifest::parse(&kind, &bytes);
        }
    }
}
