//! A request of the newest API on its way to its route.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use api::routes::{Endpoint, Params};
use bytes::Buf;
use engine::Upload;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use ladder::Traits;
use serde_json::Value;

use crate::Server;
use crate::error::Error;
use crate::handover::{Handover, Slot};
use crate::query::Query;

/// Largest JSON body that is read.
pub(crate) const JSON_BYTES: usize = 8 * 1024 * 1024;
/// How much of a refused upload is still taken, and for how long.
const DISCARDED_BYTES: usize = 64 << 20;
const DISCARD_FOR: Duration = Duration::from_secs(2);
/// How long the body of a small request may take.
const BODY_WITHIN: Duration = Duration::from_secs(5 * 60);

/// A request of the newest API.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) server: Arc<Server>,
    pub(crate) slot: Arc<Slot>,
    pub(crate) endpoint: Endpoint,
    pub(crate) params: Params,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
    pub(crate) body: RequestBody,
    /// How the connection behaves at the client's version.
    pub(crate) traits: Traits,
}

/// A request's body, as far as it was read.
#[derive(Debug)]
pub(crate) enum RequestBody {
    /// There is none, or it was taken.
    Empty,
    /// Still on the wire.
    Incoming(Received),
    /// Read and understood on the ladder.
    Json(Value),
    /// Read on the ladder; not JSON.
    Bytes(Vec<u8>),
}

/// A body on the wire, and whether its end was seen: if not, the connection cannot be used again.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) incoming: Incoming,
    pub(crate) ended: Arc<AtomicBool>,
}

impl Received {
    pub(crate) fn new(incoming: Incoming) -> Self {
        let ended = Arc::new(AtomicBool::new(incoming.is_end_stream()));
        Self { incoming, ended }
    }

    /// The next piece; `None` at the end.
    async fn next(&mut self) -> std::io::Result<Option<bytes::Bytes>> {
        loop {
            match self.incoming.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
                Some(Err(error)) => return Err(std::io::Error::other(error)),
                None => {
                    self.ended.store(true, Ordering::Relaxed);
                    return Ok(None);
                }
            }
        }
    }

    /// All of it.
    ///
    /// # Errors
    /// It is larger than `limit_bytes` (413), too slow (408), or broken off (400).
    pub(crate) async fn collect(&mut self, limit_bytes: usize) -> Result<Vec<u8>, Error> {
        let announced = self.incoming.size_hint().lower();
        if announced > limit_bytes as u64 {
            return Err(Error::too_large(limit_bytes));
        }
        let read = async {
            let mut body = Vec::new();
            while let Some(piece) =
                self.next().await.map_err(|error| Error::invalid(format!("the request's body broke off: {error}")))?
            {
                if body.len() + piece.len() > limit_bytes {
                    return Err(Error::too_large(limit_bytes));
                }
                body.extend_from_slice(&piece);
            }
            Ok(body)
        };
        tokio::time::timeout(BODY_WITHIN, read).await.unwrap_or_else(|_| Err(Error::too_slow()))
    }
}

impl Call {
    /// The name or id in the path.
    pub(crate) fn name(&self) -> &str {
        self.params.first()
    }

    /// A header as text; empty if it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The request's JSON document; `None` if there is no body.
    ///
    /// # Errors
    /// 400 in Docker's words: another content type, no valid JSON, something behind it; 408, 413.
    pub(crate) async fn document(&mut self) -> Result<Option<Value>, Error> {
        let bytes = match std::mem::replace(&mut self.body, RequestBody::Empty) {
            RequestBody::Empty => return Ok(None),
            RequestBody::Json(value) => {
                check_type(&self.headers)?;
                return Ok(Some(value));
            }
            RequestBody::Bytes(bytes) => bytes,
            RequestBody::Incoming(mut received) => {
                let bytes = received.collect(JSON_BYTES).await;
                self.body = RequestBody::Incoming(received);
                bytes?
            }
        };
        if bytes.is_empty() && !self.headers.contains_key(CONTENT_TYPE) {
            return Ok(None);
        }
        check_type(&self.headers)?;
        if bytes.is_empty() { Ok(None) } else { parse(&bytes).map(Some) }
    }

    /// The request's JSON document as a `T`; the default if there is no body.
    ///
    /// # Errors
    /// As [`Call::document`], and a value of the wrong type (400).
    pub(crate) async fn json<T: serde::de::DeserializeOwned + Default>(&mut self) -> Result<T, Error> {
        match self.document().await? {
            Some(document) => api::decode(&document).map_err(|error| Error::invalid(format!("invalid JSON: {error}"))),
            None => Ok(T::default()),
        }
    }

    /// Reads the body and forgets it: before a stream takes the connection over it must be off the wire.
    ///
    /// # Errors
    /// 408, 413, or broken off.
    pub(crate) async fn drain(&mut self) -> Result<(), Error> {
        if let RequestBody::Incoming(received) = &mut self.body {
            received.collect(JSON_BYTES).await?;
        }
        Ok(())
    }

    /// The body for blocking code to read, and the future that carries it there; see [`with_upload`].
    pub(crate) fn upload(&mut self) -> (Upload, impl Future<Output = ()> + Send + 'static) {
        let (sender, upload) = engine::upload();
        let body = std::mem::replace(&mut self.body, RequestBody::Empty);
        let carry = async move {
            let mut received = match body {
                RequestBody::Incoming(received) => received,
                RequestBody::Empty => return,
                RequestBody::Bytes(bytes) => {
                    sender.send(Ok(bytes)).await;
                    return;
                }
                RequestBody::Json(value) => {
                    sender.send(Ok(value.to_string().into_bytes())).await;
                    return;
                }
            };
            loop {
                let piece = match received.next().await {
                    Ok(Some(mut piece)) => Ok(piece.copy_to_bytes(piece.len()).to_vec()),
                    Ok(None) => return,
                    Err(error) => Err(error),
                };
                let broken = piece.is_err();
                if broken || !sender.send(piece).await {
                    break;
                }
            }
            let mut left = DISCARDED_BYTES;
            while let Ok(Some(piece)) = received.next().await
                && piece.remaining() < left
            {
                left -= piece.remaining();
            }
        };
        (upload, carry)
    }

    /// Leaves the connection to a stream; the request is never answered by HTTP.
    pub(crate) async fn hand_over(&self, handover: Handover) -> std::convert::Infallible {
        self.slot.hand_over(handover).await
    }
}

/// Runs `work` while its upload is carried. Of a refused upload the rest is taken and forgotten, within limits: a
/// client that is still writing would otherwise see a broken connection instead of the reason.
pub(crate) async fn with_upload<T, E>(
    carry: impl Future<Output = ()>,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let carried = async {
        carry.await;
    };
    tokio::pin!(carried);
    tokio::pin!(work);
    let mut carrying = true;
    loop {
        tokio::select! {
            biased;
            outcome = &mut work => {
                if outcome.is_err() && carrying {
                    drop(tokio::time::timeout(DISCARD_FOR, carried).await);
                }
                return outcome;
            }
            () = &mut carried, if carrying => carrying = false,
        }
    }
}

/// Refuses a body that is not said to be JSON.
fn check_type(headers: &HeaderMap) -> Result<(), Error> {
    let text = headers.get(CONTENT_TYPE).map_or("", |value| value.to_str().unwrap_or("?"));
    let kind = text.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let token = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&byte))
    };
    let reason = match kind.split_once('/') {
        _ if kind.is_empty() => "no media type",
        Some((kind, subtype)) if !token(kind) || !token(subtype) => "expected token after slash",
        None if !token(kind) => "expected slash after first token",
        _ => {
            return Err(Error::invalid(format!(
                "unsupported Content-Type header ({text}): must be 'application/json'"
            )));
        }
    };
    Err(Error::invalid(format!("malformed Content-Type header ({text}): mime: {reason}")))
}

/// One JSON document and nothing behind it.
fn parse(bytes: &[u8]) -> Result<Value, Error> {
    let mut documents = serde_json::Deserializer::from_slice(bytes).into_iter::<Value>();
    let document = match documents.next() {
        None => return Err(Error::invalid("invalid JSON: got EOF while reading request body")),
        Some(Err(error)) => return Err(Error::invalid(format!("invalid JSON: {error}"))),
        Some(Ok(document)) => document,
    };
    if documents.byte_offset() < bytes.trim_ascii_end().len() {
        return Err(Error::invalid("unexpected content after JSON"));
    }
    Ok(document)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_type(text: &str) -> Result<(), Error> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, text.parse().unwrap());
        check_type(&headers)
    }

    #[test]
    fn content_types() {
        assert!(with_type("application/json").is_ok() && with_type("Application/JSON; charset=utf-8").is_ok());
        for (text, words) in [
            ("text/plain", "unsupported Content-Type header (text/plain): must be 'application/json'"),
            ("", "malformed Content-Type header (): mime: no media type"),
            ("a/", "malformed Content-Type header (a/): mime: expected token after slash"),
        ] {
            assert_eq!(with_type(text).unwrap_err().to_string(), words);
        }
    }

    #[test]
    fn one_document_and_nothing_behind_it() {
        assert_eq!(parse(b" {\"a\":1}\n ").unwrap()["a"], 1);
        assert_eq!(parse(b" ").unwrap_err().to_string(), "invalid JSON: got EOF while reading request body");
        assert_eq!(parse(b"{} {}").unwrap_err().to_string(), "unexpected content after JSON");
        assert!(parse(b"{").unwrap_err().to_string().starts_with("invalid JSON: "));
        assert!(parse("[".repeat(100_000).as_bytes()).is_err());
    }
}
