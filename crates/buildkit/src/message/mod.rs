//! The messages of BuildKit's protocol, as far as they are looked at: fields that are not named here are skipped.
//!
//! Field numbers are those of the protocol files of `moby/buildkit` (`api/services/control`, `frontend/gateway/pb`,
//! `session/*`) and of `tonistiigi/fsutil`.

#![allow(missing_docs, reason = "the protocol's own names")]

mod control;
mod files;
mod gateway;
mod graph;
mod session;

pub(crate) use control::*;
pub use files::{Packet, PacketType, Stat};
pub(crate) use gateway::*;
pub(crate) use graph::Definition;
pub(crate) use session::*;

use std::time::{SystemTime, UNIX_EPOCH};

/// `google.protobuf.Timestamp`.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct Timestamp {
    #[prost(int64, tag = "1")]
    pub(crate) seconds: i64,
    #[prost(int32, tag = "2")]
    pub(crate) nanos: i32,
}

impl Timestamp {
    pub(crate) fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            nanos: i32::try_from(since.subsec_nanos()).unwrap_or_default(),
        }
    }
}
