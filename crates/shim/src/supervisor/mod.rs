//! The shim itself: one event loop beside one container.
//!
//! It holds the container's standard streams, writes its log, serves attached clients and execs, reaps what it
//! started, and keeps the exit status until a daemon has recorded it. It outlives daemons: while none is connected
//! everything goes on, and the next one is told the state.

mod client;
mod commands;
mod control;
mod detach;
mod exits;
mod poll;
mod process;
mod relay;
mod streams;

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use model::Timestamp;
use rustix::event::epoll::EventFlags;

use crate::error::{Error, Result};
use crate::log;
use crate::protocol::{Event, ExecState, Stdio};
use crate::runtime::Runtime;

use client::Client;
use control::Control;
use poll::{Poll, Token, Watched};
use process::Process;
use relay::Relay;

/// Key of the container's first process; execs have higher ones.
const CONTAINER: u32 = 0;

/// The most that is read from a process or a client at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// What is read at once as long as that was never too little: most containers are quiet, and each page counts.
const FIRST_CHUNK_BYTES: usize = 4 * 1024;

/// Ends of execs that are kept while no daemon is there to be told.
const ENDED_EXECS: usize = 1024;

/// Serves one container until a daemon releases it.
///
/// `control` is the connection to the daemon that asked for the container; later daemons connect at `socket`.
pub fn run(control: OwnedFd, container_id: &str, socket: &Path, runtime: &mut dyn Runtime) -> Result<()> {
    let poll = Poll::new().map_err(Error::system("make an epoll set"))?;
    let listener = sys::socket::listen(socket).map_err(Error::system("listen for daemons"))?;
    let control = Control::new(control, &poll)?;
    let mut supervisor = Supervisor {
        container_id: container_id.to_owned(),
        socket: socket.to_owned(),
        listener: poll.adopt(listener, Token::Listener),
        control: Some(control),
        relay: Relay::new(&poll),
        poll,
        runtime,
        processes: BTreeMap::from([(CONTAINER, Process::waiting(None, Stdio::default()))]),
        clients: BTreeMap::new(),
        next_key: CONTAINER + 1,
        log: None,
        started_at: None,
        ended_execs: VecDeque::new(),
        released: false,
        over: false,
        buffer: Vec::new(),
    };
    supervisor.serve()
}

struct Supervisor<'r> {
    container_id: String,
    socket: PathBuf,
    listener: Watched,
    control: Option<Control>,
    poll: Poll,
    runtime: &'r mut dyn Runtime,
    processes: BTreeMap<u32, Process>,
    clients: BTreeMap<u32, Client>,
    relay: Relay,
    next_key: u32,
    log: Option<log::Writer>,
    started_at: Option<Timestamp>,
    /// Execs whose end no daemon was told, oldest first.
    ended_execs: VecDeque<ExecState>,
    /// The daemon has recorded the exit status.
    released: bool,
    /// Nothing is left to be done.
    over: bool,
    /// Where all input and output passes through. It grows once it was filled.
    buffer: Vec<u8>,
}

impl Supervisor<'_> {
    fn serve(&mut self) -> Result<()> {
        while !self.over {
            let limit = self.next_deadline().map(|deadline| deadline.saturating_duration_since(Instant::now()));
            // Rounded up, so that the deadline has passed when the wait ends.
            let limit = limit.map(|limit| limit + Duration::from_millis(1));
            for (token, events) in self.poll.wait(limit).map_err(Error::system("wait for events"))? {
                self.dispatch(token, events)?;
            }
            self.pass_deadlines()?;
            self.consider_end();
        }
        // A socket that is already gone was removed on purpose.
        drop(std::fs::remove_file(&self.socket));
        Ok(())
    }

    fn dispatch(&mut self, token: Token, events: EventFlags) -> Result<()> {
        match token {
            Token::Listener => self.accept(),
            Token::Control => self.converse(),
            Token::Pidfd(key) => self.reap(key),
            Token::Stdin(key) => self.stdin_ready(key),
            Token::Output(key, stream) => self.output_ready(key, stream),
            Token::Client(key) => self.client_ready(key, events),
            Token::Door(_) | Token::Flow(..) | Token::Peer(_) => {
                self.relay.ready(token);
                Ok(())
            }
        }
    }

    /// The loop ends once the status was recorded and the clients are served, or when there was never anything to do.
    fn consider_end(&mut self) {
        if self.released && self.clients.is_empty() && self.control.as_ref().is_none_or(Control::is_flushed) {
            self.over = true;
        }
    }

    /// Tells the daemon, if one is there.
    fn tell(&mut self, event: Event, descriptor: Option<OwnedFd>) -> Result<()> {
        match &mut self.control {
            Some(control) => {
                if control.send(event, descriptor).is_err() {
                    self.lose_daemon()?;
                }
            }
            None => self.remember(event),
        }
        Ok(())
    }

    /// Keeps what the next daemon has to know and cannot see from the state.
    fn remember(&mut self, event: Event) {
        if let Event::ExecExited { exec_id, exit } = event {
            if self.ended_execs.len() == ENDED_EXECS {
                self.ended_execs.pop_front();
            }
            self.ended_execs.push_back(ExecState { exec_id, pid: 0, exit: Some(exit) });
        }
    }

    fn new_key(&mut self) -> u32 {
        // Four thousand million execs and clients of one container would take decades.
        let key = self.next_key;
        self.next_key = self.next_key.wrapping_add(1).max(CONTAINER + 1);
        key
    }

    /// Takes the shared buffer; give it back with [`Supervisor::return_buffer`].
    fn take_buffer(&mut self) -> Vec<u8> {
        let mut buffer = std::mem::take(&mut self.buffer);
        if buffer.is_empty() {
            buffer = vec![0; FIRST_CHUNK_BYTES];
        }
        buffer
    }

    /// Gives the shared buffer back, of which `used` bytes were filled.
    fn return_buffer(&mut self, mut buffer: Vec<u8>, used: usize) {
        if used == buffer.len() && used < CHUNK_BYTES {
            buffer = vec![0; CHUNK_BYTES];
        }
        self.buffer = buffer;
    }
}
