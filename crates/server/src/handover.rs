//! Routes that take the connection over: attach, exec start, attach by websocket, BuildKit's two.
//!
//! HTTP libraries offer this only for requests with an `Upgrade` header, but Docker's clients of 2013 (and many of
//! today) send none and are answered `200 OK`, after which both directions are raw bytes. So the route leaves a
//! [`Handover`] in its connection's [`Slot`] and never answers; the connection's task takes the socket back from the
//! HTTP library, writes the head itself and hands the stream on.

use std::convert::Infallible;
use std::fmt;
use std::io::{self, Cursor};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use engine::ClientStream;
use futures_util::future::BoxFuture;
use http::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Chain, Join, ReadHalf, WriteHalf};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::transport::Wire;
use crate::websocket;

/// How long a client may go on sending after a container's stream has ended.
const DRAIN_FOR: Duration = Duration::from_secs(2);
/// How long a client may take to read the head before the stream goes on without it. One that waits for the head does so at once,
/// however long a busy machine takes to wake it.
const HEAD_TAKEN_WITHIN: Duration = Duration::from_millis(250);
/// How long of that is spent without sleeping: a client that waits for the head takes it within this time.
const HEAD_TAKEN_SPINNING: Duration = Duration::from_micros(300);
/// Bytes that a relay carries at once, in each direction.
const RELAY_BYTES: usize = 16 * 1024;

/// Takes the client's stream. The reason of a failure was told to the client within the stream.
type SocketTaker = Box<dyn FnOnce(ClientStream) -> BoxFuture<'static, Result<(), engine::Error>> + Send>;
/// Takes a connection, and with it what the client sent behind its request.
type ConnectionTaker = Box<dyn FnOnce(Connection) -> BoxFuture<'static, ()> + Send>;

/// A connection that was taken over, as it is.
pub(crate) type Connection = Join<Chain<Cursor<Vec<u8>>, ReadHalf<Wire>>, WriteHalf<Wire>>;

/// Who gets the stream.
pub(crate) enum Taker {
    /// A container, through its shim: it wants a socket.
    Socket(Framing, SocketTaker),
    /// The daemon itself.
    Connection(ConnectionTaker),
}

impl Taker {
    /// Gives the stream to a container.
    pub(crate) fn socket<F>(framing: Framing, take: impl FnOnce(ClientStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<(), engine::Error>> + Send + 'static,
    {
        Self::Socket(framing, Box::new(move |client| Box::pin(take(client))))
    }

    /// Keeps the connection in the daemon.
    pub(crate) fn connection<F>(take: impl FnOnce(Connection) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self::Connection(Box::new(move |connection| Box::pin(take(connection))))
    }
}

/// What to do with a connection that a route takes over.
pub(crate) struct Handover {
    /// The answer's head, byte for byte.
    pub(crate) head: Vec<u8>,
    /// Who gets the stream.
    pub(crate) taker: Taker,
}

impl fmt::Debug for Handover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handover").finish_non_exhaustive()
    }
}

/// How the bytes behind the head are wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Not at all.
    Raw,
    /// In websocket messages, binary or text.
    WebSocket { binary: bool },
}

/// Where a connection's routes and its task meet.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    handover: Mutex<Option<Handover>>,
    keeps_end: AtomicBool,
    unanswered: AtomicUsize,
}

/// A request that is not answered wholly yet; held by its route, then by its answer's body.
#[derive(Debug)]
pub(crate) struct Unanswered(Arc<Slot>);

impl Unanswered {
    pub(crate) fn new(slot: Arc<Slot>) -> Self {
        slot.unanswered.fetch_add(1, Ordering::Relaxed);
        Self(slot)
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        self.0.unanswered.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Slot {
    /// Leaves `handover` for the connection's task; the route's future is dropped when the task takes it.
    pub(crate) async fn hand_over(&self, handover: Handover) -> Infallible {
        *self.handover.lock().unwrap_or_else(PoisonError::into_inner) = Some(handover);
        std::future::pending().await
    }

    /// What a route left.
    pub(crate) fn take(&self) -> Option<Handover> {
        self.handover.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Whether the end of the client's bytes is kept from the HTTP library.
    pub(crate) fn keeps_end(&self) -> bool {
        self.keeps_end.load(Ordering::Relaxed)
    }

    /// Whether a request is not answered wholly yet.
    pub(crate) fn is_busy(&self) -> bool {
        self.unanswered.load(Ordering::Relaxed) > 0
    }

    /// Sets it: on with a request whose route may take over, off once that has answered after all.
    pub(crate) fn keep_end(&self, keep: bool) {
        self.keeps_end.store(keep, Ordering::Relaxed);
    }
}

/// Whether the route of a request may take the connection over. Decided by the path alone, before anything is awaited.
pub(crate) fn possible(method: &Method, path: &str) -> bool {
    match *method {
        Method::POST => {
            let ends = ["/attach", "/session", "/grpc"];
            ends.iter().any(|end| path.ends_with(end)) || (path.ends_with("/start") && path.contains("/exec/"))
        }
        Method::GET => path.ends_with("/attach/ws"),
        _ => false,
    }
}

impl Handover {
    /// Writes the head and hands the stream on; `early` are bytes the client sent behind its request.
    pub(crate) async fn carry_out(self, mut wire: Wire, early: Vec<u8>) -> io::Result<()> {
        wire.write_all(&self.head).await?;
        wire.flush().await?;
        match self.taker {
            Taker::Socket(Framing::Raw, taker) => match wire.into_socket() {
                Ok(socket) => {
                    let socket = socket?;
                    head_taken(&socket).await;
                    give(taker, socket, early).await;
                }
                Err(tls) => relay(taker, tls, early).await?,
            },
            Taker::Socket(Framing::WebSocket { binary }, taker) => {
                let (near, far) = UnixStream::pair()?;
                let far = OwnedFd::from(far.into_std()?);
                let (outcome, ()) =
                    tokio::join!(websocket::relay(wire, early, near, binary), give(taker, far, Vec::new()));
                outcome?;
            }
            Taker::Connection(taker) => {
                let (input, output) = tokio::io::split(wire);
                taker(tokio::io::join(Cursor::new(early).chain(input), output)).await;
            }
        }
        Ok(())
    }
}

/// Waits, for a moment at most, until the client has taken the head.
///
/// Some clients (docker-py of every age) read the head through a buffer that they throw away with whatever else has
/// come into it. Docker Engine takes so long to start anything that they never noticed.
async fn head_taken(socket: &OwnedFd) {
    // One that cannot tell is not waited for.
    let is_taken = || sys::socket::is_taken(socket).unwrap_or(true);
    let begun = Instant::now();
    while !is_taken() && begun.elapsed() < HEAD_TAKEN_SPINNING {
        tokio::task::yield_now().await;
    }
    let until_taken = async {
        while !is_taken() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    // Past that moment the client has what it gets.
    let _ = timeout(HEAD_TAKEN_WITHIN, until_taken).await;
}

async fn give(taker: SocketTaker, socket: OwnedFd, early: Vec<u8>) {
    if let Err(error) = taker(ClientStream { socket, early }).await {
        tracing::debug!(%error, "a stream ended with an error");
    }
}

/// Carries the bytes of a connection that cannot be given away, both ways, each with its own end.
async fn relay(taker: SocketTaker, wire: Wire, early: Vec<u8>) -> io::Result<()> {
    let (near, far) = UnixStream::pair()?;
    let far = OwnedFd::from(far.into_std()?);
    let (client_in, client_out) = tokio::io::split(wire);
    let (inner_in, inner_out) = near.into_split();
    let carried = async {
        let input = until_end(client_in, inner_out);
        let output = until_end(inner_in, client_out);
        tokio::pin!(input, output);
        tokio::select! {
            outcome = &mut output => {
                // The container's side is closed: what the client still sends is drained for a moment, not for ever.
                drop(timeout(DRAIN_FOR, input).await);
                outcome
            }
            // Also if the client left in disorder: then writing to it ends the rest.
            _ = &mut input => output.await,
        }
    };
    let (outcome, ()) = tokio::join!(carried, give(taker, far, early));
    outcome
}

async fn until_end(
    mut from: impl tokio::io::AsyncRead + Unpin,
    mut to: impl tokio::io::AsyncWrite + Unpin,
) -> io::Result<()> {
    let mut buffer = vec![0; RELAY_BYTES];
    loop {
        match from.read(&mut buffer).await? {
            0 => return to.shutdown().await,
            length => to.write_all(&buffer[..length]).await?,
        }
        to.flush().await?;
    }
}
