//! A connection that is carried to the container.

use std::net::SocketAddrV4;
use std::os::fd::OwnedFd;

use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType, sockopt};

use super::super::poll::{End, Poll, Token, Watched};

/// How many chunks go one way before others have their turn.
pub(super) const ROUNDS: usize = 8;

/// Two connections that are one to those at their ends.
#[derive(Debug)]
pub(super) struct Flow {
    outer: Watched,
    inner: Watched,
    inward: Way,
    outward: Way,
    connecting: bool,
}

/// One direction.
#[derive(Debug, Default)]
struct Way {
    /// What was read and not taken yet; nothing is read meanwhile.
    pending: Vec<u8>,
    /// The one end has said its last, and the other was told so.
    ended: bool,
}

impl Flow {
    /// Begins to connect to the container for somebody who has come.
    pub(super) fn open(outer: OwnedFd, target: SocketAddrV4, poll: &Poll, key: u32) -> rustix::io::Result<Flow> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let inner = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
        sockopt::set_tcp_nodelay(&inner, true)?;
        sockopt::set_tcp_nodelay(&outer, true)?;
        // Else somebody whose machine is gone would stay for ever.
        sockopt::set_socket_keepalive(&outer, true)?;
        match rustix::net::connect(&inner, &target) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(errno) => return Err(errno),
        }
        let (outer, inner) =
            (poll.adopt(outer, Token::Flow(key, End::Outer)), poll.adopt(inner, Token::Flow(key, End::Inner)));
        let mut flow = Flow { outer, inner, inward: Way::default(), outward: Way::default(), connecting: true };
        flow.watch()?;
        Ok(flow)
    }

    /// Carries what can be carried, by way of `buffer`. An error is the end of the connection.
    pub(super) fn carry(&mut self, buffer: &mut [u8]) -> rustix::io::Result<()> {
        if self.connecting {
            sockopt::socket_error(&self.inner)??;
            self.connecting = false;
        }
        self.inward.carry(&self.outer, &self.inner, buffer)?;
        self.outward.carry(&self.inner, &self.outer, buffer)?;
        self.watch()
    }

    /// Whether both ends have said their last.
    pub(super) fn is_over(&self) -> bool {
        self.inward.ended && self.outward.ended
    }

    /// Waits for nothing at an end that can do nothing: one that has hung up would wake us again and again.
    fn watch(&mut self) -> rustix::io::Result<()> {
        let events = |from: &Way, to: &Way| {
            let mut events = EventFlags::empty();
            events.set(EventFlags::IN, !from.ended && from.pending.is_empty());
            events.set(EventFlags::OUT, !to.pending.is_empty());
            (!events.is_empty()).then_some(events)
        };
        if self.connecting {
            self.outer.wait_for(None)?;
            return self.inner.wait_for(Some(EventFlags::OUT));
        }
        self.outer.wait_for(events(&self.inward, &self.outward))?;
        self.inner.wait_for(events(&self.outward, &self.inward))
    }
}

impl Way {
    fn carry(&mut self, from: &Watched, to: &Watched, buffer: &mut [u8]) -> rustix::io::Result<()> {
        for _ in 0..ROUNDS {
            if !self.pending.is_empty() {
                let taken = send(to, &self.pending)?;
                self.pending.drain(..taken);
                if !self.pending.is_empty() {
                    return Ok(());
                }
                self.pending = Vec::new();
            }
            if self.ended {
                return Ok(());
            }
            match rustix::net::recv(from, &mut *buffer, RecvFlags::empty()) {
                // Told at once: nothing would ever wake us for it again.
                Ok((0, _)) => {
                    self.ended = true;
                    return rustix::net::shutdown(to, Shutdown::Write);
                }
                Ok((length, _)) => {
                    let taken = send(to, &buffer[..length])?;
                    self.pending.extend_from_slice(&buffer[taken..length]);
                }
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }
}

/// How much of it is taken now.
fn send(to: &Watched, bytes: &[u8]) -> rustix::io::Result<usize> {
    match rustix::net::send(to, bytes, SendFlags::NOSIGNAL) {
        Err(Errno::AGAIN | Errno::INTR) => Ok(0),
        sent => sent,
    }
}
