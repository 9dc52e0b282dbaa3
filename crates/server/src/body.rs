//! Bodies of answers: whole, or a stream that the client's pace drives.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::stream::{BoxStream, Stream, StreamExt};
use hyper::body::{Frame, SizeHint};

use crate::handover::Unanswered;

/// An answer's body.
pub(crate) struct Body {
    content: Content,
    /// Until the body is gone its request counts as unanswered; held for its drop.
    _unanswered: Option<Unanswered>,
}

enum Content {
    /// All of it.
    Whole(Option<Bytes>),
    /// Pieces as they come. An error ends the connection without the end mark, so that the client can tell.
    Stream(BoxStream<'static, Result<Bytes, engine::Error>>),
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_stream() { "Body(stream)" } else { "Body(whole)" })
    }
}

impl Body {
    /// Nothing.
    pub(crate) fn empty() -> Self {
        Self { content: Content::Whole(None), _unanswered: None }
    }

    /// All of it.
    pub(crate) fn whole(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self { content: Content::Whole((!bytes.is_empty()).then_some(bytes)), _unanswered: None }
    }

    /// Pieces as they come.
    pub(crate) fn stream(pieces: impl Stream<Item = Result<Bytes, engine::Error>> + Send + 'static) -> Self {
        Self { content: Content::Stream(pieces.boxed()), _unanswered: None }
    }

    /// All of it, unless it comes in pieces.
    pub(crate) fn whole_bytes(&self) -> Option<Bytes> {
        match &self.content {
            Content::Whole(bytes) => Some(bytes.clone().unwrap_or_default()),
            Content::Stream(_) => None,
        }
    }

    /// Whether it comes in pieces.
    pub(crate) fn is_stream(&self) -> bool {
        matches!(self.content, Content::Stream(_))
    }

    /// Takes the mark of its request.
    pub(crate) fn holds(&mut self, unanswered: Unanswered) {
        self._unanswered = Some(unanswered);
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = engine::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match &mut self.get_mut().content {
            Content::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Content::Stream(stream) => stream.poll_next_unpin(cx).map_ok(Frame::data),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.content, Content::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Content::Stream(_) => SizeHint::default(),
        }
    }
}
