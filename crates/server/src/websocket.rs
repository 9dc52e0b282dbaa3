//! Attach by websocket: our own handshake, then messages to and from a plain stream.

use std::io;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use http::HeaderMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, Role};

use crate::transport::Wire;

/// A close frame of the code 1000, for a client that has sent its own: nothing more can be said by way of the library then.
const GOODBYE: [u8; 4] = [0x88, 0x02, 0x03, 0xe8];
/// Largest piece of output in one message.
const MESSAGE_BYTES: usize = 16 * 1024;

/// How a client's handshake is answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Handshake {
    /// The head that accepts it.
    Accepted(Vec<u8>),
    /// The whole answer that refuses it: not in the form of the API's errors, but as Docker's websockets do.
    Refused(Vec<u8>),
}

/// Answers a client's handshake. `origin`: only a client that says from where its page came is accepted.
pub(crate) fn shake_hands(headers: &HeaderMap, origin: bool) -> Handshake {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let upgrades = text("connection").to_ascii_lowercase().contains("upgrade");
    if !text("upgrade").eq_ignore_ascii_case("websocket") || !upgrades {
        return refuse("400 Bad Request", "", "not websocket protocol");
    }
    let key = text("sec-websocket-key");
    if key.is_empty() {
        return refuse("400 Bad Request", "", "mismatch challenge/response");
    }
    let page = match text("sec-websocket-version") {
        "13" => text("origin"),
        "8" if origin => text("sec-websocket-origin"),
        _ => return refuse("400 Bad Request", "Sec-WebSocket-Version: 13\r\n", "missing or bad WebSocket Version"),
    };
    if origin && !(page.starts_with('/') || page.contains(':')) {
        return refuse("403 Forbidden", "", "");
    }
    Handshake::Accepted(accept(key, text("sec-websocket-protocol")))
}

fn refuse(status: &str, headers: &str, reason: &str) -> Handshake {
    Handshake::Refused(format!("HTTP/1.1 {status}\r\n{headers}\r\n{reason}").into_bytes())
}

fn accept(key: &str, protocols: &str) -> Vec<u8> {
    let mut head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n",
        derive_accept_key(key.as_bytes())
    );
    // Of those offered the first, as browsers refuse an answer without one.
    let first = protocols.split(',').next().unwrap_or_default().trim();
    if !first.is_empty() {
        head.push_str(&format!("Sec-WebSocket-Protocol: {first}\r\n"));
    }
    head.push_str("\r\n");
    head.into_bytes()
}

/// Carries messages to `stream` and its bytes back, until the container ends or the client leaves.
pub(crate) async fn relay(wire: Wire, early: Vec<u8>, stream: UnixStream, binary: bool) -> io::Result<()> {
    let socket = WebSocketStream::from_partially_read(wire, early, Role::Server, None).await;
    let (mut to_client, mut from_client) = socket.split();
    let (outcome, left) = {
        let (output, input) = stream.into_split();
        let incoming = receive(&mut from_client, input);
        let outgoing = send(&mut to_client, output, binary);
        tokio::pin!(incoming, outgoing);
        tokio::select! {
            outcome = &mut outgoing => (outcome, false),
            left = &mut incoming => (outgoing.await, left),
        }
    };
    match to_client.reunite(from_client) {
        Ok(mut socket) if left => socket.get_mut().write_all(&GOODBYE).await,
        _ => outcome,
    }
}

/// Passes what the client sends on to the container. True if it said goodbye.
async fn receive(client: &mut SplitStream<WebSocketStream<Wire>>, mut input: OwnedWriteHalf) -> bool {
    let mut left = false;
    while let Some(Ok(message)) = client.next().await {
        match message {
            Message::Text(_) | Message::Binary(_) => {
                if input.write_all(&message.into_data()).await.is_err() {
                    break;
                }
            }
            Message::Close(_) => {
                left = true;
                break;
            }
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
    }
    // The container's output may still come; only its input has ended.
    if let Err(error) = input.shutdown().await {
        tracing::debug!(%error, "the container's side of a websocket is closed already");
    }
    left
}

/// Passes the container's output on to the client, and says goodbye.
async fn send(
    client: &mut SplitSink<WebSocketStream<Wire>, Message>,
    mut output: OwnedReadHalf,
    binary: bool,
) -> io::Result<()> {
    let mut buffer = vec![0; MESSAGE_BYTES];
    let mut kept = 0;
    loop {
        let length = output.read(&mut buffer[kept..]).await?;
        if length == 0 {
            break;
        }
        let filled = kept + length;
        let whole = if binary { filled } else { characters(&buffer[..filled]) };
        let message = if binary {
            Message::binary(buffer[..whole].to_vec())
        } else {
            Message::text(String::from_utf8_lossy(&buffer[..whole]).into_owned())
        };
        client.send(message).await.map_err(io::Error::other)?;
        buffer.copy_within(whole..filled, 0);
        kept = filled - whole;
    }
    let goodbye = CloseFrame { code: CloseCode::Normal, reason: "".into() };
    client.send(Message::Close(Some(goodbye))).await.map_err(io::Error::other)
}

/// Length of the part of `bytes` that does not end within a character.
fn characters(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() && error.valid_up_to() > 0 => error.valid_up_to(),
        _ => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shaken(origin: bool, given: &[(&'static str, &str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.insert(*name, value.parse().unwrap());
        }
        match shake_hands(&headers, origin) {
            Handshake::Accepted(head) | Handshake::Refused(head) => String::from_utf8(head).unwrap(),
        }
    }

    #[test]
    fn the_handshake_of_the_standard() {
        const KEY: (&str, &str) = ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        const UPGRADE: [(&str, &str); 2] = [("upgrade", "WebSocket"), ("connection", "keep-alive, Upgrade")];
        let asked = |more: &[(&'static str, &'static str)]| [&UPGRADE[..], &[KEY], more].concat();
        let modern = asked(&[("sec-websocket-version", "13")]);
        assert!(shaken(false, &modern).contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        assert_eq!(shaken(false, &[]), "HTTP/1.1 400 Bad Request\r\n\r\nnot websocket protocol");
        assert!(shaken(false, &UPGRADE).ends_with("mismatch challenge/response"));
        assert!(shaken(false, &asked(&[])).contains("Sec-WebSocket-Version: 13\r\n"));
        // Older versions ask for the page.
        assert_eq!(shaken(true, &modern), "HTTP/1.1 403 Forbidden\r\n\r\n");
        let page = asked(&[("sec-websocket-version", "13"), ("origin", "http://docker")]);
        assert!(shaken(true, &page).starts_with("HTTP/1.1 101 "));
        let old = asked(&[("sec-websocket-version", "8"), ("sec-websocket-origin", "http://docker")]);
        assert!(shaken(true, &old).starts_with("HTTP/1.1 101 "));
        assert!(shaken(false, &old).starts_with("HTTP/1.1 400 "));
    }

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(characters("aé".as_bytes()), 3);
        assert_eq!(characters(&"aé".as_bytes()[..2]), 1);
        assert_eq!(characters(b"\xff\xff"), 2);
    }
}
