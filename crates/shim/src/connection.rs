//! The daemon's end of the conversation with one shim.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;

use crate::channel::{Channel, Incoming};
use crate::error::{Error, Result};
use crate::protocol::{Command, Event, PROTOCOL};

/// Number of the signal that nobody survives.
const KILL: i32 = 9;

/// The daemon's end of the conversation with one shim.
///
/// The socket is non-blocking: wait for it to be readable (its descriptor is [`AsFd`]), then call
/// [`Connection::receive`] until it gives [`Incoming::Nothing`].
#[derive(Debug)]
pub struct Connection {
    channel: Channel,
}

impl Connection {
    /// Connects to the shim that listens at `socket` and greets it; its [`Event::Hello`] follows once it has noticed
    /// the death of the daemon before.
    ///
    /// [`Error::NoShim`] if nobody listens there any more.
    pub fn open(socket: &Path) -> Result<Connection> {
        let stream = match sys::socket::connect(socket) {
            Err(errno @ (Errno::CONNREFUSED | Errno::NOENT)) => {
                return Err(Error::NoShim { path: socket.to_owned(), cause: errno.into() });
            }
            connected => connected.map_err(Error::system("connect to a shim"))?,
        };
        Connection::greet(stream)
    }

    /// Greets the shim at the other end of `socket`.
    pub(crate) fn greet(socket: OwnedFd) -> Result<Connection> {
        let channel = Channel::new(socket);
        channel.set_nonblocking(true)?;
        channel.send(&Command::Hello { protocol: PROTOCOL }, &[])?;
        Ok(Connection { channel })
    }

    /// Kills the shim's process, and its container with it; returns once it is gone or after `patience`. For a shim that
    /// was reached by [`Connection::open`] and does not answer.
    pub fn kill(&self, patience: Duration) -> Result<()> {
        let process = match sys::socket::peer_process(&self.channel) {
            Err(Errno::SRCH) => return Ok(()),
            found => found.map_err(Error::system("find a shim's process"))?,
        };
        match sys::process::send_signal(&process, KILL) {
            Err(Errno::SRCH) => return Ok(()),
            sent => sent.map_err(Error::system("kill a shim"))?,
        }
        let mut poll = [PollFd::new(&process, PollFlags::IN)];
        let limit = Timespec { tv_sec: patience.as_secs().cast_signed(), tv_nsec: patience.subsec_nanos().into() };
        rustix::event::poll(&mut poll, Some(&limit)).map_err(Error::system("wait for a shim's end"))?;
        Ok(())
    }

    /// Sends one command with its descriptors; they can be closed afterwards.
    ///
    /// [`Error::Closed`] if the shim is gone.
    pub fn send(&self, command: &Command, descriptors: &[BorrowedFd<'_>]) -> Result<()> {
        self.channel.send(command, descriptors)
    }

    /// Receives one event, if there is one.
    ///
    /// [`Error::Malformed`] means an event this daemon does not know: skip it and call again.
    pub fn receive(&self) -> Result<Incoming<Event>> {
        self.channel.receive()
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.channel.as_fd()
    }
}

impl AsRawFd for Connection {
    fn as_raw_fd(&self) -> RawFd {
        self.channel.as_fd().as_raw_fd()
    }
}
