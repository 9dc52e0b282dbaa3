//! One end of a control connection: messages of any size over a packet socket.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;
use rustix::net::RecvFlags;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// The longest message, in bytes, that travels in a packet itself.
pub const INLINE_LIMIT: usize = 16 * 1024;

/// The longest message, in bytes, that is accepted from a memory file.
pub const MESSAGE_LIMIT: u64 = 16 * 1024 * 1024;

/// The packet that announces a message in a memory file.
const ELSEWHERE: &[u8] = b"@";

/// What [`Channel::receive`] found.
#[derive(Debug)]
pub enum Incoming<M> {
    /// A message and the descriptors that came with it.
    Message(M, Vec<OwnedFd>),
    /// Nothing yet (only on a non-blocking socket).
    Nothing,
    /// The other side closed its end, or died.
    Closed,
}

/// One end of a connection. Blocking or not is a property of the socket it was made from.
#[derive(Debug)]
pub struct Channel {
    socket: OwnedFd,
}

impl Channel {
    /// Wraps a connected `SOCK_SEQPACKET` socket.
    pub fn new(socket: OwnedFd) -> Channel {
        Channel { socket }
    }

    /// Makes the socket non-blocking, or blocking again.
    pub fn set_nonblocking(&self, nonblocking: bool) -> Result<()> {
        rustix::io::ioctl_fionbio(&self.socket, nonblocking).map_err(Error::system("set socket flags"))
    }

    /// Sends `message` with `descriptors`. On a non-blocking socket whose peer does not read, fails with the system
    /// error `EAGAIN`, and nothing was sent.
    pub fn send<M: Serialize>(&self, message: &M, descriptors: &[BorrowedFd<'_>]) -> Result<()> {
        let bytes = serde_json::to_vec(message).map_err(|error| Error::Malformed { detail: error.to_string() })?;
        if bytes.len() <= INLINE_LIMIT {
            return self.send_packet(&bytes, descriptors);
        }
        let file = memory_file(&bytes)?;
        let mut all = descriptors.to_vec();
        all.push(file.as_fd());
        self.send_packet(ELSEWHERE, &all)
    }

    fn send_packet(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<()> {
        match sys::socket::send(&self.socket, bytes, descriptors) {
            Err(Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN) => Err(Error::Closed),
            sent => sent.map_err(Error::system("send a message")),
        }
    }

    /// Length of the next packet, which stays where it is; on a blocking socket it waits for one.
    fn next_length(&self) -> rustix::io::Result<usize> {
        let flags = RecvFlags::PEEK | RecvFlags::TRUNC;
        let peek = || rustix::io::retry_on_intr(|| rustix::net::recv(&self.socket, &mut [0; 0][..], flags));
        let length = match peek() {
            // Said once, of a peer that closed before it had read all of ours; what it sent before is still to come.
            Err(Errno::CONNRESET) => peek(),
            other => other,
        };
        length.map(|(_, length)| length)
    }

    /// Receives one message.
    ///
    /// [`Error::Malformed`] concerns that message alone: the next call reads the next one.
    pub fn receive<M: DeserializeOwned>(&self) -> Result<Incoming<M>> {
        let mut buffer = Vec::new();
        let packet = self.next_length().and_then(|length| {
            buffer.resize(length.min(INLINE_LIMIT), 0);
            sys::socket::receive(&self.socket, &mut buffer, RecvFlags::empty())
        });
        let packet = match packet {
            Ok(packet) => packet,
            Err(Errno::AGAIN) => return Ok(Incoming::Nothing),
            Err(Errno::CONNRESET) => return Ok(Incoming::Closed),
            Err(errno) => return Err(Error::system("receive a message")(errno)),
        };
        if packet.length == 0 {
            return Ok(Incoming::Closed);
        }
        if packet.truncated {
            return Err(Error::Malformed { detail: "longer than its limit".to_owned() });
        }
        let mut descriptors = packet.descriptors;
        let message = if &buffer[..packet.length] == ELSEWHERE {
            drop(buffer);
            let file = descriptors.pop().ok_or_else(|| Error::Malformed { detail: "no memory file".to_owned() })?;
            parse(&read_memory_file(file)?)?
        } else {
            parse(&buffer[..packet.length])?
        };
        Ok(Incoming::Message(message, descriptors))
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Parses one message.
pub(crate) fn parse<M: DeserializeOwned>(bytes: &[u8]) -> Result<M> {
    serde_json::from_slice(bytes).map_err(|error| Error::Malformed { detail: error.to_string() })
}

/// A sealed memory file that holds `bytes`.
fn memory_file(bytes: &[u8]) -> Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = File::from(rustix::fs::memfd_create(c"message", flags).map_err(Error::system("make a memory file"))?);
    file.write_all_at(bytes, 0).map_err(Error::system("write a memory file"))?;
    let seals = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&file, seals).map_err(Error::system("seal a memory file"))?;
    Ok(file.into())
}

/// Reads a memory file, which must be sealed so that it cannot change or block meanwhile.
fn read_memory_file(file: OwnedFd) -> Result<Vec<u8>> {
    let malformed = |detail: &str| Error::Malformed { detail: detail.to_owned() };
    let seals = rustix::fs::fcntl_get_seals(&file).map_err(|_| malformed("not a memory file"))?;
    if !seals.contains(SealFlags::WRITE | SealFlags::SHRINK) {
        return Err(malformed("the memory file is not sealed"));
    }
    let file = File::from(file);
    let length = file.metadata().map_err(Error::system("inspect a memory file"))?.len();
    if length > MESSAGE_LIMIT {
        return Err(malformed("longer than its limit"));
    }
    let mut bytes = vec![0; length as usize];
    file.read_exact_at(&mut bytes, 0).map_err(Error::system("read a memory file"))?;
    Ok(bytes)
}

#[cfg(test)]
#[path = "channel_tests.rs"]
mod tests;
