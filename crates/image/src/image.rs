//! One image.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use model::{ChainId, Digest, ImageId, Platform, Timestamp, native_architecture};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{Config, Error, Result, chain_ids};

/// An image, immutable: a change makes a new one in a new snapshot.
#[derive(Debug, Clone)]
pub struct Image {
    /// Digest of `bytes`.
    pub id: ImageId,
    /// The config, byte for byte.
    pub bytes: Vec<u8>,
    /// The config, parsed.
    pub config: Config,
    /// Its layers, lowest first.
    pub layers: Vec<ChainId>,
    /// Sum of its layers' sizes in bytes.
    pub size_bytes: u64,
    /// What is known besides the config.
    pub(crate) record: Record,
}

/// What is stored of an image besides its config.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Record {
    /// The image it was made from by a build or commit here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<ImageId>,
    /// Whether it is a step of a build or a commit made here: only what was is taken for a step that was done.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) built: bool,
    /// When it was last given a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_tagged: Option<Timestamp>,
}

/// SHA-256 of some bytes.
pub fn digest(bytes: &[u8]) -> Digest {
    let bytes: [u8; 32] = Sha256::digest(bytes).into();
    Digest::new(bytes)
}

static NO_LABELS: BTreeMap<String, String> = BTreeMap::new();

/// The layer that holds nothing: 1024 zero bytes, the end of an empty tar.
pub(crate) static EMPTY_LAYER: LazyLock<Digest> = LazyLock::new(|| digest(&[0; 1024]));

impl Image {
    /// Parses a config. The size is not known yet.
    pub(crate) fn parse(bytes: Vec<u8>, record: Record) -> Result<Self> {
        let id = ImageId(digest(&bytes));
        let config: Config = serde_json::from_slice(&bytes)
            .map_err(|source| Error::Document { member: format!("config {id}"), source })?;
        if config.rootfs.kind != "layers" {
            return Err(Error::Config(format!("unknown rootfs type {:?}", config.rootfs.kind)));
        }
        let layers = chain_ids(&config.rootfs.diff_ids);
        Ok(Self { id, bytes, config, layers, size_bytes: 0, record })
    }

    /// The image it was made from here, as far as known. The parent may be gone.
    pub fn parent(&self) -> Option<ImageId> {
        self.record.parent
    }

    /// Whether a build or a commit made it here, rather than somebody who sent it.
    pub fn is_built(&self) -> bool {
        self.record.built
    }

    /// When it was last given a name; [`Timestamp::ZERO`] if never.
    pub fn last_tagged(&self) -> Timestamp {
        self.record.last_tagged.unwrap_or_default()
    }

    /// What it is for; an image that does not say is for this machine.
    pub fn platform(&self) -> Platform {
        let or = |text: &str, other: &str| if text.is_empty() { other.to_owned() } else { text.to_owned() };
        Platform {
            os: or(&self.config.os, "linux"),
            architecture: or(&self.config.architecture, native_architecture()),
            variant: self.config.variant.clone(),
            os_version: self.config.os_version.clone(),
        }
    }

    /// Its topmost layer; an image may have none.
    pub fn top(&self) -> Option<ChainId> {
        self.layers.last().copied()
    }

    /// When it was made; [`Timestamp::ZERO`] if unknown.
    pub fn created(&self) -> Timestamp {
        self.config.created.unwrap_or_default()
    }

    /// The message of its commit or import: its own or that of its last step.
    pub fn comment(&self) -> &str {
        match (self.config.comment.as_str(), self.config.history.last()) {
            ("", Some(step)) => &step.comment,
            (comment, _) => comment,
        }
    }

    /// Labels of its containers.
    pub fn labels(&self) -> &BTreeMap<String, String> {
        self.config.config.as_ref().and_then(|config| config.labels.as_ref()).unwrap_or(&NO_LABELS)
    }
}
