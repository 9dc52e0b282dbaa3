//! Messages in the bytes of a body.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::HeaderMap;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use prost::Message;

use super::status::{Code, Status};

/// Bytes before each message: whether it is compressed, and its length.
const HEAD_BYTES: usize = 5;

/// Splits bytes into messages.
#[derive(Debug)]
pub struct Decoder {
    buffer: BytesMut,
    limit_bytes: usize,
}

impl Decoder {
    /// A decoder that refuses messages of more than `limit_bytes`.
    pub fn new(limit_bytes: usize) -> Self {
        Self { buffer: BytesMut::new(), limit_bytes }
    }

    /// Takes what came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next message, as soon as it is whole.
    ///
    /// # Errors
    /// It is compressed, or larger than the limit.
    pub fn next_message(&mut self) -> Result<Option<Bytes>, Status> {
        let Some((head, _)) = self.buffer.split_at_checked(HEAD_BYTES) else { return Ok(None) };
        if head[0] != 0 {
            return Err(Status::new(Code::Unimplemented, "compressed messages are not understood"));
        }
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        if length > self.limit_bytes {
            let limit = self.limit_bytes;
            return Err(Status::new(
                Code::ResourceExhausted,
                format!("a message of {length} bytes is too large: {limit} bytes are taken"),
            ));
        }
        if self.buffer.len() < HEAD_BYTES + length {
            return Ok(None);
        }
        self.buffer.advance(HEAD_BYTES);
        Ok(Some(self.buffer.split_to(length).freeze()))
    }

    /// Whether nothing of a message has come.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }
}

/// A message with its head.
pub(super) fn frame(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut buffer = BytesMut::with_capacity(HEAD_BYTES + length);
    buffer.put_u8(0);
    // A message of ours is far below 4 GiB.
    buffer.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    buffer.extend_from_slice(&message.encode_to_vec());
    buffer.freeze()
}

/// The messages of a body.
#[derive(Debug)]
pub(crate) struct Messages {
    body: Incoming,
    decoder: Decoder,
    trailers: Option<HeaderMap>,
}

impl Messages {
    pub(super) fn new(body: Incoming) -> Self {
        Self { body, decoder: Decoder::new(super::MESSAGE_BYTES), trailers: None }
    }

    /// The next message; `None` at the end.
    ///
    /// # Errors
    /// The connection broke, or what came is no message.
    pub(crate) async fn next<M: Message + Default>(&mut self) -> Result<Option<M>, Status> {
        loop {
            if let Some(message) = self.decoder.next_message()? {
                return decode(message).map(Some);
            }
            match self.body.frame().await {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.decoder.push(&data),
                    Err(other) => self.trailers = other.into_trailers().ok(),
                },
                Some(Err(error)) => return Err(Status::new(Code::Unavailable, "the connection broke").caused_by(error)),
                None if self.decoder.is_empty() => return Ok(None),
                None => return Err(Status::new(Code::Internal, "a message broke off")),
            }
        }
    }

    /// What stood behind the last message, once there was an end.
    pub(super) fn trailers(&self) -> Option<&HeaderMap> {
        self.trailers.as_ref()
    }
}

fn decode<M: Message + Default>(message: Bytes) -> Result<M, Status> {
    M::decode(message).map_err(|error| Status::new(Code::InvalidArgument, "a message is malformed").caused_by(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::BytesMessage;
    use proptest::prelude::*;

    #[test]
    fn limits() {
        let mut decoder = Decoder::new(4);
        decoder.push(&[0, 0, 0, 0, 5]);
        assert_eq!(decoder.next_message().unwrap_err().code(), Code::ResourceExhausted);
        let mut decoder = Decoder::new(4);
        decoder.push(&[1, 0, 0, 0, 0]);
        assert_eq!(decoder.next_message().unwrap_err().code(), Code::Unimplemented);
    }

    proptest! {
        #[test]
        fn messages_come_out_as_they_went_in(messages: Vec<Vec<u8>>, cut in 1_usize..40) {
            let sent: Vec<BytesMessage> = messages.into_iter().map(|data| BytesMessage { data: data.into() }).collect();
            let wire: Vec<u8> = sent.iter().flat_map(frame).collect();
            let mut decoder = Decoder::new(super::super::MESSAGE_BYTES);
            let mut received = Vec::new();
            for piece in wire.chunks(cut) {
                decoder.push(piece);
                while let Some(message) = decoder.next_message().unwrap() {
                    received.push(BytesMessage::decode(message).unwrap());
                }
            }
            prop_assert!(decoder.is_empty());
            prop_assert_eq!(received, sent);
        }

        #[test]
        fn any_bytes_come_to_an_end(bytes: Vec<u8>) {
            let mut decoder = Decoder::new(64);
            decoder.push(&bytes);
            while let Ok(Some(message)) = decoder.next_message() {
                prop_assert!(message.len() <= 64);
            }
        }
    }
}
