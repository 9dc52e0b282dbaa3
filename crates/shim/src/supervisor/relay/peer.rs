//! Those who send datagrams to the container, each by a socket of its own, so that answers find back.

use std::collections::BTreeMap;
use std::net::{SocketAddr, SocketAddrV4};
use std::time::{Duration, Instant};

use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use super::super::poll::{Poll, Token, Watched};
use super::ARRIVALS;

/// How long somebody may be silent, and how often that is looked at.
const SILENCE: Duration = Duration::from_secs(90);
const SWEEP: Duration = Duration::from_secs(30);

/// The most at a time; the one who has been silent longest gives way.
const PEERS: usize = 1024;

#[derive(Debug)]
struct Peer {
    door: u32,
    address: SocketAddr,
    socket: Watched,
    moved: Instant,
}

/// All who have sent something lately.
#[derive(Debug, Default)]
pub(super) struct Peers {
    peers: BTreeMap<u32, Peer>,
    keys: BTreeMap<(u32, SocketAddr), u32>,
    sweep_at: Option<Instant>,
}

impl Peers {
    /// Brings one datagram from a door to the container; `key` is for a peer that is new.
    pub(super) fn bring(
        &mut self,
        door: u32,
        socket: &Watched,
        target: SocketAddrV4,
        poll: &Poll,
        key: u32,
        buffer: &mut [u8],
    ) -> rustix::io::Result<()> {
        let (length, _, address) = rustix::net::recvfrom(socket, &mut *buffer, RecvFlags::empty())?;
        let Some(address) = address.and_then(|address| SocketAddr::try_from(address).ok()) else { return Ok(()) };
        let known = self.keys.get(&(door, address)).and_then(|key| self.peers.get_mut(key));
        let peer = match known {
            Some(peer) => peer,
            None => self.introduce(door, address, target, poll, key)?,
        };
        peer.moved = Instant::now();
        // Like any datagram, it may be lost: nobody may listen, or nobody quickly enough.
        let _ = rustix::net::send(&peer.socket, &buffer[..length], SendFlags::NOSIGNAL);
        Ok(())
    }

    fn introduce(
        &mut self,
        door: u32,
        address: SocketAddr,
        target: SocketAddrV4,
        poll: &Poll,
        key: u32,
    ) -> rustix::io::Result<&mut Peer> {
        if self.peers.len() >= PEERS
            && let Some(silent) = self.peers.iter().min_by_key(|(_, peer)| peer.moved).map(|(key, _)| *key)
        {
            self.remove(silent);
        }
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::DGRAM, flags, None)?;
        rustix::net::connect(&socket, &target)?;
        let mut socket = poll.adopt(socket, Token::Peer(key));
        socket.wait_for(Some(EventFlags::IN))?;
        let now = Instant::now();
        self.sweep_at = self.sweep_at.or(Some(now + SWEEP));
        self.keys.insert((door, address), key);
        Ok(self.peers.entry(key).or_insert(Peer { door, address, socket, moved: now }))
    }

    /// Takes the container's answers back through the door.
    pub(super) fn answer<'d>(&mut self, key: u32, buffer: &mut [u8], door: impl Fn(u32) -> Option<&'d Watched>) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let Some(door) = door(peer.door) else { return };
        for _ in 0..ARRIVALS {
            match rustix::net::recv(&peer.socket, &mut *buffer, RecvFlags::empty()) {
                Ok((length, _)) => {
                    peer.moved = Instant::now();
                    let _ = rustix::net::sendto(door, &buffer[..length], SendFlags::NOSIGNAL, &peer.address);
                }
                // Nobody listens in the container, which is told once.
                Err(Errno::INTR | Errno::CONNREFUSED) => {}
                Err(_) => return,
            }
        }
    }

    fn remove(&mut self, key: u32) {
        if let Some(peer) = self.peers.remove(&key) {
            self.keys.remove(&(peer.door, peer.address));
        }
    }

    /// Takes leave of those who have been silent for long.
    pub(super) fn forget_silent(&mut self, now: Instant) {
        if self.sweep_at.is_none_or(|at| now < at) {
            return;
        }
        let silent = |peer: &Peer| now.saturating_duration_since(peer.moved) >= SILENCE;
        let gone: Vec<u32> = self.peers.iter().filter(|(_, peer)| silent(peer)).map(|(key, _)| *key).collect();
        gone.into_iter().for_each(|key| self.remove(key));
        self.sweep_at = (!self.peers.is_empty()).then_some(now + SWEEP);
    }

    /// When [`Peers::forget_silent`] is due.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.sweep_at
    }

    pub(super) fn clear(&mut self) {
        *self = Peers::default();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    pub(super) fn contains(&self, key: u32) -> bool {
        self.peers.contains_key(&key)
    }
}
