//! The multiplexed stream of attach and exec: frames of an 8-byte head (stream, three zeros, length as big-endian
//! 32-bit number) and a payload (API 1.6 and later).

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::Error;

/// Which output a frame belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// A message of the daemon about the stream itself.
    System,
}

/// A hijacked connection: frames come out, standard input goes in.
#[derive(Debug)]
pub struct Frames {
    connection: TokioIo<Upgraded>,
}

impl Frames {
    pub(crate) fn new(upgraded: Upgraded) -> Self {
        Self { connection: TokioIo::new(upgraded) }
    }

    /// The next frame; `None` once the daemon has ended the stream.
    pub async fn next(&mut self) -> Result<Option<(Stream, Vec<u8>)>, Error> {
        let mut head = [0; 8];
        if self.connection.read(&mut head[..1]).await? == 0 {
            return Ok(None);
        }
        self.connection.read_exact(&mut head[1..]).await?;
        let stream = match head[0] {
            2 => Stream::Stderr,
            3 => Stream::System,
            _ => Stream::Stdout,
        };
        let length = u64::from(u32::from_be_bytes([head[4], head[5], head[6], head[7]]));
        let mut payload = Vec::new();
        let read = (&mut self.connection).take(length).read_to_end(&mut payload).await?;
        if (read as u64) < length {
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
        }
        Ok(Some((stream, payload)))
    }

    /// Everything until the end: (standard output, standard error).
    pub async fn collect(mut self) -> Result<(Vec<u8>, Vec<u8>), Error> {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        while let Some((stream, payload)) = self.next().await? {
            match stream {
                Stream::Stdout => stdout.extend(payload),
                Stream::Stderr | Stream::System => stderr.extend(payload),
            }
        }
        Ok((stdout, stderr))
    }

    /// Writes to the container's standard input.
    pub async fn write(&mut self, input: &[u8]) -> Result<(), Error> {
        Ok(self.connection.write_all(input).await?)
    }
}
