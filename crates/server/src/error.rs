//! Errors, and the only place where one becomes an HTTP status.

use http::StatusCode;
use model::ErrorKind;

/// Why a request is not answered as asked.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Error {
    status: StatusCode,
    message: String,
    #[source]
    source: Option<engine::Error>,
}

impl Error {
    /// The request makes no sense as written (400).
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::of(ErrorKind::InvalidParameter, message)
    }

    /// There is no such page (404).
    pub(crate) fn no_page() -> Self {
        Self::of(ErrorKind::NotFound, "page not found")
    }

    /// A kind of the domain with the server's own words.
    pub(crate) fn of(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { status: status(kind), message: message.into(), source: None }
    }

    /// A body larger than what the call reads (413).
    pub(crate) fn too_large(limit_bytes: usize) -> Self {
        let message = format!("the request's body is larger than {limit_bytes} bytes, which is what this call reads");
        Self { status: StatusCode::PAYLOAD_TOO_LARGE, message, source: None }
    }

    /// A body that does not come (408).
    pub(crate) fn too_slow() -> Self {
        let message = "the request's body did not come in time".to_owned();
        Self { status: StatusCode::REQUEST_TIMEOUT, message, source: None }
    }

    /// The status that tells it.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }
}

impl From<engine::Error> for Error {
    fn from(error: engine::Error) -> Self {
        Self { status: status(error.kind()), message: error.message().to_owned(), source: Some(error) }
    }
}

impl From<buildkit::grpc::Status> for Error {
    fn from(status: buildkit::grpc::Status) -> Self {
        use buildkit::grpc::Code;
        let kind = match status.code() {
            Code::InvalidArgument => ErrorKind::InvalidParameter,
            Code::NotFound => ErrorKind::NotFound,
            Code::AlreadyExists => ErrorKind::Conflict,
            Code::Unimplemented => ErrorKind::NotImplemented,
            Code::ResourceExhausted | Code::Unavailable => ErrorKind::Unavailable,
            _ => ErrorKind::System,
        };
        Self::of(kind, status.to_string())
    }
}

fn status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::InvalidParameter => StatusCode::BAD_REQUEST,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::Unauthorized => StatusCode::UNAUTHORIZED,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Forbidden => StatusCode::FORBIDDEN,
        ErrorKind::NotModified => StatusCode::NOT_MODIFIED,
        ErrorKind::NotImplemented => StatusCode::NOT_IMPLEMENTED,
        ErrorKind::System => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
