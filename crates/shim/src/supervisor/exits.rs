//! The end of processes and clients, and everything that happens after a time.

use std::time::{Duration, Instant};

use model::Timestamp;

use super::process::{Phase, Stdin};
use super::{CONTAINER, Supervisor};
use crate::error::Result;
use crate::log::Stream;
use crate::protocol::{EndReason, Event, Exit};

/// How long the output of a process that has ended is read while others keep it open. What it wrote itself is read whatever
/// time that takes.
const DRAIN_GRACE: Duration = Duration::from_millis(200);

/// How long the report of an exit waits for clients to take the last output.
const FLUSH_PATIENCE: Duration = Duration::from_secs(2);

/// How long a client whose process has ended may take no output at all before it is given up.
const CLIENT_PATIENCE: Duration = Duration::from_secs(10);

/// How long what a client still sends after the end is read and thrown away.
pub(super) const CLIENT_LINGER: Duration = Duration::from_secs(1);

/// Reported for a process whose status somebody else has taken, which does not happen as long as the shim is its parent.
const UNKNOWN_CODE: i32 = 255;

impl Supervisor<'_> {
    /// A process has ended: takes its status.
    pub(super) fn reap(&mut self, key: u32) -> Result<()> {
        let Some(process) = self.processes.get_mut(&key) else { return Ok(()) };
        let Some(pidfd) = process.pidfd.as_ref() else { return Ok(()) };
        let (code, signal) = match sys::process::try_wait(pidfd) {
            Ok(None) => return Ok(()),
            Ok(Some(sys::process::Exit::Code(code))) => (code, None),
            Ok(Some(sys::process::Exit::Signal(signal))) => (128 + signal, Some(signal)),
            Err(_) => (UNKNOWN_CODE, None),
        };
        process.exit = Some(Exit { code, signal, exited_at_ns: Timestamp::now().unix_nanoseconds() });
        process.pidfd = None;
        process.stdin = Stdin::Closed;
        process.phase = Phase::Draining;
        process.deadline = Some(Instant::now() + DRAIN_GRACE);
        process.count_unread();
        if key == CONTAINER {
            // Before the end is reported, for the container's next run takes the ports again.
            self.relay.close();
        }
        self.balance(key)?;
        self.admit_clients(key)?;
        self.output_ended(key)
    }

    /// Goes on to the flush of a process that has ended and whose output was all read.
    pub(super) fn output_ended(&mut self, key: u32) -> Result<()> {
        let Some(process) = self.processes.get(&key).filter(|process| process.output_ended()) else {
            return Ok(());
        };
        match process.phase {
            Phase::Draining => self.drained(key),
            Phase::Reported if key != CONTAINER => {
                self.processes.remove(&key);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// No more output of the process is waited for.
    fn drained(&mut self, key: u32) -> Result<()> {
        if let Some(process) = self.processes.get_mut(&key) {
            process.phase = Phase::Flushing;
            process.deadline = Some(Instant::now() + FLUSH_PATIENCE);
        }
        if let Some(log) = self.log.as_mut().filter(|_| key == CONTAINER) {
            let now = Timestamp::now();
            log.end(Stream::Stdout, now);
            log.end(Stream::Stderr, now);
        }
        if key != CONTAINER {
            // Told before the client sees the end (unless output still waits for it): who has seen an exec's stream end
            // asks for its exit code.
            self.settle(key)?;
        }
        self.end_clients(key, EndReason::Exited)?;
        self.settle(key)
    }

    /// Reports the end of a process once its clients have taken all output.
    pub(super) fn settle(&mut self, key: u32) -> Result<()> {
        let waiting = self.clients.values().any(|client| client.process == key && client.pending_bytes() > 0);
        match self.processes.get(&key) {
            Some(process) if process.phase == Phase::Flushing && !waiting => self.report(key),
            _ => Ok(()),
        }
    }

    fn report(&mut self, key: u32) -> Result<()> {
        let Some(process) = self.processes.get_mut(&key) else { return Ok(()) };
        let Some(exit) = process.exit else { return Ok(()) };
        process.phase = Phase::Reported;
        process.deadline = None;
        let event = match process.exec_id.clone() {
            Some(exec_id) => Event::ExecExited { exec_id, exit },
            None => Event::Exited(exit),
        };
        let (mounts, rootfs) = (process.mount_namespace.take(), process.rootfs.take());
        self.tell(event, rootfs)?;
        drop(mounts);
        self.balance(key)?;
        self.output_ended(key)
    }

    /// Ends all clients of a process.
    pub(super) fn end_clients(&mut self, process: u32, reason: EndReason) -> Result<()> {
        for key in self.clients_of(process) {
            self.end_client(key, reason)?;
            self.attend_client(key, false)?;
        }
        Ok(())
    }

    /// Ends a client's part; it still gets the output that waits for it.
    pub(super) fn end_client(&mut self, key: u32, reason: EndReason) -> Result<()> {
        if let Some(client) = self.clients.get_mut(&key) {
            client.ending = client.ending.or(Some(reason));
            client.hold_input(false);
        }
        Ok(())
    }

    /// A client whose part is over has a limited time for each step it still has to take.
    pub(super) fn expect_progress(&mut self, key: u32) {
        if let Some(client) = self.clients.get_mut(&key)
            && client.ending.is_some()
            && client.deadline.is_none()
        {
            client.deadline = Some(Instant::now() + CLIENT_PATIENCE);
        }
    }

    /// The next moment at which something has to be done though nothing happens.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let processes = self.processes.values().filter_map(|process| process.deadline);
        let clients = self.clients.values().filter_map(|client| client.deadline);
        processes.chain(clients).chain(self.relay.next_deadline()).min()
    }

    /// Does what is due.
    pub(super) fn pass_deadlines(&mut self) -> Result<()> {
        if self.next_deadline().is_none() {
            return Ok(());
        }
        let now = Instant::now();
        self.relay.pass_deadlines(now);
        let due = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        let processes: Vec<(u32, Phase)> =
            self.processes.iter().filter(|(_, p)| due(p.deadline)).map(|(key, p)| (*key, p.phase)).collect();
        for (key, phase) in processes {
            match phase {
                Phase::Draining => match self.processes.get_mut(&key).filter(|process| process.has_unread()) {
                    Some(process) => process.deadline = Some(now + DRAIN_GRACE),
                    None => self.drained(key)?,
                },
                Phase::Flushing => self.report(key)?,
                _ => {}
            }
        }
        let clients: Vec<(u32, u32)> =
            self.clients.iter().filter(|(_, c)| due(c.deadline)).map(|(key, c)| (*key, c.process)).collect();
        for (key, process) in clients {
            self.remove_client(key, EndReason::Stalled)?;
            self.balance(process)?;
            self.settle(process)?;
        }
        Ok(())
    }
}
