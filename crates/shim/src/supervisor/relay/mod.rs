//! Carries what comes to published ports at addresses of IPv6 to the container, whose network is one of IPv4: no firewall
//! can translate between the two.
//!
//! A door is a socket of the host, a flow a connection that came through one, a peer whoever sends datagrams to one.
//! Nothing here may harm the container: what fails ends the flow that it concerns, and a lack of resources is waited out.

mod flow;
mod peer;

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::SocketFlags;
use rustix::process::{Resource, getrlimit};

use super::poll::{Poll, Token, Watched};
use crate::protocol;
use flow::Flow;
use peer::Peers;

/// How much is carried at once: the longest datagram fits.
const CHUNK_BYTES: usize = 64 * 1024;

/// How many arrivals are taken from a door before others have their turn.
const ARRIVALS: usize = 64;

/// How long nobody is let in after something was lacking (descriptors, memory).
const PAUSE: Duration = Duration::from_millis(100);

/// A published port.
#[derive(Debug)]
struct Door {
    socket: Watched,
    datagrams: bool,
    target: SocketAddrV4,
}

/// Everything that is carried to and from one container.
#[derive(Debug)]
pub(super) struct Relay {
    poll: Poll,
    doors: BTreeMap<u32, Door>,
    flows: BTreeMap<u32, Flow>,
    peers: Peers,
    next_key: u32,
    /// Whether the container runs.
    is_open: bool,
    /// Until when nobody is let in.
    paused_until: Option<Instant>,
    /// Where everything passes through; empty while nothing does.
    buffer: Vec<u8>,
    /// The most flows at a time: the container's other affairs need descriptors, too.
    limit: usize,
}

impl Relay {
    pub(super) fn new(poll: &Poll) -> Relay {
        let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        Relay {
            poll: poll.clone(),
            doors: BTreeMap::new(),
            flows: BTreeMap::new(),
            peers: Peers::default(),
            next_key: 0,
            is_open: false,
            paused_until: None,
            buffer: Vec::new(),
            // Two descriptors each.
            limit: usize::try_from(descriptors / 4).unwrap_or(usize::MAX),
        }
    }

    /// Takes doors over; nobody comes through before they are opened.
    pub(super) fn add(&mut self, doors: &[protocol::Door], sockets: Vec<OwnedFd>) -> Result<(), String> {
        if doors.len() != sockets.len() {
            return Err(format!("{} sockets for {} doors", sockets.len(), doors.len()));
        }
        for (door, socket) in doors.iter().zip(sockets) {
            let key = self.new_key();
            let socket = self.poll.adopt(socket, Token::Door(key));
            self.doors.insert(key, Door { socket, datagrams: door.datagrams, target: door.target });
        }
        Ok(())
    }

    /// The container runs.
    pub(super) fn open(&mut self) {
        self.is_open = true;
        self.watch_doors();
    }

    /// The container has ended, and everything with it.
    pub(super) fn close(&mut self) {
        self.is_open = false;
        self.flows.clear();
        self.peers.clear();
        self.doors.clear();
        self.buffer = Vec::new();
    }

    /// Does what can be done where something has moved.
    pub(super) fn ready(&mut self, token: Token) {
        self.buffer.resize(CHUNK_BYTES, 0);
        match token {
            Token::Door(key) => self.door_ready(key),
            Token::Flow(key, _) => self.flow_ready(key),
            Token::Peer(key) => {
                self.peers.answer(key, &mut self.buffer, |door| self.doors.get(&door).map(|door| &door.socket));
            }
            _ => {}
        }
        if self.flows.is_empty() && self.peers.is_empty() {
            // A quiet container keeps no large buffer.
            self.buffer = Vec::new();
        }
        self.watch_doors();
    }

    /// When something has to be done though nothing moves.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.paused_until.into_iter().chain(self.peers.next_deadline()).min()
    }

    /// Does what is due.
    pub(super) fn pass_deadlines(&mut self, now: Instant) {
        self.peers.forget_silent(now);
        if self.paused_until.is_some_and(|until| until <= now) {
            self.paused_until = None;
            self.watch_doors();
        }
    }

    /// Lets as many in as there is room for.
    fn watch_doors(&mut self) {
        let is_open = self.is_open && self.paused_until.is_none();
        let has_room = self.flows.len() < self.limit;
        for door in self.doors.values_mut() {
            let watched = is_open && (door.datagrams || has_room);
            if door.socket.wait_for(watched.then_some(EventFlags::IN)).is_err() {
                self.paused_until = Some(Instant::now() + PAUSE);
            }
        }
    }

    fn door_ready(&mut self, key: u32) {
        for _ in 0..ARRIVALS {
            let Some(door) = self.doors.get(&key) else { return };
            let (datagrams, target) = (door.datagrams, door.target);
            let new_key = self.new_key();
            let Some(door) = self.doors.get(&key).filter(|_| self.flows.len() < self.limit || datagrams) else {
                return;
            };
            let outcome = if datagrams {
                self.peers.bring(key, &door.socket, target, &self.poll, new_key, &mut self.buffer)
            } else {
                admit(&door.socket, target, &self.poll, new_key).map(|flow| {
                    self.flows.insert(new_key, flow);
                })
            };
            match outcome {
                Ok(()) | Err(Errno::INTR) => {}
                Err(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS | Errno::NOSPC) => {
                    self.paused_until = Some(Instant::now() + PAUSE);
                    return;
                }
                // Whoever came is gone again, or cannot be helped; the next event brings the next one.
                Err(_) => return,
            }
        }
    }

    fn flow_ready(&mut self, key: u32) {
        let Some(flow) = self.flows.get_mut(&key) else { return };
        if flow.carry(&mut self.buffer).is_err() || flow.is_over() {
            self.flows.remove(&key);
        }
    }

    fn new_key(&mut self) -> u32 {
        // Keys come back after four thousand million arrivals, skipping what has lasted that long.
        loop {
            let key = self.next_key;
            self.next_key = key.wrapping_add(1);
            if !self.doors.contains_key(&key) && !self.flows.contains_key(&key) && !self.peers.contains(key) {
                return key;
            }
        }
    }
}

/// Lets one connection in.
fn admit(door: &Watched, target: SocketAddrV4, poll: &Poll, key: u32) -> rustix::io::Result<Flow> {
    let outer = rustix::net::accept_with(door, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
    Flow::open(outer, target, poll, key)
}

#[cfg(test)]
mod tests;
