//! The daemon itself: ping, version, info, events, disk usage.

use std::sync::PoisonError;

use api::event::Event;
use api::system::AuthConfig;
use engine::Credentials;
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
        .with(BUILDER, HeaderValue::from_static("2"))
        .with(SWARM, HeaderValue::from_static("inactive"))
        .with(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store, must-revalidate"))
        .with(PRAGMA, HeaderValue::from_static("no-cache"))
}

pub(crate) async fn version(call: &mut Call) -> Result<Reply, Error> {
    Ok(Reply::json(call.server.engine.version().await?))
}

pub(crate) async fn info(call: &mut Call) -> Result<Reply, Error> {
    Ok(Reply::json(call.server.engine.info().await?))
}

/// `POST /auth`: whether credentials are good. They are kept only for versions that did so.
pub(crate) async fn auth(call: &mut Call) -> Result<Reply, Error> {
    let keep = match call.header(ladder::KEPT_CREDENTIALS_HEADER) {
        "show" => {
            let kept = kept(call).unwrap_or_default();
            return Ok(Reply::json(
                serde_json::json!({"username": kept.username, "password": "", "email": kept.email}),
            ));
        }
        word => word == "keep",
    };
    let mut config = call.json::<api::system::AuthConfig>().await?;
    if let Some(kept) = kept(call).filter(|kept| keep && config.password.is_empty() && kept.username == config.username)
    {
        config.password = kept.password;
    }
    let reply = call.server.engine.auth(config.clone()).await?;
    if keep {
        let AuthConfig { username, password, auth, email, serveraddress, .. } = config;
        let credentials = Credentials { username, password, auth, email, serveraddress, ..Credentials::default() };
        *call.server.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(credentials);
    }
    Ok(Reply::json(reply))
}

/// The credentials that are kept for versions that did so.
pub(crate) fn kept(call: &Call) -> Option<Credentials> {
    call.server.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
    let (marks, failed_starts) = (call.traits.event_marks, call.traits.failed_starts);
    let documents = documents.filter_map(move |event: Event| {
        let failed = event.actor.attributes.contains_key(ladder::FAILED_MARK);
        let shown = match (failed, is_marked(&event)) {
            (true, _) if !failed_starts => None,
            (false, true) if !marks => Some(document(&unmarked(&event))),
            (true, _) => Some(document(&unmarked(&event))),
            (false, _) => Some(document(&event)),
        };
        std::future::ready(shown)
    });
    Ok(Reply::messages(documents.boxed(), End::Line))
}

fn is_mark(attribute: &str) -> bool {
    attribute.starts_with(ladder::INTERNAL_PREFIX)
}

fn is_marked(event: &Event) -> bool {
    event.actor.attributes.keys().any(|key| is_mark(key))
}

/// An event without what is told only to the ladder.
fn unmarked(event: &Event) -> Event {
    let mut event = event.clone();
    event.actor.attributes.retain(|key, _| !is_mark(key));
    event
}

pub(crate) async fn disk_usage(call: &mut Call) -> Result<Reply, Error> {
    let types = call.query.all("type");
    if let Some(unknown) =
        types.iter().find(|kind| !["container", "image", "volume", "build-cache"].contains(&kind.as_str()))
    {
        return Err(Error::invalid(format!("unknown object type: {unknown}")));
    }
    Ok(Reply::json(call.server.engine.disk_usage(&types).await?))
}
