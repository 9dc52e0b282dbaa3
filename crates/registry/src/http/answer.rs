//! Answers: bodies within limits of size and time, complaints in Docker's words, reasons of failed connections.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderName, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::Deserialize;

use super::dial::ProxyFailure;
use crate::error::Failure;
use crate::settings::host_of;
use crate::{Complaint, Error, Result};

/// How long a body may be silent.
const SILENCE: Duration = Duration::from_secs(30);
/// How long a document may take in all.
const DOCUMENT: Duration = Duration::from_secs(60);
/// Most bytes of a complaint that are read.
const COMPLAINT_BYTES: usize = 64 * 1024;
/// Most characters of a complaint that are shown.
const SHOWN: usize = 1000;

/// An answer whose body is still to come.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) method: &'static str,
    /// Where it came from at last.
    pub(crate) url: String,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Incoming,
}

impl Answer {
    /// A header as text; empty if it is not there.
    pub(crate) fn header(&self, name: HeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The next piece of the body; `None` at its end.
    ///
    /// # Errors
    /// The connection broke or fell silent.
    pub(crate) async fn piece(&mut self) -> Result<Option<Bytes>> {
        loop {
            let frame = match tokio::time::timeout(SILENCE, self.body.frame()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(error))) => return Err(self.broken(reason(&error).1)),
                Ok(None) => return Ok(None),
                Err(_) => return Err(self.broken("the registry fell silent".to_owned())),
            };
            if let Ok(data) = frame.into_data()
                && !data.is_empty()
            {
                return Ok(Some(data));
            }
        }
    }

    /// The whole body.
    ///
    /// # Errors
    /// It is longer than `limit_bytes`, too slow, or broke off.
    pub(crate) async fn document(&mut self, limit_bytes: usize) -> Result<Vec<u8>> {
        let read = async {
            let mut document = Vec::new();
            while let Some(piece) = self.piece().await? {
                if document.len() + piece.len() > limit_bytes {
                    return Err(self.nonsense(format!("the answer is longer than {limit_bytes} bytes")));
                }
                document.extend_from_slice(&piece);
            }
            Ok(document)
        };
        match tokio::time::timeout(DOCUMENT, read).await {
            Ok(outcome) => outcome,
            Err(_) => Err(self.broken("the answer did not come in time".to_owned())),
        }
    }

    /// This answer as an error.
    pub(crate) async fn complaint(mut self) -> Complaint {
        // The status alone says enough if the words do not come.
        let body = self.document(COMPLAINT_BYTES).await.unwrap_or_default();
        complaint(self.status, &self.headers, &body)
    }

    pub(crate) fn broken(&self, reason: String) -> Error {
        Error::Request { method: self.method, url: self.url.clone(), reason, failure: Failure::Broken }
    }

    pub(crate) fn nonsense(&self, reason: String) -> Error {
        Error::Request { method: self.method, url: self.url.clone(), reason, failure: Failure::Nonsense }
    }
}

#[derive(Deserialize)]
struct Errors {
    #[serde(default)]
    errors: Vec<OneError>,
    // What token servers and old registries say.
    #[serde(default)]
    details: String,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
struct OneError {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// What an answer that is no success says.
pub(crate) fn complaint(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Complaint {
    let retry_after =
        headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok()).map(Duration::from_secs);
    let said = serde_json::from_slice::<Errors>(body).ok();
    let plain = said.as_ref().map(|said| if said.details.is_empty() { &said.message } else { &said.details });
    let plain = plain.filter(|text| !text.is_empty()).map(|text| shown(text));
    let (code, message) = match said.as_ref().and_then(|said| said.errors.first()) {
        Some(first) if !first.code.is_empty() => (shown(&first.code), shown(&first.message)),
        _ => match status.as_u16() {
            401 => ("UNAUTHORIZED".to_owned(), plain.unwrap_or_else(|| "authentication required".to_owned())),
            403 => {
                let usual = || "requested access to the resource is denied".to_owned();
                ("DENIED".to_owned(), plain.unwrap_or_else(usual))
            }
            429 => ("TOOMANYREQUESTS".to_owned(), plain.unwrap_or_else(|| "too many requests".to_owned())),
            _ => (String::new(), plain.unwrap_or_else(|| format!("received unexpected HTTP status: {status}"))),
        },
    };
    Complaint { status: status.as_u16(), code, message, retry_after }
}

/// Text of a registry on its way to a terminal.
fn shown(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(SHOWN).collect()
}

/// What failed while `authority` was dialled, in Go's words.
pub(crate) fn dialled(words: String, authority: &str) -> String {
    match words.as_str() {
        "connect: connection refused" | "i/o timeout" => format!("dial tcp {authority}: {words}"),
        "no such host" => format!("dial tcp: lookup {}: {words}", host_of(authority)),
        _ => words,
    }
}

/// Why a connection failed, in Go's words where they are well known.
pub(crate) fn reason(error: &(dyn StdError + 'static)) -> (Failure, String) {
    let mut deepest = error;
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(proxy) = error.downcast_ref::<ProxyFailure>() {
            return (proxy.failure, proxy.to_string());
        }
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return tls_reason(tls);
        }
        if let Some(error) = error.downcast_ref::<io::Error>() {
            match error.kind() {
                io::ErrorKind::ConnectionRefused => {
                    return (Failure::Connect, "connect: connection refused".to_owned());
                }
                io::ErrorKind::TimedOut => return (Failure::Connect, "i/o timeout".to_owned()),
                io::ErrorKind::ConnectionReset => return (Failure::Broken, "connection reset by peer".to_owned()),
                _ => {}
            }
        }
        if error.to_string() == "dns error" {
            return (Failure::Connect, "no such host".to_owned());
        }
        deepest = error;
        next = cause(error);
    }
    (Failure::Broken, deepest.to_string())
}

/// What is behind an error. One of reading or writing speaks for what it holds and names only what is behind that.
fn cause<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(held) => Some(held),
        None => error.source(),
    }
}

fn tls_reason(error: &rustls::Error) -> (Failure, String) {
    use rustls::CertificateError as Bad;
    let words = match error {
        rustls::Error::InvalidMessage(_) => "http: server gave HTTP response to HTTPS client".to_owned(),
        // The second: by another authority of the same name.
        rustls::Error::InvalidCertificate(Bad::UnknownIssuer | Bad::BadSignature) => {
            "tls: failed to verify certificate: x509: certificate signed by unknown authority".to_owned()
        }
        rustls::Error::InvalidCertificate(Bad::Expired | Bad::ExpiredContext { .. }) => {
            "tls: failed to verify certificate: x509: certificate has expired or is not yet valid".to_owned()
        }
        rustls::Error::InvalidCertificate(other) => format!("tls: failed to verify certificate: x509: {other}"),
        other => format!("tls: {other}"),
    };
    (Failure::Connect, words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(status: u16, body: &str) -> String {
        complaint(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body.as_bytes()).to_string()
    }

    #[test]
    fn complaints() {
        let body =
            r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest\u001b unknown","detail":{"Tag":"x"}}]}"#;
        assert_eq!(words(404, body), "manifest unknown: manifest unknown");
        assert_eq!(words(401, "garbage"), "unauthorized: authentication required");
        assert_eq!(words(403, "{}"), "denied: requested access to the resource is denied");
        assert_eq!(words(500, "{\"errors\":null}"), "received unexpected HTTP status: 500 Internal Server Error");
        assert_eq!(
            words(401, r#"{"details":"incorrect username or password"}"#),
            "unauthorized: incorrect username or password"
        );
        assert!(words(404, &format!("{{\"message\":\"{}\"}}", "x".repeat(5000))).len() <= SHOWN);
    }
}
