//! The newest Docker API (v1.51): its wire types, with exactly the keys Docker 28 prints.
//!
//! Conventions: a list or map that Docker prints as `null` when absent is an [`Option`]; a key that Docker leaves out
//! when empty is skipped here too; maps are sorted, as they are on Docker's wire. Everything a client sends is read
//! with [`decode`], which knows the leniency clients rely on (any letter case in keys, `null` for "not given").

#![warn(missing_docs)]

pub mod container;
mod decode;
pub mod event;
pub mod exec;
pub mod host_config;
pub mod image;
pub mod network;
pub mod quirk;
pub mod routes;
pub mod stats;
pub mod system;
pub mod volume;

pub use decode::{DecodeError, decode, decode_slice};

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// String keys and values, sorted: labels, options, annotations.
pub type StringMap = BTreeMap<String, String>;

/// A set as Docker writes it: an object whose values are empty objects (`{"80/tcp":{}}`).
pub type KeySet = BTreeMap<String, Empty>;

/// The empty object `{}`. Anything a client puts inside is ignored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empty {}

/// `{"message": …}`: the body of every error.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ErrorMessage {
    /// What was asked, what stood in the way.
    pub message: String,
}

/// `{"Id": …}`: the answer of commit and of exec create.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IdResponse {
    /// The new object's id.
    #[serde(rename = "Id")]
    pub id: String,
}

/// An OCI content descriptor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Descriptor {
    /// What the bytes are.
    pub media_type: String,
    /// `sha256:<hex>` of the bytes.
    pub digest: String,
    /// Length in bytes.
    pub size: i64,
    /// Notes of whoever made the content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<StringMap>,
    /// What the content runs on, for an image manifest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
}

/// An OCI platform.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Platform {
    /// Go's word for the processor: `amd64`, `arm64`.
    pub architecture: String,
    /// `linux`.
    pub os: String,
    /// Variant of the processor: `v7`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// True for a value that Docker leaves out of its JSON when it is empty.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
