//! The outcome of a call.

use std::error::Error as StdError;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use http::HeaderMap;
use http::header::HeaderValue;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use prost::Message;

const STATUS: &str = "grpc-status";
const MESSAGE: &str = "grpc-message";
const DETAILS: &str = "grpc-status-details-bin";

/// What may not stand in `grpc-message` as it is.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%');
/// Longest `grpc-message`, in characters: header lists are limited at the client's side.
const MESSAGE_CHARACTERS: usize = 4096;

/// gRPC's codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "gRPC's own names")]
pub enum Code {
    Ok = 0,
    Cancelled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}

impl Code {
    const ALL: [Self; 17] = [
        Self::Ok,
        Self::Cancelled,
        Self::Unknown,
        Self::InvalidArgument,
        Self::DeadlineExceeded,
        Self::NotFound,
        Self::AlreadyExists,
        Self::PermissionDenied,
        Self::ResourceExhausted,
        Self::FailedPrecondition,
        Self::Aborted,
        Self::OutOfRange,
        Self::Unimplemented,
        Self::Internal,
        Self::Unavailable,
        Self::DataLoss,
        Self::Unauthenticated,
    ];

    fn from_number(number: i32) -> Self {
        usize::try_from(number).ok().and_then(|number| Self::ALL.get(number)).copied().unwrap_or(Self::Unknown)
    }
}

/// Why a call failed, worded for the client.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Status {
    code: Code,
    message: String,
    details: Vec<Detail>,
    #[source]
    source: Option<std::sync::Arc<dyn StdError + Send + Sync>>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Detail {
    #[prost(string, tag = "1")]
    pub(crate) type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) value: Vec<u8>,
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct RpcStatus {
    #[prost(int32, tag = "1")]
    pub(crate) code: i32,
    #[prost(string, tag = "2")]
    pub(crate) message: String,
    #[prost(message, repeated, tag = "3")]
    pub(crate) details: Vec<Detail>,
}

impl Status {
    /// A failure.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: Vec::new(), source: None }
    }

    /// Keeps the cause.
    pub(crate) fn caused_by(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Some(std::sync::Arc::new(source));
        self
    }

    /// Adds something that a client may show beside the message.
    pub(crate) fn with_detail(mut self, detail: Detail) -> Self {
        self.details.push(detail);
        self
    }

    /// The kind of failure.
    pub fn code(&self) -> Code {
        self.code
    }

    pub(crate) fn from_rpc(status: RpcStatus) -> Self {
        Self { code: Code::from_number(status.code), message: status.message, details: status.details, source: None }
    }

    fn to_rpc(&self) -> RpcStatus {
        RpcStatus { code: self.code as i32, message: self.message.clone(), details: self.details.clone() }
    }

    /// What stands behind the messages of a call that succeeded.
    pub(super) fn ok_headers() -> HeaderMap {
        HeaderMap::from_iter([(http::HeaderName::from_static(STATUS), HeaderValue::from_static("0"))])
    }

    /// What stands behind the messages of a call that failed.
    pub(super) fn to_headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(STATUS, HeaderValue::from(self.code as i32));
        let message: String = self.message.chars().take(MESSAGE_CHARACTERS).collect();
        let message = utf8_percent_encode(&message, ESCAPED).to_string();
        if let Ok(message) = HeaderValue::try_from(message) {
            headers.insert(MESSAGE, message);
        }
        if !self.details.is_empty()
            && let Ok(details) = HeaderValue::try_from(STANDARD_NO_PAD.encode(self.to_rpc().encode_to_vec()))
        {
            headers.insert(DETAILS, details);
        }
        headers
    }

    /// What the headers or trailers of an answer say.
    ///
    /// # Errors
    /// The call failed.
    pub(super) fn from_headers(headers: &HeaderMap) -> Result<(), Self> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let code = match text(STATUS).map(str::parse::<i32>) {
            Some(Ok(0)) => return Ok(()),
            Some(Ok(number)) => Code::from_number(number),
            _ => return Err(Self::new(Code::Unknown, "the answer has no status")),
        };
        let message = percent_decode_str(text(MESSAGE).unwrap_or_default()).decode_utf8_lossy().into_owned();
        let details = text(DETAILS)
            .and_then(|text| STANDARD_NO_PAD.decode(text).or_else(|_| STANDARD.decode(text)).ok())
            .and_then(|bytes| RpcStatus::decode(&*bytes).ok());
        Err(Self { code, message, details: details.map(|status| status.details).unwrap_or_default(), source: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_survives_its_headers() {
        let detail = Detail { type_url: "x/y".to_owned(), value: vec![1, 2, 3] };
        let status = Status::new(Code::NotFound, "no ä: 100%\nreally").with_detail(detail.clone());
        let again = Status::from_headers(&status.to_headers()).unwrap_err();
        assert_eq!(
            (again.code, &*again.message, &*again.details),
            (Code::NotFound, "no ä: 100%\nreally", &[detail][..])
        );
        assert!(Status::from_headers(&Status::ok_headers()).is_ok());
        assert_eq!(Status::from_headers(&HeaderMap::new()).unwrap_err().code, Code::Unknown);
        let strange = HeaderMap::from_iter([(http::HeaderName::from_static(STATUS), HeaderValue::from(99))]);
        assert_eq!(Status::from_headers(&strange).unwrap_err().code, Code::Unknown);
    }
}
