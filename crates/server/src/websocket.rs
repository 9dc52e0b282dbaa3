//! Attach by websocket: our own handshake, then messages to and from a plain stream.

use std::io;

use futures_util::{SinkExt, StreamExt};
use http::HeaderMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, Role};

use crate::error::Error;
use crate::transport::Wire;

/// Largest piece of output in one message.
const MESSAGE_BYTES: usize = 16 * 1024;

/// The head that accepts a client's handshake.
///
/// # Errors
/// The request is no websocket handshake (400).
pub(crate) fn accept(headers: &HeaderMap) -> Result<Vec<u8>, Error> {
    let asked = headers.get("upgrade").is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
    let key = headers.get("sec-websocket-key").filter(|_| asked);
    let key = key.ok_or_else(|| Error::invalid("not websocket protocol"))?;
    let mut head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n",
        derive_accept_key(key.as_bytes())
    );
    if let Some(protocol) = headers.get("sec-websocket-protocol").and_then(|value| value.to_str().ok()) {
        // Of those offered the first, as browsers refuse an answer without one.
        let first = protocol.split(',').next().unwrap_or_default().trim();
        head.push_str(&format!("Sec-WebSocket-Protocol: {first}\r\n"));
    }
    head.push_str("\r\n");
    Ok(head.into_bytes())
}

/// Carries messages to `stream` and its bytes back, until the container ends or the client leaves.
pub(crate) async fn relay(wire: Wire, early: Vec<u8>, stream: UnixStream, binary: bool) -> io::Result<()> {
    let socket = WebSocketStream::from_partially_read(wire, early, Role::Server, None).await;
    let (mut to_client, mut from_client) = socket.split();
    let (mut output, mut input) = stream.into_split();
    let incoming = async {
        while let Some(Ok(message)) = from_client.next().await {
            match message {
                Message::Text(_) | Message::Binary(_) => {
                    if input.write_all(&message.into_data()).await.is_err() {
                        break;
                    }
                }
                Message::Close(_) => break,
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
        // The container's output may still come; only its input has ended.
        input.shutdown().await
    };
    let outgoing = async {
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
            to_client.send(message).await.map_err(io::Error::other)?;
            buffer.copy_within(whole..filled, 0);
            kept = filled - whole;
        }
        let goodbye = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        to_client.send(Message::Close(Some(goodbye))).await.map_err(io::Error::other)
    };
    tokio::pin!(incoming, outgoing);
    tokio::select! {
        outcome = &mut outgoing => outcome,
        _ = &mut incoming => outgoing.await,
    }
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

    #[test]
    fn the_handshake_of_the_standard() {
        let mut headers = HeaderMap::new();
        assert!(accept(&headers).is_err());
        headers.insert("upgrade", "WebSocket".parse().unwrap());
        headers.insert("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==".parse().unwrap());
        let head = String::from_utf8(accept(&headers).unwrap()).unwrap();
        assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
    }

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(characters("aé".as_bytes()), 3);
        assert_eq!(characters(&"aé".as_bytes()[..2]), 1);
        assert_eq!(characters(b"\xff\xff"), 2);
    }
}
