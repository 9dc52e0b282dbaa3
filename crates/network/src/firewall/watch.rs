//! Restoring the table when somebody else removed it or part of it, and the way through chains of others.

use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use netlink_packet_netfilter::nftables::{
    ChainAttribute, NfTablesMessage, RuleAttribute, SetAttribute, SetElementList, TableAttribute,
};
use netlink_packet_netfilter::{NetfilterMessage, NetfilterMessageInner};
use netlink_sys::protocols::NETLINK_NETFILTER;
use rustix::event::{PollFd, PollFlags, poll};

use super::{CHANGES_GROUP, Firewall, passage};
use crate::netlink::Socket;
use crate::{Error, Result};

/// A reload by another tool is a burst of changes; the table is restored when it is over.
const SETTLE: Duration = Duration::from_millis(100);
/// The kernel drops notifications when we are slow: then anything may have happened.
const OVERRUN: i32 = rustix::io::Errno::NOBUFS.raw_os_error();

/// A thread that listens to the changes of all tables and restores ours; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    /// Closing it ends the thread.
    end: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Starts to watch over a table.
    pub(crate) fn open(firewall: &Arc<Mutex<Firewall>>) -> Result<Self> {
        let (ours, table) = firewall.lock().unwrap_or_else(PoisonError::into_inner).identity();
        let mut socket = Socket::open(NETLINK_NETFILTER)?;
        socket.widen()?;
        socket.join(CHANGES_GROUP)?;
        let (ended, end) = io::pipe().map_err(|cause| Error::system("create a pipe", cause))?;
        let firewall = Arc::downgrade(firewall);
        let thread = std::thread::Builder::new()
            .name("firewall-watch".into())
            .spawn(move || Watcher { socket, ended, ours, table, firewall }.run())
            .map_err(|cause| Error::system("start a thread", cause))?;
        Ok(Self { end: Some(end), thread: Some(thread) })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported by the panic hook; there is nothing left to do about it.
            let _ = thread.join();
        }
    }
}

struct Watcher {
    socket: Socket,
    ended: PipeReader,
    ours: u32,
    table: String,
    firewall: Weak<Mutex<Firewall>>,
}

#[derive(Default)]
struct Wanting {
    table: bool,
    passage: bool,
}

/// What a wait ended with.
enum Event {
    Ended,
    Quiet,
    Changes,
}

impl Watcher {
    fn run(mut self) {
        // What is known or feared to be wanting.
        let mut wanting = Wanting::default();
        loop {
            match self.wait((wanting.table || wanting.passage).then_some(SETTLE)) {
                Event::Ended => return,
                Event::Changes => self.look(&mut wanting),
                Event::Quiet => {
                    let Some(firewall) = self.firewall.upgrade() else { return };
                    let mut firewall = firewall.lock().unwrap_or_else(PoisonError::into_inner);
                    // A failure (the other tool may hold on to it) is tried again after the next pause.
                    wanting.table = wanting.table && firewall.install().is_err();
                    wanting.passage = wanting.passage && firewall.pass().is_err();
                }
            }
        }
    }

    fn wait(&self, timeout: Option<Duration>) -> Event {
        let mut fds =
            [PollFd::new(&self.ended, PollFlags::IN), PollFd::from_borrowed_fd(self.socket.as_fd(), PollFlags::IN)];
        let timeout = timeout.and_then(|timeout| timeout.try_into().ok());
        loop {
            return match poll(&mut fds, timeout.as_ref()) {
                Err(rustix::io::Errno::INTR) => continue,
                Ok(0) => Event::Quiet,
                Err(_) => Event::Ended,
                Ok(_) if !fds[0].revents().is_empty() => Event::Ended,
                Ok(_) => Event::Changes,
            };
        }
    }

    fn look(&mut self, wanting: &mut Wanting) {
        let messages = match self.socket.notifications::<NetfilterMessage>() {
            Ok(messages) => messages,
            Err(error) => {
                let overrun = error.errno() == Some(OVERRUN);
                (wanting.table, wanting.passage) = (wanting.table || overrun, wanting.passage || overrun);
                return;
            }
        };
        for (_, message) in messages.into_iter().filter(|(sender, _)| *sender != self.ours) {
            let NetfilterMessageInner::NfTables(message) = message.inner else { continue };
            wanting.table |= self.is_loss(&message);
            wanting.passage |= passage::is_touched(&message);
        }
    }

    /// Whether the message tells that something of our table is gone.
    fn is_loss(&self, message: &NfTablesMessage) -> bool {
        let ours = |name: &String| *name == self.table;
        match message {
            NfTablesMessage::DeleteTable(m) => {
                m.attributes.iter().any(|a| matches!(a, TableAttribute::Name(n) if ours(n)))
            }
            NfTablesMessage::DeleteChain(m) => {
                m.attributes.iter().any(|a| matches!(a, ChainAttribute::Table(n) if ours(n)))
            }
            NfTablesMessage::DeleteRule(m) => {
                m.attributes.iter().any(|a| matches!(a, RuleAttribute::Table(n) if ours(n)))
            }
            NfTablesMessage::DeleteSet(m) => {
                m.attributes.iter().any(|a| matches!(a, SetAttribute::Table(n) if ours(n)))
            }
            NfTablesMessage::DeleteSetElement(m) => {
                m.attributes.iter().any(|a| matches!(a, SetElementList::Table(n) if ours(n)))
            }
            _ => false,
        }
    }
}
