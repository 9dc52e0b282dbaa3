//! Calls that we make on a client's connection.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, stream};
use http::header::{CONTENT_TYPE, HeaderValue, TE};
use http::{HeaderMap, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::frame::{Messages, frame};
use super::status::{Code, Status};

/// How often a silent client is asked whether it is still there, and how long it may take to say so.
const PROBE_EVERY: Duration = Duration::from_secs(10);
const PROBE_WITHIN: Duration = Duration::from_secs(20);
/// How long a client may think about one question; it may have to ask its user or a registry.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// How long a client may take to speak HTTP/2.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// Bytes of a call that the client may send before they are read, and of all calls. What is read later must hold the client up
/// and not end the connection: h2 ends one whose unread messages are so small that they cost more than half of all these bytes
/// in memory, and a file that a client tells of is a message of its own.
const CALL_BYTES: u32 = 512 * 1024;
const CHANNEL_BYTES: u32 = 64 * 1024 * 1024;
/// Messages of ours that wait for a slow client.
const WAITING: usize = 16;

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A connection on which the client answers.
#[derive(Debug, Clone)]
pub(crate) struct Channel {
    requests: SendRequest<Body>,
}

impl Channel {
    /// A channel, and the future that carries its bytes; the channel works while that is polled.
    ///
    /// # Errors
    /// The client does not answer in HTTP/2.
    pub(crate) async fn open(
        io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<(Self, impl Future<Output = Result<(), hyper::Error>> + Send), Status> {
        let handshake = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(PROBE_EVERY)
            .keep_alive_timeout(PROBE_WITHIN)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(CALL_BYTES)
            .initial_connection_window_size(CHANNEL_BYTES)
            .handshake(TokioIo::new(io));
        let broken = || Status::new(Code::Unavailable, "the session's client does not speak HTTP/2");
        let (requests, connection) = timeout(HANDSHAKE_WITHIN, handshake)
            .await
            .map_err(|_| broken())?
            .map_err(|error| broken().caused_by(error))?;
        Ok((Self { requests }, connection))
    }

    /// Asks once, for one answer.
    ///
    /// # Errors
    /// The client's, or it is gone or too slow.
    pub(crate) async fn ask<A: Message + Default>(&self, method: &str, request: &impl Message) -> Result<A, Status> {
        let body = StreamBody::new(stream::iter([Ok(Frame::data(frame(request)))])).boxed_unsync();
        let mut responses = self.send(method, HeaderMap::new(), body)?;
        let answer = async {
            let answer =
                responses.next().await?.ok_or_else(|| Status::new(Code::Internal, "the client said nothing"))?;
            // The status comes behind the message.
            while responses.next::<A>().await?.is_some() {}
            Ok(answer)
        };
        let late = |_| Status::new(Code::DeadlineExceeded, format!("the client did not answer {method} in time"));
        timeout(ANSWER_WITHIN, answer).await.map_err(late)?
    }

    /// Opens a call in which both sides may send any number of messages.
    ///
    /// # Errors
    /// The client is gone.
    pub(crate) fn converse(&self, method: &str, metadata: HeaderMap) -> Result<(Questions, Responses), Status> {
        let (sender, receiver) = mpsc::channel::<Bytes>(WAITING);
        let frames = stream::unfold(receiver, async |mut receiver| {
            receiver.recv().await.map(|bytes| (Ok(Frame::data(bytes)), receiver))
        });
        let responses = self.send(method, metadata, StreamBody::new(frames).boxed_unsync())?;
        Ok((Questions(sender), responses))
    }

    fn send(&self, method: &str, metadata: HeaderMap, body: Body) -> Result<Responses, Status> {
        let mut request = Request::new(body);
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = format!("http://localhost{method}").parse().map_err(|error: http::uri::InvalidUri| {
            Status::new(Code::Internal, "the method has no name").caused_by(error)
        })?;
        *request.headers_mut() = metadata;
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        request.headers_mut().insert(TE, HeaderValue::from_static("trailers"));
        let answer = self.requests.clone().send_request(request);
        Ok(Responses { state: State::Asked(answer.boxed()) })
    }
}

/// Our messages in a conversation; dropping it ends our half.
#[derive(Debug, Clone)]
pub(crate) struct Questions(mpsc::Sender<Bytes>);

impl Questions {
    /// Sends a message; false if the call has ended.
    pub(crate) async fn send(&self, message: &impl Message) -> bool {
        self.0.send(frame(message)).await.is_ok()
    }

    /// Sends messages in their order; false if the call has ended.
    pub(crate) async fn send_all(&self, messages: &[impl Message]) -> bool {
        for message in messages {
            if !self.send(message).await {
                return false;
            }
        }
        true
    }
}

/// The client's messages in a call.
pub(crate) struct Responses {
    state: State,
}

enum State {
    /// The head of the answer is not here yet: it may come only after we have sent something.
    Asked(BoxFuture<'static, Result<Response<Incoming>, hyper::Error>>),
    Answered(Messages),
    Ended,
}

impl Responses {
    /// The next message; `None` once the call has succeeded.
    ///
    /// # Errors
    /// The client's, or it is gone.
    pub(crate) async fn next<M: Message + Default>(&mut self) -> Result<Option<M>, Status> {
        loop {
            match &mut self.state {
                State::Ended => return Ok(None),
                State::Asked(answer) => {
                    let gone = |error| Status::new(Code::Unavailable, "the client is gone").caused_by(error);
                    let response = answer.await.map_err(gone)?;
                    if response.headers().contains_key("grpc-status") {
                        self.state = State::Ended;
                        Status::from_headers(response.headers())?;
                        continue;
                    }
                    self.state = State::Answered(Messages::new(response.into_body()));
                }
                State::Answered(messages) => {
                    if let Some(message) = messages.next().await? {
                        return Ok(Some(message));
                    }
                    let outcome = messages.trailers().map_or_else(
                        || Err(Status::new(Code::Unavailable, "the client's answer broke off")),
                        Status::from_headers,
                    );
                    self.state = State::Ended;
                    outcome?;
                }
            }
        }
    }
}

impl std::fmt::Debug for Responses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Responses").finish_non_exhaustive()
    }
}
