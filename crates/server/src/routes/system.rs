//! The daemon itself: ping, version, info, events, disk usage.

use futures_util::StreamExt;
use futures_util::stream;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, HeaderName, HeaderValue, PRAGMA};

use crate::call::Call;
use crate::error::Error;
use crate::message::{End, document};
use crate::reply::{Reply, TEXT};

const BUILDER: HeaderName = HeaderName::from_static("builder-version");
const SWARM: HeaderName = HeaderName::from_static("swarm");

/// `GET` and `HEAD /_ping`. Its headers are what clients negotiate by; they are the same at every version.
pub(crate) fn ping(_call: &Call, whole: bool) -> Reply {
    let reply = if whole {
        Reply::text("OK")
    } else {
        let mut reply = Reply::empty(StatusCode::OK).with(CONTENT_LENGTH, HeaderValue::from_static("0"));
        reply.content_type = Some(TEXT);
        reply
    };
    reply
        .with(BUILDER, HeaderValue::from_static("1"))
        .with(SWARM, HeaderValue::from_static("inactive"))
        .with(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store, must-revalidate"))
        .with(PRAGMA, HeaderValue::from_static("no-cache"))
}

pub(crate) async fn version(call: &mut Call) -> Result<Reply, Error> {
    Reply::json(&call.server.engine.version().await?)
}

pub(crate) async fn info(call: &mut Call) -> Result<Reply, Error> {
    Reply::json(&call.server.engine.info().await?)
}

pub(crate) async fn events(call: &mut Call) -> Result<Reply, Error> {
    let since = call.query.moment("since")?;
    let until = call.query.moment("until")?;
    if since.zip(until).is_some_and(|(since, until)| until < since) {
        return Err(Error::invalid("`since` time must be before `until` time"));
    }
    let options = engine::EventsOptions { since, until, filters: call.query.filters()? };
    let events = call.server.engine.events(options).await?;
    let documents = stream::unfold(events, async |mut events| events.next().await.map(|event| (event, events)));
    Ok(Reply::messages(documents.map(|event| document(&event)).boxed(), End::Line))
}

pub(crate) async fn disk_usage(call: &mut Call) -> Result<Reply, Error> {
    let types = call.query.all("type");
    if let Some(unknown) =
        types.iter().find(|kind| !["container", "image", "volume", "build-cache"].contains(&kind.as_str()))
    {
        return Err(Error::invalid(format!("unknown object type: {unknown}")));
    }
    Reply::json(&call.server.engine.disk_usage(&types).await?)
}
