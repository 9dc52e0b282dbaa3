//! The shim's end of the conversation with the daemon.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::epoll::EventFlags;

use super::poll::{Poll, Token, Watched};
use crate::channel::{Channel, Incoming};
use crate::error::{Error, Result};
use crate::protocol::{Command, Event};

/// Events kept for a daemon that does not read; one that falls further behind is disconnected.
const QUEUE_LIMIT: usize = 4096;

/// The connection to the daemon, and the events it has not taken yet.
#[derive(Debug)]
pub(super) struct Control {
    channel: Channel,
    /// A second descriptor of the connection, for the loop.
    readiness: Watched,
    queue: VecDeque<(Event, Option<OwnedFd>)>,
}

impl Control {
    pub(super) fn new(socket: OwnedFd, poll: &Poll) -> Result<Control> {
        let copy = rustix::io::fcntl_dupfd_cloexec(&socket, 3).map_err(Error::system("copy a descriptor"))?;
        let channel = Channel::new(socket);
        channel.set_nonblocking(true)?;
        let mut readiness = poll.adopt(copy, Token::Control);
        readiness.wait_for(Some(EventFlags::IN)).map_err(Error::system("watch the control connection"))?;
        Ok(Control { channel, readiness, queue: VecDeque::new() })
    }

    pub(super) fn receive(&self) -> Result<Incoming<Command>> {
        self.channel.receive()
    }

    /// Sends an event, now or as soon as the daemon reads.
    pub(super) fn send(&mut self, event: Event, descriptor: Option<OwnedFd>) -> Result<()> {
        if self.queue.len() >= QUEUE_LIMIT {
            return Err(Error::Closed);
        }
        self.queue.push_back((event, descriptor));
        self.flush()
    }

    /// Sends what waits.
    pub(super) fn flush(&mut self) -> Result<()> {
        let mut blocked = false;
        while let Some((event, descriptor)) = self.queue.front() {
            let descriptors: Vec<BorrowedFd<'_>> = descriptor.iter().map(AsFd::as_fd).collect();
            match self.channel.send(event, &descriptors) {
                Ok(()) => drop(self.queue.pop_front()),
                Err(Error::System { cause, .. }) if cause.kind() == std::io::ErrorKind::WouldBlock => {
                    blocked = true;
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        let events = if blocked { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
        self.readiness.wait_for(Some(events)).map_err(Error::system("watch the control connection"))
    }

    /// Whether the daemon has taken everything.
    pub(super) fn is_flushed(&self) -> bool {
        self.queue.is_empty()
    }

    /// The events the daemon has not taken.
    pub(super) fn into_unsent(self) -> impl Iterator<Item = Event> {
        self.queue.into_iter().map(|(event, _)| event)
    }
}
