//! Further commands in running containers.

use api::exec::{ExecCreateRequest, ExecStartRequest};
use engine::ExecStartOptions;
use http::StatusCode;

use super::containers::terminal_size;
use super::streams::stream_head;
use crate::call::Call;
use crate::error::Error;
use crate::handover::{Framing, Handover, Taker};
use crate::reply::Reply;

pub(crate) async fn create(call: &mut Call) -> Result<Reply, Error> {
    let request: ExecCreateRequest = call.json().await?;
    if request.cmd.as_ref().is_none_or(Vec::is_empty) {
        return Err(Error::invalid("No exec command specified"));
    }
    let id = call.server.engine.exec_create(call.name(), request).await?;
    Ok(Reply::json_with(StatusCode::CREATED, id))
}

pub(crate) async fn start(call: &mut Call) -> Result<Reply, Error> {
    let request: ExecStartRequest = call.json().await?;
    if request.detach {
        call.server.engine.exec_start_detached(call.name()).await?;
        return Ok(Reply::empty(StatusCode::OK));
    }
    let console_size = request.console_size.map(|[height, width]| [clamp(height), clamp(width)]);
    // What the start says counts, not what the exec was made with (Docker's own rule, which docker-py leans on).
    let options = ExecStartOptions { console_size, framed: call.traits.framed && !request.tty };
    let session = call.server.engine.exec_start(call.name(), options).await?;
    let upgrade = call.traits.upgrade && call.headers.contains_key("upgrade");
    let version = ladder::NEWEST.to_string();
    let server = call.server.product.to_str().unwrap_or_default().to_owned();
    let mut headers = Vec::new();
    if call.traits.engine_headers {
        headers.extend([("Api-Version", &*version), ("Docker-Experimental", "false"), ("Ostype", "linux")]);
    }
    if call.traits.server_header {
        headers.push(("Server", &*server));
    }
    let head = stream_head(&call.traits, upgrade, request.tty, &headers);
    let taker = Taker::socket(Framing::Raw, move |client| session.run(client));
    match call.hand_over(Handover { head, taker }).await {}
}

fn clamp(characters: u32) -> u16 {
    u16::try_from(characters).unwrap_or(u16::MAX)
}

pub(crate) async fn resize(call: &mut Call) -> Result<Reply, Error> {
    let (height, width) = terminal_size(&call.query)?;
    call.server.engine.exec_resize(call.name(), height, width).await?;
    Ok(Reply::empty(StatusCode::OK))
}

pub(crate) async fn inspect(call: &mut Call) -> Result<Reply, Error> {
    Ok(Reply::json(call.server.engine.exec_inspect(call.name()).await?))
}
