//! A daemon in miniature: a launcher, one shim, and the events it sends.

use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use serde_json::value::RawValue;
use shim::protocol::{Attach, Command, Event, Exit, LogConfig, Start, Stdio};
use shim::{Connection, Incoming, Launcher};

use crate::plain::Program;

/// Long enough for a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What is sent to run a shell script.
pub(crate) fn script(text: &str) -> Box<RawValue> {
    Program::json(["/bin/sh", "-c", text])
}

/// One container and its shim.
pub(crate) struct Container {
    pub(crate) launcher: Launcher,
    pub(crate) connection: Option<Connection>,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) socket: PathBuf,
    next_attach: u64,
}

impl Container {
    /// With a runtime that makes no containers.
    pub(crate) fn new() -> Container {
        Container::with("launcher")
    }

    /// With the given kind of launcher.
    pub(crate) fn with(personality: &str) -> Container {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let folder = tempfile::tempdir_in("/dev/shm").unwrap();
        let launcher = Launcher::start([personality]).unwrap();
        let id = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let socket = folder.path().join("shim.sock");
        let connection = launcher.launch(&id, &socket).unwrap();
        let mut container = Container { launcher, connection: Some(connection), folder, socket, next_attach: 1 };
        assert!(matches!(container.event(), Event::Hello(_)));
        container
    }

    pub(crate) fn log_path(&self) -> PathBuf {
        self.folder.path().join("json.log")
    }

    pub(crate) fn send(&self, command: &Command, descriptor: Option<OwnedFd>) {
        let descriptors: Vec<_> = descriptor.iter().map(AsFd::as_fd).collect();
        self.connection.as_ref().unwrap().send(command, &descriptors).unwrap();
    }

    pub(crate) fn start(&mut self, text: &str, stdio: Stdio) -> i32 {
        let log = LogConfig { path: self.log_path(), ..LogConfig::default() };
        let start = Start { plan: script(text), stdio, log: Some(log) };
        self.send(&Command::Start(Box::new(start)), None);
        self.until(|event| match event {
            Event::Started { pid, .. } => Some(pid),
            Event::StartFailed(failure) => panic!("{failure:?}"),
            _ => None,
        })
    }

    /// Attaches a client with all streams, framed; returns its side of the connection.
    pub(crate) fn attach(&mut self) -> UnixStream {
        self.attach_as(Attach { stdin: true, stdout: true, stderr: true, framed: true, ..Attach::default() })
    }

    pub(crate) fn attach_as(&mut self, mut attach: Attach) -> UnixStream {
        attach.attach_id = self.next_attach;
        self.next_attach += 1;
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_read_timeout(Some(PATIENCE)).unwrap();
        self.send(&Command::Attach(attach), Some(theirs.into()));
        self.until(|event| matches!(event, Event::Attached { .. }).then_some(()));
        ours
    }

    /// The next event.
    pub(crate) fn event(&mut self) -> Event {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let connection = self.connection.as_ref().unwrap();
            match connection.receive().unwrap() {
                Incoming::Message(event, _) => return event,
                Incoming::Nothing => {}
                Incoming::Closed => panic!("the shim is gone"),
            }
            assert!(Instant::now() < deadline, "no event came");
            let mut fds = [PollFd::new(connection, PollFlags::IN)];
            rustix::event::poll(&mut fds, Some(&PATIENCE.try_into().unwrap())).unwrap();
        }
    }

    /// Reads events until `pick` takes one.
    pub(crate) fn until<T>(&mut self, mut pick: impl FnMut(Event) -> Option<T>) -> T {
        loop {
            if let Some(found) = pick(self.event()) {
                return found;
            }
        }
    }

    pub(crate) fn exit(&mut self) -> Exit {
        self.until(|event| match event {
            Event::Exited(exit) => Some(exit),
            _ => None,
        })
    }

    /// Releases the shim and waits until it is gone.
    pub(crate) fn release(&mut self) {
        self.send(&Command::Release, None);
        let deadline = Instant::now() + PATIENCE;
        while !matches!(self.connection.as_ref().unwrap().receive(), Ok(Incoming::Closed)) {
            assert!(Instant::now() < deadline, "the shim did not end");
            std::thread::sleep(Duration::from_millis(2));
        }
        assert!(!self.socket.exists());
    }

    /// The texts of the log's records of one stream, joined.
    pub(crate) fn logged(&self, stream: &str) -> String {
        let text = std::fs::read_to_string(self.log_path()).unwrap();
        text.lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .filter(|record| record["stream"] == stream)
            .map(|record| record["log"].as_str().unwrap().to_owned())
            .collect()
    }
}

/// Everything until the end, taken out of its frames: standard output and standard error.
pub(crate) fn unframe(mut stream: impl Read) -> (Vec<u8>, Vec<u8>) {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let mut head = [0; 8];
    while stream.read_exact(&mut head).is_ok() {
        let length = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
        let target = if head[0] == 1 { &mut stdout } else { &mut stderr };
        let before = target.len();
        (&mut stream).take(length.into()).read_to_end(target).unwrap();
        assert_eq!(target.len() - before, length as usize, "a frame is cut");
    }
    (stdout, stderr)
}

/// Reads until `text` was seen.
pub(crate) fn read_until(stream: &mut UnixStream, text: &str) -> String {
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    while !String::from_utf8_lossy(&seen).contains(text) {
        let length = stream.read(&mut buffer).unwrap();
        assert!(length > 0, "ended after {:?}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&buffer[..length]);
    }
    String::from_utf8(seen).unwrap()
}

/// Writes from another thread, so that a full buffer cannot stop the test; then half-closes.
pub(crate) fn write_and_close(stream: &UnixStream, bytes: Vec<u8>) -> std::thread::JoinHandle<()> {
    let mut stream = stream.try_clone().unwrap();
    std::thread::spawn(move || {
        stream.write_all(&bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
    })
}
