//! The client's connection, whatever it is made of.

use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, Sleep, sleep};
use tokio_rustls::server::TlsStream;

use crate::handover::Slot;

/// A connection's bytes.
#[derive(Debug)]
pub(crate) enum Wire {
    Unix(UnixStream),
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Wire {
    /// The plain socket itself; TLS gives itself back.
    pub(crate) fn into_socket(self) -> Result<io::Result<OwnedFd>, Self> {
        match self {
            Self::Unix(stream) => Ok(stream.into_std().map(OwnedFd::from)),
            Self::Tcp(stream) => Ok(stream.into_std().map(OwnedFd::from)),
            tls @ Self::Tls(_) => Err(tls),
        }
    }

    /// Resolves once the client has sent something (or left): until then a connection costs nothing but its socket.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.readable().await,
            Self::Tcp(stream) => stream.readable().await,
            Self::Tls(_) => Ok(()),
        }
    }
}

/// Calls the same method of whichever stream it is.
macro_rules! of_each {
    ($wire:expr, $stream:ident => $call:expr) => {
        match $wire {
            Wire::Unix($stream) => {
                let $stream = Pin::new($stream);
                $call
            }
            Wire::Tcp($stream) => {
                let $stream = Pin::new($stream);
                $call
            }
            Wire::Tls($stream) => {
                let $stream = Pin::new($stream.as_mut());
                $call
            }
        }
    };
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        of_each!(self.get_mut(), stream => stream.poll_read(cx, buffer))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        of_each!(self.get_mut(), stream => stream.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        of_each!(self.get_mut(), stream => stream.poll_write_vectored(cx, pieces))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Unix(stream) => stream.is_write_vectored(),
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        of_each!(self.get_mut(), stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        of_each!(self.get_mut(), stream => stream.poll_shutdown(cx))
    }
}

/// The connection as HTTP sees it.
///
/// The end of the client's bytes may mean three things. While a request is in flight whose route may take the connection
/// over it is the end of standard input, and kept back. While another request is unanswered it may be a client that has
/// ended its sending half and reads on, or one that is gone: it is kept back as long as bytes can be written to it, and
/// then for [`PATIENCE`]. Between requests it is the end.
#[derive(Debug)]
pub(crate) struct Transport {
    pub(crate) wire: Wire,
    /// What was read and did not fit into the reader's buffer, once targets had been rewritten.
    pub(crate) unread: Vec<u8>,
    slot: Arc<Slot>,
    /// Runs from the end of the client's bytes, or from the last write after it.
    patience: Option<Pin<Box<Sleep>>>,
    /// The client does not read what we have for it: it is slow, but not gone.
    blocked: bool,
}

/// How long a request may stay unanswered after the client has ended its sending half.
const PATIENCE: Duration = Duration::from_secs(1);

impl Transport {
    pub(crate) fn new(wire: Wire, slot: Arc<Slot>) -> Self {
        Self { wire, unread: Vec::new(), slot, patience: None, blocked: false }
    }

    /// Whether the client may still be there though its bytes have ended; wakes the task to be asked again.
    fn is_patient(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.slot.is_busy() && !self.blocked {
            return false;
        }
        let patience = self.patience.get_or_insert_with(|| Box::pin(sleep(PATIENCE)));
        while patience.as_mut().poll(cx).is_ready() {
            if !self.blocked {
                return false;
            }
            patience.as_mut().reset(Instant::now() + PATIENCE);
        }
        true
    }

    /// Bytes that were written show that the client is not gone.
    fn note(&mut self, written: &Poll<io::Result<usize>>) {
        self.blocked = written.is_pending();
        if let (Some(patience), Poll::Ready(Ok(_))) = (&mut self.patience, written) {
            patience.as_mut().reset(Instant::now() + PATIENCE);
        }
    }
}

/// The bytes of a request with its target as the HTTP library reads it; `None` if nothing is to be changed.
///
/// Docker takes characters as they come that the library refuses or cuts the target off at: people write
/// `filters={"name":["web"]}` without codes for the quotes, and a `#` is part of the path. They become codes here; so that a
/// `#` still leads to no page, its code is one that stands for nothing.
fn plain_target(bytes: &[u8]) -> Option<Vec<u8>> {
    const END: &[u8] = b" HTTP/1.1";
    let (line, rest) = bytes.split_at(bytes.iter().position(|byte| *byte == b'\r')?);
    let target = line.strip_suffix(END).filter(|target| target.first().is_some_and(u8::is_ascii_uppercase))?;
    let is_foreign = |byte: &u8| matches!(byte, b'"' | b'<' | b'>' | b'`' | b'#');
    if !target.iter().any(is_foreign) {
        return None;
    }
    let mut plain = Vec::with_capacity(bytes.len() + 64);
    for byte in target {
        match byte {
            b'#' => plain.push(b'%'),
            foreign if is_foreign(foreign) => plain.extend_from_slice(format!("%{foreign:02X}").as_bytes()),
            usual => plain.push(*usual),
        }
    }
    plain.extend_from_slice(END);
    plain.extend_from_slice(rest);
    Some(plain)
}

impl AsyncRead for Transport {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if !self.unread.is_empty() {
            let fits = self.unread.len().min(buffer.remaining());
            buffer.put_slice(&self.unread[..fits]);
            self.unread.drain(..fits);
            return Poll::Ready(Ok(()));
        }
        ready!(Pin::new(&mut self.wire).poll_read(cx, buffer))?;
        if !self.slot.is_busy()
            && let Some(mut plain) = plain_target(&buffer.filled()[before..])
        {
            buffer.set_filled(before);
            let fits = plain.len().min(buffer.remaining());
            buffer.put_slice(&plain[..fits]);
            self.unread = plain.split_off(fits);
        }
        let ended = buffer.filled().len() == before && buffer.remaining() > 0;
        // With a route that may take over, that route wakes the connection; the socket reports its end again then.
        if ended && (self.slot.keeps_end() || self.is_patient(cx)) {
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Transport {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.wire).poll_write(cx, bytes);
        self.note(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.wire).poll_write_vectored(cx, pieces);
        self.note(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.wire.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_taken_as_they_come() {
        for (sent, plain) in [
            ("GET /_ping#frag HTTP/1.1\r\nHost: #\r\n", Some("GET /_ping%frag HTTP/1.1\r\nHost: #\r\n")),
            ("GET /a?f={\"b\":[\"<c>`\"]} HTTP/1.1\r\n", Some("GET /a?f={%22b%22:[%22%3Cc%3E%60%22]} HTTP/1.1\r\n")),
            ("GET /_ping HTTP/1.1\r\nHost: \"\r\n", None),
            ("{\"Cmd\": \"#\"}\r\n", None),
            ("GET /#", None),
        ] {
            assert_eq!(plain_target(sent.as_bytes()).as_deref(), plain.map(str::as_bytes), "{sent}");
        }
    }
}
