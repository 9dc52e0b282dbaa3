//! Streams of JSON documents: events, and the progress of loads and pulls.

use api::image::{ErrorDetail, Progress};
use engine::ByteStream;
use futures_util::stream::{self, BoxStream, StreamExt};

/// Largest document of a stream; a longer one is cut off with an error.
const DOCUMENT_BYTES: usize = 1024 * 1024;

/// What Docker writes after each document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// After events and statistics.
    Line,
    /// After progress.
    CarriageReturn,
}

impl End {
    /// The bytes.
    pub(crate) fn bytes(self) -> &'static [u8] {
        match self {
            Self::Line => b"\n",
            Self::CarriageReturn => b"\r\n",
        }
    }
}

/// JSON documents as they come, each without its end.
pub(crate) struct Messages {
    pub(crate) documents: BoxStream<'static, Vec<u8>>,
    pub(crate) end: End,
}

/// Splits a stream of documents, one a line, into documents. A failure becomes the last document, as clients expect.
pub(crate) fn lines(bytes: ByteStream) -> BoxStream<'static, Vec<u8>> {
    let split = stream::unfold(Some((bytes, Vec::new())), |state| async move {
        let (mut bytes, mut kept) = state?;
        match bytes.next().await {
            Some(Ok(piece)) if kept.len() + piece.len() <= DOCUMENT_BYTES => {
                kept.extend_from_slice(&piece);
                let whole = kept.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
                let documents = documents(&kept[..whole]);
                kept.drain(..whole);
                Some((documents, Some((bytes, kept))))
            }
            Some(Ok(_)) => Some((vec![failure("a message of the engine has no end")], None)),
            Some(Err(error)) => Some((vec![failure(error.message())], None)),
            None => Some((documents(&kept), None)),
        }
    });
    split.flat_map(stream::iter).boxed()
}

/// The lines of a text, without empty ones.
fn documents(text: &[u8]) -> Vec<Vec<u8>> {
    let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end).filter(|line| !line.is_empty());
    let with_room = |line: &[u8]| {
        let mut document = Vec::with_capacity(line.len() + End::CarriageReturn.bytes().len());
        document.extend_from_slice(line);
        document
    };
    lines.map(with_room).collect()
}

/// The document that tells why a stream ended.
pub(crate) fn failure(message: &str) -> Vec<u8> {
    let detail = ErrorDetail { code: 0, message: message.to_owned() };
    document(&Progress { error_detail: Some(detail), error: message.to_owned(), ..Progress::default() })
}

/// A document of a stream.
pub(crate) fn document(message: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(message).unwrap_or_else(|error| {
        // Our own types have string keys and no failing implementations; if one ever fails, the client is told so.
        format!("{{\"error\":{:?}}}", error.to_string()).into_bytes()
    })
}
