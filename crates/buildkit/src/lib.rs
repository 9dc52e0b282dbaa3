//! BuildKit's protocol, as far as `docker buildx` and `docker build` need it of a daemon. The building itself is
//! [`build`]'s, by way of [`engine::Engine::solve`].
//!
//! # A build's way
//!
//! The client opens a *session* (`POST /session`, upgraded to HTTP/2) on which *it* answers gRPC calls: for its files,
//! secrets, SSH agents. On another connection (`POST /grpc`) the daemon answers the control service: `Solve` starts a
//! build, `Status` tells how it goes, and over the bridge the client carries the build out: it asks to solve the
//! frontend `dockerfile.v0` with attributes, and returns the result to be exported. Clients without buildx send
//! `POST /build?version=2` instead, with the same attributes by other names ([`Buildkit::build`]).
//!
//! The protocol is that of `moby/buildkit` (`api/services/control`, `frontend/gateway`, `session`).

#![warn(missing_docs)]

mod attributes;
mod cache;
mod control;
mod describe;
mod directory;
mod export;
mod hijack;
mod job;
mod lend;
mod message;
mod place;
mod progress;
mod request;
mod send;
mod session;
mod solve;
mod source;
mod upload;

pub mod grpc;
pub mod receive;

pub use message::{Packet, PacketType, Stat};
pub use request::{Output, Request};
pub use session::Offer;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use engine::Engine;
use http::HeaderMap;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::grpc::Status;
use crate::job::Jobs;
use crate::session::Sessions;

/// The sessions and builds of a daemon.
#[derive(Debug)]
pub struct Buildkit {
    engine: Arc<Engine>,
    sessions: Arc<Sessions>,
    jobs: Arc<Jobs>,
}

impl Buildkit {
    /// BuildKit's protocol before this engine.
    pub fn new(engine: Arc<Engine>) -> Self {
        Self { engine, sessions: Arc::default(), jobs: Arc::default() }
    }

    /// The session that a request's headers offer.
    ///
    /// # Errors
    /// It has no id, or one that is taken.
    pub fn session(&self, headers: &HeaderMap) -> Result<Offer, Status> {
        self.sessions.read(headers)
    }

    /// Cancels a build by the id that its client gave it; none of this id is as well.
    pub fn cancel(&self, id: &str) {
        self.jobs.cancel(id);
    }

    /// Answers the calls of a client's connection until it ends.
    ///
    /// # Errors
    /// The client does not speak HTTP/2, or left in disorder.
    pub async fn serve(
        self: Arc<Self>,
        io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<(), hyper::Error> {
        grpc::serve(io, self).await
    }
}
