//! What daemon, launcher and shim say to one another.
//!
//! Every message is one packet of a `SOCK_SEQPACKET` socket: JSON, with descriptors beside it (`SCM_RIGHTS`). A message
//! of more than [`crate::channel::INLINE_LIMIT`] bytes travels in a memory file instead: the packet is the single byte
//! `@` and the memory file is its last descriptor.
//!
//! # Compatibility
//!
//! Shims outlive daemons, so a daemon meets shims of older and (after a downgrade) of newer versions:
//!
//! * both sides say [`PROTOCOL`] in their `Hello`; each side may use only what the lower of the two numbers knows;
//! * a message or a field is never removed and never changes its meaning; new fields have a default, and unknown
//!   fields are ignored;
//! * a new message raises [`PROTOCOL`]; a shim answers a command it does not know with [`Event::Refused`] and goes on;
//!   a daemon skips events it does not know.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The version of this protocol.
pub const PROTOCOL: u32 = 2;

/// From the daemon to the launcher.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Fork a shim. One descriptor: the shim's end of the control connection.
    Launch {
        /// The container the shim is for.
        container_id: String,
        /// Where the shim listens for later daemons.
        socket: PathBuf,
    },
}

/// From the launcher to the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// The shim was forked.
    Launched {
        /// Its process id, in the launcher's pid namespace.
        pid: i32,
    },
    /// It could not be forked.
    Failed {
        /// What stood in the way.
        detail: String,
    },
}

/// From the daemon to a shim.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Command {
    /// First message on a connection; the shim answers [`Event::Hello`].
    Hello {
        /// The daemon's [`PROTOCOL`].
        protocol: u32,
    },
    /// Start the container. Descriptors: those of the plan, in the order the runtime expects (root file system, then
    /// the network namespace if there is one). Answered by [`Event::Started`] or [`Event::StartFailed`].
    Start(Box<Start>),
    /// Carry what comes to sockets of the host to the container while it runs; to be sent before [`Command::Start`], and more
    /// than once if need be. One descriptor for each: bound, and listening if it is of TCP. Since protocol 2.
    Doors(Vec<Door>),
    /// Attach a client to the container's streams, started or not. One descriptor: the client's connection.
    /// Answered by [`Event::Attached`] at once and by [`Event::AttachEnded`] at the end.
    Attach(Attach),
    /// Run a further process in the container. One descriptor if `attach` is present: the client's connection.
    /// Answered by [`Event::ExecStarted`] or [`Event::ExecFailed`], later by [`Event::ExecExited`].
    Exec(Box<Exec>),
    /// Set the window size of the terminal of an exec, or of the container (`None`).
    Resize {
        /// The exec, or none for the container itself.
        exec_id: Option<String>,
        /// The new size.
        size: WindowSize,
    },
    /// Close the standard input of an exec, or of the container (`None`), once what is buffered was written.
    CloseStdin {
        /// The exec, or none for the container itself.
        exec_id: Option<String>,
    },
    /// End one attached client as if it had typed the detach keys.
    Detach {
        /// The client.
        attach_id: u64,
    },
    /// Send a signal to the first process of an exec, or of the container (`None`).
    Signal {
        /// The exec, or none for the container itself.
        exec_id: Option<String>,
        /// Signal number.
        signal: i32,
    },
    /// Change the rotation of the container's log from now on.
    UpdateLog {
        /// Rotate before a record when the file is at least this large; no rotation if absent.
        max_size_bytes: Option<u64>,
        /// How many files to keep, the current one included; at least one.
        max_files: u32,
    },
    /// The daemon has recorded the exit status: the shim ends as soon as its clients were served.
    Release,
}

/// A port of the host which the firewall cannot lead to the container, because its address is one of IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Door {
    /// It is a port of UDP, else of TCP.
    pub datagrams: bool,
    /// The container's address and port.
    pub target: SocketAddrV4,
}

/// What is needed to start the container's first process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Start {
    /// The runtime's plan, as JSON (`runtime::Plan`).
    pub plan: Box<RawValue>,
    /// How its standard streams are connected.
    #[serde(default)]
    pub stdio: Stdio,
    /// Where its output is recorded; nothing is recorded if absent.
    #[serde(default)]
    pub log: Option<LogConfig>,
}

/// A further process in the container.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Exec {
    /// The exec's id, chosen by the daemon.
    pub exec_id: String,
    /// The process, as JSON (`runtime::Process`).
    pub process: Box<RawValue>,
    /// How its standard streams are connected.
    #[serde(default)]
    pub stdio: Stdio,
    /// The client to attach, if any.
    #[serde(default)]
    pub attach: Option<Attach>,
}

/// How the standard streams of a process are connected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stdio {
    /// The three streams are one terminal.
    pub terminal: bool,
    /// Standard input is a pipe that clients can write to (else it is empty). A terminal always accepts input.
    pub open_stdin: bool,
    /// The end of the first client's input ends the standard input of the process. Without effect on a terminal.
    pub stdin_once: bool,
}

/// Size of a terminal window in character cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowSize {
    /// Height.
    pub rows: u16,
    /// Width.
    pub columns: u16,
}

/// A client that takes part in the streams of a process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attach {
    /// Chosen by the daemon, unique among the clients of one shim.
    pub attach_id: u64,
    /// What the client sends goes to standard input; else it is read and thrown away.
    #[serde(default)]
    pub stdin: bool,
    /// The client receives standard output (of a terminal: all output).
    #[serde(default)]
    pub stdout: bool,
    /// The client receives standard error.
    #[serde(default)]
    pub stderr: bool,
    /// Output is sent in frames that name its stream; all output of a terminal is standard output.
    #[serde(default)]
    pub framed: bool,
    /// The bytes that, typed one after another, end the client's part; none: nothing does. Only on a terminal.
    #[serde(default)]
    pub detach_keys: Vec<u8>,
    /// Input that came with the client's request, before anything read from its connection.
    #[serde(default, with = "latin1", skip_serializing_if = "Vec::is_empty")]
    pub early_input: Vec<u8>,
    /// Send first what was recorded after this position of the log, so that a replay made by the daemon and the live
    /// output join without loss or repetition.
    #[serde(default)]
    pub resume: Option<LogPosition>,
}

/// A place between two records of a container's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPosition {
    /// Inode number of the log file.
    pub inode: u64,
    /// Offset in it, in bytes.
    pub offset_bytes: u64,
}

/// Where and how output is recorded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogConfig {
    /// The file; rotated ones have `.1`, `.2` … appended, the newest first.
    pub path: PathBuf,
    /// Rotate before a record when the file is at least this large; no rotation if absent.
    #[serde(default)]
    pub max_size_bytes: Option<u64>,
    /// How many files to keep, the current one included; zero counts as one.
    #[serde(default)]
    pub max_files: u32,
    /// Attributes repeated in every record (`attrs`).
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
}

/// From a shim to the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// Answer to [`Command::Hello`]: all a new daemon needs. One descriptor while the container runs: its pidfd.
    Hello(Box<State>),
    /// The container's program was executed. One descriptor: the pidfd of its first process.
    Started {
        /// Its process id.
        pid: i32,
        /// When, in nanoseconds since 1970.
        started_at_ns: i64,
    },
    /// The container's program could not be executed. The shim ends by itself.
    StartFailed(Failure),
    /// The container's first process ended, and all its output was recorded and sent to clients. One descriptor, unless an older
    /// shim sends it: the root file system, which the daemon lets go of.
    Exited(Exit),
    /// A client was attached.
    Attached {
        /// The client.
        attach_id: u64,
    },
    /// A client's connection was closed by the shim.
    AttachEnded {
        /// The client.
        attach_id: u64,
        /// Why.
        reason: EndReason,
    },
    /// An exec's program was executed.
    ExecStarted {
        /// The exec.
        exec_id: String,
        /// Its process id.
        pid: i32,
    },
    /// An exec's program could not be executed. An attached client is let go without a shutdown: the daemon, which keeps a duplicate, tells it why.
    ExecFailed {
        /// The exec.
        exec_id: String,
        /// What stood in the way.
        failure: Failure,
    },
    /// An exec's first process ended, and all its output was sent.
    ExecExited {
        /// The exec.
        exec_id: String,
        /// How.
        exit: Exit,
    },
    /// A command could not be carried out, or was not understood.
    Refused {
        /// Name of the command.
        command: String,
        /// What stood in the way.
        detail: String,
    },
}

/// Everything a new daemon needs to know about a container that outlived the old one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// The shim's [`PROTOCOL`].
    pub protocol: u32,
    /// The container.
    pub container_id: String,
    /// Process id of the shim.
    pub shim_pid: i32,
    /// Process id of the container's first process, once started.
    pub pid: Option<i32>,
    /// When the container was started, in nanoseconds since 1970.
    pub started_at_ns: Option<i64>,
    /// How it ended, if it did.
    pub exit: Option<Exit>,
    /// Execs that run, and those whose end no daemon was told yet.
    pub execs: Vec<ExecState>,
    /// Clients that are attached (execs' included).
    pub attached: Vec<u64>,
    /// Bytes of output that could not be recorded (full disk).
    pub log_lost_bytes: u64,
}

/// One exec in [`State`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecState {
    /// The exec.
    pub exec_id: String,
    /// Its process id.
    pub pid: i32,
    /// How it ended, if it did.
    pub exit: Option<Exit>,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Exit code; 128 + signal number for a process killed by a signal.
    pub code: i32,
    /// The signal that killed it.
    pub signal: Option<i32>,
    /// When, in nanoseconds since 1970.
    pub exited_at_ns: i64,
}

/// Why a program could not be executed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The step that failed, in the runtime's words.
    pub stage: String,
    /// The system's error number; zero if it was not a system call that failed.
    pub errno: i32,
    /// What was attempted on what.
    pub detail: String,
}

/// Why the shim closed a client's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EndReason {
    /// The process ended and all its output was sent.
    Exited,
    /// The client typed the detach keys, or the daemon detached it.
    Detached,
    /// The client went away.
    Gone,
    /// The client did not take its output in time.
    Stalled,
}

/// Bytes as a JSON string in which each character stands for the byte of the same number.
mod latin1 {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&bytes.iter().map(|&byte| char::from(byte)).collect::<String>())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.chars()
            .map(|c| u8::try_from(c).map_err(|_| D::Error::custom("a character above 255 in a string of bytes")))
            .collect()
    }
}
