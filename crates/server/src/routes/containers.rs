//! Containers: create, life, inspect, list, limits.

use api::container::{ContainerConfig, CreateRequest, UpdateRequest};
use api::host_config::HostConfig;
use engine::{CommitOptions, ListOptions, RemoveOptions, SignalCode, StopOptions, WaitCondition};
use http::StatusCode;
use http::header::{HeaderName, HeaderValue};

use crate::call::Call;
use crate::error::Error;
use crate::listing::Listing;
use crate::query::Query;
use crate::reply::Reply;

/// A start may have a body of so many bytes that says nothing (`{}`, `null`).
const EMPTY_START_BYTES: u64 = 7;

pub(crate) async fn list(call: &mut Call) -> Result<Reply, Error> {
    let query = &call.query;
    let options = ListOptions {
        all: query.flag("all"),
        limit: query.number("limit")?.unwrap_or_default(),
        size: query.flag("size"),
        image_names: call.headers.contains_key(ladder::IMAGE_NAMES_HEADER),
        without_networks: !call.traits.list_networks,
        signal_code: signal_code(call),
        filters: query.filters()?,
    };
    let lines = call.server.engine.list(&options).await?;
    Ok(Reply::containers(Listing { server: call.server.clone(), query: call.query.clone(), lines }))
}

/// How ends by signals are told at the client's version.
fn signal_code(call: &Call) -> SignalCode {
    match call.headers.contains_key(ladder::SIGNALS_APART_HEADER) {
        true => SignalCode::MinusOne,
        false => SignalCode::Shell,
    }
}

pub(crate) async fn inspect(call: &mut Call) -> Result<Reply, Error> {
    let size = call.query.flag("size");
    Ok(Reply::json(call.server.engine.inspect(call.name(), size, signal_code(call)).await?))
}

pub(crate) async fn create(call: &mut Call) -> Result<Reply, Error> {
    let body = call.document().await?;
    let body = body.ok_or_else(|| Error::invalid("invalid JSON: got EOF while reading request body"))?;
    let says_what = body.as_object().is_none_or(|members| {
        members.keys().any(|key| !["hostconfig", "networkingconfig"].contains(&key.to_ascii_lowercase().as_str()))
    });
    if body.is_null() || !says_what {
        return Err(Error::invalid("config cannot be empty in order to create a container"));
    }
    let request = CreateRequest::decode(&body).map_err(|error| Error::invalid(format!("invalid JSON: {error}")))?;
    let (name, platform) = (call.query.text("name"), call.query.text("platform"));
    let created = call.server.engine.create(name, platform, request).await?;
    Ok(Reply::json_with(StatusCode::CREATED, created))
}

pub(crate) async fn start(call: &mut Call) -> Result<Reply, Error> {
    let warnings = call.header(ladder::WARNINGS_HEADER);
    if !warnings.is_empty() {
        tracing::warn!(container = call.name(), "{warnings}");
    }
    let host_config = if call.headers.contains_key(ladder::HOST_CONFIG_HEADER) {
        // Set by the ladder only: a client below 1.24, whose body is the host configuration.
        match call.document().await? {
            Some(body) if !body.is_null() => Some(over_host_config(call, body).await?),
            _ => None,
        }
    } else {
        refuse_body(call)?;
        None
    };
    call.server.engine.start(call.name(), host_config).await?;
    Ok(Reply::nothing())
}

/// The container's host configuration with the keys of a start's body put over it.
async fn over_host_config(call: &Call, body: serde_json::Value) -> Result<HostConfig, Error> {
    let container = call.server.engine.inspect(call.name(), false, SignalCode::Shell).await?;
    let mut host_config = serde_json::json!(container.host_config);
    if let (Some(members), serde_json::Value::Object(mut body)) = (host_config.as_object_mut(), body) {
        if let (Some(own), Some(sent)) = (
            members.get("Annotations").and_then(serde_json::Value::as_object),
            body.get_mut("Annotations").and_then(serde_json::Value::as_object_mut),
        ) {
            // What create noted stays, unless the start notes it anew.
            own.iter().for_each(|(key, note)| {
                sent.entry(key).or_insert_with(|| note.clone());
            });
        }
        members.extend(body);
    }
    api::decode(&host_config).map_err(|error| Error::invalid(format!("invalid JSON: {error}")))
}

fn refuse_body(call: &Call) -> Result<(), Error> {
    let length = call.header("content-length").parse::<u64>().unwrap_or_default();
    if length > EMPTY_START_BYTES || call.headers.contains_key("transfer-encoding") {
        return Err(Error::invalid(
            "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24",
        ));
    }
    Ok(())
}

fn stop_options(query: &Query) -> Result<StopOptions, Error> {
    Ok(StopOptions { timeout_seconds: query.number("t")?, signal: query.given("signal").map(str::to_owned) })
}

pub(crate) async fn stop(call: &mut Call) -> Result<Reply, Error> {
    call.server.engine.stop(call.name(), stop_options(&call.query)?).await?;
    Ok(Reply::nothing())
}

pub(crate) async fn restart(call: &mut Call) -> Result<Reply, Error> {
    call.server.engine.restart(call.name(), stop_options(&call.query)?).await?;
    Ok(Reply::nothing())
}

pub(crate) async fn kill(call: &mut Call) -> Result<Reply, Error> {
    call.server.engine.kill(call.name(), call.query.text("signal")).await?;
    Ok(Reply::nothing())
}

pub(crate) async fn pause(call: &mut Call) -> Result<Reply, Error> {
    call.server.engine.pause(call.name()).await?;
    Ok(Reply::nothing())
}

pub(crate) async fn unpause(call: &mut Call) -> Result<Reply, Error> {
    call.server.engine.unpause(call.name()).await?;
    Ok(Reply::nothing())
}

/// Waits. The head goes out at once, so that a client knows that waiting has begun before it starts the container.
pub(crate) async fn wait(call: &mut Call) -> Result<Reply, Error> {
    let condition = WaitCondition::parse(call.query.text("condition"))?;
    let waiting = call.server.engine.wait(call.name(), condition).await?;
    let reply = Reply::later(waiting.telling(signal_code(call)).outcome());
    if call.traits.wait_headers_early {
        return Ok(reply);
    }
    // Older versions knew no exit code of a process that never ran.
    let container = call.server.engine.inspect(call.name(), false, SignalCode::Shell).await?;
    match container.state.started_at.starts_with("0001-") {
        true => Ok(reply.with(HeaderName::from_static(ladder::NEVER_STARTED_HEADER), HeaderValue::from_static("1"))),
        false => Ok(reply),
    }
}

pub(crate) async fn delete(call: &mut Call) -> Result<Reply, Error> {
    let query = &call.query;
    let options = RemoveOptions { force: query.flag("force"), volumes: query.flag("v"), link: query.flag("link") };
    call.server.engine.remove(call.name(), options).await?;
    Ok(Reply::nothing())
}

pub(crate) async fn top(call: &mut Call) -> Result<Reply, Error> {
    Ok(Reply::json(call.server.engine.top(call.name(), call.query.text("ps_args")).await?))
}

pub(crate) async fn changes(call: &mut Call) -> Result<Reply, Error> {
    let own = call.headers.contains_key(ladder::OWN_CHANGES_HEADER);
    let changes = call.server.engine.changes(call.name(), own).await?;
    // Docker prints null, not [], for a container that changed nothing.
    Ok(if changes.is_empty() { Reply::json(()) } else { Reply::json(changes) })
}

pub(crate) async fn rename(call: &mut Call) -> Result<Reply, Error> {
    call.server.engine.rename(call.name(), call.query.text("name")).await?;
    Ok(Reply::nothing())
}

pub(crate) async fn update(call: &mut Call) -> Result<Reply, Error> {
    let request: UpdateRequest = call.json().await?;
    Ok(Reply::json(call.server.engine.update(call.name(), request).await?))
}

/// Height and width of a terminal, as parameters `h` and `w`.
pub(super) fn terminal_size(query: &Query) -> Result<(u16, u16), Error> {
    let read = |name: &str, word: &str| {
        let text = query.text(name);
        text.parse::<u16>().map_err(|error| Error::invalid(format!("invalid resize {word} {text:?}: {error}")))
    };
    Ok((read("h", "height")?, read("w", "width")?))
}

pub(crate) async fn resize(call: &mut Call) -> Result<Reply, Error> {
    let (height, width) = terminal_size(&call.query)?;
    call.server.engine.resize(call.name(), height, width, call.traits.resize_ended).await?;
    Ok(Reply::empty(StatusCode::OK))
}

pub(crate) async fn prune(call: &mut Call) -> Result<Reply, Error> {
    Ok(Reply::json(call.server.engine.prune(&call.query.filters()?).await?))
}

pub(crate) async fn commit(call: &mut Call) -> Result<Reply, Error> {
    let config = match call.document().await? {
        Some(body) if !body.is_null() => {
            let config: ContainerConfig =
                api::decode(&body).map_err(|error| Error::invalid(format!("invalid JSON: {error}")))?;
            Some(config)
        }
        _ => None,
    };
    let query = &call.query;
    let options = CommitOptions {
        repository: query.text("repo").to_owned(),
        tag: query.text("tag").to_owned(),
        comment: query.text("comment").to_owned(),
        author: query.text("author").to_owned(),
        any_name: call.headers.contains_key(ladder::OLD_NAME_HEADER),
        pause: query.flag_or("pause", true),
        changes: query.all("changes"),
        config,
    };
    let id = call.server.engine.commit(query.text("container"), options).await?;
    Ok(Reply::json_with(StatusCode::CREATED, id))
}
