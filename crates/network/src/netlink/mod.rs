//! A blocking netlink socket: several requests in one send, typed errors, dumps.

pub(crate) mod rtnl;

use std::borrow::Cow;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NetlinkDeserializable, NetlinkHeader,
    NetlinkMessage, NetlinkPayload, NetlinkSerializable, NlasIterator,
};
use rustix::buffer::spare_capacity;
use rustix::net::{RecvFlags, SendFlags, sockopt};

use crate::{Error, Result};

/// Length of `struct nlmsghdr`.
const HEADER_LEN: usize = 16;
/// An answer is never longer than what the kernel packs into one dump datagram (32 KiB).
const RECEIVE_BYTES: usize = 64 * 1024;
/// Room for a batch of ten thousand published ports.
const SEND_BYTES: usize = 4 * 1024 * 1024;
/// The kernel answers at once; this only keeps a fault from becoming a hang.
const DEADLINE: Duration = Duration::from_secs(30);
/// A dump that was disturbed by a change is asked for again, this many times.
const DUMP_ATTEMPTS: usize = 5;
/// `NLM_F_DUMP_INTR`: the dump is inconsistent, for something changed while it ran.
const DUMP_INTERRUPTED: u16 = 0x10;
/// `NLM_F_ACK_TLVS`: an acknowledgement carries attributes.
const ACK_ATTRIBUTES: u16 = 0x200;
/// `NLMSGERR_ATTR_MSG`: the attribute with the kernel's words.
const ACK_MESSAGE: u16 = 1;

/// Requests that are sent together and answered one by one.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    asked: Vec<Cow<'static, str>>,
}

impl Batch {
    /// Adds a request. `flags` come on top of `NLM_F_REQUEST`; `asked` follows "cannot" in an error.
    pub(crate) fn push<M: NetlinkSerializable>(&mut self, message: M, flags: u16, asked: impl Into<Cow<'static, str>>) {
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = self.asked.len() as u32;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
        message.finalize();
        let start = self.bytes.len();
        self.bytes.resize(start + message.buffer_len().next_multiple_of(4), 0);
        message.serialize(&mut self.bytes[start..]);
        self.asked.push(asked.into());
    }

    /// Adds a request that the kernel acknowledges.
    pub(crate) fn ask<M: NetlinkSerializable>(&mut self, message: M, flags: u16, asked: impl Into<Cow<'static, str>>) {
        self.push(message, flags | NLM_F_ACK, asked);
    }

    fn asked(&self, index: usize) -> String {
        self.asked.get(index).map_or_else(|| "carry out a netlink request".to_owned(), |asked| asked.to_string())
    }
}

/// A blocking netlink socket. It belongs to the network namespace it was opened in, whichever thread uses it.
pub(crate) struct Socket {
    inner: netlink_sys::Socket,
    port: u32,
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket").field("port", &self.port).finish_non_exhaustive()
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

/// One message of an answer.
struct Reply<'a> {
    kind: u16,
    flags: u16,
    sequence: usize,
    whole: &'a [u8],
}

impl Reply<'_> {
    fn body(&self) -> &[u8] {
        self.whole.get(HEADER_LEN..).unwrap_or_default()
    }

    /// The errno of an error message or of the end of a dump, positive; 0 is success.
    fn errno(&self) -> i32 {
        self.body().first_chunk().map_or(0, |code| i32::from_ne_bytes(*code).saturating_neg())
    }

    /// The kernel's own words, which follow the header of the request.
    fn detail(&self) -> Option<String> {
        if self.flags & ACK_ATTRIBUTES == 0 {
            return None;
        }
        let attributes = self.body().get(4 + HEADER_LEN..)?;
        let message = NlasIterator::new(attributes).flatten().find(|nla| nla.kind() == ACK_MESSAGE)?;
        let text = message.value().split(|byte| *byte == 0).next()?;
        Some(String::from_utf8_lossy(text).into_owned())
    }
}

/// Splits a datagram into its messages; a malformed rest is left out.
fn replies(mut datagram: &[u8]) -> impl Iterator<Item = Reply<'_>> {
    std::iter::from_fn(move || {
        let header: &[u8; HEADER_LEN] = datagram.first_chunk()?;
        let word = |at: usize| u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let half = |at: usize| u16::from_ne_bytes([header[at], header[at + 1]]);
        let length = word(0) as usize;
        if length < HEADER_LEN {
            return None;
        }
        let whole = datagram.get(..length)?;
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Reply { kind: half(4), flags: half(6), sequence: word(8) as usize, whole })
    })
}

impl Socket {
    /// Opens a socket of a protocol (one of `netlink_sys::protocols`) in the calling thread's namespace.
    pub(crate) fn open(protocol: isize) -> Result<Self> {
        let open = || -> io::Result<Self> {
            let mut inner = netlink_sys::Socket::new(protocol)?;
            let port = inner.bind_auto()?.port_number();
            inner.set_ext_ack(true)?;
            inner.set_cap_ack(true)?;
            sockopt::set_socket_timeout(&inner, sockopt::Timeout::Recv, Some(DEADLINE))?;
            Ok(Self { inner, port })
        };
        open().map_err(|cause| Error::system("open a netlink socket", cause))
    }

    /// Makes room for batches of up to 4 MiB and as many answers.
    pub(crate) fn widen(&self) -> Result<()> {
        sockopt::set_socket_send_buffer_size_force(&self.inner, SEND_BYTES)
            .and_then(|()| sockopt::set_socket_recv_buffer_size_force(&self.inner, SEND_BYTES))
            .map_err(|cause| Error::system("enlarge a netlink socket's buffers", cause))
    }

    /// Subscribes to a multicast group.
    pub(crate) fn join(&mut self, group: u32) -> Result<()> {
        self.inner
            .add_membership(group)
            .map_err(|cause| Error::system(format!("join the netlink group {group}"), cause))
    }

    /// The socket's netlink address, by which others see who caused a change.
    pub(crate) fn port(&self) -> u32 {
        self.port
    }

    /// Sends the requests and waits until each was acknowledged; the first error of any.
    ///
    /// Requests after a refused one are carried out nevertheless.
    pub(crate) fn exchange(&mut self, batch: &Batch) -> Result<()> {
        let mut outcome = Ok(());
        for answer in self.exchange_each(batch)? {
            outcome = outcome.and(answer);
        }
        outcome
    }

    /// Sends the requests and waits until each was acknowledged; one outcome a request.
    pub(crate) fn exchange_each(&mut self, batch: &Batch) -> Result<Vec<Result<()>>> {
        self.send(batch)?;
        let mut outcomes: Vec<Option<Result<()>>> = Vec::new();
        outcomes.resize_with(batch.asked.len(), || None);
        let mut missing = outcomes.len();
        while missing > 0 {
            let datagram = self.receive(batch)?;
            for reply in replies(&datagram).filter(|reply| reply.kind == NLMSG_ERROR) {
                if let Some(outcome @ None) = outcomes.get_mut(reply.sequence) {
                    *outcome = Some(refused(batch, &reply));
                    missing -= 1;
                }
            }
        }
        Ok(outcomes.into_iter().flatten().collect())
    }

    /// Sends requests that stand or fall together, of which only the `last` is acknowledged (errors always are).
    pub(crate) fn transact(&mut self, batch: &Batch, last: usize) -> Result<()> {
        self.send(batch)?;
        let mut outcome = Ok(());
        loop {
            let datagram = self.receive(batch)?;
            let mut ended = false;
            for reply in replies(&datagram).filter(|reply| reply.kind == NLMSG_ERROR) {
                outcome = outcome.and(refused(batch, &reply));
                // An error of the transaction as a whole is reported for its first message alone.
                ended |= reply.sequence == last || reply.sequence == 0;
            }
            if ended {
                return outcome;
            }
        }
    }

    /// Asks for one object; `None` where it does not exist.
    pub(crate) fn get<M>(&mut self, message: M, asked: impl Into<Cow<'static, str>>) -> Result<Option<M>>
    where
        M: NetlinkSerializable + NetlinkDeserializable,
    {
        let mut batch = Batch::default();
        batch.push(message, 0, asked);
        self.send(&batch)?;
        let datagram = self.receive(&batch)?;
        let Some(reply) = replies(&datagram).next() else { return Ok(None) };
        if reply.kind != NLMSG_ERROR {
            return decode(&batch, &reply).map(Some);
        }
        match reply.errno() {
            errno::ENODEV | errno::ENOENT => Ok(None),
            _ => refused(&batch, &reply).map(|()| None),
        }
    }

    /// Asks for all objects of a kind.
    pub(crate) fn dump<M>(&mut self, message: &M, asked: impl Into<Cow<'static, str>>) -> Result<Vec<M>>
    where
        M: NetlinkSerializable + NetlinkDeserializable + Clone,
    {
        let asked = asked.into();
        let mut attempt = 1;
        loop {
            let mut batch = Batch::default();
            batch.push(message.clone(), NLM_F_DUMP, asked.clone());
            let (objects, interrupted) = self.dump_once(&batch)?;
            if !interrupted || attempt == DUMP_ATTEMPTS {
                return Ok(objects);
            }
            attempt += 1;
        }
    }

    fn dump_once<M: NetlinkDeserializable>(&mut self, batch: &Batch) -> Result<(Vec<M>, bool)> {
        self.send(batch)?;
        let (mut objects, mut interrupted) = (Vec::new(), false);
        loop {
            let datagram = self.receive(batch)?;
            let mut ended = false;
            for reply in replies(&datagram) {
                interrupted |= reply.flags & DUMP_INTERRUPTED != 0;
                match reply.kind {
                    NLMSG_DONE | NLMSG_ERROR => {
                        refused(batch, &reply)?;
                        ended = true;
                    }
                    _ => objects.push(decode(batch, &reply)?),
                }
            }
            if ended {
                return Ok((objects, interrupted));
            }
        }
    }

    /// Waits for notifications of a group; the messages of one datagram with their senders' addresses.
    pub(crate) fn notifications<M: NetlinkDeserializable>(&mut self) -> Result<Vec<(u32, M)>> {
        let batch = Batch::default();
        let datagram = self.receive(&batch)?;
        let mut messages = Vec::new();
        for reply in replies(&datagram) {
            let sender =
                reply.whole.get(12..16).and_then(|port| port.first_chunk()).map_or(0, |p| u32::from_ne_bytes(*p));
            // A kind of message we cannot read is none that concerns us.
            if let Ok(message) = decode(&batch, &reply) {
                messages.push((sender, message));
            }
        }
        Ok(messages)
    }

    fn send(&self, batch: &Batch) -> Result<()> {
        loop {
            return match rustix::net::send(&self.inner, &batch.bytes, SendFlags::empty()) {
                Err(rustix::io::Errno::INTR) => continue,
                Ok(_) => Ok(()),
                Err(cause) => Err(Error::system(batch.asked(0), cause)),
            };
        }
    }

    fn receive(&self, batch: &Batch) -> Result<Vec<u8>> {
        let mut buffer = Vec::with_capacity(RECEIVE_BYTES);
        loop {
            match rustix::net::recv(&self.inner, spare_capacity(&mut buffer), RecvFlags::TRUNC) {
                Err(rustix::io::Errno::INTR) => {}
                Ok((_, length)) if length > buffer.len() => {
                    return Err(Error::system(batch.asked(0), io::Error::other("the kernel's answer was cut off")));
                }
                Ok(_) => return Ok(buffer),
                Err(cause) => return Err(Error::system(batch.asked(0), cause)),
            }
        }
    }
}

fn refused(batch: &Batch, reply: &Reply<'_>) -> Result<()> {
    match reply.errno() {
        0 => Ok(()),
        errno => Err(Error::Netlink {
            asked: batch.asked(reply.sequence),
            cause: io::Error::from_raw_os_error(errno),
            detail: reply.detail(),
        }),
    }
}

fn decode<M: NetlinkDeserializable>(batch: &Batch, reply: &Reply<'_>) -> Result<M> {
    let unreadable = |cause: String| Error::system(batch.asked(reply.sequence), io::Error::other(cause));
    match NetlinkMessage::deserialize(reply.whole).map_err(|cause| unreadable(cause.to_string()))?.payload {
        NetlinkPayload::InnerMessage(message) => Ok(message),
        _ => Err(unreadable("the kernel answered with a control message".into())),
    }
}

/// The errno values this crate tells apart.
pub(crate) mod errno {
    use rustix::io::Errno;

    /// No such object.
    pub(crate) const ENOENT: i32 = Errno::NOENT.raw_os_error();
    /// No such interface.
    pub(crate) const ENODEV: i32 = Errno::NODEV.raw_os_error();
    /// The request makes no sense to this kernel.
    pub(crate) const EINVAL: i32 = Errno::INVAL.raw_os_error();
    /// This kernel cannot do it.
    pub(crate) const EOPNOTSUPP: i32 = Errno::OPNOTSUPP.raw_os_error();
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_datagram_is_split_without_panic(datagram in proptest::collection::vec(any::<u8>(), 0..200)) {
            for reply in replies(&datagram) {
                let _ = (reply.errno(), reply.detail(), reply.body().len());
            }
        }
    }
}
