//! BuildKit's protocol: both routes leave the connection to HTTP/2 without TLS of its own (`h2c`).

use http::StatusCode;
use http::header::UPGRADE;

use crate::call::Call;
use crate::error::Error;
use crate::handover::{Handover, Taker};
use crate::reply::Reply;

const HTTP2: &str = "h2c";
const HEAD: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";

/// `POST /session` (API 1.39, experimental in 1.31): the client answers calls on this connection while its builds run.
pub(crate) async fn session(call: &mut Call) -> Result<Reply, Error> {
    check_upgrade(call)?;
    let offer = call.server.buildkit.session(&call.headers)?;
    call.drain().await?;
    let taker = Taker::connection(async move |connection| {
        if let Err(error) = offer.carry(connection).await {
            tracing::debug!(%error, "a session ended");
        }
    });
    match call.hand_over(Handover { head: HEAD.into(), taker }).await {}
}

/// `POST /grpc` (API 1.39): the control service.
pub(crate) async fn grpc(call: &mut Call) -> Result<Reply, Error> {
    check_upgrade(call)?;
    call.drain().await?;
    let buildkit = call.server.buildkit.clone();
    let taker = Taker::connection(async move |connection| {
        if let Err(error) = buildkit.serve(connection).await {
            tracing::debug!(%error, "a client of the build control service left in disorder");
        }
    });
    match call.hand_over(Handover { head: HEAD.into(), taker }).await {}
}

/// `POST /build/cancel` (API 1.38).
pub(crate) fn cancel(call: &Call) -> Result<Reply, Error> {
    match call.query.text("id") {
        "" => Err(Error::invalid("build ID not provided")),
        id => {
            call.server.buildkit.cancel(id);
            Ok(Reply::empty(StatusCode::OK))
        }
    }
}

fn check_upgrade(call: &Call) -> Result<(), Error> {
    match call.header(UPGRADE.as_str()) {
        "" => Err(Error::invalid("no upgrade proto in request")),
        HTTP2 => Ok(()),
        other => Err(Error::invalid(format!("protocol {other} not supported"))),
    }
}
