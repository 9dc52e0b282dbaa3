//! The event loop's view of descriptors: one epoll set, and descriptors that know what they wait for.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;

use crate::log::Stream;

/// What became ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    /// A daemon wants to connect.
    Listener,
    /// The daemon's connection.
    Control,
    /// A process ended.
    Pidfd(u32),
    /// A process takes input.
    Stdin(u32),
    /// A process has written output.
    Output(u32, Stream),
    /// A client has sent something, takes output, or is gone.
    Client(u32),
    /// Somebody comes to a published port.
    Door(u32),
    /// One of the two ends of a carried connection has moved.
    Flow(u32, End),
    /// The container answers a datagram.
    Peer(u32),
}

/// An end of a carried connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// That of whoever came to the host's port.
    Outer,
    /// That of the container.
    Inner,
}

impl Token {
    fn encode(self) -> u64 {
        let (kind, id) = match self {
            Token::Listener => (0, 0),
            Token::Control => (1, 0),
            Token::Pidfd(id) => (2, id),
            Token::Stdin(id) => (3, id),
            Token::Output(id, Stream::Stdout) => (4, id),
            Token::Output(id, Stream::Stderr) => (5, id),
            Token::Client(id) => (6, id),
            Token::Door(id) => (7, id),
            Token::Flow(id, End::Outer) => (8, id),
            Token::Flow(id, End::Inner) => (9, id),
            Token::Peer(id) => (10, id),
        };
        (kind << 32) | u64::from(id)
    }

    fn decode(number: u64) -> Option<Token> {
        let id = number as u32;
        Some(match number >> 32 {
            0 => Token::Listener,
            1 => Token::Control,
            2 => Token::Pidfd(id),
            3 => Token::Stdin(id),
            4 => Token::Output(id, Stream::Stdout),
            5 => Token::Output(id, Stream::Stderr),
            6 => Token::Client(id),
            7 => Token::Door(id),
            8 => Token::Flow(id, End::Outer),
            9 => Token::Flow(id, End::Inner),
            10 => Token::Peer(id),
            _ => return None,
        })
    }
}

/// The set of descriptors the loop waits for.
#[derive(Debug, Clone)]
pub(super) struct Poll {
    epoll: Rc<OwnedFd>,
}

impl Poll {
    pub(super) fn new() -> rustix::io::Result<Poll> {
        Ok(Poll { epoll: Rc::new(epoll::create(CreateFlags::CLOEXEC)?) })
    }

    /// Takes a descriptor into the loop's care; it waits for nothing yet.
    pub(super) fn adopt(&self, descriptor: OwnedFd, token: Token) -> Watched {
        Watched { descriptor, token, waits_for: None, poll: self.clone() }
    }

    /// Waits until something is ready, at most for `limit`, and lists it.
    pub(super) fn wait(&self, limit: Option<Duration>) -> rustix::io::Result<Vec<(Token, EventFlags)>> {
        let mut space = [std::mem::MaybeUninit::<epoll::Event>::uninit(); 32];
        let timeout = limit.map(|limit| Timespec {
            tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: limit.subsec_nanos().into(),
        });
        let (ready, _) = match epoll::wait(&*self.epoll, &mut space, timeout.as_ref()) {
            Err(Errno::INTR) => return Ok(Vec::new()),
            waited => waited?,
        };
        Ok(ready.iter().filter_map(|event| Some((Token::decode(event.data.u64())?, event.flags))).collect())
    }
}

/// A descriptor in the loop's care.
#[derive(Debug)]
pub(super) struct Watched {
    descriptor: OwnedFd,
    token: Token,
    waits_for: Option<EventFlags>,
    poll: Poll,
}

impl Watched {
    /// Waits for `events` (and, always with them, for errors and hang-up); `None` waits for nothing at all.
    pub(super) fn wait_for(&mut self, events: Option<EventFlags>) -> rustix::io::Result<()> {
        let (epoll, data) = (&*self.poll.epoll, EventData::new_u64(self.token.encode()));
        match (self.waits_for, events) {
            (None, None) => {}
            (Some(old), Some(new)) if old == new => {}
            (None, Some(new)) => epoll::add(epoll, &self.descriptor, data, new)?,
            (Some(_), Some(new)) => epoll::modify(epoll, &self.descriptor, data, new)?,
            (Some(_), None) => epoll::delete(epoll, &self.descriptor)?,
        }
        self.waits_for = events;
        Ok(())
    }
}

impl AsFd for Watched {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // Closing alone is not enough: another process may hold the same open file (a client's connection came from
        // the daemon). Failing to delete what was added by us is impossible.
        let _ = self.wait_for(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_survive_the_kernel() {
        let all = [
            Token::Listener,
            Token::Control,
            Token::Pidfd(u32::MAX),
            Token::Stdin(0),
            Token::Output(7, Stream::Stdout),
            Token::Output(7, Stream::Stderr),
            Token::Client(3),
            Token::Door(4),
            Token::Flow(5, End::Outer),
            Token::Flow(6, End::Inner),
            Token::Peer(8),
        ];
        for token in all {
            assert_eq!(Token::decode(token.encode()), Some(token));
        }
        assert_eq!(Token::decode(u64::MAX), None);
    }

    #[test]
    fn a_dropped_descriptor_is_silent_although_a_copy_is_open() {
        let poll = Poll::new().unwrap();
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let copy = rustix::io::fcntl_dupfd_cloexec(&reader, 3).unwrap();
        let mut watched = poll.adopt(reader, Token::Control);
        watched.wait_for(Some(EventFlags::IN)).unwrap();
        rustix::io::write(&writer, b"x").unwrap();
        assert_eq!(poll.wait(None).unwrap().len(), 1);
        drop(watched);
        assert!(poll.wait(Some(Duration::ZERO)).unwrap().is_empty());
        drop(copy);
    }
}
