//! A typed client of the Docker API over a Unix socket.
//!
//! One connection a request: the callers are the demo and the tests, for which clear failures matter more than the
//! hundredth of a millisecond that a kept connection saves. Bodies are the newest API's types (`api`), untouched.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

mod frames;

pub use frames::{Frames, Stream};

/// How long an answer's head may take. Calls that wait by design (`wait`, `stop`) use [`Client::patient`].
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The daemon's socket did not accept a connection.
    #[error("cannot reach the daemon at {}: {source}", socket.display())]
    Connect {
        /// The socket that was tried.
        socket: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The connection broke, or what came was no HTTP.
    #[error("the connection to the daemon failed: {0}")]
    Http(#[from] hyper::Error),
    /// The request could not be put into words (a bad path).
    #[error("cannot write the request: {0}")]
    Request(#[from] http::Error),
    /// Reading the hijacked stream failed.
    #[error("the stream from the daemon failed: {0}")]
    Stream(#[from] std::io::Error),
    /// The daemon refused; `message` is its own sentence.
    #[error("{message} (status {status})")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The daemon's message.
        message: String,
    },
    /// The body is not what this call documents.
    #[error("the daemon's answer to {path} is not understood: {source}")]
    Answer {
        /// The path that was asked.
        path: String,
        /// Where it differs.
        source: serde_json::Error,
    },
    /// No answer in time.
    #[error("the daemon did not answer {path} within {} s", .after.as_secs())]
    Silent {
        /// The path that was asked.
        path: String,
        /// How long we waited.
        after: Duration,
    },
}

/// A daemon, addressed by its socket, spoken to in one version of the API.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
    prefix: String,
    answer_within: Option<Duration>,
}

impl Client {
    /// A client of the daemon behind `socket`, in the newest version that the daemon has.
    pub fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned(), prefix: String::new(), answer_within: Some(ANSWER_WITHIN) }
    }

    /// The same client, speaking `version` (`1.14`).
    #[must_use]
    pub fn at(&self, version: &str) -> Self {
        Self { prefix: format!("/v{version}"), ..self.clone() }
    }

    /// The same client, which waits for an answer for as long as it takes.
    #[must_use]
    pub fn patient(&self) -> Self {
        Self { answer_within: None, ..self.clone() }
    }

    /// `GET path`, its JSON answer as `T`.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.json(Method::GET, path, Bytes::new(), "").await
    }

    /// `POST path` with a JSON body, its JSON answer as `T`.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Error> {
        let body = encode(path, body)?;
        self.json(Method::POST, path, body, "application/json").await
    }

    /// `POST path` without a body, where the answer has none either (start, stop, kill ...).
    pub async fn act(&self, path: &str) -> Result<(), Error> {
        self.call(Method::POST, path, Bytes::new(), "").await?.collect().await?;
        Ok(())
    }

    /// `DELETE path`.
    pub async fn delete(&self, path: &str) -> Result<(), Error> {
        self.call(Method::DELETE, path, Bytes::new(), "").await?.collect().await?;
        Ok(())
    }

    /// `POST path` with a tar as the body; the whole answer as text (a stream of JSON messages).
    pub async fn upload(&self, path: &str, tar: Bytes) -> Result<String, Error> {
        let body = self.call(Method::POST, path, tar, "application/x-tar").await?.collect().await?.to_bytes();
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// `GET path`, the bytes of its answer.
    pub async fn bytes(&self, path: &str) -> Result<Bytes, Error> {
        Ok(self.call(Method::GET, path, Bytes::new(), "").await?.collect().await?.to_bytes())
    }

    /// `POST path` with `Upgrade: tcp`: takes the connection over (attach, exec start) and reads the multiplexed frames.
    pub async fn hijack(&self, path: &str, body: &impl Serialize) -> Result<Frames, Error> {
        let request = self
            .request(Method::POST, path, "application/json")
            .header("Connection", "Upgrade")
            .header("Upgrade", "tcp")
            .body(Full::new(encode(path, body)?))?;
        let response = self.send(path, request).await?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(refusal(response).await);
        }
        Ok(Frames::new(hyper::upgrade::on(response).await?))
    }

    async fn json<T: DeserializeOwned>(&self, method: Method, path: &str, body: Bytes, kind: &str) -> Result<T, Error> {
        let body = self.call(method, path, body, kind).await?.collect().await?.to_bytes();
        serde_json::from_slice(&body).map_err(|source| Error::Answer { path: path.to_owned(), source })
    }

    async fn call(&self, method: Method, path: &str, body: Bytes, kind: &str) -> Result<Incoming, Error> {
        let request = self.request(method, path, kind).body(Full::new(body))?;
        let response = self.send(path, request).await?;
        if response.status().is_success() || response.status() == StatusCode::NOT_MODIFIED {
            Ok(response.into_body())
        } else {
            Err(refusal(response).await)
        }
    }

    fn request(&self, method: Method, path: &str, kind: &str) -> http::request::Builder {
        let builder =
            Request::builder().method(method).uri(format!("{}{path}", self.prefix)).header("Host", "longshore");
        if kind.is_empty() { builder } else { builder.header("Content-Type", kind) }
    }

    async fn send(&self, path: &str, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Error> {
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(|source| Error::Connect { socket: self.socket.clone(), source })?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // Ends by itself when the response (or the stream taken over from it) is dropped.
        tokio::spawn(connection.with_upgrades());
        let answer = sender.send_request(request);
        match self.answer_within {
            None => Ok(answer.await?),
            Some(after) => match tokio::time::timeout(after, answer).await {
                Ok(response) => Ok(response?),
                Err(_) => Err(Error::Silent { path: path.to_owned(), after }),
            },
        }
    }
}

fn encode(path: &str, body: &impl Serialize) -> Result<Bytes, Error> {
    match serde_json::to_vec(body) {
        Ok(bytes) => Ok(bytes.into()),
        Err(source) => Err(Error::Answer { path: path.to_owned(), source }),
    }
}

/// The error of a response that is not a success: the daemon's message, or the body as it is.
async fn refusal(response: Response<Incoming>) -> Error {
    let status = response.status().as_u16();
    let body = match response.into_body().collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return error.into(),
    };
    let message = serde_json::from_slice::<api::ErrorMessage>(&body)
        .map(|error| error.message)
        .unwrap_or_else(|_| String::from_utf8_lossy(&body).trim_end().to_owned());
    Error::Refused { status, message }
}
