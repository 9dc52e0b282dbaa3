//! Bytes on their way between the server and blocking code: bounded, so that the slower side sets the pace.

mod text;

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::{Arc, OnceLock};

use shim::protocol::LogPosition;
use tokio::sync::mpsc;

pub(crate) use self::text::{TextReader, TextWriter, text};
use crate::Error;

/// Chunks in flight at most; a chunk is at most [`CHUNK_BYTES`].
const CHUNKS: usize = 8;
/// Largest chunk that a [`StreamWriter`] sends, and largest piece of what is here as a whole.
const CHUNK_BYTES: usize = 64 * 1024;

/// Bytes that the engine produces while the client reads: a log, an archive, an image.
///
/// Dropping it ends the producer.
#[derive(Debug)]
pub struct ByteStream(Source);

#[derive(Debug)]
enum Source {
    Chunks(mpsc::Receiver<Result<Vec<u8>, Error>>),
    Text(TextReader),
    /// All of it is here.
    Whole(Vec<u8>),
}

impl ByteStream {
    /// The next piece; `None` at the end. After an error nothing more comes.
    pub async fn next(&mut self) -> Option<Result<Vec<u8>, Error>> {
        match &mut self.0 {
            Source::Chunks(chunks) => chunks.recv().await,
            Source::Text(text) => text.next().await.map(Ok),
            Source::Whole(bytes) if bytes.is_empty() => None,
            Source::Whole(bytes) => {
                let rest = bytes.split_off(bytes.len().min(CHUNK_BYTES));
                Some(Ok(std::mem::replace(bytes, rest)))
            }
        }
    }
}

impl From<TextReader> for ByteStream {
    fn from(text: TextReader) -> Self {
        Self(Source::Text(text))
    }
}

impl From<Vec<u8>> for ByteStream {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Source::Whole(bytes))
    }
}

/// A container's log on its way to a client.
#[derive(Debug)]
pub struct Logs {
    /// The container has a terminal: the bytes are raw, never multiplexed.
    pub tty: bool,
    /// The log.
    pub bytes: ByteStream,
    /// Where reading ended, once it has.
    pub(crate) end: Arc<OnceLock<LogPosition>>,
}

impl Logs {
    /// Where reading ended; `None` as long as it has not, and for a log that is not there.
    pub(crate) fn position(&self) -> Option<LogPosition> {
        self.end.get().copied()
    }
}

/// The producing end of a [`ByteStream`].
#[derive(Debug, Clone)]
pub(crate) struct ByteSender(mpsc::Sender<Result<Vec<u8>, Error>>);

impl ByteSender {
    /// Sends a piece; false once the reader is gone.
    pub(crate) async fn send(&self, bytes: Vec<u8>) -> bool {
        self.0.send(Ok(bytes)).await.is_ok()
    }

    /// The same from blocking code.
    pub(crate) fn blocking_send(&self, bytes: Vec<u8>) -> bool {
        self.0.blocking_send(Ok(bytes)).is_ok()
    }

    /// Ends the stream with an error.
    pub(crate) async fn fail(&self, error: Error) {
        if self.0.send(Err(error)).await.is_err() {
            tracing::debug!("a stream failed after its reader had left");
        }
    }

    /// The same from blocking code; the reader may be gone already, then nobody wants to know.
    pub(crate) fn blocking_fail(&self, error: Error) {
        if self.0.blocking_send(Err(error)).is_err() {
            tracing::debug!("a stream failed after its reader had left");
        }
    }
    /// Resolves when the reader is gone.
    pub(crate) async fn closed(&self) {
        self.0.closed().await;
    }
}

/// A pair of ends.
pub(crate) fn byte_stream() -> (ByteSender, ByteStream) {
    let (sender, chunks) = mpsc::channel(CHUNKS);
    (ByteSender(sender), ByteStream(Source::Chunks(chunks)))
}

/// Runs blocking `produce` on its own thread; what it writes is the stream.
pub(crate) fn produce<F>(produce: F) -> ByteStream
where
    F: FnOnce(&mut StreamWriter) -> Result<(), Error> + Send + 'static,
{
    let (sender, stream) = byte_stream();
    tokio::task::spawn_blocking(move || {
        let mut writer = StreamWriter { sender, pending: Vec::new() };
        let outcome = produce(&mut writer)
            .and_then(|()| writer.flush().map_err(|error| Error::system("the reader left").caused_by(error)));
        if let Err(error) = outcome {
            writer.sender.blocking_fail(error);
        }
    });
    stream
}

/// Blocking writer into a [`ByteStream`]; collects small writes.
#[derive(Debug)]
pub(crate) struct StreamWriter {
    sender: ByteSender,
    pending: Vec<u8>,
}

impl Write for StreamWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.pending.len() + bytes.len() > CHUNK_BYTES {
            self.flush()?;
        }
        let taken = bytes.len().min(CHUNK_BYTES);
        self.pending.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.pending.is_empty() && !self.sender.blocking_send(std::mem::take(&mut self.pending)) {
            return Err(io::Error::new(io::ErrorKind::BrokenPipe, "the reader of the stream left"));
        }
        Ok(())
    }
}

/// The client's end of an upload: the server sends pieces, blocking code reads them from the [`Upload`].
#[derive(Debug, Clone)]
pub struct UploadSender(mpsc::Sender<io::Result<Vec<u8>>>);

impl UploadSender {
    /// Hands over the next piece (or the reason why none comes); false once nobody reads any more.
    pub async fn send(&self, piece: io::Result<Vec<u8>>) -> bool {
        self.0.send(piece).await.is_ok()
    }
}

/// A request body that blocking code reads: an archive, an image.
#[derive(Debug)]
pub struct Upload {
    pieces: mpsc::Receiver<io::Result<Vec<u8>>>,
    current: VecDeque<u8>,
    /// Why nothing comes after that.
    broken: Option<io::Error>,
}

/// A pair of ends for a request body. The upload ends when the sender is dropped.
pub fn upload() -> (UploadSender, Upload) {
    let (sender, pieces) = mpsc::channel(CHUNKS);
    (UploadSender(sender), Upload { pieces, current: VecDeque::new(), broken: None })
}

impl Upload {
    /// Waits for the end of a body that is no longer than this, or for what shows that this one is longer or broken.
    pub(crate) async fn ends_within(&mut self, limit_bytes: usize) -> bool {
        while self.current.len() <= limit_bytes {
            match self.pieces.recv().await {
                Some(Ok(piece)) => self.current.extend(piece),
                Some(Err(error)) => {
                    self.broken = Some(error);
                    return false;
                }
                None => return true,
            }
        }
        false
    }

    /// What has arrived, and was not read yet.
    pub(crate) fn arrived(&mut self) -> &[u8] {
        self.current.make_contiguous()
    }
}

impl Read for Upload {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            if let Some(error) = self.broken.take() {
                return Err(error);
            }
            match self.pieces.blocking_recv() {
                Some(piece) => self.current = piece?.into(),
                None => return Ok(0),
            }
        }
        self.current.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_here_as_a_whole_comes_in_pieces() {
        let text: Vec<u8> = (0..=255).cycle().take(2 * CHUNK_BYTES + 5).collect();
        let (mut stream, mut read) = (ByteStream::from(text.clone()), Vec::new());
        while let Some(piece) = stream.next().await {
            let piece = piece.unwrap();
            assert!(piece.len() <= CHUNK_BYTES);
            read.extend(piece);
        }
        assert!(read == text);
        assert!(ByteStream::from(Vec::new()).next().await.is_none());
    }
}
