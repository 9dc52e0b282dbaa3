//! `moby.buildkit.v1.frontend.LLBBridge`.

use std::collections::{BTreeMap, HashMap};

use prost::{Message, Oneof};

use super::{Definition, WorkerRecord};
use crate::grpc::RpcStatus;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct PongResponse {
    #[prost(message, repeated, tag = "1")]
    pub(crate) frontend_capabilities: Vec<Capability>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) operation_capabilities: Vec<Capability>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) workers: Vec<WorkerRecord>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Capability {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
    #[prost(bool, tag = "2")]
    pub(crate) enabled: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct BridgeSolveRequest {
    #[prost(message, optional, tag = "1")]
    pub(crate) definition: Option<Definition>,
    #[prost(string, tag = "2")]
    pub(crate) frontend: String,
    #[prost(btree_map = "string, string", tag = "3")]
    pub(crate) frontend_opt: BTreeMap<String, String>,
    #[prost(hash_map = "string, message", tag = "13")]
    pub(crate) frontend_inputs: HashMap<String, Definition>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct BridgeSolveResponse {
    #[prost(message, optional, tag = "3")]
    pub(crate) result: Option<BridgeResult>,
}

/// `Result`, without its attestations.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct BridgeResult {
    #[prost(oneof = "Refs", tags = "1, 3, 4")]
    pub(crate) refs: Option<Refs>,
    #[prost(hash_map = "string, bytes", tag = "10")]
    pub(crate) metadata: HashMap<String, Vec<u8>>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum Refs {
    #[prost(string, tag = "1")]
    Old(String),
    #[prost(message, tag = "3")]
    One(Ref),
    #[prost(message, tag = "4")]
    Many(RefMap),
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Ref {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) definition: Option<Definition>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RefMap {
    #[prost(hash_map = "string, message", tag = "1")]
    pub(crate) refs: HashMap<String, Ref>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ReturnRequest {
    #[prost(message, optional, tag = "1")]
    pub(crate) result: Option<BridgeResult>,
    #[prost(message, optional, tag = "2")]
    pub(crate) error: Option<RpcStatus>,
}
