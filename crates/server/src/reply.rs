//! What a route answers, in the form of the newest API.

use std::fmt;

use engine::ByteStream;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Fuse};
use futures_util::stream::{self, BoxStream, Stream, StreamExt};
use http::StatusCode;
use http::header::{HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::Value;

use crate::error::Error;
use crate::listing::Listing;
use crate::message::{End, Messages};

/// The type of everything that is JSON.
pub(crate) const JSON: &str = "application/json";
/// The type of plain answers.
pub(crate) const TEXT: &str = "text/plain; charset=utf-8";
/// The type of archives.
pub(crate) const TAR: &str = "application/x-tar";

/// Something that is JSON: written only where it is known whether it goes out as it is or down the ladder first.
pub(crate) trait Document: Send {
    /// The text, with a newline behind it as Docker writes it.
    fn text(&self) -> Result<Vec<u8>, engine::Error>;
    /// What a rung can change.
    fn value(&self) -> Result<Value, engine::Error>;
}

impl<T: Serialize + Send> Document for T {
    fn text(&self) -> Result<Vec<u8>, engine::Error> {
        encode(self)
    }

    fn value(&self) -> Result<Value, engine::Error> {
        serde_json::to_value(self).map_err(unwritten)
    }
}

/// A route's answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) content_type: Option<&'static str>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) payload: Payload,
}

/// What follows the head.
pub(crate) enum Payload {
    /// Nothing.
    Empty,
    /// One JSON document.
    Json(Box<dyn Document>),
    /// A list of containers: written only where it is known how.
    Containers(Listing),
    /// Plain text.
    Text(&'static str),
    /// Bytes that nobody looks at.
    Bytes(BoxStream<'static, Result<Vec<u8>, engine::Error>>),
    /// JSON documents, each as soon as it is there.
    Messages(Messages),
    /// One JSON document that comes after the head.
    Later(BoxFuture<'static, Box<dyn Document>>),
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "Empty",
            Self::Json(_) => "Json",
            Self::Containers(_) => "Containers",
            Self::Text(_) => "Text",
            Self::Bytes(_) => "Bytes",
            Self::Messages(_) => "Messages",
            Self::Later(_) => "Later",
        })
    }
}

impl Reply {
    fn new(status: StatusCode, content_type: Option<&'static str>, payload: Payload) -> Self {
        Self { status, content_type, headers: Vec::new(), payload }
    }

    /// A status alone.
    pub(crate) fn empty(status: StatusCode) -> Self {
        Self::new(status, None, Payload::Empty)
    }

    /// 204.
    pub(crate) fn nothing() -> Self {
        Self::empty(StatusCode::NO_CONTENT)
    }

    /// A document with a status.
    pub(crate) fn json_with(status: StatusCode, document: impl Document + 'static) -> Self {
        Self::new(status, Some(JSON), Payload::Json(Box::new(document)))
    }

    /// A document.
    pub(crate) fn json(document: impl Document + 'static) -> Self {
        Self::json_with(StatusCode::OK, document)
    }

    /// A list of containers.
    pub(crate) fn containers(listing: Listing) -> Self {
        Self::new(StatusCode::OK, Some(JSON), Payload::Containers(listing))
    }

    /// Plain text.
    pub(crate) fn text(text: &'static str) -> Self {
        Self::new(StatusCode::OK, Some(TEXT), Payload::Text(text))
    }

    /// Bytes as they come. A failure before the first of them is an error like any other.
    pub(crate) async fn bytes(content_type: &'static str, mut stream: ByteStream) -> Result<Self, Error> {
        let first = stream.next().await.transpose()?;
        let all = stream::iter(first.map(Ok)).chain(pieces(stream));
        Ok(Self::new(StatusCode::OK, Some(content_type), Payload::Bytes(all.boxed())))
    }

    /// Bytes as they come, of a type only if any come.
    pub(crate) async fn sniffed(content_type: &'static str, mut stream: ByteStream) -> Result<Self, Error> {
        let Some(first) = stream.next().await.transpose()? else { return Ok(Self::empty(StatusCode::OK)) };
        let all = stream::iter([Ok(first)]).chain(pieces(stream));
        Ok(Self::new(StatusCode::OK, Some(content_type), Payload::Bytes(all.boxed())))
    }

    /// Bytes as they come, the head at once.
    pub(crate) fn open(content_type: &'static str, stream: ByteStream) -> Self {
        Self::new(StatusCode::OK, Some(content_type), Payload::Bytes(pieces(stream).boxed()))
    }

    /// JSON documents as they come.
    pub(crate) fn messages(documents: BoxStream<'static, Vec<u8>>, end: End) -> Self {
        Self::new(StatusCode::OK, Some(JSON), Payload::Messages(Messages { documents, end }))
    }

    /// Progress that is told while the request's body may still come in: `carry` is what brings it.
    pub(crate) fn progress(
        mut documents: BoxStream<'static, Vec<u8>>,
        mut carry: Fuse<BoxFuture<'static, ()>>,
    ) -> Self {
        let documents = stream::poll_fn(move |cx| {
            let document = documents.poll_next_unpin(cx);
            // What it brings may be what the next document waits for; once it has ended it stays silent.
            if document.is_pending() && carry.poll_unpin(cx).is_ready() {
                return documents.poll_next_unpin(cx);
            }
            document
        });
        Self::messages(documents.boxed(), End::CarriageReturn)
    }

    /// A document after the head.
    pub(crate) fn later(document: impl Future<Output = impl Document + 'static> + Send + 'static) -> Self {
        let document = document.map(|document| Box::new(document) as Box<dyn Document>);
        Self::new(StatusCode::OK, Some(JSON), Payload::Later(document.boxed()))
    }

    /// The same with one more header.
    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}

fn pieces(stream: ByteStream) -> impl Stream<Item = Result<Vec<u8>, engine::Error>> {
    stream::unfold(stream, async |mut stream| stream.next().await.map(|piece| (piece, stream)))
}

/// A document and a newline.
pub(crate) fn encode(document: &impl Serialize) -> Result<Vec<u8>, engine::Error> {
    let mut bytes = Vec::with_capacity(256);
    serde_json::to_writer(&mut bytes, document).map_err(unwritten)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// A document that is not JSON: a defect of ours.
pub(crate) fn unwritten(error: serde_json::Error) -> engine::Error {
    engine::Error::system(format!("the answer cannot be written: {error}"))
}
