//! A process in the container and its standard streams.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use rustix::event::epoll::EventFlags;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::PipeFlags;

use super::poll::{Poll, Token, Watched};
use crate::log::Stream;
use crate::protocol::{Exit, Stdio};

/// What fits into the pipe of a process with much output: the most that the kernel gives without asking for a privilege.
const WIDE_PIPE_BYTES: usize = 1024 * 1024;

/// The container's first process, or an exec's.
#[derive(Debug)]
pub(super) struct Process {
    /// The exec; `None` for the container's first process.
    pub(super) exec_id: Option<String>,
    pub(super) pid: Option<i32>,
    pub(super) pidfd: Option<Watched>,
    pub(super) stdio: Stdio,
    pub(super) stdin: Stdin,
    /// Standard output (or the terminal) and standard error, until they end.
    pub(super) outputs: [Option<Watched>; 2],
    /// The container's mounts, held so that their end does not delay the news of the process's end.
    pub(super) mount_namespace: Option<OwnedFd>,
    /// The container's root file system, held for the daemon, which knows when it is best let go of.
    pub(super) rootfs: Option<OwnedFd>,
    pub(super) exit: Option<Exit>,
    pub(super) phase: Phase,
    /// When the current phase ends whatever is still open.
    pub(super) deadline: Option<Instant>,
    /// Bytes of each stream that were on their way when it ended and have not been read since: its own last words, whoever
    /// keeps the pipes open and writes on.
    unread: [usize; 2],
}

/// How far a process has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Not started.
    Waiting,
    /// Runs.
    Running,
    /// Has ended; what is left in its pipes is being read.
    Draining,
    /// All output was read; clients take the last of it.
    Flushing,
    /// Its end was reported.
    Reported,
}

/// Standard input of a process.
#[derive(Debug)]
pub(super) enum Stdin {
    /// The process was not started.
    Waiting,
    /// Takes input.
    Open {
        pipe: Watched,
        /// Input that did not fit; the first `written` bytes of it are through.
        pending: Vec<u8>,
        written: usize,
        /// Close once nothing is pending.
        closing: bool,
    },
    /// Takes nothing: not wanted, ended, or closed by the process.
    Closed,
}

/// Our ends of a process's standard streams.
#[derive(Debug, Default)]
pub(super) struct Ends {
    stdin: Option<OwnedFd>,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
}

/// Makes the standard streams of a process: what it gets, and what we keep.
pub(super) fn streams(stdio: Stdio) -> rustix::io::Result<(::runtime::Stdio, Ends)> {
    if stdio.terminal {
        return Ok((::runtime::Stdio::Terminal, Ends::default()));
    }
    let (stdin, our_stdin) = if stdio.open_stdin {
        let (reader, writer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&writer, true)?;
        (reader, Some(writer))
    } else {
        (rustix::fs::open(c"/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?, None)
    };
    let (our_stdout, stdout) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    let (our_stderr, stderr) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    for end in [&our_stdout, &our_stderr] {
        rustix::io::ioctl_fionbio(end, true)?;
    }
    let ends = Ends { stdin: our_stdin, stdout: Some(our_stdout), stderr: Some(our_stderr) };
    Ok((::runtime::Stdio::Pipes { stdin, stdout, stderr }, ends))
}

impl Process {
    /// One that was not started yet.
    pub(super) fn waiting(exec_id: Option<String>, stdio: Stdio) -> Process {
        Process {
            exec_id,
            pid: None,
            pidfd: None,
            stdio,
            stdin: Stdin::Waiting,
            outputs: [None, None],
            mount_namespace: None,
            rootfs: None,
            exit: None,
            phase: Phase::Waiting,
            deadline: None,
            unread: [0; 2],
        }
    }

    /// The process runs: takes its descriptors into the loop's care.
    pub(super) fn started(
        &mut self,
        key: u32,
        poll: &Poll,
        spawned: ::runtime::Spawned,
        mut ends: Ends,
    ) -> rustix::io::Result<()> {
        if let Some(terminal) = spawned.terminal {
            rustix::io::ioctl_fionbio(&terminal, true)?;
            ends.stdin = Some(rustix::io::fcntl_dupfd_cloexec(&terminal, 3)?);
            ends.stdout = Some(terminal);
        }
        self.pid = Some(spawned.pid);
        self.mount_namespace = spawned.mount_namespace;
        self.rootfs = spawned.rootfs;
        self.phase = Phase::Running;
        let mut pidfd = poll.adopt(spawned.pidfd, Token::Pidfd(key));
        pidfd.wait_for(Some(EventFlags::IN))?;
        self.pidfd = Some(pidfd);
        self.stdin = ends.stdin.map_or(Stdin::Closed, |pipe| Stdin::Open {
            pipe: poll.adopt(pipe, Token::Stdin(key)),
            pending: Vec::new(),
            written: 0,
            closing: false,
        });
        let adopt = |pipe: Option<OwnedFd>, stream| pipe.map(|pipe| poll.adopt(pipe, Token::Output(key, stream)));
        self.outputs = [adopt(ends.stdout, Stream::Stdout), adopt(ends.stderr, Stream::Stderr)];
        Ok(())
    }

    /// Reads output of one stream into `buffer`; `None` if there is nothing for the moment, 0 at its end.
    pub(super) fn read_output(&mut self, stream: Stream, buffer: &mut [u8]) -> Option<usize> {
        let pipe = self.outputs[stream as usize].as_ref()?;
        match rustix::io::retry_on_intr(|| rustix::io::read(pipe, &mut *buffer)) {
            Err(Errno::AGAIN) => None,
            Ok(length) if length > 0 => {
                let unread = &mut self.unread[stream as usize];
                *unread = unread.saturating_sub(length);
                Some(length)
            }
            // A terminal reports the end as EIO: nobody has its other side open any more.
            Ok(_) | Err(_) => {
                self.outputs[stream as usize] = None;
                self.unread[stream as usize] = 0;
                Some(0)
            }
        }
    }

    /// Gives a pipe more room, so that a process with much output is not woken for each chunk that we take.
    pub(super) fn widen_output(&self, stream: Stream) {
        if let Some(pipe) = &self.outputs[stream as usize] {
            // A terminal has none to give, and the kernel may refuse: all works without.
            let _ = rustix::pipe::fcntl_setpipe_size(pipe, WIDE_PIPE_BYTES);
        }
    }

    /// It has ended: what is in its pipes now is the last that it wrote.
    pub(super) fn count_unread(&mut self) {
        for (unread, pipe) in self.unread.iter_mut().zip(&self.outputs) {
            let waiting = pipe.as_ref().and_then(|pipe| rustix::io::ioctl_fionread(pipe).ok());
            *unread = waiting.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(0);
        }
    }

    /// Whether some of its own output is still to be read after its end. No more than fits into the pipes.
    pub(super) fn has_unread(&self) -> bool {
        self.unread != [0; 2]
    }

    /// Whether all of its output was read.
    pub(super) fn output_ended(&self) -> bool {
        self.outputs.iter().all(Option::is_none)
    }

    /// Reads output, or leaves it in the pipes for the moment.
    pub(super) fn read_outputs(&mut self, read: bool) -> rustix::io::Result<()> {
        for output in self.outputs.iter_mut().flatten() {
            output.wait_for(read.then_some(EventFlags::IN))?;
        }
        Ok(())
    }

    /// Whether it could take input now.
    pub(super) fn takes_input(&self) -> Demand {
        match &self.stdin {
            Stdin::Waiting => Demand::Later,
            Stdin::Open { closing: true, .. } | Stdin::Closed => Demand::Never,
            Stdin::Open { pending, .. } if !pending.is_empty() => Demand::Later,
            Stdin::Open { .. } => Demand::Now,
        }
    }

    /// Gives it input; what does not fit is kept.
    pub(super) fn give_input(&mut self, bytes: &[u8]) {
        if let Stdin::Open { pending, closing: false, .. } = &mut self.stdin {
            pending.extend_from_slice(bytes);
            self.flush_input();
        }
    }

    /// Ends its input once all of it was written. A terminal's input never ends.
    pub(super) fn close_input(&mut self) {
        match &mut self.stdin {
            Stdin::Open { closing, .. } if !self.stdio.terminal => {
                *closing = true;
                self.flush_input();
            }
            _ => {}
        }
    }

    /// Writes pending input.
    pub(super) fn flush_input(&mut self) {
        let Stdin::Open { pipe, pending, written, closing } = &mut self.stdin else { return };
        while *written < pending.len() {
            match rustix::io::retry_on_intr(|| rustix::io::write(&*pipe, &pending[*written..])) {
                Ok(length) => *written += length,
                Err(Errno::AGAIN) => {
                    if pipe.wait_for(Some(EventFlags::OUT)).is_err() {
                        self.stdin = Stdin::Closed;
                    }
                    return;
                }
                // The process has closed its standard input: the rest has no reader.
                Err(_) => {
                    self.stdin = Stdin::Closed;
                    return;
                }
            }
        }
        *pending = Vec::new();
        *written = 0;
        if *closing || pipe.wait_for(None).is_err() {
            self.stdin = Stdin::Closed;
        }
    }

    /// The terminal, if it has one that is open.
    pub(super) fn terminal(&self) -> Option<impl AsFd> {
        self.outputs[0].as_ref().filter(|_| self.stdio.terminal)
    }
}

/// Whether a process takes input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Demand {
    /// Yes.
    Now,
    /// Not before it was started, or has taken what is pending.
    Later,
    /// Not any more.
    Never,
}
