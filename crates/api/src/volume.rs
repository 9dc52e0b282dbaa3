//! Volumes.

use crate::StringMap;
use serde::{Deserialize, Serialize};

/// A volume.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Volume {
    /// RFC 3339, whole seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// `local`.
    pub driver: String,
    /// Notes of the user.
    pub labels: Option<StringMap>,
    /// Path on the host.
    pub mountpoint: String,
    /// Its name.
    pub name: String,
    /// For the driver.
    pub options: Option<StringMap>,
    /// `local`.
    pub scope: String,
    /// Only in disk usage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage_data: Option<VolumeUsage>,
}

/// How much a volume is used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct VolumeUsage {
    /// Containers that mount it; -1 if not known.
    pub ref_count: i64,
    /// Bytes; -1 if not known.
    pub size: i64,
}

/// `POST /volumes/create`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct VolumeCreateRequest {
    /// Empty is `local`.
    pub driver: String,
    /// For the driver.
    pub driver_opts: Option<StringMap>,
    /// Notes of the user.
    pub labels: Option<StringMap>,
    /// Empty makes one up.
    pub name: String,
}

/// `GET /volumes`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct VolumeListResponse {
    /// The volumes.
    pub volumes: Vec<Volume>,
    /// `null` if none.
    pub warnings: Option<Vec<String>>,
}

/// `POST /volumes/prune`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct VolumesPruned {
    /// Names; `null` if none.
    pub volumes_deleted: Option<Vec<String>>,
    /// Bytes.
    pub space_reclaimed: u64,
}
