//! Bodies of requests: nothing, bytes at hand, or bytes that a thread produces.

use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::mpsc;

/// Chunks on their way from the thread.
const CHUNKS: usize = 8;
/// Size of a chunk in bytes.
const CHUNK_BYTES: usize = 128 * 1024;

/// A request's body.
#[derive(Debug)]
pub(crate) enum Body {
    /// Bytes at hand, perhaps none.
    Whole(Option<Bytes>),
    /// What a [`Feed`] writes. It ends well only if the feed was finished.
    Fed(mpsc::Receiver<io::Result<Bytes>>),
}

impl Body {
    pub(crate) fn empty() -> Self {
        Self::Whole(None)
    }

    pub(crate) fn whole(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self::Whole((!bytes.is_empty()).then_some(bytes))
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Fed(chunks) => chunks.poll_recv(cx).map(|chunk| match chunk {
                // An empty chunk is the mark of a finished feed.
                Some(Ok(bytes)) if bytes.is_empty() => None,
                Some(chunk) => Some(chunk.map(Frame::data)),
                None => Some(Err(io::Error::new(io::ErrorKind::BrokenPipe, "the body was not finished"))),
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Fed(_) => SizeHint::default(),
        }
    }
}

/// Writes a body from blocking code.
#[derive(Debug)]
pub(crate) struct Feed {
    chunks: mpsc::Sender<io::Result<Bytes>>,
    pending: Vec<u8>,
}

/// A body and the end that fills it.
pub(crate) fn feed() -> (Feed, Body) {
    let (sender, receiver) = mpsc::channel(CHUNKS);
    (Feed { chunks: sender, pending: Vec::with_capacity(CHUNK_BYTES) }, Body::Fed(receiver))
}

impl Feed {
    /// Says that the body is whole.
    ///
    /// # Errors
    /// Nobody reads it any more.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        self.send(Bytes::new())
    }

    fn send(&self, chunk: Bytes) -> io::Result<()> {
        let gone = |_| io::Error::new(io::ErrorKind::BrokenPipe, "the registry does not read any more");
        self.chunks.blocking_send(Ok(chunk)).map_err(gone)
    }
}

impl Write for Feed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.pending.len() >= CHUNK_BYTES {
            self.flush()?;
        }
        let taken = bytes.len().min(CHUNK_BYTES - self.pending.len());
        self.pending.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::replace(&mut self.pending, Vec::with_capacity(CHUNK_BYTES));
        self.send(chunk.into())
    }
}
