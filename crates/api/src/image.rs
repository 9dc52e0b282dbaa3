//! Images.

use crate::container::{GraphDriver, HealthConfig};
use crate::{Descriptor, KeySet, Platform, StringMap, is_default};
use serde::{Deserialize, Serialize};

/// One line of `GET /images/json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ImageSummary {
    /// Containers that use it.
    pub containers: i64,
    /// Unix seconds.
    pub created: i64,
    /// `sha256:…`.
    pub id: String,
    /// Notes of whoever built it.
    pub labels: Option<StringMap>,
    /// The image it was built from, empty if not known.
    pub parent_id: String,
    /// Manifest, with a store that keeps manifests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub descriptor: Option<Descriptor>,
    /// What it is for each platform, if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifests: Option<Vec<ImageManifest>>,
    /// `name@sha256:…`.
    pub repo_digests: Vec<String>,
    /// `name:tag`.
    pub repo_tags: Vec<String>,
    /// Bytes shared with other images; -1 unless asked for.
    pub shared_size: i64,
    /// Bytes of all its layers.
    pub size: i64,
}

/// `GET /images/{name}/json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ImageInspect {
    /// `sha256:…`.
    pub id: String,
    /// `name:tag`.
    pub repo_tags: Vec<String>,
    /// `name@sha256:…`.
    pub repo_digests: Vec<String>,
    /// The image it was built from, empty if not known.
    pub parent: String,
    /// Message of the commit.
    pub comment: String,
    /// RFC 3339 with nanoseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Container it was committed from; only before 1.45.
    #[serde(skip_serializing_if = "is_default")]
    pub container: String,
    /// That container's configuration; only before 1.45.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_config: Option<crate::container::ContainerConfig>,
    /// Version of the engine that built it.
    pub docker_version: String,
    /// Who built it.
    pub author: String,
    /// Defaults of its containers.
    pub config: Option<ImageConfig>,
    /// `amd64`, `arm64`.
    pub architecture: String,
    /// `v7`.
    #[serde(skip_serializing_if = "is_default")]
    pub variant: String,
    /// `linux`.
    pub os: String,
    /// Windows only.
    #[serde(skip_serializing_if = "is_default")]
    pub os_version: String,
    /// Bytes of all its layers.
    pub size: i64,
    /// Where the storage driver keeps it.
    pub graph_driver: GraphDriver,
    /// Its layers.
    #[serde(rename = "RootFS")]
    pub root_fs: RootFs,
    /// What this host knows of it.
    pub metadata: ImageMetadata,
    /// Manifest, with a store that keeps manifests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub descriptor: Option<Descriptor>,
    /// What it is for each platform, if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifests: Option<Vec<ImageManifest>>,
}

/// A manifest of an image: what it is for one platform (API 1.47).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ImageManifest {
    /// The manifest's digest.
    #[serde(rename = "ID")]
    pub id: String,
    /// The manifest.
    pub descriptor: Descriptor,
    /// Whether all of it is here.
    pub available: bool,
    /// What it takes.
    pub size: ManifestSize,
    /// `image`.
    pub kind: String,
    /// The image it describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_data: Option<ManifestImage>,
}

/// What a manifest's image takes, in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ManifestSize {
    /// Documents and layers as they were fetched, as far as they are kept.
    pub content: i64,
    /// That and the files.
    pub total: i64,
}

/// The image that a manifest describes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ManifestImage {
    /// What it runs on.
    pub platform: Platform,
    /// Ids of the containers that use it.
    pub containers: Vec<String>,
    /// What its files take.
    pub size: UnpackedSize,
}

/// What an image's files take.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct UnpackedSize {
    /// Bytes of all layers' files.
    pub unpacked: i64,
}

/// Defaults of an image's containers, as [`crate::container::ContainerConfig`] but without what is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[expect(missing_docs, reason = "each is ContainerConfig's field of that name")]
pub struct ImageConfig {
    pub user: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exposed_ports: Option<KeySet>,
    pub env: Option<Vec<String>>,
    #[serde(deserialize_with = "crate::decode::words")]
    pub entrypoint: Option<Vec<String>>,
    #[serde(deserialize_with = "crate::decode::words")]
    pub cmd: Option<Vec<String>>,
    pub volumes: Option<KeySet>,
    pub working_dir: String,
    pub labels: Option<StringMap>,
    #[serde(skip_serializing_if = "is_default")]
    pub stop_signal: String,
    #[serde(skip_serializing_if = "is_default")]
    pub args_escaped: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<HealthConfig>,
    pub on_build: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "crate::decode::words")]
    pub shell: Option<Vec<String>>,
}

/// Layers of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RootFs {
    /// `layers`.
    pub r#type: String,
    /// Digests of the unpacked tars, lowest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<String>,
}

/// What a host knows of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ImageMetadata {
    /// RFC 3339; the year 1 if never.
    pub last_tag_time: String,
}

/// One step of `GET /images/{name}/history`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HistoryItem {
    /// Message of the commit.
    pub comment: String,
    /// Unix seconds.
    pub created: i64,
    /// The command that made the layer.
    pub created_by: String,
    /// `sha256:…` or `<missing>`.
    pub id: String,
    /// Bytes of the layer.
    pub size: i64,
    /// `name:tag`; `null` if none.
    pub tags: Option<Vec<String>>,
}

/// One line of the answer to `DELETE /images/{name}`: exactly one of the two.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DeleteItem {
    /// An image that is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted: Option<String>,
    /// A name that is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub untagged: Option<String>,
}

/// `POST /images/prune`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ImagesPruned {
    /// What is gone; `null` if nothing.
    pub images_deleted: Option<Vec<DeleteItem>>,
    /// Bytes.
    pub space_reclaimed: u64,
}

/// `POST /build/prune`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct BuildCachePruned {
    /// Ids of the records that are gone; `null` if there were none.
    pub caches_deleted: Option<Vec<String>>,
    /// Bytes.
    pub space_reclaimed: u64,
}

/// One line of `GET /images/search`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SearchResult {
    /// How many like it.
    pub star_count: i64,
    /// Kept by the registry's owner.
    pub is_official: bool,
    /// Name of the repository.
    pub name: String,
    /// Built by the registry.
    pub is_automated: bool,
    /// In its owner's words.
    pub description: String,
}

/// `GET /distribution/{name}/json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Distribution {
    /// The manifest or index.
    pub descriptor: Descriptor,
    /// What it runs on.
    pub platforms: Vec<crate::Platform>,
}

/// One message of a progress stream (pull, push, import, load, build).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// Output of a build.
    #[serde(skip_serializing_if = "is_default")]
    pub stream: String,
    /// What is done now.
    #[serde(skip_serializing_if = "is_default")]
    pub status: String,
    /// How far, in numbers.
    #[serde(rename = "progressDetail", skip_serializing_if = "Option::is_none")]
    pub progress_detail: Option<ProgressDetail>,
    /// How far, drawn.
    #[serde(skip_serializing_if = "is_default")]
    pub progress: String,
    /// Layer it is about.
    #[serde(skip_serializing_if = "is_default")]
    pub id: String,
    /// Why it ended.
    #[serde(rename = "errorDetail", skip_serializing_if = "Option::is_none")]
    pub error_detail: Option<ErrorDetail>,
    /// Why it ended.
    #[serde(skip_serializing_if = "is_default")]
    pub error: String,
    /// What a program wants to know: `{"ID":"sha256:…"}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aux: Option<serde_json::Value>,
}

/// How far, in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProgressDetail {
    /// Bytes so far.
    #[serde(skip_serializing_if = "is_default")]
    pub current: i64,
    /// Bytes in all.
    #[serde(skip_serializing_if = "is_default")]
    pub total: i64,
}

/// Why a stream ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ErrorDetail {
    /// Exit status of a build's command.
    #[serde(skip_serializing_if = "is_default")]
    pub code: i64,
    /// In words.
    pub message: String,
}
