//! A container's streams: logs, attach, attach by websocket, statistics.

use engine::{AttachOptions, LogsOptions};
use ladder::Traits;

use crate::call::Call;
use crate::error::Error;
use crate::handover::{Framing, Handover, Taker};
use crate::message::{End, lines};
use crate::reply::{Reply, TEXT};
use crate::websocket::{self, Handshake};

/// The type of a stream without frames, and of every stream that is answered with 200.
pub(super) const RAW: &str = "application/vnd.docker.raw-stream";

pub(crate) async fn logs(call: &mut Call) -> Result<Reply, Error> {
    let query = &call.query;
    let (stdout, stderr) = (query.flag("stdout"), query.flag("stderr"));
    if !stdout && !stderr {
        return Err(Error::invalid("Bad parameters: you must choose at least one stream"));
    }
    let options = LogsOptions {
        stdout,
        stderr,
        follow: query.flag("follow"),
        timestamps: query.flag("timestamps"),
        old_times: call.traits.old_log_times,
        details: query.flag("details"),
        // Anything but a number means all, as it always has.
        tail: query.text("tail").parse().ok(),
        since: query.moment("since")?,
        until: query.moment("until")?,
        framed: call.traits.framed,
        whole_lines: call.traits.log_whole_lines,
    };
    let logs = call.server.engine.logs(call.name(), options).await?;
    if call.traits.logs_sniffed {
        let framed = call.traits.framed && !logs.tty;
        return Reply::sniffed(if framed { "application/octet-stream" } else { TEXT }, logs.bytes).await;
    }
    let content_type = if logs.tty || !call.traits.framed { RAW } else { call.traits.framed_type };
    // The head goes out at once: a log that is followed may stay silent for long.
    Ok(Reply::open(content_type, logs.bytes))
}

fn attach_options(call: &Call) -> AttachOptions {
    let query = &call.query;
    AttachOptions {
        stdin: query.flag("stdin"),
        stdout: query.flag("stdout"),
        stderr: query.flag("stderr"),
        logs: query.flag("logs"),
        stream: query.flag("stream"),
        detach_keys: query.given("detachKeys").map(str::to_owned),
        framed: call.traits.framed,
        whole_lines: call.traits.log_whole_lines,
        paused: call.traits.attach_paused,
    }
}

pub(crate) async fn attach(call: &mut Call) -> Result<Reply, Error> {
    call.drain().await?;
    let attachment = call.server.engine.attach(call.name(), attach_options(call)).await?;
    let upgrade = call.traits.upgrade && call.headers.contains_key("upgrade");
    let head = stream_head(&call.traits, upgrade, attachment.tty(), &[]);
    let taker = Taker::socket(Framing::Raw, move |client| attachment.run(client));
    match call.hand_over(Handover { head, taker }).await {}
}

pub(crate) async fn attach_websocket(call: &mut Call) -> Result<Reply, Error> {
    let mut options = attach_options(call);
    // Messages have no frames inside: both streams arrive merged.
    options.framed = false;
    if !call.traits.ws_streams {
        (options.stdin, options.stdout, options.stderr) = (true, true, true);
    }
    let attachment = call.server.engine.attach(call.name(), options).await?;
    let (head, framing) = match websocket::shake_hands(&call.headers, call.traits.ws_origin) {
        Handshake::Accepted(head) => (head, Framing::WebSocket { binary: call.traits.ws_binary }),
        Handshake::Refused(head) => {
            // The connection ends with that: nobody takes the stream.
            let taker = Taker::connection(|_| std::future::ready(()));
            match call.hand_over(Handover { head, taker }).await {}
        }
    };
    let taker = Taker::socket(framing, move |client| attachment.run(client));
    match call.hand_over(Handover { head, taker }).await {}
}

pub(crate) async fn stats(call: &mut Call) -> Result<Reply, Error> {
    let stream = call.query.flag_or("stream", true);
    let one_shot = call.query.flag("one-shot");
    if stream && one_shot {
        return Err(Error::invalid("cannot have stream=true and one-shot=true"));
    }
    let samples = call.server.engine.stats(call.name(), stream, one_shot).await?;
    Ok(Reply::messages(lines(samples), End::Line))
}

/// The head of a stream that takes the connection over, byte for byte as Docker writes it.
pub(super) fn stream_head(traits: &Traits, upgrade: bool, tty: bool, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut head = if upgrade {
        let content_type = if tty || !traits.framed { RAW } else { traits.framed_type };
        format!("HTTP/1.1 101 UPGRADED\r\nContent-Type: {content_type}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n")
    } else {
        format!("HTTP/1.1 200 OK\r\nContent-Type: {RAW}\r\n")
    };
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    head.into_bytes()
}
