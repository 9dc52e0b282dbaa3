//! What happened, as `GET /events` tells it.

use crate::{StringMap, is_default};
use serde::{Deserialize, Serialize};

/// One event. The first three keys are those of 2014, printed for containers and images only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Event {
    /// As `action`; containers and images only.
    #[serde(skip_serializing_if = "is_default")]
    pub status: String,
    /// As the actor's id; containers and images only.
    #[serde(skip_serializing_if = "is_default")]
    pub id: String,
    /// Image of the container.
    #[serde(skip_serializing_if = "is_default")]
    pub from: String,
    /// `container`, `image`, `network`, `volume`, `daemon`, …
    #[serde(rename = "Type")]
    pub r#type: String,
    /// `create`, `start`, `die`, …
    #[serde(rename = "Action")]
    pub action: String,
    /// Whom it happened to.
    #[serde(rename = "Actor")]
    pub actor: Actor,
    /// `local`.
    pub scope: String,
    /// Unix seconds.
    pub time: i64,
    /// Unix nanoseconds.
    #[serde(rename = "timeNano")]
    pub time_nano: i64,
}

/// Whom an event happened to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Actor {
    /// Id, or an image's name.
    #[serde(rename = "ID")]
    pub id: String,
    /// Name, image, labels, `exitCode`, …
    #[serde(rename = "Attributes")]
    pub attributes: StringMap,
}
