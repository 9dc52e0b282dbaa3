//! One request and its answer: version, ladder, route, headers.

use std::any::Any;
use std::future::ready;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use api::routes::{self, Endpoint};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use ladder::{Body as LadderBody, Climbed, Descent, Reads, Traits, Version};

use crate::Server;
use crate::body::Body;
use crate::call::{Call, JSON_BYTES, Received, RequestBody};
use crate::error::Error;
use crate::handover::Slot;
use crate::listing::Listing;
use crate::memo::Memo;
use crate::message::Messages;
use crate::path;
use crate::query::Query;
use crate::reply::{Document, Payload, Reply, encode};

/// Largest body that the ladder itself looks at as bytes (a build context of 2013).
const CONTEXT_BYTES: usize = 64 * 1024 * 1024;

/// The type of parameters in a body.
const FORM: &str = "application/x-www-form-urlencoded";

const API_VERSION: HeaderName = HeaderName::from_static("api-version");
const EXPERIMENTAL: HeaderName = HeaderName::from_static("docker-experimental");
const OS_TYPE: HeaderName = HeaderName::from_static("ostype");

/// Answers a request.
pub(crate) async fn answer(server: Arc<Server>, slot: &Arc<Slot>, request: Request<Incoming>) -> Response<Body> {
    server.activity.note();
    let (head, incoming) = request.into_parts();
    let received = Received::new(incoming);
    let ended = received.ended.clone();
    let exchange = Exchange { server, slot, method: head.method, uri: head.uri, headers: head.headers };
    let mut response = guarded(exchange.run(received)).await;
    let streams = response.body().is_stream();
    if !ended.load(Ordering::Relaxed) && !streams {
        // What is left of the request would be taken for the next one.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// A panic is our defect: the client is told (500), and the daemon goes on.
async fn guarded(work: impl Future<Output = Response<Body>>) -> Response<Body> {
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|panic| broken(&*panic))
}

fn broken(panic: &(dyn Any + Send)) -> Response<Body> {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(panic = text.unwrap_or("unknown"), "a route panicked; this is a defect");
    let error = Error::of(model::ErrorKind::System, "the daemon made a mistake with this request; its log has more");
    assemble(refusal(&error))
}

/// A request without its body.
struct Exchange<'a> {
    server: Arc<Server>,
    slot: &'a Arc<Slot>,
    method: Method,
    uri: http::Uri,
    headers: HeaderMap,
}

impl Exchange<'_> {
    async fn run(mut self, received: Received) -> Response<Body> {
        strip_internal(&mut self.headers);
        let uri = std::mem::take(&mut self.uri);
        let decoded = path::decode(uri.path());
        if let Some(location) = path::redirect(&decoded, uri.query()) {
            return redirect(&location);
        }
        let (prefix, page) = match Version::split_prefix(&decoded) {
            Some((version, page)) => (Some(version), page),
            None => (None, &*decoded),
        };
        let host = self.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let version = match self.server.policy.select(prefix, host) {
            Ok(version) => version,
            Err(refused) => return self.finish(lower(refused), &Traits::default(), true),
        };
        let query = Query::parse(uri.query().unwrap_or_default());
        let (query, received) = self.with_form(page, query, received).await;
        if ladder::at_newest(version) {
            self.newest(page, query, received).await
        } else {
            self.older(version, page, query, received).await
        }
    }

    /// The parameters with those of a form in the body, which come first. A form that cannot be read is none.
    async fn with_form(&self, page: &str, query: Query, mut received: Received) -> (Query, Received) {
        let kind = self.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let form = kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(FORM));
        if !form || self.method != Method::POST || !takes_form(page, &query) {
            return (query, received);
        }
        let body = received.collect(JSON_BYTES).await.unwrap_or_default();
        let mut parameters = Query::parse(&String::from_utf8_lossy(&body));
        parameters.0.extend(query.0);
        (parameters, received)
    }

    /// A request of the newest version: no rung is touched.
    async fn newest(mut self, page: &str, query: Query, received: Received) -> Response<Body> {
        let traits = Traits::default();
        if self.method == Method::OPTIONS {
            return self.finish(assemble(Reply::empty(StatusCode::OK)), &traits, true);
        }
        let Some((endpoint, params)) = routes::resolve(self.method.as_str(), page) else {
            return self.finish(assemble(refusal(&Error::no_page())), &traits, false);
        };
        let body = RequestBody::Incoming(received);
        let headers = std::mem::take(&mut self.headers);
        let (server, slot) = (self.server.clone(), self.slot.clone());
        let mut call = Call { server, slot, endpoint, params, query, headers, body, traits: traits.clone() };
        let reply = crate::routes::answer(&mut call).await.unwrap_or_else(|error| refusal(&error));
        self.finish(assemble(reply), &traits, true)
    }

    /// A request of an older version: up the ladder, to its route, and down again.
    async fn older(self, version: Version, page: &str, query: Query, received: Received) -> Response<Body> {
        let traits = ladder::traits(version);
        let content_type = self.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let reads = ladder::reads(version, self.method.as_str(), page, content_type);
        let read = read(reads, received).await;
        let (read, received) = match read {
            Ok(read) => read,
            Err(error) => {
                let answer = ladder::Response::error(error.status().as_u16(), &error.to_string());
                return self.finish(lower(ladder::error_for(version, answer)), &traits, true);
            }
        };
        let headers = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
        let request = ladder::Request {
            method: self.method.as_str().to_owned(),
            path: page.to_owned(),
            query: query.0,
            headers: headers.collect(),
            body: read,
        };
        if self.method == Method::OPTIONS {
            return self.finish(assemble(Reply::empty(StatusCode::OK)), &traits, true);
        }
        let (request, endpoint, params, descent) = match ladder::climb(version, request) {
            Climbed::Forward { request, endpoint, params, descent } => (request, endpoint, params, descent),
            Climbed::Answer(answer) => {
                let known =
                    answer.message() != Some("404 page not found") && answer.message() != Some("page not found");
                return self.finish(lower(answer), &traits, known);
            }
        };
        let mut call = self.climbed(request, endpoint, params, received, &traits);
        let reply = crate::routes::answer(&mut call).await.unwrap_or_else(|error| refusal(&error));
        let mut response = descend(&self.server.memo, reply, descent).await;
        if traits.bare_transfers && matches!(endpoint, Endpoint::ImageCreate | Endpoint::ImagePush) {
            // An answer of HTTP/1.0 has no frames, and ends with the connection.
            *response.version_mut() = http::Version::HTTP_10;
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        self.finish(response, &traits, true)
    }

    /// The call that a climbed request has become.
    fn climbed(
        &self,
        request: ladder::Request,
        endpoint: Endpoint,
        params: routes::Params,
        received: Option<Received>,
        traits: &Traits,
    ) -> Call {
        let pairs = request
            .headers
            .iter()
            .filter_map(|(name, value)| Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?)));
        let body = match request.body {
            LadderBody::Stream => received.map_or(RequestBody::Empty, RequestBody::Incoming),
            LadderBody::Empty | LadderBody::Messages(_) => RequestBody::Empty,
            LadderBody::Json(value) => RequestBody::Json(value),
            LadderBody::Text(text) => RequestBody::Bytes(text.into_bytes()),
            LadderBody::Bytes(bytes) => RequestBody::Bytes(bytes),
        };
        Call {
            server: self.server.clone(),
            slot: self.slot.clone(),
            endpoint,
            params,
            query: Query(request.query),
            headers: pairs.collect(),
            body,
            traits: traits.clone(),
        }
    }

    /// Adds what every answer carries at the client's version. `known`: the page exists.
    fn finish(&self, mut response: Response<Body>, traits: &Traits, known: bool) -> Response<Body> {
        let headers = response.headers_mut();
        strip_internal(headers);
        if traits.server_header {
            headers.insert(header::SERVER, self.server.product.clone());
        }
        if traits.engine_headers {
            headers.insert(API_VERSION, self.server.newest.clone());
            headers.insert(EXPERIMENTAL, HeaderValue::from_static("false"));
            headers.insert(OS_TYPE, HeaderValue::from_static("linux"));
        }
        if let Some(cors) = self.server.cors.as_ref().filter(|_| known) {
            cors.add(headers, traits);
        }
        response
    }
}

/// Whether a form in the body of this POST would be its parameters: not where the body is an upload, or a stream.
fn takes_form(page: &str, query: &Query) -> bool {
    match routes::resolve("POST", page).map(|(endpoint, _)| endpoint) {
        Some(Endpoint::ImageCreate) => query.given("fromImage").is_none() && query.given("fromSrc").is_none(),
        Some(
            Endpoint::Build
            | Endpoint::ContainerAttach
            | Endpoint::ContainerStart
            | Endpoint::Grpc
            | Endpoint::ImageLoad
            | Endpoint::PluginCreate
            | Endpoint::Session,
        )
        | None => false,
        Some(_) => true,
    }
}

/// Removes the headers by which only the ladder and the routes talk.
fn strip_internal(headers: &mut HeaderMap) {
    let internal = headers.keys().filter(|name| name.as_str().starts_with(ladder::INTERNAL_PREFIX)).cloned();
    for name in internal.collect::<Vec<_>>() {
        headers.remove(name);
    }
}

/// Reads as much of the body as the ladder must see.
async fn read(reads: Reads, mut received: Received) -> Result<(LadderBody, Option<Received>), Error> {
    let limit_bytes = match reads {
        Reads::Nothing if received.ended.load(Ordering::Relaxed) => return Ok((LadderBody::Empty, None)),
        Reads::Nothing => return Ok((LadderBody::Stream, Some(received))),
        Reads::Json => JSON_BYTES,
        Reads::Bytes => CONTEXT_BYTES,
    };
    let bytes = received.collect(limit_bytes).await?;
    if bytes.is_empty() {
        return Ok((LadderBody::Empty, None));
    }
    if reads == Reads::Bytes {
        return Ok((LadderBody::Bytes(bytes), None));
    }
    let body = match serde_json::from_slice(&bytes) {
        Ok(value) => LadderBody::Json(value),
        Err(_) => LadderBody::Text(String::from_utf8_lossy(&bytes).into_owned()),
    };
    Ok((body, None))
}

/// An error in the form of the newest version.
fn refusal(error: &Error) -> Reply {
    if error.status() == StatusCode::NOT_MODIFIED {
        return Reply::empty(StatusCode::NOT_MODIFIED);
    }
    if error.status().is_server_error() {
        let cause = std::error::Error::source(error).and_then(std::error::Error::source).map(ToString::to_string);
        tracing::debug!(status = error.status().as_u16(), %error, cause, "refused");
    }
    let message = api::ErrorMessage { message: error.to_string() };
    Reply::json_with(error.status(), message)
}

fn redirect(location: &str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// A reply of the newest version as it goes out.
fn assemble(reply: Reply) -> Response<Body> {
    let body = match written(reply.payload) {
        Ok(body) => body,
        Err(error) => return assemble(refusal(&error.into())),
    };
    let mut response = Response::new(body);
    *response.status_mut() = reply.status;
    let headers = response.headers_mut();
    if let Some(content_type) = reply.content_type {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    headers.extend(reply.headers);
    response
}

/// What follows the head at the newest version.
fn written(payload: Payload) -> Result<Body, engine::Error> {
    Ok(match payload {
        Payload::Empty => Body::empty(),
        Payload::Json(document) => Body::whole(document.text()?),
        Payload::Containers(listing) => Body::whole(listing.text()?),
        Payload::Text(text) => Body::whole(Bytes::from_static(text.as_bytes())),
        Payload::Bytes(stream) => Body::stream(stream.map(|piece| piece.map(Bytes::from))),
        Payload::Later(document) => later(document),
        Payload::Messages(Messages { documents, end }) => Body::stream(documents.map(move |mut document| {
            document.extend_from_slice(end.bytes());
            Ok(Bytes::from(document))
        })),
    })
}

/// A document that comes after the head, as it is.
fn later(document: BoxFuture<'static, Box<dyn Document>>) -> Body {
    Body::stream(document.map(|document| document.text().map(Bytes::from)).into_stream())
}

/// A reply of the newest version on its way down to an older one.
async fn descend(memo: &Memo, reply: Reply, descent: Box<Descent>) -> Response<Body> {
    // Nothing but the document tells two such answers apart.
    let plain = reply.status == StatusCode::OK && reply.headers.is_empty();
    let mut headers: Vec<(String, String)> = Vec::new();
    if let Some(content_type) = reply.content_type {
        headers.push(("Content-Type".to_owned(), content_type.to_owned()));
    }
    headers.extend(
        reply
            .headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())),
    );
    let status = reply.status.as_u16();
    let head = |body| ladder::Response { status, headers, body };
    match reply.payload {
        Payload::Empty => lower(descent.response(head(LadderBody::Empty))),
        Payload::Text(text) => lower(descent.response(head(LadderBody::Text(text.to_owned())))),
        Payload::Json(document) if plain => {
            memo.down(descent, &*document, |descent| json_down(head, &*document, descent))
        }
        Payload::Json(document) => json_down(head, &*document, &descent),
        Payload::Containers(listing) => containers_down(head, listing, descent.into()),
        Payload::Bytes(stream) => {
            let body = Body::stream(stream.map(|piece| piece.map(Bytes::from)));
            with_body(lower(descent.response(head(LadderBody::Stream))), body)
        }
        Payload::Later(document) if descent.traits().wait_headers_early => {
            with_body(lower(descent.response(head(LadderBody::Stream))), later(document))
        }
        Payload::Later(document) => json_down(head, &*document.await, &descent),
        Payload::Messages(messages) if descent.buffers_messages() => {
            // (An async closure here makes rustc 1.95 fail when it compiles this crate a second time.)
            let documents = messages.documents.filter_map(|document| ready(serde_json::from_slice(&document).ok()));
            let list = LadderBody::Json(serde_json::Value::Array(documents.collect().await));
            lower(descent.response(head(list)))
        }
        Payload::Messages(messages) => {
            let response = lower(descent.response(head(LadderBody::Stream)));
            let body = messages.documents.flat_map(move |document| {
                let lowered = serde_json::from_slice(&document).map(|message| descent.messages(message));
                // Never the case with our own documents; what is not JSON is no message of any version.
                futures_util::stream::iter(lowered.unwrap_or_default().into_iter().map(|piece| Ok(Bytes::from(piece))))
            });
            with_body(response, Body::stream(body))
        }
    }
}

/// A whole JSON document on its way down; written at once if no rung changes it.
fn json_down(
    head: impl FnOnce(LadderBody) -> ladder::Response,
    document: &dyn Document,
    descent: &Descent,
) -> Response<Body> {
    let answer = head(LadderBody::Stream);
    if !answer.is_error() && !descent.buffers_body() {
        return streamed_down(answer, document.text(), descent);
    }
    let answer = match document.value() {
        Ok(value) => ladder::Response { body: LadderBody::Json(value), ..answer },
        Err(error) => failed(error),
    };
    lower(descent.response(answer))
}

/// A list of containers on its way down: item by item where that is possible.
fn containers_down(
    head: impl FnOnce(LadderBody) -> ladder::Response,
    listing: Listing,
    descent: Arc<Descent>,
) -> Response<Body> {
    match descent.lowers_items() {
        true => streamed_down(head(LadderBody::Stream), listing.lowered(&descent), &descent),
        false => json_down(head, &listing.summaries(), &descent),
    }
}

/// A head on its way down, before a body that is as the client wants it.
fn streamed_down(
    head: ladder::Response,
    body: Result<impl Into<Bytes>, engine::Error>,
    descent: &Descent,
) -> Response<Body> {
    match body {
        Ok(bytes) => with_body(lower(descent.response(head)), Body::whole(bytes)),
        Err(error) => lower(descent.response(failed(error))),
    }
}

/// An answer that cannot be given, in the form of the newest version.
fn failed(error: engine::Error) -> ladder::Response {
    let error = Error::from(error);
    ladder::Response::error(error.status().as_u16(), &error.to_string())
}

fn with_body(mut response: Response<Body>, body: Body) -> Response<Body> {
    *response.body_mut() = body;
    response
}

/// The ladder's answer as it goes out. A body that it does not look at is put in by the caller.
fn lower(answer: ladder::Response) -> Response<Body> {
    let body = match answer.body {
        // Messages leave the ladder as text.
        LadderBody::Empty | LadderBody::Stream | LadderBody::Messages(_) => Body::empty(),
        LadderBody::Text(text) => Body::whole(text),
        LadderBody::Bytes(bytes) => Body::whole(bytes),
        LadderBody::Json(value) => Body::whole(encode(&value).unwrap_or_default()),
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in &answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn a_panic_answers_500_with_a_sentence() {
        let response = guarded(async { panic!("a defect") }).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = response.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let message = serde_json::from_slice::<serde_json::Value>(&body).unwrap_or_default()["message"].clone();
        assert!(message.as_str().is_some_and(|message| message.starts_with("the daemon made a mistake")), "{message}");
    }
}
