//! Carries out what the daemon asks for.

use std::os::fd::{AsFd, OwnedFd};

use model::Timestamp;
use rustix::event::epoll::EventFlags;
use rustix::termios::Winsize;

use super::client::Client;
use super::control::Control;
use super::poll::Token;
use super::process::{Phase, Process, streams};
use super::{CONTAINER, Supervisor};
use crate::channel::Incoming;
use crate::error::{Error, Result};
use crate::log;
use crate::protocol::{
    Attach, Command, EndReason, Event, Exec, ExecState, Failure, PROTOCOL, Start, State, WindowSize,
};

/// How long to wait after a daemon could not be accepted.
const ACCEPT_PAUSE: std::time::Duration = std::time::Duration::from_millis(10);

/// A command that was not carried out: why.
type Outcome = std::result::Result<(), String>;

impl Supervisor<'_> {
    /// A new daemon connects; the one before is gone, otherwise the listener is not watched.
    pub(super) fn accept(&mut self) -> Result<()> {
        let accepted = sys::socket::accept(&self.listener).map_err(Error::system("accept a daemon"));
        match accepted.and_then(|socket| Control::new(socket, &self.poll)) {
            Ok(control) => {
                self.control = Some(control);
                self.listener.wait_for(None).map_err(Error::system("watch the listener"))
            }
            Err(_) => {
                // The daemon has given up meanwhile, or there is no descriptor left: the container must not suffer
                // from either, and the next attempt should not come at once.
                std::thread::sleep(ACCEPT_PAUSE);
                Ok(())
            }
        }
    }

    /// Reads and carries out the daemon's commands.
    pub(super) fn converse(&mut self) -> Result<()> {
        loop {
            let Some(control) = &mut self.control else { return Ok(()) };
            if control.flush().is_err() {
                return self.lose_daemon();
            }
            match control.receive() {
                Ok(Incoming::Message(command, descriptors)) => self.obey(command, descriptors)?,
                Ok(Incoming::Nothing) => return Ok(()),
                Err(Error::Malformed { detail }) => {
                    self.tell(Event::Refused { command: "unknown".to_owned(), detail }, None)?;
                }
                Ok(Incoming::Closed) | Err(_) => return self.lose_daemon(),
            }
        }
    }

    /// The daemon is gone: everything goes on, and the next one can connect.
    pub(super) fn lose_daemon(&mut self) -> Result<()> {
        if let Some(control) = self.control.take() {
            // What it said before it went still counts, its last word above all: the exit status is recorded.
            while let Ok(Incoming::Message(command, descriptors)) = control.receive() {
                self.obey(command, descriptors)?;
            }
            control.into_unsent().for_each(|event| self.remember(event));
        }
        if self.container_phase() == Phase::Waiting {
            // Nothing was started, so there is nothing to keep.
            self.over = true;
        }
        self.listener.wait_for(Some(EventFlags::IN)).map_err(Error::system("watch the listener"))
    }

    pub(super) fn container_phase(&self) -> Phase {
        self.processes.get(&CONTAINER).map_or(Phase::Reported, |container| container.phase)
    }

    fn obey(&mut self, command: Command, descriptors: Vec<OwnedFd>) -> Result<()> {
        let (name, outcome) = match command {
            Command::Hello { .. } => return self.introduce(),
            Command::Start(start) => ("Start", self.start(*start, descriptors)?),
            Command::Doors(doors) => ("Doors", self.relay.add(&doors, descriptors)),
            Command::Attach(attach) => ("Attach", self.attach(CONTAINER, attach, descriptors.into_iter().next())?),
            Command::Exec(exec) => ("Exec", self.exec(*exec, descriptors.into_iter().next())?),
            Command::Resize { exec_id, size } => ("Resize", self.resize(exec_id.as_deref(), size)),
            Command::CloseStdin { exec_id } => ("CloseStdin", self.close_stdin(exec_id.as_deref())?),
            Command::Detach { attach_id } => ("Detach", self.detach(attach_id)?),
            Command::Signal { exec_id, signal } => ("Signal", self.signal(exec_id.as_deref(), signal)),
            Command::UpdateLog { max_size_bytes, max_files } => {
                if let Some(log) = &mut self.log {
                    log.set_rotation(max_size_bytes, max_files);
                }
                return Ok(());
            }
            Command::Release => ("Release", self.release()),
        };
        match outcome {
            Ok(()) => Ok(()),
            Err(detail) => self.tell(Event::Refused { command: name.to_owned(), detail }, None),
        }
    }

    /// Tells a daemon the whole state.
    fn introduce(&mut self) -> Result<()> {
        let container = self.processes.get(&CONTAINER);
        let pidfd = container.filter(|container| container.exit.is_none()).and_then(|c| c.pidfd.as_ref());
        let pidfd = pidfd.and_then(|pidfd| rustix::io::fcntl_dupfd_cloexec(pidfd, 3).ok());
        let running = self
            .processes
            .values()
            .filter_map(|process| Some(ExecState { exec_id: process.exec_id.clone()?, pid: process.pid?, exit: None }));
        let state = State {
            protocol: PROTOCOL,
            container_id: self.container_id.clone(),
            shim_pid: rustix::process::getpid().as_raw_nonzero().get(),
            pid: container.and_then(|container| container.pid),
            started_at_ns: self.started_at.map(Timestamp::unix_nanoseconds),
            exit: container.filter(|container| container.phase == Phase::Reported).and_then(|c| c.exit),
            execs: running.chain(std::mem::take(&mut self.ended_execs)).collect(),
            attached: self.clients.values().map(|client| client.attach_id).collect(),
            log_lost_bytes: self.log.as_ref().map_or(0, log::Writer::lost_bytes),
        };
        self.tell(Event::Hello(Box::new(state)), pidfd)
    }

    fn start(&mut self, start: Start, descriptors: Vec<OwnedFd>) -> Result<Outcome> {
        if self.container_phase() != Phase::Waiting {
            return Ok(Err("the container was already started".to_owned()));
        }
        match self.spawn(&start, descriptors) {
            Ok(pidfd) => {
                sys::heap::trim();
                let container = self.processes.get(&CONTAINER);
                let pid = container.and_then(|container| container.pid).unwrap_or_default();
                let started_at = *self.started_at.insert(Timestamp::now());
                self.tell(Event::Started { pid, started_at_ns: started_at.unix_nanoseconds() }, Some(pidfd))?;
                self.admit_clients(CONTAINER)?;
                self.relay.open();
            }
            Err(failure) => {
                self.tell(Event::StartFailed(failure), None)?;
                self.end_clients(CONTAINER, EndReason::Exited)?;
                self.released = true;
            }
        }
        Ok(Ok(()))
    }

    /// Starts the container's first process.
    fn spawn(&mut self, start: &Start, descriptors: Vec<OwnedFd>) -> std::result::Result<OwnedFd, Failure> {
        self.log = match start.log.clone() {
            Some(config) => Some(log::Writer::open(config).map_err(|error| failure("log", &error.to_string()))?),
            None => None,
        };
        let (theirs, ours) = streams(start.stdio).map_err(|errno| system_failure("stdio", errno))?;
        let spawned = self.runtime.spawn(&start.plan, descriptors, theirs)?;
        let container = self.processes.entry(CONTAINER).or_insert_with(|| Process::waiting(None, start.stdio));
        container.stdio = start.stdio;
        let started = rustix::io::fcntl_dupfd_cloexec(&spawned.pidfd, 3)
            .and_then(|pidfd| container.started(CONTAINER, &self.poll, spawned, ours).map(|()| pidfd));
        // It dies with this shim, which ends after the report.
        started.map_err(|errno| system_failure("stdio", errno))
    }

    fn exec(&mut self, exec: Exec, client: Option<OwnedFd>) -> Result<Outcome> {
        let known = self.processes.values().any(|process| process.exec_id.as_deref() == Some(&exec.exec_id));
        if known {
            return Ok(Err(format!("exec {} was already started", exec.exec_id)));
        }
        let key = self.new_key();
        self.processes.insert(key, Process::waiting(Some(exec.exec_id.clone()), exec.stdio));
        if let Some(attach) = exec.attach.clone()
            && let Err(detail) = self.attach(key, attach, client)?
        {
            self.processes.remove(&key);
            let failure = failure("stdio", &detail);
            self.tell(Event::ExecFailed { exec_id: exec.exec_id, failure }, None)?;
            return Ok(Ok(()));
        }
        match self.spawn_exec(key, &exec) {
            Ok(pid) => {
                sys::heap::trim();
                self.tell(Event::ExecStarted { exec_id: exec.exec_id, pid }, None)?;
                self.admit_clients(key)?;
            }
            Err(failure) => {
                self.tell(Event::ExecFailed { exec_id: exec.exec_id, failure }, None)?;
                // Let go, not shut down: the daemon has a duplicate and tells the client why.
                for client in self.clients_of(key) {
                    self.remove_client(client, EndReason::Exited)?;
                }
                self.processes.remove(&key);
            }
        }
        Ok(Ok(()))
    }

    fn spawn_exec(&mut self, key: u32, exec: &Exec) -> std::result::Result<i32, Failure> {
        let container = self.processes.get(&CONTAINER).filter(|container| container.exit.is_none());
        let Some(container) = container.and_then(|container| container.pidfd.as_ref()) else {
            return Err(failure("internal", "the container is not running"));
        };
        let (theirs, ours) = streams(exec.stdio).map_err(|errno| system_failure("stdio", errno))?;
        let spawned = self.runtime.exec(container.as_fd(), &exec.process, theirs)?;
        let pid = spawned.pid;
        if let Some(process) = self.processes.get_mut(&key) {
            process.started(key, &self.poll, spawned, ours).map_err(|errno| system_failure("stdio", errno))?;
        }
        Ok(pid)
    }

    /// Attaches a client to a process.
    fn attach(&mut self, process: u32, attach: Attach, socket: Option<OwnedFd>) -> Result<Outcome> {
        let attach_id = attach.attach_id;
        let Some(socket) = socket else {
            return Ok(Err("the client's descriptor is missing".to_owned()));
        };
        if self.clients.values().any(|client| client.attach_id == attach_id) {
            return Ok(Err(format!("client {attach_id} is already attached")));
        }
        let key = self.new_key();
        let resume = attach.resume;
        let terminal = self.processes.get(&process).is_some_and(|process| process.stdio.terminal);
        let client = Client::new(attach, process, terminal, self.poll.adopt(socket, Token::Client(key)));
        let mut client = match client {
            Ok(client) => client,
            Err(errno) => return Ok(Err(format!("the client's descriptor cannot be used: {errno}"))),
        };
        if let Some(position) = resume
            && let Err(error) = self.catch_up(&mut client, position)
        {
            return Ok(Err(error.to_string()));
        }
        self.clients.insert(key, client);
        self.tell(Event::Attached { attach_id }, None)?;
        if self.processes.get(&process).is_some_and(|process| process.phase >= Phase::Flushing) {
            self.end_client(key, EndReason::Exited)?;
        }
        self.attend_client(key, true)?;
        Ok(Ok(()))
    }

    fn find(&self, exec_id: Option<&str>) -> std::result::Result<u32, String> {
        let found = self.processes.iter().find(|(_, process)| process.exec_id.as_deref() == exec_id);
        found.map(|(key, _)| *key).ok_or_else(|| format!("no such exec: {}", exec_id.unwrap_or_default()))
    }

    fn resize(&mut self, exec_id: Option<&str>, size: WindowSize) -> Outcome {
        let key = self.find(exec_id)?;
        let Some(terminal) = self.processes.get(&key).and_then(Process::terminal) else {
            return Err("it has no open terminal".to_owned());
        };
        let size = Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(terminal, size).map_err(|errno| errno.to_string())
    }

    fn close_stdin(&mut self, exec_id: Option<&str>) -> Result<Outcome> {
        let key = match self.find(exec_id) {
            Ok(key) => key,
            Err(detail) => return Ok(Err(detail)),
        };
        if let Some(process) = self.processes.get_mut(&key) {
            process.close_input();
        }
        self.admit_clients(key)?;
        Ok(Ok(()))
    }

    fn detach(&mut self, attach_id: u64) -> Result<Outcome> {
        let key = self.clients.iter().find(|(_, client)| client.attach_id == attach_id).map(|(key, _)| *key);
        let Some(key) = key else {
            return Ok(Err(format!("client {attach_id} is not attached")));
        };
        self.end_client(key, EndReason::Detached)?;
        self.attend_client(key, true)?;
        Ok(Ok(()))
    }

    fn signal(&mut self, exec_id: Option<&str>, signal: i32) -> Outcome {
        let key = self.find(exec_id)?;
        let process = self.processes.get(&key).filter(|process| process.exit.is_none());
        let Some(pidfd) = process.and_then(|process| process.pidfd.as_ref()) else {
            return Err("it is not running".to_owned());
        };
        sys::process::send_signal(pidfd, signal).map_err(|errno| errno.to_string())
    }

    fn release(&mut self) -> Outcome {
        if !matches!(self.container_phase(), Phase::Reported | Phase::Waiting) {
            return Err("the container has not exited".to_owned());
        }
        self.released = true;
        Ok(())
    }
}

fn failure(stage: &str, detail: &str) -> Failure {
    Failure { stage: stage.to_owned(), errno: 0, detail: detail.to_owned() }
}

fn system_failure(stage: &str, errno: rustix::io::Errno) -> Failure {
    Failure { stage: stage.to_owned(), errno: errno.raw_os_error(), detail: errno.to_string() }
}
