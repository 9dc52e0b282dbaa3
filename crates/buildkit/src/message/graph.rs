//! `pb`: graphs of low-level operations. We know but one of them: the image that a build of ours made, which a client hands
//! on as a context of another build.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message;
use sha2::{Digest, Sha256};

use super::Empty;

/// What our images are called in graphs.
const IMAGE: &str = "longshore-image://";

/// `pb.Definition`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Definition {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub(crate) operations: Vec<Bytes>,
    /// `pb.OpMetadata` by digest; clients want some, whatever is in it.
    #[prost(btree_map = "string, message", tag = "2")]
    pub(crate) metadata: BTreeMap<String, Empty>,
}

/// `pb.Op`; other kinds of it look like none.
#[derive(Clone, PartialEq, Message)]
struct Operation {
    #[prost(message, repeated, tag = "1")]
    inputs: Vec<Input>,
    #[prost(message, optional, tag = "3")]
    source: Option<Source>,
}

#[derive(Clone, PartialEq, Message)]
struct Input {
    #[prost(string, tag = "1")]
    digest: String,
    #[prost(int64, tag = "2")]
    index: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Source {
    #[prost(string, tag = "1")]
    identifier: String,
}

impl Definition {
    /// The graph of an image, by its id: the image, and the end that clients look for.
    pub(crate) fn of_image(id: &str) -> Self {
        let source = Source { identifier: format!("{IMAGE}{id}") };
        let source = Operation { source: Some(source), inputs: Vec::new() }.encode_to_vec();
        let digest = format!("sha256:{}", model::to_hex(&Sha256::digest(&source)));
        let metadata = BTreeMap::from([(digest.clone(), Empty {})]);
        let end = Operation { inputs: vec![Input { digest, index: 0 }], source: None }.encode_to_vec();
        Self { operations: vec![source.into(), end.into()], metadata }
    }

    /// The id of the image that this is the graph of; `None` for any other graph.
    pub(crate) fn image(&self) -> Option<String> {
        let [image, end] = self.operations.as_slice() else { return None };
        let operation = |bytes: &Bytes| Operation::decode(bytes.clone()).ok();
        let digest = format!("sha256:{}", model::to_hex(&Sha256::digest(image)));
        let is_end = operation(end)?.inputs.first().is_some_and(|input| input.digest == digest);
        let source = operation(image)?.source?;
        source.identifier.strip_prefix(IMAGE).filter(|_| is_end).map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_only() {
        let graph = Definition::of_image("sha256:1");
        assert_eq!(graph.image().as_deref(), Some("sha256:1"));
        let mut other = graph.clone();
        other.operations.swap(0, 1);
        assert_eq!(other.image(), None);
        let source = Operation { source: Some(Source { identifier: "docker-image://x".into() }), inputs: Vec::new() };
        let operations = vec![source.encode_to_vec().into(), graph.operations[1].clone()];
        assert_eq!(Definition { operations, ..graph.clone() }.image(), None);
        assert_eq!(Definition { operations: vec![Bytes::from_static(b"\xff"); 2], ..graph }.image(), None);
        assert_eq!(Definition::default().image(), None);
    }
}
