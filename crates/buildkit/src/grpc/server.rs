//! Our side of calls that clients make.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite};

use super::frame::{Messages, frame};
use super::status::{Code, Status};

/// How often a silent client is asked whether it is still there, and how long it may take to say so.
const PROBE_EVERY: Duration = Duration::from_secs(20);
const PROBE_WITHIN: Duration = Duration::from_secs(20);
/// Calls on one connection at a time; a client that bakes many targets has three for each.
const CALLS: u32 = 250;

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A call.
#[derive(Debug)]
pub(crate) struct Call {
    /// `/<service>/<method>`.
    pub(crate) method: String,
    /// What the client sent beside its messages.
    pub(crate) metadata: HeaderMap,
    /// What the client asks.
    pub(crate) requests: Messages,
}

/// What a call answers.
pub(crate) struct Answer(Body);

/// Answers calls. The future is dropped when the client gives a call up.
pub(crate) trait Service: Send + Sync + 'static {
    /// Answers one.
    fn call(self: Arc<Self>, call: Call) -> BoxFuture<'static, Result<Answer, Status>>;
}

/// Answers a call that asks once with one message.
///
/// # Errors
/// The request is malformed, or the work's.
pub(crate) async fn unary<Q: Message + Default, A: Message>(
    mut call: Call,
    work: impl AsyncFnOnce(Q, HeaderMap) -> Result<A, Status>,
) -> Result<Answer, Status> {
    let request = call.requests.next().await?.ok_or_else(|| Status::new(Code::InvalidArgument, "nothing was asked"))?;
    let answer = work(request, call.metadata).await?;
    let frames = [Frame::data(frame(&answer)), Frame::trailers(Status::ok_headers())];
    Ok(Answer(StreamBody::new(stream::iter(frames.map(Ok))).boxed_unsync()))
}

/// Answers a call with messages as they come; an error is the last.
pub(crate) fn stream<A: Message + 'static>(answers: BoxStream<'static, Result<A, Status>>) -> Answer {
    let frames = stream::unfold(Some(answers), async |answers| {
        let mut answers = answers?;
        Some(match answers.next().await {
            Some(Ok(answer)) => (Ok(Frame::data(frame(&answer))), Some(answers)),
            Some(Err(status)) => (Ok(Frame::trailers(status.to_headers())), None),
            None => (Ok(Frame::trailers(Status::ok_headers())), None),
        })
    });
    Answer(StreamBody::new(frames.boxed()).boxed_unsync())
}

/// Answers the calls of a connection until it ends.
///
/// # Errors
/// The client does not speak HTTP/2, or left in disorder.
pub(crate) async fn serve<S: Service>(
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    service: Arc<S>,
) -> Result<(), hyper::Error> {
    let answers = service_fn(move |request: Request<Incoming>| {
        let service = service.clone();
        async move { Ok::<_, Infallible>(answer(service, request).await) }
    });
    http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(PROBE_EVERY)
        .keep_alive_timeout(PROBE_WITHIN)
        .max_concurrent_streams(CALLS)
        .serve_connection(TokioIo::new(io), answers)
        .await
}

async fn answer<S: Service>(service: Arc<S>, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let method = head.uri.path().to_owned();
    let call = Call { method: method.clone(), metadata: head.headers, requests: Messages::new(body) };
    let answered = std::panic::AssertUnwindSafe(service.call(call)).catch_unwind().await;
    let outcome = answered.unwrap_or_else(|_| {
        tracing::error!(method, "a call panicked; this is a defect");
        Err(Status::new(Code::Internal, "the daemon made a mistake with this request; its log has more"))
    });
    let mut response = match outcome {
        Ok(answer) => Response::new(answer.0),
        Err(status) => {
            tracing::debug!(method, code = ?status.code(), %status, "a call failed");
            let mut response = Response::new(Empty::new().boxed_unsync());
            *response.headers_mut() = status.to_headers();
            response
        }
    };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}
