//! The connection side of the daemon: listeners, TLS, HTTP/1.1, hijacked streams, websockets, CORS, and the routes of
//! the newest API. Older versions climb the ladder before their request meets a route, and their answer comes down it.
//!
//! # A request's way
//!
//! [`Listener`] accepts → one task a connection drives HTTP itself, so that a route can take the connection over (what
//! Docker calls hijacking) → the version is selected; below the newest the request climbs → a route parses, calls the
//! [`engine::Engine`] and serialises → errors become a status in one place.
//!
//! A client that goes away drops its route's future: that is the cancellation of waits, logs, events and uploads.

#![warn(missing_docs)]

mod activity;
mod body;
mod call;
mod connection;
mod cors;
mod error;
mod exchange;
mod handover;
mod listen;
mod listing;
mod lists;
mod memo;
mod message;
mod own_wakes;
mod path;
mod query;
mod reply;
mod routes;
mod tls;
mod transport;
mod websocket;

pub use activity::Activity;
pub use cors::Cors;
pub use listen::{Address, InvalidAddress, ListenError, Listener, Security, listen, serve};
pub use tls::{TlsError, TlsFiles, acceptor};

use std::sync::{Arc, Mutex};

use http::HeaderValue;
use ladder::Policy;

/// What the connections of one daemon share.
#[derive(Debug)]
pub struct Server {
    /// The domain.
    pub engine: Arc<engine::Engine>,
    /// BuildKit's protocol before it.
    pub(crate) buildkit: Arc<buildkit::Buildkit>,
    /// How a request's API version is chosen.
    pub policy: Policy,
    /// Headers for web pages of other origins, if allowed.
    pub cors: Option<Cors>,
    /// What has been asked.
    pub activity: Activity,
    /// What went down the ladder a moment ago.
    pub(crate) memo: memo::Memo,
    /// Lists of containers that were written a moment ago.
    pub(crate) lists: lists::Lists<engine::Line>,
    /// Those of the last login below API 1.2, in which the daemon kept them.
    pub(crate) kept: Mutex<Option<engine::Credentials>>,
    product: HeaderValue,
    newest: HeaderValue,
}

impl Server {
    /// A server before `engine` that calls itself `Docker/<release> (linux)`, as clients expect.
    ///
    /// # Errors
    /// The release's name cannot stand in a header.
    pub fn new(
        engine: Arc<engine::Engine>,
        release: &str,
        policy: Policy,
        cors: Option<Cors>,
    ) -> Result<Self, http::header::InvalidHeaderValue> {
        let product = HeaderValue::try_from(format!("Docker/{release} (linux)"))?;
        let newest = HeaderValue::try_from(ladder::NEWEST.to_string())?;
        let buildkit = Arc::new(buildkit::Buildkit::new(engine.clone()));
        Ok(Self {
            engine,
            buildkit,
            policy,
            cors,
            activity: Activity::default(),
            memo: memo::Memo::default(),
            lists: lists::Lists::default(),
            kept: Mutex::default(),
            product,
            newest,
        })
    }

    /// Forgets what is kept only to be quick.
    pub fn forget(&self) {
        self.memo.clear();
        self.lists.clear();
    }
}
