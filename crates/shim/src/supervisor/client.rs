//! A client that takes part in the streams of a process.

use std::io::IoSlice;
use std::os::fd::AsFd;
use std::time::Instant;

use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::Shutdown;

use super::detach::DetachKeys;
use super::poll::Watched;
use crate::log::{Stream, Style};
use crate::protocol::{Attach, EndReason};

/// A client of one process.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) attach_id: u64,
    /// The process, by its key.
    pub(super) process: u32,
    socket: Watched,
    /// What it sends is meant for standard input.
    pub(super) stdin: bool,
    stdout: bool,
    stderr: bool,
    framed: bool,
    /// Its process has a terminal, known once that was started: output is raw and of one stream, keys detach.
    pub(super) terminal: bool,
    pub(super) detach_keys: DetachKeys,
    /// Input that came before anything on the socket.
    pub(super) early_input: Vec<u8>,
    input: Input,
    /// Output it has not taken yet; the first `sent` bytes of it are gone.
    pending: Vec<u8>,
    sent: usize,
    /// Set once its part is over; the socket is shut down when the pending output was taken.
    pub(super) ending: Option<EndReason>,
    /// When it is given up: while it takes no output, or lingers after the end.
    pub(super) deadline: Option<Instant>,
    phase: Phase,
    /// [`Client::finish`] was called.
    told: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Input {
    /// Read when it arrives.
    Wanted,
    /// Left in the socket until the process takes what is buffered.
    Held,
    /// The client has closed its side.
    Ended,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// Our side is shut down; what the client still sends is thrown away, so that closing cannot reset the connection.
    Lingering,
    /// The connection is broken.
    Gone,
}

/// What a client has sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// This many bytes.
    Bytes(usize),
    /// Nothing for the moment.
    Nothing,
    /// The end of its input, or of the client.
    End,
}

impl Client {
    pub(super) fn new(attach: Attach, process: u32, terminal: bool, socket: Watched) -> rustix::io::Result<Client> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(Client {
            attach_id: attach.attach_id,
            process,
            socket,
            stdin: attach.stdin,
            stdout: attach.stdout,
            stderr: attach.stderr,
            framed: attach.framed,
            terminal,
            detach_keys: DetachKeys::new(attach.detach_keys),
            early_input: attach.early_input,
            input: Input::Wanted,
            pending: Vec::new(),
            sent: 0,
            ending: None,
            deadline: None,
            phase: Phase::Open,
            told: false,
        })
    }

    /// Whether it receives `stream`.
    pub(super) fn wants(&self, stream: Stream) -> bool {
        let chosen = match stream {
            Stream::Stdout => self.stdout,
            Stream::Stderr => self.stderr,
        };
        chosen && self.ending.is_none() && self.phase == Phase::Open
    }

    /// Sends a chunk of output; what the connection does not take at once is kept.
    pub(super) fn send(&mut self, stream: Stream, chunk: &[u8]) {
        // A chunk is at most a read's worth, far below 4 GiB.
        let head = stream.frame_head(chunk.len() as u32);
        let head: &[u8] = if self.framed { &head } else { &[] };
        let mut taken = 0;
        if self.pending.is_empty() {
            match rustix::io::retry_on_intr(|| {
                rustix::io::writev(&self.socket, &[IoSlice::new(head), IoSlice::new(chunk)])
            }) {
                Ok(length) => taken = length,
                Err(Errno::AGAIN) => {}
                Err(_) => return self.lose(),
            }
        }
        if taken < head.len() + chunk.len() {
            self.pending.extend_from_slice(head.get(taken..).unwrap_or_default());
            self.pending.extend_from_slice(&chunk[taken.saturating_sub(head.len())..]);
        }
    }

    /// How records of the log are shown to it.
    pub(super) fn style(&self) -> Style {
        Style { stdout: self.stdout, stderr: self.stderr, framed: self.framed, ..Style::default() }
    }

    /// Keeps bytes that are sent as they are, before any later output.
    pub(super) fn queue(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// Sends pending output; true if the connection took any.
    pub(super) fn flush(&mut self) -> bool {
        let before = self.sent;
        while self.pending_bytes() > 0 {
            match rustix::io::retry_on_intr(|| rustix::io::write(&self.socket, &self.pending[self.sent..])) {
                Ok(length) => self.sent += length,
                Err(Errno::AGAIN) => return self.sent > before,
                Err(_) => {
                    self.lose();
                    return false;
                }
            }
        }
        let progress = self.sent > before;
        // The buffer is not kept: most clients never need it.
        self.pending = Vec::new();
        self.sent = 0;
        progress
    }

    /// Bytes it has not taken yet.
    pub(super) fn pending_bytes(&self) -> usize {
        self.pending.len() - self.sent
    }

    /// Reads what it has sent into `buffer`.
    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> Received {
        if self.input == Input::Ended {
            return Received::Nothing;
        }
        match rustix::io::retry_on_intr(|| rustix::io::read(&self.socket, &mut *buffer)) {
            Ok(length) if length > 0 => Received::Bytes(length),
            Err(Errno::AGAIN) => Received::Nothing,
            Ok(_) => {
                self.input = Input::Ended;
                Received::End
            }
            Err(_) => {
                self.input = Input::Ended;
                self.lose();
                Received::End
            }
        }
    }

    /// Holds its input back, or lets it come again.
    pub(super) fn hold_input(&mut self, hold: bool) {
        if self.input != Input::Ended {
            self.input = if hold { Input::Held } else { Input::Wanted };
        }
    }

    /// Whether it has closed its side.
    pub(super) fn input_has_ended(&self) -> bool {
        self.input == Input::Ended
    }

    /// The connection is broken.
    pub(super) fn lose(&mut self) {
        self.phase = Phase::Gone;
        self.pending = Vec::new();
        self.sent = 0;
    }

    /// Whether the connection is broken.
    pub(super) fn is_gone(&self) -> bool {
        self.phase == Phase::Gone
    }

    /// Shuts our side down: the client sees the end of the output.
    pub(super) fn finish(&mut self) {
        self.phase = Phase::Lingering;
        self.told = true;
        if rustix::net::shutdown(&self.socket, Shutdown::Write).is_err() {
            self.phase = Phase::Gone;
        }
        self.hold_input(false);
    }

    /// Whether it is lingering or gone, so that there is nothing to finish.
    pub(super) fn is_closing(&self) -> bool {
        self.phase != Phase::Open
    }

    /// Whether its end was told to the daemon, which happens with [`Client::finish`].
    pub(super) fn is_told(&self) -> bool {
        self.told
    }

    /// Whether nothing is left to be done with it.
    pub(super) fn is_over(&self) -> bool {
        self.is_gone() || (self.phase == Phase::Lingering && self.input == Input::Ended)
    }

    /// Tells the loop what to wait for. A descriptor that cannot be waited for counts as a broken connection.
    pub(super) fn update_interest(&mut self) {
        let mut events = EventFlags::empty();
        events.set(EventFlags::IN, self.input == Input::Wanted);
        events.set(EventFlags::OUT, self.pending_bytes() > 0);
        // While input is held a hang-up would be reported again and again, so nothing is waited for then.
        let nothing = events.is_empty() && self.input == Input::Held;
        if self.socket.wait_for((!nothing).then_some(events)).is_err() {
            self.lose();
        }
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
