//! Moves output from processes to the log and the clients, and input from clients to processes.

use model::Timestamp;
use rustix::event::epoll::EventFlags;

use super::client::{Client, Received};
use super::exits::CLIENT_LINGER;
use super::process::{Demand, Phase};
use super::{CHUNK_BYTES, CONTAINER, Supervisor};
use crate::error::{Error, Result};
use crate::log::{Reader, Record, Stream};
use crate::protocol::{EndReason, Event, LogPosition};

/// How much output a client may leave behind when its process has ended and the pipes have to be emptied.
const LAST_BYTES: usize = 1024 * 1024;

/// The most that is made up for between a replay and the live output; a replay stops far closer to the end.
const CATCH_UP_BYTES: usize = 16 * 1024 * 1024;

impl Supervisor<'_> {
    /// A process has written output, or closed it.
    pub(super) fn output_ready(&mut self, key: u32, stream: Stream) -> Result<()> {
        let mut buffer = self.take_buffer();
        let Some(process) = self.processes.get_mut(&key) else {
            self.return_buffer(buffer, 0);
            return Ok(());
        };
        let length = process.read_output(stream, &mut buffer);
        if length == Some(buffer.len()) && buffer.len() < CHUNK_BYTES {
            process.widen_output(stream);
        }
        let reported = process.phase >= Phase::Flushing;
        match length {
            Some(0) if key == CONTAINER => {
                if let Some(log) = &mut self.log {
                    log.end(stream, Timestamp::now());
                }
            }
            // What comes after the end was reported is of those the process left behind: nobody waits for it.
            Some(length) if length > 0 && !reported => self.distribute(key, stream, &buffer[..length])?,
            _ => {}
        }
        self.return_buffer(buffer, length.unwrap_or(0));
        self.balance(key)?;
        if length == Some(0) {
            self.output_ended(key)?;
        }
        Ok(())
    }

    /// Gives a chunk of output to the log and to every client that wants it.
    fn distribute(&mut self, key: u32, stream: Stream, chunk: &[u8]) -> Result<()> {
        if let Some(log) = self.log.as_mut().filter(|_| key == CONTAINER) {
            log.write(stream, chunk, Timestamp::now());
        }
        let mut troubled = Vec::new();
        for (client_key, client) in self.clients.iter_mut().filter(|(_, client)| client.process == key) {
            if client.wants(stream) {
                client.send(stream, chunk);
                client.update_interest();
                if client.is_gone() {
                    troubled.push(*client_key);
                }
            }
        }
        troubled.into_iter().try_for_each(|client| self.attend_client(client, false))
    }

    /// Reads a process's output exactly while all its clients keep up.
    pub(super) fn balance(&mut self, key: u32) -> Result<()> {
        let Some(process) = self.processes.get_mut(&key) else { return Ok(()) };
        let bearable = if process.phase >= Phase::Draining { LAST_BYTES } else { 0 };
        let behind = self.clients.values().any(|client| client.process == key && client.pending_bytes() > bearable);
        let read = !behind || process.has_unread() || process.phase == Phase::Reported;
        process.read_outputs(read).map_err(Error::system("watch a process's output"))
    }

    /// Queues for a client what was recorded after `position`, and what is not recorded yet: the part of the output
    /// between a replay of the log and the live stream.
    pub(super) fn catch_up(&self, client: &mut Client, position: LogPosition) -> Result<()> {
        let Some(log) = &self.log else { return Ok(()) };
        let style = client.style();
        let mut missed = Vec::new();
        Reader::resume(log.path(), position)?.render(&style, &mut missed, CATCH_UP_BYTES)?;
        for stream in [Stream::Stdout, Stream::Stderr] {
            let text = log.unrecorded(stream).to_vec();
            if !text.is_empty() {
                style.render(&Record::of(stream, text), &mut missed);
            }
        }
        client.queue(&missed);
        Ok(())
    }

    /// A client has sent something, takes output again, or is gone.
    pub(super) fn client_ready(&mut self, key: u32, events: EventFlags) -> Result<()> {
        let Some(client) = self.clients.get_mut(&key) else { return Ok(()) };
        if events.contains(EventFlags::OUT) && client.flush() {
            client.deadline = None;
        }
        let hung_up = events.intersects(EventFlags::HUP | EventFlags::ERR);
        if hung_up && client.input_has_ended() {
            client.lose();
        }
        self.attend_client(key, hung_up || events.contains(EventFlags::IN))
    }

    /// A process takes input again.
    pub(super) fn stdin_ready(&mut self, key: u32) -> Result<()> {
        if let Some(process) = self.processes.get_mut(&key) {
            process.flush_input();
        }
        self.admit_clients(key)
    }

    /// The state of a process has changed: each of its clients goes on.
    pub(super) fn admit_clients(&mut self, process: u32) -> Result<()> {
        let terminal = self.processes.get(&process).is_some_and(|process| process.stdio.terminal);
        for key in self.clients_of(process) {
            if let Some(client) = self.clients.get_mut(&key) {
                client.terminal = terminal;
            }
            self.attend_client(key, true)?;
        }
        self.balance(process)
    }

    pub(super) fn clients_of(&self, process: u32) -> Vec<u32> {
        self.clients.iter().filter(|(_, client)| client.process == process).map(|(key, _)| *key).collect()
    }

    /// Does whatever can be done for a client now.
    pub(super) fn attend_client(&mut self, key: u32, readable: bool) -> Result<()> {
        if readable {
            self.receive_input(key)?;
        }
        let Some(client) = self.clients.get_mut(&key) else { return Ok(()) };
        let process = client.process;
        if let Some(reason) = client.ending.filter(|_| client.pending_bytes() == 0 && !client.is_closing()) {
            let attach_id = client.attach_id;
            client.finish();
            client.deadline = Some(std::time::Instant::now() + CLIENT_LINGER);
            self.tell(Event::AttachEnded { attach_id, reason }, None)?;
        }
        self.expect_progress(key);
        let Some(client) = self.clients.get_mut(&key) else { return Ok(()) };
        client.update_interest();
        if client.is_over() {
            self.remove_client(key, EndReason::Gone)?;
        }
        self.balance(process)?;
        self.settle(process)
    }

    /// Takes a client off; says so unless its end was already told.
    pub(super) fn remove_client(&mut self, key: u32, reason: EndReason) -> Result<()> {
        let Some(client) = self.clients.remove(&key) else { return Ok(()) };
        if client.stdin && !client.input_has_ended() {
            self.input_ended(client.process);
        }
        if client.is_told() {
            return Ok(());
        }
        self.tell(Event::AttachEnded { attach_id: client.attach_id, reason }, None)
    }

    /// Passes what a client has sent to its process, or leaves it where it is until the process takes it.
    fn receive_input(&mut self, key: u32) -> Result<()> {
        let mut buffer = self.take_buffer();
        let mut used = 0;
        let received = self.receive_into(key, &mut buffer, &mut used);
        self.return_buffer(buffer, used);
        let Some(client) = self.clients.get(&key) else { return Ok(()) };
        let process = client.process;
        match received {
            Input::Ended if client.stdin && !self.input_ended(process) => {
                return self.end_client(key, EndReason::Detached);
            }
            Input::DetachKeys => return self.end_client(key, EndReason::Detached),
            _ => {}
        }
        Ok(())
    }

    /// As [`Supervisor::receive_input`], by way of `buffer`, of which `used` bytes are then filled.
    fn receive_into(&mut self, key: u32, buffer: &mut [u8], used: &mut usize) -> Input {
        let Some(client) = self.clients.get_mut(&key) else { return Input::Nothing };
        let process = self.processes.get_mut(&client.process);
        let meant = client.stdin && client.ending.is_none();
        let demand = process.as_ref().filter(|_| meant).map_or(Demand::Never, |process| process.takes_input());
        client.hold_input(demand == Demand::Later);
        if demand == Demand::Later {
            return Input::Nothing;
        }
        let early = std::mem::take(&mut client.early_input);
        let input = if early.is_empty() {
            match client.receive(buffer) {
                Received::Bytes(length) => {
                    *used = length;
                    &buffer[..length]
                }
                Received::Nothing => return Input::Nothing,
                Received::End => return Input::Ended,
            }
        } else {
            &early
        };
        let Some(process) = process.filter(|_| demand == Demand::Now) else { return Input::Nothing };
        if !client.terminal {
            process.give_input(input);
            return Input::Nothing;
        }
        let mut typed = Vec::with_capacity(input.len());
        let detach = client.detach_keys.filter(input, &mut typed);
        process.give_input(&typed);
        if detach { Input::DetachKeys } else { Input::Nothing }
    }

    /// A client's input is over: with "once" that of the process is, too. False if instead the client's part is over: as
    /// with Docker, one whose input goes to a process that takes more, or to a terminal, gets no output after its own end.
    fn input_ended(&mut self, process: u32) -> bool {
        let Some(process) = self.processes.get_mut(&process) else { return true };
        if process.stdio.stdin_once {
            process.close_input();
        }
        !process.stdio.open_stdin || (process.stdio.stdin_once && !process.stdio.terminal)
    }
}

/// What [`Supervisor::receive_into`] met.
enum Input {
    Nothing,
    Ended,
    DetachKeys,
}
